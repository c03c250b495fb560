"""What a checkout publishes of the ledger, held against what was checked now: an edited table is a failed row.

Verdicts in captions, tables of the README and its numbers on the law are computed again. Of what takes hours to compute
again (runs, captions of trained transformers) `paper/results/files.json` has the hash, which `symtheory paper` renews.
"""

import contextlib
import hashlib
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import xarray as xr

from .. import estimators, paths
from ..errors import InputError
from . import ours
from .ledger import (
    HERE,
    WORLDS,
    Finding,
    Row,
    committed_figures,
    load_claims,
)
from .report import as_json, experiments_table, settled_table, verdicts_below

THEOREMS, CLAIMS, FILES = (f"paper/results/{name}.json" for name in ("theorems", "claims", "files"))
BLOCK = re.compile(
    r"<!-- (\w+): symtheory prove ([\w ]*)--(\w+) -->\n(.*?)\n<!-- \1: symtheory prove \2--\3 -->", re.DOTALL
)
Findings = Mapping[str, Sequence[Finding]]


def rows(checked: Sequence[Row], findings: Findings, law: xr.Dataset | None) -> list[Row]:
    """A row for each published file; none outside a checkout.

    Args:
        checked: what was checked now.
        findings: of the experiments, by claim.
        law: `ours.law_outcome`.
    """
    root = paths.checkout()
    if root is None:
        return []
    found = []
    for name, complaints in (
        (THEOREMS, _theorems(root, checked)),
        (CLAIMS, _claims(root)),
        ("README.md", _readme(root, findings, law)),
        ("figures", _captions(root, findings)),
        (FILES, changed_files(root)),
    ):
        try:
            told = list(complaints)
        except (InputError, OSError) as error:
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
        changed = [k for k in now[id] if k != "rechecked" and row.get(k) != now[id][k]]
        if changed or row.get("rechecked") is not True:
            what = " and ".join(changed or ["re-check"])
            yield f"{id} differs in {what} from what was checked now (`symtheory paper --prove` renews it)"
    yield from (f"{id} is missing (`symtheory paper --prove`)" for id in sorted(now.keys() - saved.keys()))


def claims_record() -> list[dict[str, Any]]:
    """Claims and targets as they are published: all that is said of each, and the effects that it is judged by."""
    effects = _digests()
    claims = [{**asdict(c), "effects": effects.get(c.id, {})} for c in (*load_claims(), *ours.our_claims())]
    return json.loads(json.dumps([*claims, *(asdict(target) for target in ours.targets())]))


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


def _readme(root: Path, findings: Findings, law: xr.Dataset | None) -> Iterator[str]:
    known = {claim.id: claim for claim in load_claims()}
    tables = {
        "experiments": lambda claims: experiments_table(claims, findings, committed_figures()),
        "claims": settled_table,
    }
    text = (root / "README.md").read_text(encoding="utf-8")
    for name, ids, option, shown in BLOCK.findall(text):
        claims = [known[id] for id in ids.split() or known if id in known]
        if option in tables and shown.strip() != tables[option](claims).strip():
            yield f"the table {name} is not what `symtheory prove {ids}--{option}` prints"
    words = " ".join(text.split())
    told = [f"each of {len(estimators.names())} estimators", *said_elsewhere(root)]
    told += law_in_words(law) if law is not None else []
    yield from (f"it does not say {part!r}" for part in told if part not in words)
    (_, code), (_, shown) = re.findall(r"```(\w*)\n(.*?)```", text, re.DOTALL)[:2]
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(compile(code, "README.md", "exec"), {})
    if printed.getvalue() != shown:
        yield "its first example prints something else"


def said_elsewhere(root: Path) -> list[str]:
    """What the README repeats of a caption and of the article's generated values."""
    caption = (root / "figures/interference/angle.md").read_text(encoding="utf-8")
    numbers = re.findall(r"from ([\d.]+) degrees on[^.]*, in the runs from ([\d.]+)\.", caption)
    (turn, turned), (fall, fell) = [[round(float(x)) for x in pair] for pair in numbers]
    values = dict(re.findall(r"\\setval\{(.*?)\}\{(.*)\}", (root / "paper/generated/values.tex").read_text("utf-8")))
    return [
        f"hard focus keeps more from {turn} degrees on, and GRPO ends below its own base policy from {fall}",
        f"these angles are {turned} and {fell}",
        f"{values['evidence.tested']} published pass@k rows {values['evidence.beyond']} lie farther",
    ]


def law_in_words(test: xr.Dataset) -> list[str]:
    """What the README says of the test of the interference law, with its numbers computed again."""
    from ..studies.interference.cells import world_of
    from ..studies.interference.judge import agreement

    world = [world_of(str(cell)) for cell in test.cell.values]
    whole = agreement(test)
    by_world = {w: agreement(test.isel(cell=[i for i, own in enumerate(world) if own == w])) for w in set(world)}

    def right(predictor: str, what: str) -> str:
        share = float(whole[f"{what}_signs"].sel(predictor=predictor, statistic="mean"))
        return f"{share * whole.attrs[f'{what}_clear']:.0f}"

    def explained(world: str) -> list[str]:
        return [f"{100 * x:.0f}" for x in by_world[world].explained.sel(predictor="mean field").values]

    order, level = (f"{whole.attrs[f'{what}_clear']:.0f}" for what in ("order", "level"))
    usual = [f"{whole.attrs[f'{what}_usual'] * whole.attrs[f'{what}_clear']:.0f}" for what in ("order", "level")]
    mean, low, high = explained("transformer")
    target = next(t for t in ours.targets() if t.id == "law_size_transformer")
    missed = ours.outcome_of(target, test).verdict == "missed"
    return [
        f"{right('mean field', 'order')} of {order} cases",
        f"against its base in {right('mean field', 'level')} of {level}",
        f"base policy alone in {right('base kernel', 'order')} and {right('base kernel', 'level')}",
        f"the more frequent sign gets {usual[0]} and {usual[1]}",
        f"{explained('bandit')[0]}% (bandit), {explained('tree')[0]}% (tree) and {mean}% [{low}, {high}] (transformer)",
        f"The target was {100 * target.bound:.0f}%; the transformer {'misses' if missed else 'reaches'} it",
    ]


def _captions(root: Path, findings: Findings) -> Iterator[str]:
    """Sentences that a caption says of claims, against today's verdicts."""
    committed = committed_figures()
    for name, lines in verdicts_below(findings).items():
        if name not in committed:
            continue
        shown = {
            line for line in (root / f"figures/{name}.md").read_text(encoding="utf-8").splitlines() if "**" in line
        }
        for line in sorted({*lines} ^ shown):
            yield f"figures/{name}.md {'says' if line in shown else 'does not say'} {line[2:120]!r}..."


def digests(root: Path) -> dict[str, str]:
    """Hashes of captions, pictures, generated tables, Coq's files, and the law's predictions and runs, by path."""
    figures = [root / f"figures/{name}.{kind}" for name in committed_figures() for kind in ("md", "png")]
    others = ("paper/generated/*.tex", "paper/results/interference-*.json", "proofs/*.v")
    found = [*figures, *(file for pattern in others for file in root.glob(pattern))]
    return {
        file.relative_to(root).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()[:16]
        for file in sorted(found)
        if file.exists()
    }


def changed_files(root: Path) -> Iterator[str]:
    """Published files that are not those that `symtheory paper` has seen."""
    try:
        saved = json.loads((root / FILES).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        yield f"{FILES} cannot be read ({error}); `symtheory paper` writes it"
        return
    now = digests(root)
    for name in sorted(now.keys() | saved.keys()):
        if now.get(name) != saved.get(name):
            yield f"{name} is not the published one (`symtheory paper` renews {FILES})"
