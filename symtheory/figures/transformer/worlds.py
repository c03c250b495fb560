"""Figure: the transformer's path, and that of the same base policies in the simulators."""

import numpy as np
import xarray as xr

from ...metrics.intervals import bootstrap
from ...metrics.passk import pass_at_k
from ..captions import one_line
from ..style import MARKERS, look, panels
from .study import mean_pass_at_k


def draw(result: xr.Dataset, simulated: xr.Dataset):
    """pass@256 and entropy against pass@1 on the training prompts: the transformer, and the same policies simulated."""
    names = list(simulated.world.values)
    fig, axes = panels(len(names), 2, width=11, height=4.2 * len(names), sharex="col", sharey="col")
    trained = result.sel(split="train")
    x, at_256 = (mean_pass_at_k(result, k, "train").mean("seed") for k in (1, 256))
    entropy = trained.entropy.mean(("seed", "prompt"))
    p = simulated.success.astype(float)
    for (left, right), world in zip(axes, names, strict=True):
        own = p.sel(world=world)
        own_256 = own.copy(data=pass_at_k(own.values, 256))
        for ax, points, lines in ((left, at_256, own_256), (right, entropy, simulated.entropy.sel(world=world))):
            for name in result.estimator.values:
                style = look(name)
                one = dict(estimator=name)
                marker = MARKERS[style["linestyle"]]
                line = lines.sel(one).mean(("seed", "prompt"))
                ax.plot(x.sel(one), points.sel(one), marker, color=style["color"], label=style["label"], markersize=4)
                ax.plot(own.sel(one).mean(("seed", "prompt")), line, style["linestyle"], color=style["color"], lw=1.2)
        left.set_ylabel("pass@256, training prompts")
        right.set_ylabel("entropy over completions (nat)")
        left.set_title(f"lines: {world}", loc="left")
    for ax in axes[-1]:
        ax.set_xlabel("pass@1, training prompts")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside lower center", ncols=4)
    fig.suptitle("Points: the transformer. Lines: the same base policies in the simulators")
    return fig


def at_pass_at_1(simulated: xr.Dataset, target: xr.DataArray, k: int) -> xr.DataArray:
    """pass@k of the simulated training prompts when their pass@1 first reaches `target` (estimator, seed).

    Linear between records; the last value where it never does. Dims (world, estimator, seed).
    """
    p = simulated.success.transpose("world", "estimator", "seed", "step", "prompt").astype(float)
    x = np.maximum.accumulate(p.mean("prompt").values, axis=-1)
    y = np.asarray(pass_at_k(p.values, k)).mean(-1)
    found = np.empty(x.shape[:-1])
    for index in np.ndindex(found.shape):
        rising, first = np.unique(x[index], return_index=True)
        found[index] = np.interp(target.transpose("estimator", "seed").values[index[1:]], rising, y[index][first])
    return p.isel(step=0, prompt=0, drop=True).copy(data=found)


def caption(trained: xr.Dataset, simulated: xr.Dataset) -> str:
    """What the comparison with the simulators shows."""
    solved, found = (mean_pass_at_k(trained, k, "train").isel(step=-1, drop=True) for k in (1, 256))
    gap = 100 * (at_pass_at_1(simulated, solved, 256) - found)
    of = "grpo" if "grpo" in gap.estimator else gap.estimator.values[0]
    told = []
    for world in simulated.world.values:
        i = bootstrap(gap.sel(world=world, estimator=of).values)
        told.append(f"{i.mean:+.1f} points [{i.low:+.1f}, {i.high:+.1f}] in the {world}")
    return one_line(
        f"""Points: the transformer after every record. Lines: the same base policies of its
        {trained.sizes["prompt"]} training prompts in the simulators, trained by SGD on sampled groups. In the bandit
        every completion has a logit of its own (Theorem 1), in the tree every token after every prefix; prompts share
        nothing. Compare paths, since the steps differ: with points on the lines, sharing parameters would not matter.
        At the pass@1 with which {of} ends in the transformer, a simulator's pass@256 differs by
        {" and ".join(told)} (mean over {trained.sizes["seed"]} seeds, 95% bootstrap intervals)."""
    )
