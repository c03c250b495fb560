"""One point of the symmetry plane: what the estimator there does to a group, and to training at one difficulty."""

import numpy as np
import xarray as xr

from .. import estimators
from ..estimators import Estimator
from ..estimators.plane import PLANE
from ..metrics.plane import Position, all_groups, place
from . import lab, plane

SETTING = {"sharing": "independent", "optimizer": "sgd"}
"""Prompts of one difficulty with logits of their own under SGD: only the estimator and the difficulty matter."""


def member(at: Position, size: int) -> dict[str, float]:
    """Parameters of the estimator of the family `PLANE` at this place, for groups of `size`."""
    return {"asymmetry": at.asymmetry, "tilt": float(plane.tilt_parameters(np.array([at.tilt]), size)[0])}


def groups(estimator: Estimator, size: int, omega: float = 0.5) -> xr.Dataset:
    """A+ and A- of one rollout and sum |A|, for each number `correct` = 0..size of right rollouts, dims (correct,).

    A+ is nan in groups without a right rollout, A- in groups without a wrong one.

    >>> groups(estimators.get("grpo"), 2).sum_abs.values.tolist()
    [0.0, 2.0, 0.0]
    """
    table = np.asarray(estimators.advantages(all_groups(size), estimator, omega=omega))
    count = np.arange(size + 1)
    return xr.Dataset(
        {
            "right": ("correct", np.where(count > 0, table[:, 0], np.nan)),
            "wrong": ("correct", np.where(count < size, table[:, -1], np.nan)),
            "sum_abs": ("correct", np.abs(table).sum(-1)),
        },
        {"correct": count, "p": ("correct", count / size)},
    )


def training(at: Position, success: float, size: int, rate: float = 0.1) -> xr.Dataset:
    """Mean-field training of the family's member at this place and of GRPO, as `lab.expected` returns it."""
    setting = lab.Setting(**SETTING, group_size=size, prompts=1)  # type: ignore[arg-type]
    return lab.expected(setting, np.array([success]), ("grpo", PLANE.name), rate, member(at, size))


def reached(paths: xr.Dataset, level: float) -> dict[str, int | None]:
    """First step at which training pass@1 of each estimator is at least `level`; None if none is."""
    passed = paths.pass_at_k.sel(population="train", k=1).isel(seed=0)
    first = {n: np.flatnonzero(passed.sel(estimator=n).values >= level) for n in paths.estimator.values}
    return {name: int(steps[0]) if steps.size else None for name, steps in first.items()}


def places(size: int, omega: float) -> xr.DataArray:
    """Where the registered estimators lie, dims (estimator, axis)."""
    names = estimators.names("rewards")
    values = np.array([place(name, size, omega) for name in names])
    return xr.DataArray(values, {"estimator": list(names), "axis": list(Position._fields)}, ("estimator", "axis"))
