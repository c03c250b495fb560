"""The ledger of claims: `claims.toml` joined with proofs and with the verdicts of experiments.

A claim that can be proved names theorems; its recorded verdict must be the one that their proofs yield. An empirical
claim names the worlds that test it and stays open until one of them has written `seeds/<world>.json`: the effects of
every seed. No verdict of an experiment is recorded anywhere: each is computed from those effects when it is asked for.
"""

import json
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from .. import paths
from ..errors import InputError
from .effects import EQUAL_STEP, MATCHED, MEASURES, PATH, STEP_MEASURES, Measure, recorded
from .judge import OPEN, UNTESTABLE, Cell, Margin, Needs, contradiction, judge_with_gates

if TYPE_CHECKING:  # the theory knows the computer algebra, which judging needs not
    from ..theory.proofs import Checked

MEASURED = {m.id: m for m in (*MEASURES, *STEP_MEASURES)}
"""Measures by the claim that they are for."""

WORLDS = ("bandit", "tree", "replay")
HERE = Path(__file__).parent
"""Folder of the ledger."""


@dataclass(frozen=True)
class Claim:
    """One claim of arXiv:2602.05548."""

    id: str
    source: str
    """Equation, section, figure or table."""
    paper: str
    """What the paper says, retold."""
    statement: str
    """What holds, or what is measured."""
    verdict: str = "open"
    """Settled by proofs: exact, holds when, fails, or not established."""
    when: str = ""
    proof: tuple[str, ...] = ()
    """Theorems whose verdicts are the claim's."""
    refuted_by: tuple[str, ...] = ()
    """Theorems which, if they hold, contradict the claim."""
    experiment: tuple[str, ...] = ()
    """Worlds in which an empirical claim is measured."""
    unit: str = ""
    margin: float = 0.0
    """The smallest effect that counts, in `unit`."""
    why: str = ""
    published: float | None = None
    questions: tuple[int, ...] = ()
    kind: str = ""
    needs: str = ""
    calibrated: tuple[str, ...] = ()

    @property
    def rule(self) -> Margin:
        """What `judge` needs to know of an empirical claim."""
        return Margin(self.unit, self.margin, self.kind, self.published, self.questions)


@dataclass(frozen=True)
class Finding:
    """What one world says on an empirical claim, recomputed from the effects of its seeds."""

    world: str
    setting: str
    """The setting that the cells are of."""
    cells: Mapping[str, Cell]
    """The cell of each reading: equal step (or over the path), and matched budget where the claim has it."""
    parts: tuple[str, ...]
    """What each part of a cell compares with."""
    command: str
    elsewhere: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Verdicts in the world's other settings: setting -> reading -> verdict."""

    @property
    def equal_step(self) -> Cell:
        """The cell of the paper's own comparison."""
        return next(iter(self.cells.values()))

    @property
    def matched(self) -> Cell | None:
        """The cell at matched budget, None for a claim about the whole path."""
        return self.cells.get(MATCHED)

    @property
    def verdict(self) -> str:
        return self.equal_step.verdict


@dataclass(frozen=True)
class Row:
    """One line of the ledger or of the list of theorems, as `symtheory prove` prints it."""

    id: str
    statement: str
    verdict: str
    source: str
    method: str
    rechecked: bool
    counterexample: Mapping[str, str]
    """Exact numbers, as text; empty where there is none."""
    pending: bool = False
    """True for an empirical claim that no experiment has decided yet: there is nothing to re-check."""
    derived: bool = False
    """Whether its certificate was derived now, rather than kept from an earlier run of the same code."""
    formulas: tuple[str, ...] = ()
    """Formulas that were checked."""


def load_claims(path: Path | None = None) -> tuple[Claim, ...]:
    """The claims of a ledger file (default: the one of this package); raises `InputError` where it is malformed.

    Args:
        path: a ledger in TOML; the one of this package if not given.

    Returns:
        The claims, in the order of the file.

    Raises:
        InputError: a malformed file, or an id that it has twice.
    """
    path = path or HERE / "claims.toml"
    try:
        entries = tomllib.loads(path.read_text(encoding="utf-8")).get("claim", [])
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path.name} is not valid TOML: {error}") from None
    claims = tuple(_claim(entry) for entry in entries)
    twice = {c.id for c in claims if [d.id for d in claims].count(c.id) > 1}
    if twice:
        raise InputError(f"{path.name} has more than one claim of the id {sorted(twice)[0]!r}")
    return claims


def _claim(entry: dict[str, Any]) -> Claim:
    lists = {key: tuple(entry.get(key, ())) for key in ("proof", "refuted_by", "experiment", "calibrated", "questions")}
    try:
        claim = Claim(**{**entry, **lists})
    except TypeError as error:
        raise InputError(f"claim {entry.get('id', '?')!r}: {str(error).split('() ')[-1]}") from None
    if bool(claim.experiment) == bool(claim.proof + claim.refuted_by):
        raise InputError(f"claim {claim.id!r} must name either theorems (proof, refuted_by) or worlds (experiment)")
    if claim.experiment and not (claim.unit and claim.margin > 0):
        raise InputError(f"claim {claim.id!r} is measured, so it must have a unit and a margin above 0")
    return claim


def load_findings(folder: Path | None = None, claims: Iterable[Claim] | None = None) -> dict[str, tuple[Finding, ...]]:
    """What every world says on each claim, judged now from the effects of seeds in `<world>.json`.

    Args:
        folder: with a `<world>.json` for each world; the one of this package if not given.
        claims: see `load_claims`.

    Returns:
        Id of a claim -> what each world found.

    Raises:
        InputError: a malformed file.
    """
    folder, found = folder or HERE / "seeds", {}
    ledger = {c.id: c for c in (claims or load_claims()) if c.experiment}
    for world in WORLDS:
        path = folder / f"{world}.json"
        if not path.exists():
            continue
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            for id, finding in _findings(world, content, ledger):
                found.setdefault(id, []).append(finding)
        except (json.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(f"effects of the {world} world cannot be read: {type(error).__name__}: {error}") from None
    return {id: tuple(entries) for id, entries in found.items()}


def _findings(world: str, content: dict, ledger: Mapping[str, Claim]) -> Iterator[tuple[str, Finding]]:
    judged = {name: verdicts_of(setting, ledger, world) for name, setting in content["settings"].items()}
    for id in ledger:
        names = [name for name in judged if id in judged[name]]
        if names:  # single steps have a setting of their own
            elsewhere = {n: {r: c.verdict for r, c in judged[n][id].items()} for n in names[1:]}
            parts = MEASURED[id].parts
            command = content["settings"][names[0]].get("command", content["command"])
            yield id, Finding(world, names[0], judged[names[0]][id], parts, command, elsewhere)


def verdicts_of(setting: Mapping[str, Any], ledger: Mapping[str, Claim], world: str) -> dict[str, dict[str, Cell]]:
    """Cells of one setting by claim and reading; all cells of one reading are corrected together."""
    seeds = len(setting["seeds"])
    readings: dict[str, dict[str, np.ndarray]] = {}
    for id, by_reading in setting["claims"].items():
        for reading, values in by_reading.items():
            array = np.array(values, dtype=float)
            if array.ndim != 2 or len(array) != seeds or seeds < 2 or not np.isfinite(array).all():
                raise ValueError(f"{id}, {reading}: effects must be numbers [seed, part] of {seeds} seeds")
            readings.setdefault(MATCHED if reading == MATCHED else EQUAL_STEP, {})[id] = array
    found: dict[str, dict[str, Cell]] = {}
    margins = {id: claim.rule for id, claim in ledger.items()}
    needs = {id: Needs(claim.needs, claim.calibrated) for id, claim in ledger.items()}
    for reading, cells in sorted(readings.items()):
        for id, cell in judge_with_gates(cells, margins, needs, world).items():
            own = PATH if PATH in setting["claims"][id] else reading
            found.setdefault(id, {})[own] = cell
    return found


def committed_figures() -> tuple[str, ...]:
    """The published figures of the repository, as paths below `figures` without suffix; none in an installed package.

    They are listed in `figures/committed.txt`, so that what a command writes beside them is never taken for published.
    """
    root = paths.checkout()
    return tuple((root / "figures" / "committed.txt").read_text(encoding="utf-8").split()) if root else ()


def theorem_row(checked: "Checked") -> Row:
    """The row of a theorem."""
    from ..theory.proofs import exact_text

    theorem, proof, outcome = checked.theorem, checked.proof, checked.outcome
    if outcome is None:
        return Row(theorem.id, theorem.statement, "not proved", theorem.source, proof.method, False, {})
    parts = [outcome.method]
    if proof.method:
        parts.append(proof.method)
    if outcome.formulas:
        parts.append(f"{_count(len(outcome.formulas), 'formula')}, {outcome.settled} for all G")
    if outcome.certificates:
        parts.append(_count(outcome.certificates, "certificate"))
    if outcome.trials:
        parts.append(_count(outcome.trials, "trial"))
    if outcome.tried:
        parts.append("evaluated through the code")
    parts += [f"NOT RE-CHECKED: {complaint}" for complaint in outcome.complaints]
    statement = theorem.statement + (f" Holds when {proof.when}." if proof.when else "")
    example = {name: exact_text(value) for name, value in proof.counterexample.items()}
    method, verdict = "; ".join(parts), outcome.verdict
    return Row(
        theorem.id,
        statement,
        verdict,
        theorem.source,
        method,
        checked.rechecked,
        example,
        derived=checked.derived,
        formulas=tuple(dict.fromkeys(outcome.formulas)),
    )


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number > 1)}"


def claim_row(claim: Claim, rows: Mapping[str, Row], findings: Mapping[str, tuple[Finding, ...]]) -> Row:
    """The row of a claim, from the rows of its theorems or from the findings of experiments."""
    if claim.experiment:
        return _measured_row(claim, findings.get(claim.id, ()))
    derived = derived_verdict(claim, rows)
    theorems = [rows[id] for id in claim.proof + claim.refuted_by]
    rechecked = all(r.rechecked for r in theorems) and derived == claim.verdict
    method = "theorems " + ", ".join(claim.proof) if claim.proof else ""
    method += ("; " * bool(method) + "refuted by " + ", ".join(claim.refuted_by)) if claim.refuted_by else ""
    foreign = foreign_formulas(claim, theorems)
    if foreign:
        rechecked, method = False, f"{method}; no theorem of it has the formula {foreign[0]!r}"
    if derived != claim.verdict:
        method += f"; the ledger records {claim.verdict!r}, the proofs give {derived!r}"
    example = next((r.counterexample for r in theorems if r.counterexample), {})
    return Row(claim.id, _with_condition(claim), derived, claim.source, method, rechecked, example)


def foreign_formulas(claim: Claim, theorems: Iterable[Row]) -> list[str]:
    """Formulas of a claim's statement that are in the statement of none of its theorems."""
    known = {formula for row in theorems for formula in re.findall(r"`([^`]*)`", row.statement)}
    return [formula for formula in re.findall(r"`([^`]*)`", claim.statement) if formula not in known]


def _with_condition(claim: Claim) -> str:
    return claim.statement + (f" Holds when {claim.when}." if claim.when else "")


def derived_verdict(claim: Claim, rows: Mapping[str, Row]) -> str:
    """exact if all its theorems are, fails if all fail or are contradictions that hold, holds when for a mixture."""
    verdicts = {rows[id].verdict for id in claim.proof}
    verdicts |= {"fails" if rows[id].verdict == "exact" else "not proved" for id in claim.refuted_by}
    if "not proved" in verdicts:
        return "not proved"
    return verdicts.pop() if len(verdicts) == 1 else "holds when"


def _measured_row(claim: Claim, findings: Iterable[Finding]) -> Row:
    findings = tuple(findings)
    if not findings:
        method = f"experiment ({', '.join(claim.experiment)}): none has run"
        return Row(claim.id, claim.statement, "open", claim.source, method, False, {}, pending=True)
    lines = (f"{f.world}: {told(f)}, `{f.command}`.{in_other_settings(f.elsewhere)}" for f in findings)
    verdict = over_worlds([f.verdict for f in findings])
    cells = [cell for f in findings for cell in f.cells.values()]
    wrong = [f"NOT RE-CHECKED: {fault}" for cell in cells if (fault := contradiction(cell))]
    return Row(claim.id, claim.statement, verdict, claim.source, " ".join([*lines, *wrong]), not wrong, {})


def over_worlds(verdicts: Sequence[str]) -> str:
    """The verdicts of several worlds in one: an open or untestable cell is no evidence that worlds differ.

    >>> over_worlds(["not testable", "supported"]), over_worlds(["no effect", "inconclusive"])
    ('supported where testable', 'no effect where decided')
    >>> over_worlds(["no effect", "reversed", "inconclusive"])
    'depends on the world'
    """
    found, decided = set(verdicts), set(verdicts) - {OPEN, UNTESTABLE}
    if len(found) == 1:
        return found.pop()
    if len(decided) != 1:
        return "depends on the world" if decided else OPEN
    return f"{decided.pop()} where {'decided' if OPEN in found else 'testable'}"


def judge_study(study: xr.Dataset, world: str, measures: Sequence[Measure] = MEASURES) -> dict[str, dict[str, Cell]]:
    """Cells by claim and reading of one study in this process, as its saved effects would give them.

    Args:
        study: what `studies.controlled.run` returns, with the design seeds and the fresh ones.
        world: "bandit" or "tree".
        measures: what is measured for each claim.

    Returns:
        Id of a claim -> reading -> its cell, which has the verdict. Claims whose effect is no number in some seed, as
        in runs of a few draws, are left out.
    """
    ledger = {c.id: c for c in load_claims() if c.experiment}
    setting = recorded({"": study}, "", measures)["settings"][""]
    claims = setting["claims"]
    known = {id: own for id, own in claims.items() if all(np.isfinite(x).all() for x in own.values())}
    return verdicts_of({**setting, "claims": known}, ledger, world)


def sentence(id: str, cells: Mapping[str, Cell]) -> str:
    """One claim with its cells, for captions."""
    claim = next(c for c in load_claims() if c.id == id)
    parts = MEASURED[id].parts
    told = "; ".join(
        f"{reading} **{cell.verdict}**{cell_text(cell, parts).removeprefix(cell.verdict)}"
        for reading, cell in cells.items()
    )
    return f"{claim.statement} {told[0].upper()}{told[1:]}."


READING = (
    "How to read it: an effect compares methods within a seed and is positive in the direction of the paper's claim; "
    "means over all seeds with 95% t intervals (shares: exact ones). The margin d was fixed for each claim before "
    "this rule judged it. *Supported*: larger than d; *reversed*: below -d; *no effect*: within -d and d (two "
    "one-sided tests); else *inconclusive*; *not testable* where there is nothing to test. Verdicts are corrected by "
    "Holm over the claims of one reading, intervals are not. Equal step is the paper's comparison, matched budget "
    "compares methods that have learnt equally much; they are two questions, and their verdicts are not joined. A "
    "claim of several parts is supported if each part is; one part that is reversed, or within the margin, decides "
    "against it. The part that the verdict rests on comes first. d33: the effect that the published comparison had "
    "33% power to detect, were its questions two independent sets."
)


def told(finding: Finding) -> str:
    """The cells of a finding in words: verdict, effect with interval, margin, seeds, and the part that it rests on."""
    return "; ".join(f"{reading} {cell_text(cell, finding.parts)}" for reading, cell in finding.cells.items())


def cell_text(cell: Cell, parts: Sequence[str]) -> str:
    """One cell in words; of several parts the one that the verdict rests on comes first."""
    if cell.verdict == UNTESTABLE:
        return f"{UNTESTABLE} ({cell.reason})"
    unit, several = cell.margin.unit, len(cell.parts) > 1
    order = [cell.blocking, *(i for i in range(len(cell.parts)) if i != cell.blocking)]
    effects = [
        f"{(p := cell.parts[i]).mean:+.3g} [{p.low:+.3g}, {p.high:+.3g}] {unit}" + f", {parts[i]}" * several
        for i in order
    ]
    seen = f", {cell.telescope()}" if cell.telescope() else ""
    return f"{cell.verdict} ({'; '.join(effects)}; d = {cell.margin.size:g}{seen}; {cell.seeds} seeds)"


def in_other_settings(elsewhere: Mapping[str, Mapping[str, str]]) -> str:
    """Verdicts by setting and reading as a sentence that follows another one, or nothing.

    >>> in_other_settings({"SGD": {"equal step": "supported", "matched budget": "inconclusive"}})
    ' In other settings: SGD: supported, inconclusive at matched budget.'
    """
    words = []
    for setting, readings in elsewhere.items():
        first, *rest = readings.items()
        words.append(f"{setting}: {first[1]}" + "".join(f", {verdict} at {name}" for name, verdict in rest))
    return f" In other settings: {'; '.join(words)}." if words else ""
