"""Verdicts on the questions about regimes: `regimes.toml` has what is asked, `seeds/regimes.json` what was measured.

As for the claims of the paper no verdict is recorded: each is computed from the effects of the seeds when it is asked
for.
"""

import json
import tomllib
from pathlib import Path
from typing import Any

import numpy as np

from .judge import Cell, Margin, judge
from .ledger import cell_text

HERE = Path(__file__).parent
EFFECTS = HERE / "seeds" / "regimes.json"
FRESH = HERE / "seeds" / "regimes-fresh.json"
"""Effects of the fresh seeds, for the statements that the first ones left open."""


def _asked() -> dict[str, Any]:
    return tomllib.loads((HERE / "regimes.toml").read_text(encoding="utf-8"))


def questions() -> dict[str, dict[str, Any]]:
    """The questions of `regimes.toml` by id."""
    return {q["id"]: q for q in _asked()["question"]}


def fresh_designs() -> dict[str, dict[str, Any]]:
    """By world: the statements that the first seeds left open, with the seeds and arms that were fixed for them."""
    return _asked()["fresh"]


def verdicts(found: dict[str, np.ndarray]) -> dict[str, Cell]:
    """Verdicts of all questions in one world from effects [seed, part], corrected together (Holm)."""
    asked = questions()
    margins = {id: Margin(asked[id]["unit"], asked[id]["margin"]) for id in found}
    return judge(found, margins)


def saved(path: Path = EFFECTS) -> dict[str, dict[str, np.ndarray]]:
    """Effects by world and question from the file that the published run wrote."""
    content = json.loads(path.read_text(encoding="utf-8"))
    return {world: {id: np.array(x) for id, x in own.items()} for world, own in content["effects"].items()}


def save(found: dict[str, dict[str, np.ndarray]], made_by: dict[str, Any], path: Path) -> None:
    """Write the effects of every seed, five digits each, after `made_by`: the command and the design of the runs."""

    def rounded(x):
        return [[float(f"{v:.5g}") for v in row] for row in x]

    plain = {world: {id: rounded(x) for id, x in own.items()} for world, own in found.items()}
    path.write_text(json.dumps({**made_by, "effects": plain}) + "\n", encoding="utf-8")


def published() -> dict[str, dict[str, Cell]]:
    """Every published verdict: `cells[world][id]`, with the fresh seeds as worlds of their own."""
    cells = {world: verdicts(own) for world, own in saved().items()}
    return cells | ({fresh_name(w): verdicts(own) for w, own in saved(FRESH).items()} if FRESH.exists() else {})


def fresh_name(world: str) -> str:
    """How the fresh seeds of a world are called; the transformer has no others.

    >>> fresh_name("tree"), fresh_name("transformer")
    ('tree, fresh seeds', 'transformer')
    """
    return world if world == "transformer" else f"{world}, fresh seeds"


def told(cell: Cell, question: dict[str, Any]) -> str:
    """A cell in words: verdict, effect with its interval, margin and seeds."""
    return cell_text(cell, question.get("parts", ("",)))
