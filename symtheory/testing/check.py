"""Which laws an estimator obeys, and the smallest group that breaks each of the others."""

import contextlib
import random
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import hypothesis
import numpy as np
from hypothesis import HealthCheck
from hypothesis.configuration import set_hypothesis_home_dir
from hypothesis.errors import NoSuchExample

from ..errors import InputError, no_such
from ..estimators.base import Rewards
from .calling.adapter import Layout
from .calling.arrays import Backend
from .evidence import as_test
from .invariants import INVARIANTS
from .stock import bfloat16_batches, large_batches, small_batches
from .strategies import batches
from .target import Raised, Target, as_target, show
from .verdict import Finding, judge, worse


@dataclass(frozen=True)
class Report:
    """All findings about one estimator."""

    estimator: str
    findings: tuple[Finding, ...]
    layout: str = "matrix"
    how: str = "matrix [prompts, G]"
    """The layout in words."""
    backend: str = "numpy"
    dtype: str = "float64"
    """All precisions it was judged in."""
    notes: tuple[str, ...] = ()
    """What else there is to know about how it was called, and what it does beyond the laws."""
    bfloat16: tuple[Finding, ...] = ()
    """What became of the laws on a few batches in bfloat16, for torch and jax code that runs in it."""
    options: dict = field(default_factory=dict)
    """The options of `as_target` that call it in this way again."""

    def __getitem__(self, law: str) -> Finding:
        return next(f for f in self.findings if f.name == law)

    @property
    def laws(self) -> frozenset[str]:
        """Names of the laws that hold, exactly or to rounding."""
        return frozenset(f.name for f in self.findings if f.exact)


def check_estimator(
    f,
    *,
    rewards: Rewards = "real",
    layout: Layout | None = None,
    backend: Backend | None = None,
    dtype: str | None = None,
    laws: Iterable[str] | None = None,
    examples: int = 100,
    time_limit: float = 10.0,
) -> Report:
    """Find out which laws an estimator obeys.

    All small batches of telling rewards are tried first, in order of size, so that counterexamples are minimal and
    always the same, then groups of up to 64; the laws that survive them are given to Hypothesis together. Where the
    estimator runs in several precisions, the worst verdict counts.

    Args:
        f: a registered name, an `Estimator`, or a callable in any layout (see `as_target`).
        rewards: rewards that a callable is defined for: `"real"`, `"unit"` ([0, 1]) or `"binary"`.
        layout, backend, dtype: how a callable is called, if it cannot be told from its code (see `as_target`).
        laws: names of laws to check, default all of `INVARIANTS`.
        examples: random batches for the laws that survive the small ones.
        time_limit: seconds that one call may take.

    Returns:
        The verdict on each law, with the smallest counterexample of a broken one.

    Raises:
        InputError: an unknown law, or a callable that cannot be checked: it raises on an ordinary batch, returns the
            wrong shape, changes its input, is random, or hangs.

    >>> report = check_estimator("positive_dominant", laws=["zero_sum"])
    >>> report["zero_sum"].counterexample
    array([[0., 1.]])
    """
    chosen = law_names(INVARIANTS if laws is None else laws)
    target = as_target(f, rewards=rewards, layout=layout, backend=backend, dtype=dtype, time_limit=time_limit)
    findings = {law: Finding(law, None) for law in chosen}
    for precision in target.dtypes:
        one = target.at(precision)
        stock = [r for r in _stock(precision == target.dtypes[0]) if one.admits(r)]
        for law in chosen:
            if findings[law].verdict != "fails":
                findings[law] = worse(findings[law], judge(one, law, stock))
    if examples:
        surviving = [law for law, finding in findings.items() if finding.holds]
        findings |= {finding.name: finding for finding in _search(target, surviving, examples)}
    rough = _in_bfloat16(target, chosen)
    notes = (*target.notes, *_beyond_the_laws(target), *_told(rough, findings))
    return Report(
        target.name,
        tuple(findings.values()),
        target.layout,
        target.how,
        target.backend,
        " and ".join(target.dtypes),
        notes,
        rough,
        {k: v for k, v in target.options.items() if v not in (None, "real")},
    )


def assert_laws(f, laws: str | Iterable[str], **options) -> None:
    """Fail with a test to paste when an estimator breaks one of `laws` (names, or one string of names).

    In a trainer's own test suite:

    Args:
        f: a registered name, an `Estimator`, or a callable in any layout.
        laws: names of laws, or one string of names.
        options: those of `check_estimator`.

    Raises:
        AssertionError: a law is broken; the message is a test that shows it.

    >>> from symtheory.testing import assert_laws
    >>> def test_our_advantages_keep_the_laws_of_grpo():
    ...     assert_laws("grpo", "zero_sum degenerate_zero finite sign_correct")
    """
    __tracebackhide__ = True  # pytest then shows the line that called, not this one
    report = check_estimator(f, laws=laws.split() if isinstance(laws, str) else laws, **options)
    broken = [finding for finding in report.findings if finding.holds is False]
    if broken:
        names = ", ".join(finding.name for finding in broken)
        tests = "\n\n".join(as_test(report, finding) for finding in broken)
        raise AssertionError(f"{report.estimator} breaks {names}:\n\n{tests}")


def law_names(names: Iterable[str]) -> tuple[str, ...]:
    """The names, refused with an `InputError` where there is no such law."""
    names = tuple(names)
    for name in names:
        if name not in INVARIANTS:
            raise no_such("invariant", name, INVARIANTS)
    return names


def _stock(first: bool) -> list[np.ndarray]:
    """Batches to judge on; in a second precision the smallest, those of equal rewards, and some large groups."""
    small, large = small_batches(), large_batches()
    return [*small, *large] if first else [*(r for r in small if r.size <= 3 or not np.ptp(r)), *large[:6]]


def _search(f: Target, laws: list[str], examples: int) -> list[Finding]:
    """Batches found by Hypothesis, shrunk, that break laws which all small batches keep."""
    quiet = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
    settings = hypothesis.settings(max_examples=examples, database=None, deadline=None, suppress_health_check=quiet)

    def broken(r: np.ndarray) -> list[str]:
        if not f.admits(r):
            return []
        suspects = [law for law in laws if INVARIANTS[law](f, r) is False]
        return [law for law in suspects if judge(f, law, [r]).verdict == "fails"]

    found: list[Finding] = []
    with _hypothesis_at_home():
        while laws:
            try:
                r = hypothesis.find(
                    batches(f.rewards), lambda r: bool(broken(r)), settings=settings, random=random.Random(0)
                )
            except NoSuchExample:
                break
            found += [judge(f, law, [r]) for law in broken(r)]
            laws = [law for law in laws if law not in {finding.name for finding in found}]
    return found


@contextlib.contextmanager
def _hypothesis_at_home() -> Iterator[None]:
    """Let Hypothesis keep its files in a temporary folder, not in the user's."""
    with tempfile.TemporaryDirectory() as folder:
        set_hypothesis_home_dir(folder)
        try:
            yield
        finally:
            set_hypothesis_home_dir(None)


def _beyond_the_laws(target: Target) -> Iterator[str]:
    """What a report should say besides: the state it keeps and its use of lengths."""
    if target.state:
        yield f"it keeps state across calls, in {target.state}; judged as if each call were its first"
    mixed = np.array([[1.0, 0.0, 0.0, 1.0], [0.0, 1.0, 0.0, 0.0]])
    if target.has_lengths and target.time_limit is not None:
        lengths = np.array([[1, 5, 3, 2], [4, 1, 2, 5]])
        equal, ragged = target(mixed), target(mixed, lengths=lengths)
        apart = float(np.abs(equal - ragged).max())
        yield (
            "rollouts of unequal lengths get the same advantages as equal ones"
            if apart <= 1e3 * target.unit_roundoff
            else f"advantages depend on the rollouts' lengths (by {apart:.2g} in a mixed group)"
        )


def _in_bfloat16(target: Target, laws: Iterable[str]) -> tuple[Finding, ...]:
    """The laws on a few batches of bfloat16, where torch and jax code runs in it."""
    one = target.at("bfloat16")
    if target.backend not in ("torch", "jax") or len(target.dtypes) < 2:
        return ()
    try:
        one.evaluate(np.array([[1.0, 0.0]]))
    except (Raised, InputError):
        return ()
    return tuple(judge(one, law, bfloat16_batches()) for law in laws)


def _told(rough: tuple[Finding, ...], findings: dict[str, Finding]) -> Iterator[str]:
    """What bfloat16 breaks that holds in the precisions judged."""
    broken = [f for f in rough if f.counterexample is not None and findings[f.name].holds]
    if broken:
        each = ", ".join(f"{f.name} ({f.size:.2g} at {show(f.sides[0].rewards)})" for f in broken)
        yield f"in bfloat16 these fail besides: {each}"
    elif rough:
        yield "in bfloat16 no further law fails"
