"""OPO: the length-weighted mean reward as the baseline of minimal variance (arXiv:2505.23585)."""

from .base import AFFINE, BOUNDED, MIRRORED, ORDERLY, SYMMETRIC, register


def center_by_length(a, g, op):
    """r - sum(length r) / sum(length) over the group."""
    tokens = g.weight * g.length
    return g.centred - op.div(op.sum(tokens * g.centred), op.sum(tokens))


register(
    "opo",
    center_by_length,
    source="arXiv:2505.23585; equals Dr.GRPO for equal lengths",
    laws=f"{ORDERLY} {SYMMETRIC} {MIRRORED} {AFFINE} {BOUNDED} batch_independence duplication",
)
