"""The slope F'_G(P): how fast the expected update of an estimator moves a prompt's success (master theorem).

For a two-class estimator, an on-policy step without clipping, and any differentiable policy,

    E[(1/G) sum_i A_i grad log pi(o_i)] = F'_G(P) grad P,    F'_G(P) = sum_j d_j C(G-1, j) P^j (1-P)^(G-1-j),

a Bernstein polynomial with coefficients d_j = A+(j+1) - A-(j), the marginal value of a correct rollout
(arXiv:2510.13651 states the same). Slopes are per rollout: the update is the mean over the group, not the sum.
"""

from typing import Any

import numpy as np

from .. import estimators
from ..errors import InputError
from ..estimators import Estimator
from ..estimators.group import two_outcome_batch
from ..ops import numpy_ops

ROLLOUTS = 1024
"""Rollouts in the batch, where an estimator asks for their number."""


def named(estimator: str | Estimator) -> Estimator:
    """An estimator given by itself or by its registered name."""
    return estimators.get(estimator) if isinstance(estimator, str) else estimator


def advantage_table(estimator: str | Estimator, size: int, omega: Any = 0.5) -> tuple[np.ndarray, np.ndarray]:
    """Advantages of a correct and of a wrong rollout, A+(K) and A-(K), for every number K of correct rollouts.

    Args:
        estimator: a registered name or an `Estimator`.
        size: G, rollouts in the group.
        omega: [...] batch mean reward in [0, 1], for estimators that use it.

    Returns:
        A+ and A-, each [..., G + 1] for K = 0..G; 0 for an empty class.

    Raises:
        InputError: a group too small for the estimator, or omega outside [0, 1].

    >>> [a.round(3).tolist() for a in advantage_table("rloo", 2)]
    [[0.0, 1.0, 0.0], [0.0, -1.0, 0.0]]
    """
    estimator, op = named(estimator), numpy_ops()
    if size != int(size) or size < estimator.min_size:
        raise InputError(f"size must be a whole number >= {estimator.min_size} for {estimator.name!r}, got {size}")
    w = np.asarray(omega, dtype=float)[..., None, None]
    if ((w < 0) | (w > 1)).any():
        raise InputError(f"omega must be a mean reward in [0, 1], got {omega}")
    correct = np.broadcast_to(np.arange(size + 1.0), (*np.shape(omega), size + 1))
    batch = two_outcome_batch(op, ROLLOUTS * w, np.array(float(ROLLOUTS)))
    return estimator.two_outcomes(correct, np.full_like(correct, size), batch, op)


def marginal_values(estimator: str | Estimator, size: int, omega: Any = 0.5) -> np.ndarray:
    """d_j = A+(j+1) - A-(j), j = 0..G-1: the Bernstein coefficients of F'_G. Shape [..., G].

    Args:
        estimator: a registered name or an `Estimator`.
        size: G, rollouts in a group.
        omega: mean reward of the batch, [...].

    Returns:
        [..., G]; entry j is the value of one more correct rollout beside j others.

    >>> marginal_values("grpo", 3).round(4)
    array([1.4142, 1.4142, 1.4142])
    """
    plus, minus = advantage_table(estimator, size, omega)
    return plus[..., 1:] - minus[..., :-1]


def expected_slope(estimator: str | Estimator, size: int, P: Any, omega: Any = 0.5) -> np.ndarray:
    """F'_G(P), the expected update per rollout in units of grad P (master theorem, module docstring).

    Args:
        estimator: a registered name or an `Estimator`.
        size: G, rollouts in the group.
        P: [...] success probability of the prompt, in [0, 1].
        omega: [...] batch mean reward, held fixed; A-GRAE and DDAS use it.

    Returns:
        [...], the shape that `P` and `omega` broadcast to.

    Raises:
        InputError: P or omega outside [0, 1], or a group too small for the estimator.

    >>> round(float(expected_slope("grpo", 8, 0.1)), 4)
    2.3277
    """
    from scipy.stats import binom

    P = probability(P)
    weight = binom.pmf(np.arange(size), size - 1, P[..., None])
    return (weight * marginal_values(estimator, size, omega)).sum(-1)


def objective(estimator: str | Estimator, size: int, P: Any, omega: Any = 0.5) -> np.ndarray:
    """F_G(P) - F_G(0) = (1/G) sum_j d_j I_P(j+1, G-j): what the expected update ascends, with omega held fixed.

    Args:
        estimator: a registered name or an `Estimator`.
        size: G, rollouts in a group.
        P: success probabilities, [...].
        omega: mean reward of the batch, [...].

    Returns:
        The objective at each P, [...].

    >>> round(float(objective("rloo", 5, 0.3)), 12)
    0.3
    """
    from scipy.special import betainc

    P, j = probability(P), np.arange(size)
    return (marginal_values(estimator, size, omega) * betainc(j + 1, size - j, P[..., None])).sum(-1) / size


def kept_group_slope(estimator: str | Estimator, size: int, P: Any, omega: Any = 0.5) -> np.ndarray:
    """F'_G(P) / (1 - P^G - (1-P)^G): the slope per group that DAPO's dynamic sampling keeps.

    It drops groups of equal rewards.

    Args:
        estimator: a registered name or an `Estimator`.
        size: G, rollouts in a group.
        P: success probabilities, [...].
        omega: mean reward of the batch, [...].

    Returns:
        The slope at each P, [...].
    """
    P = probability(P)
    return expected_slope(estimator, size, P, omega) / (1 - P**size - (1 - P) ** size)


def probability(P: Any) -> np.ndarray:
    """P as an array, refused outside [0, 1]."""
    P = np.asarray(P, dtype=float)
    if not ((P >= 0) & (P <= 1)).all():
        raise InputError(f"P must be a success probability in [0, 1], got {P}")
    return P
