"""slime: --save-debug-rollout-data, a zip archive of torch.save, read without executing anything."""

from .base import Format


def masks(columns: dict[str, list]) -> dict[str, list]:
    """A removed sample does not enter the loss; a status tells a truncated one."""
    removed = columns.get("remove_sample")
    if removed is None:
        return columns
    return {**columns, "mask": [0.0 if r else 1.0 for r in removed]}


FORMAT = Format(
    "slime",
    "slime, `--save-debug-rollout-data`: `*.pt`, read as plain containers",
    ("rollout_id", "samples.group_index", "samples.reward"),
    {
        "step": ("rollout_id",), "group": ("samples.group_index",), "prompt": ("samples.prompt",),
        "id": ("samples.index",), "reward": ("samples.reward",), "text": ("samples.response",),
        "length": ("samples.response_length",), "logprob": ("samples.rollout_log_probs",),
        "token_mask": ("samples.loss_mask",), "cut": ("samples.status",), "advantage": ("samples.advantage",),
        "mask": ("samples.remove_sample",),
    },
    rows="samples",
    derive=masks,
    also=("remove_sample",),
)  # fmt: skip
