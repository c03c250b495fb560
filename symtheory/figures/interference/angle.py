"""Figure: the angle between the gradients of easy and hard prompts that turns the order of the estimators."""

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from ...studies.interference.angle import Angle, falling_angle, turning_angle
from ..style import MARKERS, look, panels
from .law import over_seeds


def draw(predicted: xr.Dataset, measured: xr.Dataset, config: Angle) -> Figure:
    """Left: slope of each estimator beside GRPO's. Right: GRPO's and the others' own slope, negative below the base."""
    fig, axes = panels(1, 2, width=12, height=4.6, sharex=True)
    beside = (predicted - predicted.sel(estimator="grpo"), measured - measured.sel(estimator="grpo"))
    for ax, (line, points) in zip(axes[0], (beside, (predicted, measured)), strict=True):
        ax.axhline(0, color=look("base")["color"], lw=1)
        for name in predicted.estimator.values:
            style = look(name)
            color, marker = style["color"], MARKERS[style["linestyle"]]
            ax.plot(
                line.degrees, line.slope.sel(estimator=name), color=color, ls=style["linestyle"], label=style["label"]
            )
            mean, low, high = over_seeds(points.slope.sel(estimator=name))
            ax.errorbar(points.degrees, mean, [mean - low, high - mean], fmt=marker, color=color, ms=2.5, capsize=3)
        ax.set_xlabel("angle between the pulls of easy and hard prompts (degrees)")
        ax.set_xticks(range(0, 181, 30))
    turn, fall = turning_angle(config), falling_angle(config)
    axes[0, 0].axvline(turn, color="#555555", ls=":", lw=1.2)
    axes[0, 0].set_title(f"minus GRPO's; the order turns at {turn:.0f} degrees")
    axes[0, 1].axvline(fall, color="#555555", ls=":", lw=1.2)
    axes[0, 1].set_title(f"GRPO falls below its base from {fall:.0f} degrees")
    axes[0, 0].set_ylabel(f"held-out pass@{config.k} per training pass@1")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    fig.suptitle("Lines: from the base policy alone. Points: sampled training")
    return fig


def caption(predicted: xr.Dataset, measured: xr.Dataset, config: Angle) -> str:
    """What the figure shows, with the angles read off the runs."""
    mean = measured.slope.mean("seed")
    order = mean.sel(estimator="hard_focused") - mean.sel(estimator="easy_focused")
    turn, fall = (_crossing(x.degrees.values, x.values) for x in (order, mean.sel(estimator="grpo")))
    line = predicted.slope.interp(degrees=measured.degrees)
    error = float(np.abs(line - mean).max())
    return (
        f"{config.hard_prompts} hard prompts (success {config.hard:g}) and {config.easy_prompts} easy ones "
        f"({config.easy:g}), each with a direction of its own of length {config.own:g}; held-out prompts have "
        "others. Left: held-out pass@k that each estimator keeps per unit of training pass@1, minus GRPO's. "
        f"Hard focus keeps more from {turning_angle(config):.1f} degrees on (theorem for large k), in the runs from "
        f"{turn:.1f}. Right: the slope itself; GRPO ends below its base from {falling_angle(config):.1f} degrees on, "
        f"in the runs from {fall:.1f}. Lines: the law at the base policy; points: mean of {measured.sizes['seed']} "
        f"seeds of sampled SGD at a gain of {config.gain:g} in training pass@1, with 95% bootstrap intervals. Largest "
        f"distance of a point from its line: {error:.3f}."
    )


def _crossing(x: np.ndarray, y: np.ndarray) -> float:
    """Where y first changes its sign, linearly interpolated; nan if it never does."""
    found = np.flatnonzero(np.sign(y[:-1]) != np.sign(y[1:]))
    if not found.size:
        return float("nan")
    i = int(found[0])
    return float(x[i] + (x[i + 1] - x[i]) * y[i] / (y[i] - y[i + 1]))
