"""Tables 3, 4, 5, 6 and 7: published gains over GRPO beside simulated ones, and whether the orderings agree."""

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from ..evidence import published
from ..studies.controlled import BENCHMARKS, KS
from .base import START_NAMES, Runs, describe, figure, over_seeds
from .passk_curves import published_values
from .style import legend_below, look, panels

SHOWN = (1, 16, 256)


def _orderings(runs: Runs, table: str, methods: tuple[str, ...], start: str) -> xr.Dataset:
    from scipy.stats import spearmanr  # its import takes longer than that of all figures

    study = runs.study(start=start)
    end = study.pass_at_k.isel(record=-1).sel(population=list(BENCHMARKS), estimator=["grpo", *methods])
    values = end.transpose("seed", "estimator", "population", "k").values
    gains = over_seeds(values[:, 1:] - values[:, :1], ["estimator", "benchmark", "k"])
    rows = published_values(table, ("grpo", *methods))
    dataset = xr.Dataset(
        {"simulated": gains, "published": (("estimator", "benchmark", "k"), rows[1:] - rows[:1])},
        {"estimator": list(methods), "benchmark": list(BENCHMARKS), "k": list(KS)},
        {"start": START_NAMES[start], "seeds": study.sizes["seed"]},
    ).sel(k=list(SHOWN))
    rank = np.full((len(BENCHMARKS), len(SHOWN)), np.nan)
    for b, benchmark in enumerate(BENCHMARKS):
        for i, k in enumerate(SHOWN):
            cell = dataset.sel(benchmark=benchmark, k=k)
            ours, theirs = cell.simulated.sel(statistic="mean").values, cell.published.values
            if len(methods) > 2 and np.ptp(theirs) > 0:
                rank[b, i] = spearmanr(ours, theirs)[0]
    dataset["rank_correlation"] = (("benchmark", "k"), rank)
    return dataset


def _table(runs: Runs, name: str, table: str, methods: tuple[str, ...], start: str) -> xr.Dataset:
    dataset = _orderings(runs, table, methods, start)
    model, seeds = dataset.attrs["start"], dataset.attrs["seeds"]
    text = (
        f"Gain over GRPO in percentage points on held-out prompts, from {model}'s difficulty: diamonds published "
        f"(Table {table[-1]}), dots simulated with 95% bootstrap intervals over {seeds} seeds; rho is Spearman's rank "
        "correlation between the two orderings (few methods: read it as a description). KL, off-policy steps and text "
        "are outside this simulator. DAPO is GRPO here but for the filtering of equal-reward groups, since no clipping "
        "acts in on-policy steps."
    )
    return describe(dataset, text, runs, name)


@figure("table3", "Main results from Qwen2.5-Math-7B (Table 3)")
def table3(runs: Runs) -> xr.Dataset:
    methods = ("grpo_lead", "w_reinforce", "agrae", "dapo", "dapo_agrae", "dr_grpo", "agrae_dr_grpo")
    return _table(runs, "table3", "table3", methods, "table3")


@figure("table5", "Main results from DeepSeek-R1-7B (Table 5)")
def table5(runs: Runs) -> xr.Dataset:
    return _table(runs, "table5", "table5", ("agrae", "dapo", "dapo_agrae", "dr_grpo", "agrae_dr_grpo"), "table5")


@figure("table6", "Ablation: the two halves of A-GRAE (Table 6)")
def table6(runs: Runs) -> xr.Dataset:
    return _table(runs, "table6", "table6", ("ddas", "ass", "agrae"), "table3")


@figure("table7", "The controlled experiments' rows (Table 7)")
def table7(runs: Runs) -> xr.Dataset:
    methods = ("positive_dominant", "negative_dominant", "ass", "easy_focused", "hard_focused", "ddas")
    return _table(runs, "table7", "table7", methods, "table3")


@figure("table4", "Multimodal results, published only (Table 4)", study=False)
def table4(runs: Runs) -> xr.Dataset:
    rows = published(table="table4")
    benchmarks = list(dict.fromkeys(r.dataset for r in rows))
    methods = list(dict.fromkeys(r.method for r in rows))
    values = np.full((len(methods), len(benchmarks)), np.nan)
    for r in rows:
        values[methods.index(r.method), benchmarks.index(r.dataset)] = r.values[0]
    dataset = xr.Dataset({"published": (("row", "benchmark"), values)}, {"row": methods, "benchmark": benchmarks})
    caption = (
        "Published pass@1 of Qwen2.5-VL-3B, as printed. Its reward, 0.1 accuracy + 0.9 format, and its images "
        "are outside the bandit; nothing is simulated here."
    )
    return describe(dataset, caption, runs)


_BARS = {
    "Base Model": "base",
    "GRPO": "grpo",
    "GRPO + A-GRAE": "agrae",
    "DAPO": "dapo",
    "DAPO + A-GRAE": "dapo_agrae",
    "Dr.GRPO": "dr_grpo",
    "Dr.GRPO + A-GRAE": "agrae_dr_grpo",
}


def draw(dataset: xr.Dataset) -> Figure:
    return _gains(dataset) if "simulated" in dataset else _published_only(dataset)


def _gains(dataset: xr.Dataset) -> Figure:
    """Rows: k. Columns: benchmarks. Methods from top to bottom."""
    names, benchmarks, ks = (dataset[d].values for d in ("estimator", "benchmark", "k"))
    height = len(ks) * (0.28 * len(names) + 0.55) + 0.8
    fig, axes = panels(len(ks), len(benchmarks), width=11, height=height, sharey=True, sharex="row")
    place = np.arange(len(names))[::-1]
    for row, k in enumerate(ks):
        for column, benchmark in enumerate(benchmarks):
            ax, cell = axes[row, column], 100 * dataset.sel(k=k, benchmark=benchmark)
            ax.axvline(0, color="black", lw=1)
            for y, name in zip(place, names, strict=True):
                one = cell.sel(estimator=name)
                mean, low, high = one.simulated.values
                color = look(name)["color"]
                ax.errorbar(mean, y + 0.14, xerr=[[mean - low], [high - mean]], fmt="o", ms=5, color=color, capsize=2)
                ax.plot(one.published, y - 0.14, "D", ms=5, mfc="white", color=color)
            rho = float(dataset.rank_correlation.sel(k=k, benchmark=benchmark))
            ax.set_title(f"{benchmark}, pass@{k}" + (f"   (rho = {rho:+.2f})" if np.isfinite(rho) else ""), fontsize=9)
            ax.set_yticks(place, [look(n)["label"] for n in names])
    for ax in axes[-1]:
        ax.set_xlabel("gain over GRPO (points)")
    handles = [
        axes[0, 0].plot([], [], "o", color="#555555", ms=5)[0],
        axes[0, 0].plot([], [], "D", color="#555555", mfc="white", ms=5)[0],
    ]
    legend_below(fig, handles, ["simulated, 95% interval", "published"])
    return fig


def _published_only(dataset: xr.Dataset) -> Figure:
    fig, axes = panels(1, 1, width=9, height=3.8)
    ax = axes[0, 0]
    rows = dataset.row.values
    for i, row in enumerate(rows):
        x = np.arange(dataset.sizes["benchmark"]) + 0.8 * (i / len(rows) - 0.45)
        estimator = look(_BARS[str(row)])
        dashed = estimator["linestyle"] == "--"
        style = dict(
            fc="white" if dashed else estimator["color"], ec=estimator["color"], hatch="////" if dashed else ""
        )
        ax.bar(x, 100 * dataset.published.sel(row=row), width=0.68 / len(rows), label=str(row), **style)
    ax.set_xticks(range(dataset.sizes["benchmark"]), dataset.benchmark.values)
    ax.set_ylabel("pass@1 (%)")
    ax.grid(axis="x", visible=False)
    legend_below(fig, *ax.get_legend_handles_labels(), columns=4)
    return fig
