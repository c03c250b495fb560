"""The ledger of claims: `claims.toml` joined with proofs and with the verdicts of experiments.

A claim that can be proved names theorems; its recorded verdict must be the one that their proofs yield. An empirical
claim names the worlds that test it and stays open until one of them has written `verdicts/<world>.json`.
"""

import json
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .. import paths
from ..errors import InputError
from ..theory.proofs import Checked, exact_text

WORLDS = ("bandit", "tree", "replay")
FOUND = ("found", "contradicted", "undecided")
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
    """What holds, in our words."""
    verdict: str
    """exact, holds when, fails, or open."""
    test: str
    """The test that derives it again."""
    when: str = ""
    proof: tuple[str, ...] = ()
    """Theorems whose verdicts are the claim's."""
    refuted_by: tuple[str, ...] = ()
    """Theorems which, if they hold, contradict the claim."""
    experiment: tuple[str, ...] = ()
    """Worlds in which an empirical claim is measured."""


@dataclass(frozen=True)
class Finding:
    """The verdict of one world on an empirical claim, as an experiment wrote it."""

    world: str
    verdict: str
    effect: float
    interval: tuple[float, float]
    unit: str
    seeds: int
    command: str
    note: str
    elsewhere: Mapping[str, str] = field(default_factory=dict)
    """Verdicts in the world's other settings, by their names."""


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


def load_claims(path: Path | None = None) -> tuple[Claim, ...]:
    """The claims of a ledger file (default: the one of this package); raises `InputError` where it is malformed."""
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
    lists = {key: tuple(entry.get(key, ())) for key in ("proof", "refuted_by", "experiment")}
    try:
        claim = Claim(**{**entry, **lists})
    except TypeError as error:
        raise InputError(f"claim {entry.get('id', '?')!r}: {str(error).split('() ')[-1]}") from None
    if bool(claim.experiment) == bool(claim.proof + claim.refuted_by):
        raise InputError(f"claim {claim.id!r} must name either theorems (proof, refuted_by) or worlds (experiment)")
    return claim


def load_findings(folder: Path | None = None) -> dict[str, tuple[Finding, ...]]:
    """Verdicts of experiments by claim id, from `<world>.json` files; raises `InputError` where one is malformed."""
    folder, found = folder or HERE / "verdicts", {}
    for world in WORLDS:
        path = folder / f"{world}.json"
        if not path.exists():
            continue
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            for id, entry in content.items():
                found.setdefault(id, []).append(_finding(world, entry))
        except (json.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(f"verdicts of the {world} world cannot be read: {type(error).__name__}: {error}") from None
    return {id: tuple(entries) for id, entries in found.items()}


def committed_figures() -> tuple[str, ...]:
    """The published figures of the repository, as paths below `figures` without suffix; none in an installed package.

    They are listed in `figures/committed.txt`, so that what a command writes beside them is never taken for published.
    """
    root = paths.checkout()
    return tuple((root / "figures" / "committed.txt").read_text(encoding="utf-8").split()) if root else ()


def _finding(world: str, entry: dict[str, Any]) -> Finding:
    low, high = entry["interval"]
    finding = Finding(world, **{**entry, "interval": (float(low), float(high)), "effect": float(entry["effect"])})
    for verdict in (finding.verdict, *finding.elsewhere.values()):
        if verdict not in FOUND:
            raise ValueError(f"verdict must be one of {', '.join(FOUND)}, got {verdict!r}")
    return finding


def in_other_settings(verdicts: Mapping[str, str]) -> str:
    """Verdicts by setting as a sentence that follows another one, or nothing.

    >>> in_other_settings({"SGD": "found", "Adam": "undecided"})
    ' In other settings: SGD: found; Adam: undecided.'
    """
    words = "; ".join(f"{setting}: {verdict}" for setting, verdict in verdicts.items())
    return f" In other settings: {words}." if words else ""


def theorem_row(checked: Checked) -> Row:
    """The row of a theorem."""
    theorem, proof, outcome = checked.theorem, checked.proof, checked.outcome
    if outcome is None:
        return Row(theorem.id, theorem.statement, "not proved", theorem.source, proof.method, False, {})
    parts = [outcome.method]
    if proof.method:
        parts.append(proof.method)
    if outcome.formulas:
        parts.append(f"{_count(outcome.formulas, 'formula')}, {outcome.settled} for all G")
    if outcome.certificates:
        parts.append(_count(outcome.certificates, "certificate"))
    if outcome.tried:
        parts.append(f"{outcome.tried} evaluations of the code")
    parts += [f"NOT RE-CHECKED: {complaint}" for complaint in outcome.complaints]
    statement = theorem.statement + (f" Holds when {proof.when}." if proof.when else "")
    example = {name: exact_text(value) for name, value in proof.counterexample.items()}
    method, verdict = "; ".join(parts), outcome.verdict
    return Row(
        theorem.id, statement, verdict, theorem.source, method, checked.rechecked, example, derived=checked.derived
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
    if derived != claim.verdict:
        method += f"; the ledger records {claim.verdict!r}, the proofs give {derived!r}"
    example = next((r.counterexample for r in theorems if r.counterexample), {})
    return Row(claim.id, _with_condition(claim), derived, claim.source, method, rechecked, example)


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
    verdicts = {f.verdict for f in findings}
    sound = all(f.interval[0] <= f.effect <= f.interval[1] and f.seeds >= 2 for f in findings)
    lines = (
        f"{f.world}: {f.verdict}, {f.effect:.4g} [{f.interval[0]:.4g}, {f.interval[1]:.4g}] {f.unit}, "
        f"{f.seeds} seeds, `{f.command}`" + (f" ({f.note})" if f.note else "") + in_other_settings(f.elsewhere)
        for f in findings
    )
    verdict = verdicts.pop() if len(verdicts) == 1 else "depends on the world"
    return Row(claim.id, claim.statement, verdict, claim.source, "; ".join(lines), sound, {})
