"""Intervals over seeds, again: every resample of a few seeds, and the beta quantiles of Clopper and Pearson."""

import itertools

import numpy as np
import pytest
from scipy.stats import beta

from symtheory import InputError
from symtheory.metrics import intervals
from symtheory.metrics.intervals import Interval, bootstrap, share

VALUES = np.array([0.3, -1.0, 2.2, 0.9, 0.4, 1.7])


@pytest.mark.parametrize("level", [0.5, 0.9, 0.95])
def test_the_bootstrap_interval_holds_the_stated_share_of_all_resampled_means(level):
    means = np.sort([np.mean(resample) for resample in itertools.product(VALUES, repeat=len(VALUES))])
    found = bootstrap(VALUES, level)
    assert found.mean == pytest.approx(VALUES.mean())
    below, above = np.searchsorted(means, [found.low, found.high]) / len(means)
    # 10,000 resamples: four standard errors of a share are at most 2 points
    assert below == pytest.approx((1 - level) / 2, abs=0.02)
    assert above == pytest.approx((1 + level) / 2, abs=0.02)


def test_an_interval_is_made_of_ten_thousand_resamples_of_as_many_seeds():
    weights = intervals._resampling_weights(5)
    assert weights.shape == (10_000, 5)
    np.testing.assert_allclose(weights.sum(1), 1)
    np.testing.assert_allclose(weights * 5, np.round(weights * 5))
    # each seed is drawn once in the mean; a share of 10,000 draws of 5 is exact to 4 standard errors
    np.testing.assert_allclose(weights.mean(0), 0.2, atol=4 * np.sqrt(0.2 * 0.8 / 5 / 10_000))


def test_the_same_values_always_have_the_same_interval():
    """Published intervals can be made again: these ends were recorded once, with the generator that was fixed then."""
    found = bootstrap(np.sqrt(np.arange(1, 13)))
    assert (found.low, found.high) == (pytest.approx(1.9959592881, abs=1e-9), pytest.approx(2.8457683144, abs=1e-9))


def test_every_entry_has_the_interval_of_its_own_seeds():
    both = bootstrap(np.stack([VALUES, -VALUES], axis=1))
    alone = bootstrap(VALUES)
    np.testing.assert_allclose([both.low[0], both.high[0]], [alone.low, alone.high])
    np.testing.assert_allclose([both.low[1], both.high[1]], [-alone.high, -alone.low], atol=1e-12)
    assert both.mean.shape == (2,)


@pytest.mark.parametrize("level", [0.8, 0.95])
@pytest.mark.parametrize(("hits", "seeds"), [(0, 20), (3, 10), (10, 10), (1, 2)])
def test_the_interval_of_a_share_is_clopper_and_pearsons(hits, seeds, level):
    found = share([1.0] * hits + [0.0] * (seeds - hits), level)
    low = beta.ppf((1 - level) / 2, hits, seeds - hits + 1) if hits else 0
    high = beta.ppf((1 + level) / 2, hits + 1, seeds - hits) if hits < seeds else 1
    assert (float(found.mean), float(found.low), float(found.high)) == pytest.approx((hits / seeds, low, high))


@pytest.mark.parametrize("function", [bootstrap, share])
def test_intervals_cover_95_percent_where_nothing_is_said(function):
    events = [0.0, 1.0, 1.0, 0.0, 1.0]
    assert function(events)[1:] == function(events, 0.95)[1:]


def test_shares_of_several_events_keep_their_shape():
    found = share(np.array([[[1, 0], [0, 1]], [[1, 1], [0, 0]]]))
    assert found.low.shape == found.high.shape == (2, 2)
    assert found.mean.tolist() == [[1, 0.5], [0, 0.5]]


@pytest.mark.parametrize(
    ("low", "high", "excluded"), [(0.5, 2, True), (-2, -0.5, True), (-0.5, 0.5, False), (0, 1, False), (-1, 0, False)]
)
def test_an_interval_excludes_zero_if_it_lies_on_one_side(low, high, excluded):
    assert Interval(np.array(0.0), np.array(low), np.array(high)).excludes_zero() == excluded


def test_two_seeds_are_the_least():
    assert bootstrap([1.0, 2.0]).mean == 1.5
    for values in ([1.0], 3.0):
        with pytest.raises(InputError):
            bootstrap(values)
