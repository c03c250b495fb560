"""The verdicts below the committed pictures, written anew from the committed effects of seeds.

A picture is drawn when its runs are made, and its caption with it. Verdicts follow the effects in
`symtheory/claims/seeds` and the rule of the day, so that their sentences must follow without new runs.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from symtheory.claims.ledger import READING
from symtheory.claims.report import verdicts_below

from .results import Results

BLOCK = re.compile(r"(?:^- [^\n]*\n)+", re.MULTILINE)
"""The list of sentences; a caption has one list."""
READING_LINE = re.compile(r"^How to read it: [^\n]*$", re.MULTILINE)


def current(root: Path, results: Results) -> dict[Path, str]:
    """Files of the captions that tell verdicts, and what they must say."""
    told = verdicts_below(results.findings)
    paths = {name: root / "figures" / f"{name}.md" for name in told.keys() & results.captions.keys()}
    return {path: _renewed(path.read_text(encoding="utf-8"), told[name]) for name, path in sorted(paths.items())}


def _renewed(text: str, lines: Sequence[str]) -> str:
    text = BLOCK.sub(lambda _: "".join(f"{line}\n" for line in lines), text, count=1)
    return READING_LINE.sub(lambda _: READING, text)
