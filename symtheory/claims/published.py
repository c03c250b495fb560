"""What a checkout publishes of the ledger, held against what was checked now: an edited table is a failed row."""

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from .. import paths
from ..errors import InputError
from .ledger import HERE, WORLDS, Row, load_claims
from .report import as_json

THEOREMS, CLAIMS = "paper/results/theorems.json", "paper/results/claims.json"
BLOCK = re.compile(
    r"<!-- (\w+): symtheory prove ([\w ]*)--(\w+) -->\n(.*?)\n<!-- \1: symtheory prove \2--\3 -->", re.DOTALL
)


def rows(checked: Sequence[Row]) -> list[Row]:
    """A row for each published file; none outside a checkout."""
    root = paths.checkout()
    if root is None:
        return []
    found = []
    for name, complaints in (
        (THEOREMS, _theorems(root, checked)),
        (CLAIMS, _claims(root)),
        ("README.md", _readme(root)),
    ):
        try:
            told = list(complaints)
        except InputError as error:  # effects that cannot be read
            told = [str(error)]
        method = f"NOT RE-CHECKED: {'; '.join(told)}" if told else "compared with what was checked now"
        statement = f"{name} shows what was checked now."
        found.append(Row(name, statement, "not proved" if told else "exact", "this repository", method, not told, {}))
    return found


def _theorems(root: Path, checked: Sequence[Row]) -> Iterator[str]:
    try:
        saved = {row["id"]: row for row in json.loads((root / THEOREMS).read_text(encoding="utf-8"))}
    except (OSError, ValueError, KeyError, TypeError) as error:
        yield f"cannot be read ({error})"
        return
    now = {row["id"]: row for row in json.loads(as_json(checked)) if row["id"] in saved or ":" in row["id"]}
    for id, row in saved.items():
        if id not in now:
            yield f"{id} is no theorem"
            continue
        changed = [k for k in ("statement", "verdict", "source", "counterexample") if row.get(k) != now[id][k]]
        if str(row.get("method")).partition(";")[0] != now[id]["method"].partition(";")[0]:
            changed.append("method")
        if changed or row.get("rechecked") is not True:
            what = " and ".join(changed or ["re-check"])
            yield f"{id}: its {what} is not what was checked now (`symtheory paper --prove` renews it)"
    yield from (f"{id} is missing (`symtheory paper --prove`)" for id in sorted(now.keys() - saved.keys()))


def claims_record() -> list[dict]:
    """The claims as they are published: what is said of each, by which margin it is judged, and on which effects."""
    keys = (
        "id",
        "source",
        "paper",
        "statement",
        "verdict",
        "when",
        "proof",
        "refuted_by",
        "unit",
        "margin",
        "published",
    )
    effects = _digests()
    return [
        {k: list(v) if isinstance(v := getattr(c, k), tuple) else v for k in keys} | {"effects": effects.get(c.id, {})}
        for c in load_claims()
    ]


def _digests() -> dict[str, dict[str, str]]:
    """For each measured claim and world a hash of its effects and of the seeds they are of: none can go unnoticed."""
    found: dict[str, dict[str, str]] = {}
    for path in (HERE / "seeds" / f"{world}.json" for world in WORLDS):
        settings = json.loads(path.read_text(encoding="utf-8"))["settings"] if path.exists() else {}
        for id in {id for setting in settings.values() for id in setting["claims"]}:
            mine = [[name, s["seeds"], s["claims"][id]] for name, s in settings.items() if id in s["claims"]]
            found.setdefault(id, {})[path.stem] = hashlib.sha256(json.dumps(mine).encode()).hexdigest()[:16]
    return found


def _claims(root: Path) -> Iterator[str]:
    try:
        saved = {entry["id"]: entry for entry in json.loads((root / CLAIMS).read_text(encoding="utf-8"))}
        now = {entry["id"]: entry for entry in claims_record()}
    except (OSError, ValueError, KeyError, TypeError) as error:
        yield f"cannot be read, or effects of seeds cannot ({error})"
        return
    for id in sorted(now.keys() | saved.keys()):
        if now.get(id) != saved.get(id):
            yield f"claim {id} is not the published one (`symtheory paper --prove` renews it)"


def _readme(root: Path) -> Iterator[str]:
    from .ledger import committed_figures, load_findings
    from .report import experiments_table, settled_table

    known = {claim.id: claim for claim in load_claims()}
    tables = {
        "experiments": lambda claims: experiments_table(claims, load_findings(), committed_figures()),
        "claims": settled_table,
    }
    text = (root / "README.md").read_text(encoding="utf-8")
    for name, ids, option, shown in BLOCK.findall(text):
        claims = [known[id] for id in ids.split() or known if id in known]
        if option in tables and shown.strip() != tables[option](claims).strip():
            yield f"the table {name} is not what `symtheory prove {ids}--{option}` prints"
