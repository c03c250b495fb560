"""Objectives that the expected step ascends, and their slopes."""

import itertools
from collections.abc import Iterator
from fractions import Fraction

import numpy as np

from ....estimators.group import two_outcome_batch
from ....ops import numpy_ops
from ...exact import ROLLOUTS
from .. import groups
from ..groups import resolve
from .base import FLOAT, IDENTITY, Answer, trial
from .tables import table


@trial(FLOAT)
def ascends(seed: int, spec: str) -> Iterator[Answer]:
    """d/dP of (1/G) sum_j d_j Pr(Bin(G, P) > j) is F'_G(P), with d_j from the code, at random G to 200."""
    from scipy.stats import binom

    rng = np.random.default_rng(seed)
    code = resolve(spec)
    smallest = max(2, code.min_size, code.params.get("k", 1))
    for size in (smallest, smallest + 1, *rng.integers(smallest, groups.LARGEST + 1, 6).tolist()):
        w = float(rng.uniform(0.05, 0.95))
        plus, minus = table(spec, size, w)
        d = plus[1:] - minus[:-1]
        j, P, h = np.arange(size), float(rng.uniform(0.1, 0.9)), 1e-5

        def goal(x: float, size: int = size, d: np.ndarray = d, j: np.ndarray = j) -> float:
            return float(binom.sf(j, size, x) @ d) / size

        slope = float(binom.pmf(j, size - 1, P) @ d)
        found = (goal(P + h) - goal(P - h)) / (2 * h)
        where = f"{spec} at G = {size}, P = {P:.3f}"
        yield abs(found - slope) < 1e-6 * (1 + float(np.abs(d).max())) or f"{where}: dF/dP is {found}, F' {slope}"


@trial(FLOAT)
def large_groups(seed: int, spec: str, slope: str) -> Iterator[Answer]:
    """A+ - A- of the code at K = P G tends to the stated slope: the gap shrinks with G and is below 1e-4 at 10^6."""
    code = resolve(spec)
    for P, w in itertools.product(
        (Fraction(9, 25), Fraction(16, 25), Fraction(1, 2)), (Fraction(2, 7), Fraction(9, 10))
    ):
        gaps = []
        for size in (10**4, 10**6):
            k = int(P * size)
            batch = two_outcome_batch(numpy_ops(), np.array(ROLLOUTS * float(w)), np.array(float(ROLLOUTS)))
            plus, minus = code.two_outcomes(np.array(float(k)), np.array(float(size)), batch, numpy_ops())
            names = {"P": float(P), "Q": 1 - float(P), "w": float(w), "s": min(1.0, float(w))}
            limit = value_of(slope, names)
            gaps.append(abs(float(plus - minus) - limit) / max(1.0, abs(limit)))
        agrees = gaps[1] < 1e-4 and gaps[1] <= gaps[0] + 1e-9
        yield agrees or f"{spec} at P = {P}, w = {w}: {gaps[0]:.2g} and {gaps[1]:.2g} from {slope}"


@trial(IDENTITY)
def antiderivative(seed: int, objective: str, slope: str) -> Iterator[Answer]:
    """d/dP of the stated objective is the stated slope: differentiated by rule, then equal as polynomials in roots."""
    from ..calculus import derivative_is

    yield derivative_is(objective, slope) or f"d/dP of {objective} is not {slope}"


def value_of(text: str, names: dict[str, float]) -> float:
    """Value of a slope written as a formula, at numbers for its names."""
    from ..formulas import python, tree, walk

    at = groups.Floats("", names, "numpy", np.array(1.0), np.array(1.0), np.array(names.get("w", 0.5)), 0)
    return float(walk(tree(python(text)), at))
