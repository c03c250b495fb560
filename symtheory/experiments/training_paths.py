"""Figures 3, 5, 9 and 10: what happens over training (entropy, correct rollouts, collapse, greedy accuracy)."""

import numpy as np
import xarray as xr

from ..metrics.intervals import Interval, bootstrap
from .base import Runs, describe, figure, setting_name
from .claims import collapsed
from .passk_curves import GROUP_LEVEL, SAMPLE_LEVEL


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
    text += " The paper shows it as a picture only. All single-prompt theory says the curves coincide at equal pass@1."
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
