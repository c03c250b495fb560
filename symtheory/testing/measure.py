"""How far an estimator is from a law on one batch, and what rounding alone could do there.

A law (`invariants.py`) yields comparisons `(deviation, slack)`: the largest deviation, as a share of the larger of 1
and the advantages' size, and the share of it that a stable algorithm may show on these rewards in this precision,
which is 1000 units of roundoff (4 in float16 and bfloat16) times the condition number max|r| / (smallest difference of
two in a group).
"""

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from .target import Target

Comparison = tuple[float, float]
BLIND, COARSE_BLIND = 0.05, 0.25
"""Where rounding may do this much, a batch says nothing about a law; the second for float16 and bfloat16."""


class Side(NamedTuple):
    """One call: the rewards that the estimator was asked about, and what it answered."""

    rewards: np.ndarray
    advantages: np.ndarray
    order: np.ndarray | None = None
    """The order in which the rollouts stood in the flat batch, if another than that of `rewards`."""
    error: str = ""


class Outcome(NamedTuple):
    """How a law fared on one batch."""

    deviation: float
    """Largest deviation, relative to max(1, |A|)."""
    slack: float
    """What rounding may do in that comparison."""
    sides: tuple[Side, ...]
    """The calls that were compared."""

    @property
    def holds(self) -> bool:
        return self.deviation <= self.slack


class Recorder:
    """A target that remembers its calls."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.calls: list[Side] = []

    def __getattr__(self, name: str):
        return getattr(self.target, name)

    def __call__(self, rewards: np.ndarray, order=None, lengths=None) -> np.ndarray:
        a = self.target(rewards, order, lengths)
        self.calls.append(Side(rewards, a, order, self.target.error_on(rewards, order, lengths) or ""))
        return a

    def at(self, dtype: str) -> "Recorder":
        other = Recorder(self.target.at(dtype))
        other.calls = self.calls
        return other


def measure(law: Callable[..., Iterator[Comparison] | None], target: Target, rewards: np.ndarray) -> Outcome | None:
    """How a law fares on a batch: the comparison that comes out worst, or the first that is nearly as bad.

    None where the law says nothing.
    """
    recorder, outcomes = Recorder(target), []
    blind = COARSE_BLIND if coarse(target) else BLIND
    for deviation, room in law(recorder, rewards) or ():
        deviation = np.inf if np.isnan(deviation) else float(deviation)
        if room < blind:
            outcomes.append(Outcome(deviation, float(room), tuple(recorder.calls)))
        recorder.calls = []
    broken = [o for o in outcomes if not o.holds]
    if broken:
        worst = max(o.deviation for o in broken)
        return next(o for o in broken if o.deviation >= 0.1 * worst)
    return max(outcomes, key=lambda o: o.deviation, default=None)


def difference(x: np.ndarray, y: np.ndarray) -> float:
    """Largest |x - y| relative to max(1, |x|, |y|); where either is not finite nothing is compared."""
    both = np.isfinite(x) & np.isfinite(y)
    if not both.any():
        return 0.0
    x, y = x[both], y[both]
    return float(np.abs(x - y).max() / max(1.0, np.abs(x).max(), np.abs(y).max()))


def slack(f: Target | Recorder, batch: np.ndarray) -> float:
    """Relative error that a stable algorithm may show on the rewards of a whole batch."""
    units = 4 if coarse(f) else 1e3
    return units * f.unit_roundoff * (1 + _condition(batch.shape, batch.tobytes()))


@lru_cache(maxsize=4096)
def _condition(shape: tuple[int, ...], data: bytes) -> float:
    """max|r| / (smallest difference of two rewards in a group)."""
    batch = np.frombuffer(data).reshape(shape)
    gaps = np.diff(np.sort(batch, axis=-1), axis=-1)
    gap = gaps[gaps > 0].min() if (gaps > 0).any() else max(1.0, np.abs(batch).max())
    return float(np.abs(batch).max() / gap)


def coarse(f: Target | Recorder) -> bool:
    """Whether it computes in float16 or bfloat16, where 1000 units of roundoff would hide everything."""
    return f.unit_roundoff > 1e-5


def finite_rows(a: np.ndarray) -> np.ndarray:
    """Advantages, with rows that are not finite set to 0: those belong to the law `finite`."""
    return np.where(np.isfinite(a).all(-1, keepdims=True), a, 0)


def relative(x: np.ndarray, a: np.ndarray) -> float:
    """Largest |x|, relative to max(1, |A|)."""
    return float(np.abs(x).max() / max(1.0, np.abs(a).max()))
