"""Experiment I, asymmetry between right and wrong within a group (Table 1a of arXiv:2602.05548)."""

from .base import AFFINE, BOUNDED, ORDERLY, register
from .grpo import center, scale_by_std


def weigh_correct(a, g, op, *, beta=10):
    """beta a where a > 0."""
    return op.where(op.positive(a), beta * a, a)


def damp_correct(a, g, op, *, beta=10):
    """a / beta where a > 0."""
    return op.where(op.positive(a), a / beta, a)


register(
    "positive_dominant",
    center,
    scale_by_std,
    weigh_correct,
    source="Table 1a of arXiv:2602.05548",
    laws=f"{ORDERLY} {AFFINE} degenerate_zero sample_symmetry batch_independence duplication",
)
register(
    "negative_dominant",
    center,
    scale_by_std,
    damp_correct,
    source="Table 1a of arXiv:2602.05548",
    laws=f"{ORDERLY} {AFFINE} {BOUNDED} degenerate_zero sample_symmetry batch_independence duplication",
)
