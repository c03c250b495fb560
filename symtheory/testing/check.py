"""Which laws an estimator obeys, and the smallest group that breaks each of the others."""

import itertools
import random
import re
from collections.abc import Iterable
from dataclasses import dataclass

import hypothesis
import numpy as np
from hypothesis import HealthCheck
from hypothesis.errors import NoSuchExample

from .. import estimators
from ..errors import no_such
from ..estimators.base import Rewards
from .invariants import INVARIANTS
from .strategies import batches
from .target import Backend, Target, as_target, show


@dataclass(frozen=True)
class Finding:
    """What was found about one law."""

    name: str
    holds: bool | None
    """None: the law says nothing about the rewards that the estimator is defined for."""
    counterexample: np.ndarray | None
    """Rewards `[P, G]` on which it fails, as few as could be found; None if it holds."""
    advantages: np.ndarray | None
    """What the estimator gave for them."""
    note: str = ""
    """What the estimator raised on them, if it did."""


@dataclass(frozen=True)
class Report:
    """All findings about one estimator."""

    estimator: str
    findings: tuple[Finding, ...]

    def __getitem__(self, law: str) -> Finding:
        return next(f for f in self.findings if f.name == law)

    @property
    def laws(self) -> frozenset[str]:
        """Names of the laws that hold."""
        return frozenset(f.name for f in self.findings if f.holds)


def check_estimator(
    f,
    *,
    rewards: Rewards = "real",
    backend: Backend | None = None,
    laws: Iterable[str] | None = None,
    examples: int = 100,
    time_limit: float = 10.0,
) -> Report:
    """Find out which laws an estimator obeys.

    All small batches of telling rewards are tried first, in order of size, so that counterexamples are minimal and
    always the same; the laws that survive them are given to Hypothesis together.

    Args:
        f: a registered name, an `Estimator`, or a callable over rewards `[prompts, G]` (see `as_target`).
        rewards: rewards that a callable is defined for: `"real"`, `"unit"` ([0, 1]) or `"binary"`.
        backend: arrays that a callable wants, if it cannot be told from its code.
        laws: names of laws to check, default all of `INVARIANTS`.
        examples: random batches for the laws that survive the small ones.
        time_limit: seconds that one call may take.

    Raises:
        InputError: an unknown law, or a callable that cannot be checked: it raises on an ordinary batch, returns the
            wrong shape, changes its input, is random, or hangs.

    >>> report = check_estimator("positive_dominant", laws=["zero_sum"])
    >>> report["zero_sum"].counterexample
    array([[0., 1.]])
    """
    chosen = law_names(INVARIANTS if laws is None else laws)
    target = as_target(f, rewards=rewards, backend=backend, time_limit=time_limit)
    stock = [r for r in small_batches() if target.admits(r)]
    findings = {law: _first_failure(target, law, stock) for law in chosen}
    if examples:
        surviving = [law for law, finding in findings.items() if finding.holds]
        findings |= {finding.name: finding for finding in _search(target, surviving, examples)}
    return Report(target.name, tuple(findings.values()))


def assert_laws(f, laws: str | Iterable[str], **options) -> None:
    """Fail with a test to paste when an estimator breaks one of `laws` (names, or one string of names).

    `options` are those of `check_estimator`. In a trainer's own test suite:

    >>> from symtheory.testing import assert_laws
    >>> def test_our_advantages_keep_the_laws_of_grpo():
    ...     assert_laws("grpo", "zero_sum degenerate_zero finite sign_correct")
    """
    report = check_estimator(f, laws=laws.split() if isinstance(laws, str) else laws, **options)
    broken = [finding for finding in report.findings if finding.holds is False]
    if broken:
        names = ", ".join(finding.name for finding in broken)
        tests = "\n\n".join(as_test(report.estimator, finding) for finding in broken)
        raise AssertionError(f"{report.estimator} breaks {names}:\n\n{tests}")


def law_names(names: Iterable[str]) -> tuple[str, ...]:
    """The names, refused with an `InputError` where there is no such law."""
    names = tuple(names)
    for name in names:
        if name not in INVARIANTS:
            raise no_such("invariant", name, INVARIANTS)
    return names


def as_test(estimator: str, finding: Finding) -> str:
    """A counterexample as a test to paste: it fails until the estimator is repaired.

    >>> print(as_test("raft", check_estimator("raft", laws=["zero_sum"])["zero_sum"]))
    def test_raft_zero_sum():
        from symtheory.testing import invariants
    <BLANKLINE>
        # The advantages of every group sum to 0: C = 0, Eq. 5 and Theorem 1 of arXiv:2602.05548.
        # Found: advantages [[0.0, 2.0]]
        assert invariants.zero_sum("raft", [[0.0, 1.0]])
    """
    assert finding.counterexample is not None
    name = re.sub(r"\W+", "_", estimator.rpartition("/")[2]).strip("_").lower()
    tools, subject = "invariants", estimator
    if ":" in estimator:
        tools, subject = "invariants, load", f'load("{estimator}")'
    elif estimator in estimators.names():
        subject = f'"{estimator}"'
    result = finding.note or f"advantages {show(_readable(finding.advantages))}"
    return (
        f"def test_{name}_{finding.name}():\n"
        f"    from symtheory.testing import {tools}\n\n"
        f"    # {(INVARIANTS[finding.name].__doc__ or '').splitlines()[0]}\n"
        f"    # Found: {result}\n"
        f"    assert invariants.{finding.name}({subject}, {show(finding.counterexample)})"
    )


def small_batches() -> list[np.ndarray]:
    """Telling batches, smallest first: all binary ones of at most four rewards, then graded, signed and extreme ones.

    >>> [b.tolist() for b in small_batches()[:3]]
    [[[0.0, 0.0]], [[0.0, 1.0]], [[1.0, 0.0]]]
    """
    zero_one, thirds = (0.0, 1.0), (0.0, 0.5, 1.0)
    batches = [np.array([r]) for size in (2, 3, 4) for r in itertools.product(zero_one, repeat=size)]
    batches += [np.reshape(r, (2, 2)) for r in itertools.product(zero_one, repeat=4)]
    batches += [np.array([r]) for size in (2, 3) for r in itertools.product(thirds, repeat=size) if 0.5 in r]
    batches += [np.full((1, size), value) for size in (2, 3, 4) for value in (0.1, 0.7, 0.9, 1 / 3)]
    graded = [[0.2, 0.0], [0.9, 1.0], [0.1, 0.6], [0.3, 0.3 + 1e-9], [0.1, 0.2, 0.7], [0.1, 0.1, 0.1 + 1e-12]]
    graded += [[0.1, 0.1, 0.6, 0.6], [0.1, 0.4, 0.5, 0.2]]
    real = [[-1.0, 1.0], [-1.0, -1.0], [1000.0, 0.0], [1000.5, 1000.0], [1e-8, 0.0], [1e15, 0.0], [0.0, 1e-15]]
    real += [[-1e15, 1e15], [-1.0, 0.3, 2.0], [1000.5, 1000.0, 1000.0], [-1.0, -1.0, 1.0, 1.0]]
    batches += [np.array([r]) for r in graded + real]
    batches += [
        np.array(r)
        for r in (
            [[0.1, 0.6], [0.5, 1.0]],
            [[0.0, 0.0], [0.9, 1.0]],
            [[1.0, 1.0], [0.0, 0.01]],
            [[0.0, 0.5], [0.0, 0.0]],
            [[-1.0, 1.0], [0.0, 5.0]],
        )
    ]
    by_count = [np.array([1.0] * k + [0.0] * (size - k)) for size in (3, 4, 5, 8) for k in range(size + 1)]
    batches += [r[None] for r in by_count if len(r) > 4]
    batches += [
        np.stack([r, other]) for r in by_count for other in by_count[::3] if len(r) == len(other) and len(r) in (4, 8)
    ]
    batches += [np.stack([r, other, other, other]) for r in by_count[-8:-1] for other in (by_count[-9], by_count[-1])]
    batches += [np.full((1, size), value) for size in (5, 8) for value in (0.1, 0.7, 0.9, 1 / 3)]
    return sorted(batches, key=lambda r: r.size > 4)


def _first_failure(f: Target, law: str, stock: list[np.ndarray]) -> Finding:
    """The first small batch that breaks the law."""
    applies = False
    for r in stock:
        answer = INVARIANTS[law](f, r)
        applies |= answer is not None
        if answer is False:
            return _finding(f, law, r)
    return Finding(law, True if applies else None, None, None)


def _search(f: Target, laws: list[str], examples: int) -> list[Finding]:
    """Batches found by Hypothesis, shrunk, that break laws which all small batches keep."""
    quiet = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
    settings = hypothesis.settings(max_examples=examples, database=None, deadline=None, suppress_health_check=quiet)

    def broken(r: np.ndarray) -> list[str]:
        return [law for law in laws if INVARIANTS[law](f, r) is False] if f.admits(r) else []

    found: list[Finding] = []
    while laws:
        try:
            r = hypothesis.find(
                batches(f.rewards), lambda r: bool(broken(r)), settings=settings, random=random.Random(0)
            )
        except NoSuchExample:
            break
        found += [_finding(f, law, r) for law in broken(r)]
        laws = [law for law in laws if law not in {finding.name for finding in found}]
    return found


def _finding(f: Target, law: str, r: np.ndarray) -> Finding:
    shown = r.astype(np.float32) if law == "dtype_stability" else r
    error = f.error_on(shown)
    return Finding(law, False, r, f(shown), f"raised {error}" if error else "")


def _readable(a: np.ndarray | None) -> np.ndarray:
    """Numbers to six significant digits."""
    return np.vectorize(lambda x: float(f"{x:.6g}"))(a)
