"""AReaL: rollout/<version>/<task>.jsonl, the rollouts of a prompt a file."""

from .base import Format


def completions(columns: dict[str, list]) -> dict[str, list]:
    """Tokens of a completion: those of the sequence without those of the prompt."""
    both = columns.get("seqlen"), columns.get("prompt_len")
    if None in both:
        return columns
    number = int | float
    pairs = zip(*both, strict=True)  # type: ignore[arg-type]
    return {**columns, "length": [a - b if isinstance(a, number) and isinstance(b, number) else None for a, b in pairs]}


FORMAT = Format(
    "areal",
    "AReaL: `rollout/<version>/<task>.jsonl`",
    ("task_id", "sample_idx", "seqlen", "reward"),
    {
        "step": ("head_version",), "group": ("task_id",), "prompt": ("prompt",), "id": ("sample_idx",),
        "text": ("completion",), "reward": ("reward",), "length": ("seqlen",),
    },
    derive=completions,
    also=("seqlen", "prompt_len"),
)  # fmt: skip
