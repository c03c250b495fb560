"""What a finite group adds to the expected update: its spread, and the drift of behaviours that it did not draw.

C does not change the direction of the expected update (`objectives`), so what asymmetry changes is here. All
quantities are of the group SUM g_b = n_b A_b - C pi_b in a tabular policy (Theorem 1 of arXiv:2602.05548).
"""

from typing import Any

import numpy as np

from ..errors import InputError
from ..estimators import Estimator
from ..metrics.slope import advantage_table, expected_slope


def expected_update(estimator: str | Estimator, size: int, policy: Any, correct: Any, omega: float = 0.5) -> np.ndarray:
    """E g_b = G F'_G(P) pi_b (f_b - P), shape [N]: the master theorem for the logits of a tabular policy.

    Args:
        estimator: a registered name or an `Estimator`.
        size: G, rollouts in a group.
        policy: [N] probabilities of the behaviours.
        correct: [N] 1 for correct behaviours, 0 for wrong ones.
        omega: mean reward of the batch.

    Returns:
        [N] mean of g.

    Raises:
        InputError: a policy that is no distribution, or behaviours of one class only.
    """
    pi, f = _checked(policy, correct)
    return size * expected_slope(estimator, size, pi @ f, omega) * pi * (f - pi @ f)


def second_moment(estimator: str | Estimator, size: int, policy: Any, correct: Any, omega: float = 0.5) -> float:
    """E ||g||^2 over groups of `size`, exactly.

    With q the sum of squared probabilities inside a class, E over K ~ Bin(G, P) of A+^2 (K + K(K-1) q+) +
    A-^2 (F + F(F-1) q-) - 2 C (K A+ P q+ + F A- (1-P) q-) + C^2 (P^2 q+ + (1-P)^2 q-).

    Args:
        estimator: a registered name or an `Estimator`.
        size: G, rollouts in a group.
        policy: [N] probabilities of the behaviours.
        correct: [N] 1 for correct behaviours, 0 for wrong ones.
        omega: mean reward of the batch.

    Returns:
        E ||g||^2.

    Raises:
        InputError: a policy that is no distribution, or behaviours of one class only.
    """
    from scipy.stats import binom

    pi, f = _checked(policy, correct)
    success = pi @ f
    right, wrong = ((pi[f == 1] / success) ** 2).sum(), ((pi[f == 0] / (1 - success)) ** 2).sum()
    k = np.arange(size + 1)
    plus, minus = advantage_table(estimator, size, omega)
    c = k * plus + (size - k) * minus
    own = plus**2 * (k + k * (k - 1) * right) + minus**2 * (size - k) * (1 + (size - k - 1) * wrong)
    cross = k * plus * success * right + (size - k) * minus * (1 - success) * wrong
    norm = success**2 * right + (1 - success) ** 2 * wrong
    return float(binom.pmf(k, size, success) @ (own - 2 * c * cross + c**2 * norm))


def signal_to_noise(estimator: str | Estimator, size: int, policy: Any, correct: Any, omega: float = 0.5) -> float:
    """|E g|^2 / tr Var g of one group.

    Args:
        estimator: a registered name or an `Estimator`.
        size: G, rollouts in a group.
        policy: [N] probabilities of the behaviours.
        correct: [N] 1 for correct behaviours, 0 for wrong ones.
        omega: mean reward of the batch.

    Returns:
        The ratio.

    Raises:
        InputError: a policy that is no distribution, or behaviours of one class only.

    >>> policy, correct = [0.05, 0.25, 0.45, 0.15, 0.10], [1, 1, 0, 0, 0]
    >>> [round(signal_to_noise(name, 6, policy, correct), 3) for name in ("grpo", "rloo", "negative_dominant")]
    [2.273, 2.065, 0.834]
    """
    signal = (expected_update(estimator, size, policy, correct, omega) ** 2).sum()
    return float(signal / (second_moment(estimator, size, policy, correct, omega) - signal))


def undrawn_drift(
    estimator: str | Estimator, size: int, policy: Any, correct: Any, behaviour: int, omega: float = 0.5
) -> float:
    """E[d log pi_b] / eta over the groups that do not draw b = `behaviour`, to first order in the step.

    d log pi_b = eta [-C (pi_b - sum pi^2) - sum_i A_i pi(o_i)] for an undrawn b, and the draws follow the policy
    conditioned on not being b.

    Args:
        estimator: a registered name or an `Estimator`.
        size: G, rollouts in a group.
        policy: [N] probabilities of the behaviours.
        correct: [N] 1 for correct behaviours, 0 for wrong ones.
        behaviour: b, its number.
        omega: mean reward of the batch.

    Returns:
        The drift for a step size of 1.

    Raises:
        InputError: no correct or no wrong behaviour besides b.
    """
    from scipy.stats import binom

    pi, f = _checked(policy, correct)
    others = np.where(np.arange(len(pi)) == behaviour, 0, pi) / (1 - pi[behaviour])
    success = others @ f
    if not 0 < success < 1:
        raise InputError(
            f"correct must hold right and wrong behaviours besides number {behaviour}, got {list(correct)}"
        )
    right, wrong = (others * f) @ pi / success, (others * (1 - f)) @ pi / (1 - success)
    k = np.arange(size + 1)
    plus, minus = advantage_table(estimator, size, omega)
    c = k * plus + (size - k) * minus
    drift = -c * (pi[behaviour] - pi @ pi) - k * plus * right - (size - k) * minus * wrong
    return float(binom.pmf(k, size, success) @ drift)


def _checked(policy: Any, correct: Any) -> tuple[np.ndarray, np.ndarray]:
    pi, f = np.asarray(policy, dtype=float), np.asarray(correct, dtype=float)
    if pi.ndim != 1 or pi.shape != f.shape or (pi < 0).any() or abs(pi.sum() - 1) > 1e-9:
        raise InputError(f"policy must be probabilities that sum to 1, one for each of correct, got {list(pi)}")
    if not 0 < pi @ f < 1 or not np.isin(f, (0, 1)).all():
        raise InputError(f"correct must hold 0 and 1, with right and wrong behaviours in the policy, got {list(f)}")
    return pi, f
