"""Theorems, what a derivation writes down for them, and the re-check of that by another program.

A theorem is a function that returns a `Proof`; its docstring is the statement. The statement's formulas stand in it
between backticks, and they are what is proved: `proved()` is enough for a theorem that is its formulas. A proof may
also hold polynomial certificates, named trials (`recheck.trials`), and, for a statement that is false, the group at
which it is. `record` writes all of it as plain data, and `recheck.program` decides from that, without sympy.
"""

import inspect
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from ..estimators import Estimator
from .algebra import NotProved
from .certificates import Certificate
from .recheck import groups, program
from .recheck.formulas import estimators_in, formulas, in_statement
from .recheck.program import IDENTITY, METHODS, TO_N, Outcome
from .recheck.ratios import Missing, Table, Unsigned, settled
from .surds import surd

Verdict = Literal["exact", "holds when", "fails", "not established", "not proved"]


@dataclass(frozen=True)
class Proof:
    """What a theorem's derivation yields, complete enough to be re-checked by itself."""

    verdict: Verdict
    method: str = ""
    """How, in words, where the certificates do not say it."""
    certificates: tuple[Certificate, ...] = ()
    counterexample: Mapping[str, Any] = field(default_factory=dict)
    """Exact numbers that show where the statement fails."""
    when: str = ""
    """The condition of a verdict *holds when*."""
    formulas: tuple[str, ...] = ()
    """Formulas that hold, besides those of the statement."""
    refuted: tuple[str, ...] = ()
    """Formulas that are false at the group (K, G, omega) of the counterexample."""
    named: tuple[tuple[str, Mapping[str, Any]], ...] = ()
    """Trials of `recheck.trials` by name, with their arguments as plain data."""
    rests_on: str = ""
    """Which of `recheck.program.METHODS` the statement rests on, where it is not the weakest that was used."""


@dataclass(frozen=True)
class Theorem:
    """A statement with its source in the literature and the function that proves it."""

    id: str
    statement: str
    source: str
    derive: Callable[[], Proof]


@dataclass(frozen=True)
class Checked:
    """A theorem with its proof and the outcome of the re-check."""

    theorem: Theorem
    proof: Proof
    rechecked: bool
    trials: int
    outcome: Outcome | None = None
    derived: bool = True
    """Whether it was derived now; otherwise its certificate was kept from an earlier run of the same code."""


THEOREMS: dict[str, Theorem] = {}
"""Theorems by id; a module of `theorems` fills it when it is imported."""
FAMILIES: dict[str, tuple[Callable[[Estimator], Proof], str]] = {}
"""Theorems about each estimator: name -> (function, source)."""


def theorem(source: str) -> Callable:
    """Register a function `() -> Proof` under its own name; the docstring is the statement."""

    def register(function: Callable[[], Proof]) -> Callable[[], Proof]:
        THEOREMS[function.__name__] = Theorem(function.__name__, statement_of(function), source, function)
        return function

    return register


def theorem_of_each_estimator(source: str) -> Callable:
    """Register `(estimator) -> Proof` once per registered estimator, under `function_name:estimator_name`."""

    def register(function: Callable[[Estimator], Proof]) -> Callable[[Estimator], Proof]:
        FAMILIES[function.__name__] = (function, source)
        return function

    return register


def proved(*more: str, **rest: Any) -> Proof:
    """The proof of a statement that is its formulas (and `more` of them)."""
    return Proof("exact", formulas=more, **rest)


def check(theorem: Theorem, seed: int = 0) -> Checked:
    """Derive the proof of a theorem and re-check it by the second path.

    >>> from symtheory.theory.theorems import find
    >>> check(find("zero_sum:grpo")).rechecked
    True
    """
    try:
        proof = theorem.derive()
        entry = record(theorem, proof)
    except NotProved as error:
        return Checked(theorem, Proof("not proved", str(error)), False, 0)
    except Exception as error:  # edited code may fail in any way, and must fail its own row only
        return Checked(theorem, Proof("not proved", f"{type(error).__name__}: {error}"), False, 0)
    return recheck(theorem, proof, entry, seed)


def from_entry(theorem: Theorem, entry: Mapping[str, Any], seed: int = 0) -> Checked:
    """The outcome of the re-check of a kept entry, without deriving anything."""
    proof = Proof(entry["verdict"], entry["how"], counterexample=entry["counterexample"], when=entry["when"])
    checked = recheck(theorem, proof, entry, seed)
    return replace(checked, derived=False)


def recheck(theorem: Theorem, proof: Proof, entry: Mapping[str, Any], seed: int = 0) -> Checked:
    """The outcome of the re-check of an entry."""
    outcome = program.check(entry, seed)
    if not (outcome.formulas or outcome.certificates or outcome.tried):
        outcome = replace(outcome, complaints=(*outcome.complaints, "nothing was checked"))
    return Checked(theorem, proof, outcome.rechecked, outcome.tried, outcome)


def outline(theorem: Theorem, proof: Proof) -> dict[str, Any]:
    """A proof as plain data: what a file of certificates holds of it, with the texts of formulas only."""
    texts = [f.text for f in in_statement(theorem.statement) if f.text not in proof.refuted]
    texts = list(dict.fromkeys([*texts, *proof.formulas]))
    found = {
        "id": theorem.id,
        "statement": theorem.statement,
        "source": theorem.source,
        "verdict": proof.verdict,
        "when": proof.when,
        "how": proof.method,
        "rests_on": proof.rests_on or (IDENTITY if proof.certificates and not texts and not proof.named else ""),
        "formulas": texts,
        "refuted": proof.refuted,
        "certificates": [asdict(c) for c in proof.certificates],
        "trials": [{"name": name, "args": dict(args)} for name, args in proof.named],
        "counterexample": {name: exact_text(value) for name, value in proof.counterexample.items()},
    }
    if proof.refuted:
        found["at"] = {k: str(v) for k, v in proof.counterexample.items() if k in ("K", "G", "omega")}
    return json.loads(json.dumps(found))


def record(theorem: Theorem, proof: Proof) -> dict[str, Any]:
    """The outline of a proof, with what the certificate says of each formula and the forms of the estimators in it."""
    from .statements import table_of

    found = outline(theorem, proof)
    table = table_of([f for text in found["formulas"] for f in formulas(text)])
    entries = []
    for text in found["formulas"]:
        method, parts = _parts(text, table)
        entries.append({"text": text, "method": method, "parts": parts})
    return {**found, "formulas": entries, "table": {k: v for k, v in asdict(table).items() if v}}


def departures(entry: Mapping[str, Any], theorem: Theorem) -> list[str]:
    """What a kept entry says otherwise than the derivation does now: a trial, formula or certificate that it lacks."""
    kept = {**entry, "formulas": [f["text"] for f in entry["formulas"]]}
    return [key for key, value in outline(theorem, theorem.derive()).items() if kept.get(key) != value]


def _parts(text: str, table: Table) -> tuple[str, list[dict[str, Any]]]:
    """Whether a formula's certificate proves it for all G, and what the certificate says of its parts."""
    parts = []
    for formula in formulas(text):
        try:
            if not settled(formula, table, lean=True):
                raise NotProved(f"`{formula.text}` does not follow from the code: {_first_failure(formula)}")
            parts.append(program.claims_of(formula, table))
        except (Unsigned, Missing, ZeroDivisionError):
            return TO_N, [{} for _ in formulas(text)]
    return IDENTITY, parts


def _first_failure(formula: Any) -> str:
    return groups.holds_on(formula, "numpy", 0)[1] or "no group shows it"


def exact_text(value: Any) -> str:
    """Exact numbers as text (fractions and surds), in lists and dicts too; very long ones also as a decimal."""
    if isinstance(value, list | tuple):
        return "(" + ", ".join(exact_text(v) for v in value) + ")"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{exact_text(k)}: {exact_text(v)}" for k, v in value.items()) + "}"
    text = str(value)
    return text if len(text) <= 80 else f"{float(value):.15g} (rounded)"


def same(a, b) -> bool:
    """Equality of two exact numbers (to 50 digits, which only numbers containing `exp` need)."""
    return groups.exactly("=", surd(a) - surd(b))


def mixed_groups(estimator: Estimator, largest: int = 12, least: int = 1) -> Iterator[tuple[int, int]]:
    """(K, G) of every mixed group with G <= `largest` and at least `least` rollouts of each kind.

    For pass@k training only G - K >= k: with fewer wrong rollouts every k-subset passes and A = 0.
    """
    wrong = max(least, estimator.params.get("k", 1))
    for size in range(max(2, estimator.min_size), largest + 1):
        yield from ((correct, size) for correct in range(least, size - wrong + 1))


def statement_of(function: Callable) -> str:
    """The first paragraph of a docstring, on one line."""
    doc = inspect.getdoc(function)
    assert doc, f"theorem {function.__name__} has no statement"
    return " ".join(doc.split("\n\n")[0].split())


__all__ = ["METHODS", "Certificate", "Proof", "Theorem", "check", "estimators_in", "proved", "record", "theorem"]
