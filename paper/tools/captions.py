"""The verdicts below the committed pictures, written anew from the committed effects of seeds.

A picture is drawn when its runs are made, and its caption with it. Verdicts follow the effects in
`symtheory/claims/seeds` and the rule of the day, so that their sentences must follow without new runs.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from symtheory.claims.ledger import MEASURED, READING, Finding
from symtheory.claims.report import caption_lines

from .results import Results

BLOCK = re.compile(r"(?:^- [^\n]*\n)+", re.MULTILINE)
"""The list of sentences; a caption has one list."""
READING_LINE = re.compile(r"^How to read it: [^\n]*$", re.MULTILINE)
WORLD_OF = {"full": "bandit", "full-tree": "tree"}
"""The world that a folder of figures is about."""


def current(root: Path, results: Results) -> dict[Path, str]:
    """Files of the captions that tell verdicts, and what they must say."""
    found = {}
    for name in results.captions:
        path = root / "figures" / f"{name}.md"
        told = _claims_of(name)
        if told:
            found[path] = _renewed(path.read_text(encoding="utf-8"), told, results.findings)
    return found


def _claims_of(name: str) -> tuple[str, list[str]] | None:
    """World and claims of a figure, None where its caption tells no verdict."""
    folder, _, figure = name.partition("/")
    steps = [id for id in MEASURED if id.startswith("theorem1_")]
    if folder in WORLD_OF:
        ids = [id for id in MEASURED if id.startswith(f"{figure}_")]
        return (WORLD_OF[folder], ids) if ids else None
    of_replay = {"replay/training-full": [id for id in MEASURED if id not in steps], "replay/one-step-full": steps}
    return ("replay", of_replay[name]) if name in of_replay else None


def _renewed(text: str, told: tuple[str, list[str]], findings: Mapping[str, Sequence[Finding]]) -> str:
    world, ids = told
    lines = "".join(f"{line}\n" for line in caption_lines(ids, findings, world))
    text = BLOCK.sub(lambda _: lines, text, count=1)
    return READING_LINE.sub(lambda _: READING, text)
