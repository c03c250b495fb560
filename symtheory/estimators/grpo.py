"""GRPO and the estimators that differ from it only in the scale: GRAE (Eq. 3 of arXiv:2602.05548), Dr.GRPO, DAPO."""

from .base import AFFINE, BOUNDED, MIRRORED, ORDERLY, SYMMETRIC, register


def center(a, g, op):
    """r - mean r of the group."""
    return g.centred


def scale_by_std(a, g, op, *, ddof=0, eps=0):
    """a / (std r + eps), the std with denominator G - ddof; 0 in a group of equal rewards (Eq. 3)."""
    variance = op.div(op.sum(g.weight * g.centred**2), g.size - ddof)
    return op.div(a, op.sqrt(variance) + eps)


register(
    "grpo",
    center,
    scale_by_std,
    source="Eq. 3 of arXiv:2602.05548; population std as in its B.2",
    laws=f"{ORDERLY} {SYMMETRIC} {MIRRORED} {AFFINE} {BOUNDED} batch_independence duplication l2_constant",
)
register(
    "grpo_ddof1",
    center,
    scale_by_std,
    ddof=1,
    eps=1e-6,
    source="GRPO as verl, SkyRL and the A-GRAE release compute it",
    laws=f"{ORDERLY} {SYMMETRIC} {MIRRORED} {BOUNDED} shift batch_independence",
)
register(
    "dapo",
    center,
    scale_by_std,
    source="arXiv:2503.14476: GRPO's advantage; groups are filtered by the batch",
    laws=f"{ORDERLY} {SYMMETRIC} {MIRRORED} {AFFINE} {BOUNDED} batch_independence duplication l2_constant",
)
register(
    "dr_grpo",
    center,
    source="arXiv:2503.20783: no division by the std",
    laws=f"{ORDERLY} {SYMMETRIC} {MIRRORED} {AFFINE} {BOUNDED} batch_independence duplication",
)
