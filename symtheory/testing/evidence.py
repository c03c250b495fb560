"""A counterexample as a test to paste, run once to prove that it fails."""

import re
from typing import Any

import numpy as np

from .. import estimators
from .invariants import INVARIANTS
from .measure import Side
from .target import show
from .verdict import Finding


def as_test(report: Any, finding: Finding) -> str:
    """A counterexample as a test to paste: it fails until the estimator is repaired.

    >>> from symtheory.testing import check_estimator
    >>> report = check_estimator("raft", laws=["zero_sum"])
    >>> print(as_test(report, report["zero_sum"]))
    def test_raft_zero_sum():
        from symtheory.testing import invariants
    <BLANKLINE>
        # The advantages of every group sum to 0: C = 0, Eq. 5 and Theorem 1 of arXiv:2602.05548.
        # Found: rewards [[0.0, 1.0]] give advantages [[0.0, 2.0]]
        assert invariants.zero_sum("raft", [[0.0, 1.0]])
    """
    assert finding.counterexample is not None
    estimator = report.estimator
    name = re.sub(r"\W+", "_", estimator.rpartition("/")[2]).strip("_").lower()
    tools, subject = "invariants", estimator
    if ":" in estimator:
        tools = "invariants, load"
        subject = f'load("{estimator}"{", isolate=True" if report.options.get("isolate") else ""})'
    elif estimator in estimators.names():
        subject = f'"{estimator}"'
    options = {k: v for k, v in report.options.items() if k != "isolate"}
    if " and " in report.dtype:
        options["dtype"] = finding.dtype
    given = "".join(f", {k}={v!r}" for k, v in options.items())
    found = "".join(f"    # Found: {line}\n" for line in map(told, finding.sides))
    return (
        f"def test_{name}_{finding.name}():\n"
        f"    from symtheory.testing import {tools}\n\n"
        f"    # {(INVARIANTS[finding.name].__doc__ or '').splitlines()[0]}\n"
        f"{found}"
        f"    assert invariants.{finding.name}({subject}, {show(finding.counterexample)}{given})"
    )


def told(side: Side) -> str:
    """One call in words."""
    order = "" if side.order is None else f", standing in the order {np.asarray(side.order).tolist()},"
    answer = f"raise {side.error}" if side.error else f"give advantages {show(_readable(side.advantages))}"
    return f"rewards {show(side.rewards)}{order} {answer}"


def proven(test: str) -> bool:
    """Whether a test to paste fails, which it must: it is run."""
    scope: dict[str, Any] = {}
    exec(test, scope)
    try:
        next(v for k, v in scope.items() if k.startswith("test_"))()
    except AssertionError:
        return True
    return False


def _readable(a: np.ndarray) -> np.ndarray:
    """Numbers to six significant digits."""
    return np.vectorize(lambda x: float(f"{x:.6g}"))(a)
