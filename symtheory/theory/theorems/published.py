"""Claims that are about published numbers: what can be checked in the paper's tables and counts, exactly."""

import math
from fractions import Fraction

from ...evidence.tables import published
from ..proofs import Proof, theorem

COUNTS = {"hits": 3, "runs": 10, "other_hits": 0, "other_runs": 10}
LEVEL = Fraction(1, 20)
"""Of significance, in the statement that is checked."""


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
    """Three collapses in ten runs against none in ten establish a difference at the 5% level.

    Fisher's exact test conditions on the total; Barnard's and Boschloo's do not and lie near 5%. With 30% against 0%
    and ten runs each, Fisher's test finds the difference in 15% of experiments: ten runs cannot decide it.
    """
    from scipy.stats import barnard_exact, binom, boschloo_exact

    hits, runs = COUNTS["hits"], COUNTS["runs"]
    counts = [[hits, COUNTS["other_hits"]], [runs - hits, COUNTS["other_runs"] - COUNTS["other_hits"]]]
    fisher = fisher_two_sided(**COUNTS)
    significant = [k for k in range(runs + 1) if fisher_two_sided(**{**COUNTS, "hits": k}) <= LEVEL]
    found = {
        "Fisher, two-sided": fisher,
        "Fisher, one-sided": fisher / 2,
        "Barnard, one-sided": f"{barnard_exact(counts, alternative='greater').pvalue:.3f}",
        "Boschloo, one-sided": f"{boschloo_exact(counts, alternative='greater').pvalue:.3f}",
        "power of Fisher's test at 30% against 0": f"{binom.pmf(significant, runs, hits / runs).sum():.2f}",
    }
    trials = (("two_counts", COUNTS),)
    return Proof("not established", "exact tests", counterexample=found, named=trials)


@theorem("Table 7 of arXiv:2602.05548 (AMC23)")
def table7_rows_are_distinct() -> Proof:
    """GRPO and Positive-Dominant have different results on AMC23 in Table 7."""
    row = next(row for row in published("table7", "AMC23") if row.method == "GRPO")
    found = {"GRPO = Positive-Dominant at k = 1 .. 256, percent": [round(100 * float(x), 1) for x in row.values]}
    trials = (("published_rows_differ", {"kind": "identical"}),)
    return Proof("fails", "the published rows, digit by digit", counterexample=found, named=trials)


@theorem("Tables 3 and 7 of arXiv:2602.05548 (AMC23, GRPO)")
def grpo_has_one_pass1_on_amc23() -> Proof:
    """GRPO's pass@1 on AMC23 is the same number in Table 3 and in Table 7."""
    values = {t: round(100 * float(published(t, "AMC23", "GRPO")[0].values[0]), 1) for t in ("table3", "table7")}
    trials = (("published_rows_differ", {"kind": "pass@1"}),)
    return Proof("fails", "the published rows", counterexample=values, named=trials)
