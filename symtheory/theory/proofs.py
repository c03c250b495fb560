"""Theorems, their proof objects, and the second path that re-checks them.

A theorem is a function that derives a `Proof` from the estimators' code; its docstring is the statement. A proof
holds certificates (polynomial identities, re-checked by `certificates.py` without sympy) and trials: exact
evaluations of the estimators on groups of real rewards, re-checked with `surds.py`, which also knows no sympy. What
fails carries a counterexample in exact numbers, and its trials evaluate that counterexample.
"""

import inspect
import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Literal

from ..estimators import Estimator
from .algebra import NotProved
from .certificates import Certificate
from .surds import surd

Verdict = Literal["exact", "holds when", "fails", "not proved"]
TOLERANCE = Fraction(1, 10**50)
"""Equality of exact numbers: only numbers that contain `exp` are rounded, at the 80th digit."""


@dataclass(frozen=True)
class Proof:
    """What a theorem's derivation yields, complete enough to be re-checked by itself."""

    verdict: Verdict
    method: str
    certificates: tuple[Certificate, ...] = ()
    trials: Callable[[], Iterable[bool]] = tuple
    """Exact evaluations, each True if it agrees with the verdict; a proof needs a certificate or a trial."""
    counterexample: Mapping[str, Any] = field(default_factory=dict)
    """Exact numbers that show where the statement fails."""
    when: str = ""
    """The condition of a verdict *holds when*."""


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


def check(theorem: Theorem) -> Checked:
    """Derive the proof of a theorem and re-check it by the second path.

    >>> from symtheory.theory.theorems import find
    >>> check(find("zero_sum:grpo")).rechecked
    True
    """
    try:
        proof = theorem.derive()
    except NotProved as error:
        return Checked(theorem, Proof("not proved", str(error)), False, 0)
    rechecked, trials = recheck(proof)
    return Checked(theorem, proof, rechecked, trials)


def recheck(proof: Proof, seed: int = 0) -> tuple[bool, int]:
    """Whether every certificate and every trial of a proof holds, and the number of trials.

    Certificates are expanded with rational arithmetic and evaluated at random rational points; neither uses sympy.
    """
    sound = all(c.holds() and _vanishes_at_random(c, seed) for c in proof.certificates)
    outcomes = [bool(ok) for ok in proof.trials()]
    return sound and all(outcomes) and bool(proof.certificates or outcomes), len(outcomes)


def _vanishes_at_random(certificate: Certificate, seed: int, points: int = 2) -> bool:
    """Whether both sides agree at random rational points, by substitution instead of expansion."""
    rng = random.Random(seed)
    names = certificate.variables()
    draws = ({v: Fraction(rng.randint(-99, 99), rng.randint(1, 99)) for v in names} for _ in range(points))
    return all(certificate.residual_at(point) == 0 for point in draws)


def same(a, b) -> bool:
    """Equality of two exact numbers (to 50 digits, which only numbers containing `exp` need)."""
    a, b = surd(a), surd(b)
    return a == b or abs(a.rational() - b.rational()) < TOLERANCE


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
