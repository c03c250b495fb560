"""SkyRL: dumped_evals/global_step_N_evals/<source>.jsonl; a score may be a list of one reward a token."""

from .base import Format

FORMAT = Format(
    "skyrl",
    "SkyRL: `dumped_evals/global_step_N_evals/<source>.jsonl`",
    ("input_prompt", "output_response", "score"),
    {"group": (), "prompt": ("input_prompt",), "text": ("output_response",), "reward": ("score",), "id": ()},
    leave_out=r"aggregated_results\.jsonl",
)
