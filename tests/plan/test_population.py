"""Populations from measurements: what is inferred holds the truth, and says how wide it is."""

import numpy as np
import pytest

from symtheory import InputError
from symtheory.metrics.passk import pass_at_k
from symtheory.plan import exact_population, measured_population
from symtheory.plan.population import draws, row_population
from symtheory.plan.step import live

TRUTH = np.random.default_rng(7).beta(0.5, 1.0, 200_000)


@pytest.mark.parametrize("size", [4, 16])
def test_ranges_of_measured_questions_hold_the_truth(size):
    """95% intervals, 20 times: fewer than 16 holding the truth has a chance below 1 in 300."""
    truth, held, widths = live(size, TRUTH).mean(), 0, []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        p = rng.choice(TRUTH, 800)
        population = measured_population(rng.binomial(8, p), np.full(800, 8))
        low, high = population.range(live(size, population.success))
        held += low <= truth <= high
        widths.append(high - low)
    assert held >= 16
    assert (np.mean(widths) < 0.08) == (size == 4)  # more rollouts than tries are hardly identified


def test_the_truth_is_within_the_range_of_its_pass_at_k_row():
    ks = 2 ** np.arange(8)
    row = np.round(pass_at_k(TRUTH[:, None], ks).mean(0), 3)
    population = row_population(ks, row, 0.0005)
    for size in (2, 8, 64):
        low, high = population.range(live(size, population.success))
        assert low - 1e-9 <= live(size, TRUTH).mean() <= high + 1e-9


def test_exact_populations_have_no_range():
    population = exact_population([0.2, 0.2, 0.9])
    assert population.range(population.success) is None
    assert population.mean(population.success) == pytest.approx(1.3 / 3)


def test_questions_with_different_numbers_of_tries_are_thinned_without_bias():
    rng = np.random.default_rng(1)
    p, tries = rng.choice(TRUTH, 4000), rng.integers(8, 65, 4000)
    population = measured_population(rng.binomial(tries, p), tries)
    low, high = population.range(live(8, population.success))
    assert low <= live(8, TRUTH).mean() <= high
    assert high - low < 0.06


def test_thinned_counts_have_the_hypergeometric_law():
    law = draws(np.array([5]), np.array([2]), 3)[0]
    assert law == pytest.approx([1 / 10, 6 / 10, 3 / 10, 0])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: exact_population([]), "at least one probability"),
        (lambda: exact_population([0.5, 1.2]), "from 0 to 1, got 1.2"),
        (lambda: exact_population([float("nan")]), "from 0 to 1, got nan"),
        (lambda: measured_population([3], [2]), "0 <= correct <= tries"),
        (lambda: measured_population([1, 2], [2]), "one length"),
    ],
)
def test_bad_populations_get_one_sentence(make, message):
    with pytest.raises(InputError, match=message):
        make()
