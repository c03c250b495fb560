"""NeMo-Gym: rollouts.jsonl, no step."""

from .base import Format

FORMAT = Format(
    "nemo_gym",
    "NeMo-Gym: `rollouts.jsonl`",
    ("_ng_task_index", "_ng_rollout_index", "reward"),
    {"group": (), "prompt": ("_ng_task_index",), "id": ("_ng_rollout_index",), "text": ("response",), "length": ()},
)
