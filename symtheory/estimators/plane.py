"""The symmetry plane as a family of estimators: GRPO moved in group asymmetry and in difficulty tilt.

The paper's controlled experiments (Table 1 of arXiv:2602.05548) lie on its axes: without asymmetry, tilt 1 is
Hard-Focused and -1 Easy-Focused; without tilt, asymmetry (beta - 1) / (beta + 1) is Positive-Dominant and minus that
Negative-Dominant, up to one factor on all advantages.
"""

from .base import chain
from .grpo import center, scale_by_std


def tilt_difficulty(a, g, op, *, tilt=0):
    """a / (2 sqrt p)^tilt for tilt >= 0, so hard prompts weigh more; else a / (2 sqrt(1 - p))^-tilt, easy ones."""
    hard, easy = op.maximum(tilt, 0), op.maximum(-tilt, 0)
    return op.div(op.div(a, (2 * op.sqrt(g.mean)) ** hard), (2 * op.sqrt(1 - g.mean)) ** easy)


def favour_correct(a, g, op, *, asymmetry=0):
    """(1 + asymmetry) a where a > 0, else (1 - asymmetry) a: C / sum |A| becomes the asymmetry, sum |A| stays."""
    return op.where(op.positive(a), (1 + asymmetry) * a, (1 - asymmetry) * a)


PLANE = chain(center, scale_by_std, tilt_difficulty, favour_correct, name="plane", rewards="unit")
"""Parameters `tilt`, any real number, and `asymmetry` in [-1, 1]; at (0, 0) it is GRPO."""
