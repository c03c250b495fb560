"""NeMo-RL: train_data_step{n}.jsonl, every value a list of length 1 (a micro-batch of one).

The prompt is the tokens before the first one of the completion; without a token mask it is the first text.
"""

from typing import Any

from .base import Format, only


def prompts(columns: dict[str, list]) -> dict[str, list]:
    """Prompt from the tokens or the conversation, and the text of the answer."""
    content = columns.get("content") or [None] * len(columns["reward"])
    tokens = columns.get("token_ids") or [None] * len(content)
    mask = columns.get("token_mask") or [None] * len(content)
    found = [_prompt(c, t, m) for c, t, m in zip(content, tokens, mask, strict=True)]
    return {**columns, "prompt": [f[0] for f in found], "text": [f[1] for f in found]}


def _prompt(content: Any, tokens: Any, mask: Any) -> tuple[Any, Any]:
    content, tokens, mask = only(content), only(tokens), only(mask)
    text = content
    if isinstance(content, list) and content:
        if all(isinstance(m, dict) for m in content):
            asked = [m.get("content") for m in content if m.get("role") != "assistant"]
            return asked, [m.get("content") for m in content if m.get("role") == "assistant"]
        text = content[1:] if len(content) > 1 else content
        if len(content) > 1:
            return content[0], text
    if isinstance(tokens, list) and isinstance(mask, list) and len(tokens) == len(mask) and any(mask):
        first = next(i for i, m in enumerate(mask) if m)
        return (tokens[:first] or None), text
    return None, text


FORMAT = Format(
    "nemo_rl",
    "NeMo-RL: `train_data_step{n}.jsonl`",
    ("content", "rewards", "idx"),
    {
        "step": (), "group": (), "prompt": (), "id": ("idx",), "text": (), "length": ("token_ids",),
        "reward": ("filtered_rewards", "rewards"), "advantage": ("advantages",), "mask": ("sample_loss_mask",),
        "token_mask": ("token_loss_mask",), "logprob": ("generation_logprobs", "prev_logprobs"), "success": (),
    },
    one=True,
    derive=prompts,
    also=("content", "token_ids"),
)  # fmt: skip
