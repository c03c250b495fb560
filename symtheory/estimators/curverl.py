"""CurveRL: each prompt weighed by where its success rate lies among those of earlier groups (arXiv:2605.24331)."""

from .base import BOUNDED, ORDERLY, SYMMETRIC, needs, register
from .grpo import center


@needs("rates")
def weigh_by_rates(a, g, op):
    """a f(p) / F(p), f and F the histogram of success rates of mixed groups, in G + 1 bins, and its cumulative sum."""
    rates = g.mean if g.batch.rates is None else g.batch.rates
    bins = g.size.max() + 1
    here, there = op.floor(g.mean * bins)[..., None], op.floor(rates.reshape(-1) * bins)
    # groups of rate 0 are not counted; those of rate 1 have a bin above all others, which no mixed group looks at
    counted = op.where(op.positive(rates), 1 + 0 * rates, 0 * rates).reshape(-1)
    at = (op.where(there == here, 1, 0) * counted).sum(-1)
    below = (op.where(there <= here, 1, 0) * counted).sum(-1)
    return a * op.div(at, below)


register(
    "curverl",
    center,
    weigh_by_rates,
    rewards="binary",
    source="arXiv:2605.24331, as its release computes it; the window of 10 steps is kept by the trainer",
    laws=f"{ORDERLY} {SYMMETRIC} {BOUNDED} duplication",
)
