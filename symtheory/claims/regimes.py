"""Verdicts on the questions about regimes: `regimes.toml` has what is asked, `seeds/regimes.json` what was measured.

As for the claims of the paper no verdict is recorded: each is computed from the effects of the seeds when it is asked
for.
"""

import json
import tomllib
from pathlib import Path
from typing import Any

import numpy as np

from ..studies.regimes import Config
from .judge import Cell, Margin, judge
from .ledger import cell_text

HERE = Path(__file__).parent
EFFECTS = HERE / "seeds" / "regimes.json"


def questions() -> dict[str, dict[str, Any]]:
    """The questions of `regimes.toml` by id."""
    return {q["id"]: q for q in tomllib.loads((HERE / "regimes.toml").read_text(encoding="utf-8"))["question"]}


def verdicts(found: dict[str, np.ndarray]) -> dict[str, Cell]:
    """Verdicts of all questions in one world from effects [seed, part], corrected together (Holm)."""
    asked = questions()
    margins = {id: Margin(asked[id]["unit"], asked[id]["margin"]) for id in found}
    return judge(found, margins)


def saved(path: Path = EFFECTS) -> dict[str, dict[str, np.ndarray]]:
    """Effects by world and question from the file that the published run wrote."""
    content = json.loads(path.read_text(encoding="utf-8"))
    return {world: {id: np.array(x) for id, x in own.items()} for world, own in content["effects"].items()}


def save(found: dict[str, dict[str, np.ndarray]], config: Config, path: Path) -> None:
    """Write the effects of every seed, five digits each."""

    def rounded(x):
        return [[float(f"{v:.5g}") for v in row] for row in x]

    plain = {world: {id: rounded(x) for id, x in own.items()} for world, own in found.items()}
    content = {"command": "symtheory regimes --run", "seeds": config.seeds, "effects": plain}
    path.write_text(json.dumps(content) + "\n", encoding="utf-8")


def told(cell: Cell, question: dict[str, Any]) -> str:
    """A cell in words: verdict, effect with its interval, margin and seeds."""
    return cell_text(cell, question.get("parts", ("",)))
