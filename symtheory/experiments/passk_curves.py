"""Figures 2, 4, 7 and 8: pass@k against k for the controlled experiments, simulated and published."""

import numpy as np
import xarray as xr

from ..evidence import published
from .base import START_NAMES, STUDIES, Runs, describe, figure, over_seeds
from .study import BENCHMARKS, KS, METHODS

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
