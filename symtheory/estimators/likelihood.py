"""Estimators that use each rollout's log-probability under the policy, to favour rare correct ones."""

from .base import needs, register
from .group import make_group
from .grpo import center, scale_by_std


@needs("logprobs")
def penalise_the_likely(a, g, op, *, beta=0.25, ddof=1, eps=1e-6):
    """(r' - m') / (s' + eps) of r' = r (1 - beta rank / G), rank counting the rollouts that are less likely."""
    less_likely = g.logprob[..., :, None] > g.logprob[..., None, :]
    rank = (op.where(less_likely, 1, 0) * g.weight[..., None, :]).sum(-1)
    changed = make_group(op, a * (1 - beta * rank / g.size), g.weight, g.length, batch=g.batch)
    centred = center(changed.rewards, changed, op)
    return scale_by_std(centred, changed, op, ddof=ddof, eps=eps)  # type: ignore[arg-type]


@needs("logprobs")
def smooth_by_likelihood(a, g, op, *, correct=0.05, wrong=0.05):
    """a - correct l where r > 0, else a + wrong l, with l the mean log-probability of a rollout's tokens."""
    return op.where(op.positive(g.rewards), a - correct * g.logprob, a + wrong * g.logprob)


register(
    "unlikeliness",
    penalise_the_likely,
    rewards="unit",
    source="arXiv:2506.02355, as its release computes it",
)
register(
    "differential_smoothing",
    center,
    scale_by_std,
    smooth_by_likelihood,
    eps=1e-6,
    rewards="unit",
    source="arXiv:2511.19942, as tajwarfahim/maxrl computes it",
)
