"""Figures 3, 5, 9 and 10: what happens over training (entropy, correct rollouts, collapse, greedy accuracy)."""

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from ..claims.effects import collapsed
from ..metrics.intervals import Interval, bootstrap
from .base import Runs, describe, figure, setting_name
from .passk_curves import GROUP_LEVEL, SAMPLE_LEVEL, curve
from .style import legend_below, look, panels


def _paths(runs: Runs, methods: tuple[str, ...], quantities: dict[str, str | None]) -> xr.Dataset:
    """Mean paths with intervals, [statistic, setting, estimator, time], of each quantity in every setting.

    `quantities` maps a variable to its population, or to None if it belongs to the training batch. A variable
    `..._gain` is its difference from the first method, paired by seed.
    """
    settings = runs.preset.settings
    variables = {}
    for name, population in quantities.items():
        panels, gains = [], []
        for setting in settings:
            x = runs.study(setting)[name].sel(estimator=list(methods))
            if population is not None:
                x = x.sel(population=population if population in x.population else "train")
            values = x.transpose("seed", "estimator", ...).values
            panels.append(np.array(bootstrap(values)))
            gains.append(np.array(bootstrap(values - values[:, :1])))
        dims = ["statistic", "setting", "estimator", "step" if population is not None else "batch_step"]
        variables[name] = (dims, np.stack(panels, 1))
        variables[f"{name}_gain"] = (dims, np.stack(gains, 1))
    study = runs.study()
    return xr.Dataset(
        variables,
        {
            "statistic": list(Interval._fields),
            "setting": [setting_name(*s) for s in settings],
            "estimator": list(methods),
            "step": study.step.values,
            "batch_step": study.batch_step.values,
        },
        {"seeds": study.sizes["seed"]},
    )


WHERE = (
    "{seeds} seeds from Qwen2.5-Math-7B's difficulty; bands: 95% bootstrap intervals over seeds, of paired differences "
    "where GRPO's path is subtracted."
)


@figure("fig3", "Training entropy under group-level asymmetry (Figure 3)")
def fig3(runs: Runs) -> xr.Dataset:
    dataset = _paths(runs, GROUP_LEVEL, {"entropy": "train"})
    text = "Exact policy entropy on the training prompts. " + WHERE.format(**dataset.attrs)
    text += " The paper shows it as a picture only. In one prompt's mean field the curves coincide at equal pass@1."
    return describe(dataset, text, runs, "fig3")


@figure("fig5", "Correct rollouts per batch under difficulty focus (Figure 5)")
def fig5(runs: Runs) -> xr.Dataset:
    dataset = _paths(runs, SAMPLE_LEVEL, {"correct": None})
    text = "Fraction of correct rollouts in the training batch. " + WHERE.format(**dataset.attrs)
    return describe(dataset, text, runs, "fig5")


@figure("fig9", "Collapse: unsolved prompts over training (Figure 9)")
def fig9(runs: Runs) -> xr.Dataset:
    methods = ("grpo", "negative_dominant", "ass")
    dataset = _paths(runs, methods, {"unsolved": None}).drop_vars("unsolved_gain")
    counts = [collapsed(runs.study(s)).sel(estimator=list(methods)).sum("seed").values for s in runs.preset.settings]
    dataset["collapsed"] = (("setting", "estimator"), np.array(counts))
    text = (
        "Fraction of prompts whose group has no correct rollout. A run counts as collapsed if its exact training "
        "pass@1 ends more than 5 points under its running maximum; the paper reports 3 of 10 Negative-Dominant runs "
        "and 0 of 10 with attenuation, a difference that ten runs cannot establish (Fisher's exact test: p = 0.21). "
        + WHERE.format(**dataset.attrs)
    )
    return describe(dataset, text, runs, "fig9")


@figure("fig10", "A-GRAE: entropy and greedy accuracy over training (Figure 10)")
def fig10(runs: Runs) -> xr.Dataset:
    methods = ("grpo", "agrae", "agrae_released")
    dataset = _paths(runs, methods, {"entropy": "train", "greedy": "MATH"})
    text = (
        "Exact entropy on the training prompts, and accuracy of the most likely trajectory on held-out MATH "
        "prompts (training prompts where parameters are independent). " + WHERE.format(**dataset.attrs)
    )
    return describe(dataset, text, runs, "fig10")


_AXES = {
    "entropy": "entropy (nats)",
    "entropy_gain": "entropy - GRPO's (nats)",
    "correct": "correct rollouts\nin the batch (%)",
    "correct_gain": "correct rollouts\n- GRPO's (points)",
    "unsolved": "prompts without a\ncorrect rollout (%)",
    "greedy": "greedy accuracy (%)",
    "greedy_gain": "greedy accuracy\n- GRPO's (points)",
}


def draw(dataset: xr.Dataset) -> Figure:
    """Rows: quantities. Columns: settings of the simulation."""
    names = [n for n in _AXES if n in dataset]
    settings = dataset.setting.values
    width = max(6.0, 3.1 * len(settings) + 0.6)
    fig, axes = panels(len(names), len(settings), width=width, height=2.7 * len(names) + 0.8, sharey="row", sharex=True)
    for row, name in enumerate(names):
        time = dataset[name].dims[-1]
        for column, setting in enumerate(settings):
            ax = axes[row, column]
            for estimator in dataset.estimator.values:
                path = dataset[name].sel(setting=setting, estimator=estimator)
                curve(ax, dataset[time].values, path, estimator, scale=1 if name.startswith("entropy") else 100)
            if row == 0:
                ax.set_title(str(setting))
            if "collapsed" in dataset:
                _count(ax, dataset.collapsed.sel(setting=setting), dataset.attrs["seeds"])
        axes[row, 0].set_ylabel(_AXES[name])
    for ax in axes[-1]:
        ax.set_xlabel("training step")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    legend_below(fig, handles, labels)
    return fig


def _count(ax, collapsed: xr.DataArray, seeds: int) -> None:
    lines = [f"{look(str(c.estimator.values))['label']} {int(c)}/{seeds}" for c in collapsed]
    text = "collapsed runs\n" + "\n".join(lines)
    ax.text(0.97, 0.95, text, transform=ax.transAxes, ha="right", va="top", fontsize=8)
