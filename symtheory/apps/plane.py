"""One point of the symmetry plane: what the estimator there does to a group, and to training at one difficulty."""

import numpy as np
import xarray as xr
from matplotlib import colormaps
from matplotlib.colors import Normalize, to_hex

from .. import estimators
from ..estimators import Estimator
from ..estimators.plane import PLANE
from ..figures.phase_diagram import PANELS
from ..figures.style import look
from ..metrics.plane import Position, all_groups, place
from ..studies import phase_diagram
from . import difficulty as lab
from .svg import Mark, cells, chart, curve, dots, ink, line, text

SETTING = {"sharing": "independent", "optimizer": "sgd"}
"""Prompts of one difficulty with logits of their own under SGD: only the estimator and the difficulty matter."""


def member(at: Position, size: int) -> dict[str, float]:
    """Parameters of the estimator of the family `PLANE` at this place, for groups of `size`."""
    return {"asymmetry": at.asymmetry, "tilt": float(phase_diagram.tilt_parameters(np.array([at.tilt]), size)[0])}


def groups(estimator: Estimator, size: int, omega: float = 0.5) -> xr.Dataset:
    """A+ and A- of one rollout and sum |A|, for each number `correct` = 0..size of correct rollouts, dims (correct,).

    A+ is nan in groups without a correct rollout, A- in groups without a wrong one.

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


NAMED = {  # estimator: (side, pixels right, pixels down) of its label
    "grpo": ("start", 7, -6),
    "positive_dominant": ("end", 16, -10),
    "negative_dominant": ("start", -12, 18),
    "hard_focused": ("start", 8, 4),
    "easy_focused": ("start", 8, 12),
    "agrae": ("end", -8, -4),
    "agrae_released": ("end", -8, 14),
    "w_reinforce": ("start", 8, -6),
}


def plane_map(at: Position, places: xr.DataArray, diagram: xr.Dataset | None = None, measure="pass_256_gain") -> str:
    """The plane with the estimators and the chosen point, over the phase diagram if there is one."""
    marks: list[Mark] = []
    title = "the symmetry plane"
    if diagram is not None:
        colours, limit = _colours(diagram, measure)
        marks, title = [colours], f"{PANELS[measure][0]}, ±{limit:.2g}"
    names = [n for n in NAMED if n in places.estimator.values]
    for name in names:
        x, y = places.sel(estimator=name).values
        side, dx, dy = NAMED[name]
        marks += [dots(x, y, ink(name), 5, [look(name)["label"]])]
        marks += [text(float(x), float(y), look(name)["label"], ink(name), side, dx, dy)]
    marks += [dots(at.asymmetry, at.tilt, ink("plane"), 9, hollow=True), dots(at.asymmetry, at.tilt, ink("plane"), 3)]
    return chart(
        title,
        marks,
        x="← wrong ones down \u2003 asymmetry \u2003 correct ones up →",
        y="← easy \u2003 tilt \u2003 hard →",
        x_limits=(-1.08, 1.08),
        y_limits=(-0.48, 0.48),
        alt=f"{title}, the chosen point at asymmetry {at.asymmetry:.2f} and tilt {at.tilt:.2f}",
    )


def _colours(diagram: xr.Dataset, measure: str) -> tuple[Mark, float]:
    """Difference from GRPO, mean over seeds, as colours, and what the strongest colours stand for."""
    _, colours, factor = PANELS[measure]
    grpo = diagram[measure].sel(tilt=0, asymmetry=0, method="nearest")
    mean = factor * (diagram[measure] - grpo).mean("seed").transpose("tilt", "asymmetry").values
    limit = float(np.abs(mean).max()) or 1.0
    rgba = colormaps[colours](Normalize(-limit, limit)(mean))
    rgb = np.array([[to_hex(c) for c in row] for row in rgba])
    return cells(diagram.asymmetry.values, diagram.tilt.values, rgb), limit


def update_curves(groups: xr.Dataset, reference: xr.Dataset) -> str:
    """A+, A- and sum |A| / G over the success rate of a group; GRPO's thin."""
    size = len(groups.correct) - 1
    marks = [line(reference.p, reference[v], ink("grpo"), d, 1) for v, d in (("right", "-"), ("wrong", "--"))]
    marks += [line(reference.p, reference.sum_abs / size, ink("grpo"), ":", 1)]
    marks += [
        line(groups.p, groups.right, ink("plane"), "-", label="A+"),
        line(groups.p, groups.wrong, ink("plane"), "--"),
    ]
    marks += [line(groups.p, groups.sum_abs / size, ink("plane"), ":", 2.4)]
    right, wrong = float(groups.right[1]), float(groups.wrong[-2])
    marks += [
        text(1 / size, right, "A+", ink("plane"), "start", 6, 4),
        text(1 - 1 / size, wrong, "A-", ink("plane"), "end", -6, 4),
    ]
    middle = float(groups.sum_abs[size // 2]) / size
    marks += [text(0.5, middle, "sum |A| / G", ink("plane"), "middle", 0, -7)]
    alt = f"A+ falls from {right:.2f} at p = 1/{size}, A- ends at {wrong:.2f} at p = 1 - 1/{size}"
    return chart("the update, by success rate of the group", marks, x="p = K / G", zero=True, alt=alt)


def course(paths: xr.Dataset, k: int) -> str:
    """pass@1 and pass@k over steps, the chosen point against GRPO."""
    marks = []
    for name in paths.estimator.values:
        at = paths.sel(estimator=name, population="train").isel(seed=0)
        marks += [line(paths.step, at.pass_at_k.sel(k=k), ink(name), ":", 1.8)] if k != 1 else []
        marks += [curve(paths.step, at.pass_at_k.sel(k=1), name)]
    end = paths.pass_at_k.sel(population="train", k=1).isel(seed=0, record=-1)
    alt = "pass@1 at the end: " + ", ".join(
        f"{look(n)['label']} {float(end.sel(estimator=n)):.2f}" for n in end.estimator.values
    )
    title = "pass@1" + (f", dotted pass@{k}" if k != 1 else "")
    return chart(title, marks, x="step", y_limits=(0, 1), alt=alt)


def entropy(paths: xr.Dataset) -> str:
    """Entropy over steps."""
    values = paths.entropy.sel(population="train").isel(seed=0)
    marks = [curve(paths.step, values.sel(estimator=n), n) for n in paths.estimator.values]
    alt = "entropy at the end: " + ", ".join(
        f"{look(n)['label']} {float(values.sel(estimator=n)[-1]):.2f}" for n in paths.estimator.values
    )
    return chart("entropy (nats)", marks, x="step", zero=True, alt=alt)
