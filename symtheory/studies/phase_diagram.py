"""The symmetry plane as a phase diagram: what training does at every group asymmetry and difficulty tilt.

Every point of a grid is one estimator of the family `estimators.plane.PLANE`, trained from the same base policies on
the same prompts with the same random numbers; only the estimator differs.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cache, partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import xarray as xr

from .. import estimators
from ..dynamics import Update, train
from ..estimators.group import make_group
from ..estimators.plane import PLANE
from ..metrics.intervals import bootstrap
from ..metrics.passk import pass_at_k
from ..metrics.plane import all_groups, place, position
from ..ops import jax_ops
from ..storage import provenance, tiles
from ..worlds import make_bandit
from .controlled import difficulty

ROWS = 4  # tilts in one program: its memory does not grow with the grid


@dataclass(frozen=True)
class Sweep:
    """One phase diagram."""

    points: int = 41
    """Grid points along each axis."""
    seeds: int = 16
    tilt_limit: float = 0.45
    """Largest difficulty tilt; the group asymmetry goes from -1 to 1."""
    prompts: int = 32
    """Training prompts, and as many held-out ones; difficulty of MATH for Qwen2.5-Math-7B (Table 3)."""
    trajectories: int = 64
    correct: int = 8
    features: int = 16
    feature_noise: float = 2.0
    group_size: int = 8
    learning_rate: float = 0.01
    """Of Adam, so that advantages of different size make steps of the same size."""
    steps: int = 240


def run(sweep: Sweep, folder: str | Path, progress: Callable[[int], None] = lambda rows: None) -> xr.Dataset:
    """The sweep as a dataset (`seed, tilt, asymmetry`), with the places of all estimators; finished rows are kept."""
    asymmetry = np.linspace(-1, 1, sweep.points)
    tilt = np.linspace(-sweep.tilt_limit, sweep.tilt_limit, sweep.points)
    parameter = tilt_parameters(tilt, sweep.group_size)
    program = jax.jit(_program(sweep))

    def block(start: int) -> tiles.Tile:
        rows = tilt[start : start + ROWS]
        padded = np.resize(parameter[start : start + ROWS], ROWS)  # one shape for all blocks

        def label(values) -> xr.Dataset:
            data = {k: (("seed", "tilt", "asymmetry"), v[:, : len(rows)]) for k, v in values.items()}
            return xr.Dataset(data, {"tilt": rows, "asymmetry": asymmetry, "seed": np.arange(sweep.seeds)})

        config = {"plane": 1, **asdict(sweep), "block": start, **provenance.made_by(_program, *PLANE.links)}
        return tiles.Tile(config, program, (jnp.asarray(padded), jnp.asarray(asymmetry)), label, len(rows))

    rows = tiles.run([block(start) for start in range(0, sweep.points, ROWS)], folder, "plane", progress)
    dataset = xr.merge([xr.concat(rows, "tilt"), _places(sweep.group_size)]).assign_attrs(asdict(sweep))
    return dataset.assign_attrs(caption=_caption(dataset))


def _caption(dataset: xr.Dataset) -> str:
    """What the phase diagram shows, with the comparison to GRPO in its own words."""
    a = dataset.attrs
    grpo = dataset.sel(tilt=0, asymmetry=0, method="nearest")
    lines = [
        "Every point is one estimator of a family through GRPO, all trained from the same base policies; the colour "
        f"compares it with GRPO: mean over {a['seeds']} worlds after {a['steps']} Adam steps, on {a['prompts']} "
        "held-out prompts (MATH difficulty of Qwen2.5-Math-7B, parameters shared with "
        f"{a['prompts']} training prompts x {a['group_size']} rollouts). "
        "A prompt collapsed if its success probability ends below half of where it began. A dot shows where a "
        "registered estimator lies at batch mean reward 1/2, not a run of it: the colour there is that of the family's "
        "estimator with the same asymmetry and tilt. Lines: A-GRAE, paper and release, as omega grows from 0.02 to 1 "
        "(arrow). Estimators whose asymmetry changes its sign with difficulty (GRPO-LEAD, NeMo-RL's GRPO) have their "
        "mean at the origin."
    ]
    for name, what in (("pass_1_gain", "pass@1"), ("pass_256_gain", "pass@256"), ("entropy_gain", "Entropy")):
        difference = bootstrap((dataset[name] - grpo[name]).transpose("seed", ...).values)
        above, below = (difference.low > 0).mean(), (difference.high < 0).mean()
        lines.append(f"{what} ends above GRPO's at {above:.0%} of the points and below it at {below:.0%}.")
    lines.append("(By pointwise 95% bootstrap intervals of the paired difference: 2.5% on each side would be chance.)")
    return " ".join(lines)


def tilt_parameters(tilt: np.ndarray, size: int) -> np.ndarray:
    """The family's parameter for each difficulty tilt of the plane, which grows with it."""
    return np.interp(tilt, *_tilts_reached(size))


@cache
def _tilts_reached(size: int) -> tuple[np.ndarray, np.ndarray]:
    parameters = np.linspace(-12, 12, 4801)
    tables = estimators.advantages(all_groups(size), PLANE, omega=0.5, tilt=parameters[:, None, None])
    return np.array([position(table).tilt for table in tables]), parameters


def _program(sweep: Sweep) -> Callable:
    """(tilt [ROWS], asymmetry [points]) -> measures, each [seeds, ROWS, points]."""
    op = jax_ops()
    success = difficulty("table3", "MATH", 2 * sweep.prompts)
    world = partial(
        make_bandit,
        trajectories=sweep.trajectories,
        correct=sweep.correct,
        features=sweep.features,
        feature_noise=sweep.feature_noise,
    )

    def one_run(seed, tilt, asymmetry):
        key_train, key_test, sampling = jax.random.split(jax.random.key(seed), 3)
        # every second prompt is held out: both halves have the same difficulty
        trained, held_out = world(key_train, success[::2]), world(key_test, success[1::2])
        estimator = PLANE.with_params(tilt=tilt, asymmetry=asymmetry)

        def observe(params):
            return held_out.success(params), held_out.entropy(params).mean()

        _, (solved, entropy), _ = train(
            sampling,
            trained,
            lambda rewards: estimator(make_group(op, rewards), op),
            optax.adam(sweep.learning_rate),
            Update(sweep.group_size),
            observe=observe,
            records=1,
            stride=sweep.steps,
        )
        base, end = solved
        return {
            "pass_1_gain": (end - base).mean(),
            "pass_256_gain": jnp.mean(pass_at_k(end, 256) - pass_at_k(base, 256)),
            "entropy_gain": entropy[1] - entropy[0],
            "collapsed": (end < base / 2).mean(),
        }

    over_asymmetry = jax.vmap(one_run, (None, None, 0))
    over_tilt = jax.vmap(over_asymmetry, (None, 0, None))
    return lambda tilt, asymmetry: jax.vmap(over_tilt, (0, None, None))(jnp.arange(sweep.seeds), tilt, asymmetry)


def _places(size: int) -> xr.Dataset:
    """Where the registered estimators are, and the paths of those that move with omega."""
    names = estimators.names("rewards")
    omegas = np.linspace(0.02, 1, 50)
    moving = [n for n in names if "batch_independence" not in estimators.get(n).laws]
    paths = [[place(n, size, omega=float(w)) for w in omegas] for n in moving]
    return xr.Dataset(
        {
            "place": (("estimator", "axis"), np.array([place(n, size) for n in names])),
            "path": (("moving", "omega", "axis"), np.array(paths)),
        },
        {"estimator": list(names), "axis": ["asymmetry", "tilt"], "moving": moving, "omega": omegas},
    )
