"""A saved replay, opened and cut for looking at: which file is one, and success by how hard a prompt was at first."""

from pathlib import Path

import numpy as np
import xarray as xr

from ..errors import InputError
from ..figures.style import look
from ..figures.transformer.study import mean_pass_at_k
from ..metrics.intervals import bootstrap
from ..storage import store
from ..studies.controlled import KS
from ..studies.transformer.base import Report
from ..studies.transformer.presets import PRESETS
from ..studies.transformer.training import training
from .svg import Mark, band, chart, curve, dots, ink, line

DIMS = ("estimator", "seed", "step", "split", "prompt")
BINS = np.array([0.0, 0.05, 0.2, 0.4, 0.6, 0.8, 1.0])
"""Edges of the classes of base success."""


def open_replay(path: str | Path) -> xr.Dataset:
    """The training runs that `symtheory replay` wrote to `path`; `InputError` for anything else."""
    result = store.load(path)
    if "success" not in result or result.success.dims != DIMS:
        raise InputError(
            f"{path} holds no training runs of `symtheory replay` (training-<preset>.nc), but "
            f"{', '.join(map(str, result.data_vars))}"
        )
    return result


def make(folder: Path, report: Report, preset: str = "ci") -> xr.Dataset:
    """The training runs of a preset, saved as `symtheory replay` saves them; finished parts are kept."""
    size = PRESETS[preset]
    options = {"seeds_at_once": size.seeds_at_once, "runs_at_once": size.runs_at_once}
    result = training(size.training[0], folder / "cache", report, **options)
    store.save(result, folder / f"training-{preset}.nc")
    return result


def by_difficulty(result: xr.Dataset, split: str, step: int) -> xr.DataArray:
    """Mean success at record `step` of the prompts in each class of base success, dims (estimator, difficulty).

    The coordinate `base` is the class's own mean at the start, `prompts` how many there are over all seeds.
    """
    success = result.success.sel(split=split).astype(float)
    base, now = success.isel(step=0), success.isel(step=step)
    place = np.clip(np.digitize(base.values, BINS) - 1, 0, len(BINS) - 2)
    classes = [place == i for i in range(len(BINS) - 1)]
    with np.errstate(invalid="ignore"):
        count = np.array([c.sum((1, 2)) for c in classes])
        mean = np.array([(c * now.values).sum((1, 2)) for c in classes]) / count
        start = np.array([(c * base.values).sum((1, 2)) for c in classes]) / count
    return xr.DataArray(
        mean.T,
        {
            "estimator": result.estimator.values,
            "base": ("difficulty", start[:, 0]),
            "prompts": ("difficulty", count[:, 0]),
        },
        ("estimator", "difficulty"),
    )


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
