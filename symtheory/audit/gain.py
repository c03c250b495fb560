"""The expected gain of success by difficulty, in numpy, so that an audit starts without jax."""

import math

import numpy as np

from ..errors import InputError
from ..estimators import Estimator
from ..estimators.group import two_outcome_batch
from ..ops import numpy_ops


def slope(estimator: Estimator, size: int, success: np.ndarray) -> np.ndarray:
    """F'_G(P) = E over J ~ Bin(G - 1, P) of [A+(J + 1) - A-(J)], [P] -> [P]; one batch of prompts.

    The same number as `symtheory.dynamics.expected.slope` with the other prompts at their mean.
    """
    op = numpy_ops()
    success = np.asarray(success, float)
    count = np.arange(size)  # correct ones among the other rollouts of the group
    log_ways = np.array([math.lgamma(size) - math.lgamma(j + 1) - math.lgamma(size - j) for j in count])
    with np.errstate(divide="ignore", invalid="ignore"):
        p = success[:, None]
        logs = np.where(count > 0, count * np.log(p), 0.0) + np.where(count[::-1] > 0, count[::-1] * np.log1p(-p), 0.0)
    chance = np.exp(log_ways + logs)
    others = size * (success.sum() - success)
    rollouts = size * len(success)
    with np.errstate(all="ignore"):
        up = _advantage(estimator, count + 1.0, size, others, rollouts, op)[0]
        down = _advantage(estimator, count + 0.0, size, others, rollouts, op)[1]
    return (chance * (up - down)).sum(-1)


def _advantage(estimator: Estimator, correct: np.ndarray, size: int, others: np.ndarray, rollouts: int, op):
    """A+ and A-, [P, G] each, of groups with so many correct rollouts beside `others` correct ones elsewhere."""
    correct = np.broadcast_to(correct, (len(others), len(correct)))
    batch = two_outcome_batch(op, (correct + others[:, None])[..., None], rollouts)
    return estimator.two_outcomes(correct, np.float64(size), batch, op)


LARGEST = 4096
"""Largest group for which the sum is made."""


def expected_gain(estimator: Estimator, size: int, success: np.ndarray, prompts: np.ndarray) -> np.ndarray | None:
    """Change of success that the estimator gives a prompt to first order, up to one factor: [n] -> [n].

    E[dP] = eta F'_G(P) |grad P|^2 (theorem on the expected update, arXiv:2510.13651), and |grad P|^2 = (P (1 - P))^2
    if every prompt has one success logit of its own. The batch has the difficulties `prompts`. None for estimators
    whose advantage does not depend on the rewards of the group and of the batch alone.
    """
    if size > LARGEST:
        return None
    try:
        slopes = slope(estimator, size, np.concatenate([success, prompts]))[: len(success)]
    except InputError:
        return None
    return slopes * (success * (1 - success)) ** 2 if np.isfinite(slopes).all() else None
