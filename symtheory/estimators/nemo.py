"""What NeMo-RL computes under the name GRPO by default: each rollout against mean and std of the others."""

from .base import MIRRORED, ORDERLY, register
from .grpo import center
from .reinforce import leave_one_out


def scale_by_std_of_others(a, g, op, *, eps=1e-6):
    """a / (std of the other rollouts, ddof 1, + eps); a as it is where the others are equal."""
    others = g.weight[..., None, :] - op.identity(g.weight)  # [..., i, j]: how many j beside one i
    square = (g.rewards[..., :, None] - g.rewards[..., None, :]) ** 2  # pairs, so that equal others give exactly 0
    pairs = op.sum(others @ square * others)[..., 0] / 2
    differ = op.positive(pairs)
    spread = op.sqrt(op.div(op.where(differ, pairs, 0 * pairs), (g.size - 1) * (g.size - 2)))
    return op.where(differ, op.div(a, spread + eps), a)


register(
    "nemo_grpo",
    center,
    leave_one_out,
    scale_by_std_of_others,
    source="NVIDIA-NeMo/RL at 7ea279a, use_leave_one_out_baseline and normalize_rewards on (its default)",
    laws=f"{ORDERLY} {MIRRORED} degenerate_zero shift batch_independence",
)
