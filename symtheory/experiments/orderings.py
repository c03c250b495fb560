"""Tables 3, 4, 5, 6 and 7: published gains over GRPO beside simulated ones, and whether the orderings agree."""

import numpy as np
import xarray as xr
from scipy.stats import spearmanr

from ..evidence import published
from .base import START_NAMES, Runs, describe, figure, over_seeds
from .passk_curves import published_values
from .study import BENCHMARKS, KS

SHOWN = (1, 16, 256)


def _orderings(runs: Runs, table: str, methods: tuple[str, ...], start: str) -> xr.Dataset:
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


@figure("table4", "Multimodal results, published only (Table 4)")
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
