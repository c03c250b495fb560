"""prime-rl: rollouts/step_N/{train,eval}/{all,effective}/traces.jsonl, an episode of verifiers a line.

Its platform monitor writes parquet instead, with an empty prompt in every row.
"""

from typing import Any

from .base import Format


def totals(columns: dict[str, list]) -> dict[str, list]:
    """The reward of a trace is the weighted sum of its named scores."""
    return {**columns, "reward": [_total(value) for value in columns["reward"]]}


def _total(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    total = 0.0
    for part in value.values():
        score, weight = (part.get("score"), part.get("weight", 1.0)) if isinstance(part, dict) else (part, 1.0)
        if not isinstance(score, int | float) or not isinstance(weight, int | float):
            return None
        total += score * weight
    return total


TRACES = Format(
    "prime_rl",
    "prime-rl: `rollouts/step_N/train/effective/traces.jsonl`",
    ("group.id", "traces.rewards", "run.work.step"),
    {
        "step": ("run.work.step",), "group": ("group.id",), "prompt": ("task.hash", "task.key", "task.data.prompt"),
        "id": ("traces.id",), "reward": ("traces.rewards",), "advantage": ("traces.info.advantage",),
        "text": ("traces.nodes",), "cut": ("traces.stop_condition",), "split": ("run.type", "run.work.type"),
        "length": (), "success": (),
    },
    rows="traces",
    leave_out=r"(^|/)all/traces\.jsonl",
    derive=totals,
    totals=True,
)  # fmt: skip

SAMPLES = Format(
    "prime_rl_samples",
    "prime-rl's platform monitor: parquet of samples",
    ("problem_id", "sample_id", "completion", "reward", "advantage"),
    {"group": (), "prompt": ("problem_id",), "id": ("sample_id",), "reward": ("reward",)},
)

FORMATS = (TRACES, SAMPLES)
