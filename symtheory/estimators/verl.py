"""Estimators of verl that equal none of the others, for binary rewards."""

from .base import BOUNDED, ORDERLY, SYMMETRIC, register
from .grpo import center


def divide_by_batch_mean(a, g, op):
    """a B / (number of right rollouts among the B of the batch) = a / omega."""
    return op.div(a, g.batch.omega)


def only_a_single_best(a, g, op, *, ddof=1, eps=1e-6):
    """(r1 - r2) / (std r + eps) for the best rollout, r1 and r2 being the two highest rewards; 0 for all others."""
    right = op.sum(g.weight * g.rewards)
    single = op.where(op.positive(2 - right), 1 + 0 * right, 0 * right)
    variance = op.div(op.sum(g.weight * g.centred**2), g.size - ddof)
    return op.div(a * single, op.sqrt(variance) + eps)


register(
    "gpg",
    center,
    divide_by_batch_mean,
    rewards="binary",
    source="arXiv:2504.02546 as verl computes it",
    laws=f"{ORDERLY} {SYMMETRIC} sample_symmetry duplication",
)
register(
    "grpo_passk",
    only_a_single_best,
    rewards="binary",
    source="arXiv:2503.19595 as verl computes it: only the single right rollout of a group counts",
    laws=f"{ORDERLY} {BOUNDED} degenerate_zero batch_independence",
)
