"""An estimator's expected focus on easy prompts, and its pass@k minus GRPO's.

By the master theorem an estimator's expected step on a prompt of success P is F'_G(P) grad P, so what distinguishes
estimators in expectation is how F' weighs prompts of different difficulty. `easy_focus` is one number of that weight.
"""

from collections.abc import Mapping

import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from ..claims.effects import at_end, at_matched_budget, mean_pass
from ..metrics.intervals import Interval, bootstrap
from ..metrics.slope import expected_slope
from ..studies.controlled import METHODS
from .base import STUDIES, Runs, describe, figure, setting_name
from .style import MARKERS, legend_below, look, panels

READINGS = ("equal step", "equal training pass@1")
KS = (1, 256)


def easy_focus(estimator: str, group_size: int, omega: float) -> float:
    """F'_G(0.9) / F'_G(0.1) at batch mean reward `omega`: how much more an easy prompt moves than a hard one.

    >>> round(easy_focus("grpo", 8, 0.25), 12), round(easy_focus("negative_dominant", 8, 0.25), 2)
    (1.0, 4.79)
    """
    hard, easy = expected_slope(estimator, group_size, [0.1, 0.9], omega)
    return float(easy / hard)


def against_grpo(study: xr.Dataset, group_size: int, estimators: Mapping[str, str]) -> xr.Dataset:
    """Held-out pass@k of every method minus GRPO's, in points, beside its focus; methods in the order of the focus.

    At the last step, and at the moment when each of the two first has the training pass@1 that both reach. The focus is
    taken at the batch mean reward of the GRPO runs.

    Args:
        study: `study.run` or `replay_study.as_study`, with "grpo" and with held-out prompts.
        group_size: G of its runs.
        estimators: its methods with the name of the estimator of each; others are left out.
    """
    omega = float(study.correct.sel(estimator="grpo").mean())
    focus = {method: easy_focus(name, group_size, omega) for method, name in estimators.items()}
    methods = sorted((m for m in estimators if m != "grpo"), key=lambda m: focus[m])
    gain = np.empty((len(Interval._fields), len(methods), len(READINGS), len(KS)))
    for i, method in enumerate(methods):
        for j, moment in enumerate((at_end(study), at_matched_budget(study, ("grpo", method)))):
            for l, k in enumerate(KS):
                difference = mean_pass(moment, method, k) - mean_pass(moment, "grpo", k)
                gain[:, i, j, l] = bootstrap(100 * difference.values)
    rank = [_rank([1, *(focus[m] for m in methods)], [0, *gain[0, :, j, KS.index(256)]]) for j in range(len(READINGS))]
    return xr.Dataset(
        {
            "gain": (("statistic", "estimator", "reading", "k"), gain, {"units": "points"}),
            "focus": ("estimator", [focus[m] for m in methods], {"long_name": "F'(0.9) / F'(0.1)"}),
            "rank_correlation": ("reading", rank, {"long_name": "of focus and gain in pass@256, GRPO included"}),
        },
        {"statistic": list(Interval._fields), "estimator": methods, "reading": list(READINGS), "k": list(KS)},
    )


def _rank(focus: list[float], gain: list[float]) -> float:
    from scipy.stats import spearmanr  # its import takes longer than that of all figures

    rank, _ = spearmanr(focus, gain) if len(focus) > 3 else (np.nan, None)
    return float(np.asarray(rank))


def together(settings: Mapping[str, xr.Dataset]) -> xr.Dataset:
    """Results of `against_grpo` by the names of their settings, on a dimension `setting`."""
    parts = [one.reindex(estimator=sorted(one.estimator.values)) for one in settings.values()]
    return xr.concat(parts, xr.DataArray(list(settings), dims="setting", name="setting"))  # type: ignore[return-value]


def caption(dataset: xr.Dataset, seeds: int) -> str:
    """What `together` shows, in words."""
    at = dataset.rank_correlation.sel(reading="equal training pass@1")
    ranks = ", ".join(f"{float(r):+.2f} ({name})" for name, r in zip(at.setting.values, at.values, strict=True))
    return (
        "Every estimator's held-out pass@256 minus GRPO's, against its expected focus on easy prompts, "
        "F'(0.9) / F'(0.1) of the master theorem at the batch mean reward of the GRPO runs (GRPO: 1). Filled: at the "
        f"moment when both have the same training pass@1, with 95% bootstrap intervals over {seeds} seeds; hollow: at "
        f"equal step. Rank correlation of the filled points, GRPO included: {ranks}."
    )


@figure("focus", "The expected focus on easy prompts orders the estimators")
def result(runs: Runs) -> xr.Dataset:
    """`together` for the settings with held-out prompts; methods that filter groups are left out."""
    settings = {}
    for sharing, optimizer in runs.preset.settings:
        study = runs.study((sharing, optimizer))
        if study.sizes["population"] > 1:
            used = {str(m): METHODS[m].estimator for m in study.estimator.values if not METHODS[m].filtered}
            settings[setting_name(sharing, optimizer)] = against_grpo(study, STUDIES[runs.world]().group_size, used)
    dataset = together(settings)
    return describe(dataset, caption(dataset, len(runs.seeds)), runs)


def draw(dataset: xr.Dataset) -> Figure:
    settings, names = dataset.setting.values, dataset.estimator.values
    fig, axes = panels(1, len(settings), width=max(7.5, 5 * len(settings) + 0.5), height=4.9, sharex=True)
    gain = dataset.gain.sel(k=256)
    for ax, setting in zip(axes[0], settings, strict=True):
        at = gain.sel(setting=setting)
        ax.axhline(0, color=look("grpo")["color"], lw=1)
        ax.plot(1, 0, "*", color=look("grpo")["color"], ms=12, label="GRPO")
        for name in names:
            x = float(dataset.focus.sel(setting=setting, estimator=name))
            if not np.isfinite(x):
                continue
            style = look(name)
            color, marker = style["color"], MARKERS[style["linestyle"]]
            of = at.sel(estimator=name)
            mean, low, high = of.sel(reading="equal training pass@1").values
            bars = [[mean - low], [high - mean]]
            ax.errorbar(x, mean, yerr=bars, fmt=marker, color=color, ms=6, capsize=2, label=style["label"])
            ax.plot(x, float(of.sel(reading="equal step", statistic="mean")), marker, mfc="none", mec=color)
        rank = float(dataset.rank_correlation.sel(setting=setting, reading="equal training pass@1"))
        ax.set_title(f"{setting}: rank correlation {rank:+.2f}", fontsize=10)
        ax.set_xscale("log", base=2)
        ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
        ax.xaxis.set_minor_locator(NullLocator())
        ax.set_xlabel("expected focus on easy prompts, F'(0.9) / F'(0.1)")
    axes[0, 0].set_ylabel("held-out pass@256 minus GRPO's (points)")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    legend_below(fig, handles, labels, columns=2 * len(settings) + 1)
    fig.suptitle("Filled: where both have the same training pass@1. Hollow: at equal step")
    return fig
