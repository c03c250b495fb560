"""Experiment II, weight between easy and hard prompts (Table 1b of arXiv:2602.05548), and others' ways to do it."""

from .base import BOUNDED, MIRRORED, ORDERLY, SYMMETRIC, register
from .grpo import center, scale_by_std
from .links import scale_by_mad


def focus_hard(a, g, op, *, gamma=0.5):
    """gamma a / sqrt p: with gamma = 1/2 the sum of |A| becomes G sqrt(1 - p), so hard prompts weigh more."""
    return op.div(gamma * a, op.sqrt(g.mean))


def focus_easy(a, g, op, *, gamma=0.5):
    """gamma a / sqrt(1 - p): with gamma = 1/2 the sum of |A| becomes G sqrt p, so easy prompts weigh more."""
    return op.div(gamma * a, op.sqrt(1 - g.mean))


def weigh_by_logistic(a, g, op, *, floor=0.4, span=1.1, slope=10.0, pivot=0.75):
    """a w(p) where a > 0, else a w(1 - p), with w(x) = floor + span / (1 + exp(slope (x - pivot)))."""

    def weight(x):
        return floor + span / (1 + op.exp(slope * (x - pivot)))

    right = op.where(op.positive(g.rewards), 1 + 0 * g.weight, 0 * g.weight)
    p = op.div(op.sum(g.weight * right), g.size)
    return a * op.where(op.positive(a), weight(p), weight(1 - p))


def focus_by_failures(a, g, op, *, gamma=0.5):
    """a (1 - p)^gamma, in the manner of the focal loss."""
    return a * op.sqrt(1 - g.mean) ** (2 * gamma)


register(
    "hard_focused",
    center,
    scale_by_std,
    focus_hard,
    rewards="unit",
    source="Table 1b of arXiv:2602.05548",
    laws=f"{ORDERLY} {SYMMETRIC} batch_independence duplication",
)
register(
    "easy_focused",
    center,
    scale_by_std,
    focus_easy,
    rewards="unit",
    source="Table 1b of arXiv:2602.05548",
    laws=f"{ORDERLY} {SYMMETRIC} batch_independence duplication",
)
register(
    "grpo_lead",
    center,
    scale_by_std,
    weigh_by_logistic,
    ddof=1,
    eps=1e-6,
    source="difficulty reweighting of GRPO-LEAD, arXiv:2504.09696, as released",
    laws=f"{ORDERLY} degenerate_zero sample_symmetry batch_independence",
)
register(
    "f_grpo",
    center,
    scale_by_std,
    focus_by_failures,
    rewards="unit",
    source="F-GRPO, arXiv:2602.06717, (1 - p)^gamma on GRPO's advantage",
    laws=f"{ORDERLY} {SYMMETRIC} {BOUNDED} batch_independence duplication",
)
register(
    "dgpo",
    center,
    scale_by_mad,
    source="difficulty-balanced advantage of DGPO, arXiv:2601.20614, as AMAP-ML/MathForge computes it",
    laws=f"{ORDERLY} {SYMMETRIC} {MIRRORED} shift l1_bound batch_independence",
)
