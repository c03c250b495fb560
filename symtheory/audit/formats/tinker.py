"""tinker-cookbook: iteration_N/train_rollout_summaries.jsonl."""

from .base import Format

FORMAT = Format(
    "tinker",
    "tinker-cookbook: `iteration_N/train_rollout_summaries.jsonl`",
    ("iteration", "group_idx", "traj_idx", "total_reward"),
    {
        "step": ("iteration",), "group": ("group_idx",), "prompt": (), "id": ("traj_idx",),
        "reward": ("total_reward",), "split": ("split",), "length": (),
    },
)  # fmt: skip
