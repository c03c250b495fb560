"""A-GRAE: asymmetric group-relative advantage estimation (Sec. 5 of arXiv:2602.05548), and its two halves."""

from .base import BOUNDED, ORDERLY, SYMMETRIC, register
from .difficulty import focus_easy, focus_hard
from .grpo import center, scale_by_std


def focus_by_progress(a, g, op):
    """omega a / (2 sqrt p) + (1 - omega) a / (2 sqrt(1 - p)): easy prompts weigh more early, hard late (Eq. 12)."""
    omega = g.batch.omega
    return omega * focus_hard(a, g, op) + (1 - omega) * focus_easy(a, g, op)


def attenuate_correct(a, g, op, *, alpha=1):
    """min(1, omega / alpha) a where a > 0 (Eq. 13); the paper uses alpha = 1 for MATH, 1/2 for Geo3K."""
    return op.where(op.positive(a), op.minimum(1, g.batch.omega / alpha) * a, a)


register(
    "ddas",
    center,
    scale_by_std,
    focus_by_progress,
    rewards="unit",
    source="Eq. 12 of arXiv:2602.05548",
    laws=f"{ORDERLY} {SYMMETRIC} duplication",
)
register(
    "ass",
    center,
    scale_by_std,
    attenuate_correct,
    rewards="unit",
    source="Eq. 13 of arXiv:2602.05548",
    laws=f"{ORDERLY} {BOUNDED} degenerate_zero sample_symmetry duplication",
)
register(
    "agrae",
    center,
    scale_by_std,
    focus_by_progress,
    attenuate_correct,
    rewards="unit",
    source="Eq. 11-13 of arXiv:2602.05548 on GRPO",
    laws=f"{ORDERLY} degenerate_zero duplication",
)
register(
    "agrae_dr_grpo",
    center,
    focus_by_progress,
    attenuate_correct,
    rewards="unit",
    source="Eq. 11-13 of arXiv:2602.05548 on Dr.GRPO",
    laws=f"{ORDERLY} {BOUNDED} degenerate_zero duplication",
)
