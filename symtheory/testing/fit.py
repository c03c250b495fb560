"""The formula of an estimator: baseline, scale, epsilon, clip and factor, found from its answers.

    A = clip(factor (r - baseline) / (scale + eps))

A baseline fits where advantages are proportional to r - baseline within every group. Then the slopes of the groups
tell the scale: 1 / slope is linear in it, and the intercept is the epsilon (under the root, the squares are).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from ..estimators.group import Group, make_group
from ..estimators.grpo import center, scale_by_std
from ..estimators.opo import center_by_length
from ..estimators.reinforce import divide_by_mean, keep, leave_one_out, only_wrong
from ..ops import numpy_ops
from .probes import Probe, answers, probes
from .target import Target

OP = numpy_ops()
BASELINES: dict[str, Callable[[Group], np.ndarray]] = {
    "none": lambda g: keep(g.rewards, g, OP),
    "group mean": lambda g: center(g.rewards, g, OP),
    "mean of the other rollouts": lambda g: leave_one_out(center(g.rewards, g, OP), g, OP),
    "length-weighted group mean": lambda g: center_by_length(g.rewards, g, OP),
    "batch mean": lambda g: g.rewards - g.batch.omega,
    "token mean of the batch": lambda g: g.rewards - g.batch.token_mean,
    "group median": lambda g: g.rewards - np.median(g.rewards, axis=-1, keepdims=True),
    "group maximum": lambda g: g.rewards - g.rewards.max(-1, keepdims=True),
    "group minimum": lambda g: g.rewards - g.rewards.min(-1, keepdims=True),
    "1": lambda g: only_wrong(g.rewards, g, OP),
}
"""Name -> r - baseline `[P, G]`."""


def _inverse(link: Callable, **parameters) -> Callable[[Group], np.ndarray]:
    """What a scaling link divides by: it is given ones."""
    return lambda g: 1 / link(np.ones_like(g.rewards), g, OP, **parameters)


SCALES: dict[tuple[str, int | None], Callable[[Group], np.ndarray]] = {
    ("none", None): lambda g: np.ones_like(g.rewards),
    ("group std", 1): _inverse(scale_by_std, ddof=1),
    ("group std", 0): _inverse(scale_by_std, ddof=0),
    ("batch std", 1): lambda g: _spread(g.rewards, 1),
    ("batch std", 0): lambda g: _spread(g.rewards, 0),
    ("batch std of the centred rewards", 1): lambda g: _spread(g.centred, 1),
    ("batch std of the centred rewards", 0): lambda g: _spread(g.centred, 0),
    ("group mean", None): _inverse(divide_by_mean),
    ("batch mean", None): lambda g: np.broadcast_to(g.batch.omega, g.rewards.shape),
    ("mean absolute deviation", None): lambda g: _rows(np.abs(g.centred).mean(-1, keepdims=True), g),
    ("median absolute deviation", None): lambda g: _rows(_mad(g.rewards), g),
    ("group range", None): lambda g: _rows(np.ptp(g.rewards, axis=-1, keepdims=True), g),
    ("group maximum", None): lambda g: _rows(np.abs(g.rewards).max(-1, keepdims=True), g),
}
"""Name and ddof -> what is divided by `[P, G]`, the same within a group."""


@dataclass(frozen=True)
class Fit:
    """The formula that comes nearest to an estimator."""

    baseline: str
    scale: str
    ddof: int | None
    eps: float
    eps_form: str
    """added, under the root, or floor"""
    clip: tuple[float, float] | None
    factor: float
    residual: float
    """Largest difference from the estimator's answers, relative to max(1, |A|)."""
    fits: bool
    """Whether that is no more than rounding."""

    def describe(self) -> str:
        """The formula in words."""
        ddof = "" if self.ddof is None else f", ddof {self.ddof}"
        eps = "" if self.scale == "none" else f", eps {_number(self.eps)}"
        where = "" if self.eps_form == "added" or not self.eps else f" ({self.eps_form})"
        clip = "none" if self.clip is None else _clip(self.clip)
        formula = (
            f"baseline: {self.baseline}; scale: {self.scale}{ddof}{eps}{where}; clip {clip}; factor {self.factor:.3g}"
        )
        formula = (
            formula.replace(f"factor {self.factor:.3g}", f"factor {self.factor:.2f}") if self.factor > 0.1 else formula
        )
        return (
            f"{formula}; residual {self.residual:.1g}"
            if self.fits
            else f"{formula}, but with a residual of {self.residual:.2g}"
        )


@lru_cache(maxsize=4)
def fit(target: Target) -> Fit | None:
    """The formula of an estimator; None where its answers are not finite or all zero."""
    precise = target.at("float64") if "float64" in target.dtypes else target
    rows = list(_answered(precise, probes(target.rewards, target.has_lengths)))
    if not rows or not any(np.abs(a).max() > 0 for _, a, _ in rows):
        return None
    tolerance = 1e-9 if precise.unit_roundoff < 1e-10 else max(1e-3, 8 * precise.unit_roundoff)
    bounds = _saturation(rows, tolerance)
    slopes = [s for name in BASELINES if (s := _slopes(name, rows, bounds)) is not None]
    if not slopes:
        return None
    best = min(s.residual for s in slopes)
    near = [s for s in slopes if s.residual <= max(best, tolerance)]
    found = [f for s in near for f in _fits(s, rows, bounds, precise.unit_roundoff, tolerance)]
    return min(
        found,
        key=lambda f: (not f.fits, 0 if f.fits else f.residual, f.clip is not None, f.eps_form != "added"),
        default=None,
    )


class Slopes(NamedTuple):
    """How advantages go with the deviations from one baseline."""

    baseline: str
    deviations: list[np.ndarray]
    slope: np.ndarray
    """Of each group, positive up to `sign`."""
    free: np.ndarray
    """Whether a group has answers that no clip touches."""
    sign: float
    residual: float
    """What proportionality leaves unexplained."""


Row = tuple[Group, np.ndarray, int]


def _answered(target: Target, asked: list[Probe]) -> Iterator[Row]:
    """Group (of a whole batch), answers, and row, for each group of unequal rewards."""
    for probe, a in zip(asked, answers(target, asked), strict=True):
        if a is not None:
            group = make_group(OP, probe.rewards, length=probe.lengths)
            yield from ((group, a, i) for i in range(len(a)) if np.ptp(probe.rewards[i]) > 0)


def _saturation(rows: list[Row], tolerance: float) -> tuple[float, float]:
    """The lowest and highest answers, if groups of several sizes share them as they do under a clip; else infinite."""
    low, high = min(a[i].min() for _, a, i in rows), max(a[i].max() for _, a, i in rows)
    near = 1e-6 if tolerance < 1e-6 else 1e-4
    at_low = {len(a[i]) for _, a, i in rows if a[i].min() <= low + near * abs(low)}
    at_high = {len(a[i]) for _, a, i in rows if a[i].max() >= high - near * abs(high)}
    return (low if len(at_low) > 1 else -np.inf), (high if len(at_high) > 1 else np.inf)


def _slopes(name: str, rows: list[Row], bounds: tuple[float, float]) -> Slopes | None:
    """Slope of each group; None where advantages do not all go the same way."""
    deviations = [BASELINES[name](g)[i] for g, _, i in rows]
    slope, free, residual = np.zeros(len(rows)), np.zeros(len(rows), bool), 0.0
    for j, (d, (_, a, i)) in enumerate(zip(deviations, rows, strict=True)):
        inside = _inside(a[i], bounds) & (d != 0)
        if inside.any():
            free[j] = True
            slope[j] = (d * a[i])[inside].sum() / (d * d)[inside].sum()
            residual = max(residual, np.abs(slope[j] * d - a[i])[inside].max() / max(1.0, np.abs(a[i]).max()))
    sign = float(np.sign(np.median(slope[free]))) if free.any() else 0.0
    one_way = bool(sign) and bool((sign * slope[free] > 0).all())
    return Slopes(name, deviations, sign * slope, free, sign, float(residual)) if one_way else None


def _inside(a: np.ndarray, bounds: tuple[float, float]) -> np.ndarray:
    low, high = bounds
    above = a > low + 1e-4 * abs(low) if np.isfinite(low) else np.ones(a.shape, bool)
    return above & (a < high - 1e-4 * abs(high)) if np.isfinite(high) else above


def _fits(s: Slopes, rows: list[Row], bounds: tuple[float, float], roundoff: float, tolerance: float) -> Iterator[Fit]:
    """Every scale with one baseline."""
    for (scale, ddof), divisor in SCALES.items():
        spread = np.array([divisor(g)[i][0] for g, _, i in rows])
        if not (np.isfinite(spread) & (spread > 0)).all():
            continue
        for form, (factor, eps) in _solutions(s.slope[s.free], spread[s.free], scale, roundoff):
            model = [s.sign * factor * d / _divisor(x, eps, form) for d, x in zip(s.deviations, spread, strict=True)]
            yield _assessed(s.baseline, scale, ddof, eps, form, s.sign * factor, model, rows, bounds, tolerance)


def _solutions(slope: np.ndarray, spread: np.ndarray, scale: str, roundoff: float) -> Iterator[tuple[str, tuple]]:
    """Factor and epsilon for each place where an epsilon may stand."""
    if scale == "none":
        yield "added", (float(np.median(slope)), 0.0)
        return
    smallest = 30 * roundoff * spread.min()
    for form, power in (("added", 1), ("under the root", 2)):
        columns = np.stack([spread**power * slope**power, slope**power], axis=-1)
        size = np.abs(columns).max(0)
        x = np.linalg.lstsq(columns / size, np.ones(len(slope)), rcond=None)[0] / size
        if x[0] <= 0:
            continue
        eps = float(x[1] / x[0])
        if abs(eps) <= smallest**power or len(slope) < 3:
            yield "added", (float(np.median(slope * spread)), 0.0)
        elif eps > 0:
            yield form, (float(x[0] ** (-1 / power)), eps)
    factor = float((slope * spread)[spread.argmax()])
    floor = factor / slope.max()
    if floor > spread.min() * (1 + 1e-6):
        yield "floor", (factor, float(floor))


def _divisor(spread: float, eps: float, form: str) -> float:
    if form == "floor":
        return max(spread, eps)
    return spread + eps if form == "added" else float(np.sqrt(spread**2 + eps))


def _assessed(name, scale, ddof, eps, form, factor, model, rows: list[Row], bounds, tolerance) -> Fit:
    """A formula and how far it is from the answers, clipped only where that makes a difference."""
    low, high = bounds
    beyond = any((m < low - 1e-3 * abs(low)).any() or (m > high + 1e-3 * abs(high)).any() for m in model)
    clipped = [np.clip(m, low, high) for m in model] if beyond else model
    apart = [np.abs(m - a[i]).max() / max(1.0, np.abs(a[i]).max()) for m, (_, a, i) in zip(clipped, rows, strict=True)]
    residual = float(max(apart))
    if not beyond:
        clip = None
    else:
        cut_low, cut_high = (any((m < low).any() for m in model), any((m > high).any() for m in model))
        clip = (float(low) if cut_low else -np.inf, float(high) if cut_high else np.inf)
    return Fit(name, scale, ddof, eps, form, clip, factor, residual, residual <= tolerance)


def _spread(x: np.ndarray, ddof: int) -> np.ndarray:
    """Standard deviation over all rollouts of a batch."""
    return np.full_like(x, np.std(x, ddof=ddof)) if x.size > 1 else np.zeros_like(x)


def _mad(r: np.ndarray) -> np.ndarray:
    return np.median(np.abs(r - np.median(r, axis=-1, keepdims=True)), axis=-1, keepdims=True)


def _rows(x: np.ndarray, g: Group) -> np.ndarray:
    return np.broadcast_to(x, g.rewards.shape)


def _number(x: float) -> str:
    """0, or two digits: 1.0e-6."""
    if x == 0:
        return "0"
    mantissa, _, exponent = f"{x:.1e}".partition("e")
    return f"{mantissa}e{int(exponent)}"


def _clip(clip: tuple[float, float]) -> str:
    low, high = clip
    return f"+-{high:.3g}" if np.isclose(-low, high) else f"to [{low:.3g}, {high:.3g}]"
