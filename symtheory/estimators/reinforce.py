"""REINFORCE and its relatives: no baseline, a leave-one-out or a batch baseline, or one sign of reward only."""

from .base import AFFINE, BOUNDED, MIRRORED, ORDERLY, SYMMETRIC, register
from .grpo import center, scale_by_std


def leave_one_out(a, g, op):
    """a G / (G - 1): the deviation from the mean of the other rollouts."""
    return a * op.div(g.size, g.size - 1)


def keep(a, g, op):
    """r itself: no baseline."""
    return a


def whiten_over_batch(a, g, op, *, ddof=1, eps=1e-8):
    """(r - mean r) / sqrt(var r + eps) over all tokens of the batch."""
    b = g.batch
    variance = op.div(b.token_square, b.tokens - ddof)
    return op.div(a - b.token_mean, op.sqrt(variance + eps))


def only_wrong(a, g, op):
    """r - 1: nothing for a right rollout, -1 for a wrong one."""
    return a - 1


def weigh_right(a, g, op, *, weight=0.1):
    """weight for a right rollout, -1 for a wrong one."""
    return weight * a - (1 - a)


def sign_of_mixed(a, g, op):
    """2r - 1 in a mixed group, 0 where all are right or all wrong."""
    return op.where(op.positive(op.sum(g.weight * g.centred**2)), 2 * a - 1, 0 * a)


def divide_by_mean(a, g, op, *, eps=0):
    """a / (mean r + eps)."""
    return op.div(a, g.mean + eps)


def shift_baseline(a, g, op, *, delta=-0.1):
    """a - delta: the baseline raised by delta, below 0 in favour of correct rollouts."""
    return a - delta


register(
    "rloo",
    center,
    leave_one_out,
    source="arXiv:2402.14740, leave-one-out baseline",
    laws=f"{ORDERLY} {SYMMETRIC} {MIRRORED} {AFFINE} {BOUNDED} batch_independence",
)
register(
    "rloo_std",
    center,
    leave_one_out,
    scale_by_std,
    ddof=1,
    eps=1e-4,
    source="ms-swift advantage_estimator=rloo with its scale_rewards=group, Twinkle",
    laws=f"{ORDERLY} {SYMMETRIC} {MIRRORED} shift batch_independence",
)
register(
    "asymre",
    center,
    shift_baseline,
    min_size=1,
    source="AsymRE, arXiv:2506.20520, V the group mean",
    laws="finite permutation_of_rollouts permutation_of_prompts monotone_in_reward dtype_stability "
    f"{BOUNDED} shift batch_independence duplication",
)
register(
    "reinforce",
    keep,
    min_size=1,
    source="Williams 1992, no baseline",
    laws=f"{ORDERLY} {BOUNDED} positive_scale batch_independence duplication",
)
register(
    "reinforce_pp",
    whiten_over_batch,
    min_size=1,
    source="REINFORCE++ (arXiv:2501.03262) as verl computes it",
    laws=f"{ORDERLY}",
)
register(
    "psr",
    keep,
    rewards="binary",
    min_size=1,
    source="positive sample reinforcement, arXiv:2506.01347",
    laws=f"{ORDERLY} {BOUNDED} batch_independence duplication",
)
register(
    "nsr",
    only_wrong,
    rewards="binary",
    min_size=1,
    source="negative sample reinforcement, arXiv:2506.01347",
    laws=f"{ORDERLY} {BOUNDED} batch_independence duplication",
)
register(
    "w_reinforce",
    weigh_right,
    rewards="binary",
    min_size=1,
    source="W-REINFORCE, arXiv:2506.01347",
    laws=f"{ORDERLY} {BOUNDED} batch_independence duplication",
)
register(
    "reinforce_rej",
    sign_of_mixed,
    rewards="binary",
    source="Reinforce-Rej, arXiv:2504.11343",
    laws=f"{ORDERLY} {MIRRORED} {BOUNDED} degenerate_zero batch_independence duplication l2_constant",
)
register(
    "raft",
    divide_by_mean,
    rewards="unit",
    min_size=1,
    source="RAFT, arXiv:2504.11343: the right ones share G",
    laws=f"{ORDERLY} positive_scale batch_independence duplication l1_bound",
)
register(
    "maxrl",
    center,
    divide_by_mean,
    rewards="unit",
    source="MaxRL, arXiv:2602.02710",
    laws=f"{ORDERLY} {SYMMETRIC} positive_scale batch_independence duplication",
)
register(
    "maxrl_std",
    center,
    scale_by_std,
    divide_by_mean,
    eps=1e-6,
    rewards="unit",
    source="tajwarfahim/maxrl, misc with advantage_type=maxrl: the second formula under that name",
    laws=f"{ORDERLY} {SYMMETRIC} batch_independence duplication",
)
