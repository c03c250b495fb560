"""From deviations to verdicts: a law holds, holds to rounding, holds to epsilon, or fails, and by how much."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from ..errors import InputError
from .invariants import INVARIANTS
from .measure import Outcome, Side, measure
from .target import Target

Verdict = Literal["holds", "holds to rounding", "holds to epsilon", "fails"]
ORDER: tuple[Verdict, ...] = ("holds", "holds to rounding", "holds to epsilon", "fails")
NOISE = 0.25
"""More than a quarter of an ordinary advantage, given to equal rewards, is no mere rounding any more."""
SMALL = 0.1
"""What an epsilon beside a spread of ordinary size may do: 1e-2 beside 1/2 is 0.04."""
LARGE = 2.0**20
"""A spread beside which no epsilon counts."""


@dataclass(frozen=True)
class Finding:
    """What was found about one law."""

    name: str
    verdict: Verdict | None
    """None: the law says nothing about the rewards that the estimator is defined for."""
    size: float = 0.0
    """Largest deviation that the verdict speaks of, relative to max(1, |A|); that of the counterexample if it fails."""
    dtype: str = ""
    """The precision in which that was seen."""
    counterexample: np.ndarray | None = None
    """Rewards `[P, G]` on which it fails, as few as could be found; None if it does not fail."""
    sides: tuple[Side, ...] = ()
    """The calls of the comparison that failed: all rewards, and what the estimator gave for them."""

    @property
    def holds(self) -> bool | None:
        """Whether it holds, be it to rounding or to an epsilon."""
        return None if self.verdict is None else self.verdict != "fails"

    @property
    def exact(self) -> bool:
        """Whether it holds with no epsilon in the way."""
        return self.verdict in ("holds", "holds to rounding")

    @property
    def advantages(self) -> np.ndarray | None:
        """What the estimator gave in the first of the calls that were compared."""
        return self.sides[0].advantages if self.sides else None

    @property
    def note(self) -> str:
        """What the estimator raised there, if it did."""
        return next((f"raised {side.error}" for side in self.sides if side.error), "")

    def describe(self) -> str:
        """The verdict in words, with its size.

        >>> Finding("shift", "fails", 0.25, "float32").describe()
        'fails (0.25, float32)'
        """
        if self.verdict is None:
            return "-"
        if self.verdict == "holds":
            return "holds"
        size = "not finite" if np.isinf(self.size) else f"{self.size:.2g}"
        return f"{self.verdict} ({size}{', ' + self.dtype if self.dtype else ''})"


def judge(target: Target, law: str, stock: list[np.ndarray]) -> Finding:
    """The verdict on a law over many batches; the first that breaks it is the counterexample."""
    check, applies = INVARIANTS[law].measured, False  # type: ignore[attr-defined]
    excused: dict[Verdict, tuple[bool, float]] = {}
    for rewards in stock:
        outcome = measure(check, target, rewards)
        if outcome is None:
            continue
        applies = True
        if outcome.holds:
            continue
        excuse = _excuse(target, law, rewards, outcome)
        if excuse is None:
            return Finding(law, "fails", outcome.deviation, target.dtype, rewards, outcome.sides)
        seen = (_ordinary(rewards), outcome.deviation)  # an ordinary spread tells more than a tiny one
        excused[excuse] = max(excused.get(excuse, seen), seen)
    if not applies:
        return Finding(law, None)
    verdict = ORDER[max(map(ORDER.index, excused), default=0)]
    return Finding(law, verdict, excused[verdict][1] if excused else 0.0, target.dtype if excused else "")


def worse(a: Finding, b: Finding) -> Finding:
    """The more serious of two findings about the same law; the first where they are alike."""
    ranks = [-1 if f.verdict is None else ORDER.index(f.verdict) for f in (a, b)]
    return b if ranks[1] > ranks[0] else a


def _excuse(target: Target, law: str, rewards: np.ndarray, outcome: Outcome) -> Verdict | None:
    """Why a deviation beyond what stable arithmetic shows is still no failure."""
    if law == "degenerate_zero":
        exact = np.isin(rewards[np.ptp(rewards, axis=-1) == 0], (0, 1)).all()  # every float holds the mean of these
        return "holds to rounding" if outcome.deviation <= NOISE and not exact else None
    if _vanishes_for_large_rewards(target, law, rewards) and outcome.deviation <= _allowed(rewards):
        return "holds to epsilon"
    if target.rewards != "real" and outcome.deviation <= 1e-3:  # such rewards cannot be made large
        return "holds to epsilon"
    double = target.dtypes[0] == "float64" != target.dtype
    if double and outcome.deviation <= NOISE:
        exact = measure(INVARIANTS[law].measured, target.at("float64"), rewards)  # type: ignore[attr-defined]
        return "holds to rounding" if exact is not None and exact.holds else None
    return None


def _allowed(rewards: np.ndarray) -> float:
    return SMALL if _ordinary(rewards) else np.inf


def _ordinary(rewards: np.ndarray) -> bool:
    """Whether every spread in a batch is large beside an epsilon."""
    spreads = np.ptp(rewards, axis=-1)
    return bool((spreads[spreads > 0] >= 0.1).all())


def _vanishes_for_large_rewards(target: Target, law: str, rewards: np.ndarray) -> bool:
    """Whether the law holds for A(c r) with c so large that every spread is: the same estimator without its epsilon."""
    if target.rewards != "real" or law in ("finite", "dtype_stability"):
        return False
    spreads = np.ptp(rewards, axis=-1)
    least = spreads[spreads > 0].min() if spreads.any() else 1.0
    factor = 2.0 ** np.ceil(np.log2(LARGE / least))
    try:
        outcome = measure(INVARIANTS[law].measured, _Enlarged(target, factor), rewards)  # type: ignore[attr-defined]
    except InputError:
        return False
    return outcome is not None and outcome.deviation <= max(outcome.slack, 0.1 / LARGE)


class _Enlarged:
    """A target of rewards times a power of two, which is exact in binary floats."""

    def __init__(self, target: Target, factor: float) -> None:
        self.target, self.factor = target, factor

    def __getattr__(self, name: str):
        return getattr(self.target, name)

    def admits(self, rewards: np.ndarray) -> bool:
        return self.target.admits(self.factor * rewards)

    def error_on(self, rewards: np.ndarray, order=None, lengths=None) -> str | None:
        return self.target.error_on(self.factor * rewards, order, lengths)

    def __call__(self, rewards: np.ndarray, order=None, lengths=None) -> np.ndarray:
        return self.target(self.factor * rewards, order, lengths)
