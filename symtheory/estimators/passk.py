"""Pass@k training: the advantage of a rollout as a member of all groups of k (arXiv:2508.10751), and PKPO."""

from ..errors import InputError
from .base import BOUNDED, ORDERLY, SYMMETRIC, register


def share_of_failing(op, wrong, size, k):
    """C(wrong, k) / C(size, k) as a product, which also holds for symbols and is exactly 0 for wrong < k.

    Exactly 1 where all are wrong: XLA multiplies by the reciprocal of a known size, which rounds to more than 1.
    """
    ratio = 1 + 0 * size
    for i in range(k):
        ratio = ratio * op.div(wrong - i, size - i)
    return op.where(wrong == size, 1 + 0 * size, ratio)


def check_k(op, name, size, k):
    """Refuse a k that is no whole number from 1 to the size of each group."""
    if not isinstance(k, int) or k < 1:
        raise InputError(f"parameter 'k' of estimator {name!r} must be a whole number >= 1, got {k!r}")
    if op.known(size) and k > size.min():
        raise InputError(f"parameter 'k' of estimator {name!r} must be at most the group size {size.min():g}, got {k}")


def pass_at_k_reward(a, g, op, *, k=4):
    """Standardised pass@k of the k-subsets that hold the rollout; Rbar = 1 - C(G-K, k) / C(G, k) is their mean."""
    check_k(op, "passk", g.size, k)
    wrong = g.size - op.sum(g.weight * g.rewards)
    failing = share_of_failing(op, wrong, g.size, k)
    failing_with_me = share_of_failing(op, wrong - 1, g.size - 1, k - 1)
    spread = op.sqrt(failing * (1 - failing))
    right, wrong_one = op.div(failing, spread), op.div(failing - failing_with_me, spread)
    return a * right + (1 - a) * wrong_one


register(
    "passk",
    pass_at_k_reward,
    rewards="binary",
    source="analytic pass@k advantage of arXiv:2508.10751",
    laws=f"{ORDERLY} {SYMMETRIC} {BOUNDED} batch_independence",
)


def maximise_pass_at_k(a, g, op, *, k=4):
    """s - mean s of the other rollouts, s = r C(G-K, k-1) / C(G-1, k-1): a rollout counts where k - 1 others fail."""
    check_k(op, "pkpo", g.size, k)
    wrong = g.size - op.sum(g.weight * g.rewards)
    score = a * share_of_failing(op, wrong, g.size - 1, k - 1)
    return op.div(g.size * score - op.sum(g.weight * score), g.size - 1)


register(
    "pkpo",
    maximise_pass_at_k,
    rewards="binary",
    source="PKPO with a leave-one-out baseline, arXiv:2505.15201, as tajwarfahim/maxrl computes it",
    laws=f"{ORDERLY} {SYMMETRIC} {BOUNDED} batch_independence",
)
