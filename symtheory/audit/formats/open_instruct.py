"""open-instruct: <run>_rollouts_NNNNNN.jsonl."""

from .base import Format

FORMAT = Format(
    "open_instruct",
    "open-instruct: `<run>_rollouts_*.jsonl`",
    ("sample_idx", "prompt_idx", "response_tokens", "reward"),
    {
        "group": ("prompt_idx",), "prompt": ("prompt_tokens",), "id": ("sample_idx",), "text": ("response_tokens",),
        "length": ("response_tokens",), "reward": ("reward",), "cut": ("finish_reason",),
    },
)  # fmt: skip
