"""TRL and Unsloth: completions_*.parquet, the wandb tables of older versions, and rows as JSONL."""

from .base import Format

FORMAT = Format(
    "trl",
    "TRL and Unsloth, `log_completions=True`: `completions_*.parquet`, wandb's `completions_*.table.json`",
    ("step", "prompt", "completion", "advantage"),
    {"step": ("step",), "group": ("group_id", "group_idx", "group_uid", "uid"),
     "prompt": ("prompt",), "id": (), "text": ("completion",), "reward": ("reward",),
     "advantage": ("advantage",), "success": (), "split": ()},
    functions=True,
    nansum=True,
    ordered=True,
)  # fmt: skip
