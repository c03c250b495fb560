"""Claims about published counts and rows, again: every arrangement of runs, and the tables as the file holds them."""

import csv
import itertools
from fractions import Fraction
from math import comb
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from symtheory.evidence import tables
from symtheory.theory.theorems import find
from symtheory.theory.theorems.published import LEVEL, fisher_two_sided

RUNS = 10


def law(p):
    """Probability of each number of collapses in ten runs."""
    return np.array([comb(RUNS, k) * p**k * (1 - p) ** (RUNS - k) for k in range(RUNS + 1)])


def by_arrangement(hits, runs, other_hits, other_runs):
    """Fisher's two-sided test: the share of arrangements of all hits over all runs that are no likelier than this."""
    split = [
        sum(place < runs for place in places)
        for places in itertools.combinations(range(runs + other_runs), hits + other_hits)
    ]
    likely = [split.count(k) for k in range(hits + other_hits + 1)]
    return Fraction(sum(n for n in likely if n <= likely[hits]), len(split))


@pytest.mark.parametrize("counts", [(3, 10, 0, 10), (1, 4, 2, 5), (0, 3, 3, 4), (2, 6, 2, 3), (5, 5, 0, 4)])
def test_fishers_test_is_the_share_of_arrangements(counts):
    assert fisher_two_sided(*counts) == by_arrangement(*counts)


def largest_over_rates(extreme):
    """Largest probability of a set of pairs of counts over one rate that both groups share."""
    rates = np.linspace(0.001, 0.999, 999)
    return max(float(law(p) @ extreme @ law(p)) for p in rates)


def test_three_of_ten_against_none_has_the_published_tests():
    theorem = find("fewer_collapses_are_significant")
    assert "3 of 10 runs against 0 of 10" in theorem.source
    assert f"at the {float(100 * LEVEL):g}% level" in theorem.statement
    found = theorem.derive().counterexample
    fisher = by_arrangement(3, 10, 0, 10)
    assert found["Fisher, two-sided"] == fisher
    assert found["Fisher, one-sided"] == Fraction(comb(10, 3), comb(20, 3)) == fisher / 2
    a, b = np.mgrid[: RUNS + 1, : RUNS + 1]
    with np.errstate(all="ignore"):
        wald = (a - b) / np.sqrt((a + b) * (2 * RUNS - a - b))
    exact = stats.hypergeom.sf(a - 1, 2 * RUNS, a + b, RUNS)
    barnard = largest_over_rates(np.nan_to_num(wald, nan=-9) >= wald[3, 0] - 1e-12)
    boschloo = largest_over_rates(exact <= exact[3, 0] + 1e-12)
    assert float(found["Barnard, one-sided"]) == pytest.approx(barnard, abs=6e-4)  # three digits
    assert float(found["Boschloo, one-sided"]) == pytest.approx(boschloo, abs=6e-4)
    significant = [stats.fisher_exact([[k, 0], [RUNS - k, RUNS]]).pvalue <= LEVEL for k in range(RUNS + 1)]
    power = float(law(0.3) @ significant)
    assert float(found["power of Fisher's test at 30% against 0"]) == pytest.approx(power, abs=5.1e-3)


def rows_of_the_file(table, method):
    """(k, percent) of a method on AMC23, as the file holds them."""
    with Path(tables.__file__).with_name("data").joinpath("math_tables.csv").open() as file:
        rows = [r for r in csv.DictReader(file) if (r["table"], r["dataset"], r["method"]) == (table, "AMC23", method)]
    return [(int(r["k"]), float(r["pass_at_k_percent"])) for r in rows]


def test_the_rows_that_are_identical_are_as_in_the_file():
    one, other = (rows_of_the_file("table7", m) for m in ("GRPO", "Positive-Dominant"))
    assert one == other
    assert [k for k, _ in one] == [2**n for n in range(9)]
    [(key, values)] = find("table7_rows_are_distinct").derive().counterexample.items()
    assert "k = 1 .. 256" in key
    assert values == [v for _, v in one]


def test_the_pass_at_1_that_differs_is_as_in_the_file():
    found = find("grpo_has_one_pass1_on_amc23").derive().counterexample
    assert found == {t: dict(rows_of_the_file(t, "GRPO"))[1] for t in ("table3", "table7")}
    assert found["table3"] != found["table7"]
