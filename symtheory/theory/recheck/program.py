"""Reads certificates and decides about each statement again: what holds, by which method, and which verdict follows."""

import json
import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from ..certificates import Certificate, add, multiply, parse
from . import groups, trials
from .formulas import Formula, estimators_in, formulas, in_statement, tree, walk
from .ratios import Missing, Table, Unsigned, cross_products, divide, ratio_text, settled, sides, text_of
from .trials.base import IDENTITY, METHODS, POINTS, TO_N, disagreement

LONGEST = 6_000
"""Characters of a claim up to which it is written out with its cofactors; longer ones are reduced step by step."""


@dataclass(frozen=True)
class Outcome:
    """What the re-check of one entry found."""

    id: str
    verdict: str
    """The verdict that follows from what was checked."""
    method: str
    """One of `METHODS`."""
    complaints: tuple[str, ...]
    """Why the entry is not re-checked; empty if it is."""
    formulas: tuple[str, ...]
    settled: int
    """Formulas proved for all G."""
    certificates: int
    trials: int
    tried: int
    """Groups and points at which the code was run."""

    @property
    def rechecked(self) -> bool:
        return not self.complaints


def read(path: Path) -> list[dict[str, Any]]:
    """Entries of a file of certificates."""
    return json.loads(path.read_text(encoding="utf-8"))["theorems"]


def check_all(entries: Iterable[Mapping[str, Any]], seed: int | None = None) -> Iterator[Outcome]:
    """Re-check every entry; `seed` draws the groups above the exhaustive ones, a new one each time by default."""
    seed = secrets.randbelow(10**6) if seed is None else seed
    for entry in entries:
        yield check(entry, seed)


def check(entry: Mapping[str, Any], seed: int = 0) -> Outcome:
    """Re-check one entry; what goes wrong in it is a complaint, never an exception."""
    state = _State(entry, seed)
    for part in (_statement, _forms, _formulas, _refuted, _certificates, _trials, _verdict):
        try:
            part(state)
        except Exception as error:  # an edited certificate may fail in any way, and must fail its own row only
            state.complaints.append(f"{part.__name__.strip('_')}: {type(error).__name__}: {error}")
    return Outcome(
        entry.get("id", "?"),
        state.verdict,
        state.method(),
        tuple(state.complaints),
        tuple(state.formulas),
        state.settled,
        state.certificates,
        state.trials,
        state.tried,
    )


class _State:
    """The entry, and what has been found about it so far."""

    def __init__(self, entry: Mapping[str, Any], seed: int) -> None:
        self.entry, self.seed = entry, seed
        self.complaints: list[str] = []
        self.methods: list[str] = []
        self.formulas: list[str] = []
        self.settled = self.certificates = self.trials = self.tried = 0
        self.supports: set[str] = set()
        self.verdict = "not proved"
        t = entry.get("table", {})
        self.table = Table(
            tuple(t.get("roots", ())),
            dict(t.get("squares", {})),
            {k: tuple(v) for k, v in t.get("functions", {}).items()},
            t.get("forms", {}),
        )

    def method(self) -> str:
        """What the statement rests on: the declared method, if it was done, or the weakest of all that were used."""
        declared = self.entry.get("rests_on", "")
        found = sorted(self.methods, key=METHODS.index)
        if declared == IDENTITY and (self.settled < len(self.formulas) or not self.settled + self.certificates):
            declared = ""  # some formula was only tried on groups
        if found and declared not in ("", IDENTITY, *found) and METHODS.index(declared) < METHODS.index(found[-1]):
            declared = ""  # it was not done, and something weaker was
        return declared or (found[-1] if found else "nothing")


def _statement(state: _State) -> None:
    """Every formula that the statement shows is among those that are checked."""
    listed = [f["text"] for f in state.entry.get("formulas", ())] + list(state.entry.get("refuted", ()))
    for formula in in_statement(state.entry["statement"]):
        if formula.text not in listed:
            state.complaints.append(f"the statement's `{formula.text}` is not checked")


def _forms(state: _State) -> None:
    """The closed forms of the certificate are what the code computes."""
    least: dict[str, tuple[int, int]] = {}
    for entry in state.entry.get("formulas", ()):
        for formula in formulas(entry["text"]):
            for spec in estimators_in(formula):
                a, b = least.get(spec, formula.least), formula.least
                if entry.get("method") == IDENTITY:
                    least[spec] = min(a[0], b[0]), min(a[1], b[1])
    for spec, smallest in least.items():
        complaint = groups.code_matches_forms(spec, state.table.forms[spec], smallest, state.seed)
        if complaint:
            state.complaints.append(f"the code is not the form in the certificate: {complaint}")


def _formulas(state: _State) -> None:
    for entry in state.entry.get("formulas", ()):
        for formula, claims in zip(formulas(entry["text"]), entry["parts"], strict=True):
            state.formulas.append(entry["text"])
            for holds in (
                lambda f: groups.holds_on(f, "numpy", state.seed),
                lambda f: groups.holds_on(f, "jax", state.seed),
                lambda f: groups.holds_exactly(f, seed=state.seed),
            ):
                tried, complaint = holds(formula)
                state.tried += tried
                if complaint:
                    state.complaints.append(complaint)
            proved = entry["method"] == IDENTITY and _settled(state, formula, claims)
            state.settled += proved
            state.methods.append(IDENTITY if proved else TO_N)
        state.supports.add("exact")


def _settled(state: _State, formula: Formula, claims: Mapping[str, Any]) -> bool:
    """Whether the certificate proves the formula for all G; a wrong certificate is a complaint."""
    try:
        if not settled(formula, state.table, claims.get("lean", False)):
            state.complaints.append(f"`{formula.text}` does not follow from the forms in the certificate")
            return False
    except (Missing, Unsigned) as error:
        state.complaints.append(f"`{formula.text}`: {error}")
        return False
    if "cofactors" in claims:
        left, right, claim = cross_products(formula, state.table)
        if (claims["left"], claims["right"]) != (left, right):
            state.complaints.append(f"the claim of `{formula.text}` is not what the formula says")
        if add(parse(claims["left"]), _negative(parse(claims["right"]))) != claim:
            state.complaints.append(f"the two sides of `{formula.text}` do not have its difference")
        rules = state.table.rules
        parts = [multiply(parse(q), add(parse(f"{v}**2"), _negative(rules[v]))) for v, q in claims["cofactors"].items()]
        if add(*parts) != claim:
            state.complaints.append(f"the cofactors of `{formula.text}` do not give its claim")
        state.certificates += 1
    return True


def _negative(p: Any) -> Any:
    return {m: -c for m, c in p.items()}


def claims_of(formula: Formula, table: Table) -> dict[str, Any]:
    """What a certificate says about one formula: both sides, the claim before simplification, and its cofactors."""
    if formula.relation != "=":
        left, right, _ = sides(formula, table)
        return {"left": ratio_text(left), "right": ratio_text(right), "sign": "coefficients"}
    left, right, claim = cross_products(formula, table)
    if len(left) + len(right) > LONGEST:
        return {"lean": True}
    cofactors, _ = divide(claim, table.rules)
    return {"left": left, "right": right, "cofactors": {v: text_of(q) for v, q in cofactors.items()}}


def _refuted(state: _State) -> None:
    """Formulas that a statement of verdict *fails* claims, each false at the recorded group."""
    wanted = state.entry.get("refuted", ())
    if not wanted:
        return
    at = state.entry["at"]
    k, size, w = int(at["K"]), int(at["G"]), Fraction(at.get("omega", "1/3"))
    for text in wanted:
        false = []
        for formula in formulas(text):
            point = groups.Exact(formula.estimator, {}, k, size - k, w)
            left, right = (walk(tree(side), point) for side in (formula.left, formula.right))
            false.append(not groups.exactly(formula.relation, groups.surd(left) - groups.surd(right)))
            spec = formula.estimator
            plus, minus = groups.run_code(spec, {}, "numpy", _one(k, size, w, state.seed))
            exact = (point.quantity(spec, "Aplus"), point.quantity(spec, "Aminus"))
            for name, a, b in zip(("A+", "A-"), (plus[0], minus[0]), exact, strict=True):
                if abs(a - float(b)) > 1e-9 * (1 + abs(a)):
                    state.complaints.append(f"numpy gives {name} = {a} where exact numbers give {b}")
            state.tried += 1
        if not any(false):
            state.complaints.append(f"`{text}` holds at the recorded counterexample K = {k}, G = {size}, w = {w}")
    state.methods.append(POINTS)
    state.supports.add("fails")


def _one(k: int, size: int, w: Fraction, seed: int) -> tuple:
    import numpy as np

    return np.array([k]), np.array([size - k]), np.array([float(w)]), seed


def _certificates(state: _State) -> None:
    for entry in state.entry.get("certificates", ()):
        fields: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in entry.items()}
        certificate = Certificate(**fields)
        if not certificate.holds():
            state.complaints.append(f"a certificate does not hold: {certificate.meaning or certificate.claim[:80]}")
        if certificate.empty():
            state.complaints.append(f"a certificate is empty: {certificate.meaning}")
        state.certificates += 1
        state.methods.append(IDENTITY)
        state.supports.add("exact")


def _trials(state: _State) -> None:
    for entry in state.entry.get("trials", ()):
        trial = trials.get(entry["name"])
        answers = list(trial.run(state.seed, **entry.get("args", {})))
        state.trials += 1
        state.tried += len(answers)
        state.methods.append(trial.method)
        state.supports.add(trial.shows)
        wrong = [complaint for answer in answers if (complaint := disagreement(answer))]
        if wrong:
            state.complaints.append(f"trial {entry['name']}: {len(wrong)} of {len(answers)} do not agree: {wrong[0]}")
        if not answers:
            state.complaints.append(f"trial {entry['name']} tried nothing")


def _verdict(state: _State) -> None:
    """The verdict that follows, held against the recorded one."""
    if state.entry.get("when"):
        follows = "holds when"
    else:
        weaker = [v for v in ("fails", "not established") if v in state.supports]
        follows = weaker[0] if weaker else "exact" if state.supports else "not proved"
    state.verdict = "not proved" if state.complaints else follows
    if follows != state.entry["verdict"]:
        state.complaints.append(f"the entry records {state.entry['verdict']!r}, the check gives {follows!r}")
