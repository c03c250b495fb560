"""How many samples and questions show a difference of pass@k, or a crossing of two pass@k curves.

Method B differs from method A by one change of every question: logit p' = a logit p + b. A difference of pass@k has
a = 1 and the b that makes it; a crossing has a > 1 (B is surer of both easy and hard questions) and lies d above A at
the first k and d below at the last. Both methods are evaluated on the same questions with n samples each by the
unbiased estimator, whose variance is exact here. That its mean over questions is normal is the one approximation; it
needs some tens of questions that are neither always nor never solved.

Two standard errors differ in what would be repeated. On *these questions* only the samples are drawn anew. For *new
questions* they are drawn anew as well, and the spread of the differences between questions counts, which no number of
samples removes.
"""

import math
from statistics import NormalDist

import numpy as np

from ..errors import InputError
from ..evidence.difficulty import log_ways
from ..metrics.passk import pass_at_k
from .population import Population

SIGNIFICANCE = 0.05
"""of a two-sided test"""
POWER = 0.8
MOST_SAMPLES = 1 << 20
MOST_SLOPE = 50.0


def variance(p: np.ndarray, n: int, k: int) -> np.ndarray:
    """Variance of the unbiased pass@k of a question from n samples, exactly; shape of `p`.

    The estimator is the mean over k-subsets of n of whether one is correct. Two random subsets share j samples with the
    hypergeometric chance C(k, j) C(n-k, k-j) / C(n, k), and then both fail with chance (1-p)^(2k-j); so the variance is
    the mean over j of (1-p)^(2k-j) (1 - (1-p)^j).

    >>> variance(np.array([0.5]), 4, 1)  # p (1 - p) / n
    array([0.0625])
    """
    if not 1 <= k <= n:
        raise InputError(f"samples must be at least k = {k}, got {n}")
    j = np.arange(max(0, 2 * k - n), k + 1)
    chance = np.exp(log_ways(k, j) + log_ways(n - k, k - j) - log_ways(n, np.full_like(j, k)))
    miss = 1 - np.asarray(p, float)[..., None]
    return (miss ** (2 * k - j) * (1 - miss**j)) @ chance


def moved(p: np.ndarray, shift: float, slope: float = 1.0) -> np.ndarray:
    """Success with logit slope * logit p + shift; 0 and 1 stay."""
    inside = (p > 0) & (p < 1)
    safe = np.where(inside, p, 0.5)
    logit = np.clip(slope * (np.log(safe) - np.log1p(-safe)) + shift, -700, 700)
    return np.where(inside, 1 / (1 + np.exp(-logit)), p)


def difference(population: Population, k: int, size: float) -> np.ndarray | None:
    """Success [m] of the method whose pass@k is `size` above, by one shift of all logits; None if none is so good."""
    base = population.mean(pass_at_k(population.success, k))

    def gain(shift):
        return population.mean(pass_at_k(moved(population.success, shift), k)) - base

    shift = _root(gain, size, -40.0, 40.0)
    return None if shift is None else moved(population.success, shift)


def crossing(population: Population, low: int, high: int, size: float) -> np.ndarray | None:
    """Success [m] of the method that is `size` above at k = low and `size` below at k = high; None if there is none."""

    def fit(slope):
        base = population.mean(pass_at_k(population.success, low))

        def gain(shift):
            return population.mean(pass_at_k(moved(population.success, shift, slope), low)) - base

        return _root(gain, size, -60.0 * slope, 60.0 * slope)

    def fall(slope):
        shift = fit(slope)
        if shift is None:
            return -math.inf
        other = pass_at_k(moved(population.success, shift, slope), high)
        return population.mean(pass_at_k(population.success, high) - other)

    slope = _root(fall, size, 1.0, MOST_SLOPE)
    if slope is None:
        return None
    shift = fit(slope)
    return None if shift is None else moved(population.success, shift, slope)


def compare(population: Population, other: np.ndarray, k: int, questions: int, samples: int, power: float) -> dict:
    """What `questions` with `samples` each show of the difference at one k, and what it takes to see it.

    Args:
        population: success of method A; its questions are drawn for the evaluation.
        other: [m] success of method B on the same questions.
        k: attempts.
        questions: questions of the evaluation.
        samples: samples of each question and method, at least k.
        power: chance with which the difference should be seen.

    Returns:
        JSON-ready dict; `standard_error`, `chance_to_see`, and the difference `seen_from` which the chance is `power`,
        each for the same and for new questions; `samples_needed` with these questions (None beyond a million) and
        `questions_needed` with these samples.
    """
    p = population.success
    gaps = pass_at_k(other, k) - pass_at_k(p, k)
    gap = population.mean(gaps)
    between = population.mean(gaps**2) - gap**2

    def sampling(n):
        return population.mean(variance(p, n, k) + variance(other, n, k))

    within = sampling(samples)
    ask = NormalDist().inv_cdf(1 - SIGNIFICANCE / 2) + NormalDist().inv_cdf(power)
    same, new = (math.sqrt(v / questions) for v in (within, within + between))
    needed = _fewest(lambda n: ask**2 * sampling(n) <= gap**2 * questions, k) if gap else None
    return {
        "k": k,
        "pass_at_k": population.mean(pass_at_k(p, k)),
        "other": population.mean(pass_at_k(other, k)),
        "difference": gap,
        "standard_error": {"same_questions": same, "new_questions": new},
        "chance_to_see": {"same_questions": _seen(gap, same), "new_questions": _seen(gap, new)},
        "seen_from": {"same_questions": ask * same, "new_questions": ask * new},
        "samples_needed": needed,
        "questions_needed": max(1, math.ceil(ask**2 * (within + between) / gap**2)) if gap else None,
    }


def _seen(gap: float, error: float) -> float:
    """Chance that a two-sided test at 5% calls the difference by its own sign."""
    if error == 0:
        return float(gap != 0)
    return NormalDist().cdf(abs(gap) / error - NormalDist().inv_cdf(1 - SIGNIFICANCE / 2))


def _root(function, target: float, low: float, high: float) -> float | None:
    """Where an increasing function reaches the target, by bisection; None if it does not between low and high."""
    if not function(low) <= target <= function(high):
        return None
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if function(middle) < target else (low, middle)
    return high


def _fewest(enough, least: int) -> int | None:
    """Smallest whole number >= least that is enough, up to MOST_SAMPLES; more are always better."""
    low, high = least - 1, least
    while not enough(high):
        low, high = high, 2 * high
        if high > MOST_SAMPLES:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high
