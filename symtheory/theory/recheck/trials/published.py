"""Counts, rows and factors of the published material."""

import math
from collections.abc import Iterator
from fractions import Fraction

from .... import estimators
from ...exact import exact_advantages
from .base import POINTS, Answer, trial


@trial(POINTS, shows="not established")
def two_counts(seed: int, hits: int, runs: int, other_hits: int, other_runs: int) -> Iterator[Answer]:
    """Tests of two counts: Fisher's is above 5%, the unconditional ones lie on both sides of it."""
    from scipy import stats

    counts = [[hits, other_hits], [runs - hits, other_runs - other_hits]]
    column = hits + other_hits
    ways = {k: math.comb(runs, k) * math.comb(other_runs, column - k) for k in range(column + 1)}
    fisher = Fraction(sum(w for w in ways.values() if w <= ways[hits]), math.comb(runs + other_runs, column))
    yield fisher == Fraction(4, 19) or f"Fisher's test gives {fisher}"
    barnard = stats.barnard_exact(counts, alternative="greater").pvalue
    boschloo = stats.boschloo_exact(counts, alternative="greater").pvalue
    yield barnard < 0.05 < boschloo < 0.065 or f"Barnard's test gives {barnard:.4f}, Boschloo's {boschloo:.4f}"


@trial(POINTS, shows="fails")
def published_rows_differ(seed: int, kind: str) -> Iterator[Answer]:
    """What the published tables say of GRPO on AMC23, digit by digit."""
    from ....evidence.tables import published

    if kind == "identical":
        rows = {row.method: row for row in published("table7", "AMC23")}
        one, other = rows["GRPO"].values, rows["Positive-Dominant"].values
        yield (len(one) == 9 and (one == other).all()) or f"{one} and {other}"
    else:
        values = [round(100 * float(published(t, "AMC23", "GRPO")[0].values[0]), 1) for t in ("table3", "table7")]
        yield values == [60.2, 59.2] or f"the tables have {values}"


@trial(POINTS, shows="fails")
def released_factor(seed: int) -> Iterator[Answer]:
    """At omega = 0 released / paper is sqrt((1 + sqrt p)/(1 - sqrt p)) in every mixed group to G = 8, exactly."""
    from ...surds import sqrt

    released = estimators.get("agrae_released", ddof=0, eps=0, guard=0)
    for size in range(2, 9):
        for k in range(1, size):
            ours, theirs = (
                exact_advantages(e, [1] * k + [0] * (size - k), omega=Fraction(0))[-1]
                for e in (estimators.get("agrae"), released)
            )
            ratio, root = theirs / ours, sqrt(Fraction(k, size))
            agrees = ratio * ratio * (1 - root) == 1 + root and ratio > 1
            yield agrees or f"K = {k}, G = {size}: released / paper is {ratio}"
