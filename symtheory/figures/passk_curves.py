"""Figures 2, 4, 7 and 8: pass@k against k for the controlled experiments, simulated and published."""

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from ..evidence import published
from ..studies.controlled import BENCHMARKS, KS, METHODS
from .base import START_NAMES, STUDIES, Runs, describe, figure, over_seeds
from .style import legend_below, look, panels

GROUP_LEVEL = ("grpo", "positive_dominant", "negative_dominant")
SAMPLE_LEVEL = ("grpo", "easy_focused", "hard_focused")


def published_values(table: str, methods: tuple[str, ...]) -> np.ndarray:
    """[method, benchmark, k] published pass@k as fractions, NaN where the table has no such row; "base" is the base."""
    rows = {(r.dataset, r.method): r.values for r in published(table=table)}
    names = [("Base Model",) if m == "base" else METHODS[m].published for m in methods]
    nothing = np.full(len(KS), np.nan)

    def row(benchmark, synonyms):
        return next((rows[benchmark, name] for name in synonyms if (benchmark, name) in rows), nothing)

    return np.array([[row(b, synonyms) for b in BENCHMARKS] for synonyms in names])


def _curves(runs: Runs, methods: tuple[str, ...], start: str, table: str) -> xr.Dataset:
    study = runs.study(start=start)
    held_out = study.pass_at_k.sel(population=list(BENCHMARKS))
    end = held_out.isel(record=-1).sel(estimator=list(methods))
    base = held_out.isel(record=0, estimator=0)
    order = ("seed", "estimator", "population", "k")
    curves = np.concatenate([base.expand_dims("estimator", 1).transpose(*order), end.transpose(*order)], axis=1)
    gains = curves[:, 1:] - curves[:, 1:2]
    names = ("base", *methods)
    dims = ["estimator", "benchmark", "k"]
    return xr.Dataset(
        {
            "simulated": over_seeds(curves, dims),
            "simulated_gain": over_seeds(gains, ["compared", *dims[1:]]),
            "published": (dims, published_values(table, names)),
        },
        {"estimator": list(names), "compared": list(methods), "benchmark": list(BENCHMARKS), "k": list(KS)},
        {"start": START_NAMES[start], "seeds": study.sizes["seed"]},
    )


CAPTION = """
pass@k against k on held-out prompts of three benchmarks, base policy inferred from the published pass@k of {model}.
Solid: simulated ({seeds} seeds, shared parameters, Adam, {steps} steps of {prompts} prompts x {group} rollouts;
bands: 95% bootstrap intervals). Open circles, dashed: published ({source}). Lower row: the gain over GRPO, paired by
seed.
The simulated GRPO was calibrated to the published MATH pass@1 only; every other point is a prediction.
"""


def _caption(runs: Runs, dataset: xr.Dataset, source: str) -> str:
    return CAPTION.format(
        model=dataset.attrs["start"],
        seeds=dataset.attrs["seeds"],
        steps=10 * runs.preset.records,
        prompts=STUDIES[runs.world]().prompts,
        group=8,
        source=source,
    ).replace("\n", " ")


@figure("fig2", "Group-level asymmetry: pass@k (Figure 2)")
def fig2(runs: Runs) -> xr.Dataset:
    dataset = _curves(runs, GROUP_LEVEL, "table3", "table7")
    return describe(dataset, _caption(runs, dataset, "Table 7"), runs, "fig2")


@figure("fig4", "Difficulty focus: pass@k (Figure 4)")
def fig4(runs: Runs) -> xr.Dataset:
    dataset = _curves(runs, SAMPLE_LEVEL, "table3", "table7")
    return describe(dataset, _caption(runs, dataset, "Table 7"), runs, "fig4")


SECOND = (
    "Base and GRPO rows of Table 5; the paper's own second model, Llama-3.2-3B, has no published numbers, so this is "
    "another second model"
)


@figure("fig7", "Group-level asymmetry from a second base model (Figure 7)")
def fig7(runs: Runs) -> xr.Dataset:
    dataset = _curves(runs, GROUP_LEVEL, "table5", "table5")
    return describe(dataset, _caption(runs, dataset, SECOND), runs)


@figure("fig8", "Difficulty focus from a second base model (Figure 8)")
def fig8(runs: Runs) -> xr.Dataset:
    dataset = _curves(runs, SAMPLE_LEVEL, "table5", "table5")
    return describe(dataset, _caption(runs, dataset, SECOND), runs)


def draw(dataset: xr.Dataset) -> Figure:
    """Upper row: pass@k of each benchmark. Lower row: gain over GRPO in percentage points."""
    benchmarks, ks = dataset.benchmark.values, dataset.k.values
    fig, axes = panels(2, len(benchmarks), width=11, height=6.4, sharex=True)
    published = dataset.published - dataset.published.sel(estimator="grpo")
    for column, benchmark in enumerate(benchmarks):
        upper, lower = axes[:, column]
        for name in dataset.estimator.values:
            curve(upper, ks, dataset.simulated.sel(estimator=name, benchmark=benchmark), name)
            points(upper, ks, dataset.published.sel(estimator=name, benchmark=benchmark), name)
        lower.axhline(0, color=look("grpo")["color"], lw=1)
        for name in dataset.compared.values[1:]:
            curve(lower, ks, dataset.simulated_gain.sel(compared=name, benchmark=benchmark), name)
            points(lower, ks, published.sel(estimator=name, benchmark=benchmark), name)
        upper.set_title(str(benchmark))
        lower.set_xscale("log", base=2)
        lower.set_xticks([1, 4, 16, 64, 256], ["1", "4", "16", "64", "256"])
        lower.set_xlabel("k")
    axes[0, 0].set_ylabel("pass@k (%)")
    axes[1, 0].set_ylabel("gain over GRPO (points)")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    handles.append(axes[0, 0].plot([], [], "o--", color="#777777", mfc="white", lw=0.8, ms=4)[0])
    legend_below(fig, handles, [*labels, "published"])
    return fig


def curve(ax, x, array: xr.DataArray, name: str, scale: float = 100) -> None:
    """Mean with its interval; `array` has a first dimension `statistic`."""
    mean, low, high = (scale * array.sel(statistic=s).values for s in ("mean", "low", "high"))
    ax.plot(x, mean, **look(name))
    ax.fill_between(x, low, high, color=look(name)["color"], alpha=0.2, lw=0)


def points(ax, x, array: xr.DataArray, name: str) -> None:
    """Published values, where there are any."""
    if np.isfinite(array).any():
        ax.plot(x, 100 * array.values, "o--", color=look(name)["color"], mfc="white", lw=0.8, ms=4)
