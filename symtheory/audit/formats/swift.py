"""ms-swift: completions.jsonl, one object of lists a step, and rows from its Megatron and Ray trainers."""

from .base import Format

FORMAT = Format(
    "swift",
    "ms-swift: `completions.jsonl` (Transformers, Megatron and Ray trainers)",
    ("prompt", "completion", "advantages"),
    {"step": ("step", "gen_step"), "group": ("group_id", "group_idx", "group_uid", "uid"),
     "prompt": ("prompt",), "text": ("completion",), "reward": ("reward",),
     "advantage": ("advantages",), "success": (), "id": ()},
    functions=True,
    nansum=True,
    ordered=True,
)  # fmt: skip
