"""A tree while it learns: mass, solutions and change of every node, for the picture and the animation."""

from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import CenteredNorm, LinearSegmentedColormap, Normalize
from matplotlib.lines import Line2D

from .. import estimators
from ..dynamics import advantage_of
from ..errors import InputError
from ..worlds import make_tree
from . import style


@dataclass(frozen=True)
class Config:
    estimator: str = "grpo"
    depth: int = 4
    branching: int = 3
    success: float = 0.25
    density: float = 0.12
    decoys: float = 0.3
    spread: float = 1.2
    group_size: int = 8
    learning_rate: float = 0.5
    """step on the mean over the group"""
    steps: int = 60
    seed: int = 0

    def __post_init__(self):
        if self.steps < 1 or self.group_size < 2:
            raise InputError(
                f"steps must be at least 1 and group_size at least 2, got {self.steps} and {self.group_size}"
            )
        if self.depth >= 1 and self.branching >= 2 and self.branching**self.depth > 512:
            raise InputError(
                f"depth and branching must leave at most 512 leaves to draw, got {self.branching}^{self.depth}"
            )


def run(config: Config) -> xr.Dataset:
    """`steps` sampled steps on one tree.

    Variables: `reach[step, node]`, the chance that a rollout passes each node, level by level from the root to the
    leaves; `change[step, node]`, the change of its logarithm in the step that follows; `rollouts[step, node]`, those
    of that step's group through it; `success` and `entropy` per step; `correct[leaf]`.
    """
    key_world, key_train = jax.random.split(jax.random.key(config.seed))
    world = make_tree(
        key_world,
        [config.success],
        depth=config.depth,
        branching=config.branching,
        density=config.density,
        decoys=config.decoys,
        spread=config.spread,
    )
    program = _program(config.estimator, config.group_size)
    path = program(world, jax.random.split(key_train, config.steps), config.learning_rate)
    dims = {"reach": ("step", "node"), "change": ("step", "node"), "rollouts": ("step", "node")}
    data = xr.Dataset({name: (dims.get(name, ("step",)), np.asarray(v)) for name, v in path.items()})
    data["correct"] = (("leaf",), np.asarray(world.correct[0]))
    return data.assign_attrs(asdict(config))


@cache
def _program(estimator: str, group_size: int):
    """(world, keys [steps], learning rate) -> snapshots [steps, ...], compiled once for each shape of its arguments."""
    advantage = advantage_of([estimators.get(estimator)], jnp.asarray(0))

    def path(world, keys, learning_rate):
        def step(params, key):
            rollouts = world.sample(key, params, group_size)
            a = advantage(world.reward(rollouts))
            ahead = params + learning_rate * world.policy_gradient(params, rollouts, a / group_size)
            return ahead, _snapshot(world, params, ahead, rollouts)

        return jax.lax.scan(step, world.init(), keys)[1]

    return jax.jit(path)


def _snapshot(world, params, ahead, rollouts):
    """State before a step and what the step does."""

    def flat(levels):
        return jnp.concatenate([level[0] for level in levels])

    below = [world.branching ** (world.depth - l) for l in range(world.depth + 1)]
    counts = [
        (rollouts[:, :, None] // n == jnp.arange(world.branching**l)).sum(1).astype(params.dtype)
        for l, n in enumerate(below)
    ]
    reach = flat(world.reach(params))
    return {
        "reach": reach,
        "change": jnp.log(jnp.maximum(flat(world.reach(ahead)), 1e-30)) - jnp.log(jnp.maximum(reach, 1e-30)),
        "rollouts": flat(counts),
        "success": world.success(params)[0],
        "entropy": world.entropy(params)[0],
    }


GREEN, RED, BLUE, WRONG = "#009E73", "#D55E00", "#0072B2", "#B9BDC4"
MASS = LinearSegmentedColormap.from_list("mass", ["#D9DEE7", "#5B7DB1", "#12264A"])
CHANGE = LinearSegmentedColormap.from_list("change", [RED, "#EBB48F", "#DADADA", "#8DBBDB", "#0072B2"])


def picture(data, step: int):
    """Two trees side by side: the policy before a step, and the change that the step makes."""
    fig, axes = style.panels(1, 2, width=13.0, height=7.2)
    name = style.look(data.attrs["estimator"])["label"]
    now = data.isel(step=step)
    _tree(axes[0, 0], now, _mass_colors(now), sampled=False)
    axes[0, 0].set_title(
        f"The policy: chance that a rollout passes\nsuccess {float(now.success):.2f}, entropy "
        f"{float(now.entropy):.2f} nats"
    )
    colors, scale = _change_colors(now)
    _tree(axes[0, 1], now, colors, sampled=True)
    correct = int((now.rollouts.values[-now.sizes["leaf"] :] * now.correct.values).sum())
    axes[0, 1].set_title(
        f"One {name} step: change of log-probability\n{correct} of {data.attrs['group_size']} sampled leaves correct"
    )
    fig.colorbar(scale, ax=axes[0, 1], fraction=0.04, pad=0.02, label="change of log-probability (nats)")
    fig.legend(handles=_legend(), loc="outside lower center", ncols=4)
    return fig


def film(data, path, every: int = 1, frames_per_second: int = 8) -> None:
    """Write the training as a GIF: the tree on the left, success and entropy over steps on the right."""
    from matplotlib.animation import PillowWriter

    with mpl.rc_context(style.RC):
        fig, axes = style.panels(1, 2, width=11.0, height=5.6, gridspec_kw={"width_ratios": [1.7, 1]})
        fig.legend(handles=_legend(), loc="outside lower center", ncols=4)
        writer = PillowWriter(fps=frames_per_second)
        with writer.saving(fig, str(path), dpi=80):
            for step in range(0, data.sizes["step"], every):
                for ax in axes[0]:
                    ax.clear()
                _frame(axes[0], data, step)
                writer.grab_frame()
            for _ in range(frames_per_second):  # rest on the last frame
                writer.grab_frame()


def _frame(axes, data, step):
    now = data.isel(step=step)
    _tree(axes[0], now, _mass_colors(now), sampled=True, width=1.0)
    axes[0].set_title(f"{style.look(data.attrs['estimator'])['label']}, step {step}")
    steps = np.arange(data.sizes["step"])
    curves = (
        ("success", data.success, GREEN),
        ("entropy / log(leaves)", data.entropy / np.log(data.sizes["leaf"]), BLUE),
    )
    for label, values, color in curves:
        axes[1].plot(steps, values, color="#DDDDDD", linewidth=1)
        axes[1].plot(steps[: step + 1], values[: step + 1], color=color, label=label)
    axes[1].set(xlim=(0, len(steps)), ylim=(0, 1), xlabel="step")
    axes[1].legend(loc="center right")


def _tree(ax, now, colors, sampled: bool, width: float | None = None):
    """Edges as wide as their mass; leaves as bars of their mass, green if correct; sampled leaves as dots.

    `width` is the largest probability to leave room for, the present one by default.
    """
    branching, depth = now.attrs["branching"], now.attrs["depth"]
    reach, count = now.reach.values, now.rollouts.values
    xy, parent = _layout(branching, depth)
    edges = np.arange(1, len(xy))
    order = edges[np.argsort(reach[edges], kind="stable")]
    lines = [_bend(xy[parent[v]], xy[v]) for v in order]
    widths = 0.5 + 11 * np.sqrt(reach[order]) * (reach[order] > 1e-4)
    ax.add_collection(LineCollection(lines, linewidths=widths, colors=colors[order], capstyle="round"))
    leaves = np.arange(len(xy) - branching**depth, len(xy))
    correct, heights = now.correct.values, reach[leaves]
    x, y = xy[leaves].T
    ax.barh(y, 0.06 + 2.2 * heights, left=x + 0.08, height=0.72, color=np.where(correct, GREEN, WRONG))
    if sampled:
        seen = count[leaves] > 0
        right = x[seen] + 0.26 + 2.2 * heights[seen]
        marks = np.where(correct[seen], GREEN, RED)
        ax.scatter(right, y[seen], s=34, color=marks, edgecolor="black", linewidth=0.6, zorder=5)
        for xi, yi, n in zip(right, y[seen], count[leaves][seen], strict=True):
            if n > 1:
                ax.annotate(f"× {n:.0f}", (xi, yi), xytext=(6, -3), textcoords="offset points", fontsize=8)
    ax.set(
        xlim=(-0.15, depth + 0.5 + 2.2 * (heights.max() if width is None else width)),
        ylim=(-1.5, branching**depth + 0.5),
    )
    ax.axis("off")


def _layout(branching, depth):
    """Positions [nodes, 2], root on the left and leaves in order on the right, and the parent of each node."""
    xy, parent = [], [0]
    for level in range(depth + 1):
        below = branching ** (depth - level)
        y = (np.arange(branching**level) + 0.5) * below - 0.5
        xy.append(np.stack([np.full(len(y), float(level)), y[::-1]], axis=-1))
        first = (branching**level - 1) // (branching - 1)
        parent += [first + i // branching for i in range(branching ** (level + 1))] if level < depth else []
    return np.concatenate(xy), np.array(parent)


def _bend(start, end, points=16):
    """A smooth curve from parent to child."""
    t = np.linspace(0, 1, points)
    s = t * t * (3 - 2 * t)
    return np.stack([start[0] + t * (end[0] - start[0]), start[1] + s * (end[1] - start[1])], axis=-1)


def _mass_colors(now):
    return MASS(Normalize(0, 1)(np.sqrt(now.reach.values)))


def _change_colors(now):
    """Colours by change, on a symmetric scale cut at the largest change among nodes that hold mass."""
    change = now.change.values
    held = np.abs(change[now.reach.values > 2e-3])
    norm = CenteredNorm(0, max(float(held.max()), 1e-6))
    scale = ScalarMappable(norm, CHANGE)
    return scale.to_rgba(change), scale


def _legend():
    dot: dict[str, Any] = dict(linestyle="", markeredgecolor="black", markersize=6)
    return [
        Line2D([], [], color=GREEN, linewidth=6, label="correct leaf, length: its probability"),
        Line2D([], [], color=WRONG, linewidth=6, label="wrong leaf"),
        Line2D([], [], marker="o", color=GREEN, label="sampled, correct", **dot),
        Line2D([], [], marker="o", color=RED, label="sampled, wrong", **dot),
    ]
