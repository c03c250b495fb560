"""Charts of a saved replay."""

import numpy as np
import xarray as xr

from ..experiments.replay_study import mean_pass_at_k
from ..experiments.study import KS
from ..metrics.intervals import bootstrap
from .page import Mark, band, chart, curve, dots, ink, line
from .style import look

SPLITS = {"train": "training prompts", "held_out": "held-out prompts"}
MEASURES = {
    "pass@1": lambda r, split: mean_pass_at_k(r, 1, split),
    "pass@16": lambda r, split: mean_pass_at_k(r, 16, split),
    "pass@256": lambda r, split: mean_pass_at_k(r, 256, split),
    "entropy": lambda r, split: r.entropy.sel(split=split).mean("prompt"),
    "greedy accuracy": lambda r, split: r.greedy.sel(split=split).astype(float).mean("prompt"),
}


def course(result: xr.Dataset, measure: str, split: str, step: int) -> str:
    """A measure minus its value for the base model over steps, mean over seeds; dots at record `step`."""
    path = MEASURES[measure](result, split)
    gain = (path - path.isel(step=0)).transpose("estimator", "seed", "step")
    marks = _bands(result.step.values, gain)
    for name in gain.estimator.values:
        marks.append(dots(result.step[step], gain.sel(estimator=name).mean("seed")[step], ink(name), 5))
    title = f"{measure} minus base, {SPLITS[split]}"
    return chart(title, marks, x="rollout batches", zero=True, alt=f"{title}; {_ends(gain.isel(step=step))}")


def curves(result: xr.Dataset, split: str, step: int) -> str:
    """pass@k minus that of each seed's base model over k, at record `step`."""
    ks = [k for k in KS if k <= int(result.attrs.get("samples", 0) or 256)]
    passed = mean_pass_at_k(result, ks, split)
    gain = (passed.isel(step=step) - passed.isel(step=0)).transpose("estimator", "seed", "k")
    title = f"pass@k minus base after {int(result.step[step])} batches"
    ticks = [(k, str(k)) for k in ks[::2]]
    alt = f"{title}; at the largest k {_ends(gain.isel(k=-1))}"
    return chart(title, _bands(ks, gain), x="k", log_x=True, x_ticks=ticks, zero=True, alt=alt)


def difficulty(binned: xr.DataArray) -> str:
    """Success now against base success, by class of prompts: above the diagonal is gained."""
    marks: list[Mark] = [line([0, 1], [0, 1], "currentColor", ":", 1)]
    for name in binned.estimator.values:
        own = binned.sel(estimator=name)
        labels = [
            f"{look(name)['label']}: {int(n)} prompts, {b:.2f} to {v:.2f}"
            for n, b, v in zip(own.prompts, own.base, own, strict=True)
        ]
        kept = np.isfinite(own.values)
        marks += [curve(own.base[kept], own[kept], name), dots(own.base, own, ink(name), 4, labels)]
    title = "success now, by base success of the prompt"
    return chart(title, marks, x="base success", x_limits=(0, 1), y_limits=(0, 1), alt=title)


def _bands(x, values: xr.DataArray) -> list[Mark]:
    """Mean over seeds of `values[estimator, seed, x]` with its interval, if there are seeds for one."""
    marks: list[Mark] = []
    for name in values.estimator.values:
        own = values.sel(estimator=name).values
        if len(own) > 1:
            interval = bootstrap(own)
            marks.append(band(x, interval.low, interval.high, ink(name)))
        marks.append(curve(x, own.mean(0), name))
    return marks


def _ends(values: xr.DataArray) -> str:
    mean = values.mean("seed")
    return ", ".join(f"{look(n)['label']} {float(mean.sel(estimator=n)):+.3f}" for n in mean.estimator.values)
