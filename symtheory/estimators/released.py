"""What the released A-GRAE code computes, where it differs from the paper (HKU-HealthAI/A-GRAE, core_algos.py).

Its easy-focused divisor is 1 - sqrt(p) instead of sqrt(1 - p), its std has ddof = 1 plus 1e-6, and its omega is the
mean of per-prompt means. (Its trainer never takes this branch: it passes 2 - step/T where exactly 2 is asked for.)
"""

from .base import ORDERLY, register
from .grpo import center, scale_by_std


def focus_by_progress_released(a, g, op, *, guard=1e-6):
    """omega a / (2 (sqrt p + guard)) + (1 - omega) a / (2 (1 - sqrt p + guard))."""
    omega, root = g.batch.omega_prompts, op.sqrt(g.mean)
    hard, easy = op.div(a, 2 * (root + guard)), op.div(a, 2 * (1 - root + guard))
    return omega * hard + (1 - omega) * easy


def attenuate_correct_released(a, g, op, *, alpha=1):
    """min(1, omega / alpha) a where a > 0, omega being the mean of per-prompt means."""
    return op.where(op.positive(a), op.minimum(1, g.batch.omega_prompts / alpha) * a, a)


register(
    "agrae_released",
    center,
    scale_by_std,
    focus_by_progress_released,
    attenuate_correct_released,
    ddof=1,
    eps=1e-6,
    rewards="unit",
    source="HKU-HealthAI/A-GRAE at c5aa316, with its A-GRAE branch on",
    laws=f"{ORDERLY} degenerate_zero",
)
register(
    "agrae_released_dr_grpo",
    center,
    focus_by_progress_released,
    attenuate_correct_released,
    rewards="unit",
    source="HKU-HealthAI/A-GRAE at c5aa316, with its A-GRAE branch on and norm_adv_by_std_in_grpo off",
    laws=f"{ORDERLY} degenerate_zero duplication l1_bound",
)
