"""Exchange rates from counted rollouts of probe steps, against the exact kernel of the base policy."""

import numpy as np
import pytest

from symtheory import InputError
from symtheory.dynamics import probes
from symtheory.studies.interference.probes import trials


@pytest.fixture(scope="module")
def found():
    return trials(range(6000, 6006), (64, 4096))


@pytest.mark.slow
def test_probes_find_the_exchange_rates_of_the_kernel(found):
    many = [t for t in found[4096] if t is not None]
    assert len(many) == 6
    error = np.array([t.rate - t.exact for t in many])
    spread = np.array([t.error for t in many])
    assert (np.abs(error) < 4.5 * spread + 0.15 * np.abs([t.exact for t in many])).all()  # and the steps' own curvature
    assert np.sqrt((error**2).mean()) < 0.2


@pytest.mark.slow
def test_more_rollouts_make_smaller_errors(found):
    few, many = ([t.error for t in found[n] if t is not None] for n in (64, 4096))
    assert np.median(many) < np.median(few) / 4


def table(**changes):
    base, after = [[10, 40, 5]], [[20, 41, 5], [12, 50, 9]]
    counts = probes.Counts(
        np.array(base + after), np.array(base + after), 100, np.array([0, 1, 1]), np.array([0, 1, 1])
    )
    return counts._replace(**changes)


def test_the_slope_of_an_estimator_is_between_the_rates_of_the_bins():
    found = probes.exchange_rates(table(), [4, 8])
    slope, error = probes.slope(found, table(), [1.0, 1.0])
    assert ((slope > found.rate.min(0)) & (slope < found.rate.max(0))).all()
    assert (error > 0).all()


@pytest.mark.parametrize(
    ("changes", "ks", "words"),
    [
        ({"bins": np.array([0, 0, 0])}, [4], "bins must give each"),
        ({"rollouts": 20}, [4], "numbers of correct ones among rollouts = 20"),
        ({}, [101], r"ks must be in 1\.\.100"),
        ({"trained": np.full((3, 3), 7)}, [4], "every probe must raise training pass@1"),
        ({"watched": np.ones((2, 3), int)}, [4], "must have shapes"),
    ],
)
def test_a_table_that_does_not_fit_is_refused(changes, ks, words):
    with pytest.raises(InputError, match=words):
        probes.exchange_rates(table(**changes), ks)
