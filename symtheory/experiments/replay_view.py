"""A saved replay, opened and cut for looking at: which file is one, and success by how hard a prompt was at first."""

from pathlib import Path

import numpy as np
import xarray as xr

from ..errors import InputError
from . import replay, store
from .replay_presets import PRESETS

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


def make(folder: Path, report: replay.Report, preset: str = "ci") -> xr.Dataset:
    """The training runs of a preset, saved as `symtheory replay` saves them; finished parts are kept."""
    size = PRESETS[preset]
    options = {"seeds_at_once": size.seeds_at_once, "runs_at_once": size.runs_at_once}
    result = replay.training(size.training[0], folder / "cache", report, **options)
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
