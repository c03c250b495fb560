"""Claims that are about published numbers: what can be checked in the paper's tables and counts, exactly."""

import math
from collections.abc import Iterator
from fractions import Fraction

from ...evidence.findings import identical_rows
from ...evidence.tables import published
from ..proofs import Proof, theorem


def fisher_two_sided(hits: int, runs: int, other_hits: int, other_runs: int) -> Fraction:
    """Fisher's exact test of two counts, two-sided: the probability of all tables no likelier than the observed one.

    >>> fisher_two_sided(3, 10, 0, 10)
    Fraction(4, 19)
    """
    total, column = runs + other_runs, hits + other_hits
    ways = {k: math.comb(runs, k) * math.comb(other_runs, column - k) for k in range(column + 1)}
    return Fraction(sum(w for w in ways.values() if w <= ways[hits]), math.comb(total, column))


@theorem("D.5 and Fig. 9 of arXiv:2602.05548: 3 of 10 runs against 0 of 10")
def fewer_collapses_are_significant() -> Proof:
    """Three collapses in ten runs against none in ten differ at the 5% level (Fisher's exact test, two-sided)."""
    value = fisher_two_sided(3, 10, 0, 10)
    found = {"p-value": value}
    by_hand = Fraction(2 * math.comb(10, 3), math.comb(20, 3))  # all three on one side, either side
    return Proof("fails", "exact test", (), lambda: [value == by_hand, value > Fraction(1, 20)], found)


@theorem("Table 7 of arXiv:2602.05548 (AMC23)")
def table7_rows_are_distinct() -> Proof:
    """GRPO and Positive-Dominant have different results on AMC23 in Table 7."""
    rows = {row.method: row for row in published("table7", "AMC23")}
    pair = rows["GRPO"], rows["Positive-Dominant"]
    found = {"GRPO = Positive-Dominant at k = 1 .. 256, percent": [round(100 * float(x), 1) for x in pair[0].values]}

    def trials() -> Iterator[bool]:
        yield bool((pair[0].values == pair[1].values).all()) and len(pair[0].values) == 9
        yield bool(identical_rows(pair))

    return Proof("fails", "the published rows, digit by digit", (), trials, found)


@theorem("Tables 3 and 7 of arXiv:2602.05548 (AMC23, GRPO)")
def grpo_has_one_pass1_on_amc23() -> Proof:
    """GRPO's pass@1 on AMC23 is the same number in Table 3 and in Table 7."""
    values = {t: round(100 * float(published(t, "AMC23", "GRPO")[0].values[0]), 1) for t in ("table3", "table7")}
    return Proof("fails", "the published rows", (), lambda: [values == {"table3": 60.2, "table7": 59.2}], values)
