"""verifiers: results.jsonl of vf-eval: no step, a prompt a message list, metrics beside the reward."""

from .base import Format

FORMAT = Format(
    "verifiers",
    "verifiers, `vf-eval -s`: `results.jsonl`",
    ("example_id", "prompt", "completion", "reward"),
    {
        "group": (), "prompt": ("example_id",), "id": ("rollout_id",), "text": ("completion",), "reward": ("reward",),
        "length": ("token_usage.output_tokens",), "cut": ("is_truncated", "stop_condition"),
    },
)  # fmt: skip
