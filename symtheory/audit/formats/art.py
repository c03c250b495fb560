"""OpenPipe ART: trajectories/train/NNNN.jsonl, a group of trajectories a line."""

from .base import Format, asked


def questions(columns: dict[str, list]) -> dict[str, list]:
    """The prompt is what stands before the answer."""
    prompts = [asked(messages) for messages in columns["text"]]
    texts = [t if t != p else None for t, p in zip(columns["text"], prompts, strict=True)]
    return {**columns, "prompt": prompts, "text": texts}


FORMAT = Format(
    "art",
    "OpenPipe ART: `trajectories/train/NNNN.jsonl`",
    ("trajectories.reward", "trajectories.messages_and_choices"),
    {
        "step": (), "group": ("#",), "prompt": (), "id": (), "reward": ("trajectories.reward",),
        "text": ("trajectories.messages_and_choices",), "length": (), "success": (), "cut": (), "split": (),
    },
    rows="trajectories",
    derive=questions,
)  # fmt: skip
