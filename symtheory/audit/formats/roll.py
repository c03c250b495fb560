"""ROLL: rollout_dump_data.step_N.jsonl, one object of lists a step."""

from .base import Format

FORMAT = Format(
    "roll",
    "ROLL: `rollout_dump_data.step_N.jsonl`",
    ("global_step", "id", "responses", "scores"),
    {
        "step": ("global_step",), "group": (), "prompt": ("id",), "id": (), "text": ("responses",),
        "reward": ("scores",),
    },
)  # fmt: skip
