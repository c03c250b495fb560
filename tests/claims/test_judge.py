"""The verdict rule: what a statistician would compute, and how often it errs."""

import numpy as np
import pytest
from scipy import stats

from symtheory.claims.judge import Margin, holm, judge, part_of, visible

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


def test_published_study_could_see_about_one_and_a_half_standard_errors():
    margin = Margin("points", 1.0, "", 7.6, 570)
    error = 100 * np.sqrt(2 * 0.25 / 570)
    power = stats.norm.sf(1.96 - visible(margin) / error)
    assert power == pytest.approx(1 / 3, abs=0.01)
    assert visible(POINT) is None
