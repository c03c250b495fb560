"""verl: `{step}.jsonl` of trainer.rollout_data_dir with uid (version 1): {uuid}_{session}_{index}.

A session may write several outputs, and GRPO takes the last of each: index is the turn, session the rollout. Without
uid, and in validation files, the question is the group, so that one drawn twice is one group.
"""

from .base import Format


def sessions(columns: dict[str, list]) -> dict[str, list]:
    """uid -> group, rollout and turn; a uid of another form is no group."""
    group, session, turn = [], [], []
    for uid in columns["group"]:
        parts = uid.rsplit("_", 2) if isinstance(uid, str) else []
        known = len(parts) == 3 and parts[2].isdecimal()
        group.append(parts[0] if known else None)
        session.append(f"{parts[0]}_{parts[1]}" if known else None)
        turn.append(int(parts[2][:9]) if known else 0)
    return {**columns, "group": group, "id": session, "turn": turn}


WITH_UID = Format(
    "verl",
    "verl, `trainer.rollout_data_dir`: `{step}.jsonl` with uid",
    ("input", "output", "score", "step", "uid"),
    {"step": ("step",), "group": ("uid",), "prompt": ("input",), "reward": ("score",), "text": ("output",), "id": ()},
    derive=sessions,
)

WITHOUT_UID = Format(
    "verl_legacy",
    "verl and its relatives without uid (RAGEN, agent-lightning), and validation files",
    ("input", "output", "score"),
    {"step": ("step",), "group": (), "prompt": ("input",), "reward": ("score",), "text": ("output",), "id": ()},
)

FORMATS = (WITH_UID, WITHOUT_UID)
