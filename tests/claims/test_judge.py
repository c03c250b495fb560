"""The verdict rule: what a statistician would compute, and how often it errs."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from symtheory.claims.judge import Margin, contradiction, holm, judge, part_of, visible
from symtheory.claims.ledger import cell_text

POINT = Margin("points", 1.0)


def verdict(values, margin=POINT):
    return judge({"a": np.asarray(values, float)}, {"a": margin})["a"].verdict


def spread(mean, std=1.0, seeds=40):
    values = np.random.default_rng(1).normal(0, 1, (seeds, 1))
    return mean + std * (values - values.mean()) / values.std(ddof=1)


@pytest.mark.parametrize(
    ("mean", "std", "expected"),
    [(3, 1, "supported"), (-3, 1, "reversed"), (0, 1, "no effect"), (0.9, 1, "inconclusive"), (0, 20, "inconclusive")],
)
def test_verdict_follows_the_interval_and_the_margin(mean, std, expected):
    assert verdict(spread(mean, std)) == expected


def test_interval_is_the_t_interval():
    values = spread(0.3, 2.0)[:, 0]
    part = part_of(values, POINT)
    low, high = stats.t.interval(0.95, 39, loc=values.mean(), scale=stats.sem(values))
    assert (part.low, part.high) == pytest.approx((low, high))
    assert part.above == pytest.approx(stats.ttest_1samp(values, 1.0, alternative="greater").pvalue)
    assert part.below == pytest.approx(stats.ttest_1samp(values, -1.0, alternative="less").pvalue)


def test_every_part_must_support_and_one_suffices_to_reverse():
    two = np.hstack([spread(3), spread(0.5)])
    assert verdict(two) != "supported"
    assert verdict(np.hstack([spread(3), spread(3)])) == "supported"
    assert verdict(np.hstack([spread(3), spread(-3)])) == "reversed"


def test_holm_corrects_over_cells():
    values = {str(i): spread(1.4) for i in range(20)}
    margins = dict.fromkeys(values, POINT)
    alone = judge({"0": values["0"]}, margins)["0"].verdict
    together = judge(values, margins)["0"].verdict
    assert (alone, together) == ("supported", "inconclusive")
    assert holm([0.01, 0.04, 0.03]) == [0.03, 0.06, 0.06]


def test_shares_have_exact_intervals():
    margin = Margin("share", 0.15, "share")
    assert verdict(np.zeros((40, 1)), margin) == "no effect"
    assert verdict(np.r_[np.ones((20, 1)), np.zeros((20, 1))], margin) == "supported"
    part = part_of(np.r_[np.ones(3), np.zeros(7)], margin)
    assert (part.low, part.high) == pytest.approx((0.0667, 0.6525), abs=1e-4)


def test_claim_of_no_difference_is_supported_by_equivalence_and_reversed_by_a_difference():
    margin = Margin("points", 1.0, "equal")
    assert [verdict(spread(m, s), margin) for m, s in ((0, 1), (3, 1), (-3, 1), (0, 20))] == [
        "supported",
        "reversed",
        "reversed",
        "inconclusive",
    ]


def test_error_rates_are_as_promised():
    rng = np.random.default_rng(0)
    at_margin = [verdict(1.0 + rng.normal(0, 2, (40, 1))) for _ in range(400)]
    assert sum(v == "supported" for v in at_margin) / 400 == pytest.approx(0.025, abs=0.02)
    assert sum(v == "no effect" for v in at_margin) / 400 == pytest.approx(0.05, abs=0.03)


def test_published_comparison_had_a_third_of_power_at_d33():
    """Of a mean over benchmarks of equal weight, and of Fisher's test for shares."""
    margin = Margin("points", 1.0, "", 7.6, (500, 40, 30))
    error = 100 * np.sqrt(sum(2 * 0.25 / n for n in margin.questions)) / 3
    assert stats.norm.sf(1.96 - visible(margin) / error) == pytest.approx(1 / 3, abs=0.01)
    assert visible(POINT) is None
    rate = visible(Margin("share", 0.15, "share", 0.3, (10,)))
    rng = np.random.default_rng(0)
    hits = rng.binomial(10, rate, 4000)
    found = np.mean([stats.fisher_exact([[x, 10 - x], [0, 10]]).pvalue <= 0.05 for x in hits])
    assert found == pytest.approx(1 / 3, abs=0.03)


def test_a_cell_shows_the_part_that_its_verdict_rests_on():
    """A claim against two rivals of which one is beaten shows the other first, and both in words."""
    cell = judge({"a": np.hstack([spread(3), spread(0.1)])}, {"a": POINT})["a"]
    assert (cell.verdict, cell.blocking) == ("no effect", 1)
    wide = judge({"a": np.hstack([spread(-3, 20), spread(0.1)])}, {"a": POINT})["a"]
    assert (wide.verdict, wide.blocking) == ("no effect", 1)
    text = cell_text(cell, ("against GRPO", "against DDAS"))
    assert text.index("against DDAS") < text.index("+3 [")


def test_difference_of_shares_never_has_an_interval_of_no_width():
    margin = Margin("share", 0.15, "shares")
    part = part_of(np.zeros(40), margin)
    assert (part.low, part.high) == pytest.approx((-0.104, 0.104), abs=1e-3)
    lost = part_of(np.r_[np.ones(30), np.zeros(10)], margin)
    assert 0.15 < lost.low < 0.75 < lost.high < 1
    assert verdict(np.r_[np.ones((30, 1)), np.zeros((10, 1))], margin) == "supported"
    assert verdict(np.r_[-np.ones((30, 1)), np.zeros((10, 1))], margin) == "reversed"
    flipped = part_of(-np.r_[np.ones(30), np.zeros(10)], margin)
    assert (flipped.below, flipped.low) == pytest.approx((lost.above, -lost.high))


def test_no_effect_beside_a_mean_outside_the_margin_is_a_contradiction():
    cell = judge({"a": spread(0.1)}, {"a": POINT})["a"]
    assert contradiction(cell) == ""
    assert "no part" in contradiction(replace(cell, margin=Margin("points", 0.05)))
