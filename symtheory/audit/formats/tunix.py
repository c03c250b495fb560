"""Tunix: trajectory_log.csv."""

from .base import Format

FORMAT = Format(
    "tunix",
    "Tunix: `trajectory_log.csv`",
    ("trajectory_reward", "group_id", "pair_index"),
    {
        "step": ("policy_version", "step"), "group": ("group_id",), "id": ("pair_index",),
        "reward": ("trajectory_reward",), "text": ("conversation_text",), "length": (),
    },
)  # fmt: skip
