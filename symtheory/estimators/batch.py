"""Normalisation over the batch: by the std of all rewards, or by whitening advantages that a group has centred.

In most of them a group's own mean stays its baseline, so that batch statistics set one factor for the whole step.
With unequal lengths, and in `prpo`, the batch also changes the baseline.
"""

from .base import MIRRORED, ORDERLY, SYMMETRIC, needs, register
from .grpo import center, scale_by_std


def center_by_batch(a, g, op):
    """r - omega, the mean reward of the batch; 0 in a batch of equal rewards."""
    return op.where(op.positive(g.batch.square + 0 * a), a - g.batch.omega, 0 * a)


def scale_by_batch_std(a, g, op, *, ddof=1, eps=1e-4):
    """a / (std of all rewards of the batch + eps), the std with denominator N - ddof."""
    variance = op.div(g.batch.square, g.batch.rollouts - ddof)
    return op.div(a, op.sqrt(variance) + eps)


@needs("spread")
def whiten(a, g, op, *, batch_ddof=1, batch_eps=0, batch_var_eps=1e-8):
    """(a - mean a) / (sqrt(var a + batch_var_eps) + batch_eps) over all tokens of the batch."""
    mean, square, tokens = spread_of(a, g, op)
    variance = op.div(square, tokens - batch_ddof)
    return op.div(a - mean, op.sqrt(variance + batch_var_eps) + batch_eps)


def spread_of(a, g, op):
    """Mean of advantages over all tokens of the batch, sum of squared deviations from it, number of tokens."""
    if g.batch.spread is not None:
        return *g.batch.spread, g.batch.tokens
    tokens = g.weight * g.length
    total = tokens.sum()
    mean = op.div((tokens * a).sum(), total)
    return mean, (tokens * (a - mean) ** 2).sum(), total


def standardise_each(a, g, op, *, ddof=1, eps=1e-6):
    """sum_j w_j (r_j - m_j) / (s_j + eps) over the rewards j of a rollout, mean and std of the group; one: r itself."""
    total = 0 * a
    for weight, part in g.parts or ((1, g),):
        score = scale_by_std(center(part.rewards, part, op), part, op, ddof=ddof, eps=eps)  # type: ignore[arg-type]
        total = total + weight * op.where(op.positive(part.weight), score, 0)
    return total


register(
    "grpo_batch_std",
    center,
    scale_by_batch_std,
    source="TRL scale_rewards=batch; Lite PPO, arXiv:2508.08221",
    laws=f"{ORDERLY} {SYMMETRIC} {MIRRORED} shift",
)
register(
    "prpo",
    center_by_batch,
    scale_by_batch_std,
    ddof=0,
    eps=1e-6,
    min_size=1,
    source="rLLM prpo; AReaL reward_norm batch/batch with ddof 1 and eps 1e-5",
    laws=f"{ORDERLY} duplication",
)
register(
    "reinforce_pp_baseline",
    center,
    whiten,
    source="REINFORCE++-baseline, arXiv:2501.03262, as verl computes it",
    laws=f"{ORDERLY} {SYMMETRIC} {MIRRORED} shift",
)
register(
    "two_stage",
    center,
    scale_by_std,
    whiten,
    ddof=1,
    eps=1e-5,
    batch_eps=1e-5,
    batch_var_eps=0,
    source="AReaL's shipped configs: reward_norm group/group, then adv_norm batch/batch",
    laws=f"{ORDERLY} {SYMMETRIC} {MIRRORED} shift",
)
register(
    "gdpo",
    standardise_each,
    whiten,
    source="GDPO, arXiv:2601.05242, as verl computes it",
    laws=f"{ORDERLY} {SYMMETRIC} {MIRRORED} shift",
)
