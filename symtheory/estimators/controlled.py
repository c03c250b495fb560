"""Experiment I, asymmetry between right and wrong within a group (Table 1a of arXiv:2602.05548)."""

from .base import register
from .grpo import center, scale_by_std


def weigh_correct(a, g, op, *, beta=10):
    """beta a where a > 0."""
    return op.where(op.positive(a), beta * a, a)


def damp_correct(a, g, op, *, beta=10):
    """a / beta where a > 0."""
    return op.where(op.positive(a), a / beta, a)


register("positive_dominant", center, scale_by_std, weigh_correct, source="Table 1a of arXiv:2602.05548")
register("negative_dominant", center, scale_by_std, damp_correct, source="Table 1a of arXiv:2602.05548")
