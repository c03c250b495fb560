"""What an evaluation shows: exact variances, and the promised chances held against simulated evaluations."""

import numpy as np
import pytest

from symtheory import InputError
from symtheory.metrics.passk import pass_at_k, unbiased_pass_at_k
from symtheory.plan import exact_population
from symtheory.plan.population import binomial
from symtheory.plan.power import compare, crossing, difference, moved, variance

POPULATION = exact_population(np.random.default_rng(0).beta(0.4, 0.8, 60))
LEVEL = 1.959963984540054


def evaluations(other, k, questions, samples, times, seed, new):
    """Estimated differences of pass@k in simulated evaluations, [times], and their true standard errors squared."""
    rng = np.random.default_rng(seed)
    fixed = rng.integers(0, len(other), questions)
    q = rng.integers(0, len(other), (times, questions)) if new else np.broadcast_to(fixed, (times, questions))
    first, second = (estimates(rng.binomial(samples, p[q]), samples, k) for p in (POPULATION.success, other))
    return second - first


def estimates(counts, samples, k):
    """Unbiased pass@k of counts of correct samples."""
    return unbiased_pass_at_k(samples, np.arange(samples + 1), k)[counts]


@pytest.mark.parametrize(("n", "k"), [(1, 1), (6, 1), (6, 3), (6, 6), (40, 25)])
def test_the_variance_is_the_sum_over_all_counts(n, k):
    p = np.array([0.0, 0.01, 0.3, 0.9, 1.0])
    estimate = unbiased_pass_at_k(n, np.arange(n + 1), k)
    law = binomial(n, p)
    assert law @ estimate == pytest.approx(pass_at_k(p, k))
    assert variance(p, n, k) == pytest.approx(law @ estimate**2 - (law @ estimate) ** 2, abs=1e-12)


@pytest.mark.parametrize("k", [1, 16])
def test_a_difference_is_seen_as_often_as_promised_on_new_questions(k):
    other = difference(POPULATION, k, 0.05)
    found = compare(POPULATION, other, k, 60, 32, 0.8)
    drawn = evaluations(other, k, found["questions_needed"], 32, 1500, 1, new=True)
    seen = drawn.mean(1) / (drawn.std(1, ddof=1) / drawn.shape[1] ** 0.5) > LEVEL
    # 1500 evaluations: one standard error is 0.01; the paired t test and the normal law differ by as much again
    assert seen.mean() == pytest.approx(0.8, abs=0.06)


def test_a_difference_is_seen_as_often_as_promised_on_the_same_questions():
    other = difference(POPULATION, 16, 0.04)
    found = compare(POPULATION, other, 16, 60, 24, 0.8)
    for samples in (24, found["samples_needed"]):
        error = compare(POPULATION, other, 16, 60, samples, 0.8)
        rng = np.random.default_rng(0)
        b, a = (estimates(rng.binomial(samples, p, (1500, 60)), samples, 16) for p in (other, POPULATION.success))
        gaps = (b - a).mean(1)  # all 60 questions of the population, once each
        seen = gaps / error["standard_error"]["same_questions"] > LEVEL
        assert gaps.mean() == pytest.approx(0.04, abs=4 * gaps.std() / 1500**0.5)
        assert gaps.std() == pytest.approx(error["standard_error"]["same_questions"], rel=0.08)
        assert seen.mean() == pytest.approx(error["chance_to_see"]["same_questions"], abs=0.04)
    before = compare(POPULATION, other, 16, 60, found["samples_needed"] - 1, 0.8)
    assert before["chance_to_see"]["same_questions"] < 0.8 <= error["chance_to_see"]["same_questions"] + 1e-9


def test_a_crossing_has_the_size_that_was_asked_for_and_is_seen_in_the_promised_share():
    other = crossing(POPULATION, 1, 64, 0.03)
    gaps = [POPULATION.mean(pass_at_k(other, k) - pass_at_k(POPULATION.success, k)) for k in (1, 64)]
    assert gaps == pytest.approx([0.03, -0.03], abs=1e-9)
    ends = [compare(POPULATION, other, k, 60, 64, 0.9) for k in (1, 64)]
    questions = max(end["questions_needed"] for end in ends)
    rng = np.random.default_rng(5)
    q = rng.integers(0, 60, (400, questions))
    counts = [rng.binomial(64, p[q]) for p in (POPULATION.success, other)]
    z = []
    for k in (1, 64):
        d = estimates(counts[1], 64, k) - estimates(counts[0], 64, k)
        z.append(d.mean(1) / (d.std(1, ddof=1) / questions**0.5))
    assert ((z[0] > LEVEL) & (z[1] < -LEVEL)).mean() > 0.8 - 3 * 0.02


def test_differences_that_no_shift_can_make_are_none():
    assert difference(exact_population([0.0, 0.99]), 64, 0.1) is None  # the one hard question stays unsolved
    assert crossing(exact_population([0.5]), 1, 16, 0.1) is None  # one question cannot cross itself


def test_questions_that_are_never_or_always_solved_stay_so():
    assert moved(np.array([0.0, 0.5, 1.0]), 3.0, 2.0)[[0, 2]].tolist() == [0, 1]


def test_fewer_samples_than_k_are_refused():
    with pytest.raises(InputError, match="samples must be at least k = 8, got 4"):
        variance(np.array([0.5]), 4, 8)
