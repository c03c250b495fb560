"""Advantages without rounding: an estimator's own code, run on exact numbers. Knows no computer algebra."""

from fractions import Fraction
from typing import Any

import numpy as np

from ..estimators import Estimator
from ..estimators.group import make_group, two_outcome_batch
from ..metrics.slope import ROLLOUTS
from .surds import Surd, exact_ops, surd

__all__ = ["ROLLOUTS", "exact_advantages", "exact_two_outcomes"]


def exact_advantages(estimator: Estimator, rewards, weight=None, omega: Any = Fraction(1, 3)) -> list[Surd]:
    """Advantages of one group without rounding: the estimator's own code, run on `Surd` numbers.

    `rewards` are rationals, `weight` their multiplicities (default 1 each), `omega` the batch mean reward; the batch
    is taken to hold `ROLLOUTS` of them.
    """
    op = exact_ops()
    rewards = np.array([surd(r) for r in rewards], dtype=object)
    weight = np.array([surd(w) for w in ([1] * len(rewards) if weight is None else weight)], dtype=object)
    rollouts = surd(ROLLOUTS)
    batch = two_outcome_batch(op, np.array(rollouts * omega), np.array(rollouts))
    exact = {k: Fraction(repr(v)) if isinstance(v, float) else v for k, v in estimator.params.items()}
    a = estimator.with_params(**exact)(make_group(op, rewards, weight, batch=batch), op)
    return [surd(x) for x in np.broadcast_to(a, rewards.shape)]


def exact_two_outcomes(estimator: Estimator, correct: int, size: int, omega: Any = Fraction(1, 3)) -> tuple[Surd, Surd]:
    """A+ and A- of a group with `correct` right of `size`, without rounding; kept for the next call."""
    key = (estimator.links, repr(sorted(estimator.params.items())), correct, size, omega)
    if key not in _KEPT:
        plus, minus = exact_advantages(estimator, (1, 0), (correct, size - correct), omega)
        _KEPT[key] = plus, minus
    return _KEPT[key]


_KEPT: dict[tuple, tuple[Surd, Surd]] = {}
