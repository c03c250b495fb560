"""The questions that a plan is made for: a distribution of success probability, and what is known about it.

Given success probabilities are exact. Measured ones leave two things open: chance, because each question was tried a
few times only, and identification, because G tries of a question say nothing about powers of p beyond G. So an inferred
population carries the linear constraints that the data put on it, and every mean over it has a range: its least and
greatest value among all distributions that satisfy the constraints.
"""

import math
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from ..errors import InputError
from ..estimators.group import Array
from ..evidence.difficulty import log_ways

LOGITS = np.linspace(-9, 9, 181)
"""Grid of inferred populations: p from 1.2e-4 to 1 - 1.2e-4, with 0 and 1 beside it"""
LEVEL = 0.95
MAX_TRIES = 64
"""Tries of a question that enter the constraints at most; the counts of more are thinned, which loses little."""


class Population(NamedTuple):
    """A distribution of the success probability of a question."""

    success: np.ndarray
    """[m] increasing success probabilities in [0, 1]"""
    weight: np.ndarray
    """[m] share of the questions, sums to 1"""
    questions: int | None = None
    """number of questions behind it, where known"""
    kernel: np.ndarray | None = None
    """[m, c] what was measured, as a mean over questions of known functions of p; None if the population is exact"""
    low: np.ndarray | None = None
    """[c] least value of each mean that the data allow"""
    high: np.ndarray | None = None
    """[c] greatest value"""
    share: np.ndarray | None = None
    """[c] the means that were measured, where questions were tried; None for a row of pass@k"""
    measured: int = 0
    """questions behind `share`"""

    @property
    def exact(self) -> bool:
        return self.kernel is None

    def mean(self, values: Array) -> float:
        """Mean over questions of a function of p, given by its values [m] at `success`."""
        return float(self.weight @ values)

    def range(self, values: np.ndarray) -> tuple[float, float] | None:
        """Least and greatest mean of a function of p [m] over all populations that fit the data; None if exact.

        Where the function is a mean over as many tries as were made, its 95% interval is used, which is narrower.
        """
        if self.exact:
            return None
        found = _interval(self, values) or (_extreme(self, values), -_extreme(self, -values))
        mean = self.mean(values)
        return min(mean, found[0]), max(mean, found[1])

    def only(self, low: float, high: float) -> "Population":
        """The questions with low <= p <= high, as a population of their own, without the constraints."""
        kept = (self.success >= low - 1e-12) & (self.success <= high + 1e-12)
        share = self.weight[kept].sum()
        if not share > 0:
            raise InputError(f"filter must keep some question, but none has a success rate from {low:g} to {high:g}")
        return Population(self.success[kept], self.weight[kept] / share)


def exact_population(success) -> Population:
    """The population of questions with these success probabilities, one each.

    Args:
        success: [q] probabilities in [0, 1].

    Returns:
        The population.

    Raises:
        InputError: no value, or one outside [0, 1].

    >>> exact_population([0.5, 0.1, 0.5]).weight.round(3)
    array([0.333, 0.667])
    """
    values = np.asarray(success, float)
    if values.ndim != 1 or not values.size:
        raise InputError(f"success must be a list of at least one probability, got shape {values.shape}")
    bad = ~((values >= 0) & (values <= 1))
    if bad.any():
        raise InputError(f"success must be probabilities from 0 to 1, got {values[bad][0]:g}")
    p, count = np.unique(values, return_counts=True)
    return Population(p, count / len(values), len(values))


def measured_population(correct, tries) -> Population:
    """The population that makes the counts of correct tries most likely (a mixture of binomials).

    The constraints are simultaneous 95% Wilson intervals for the share of questions with 0, 1, .. correct of t tries;
    questions are taken as independent draws. Questions with fewer than t tries enter the likelihood only.

    Args:
        correct: [q] whole numbers of correct tries.
        tries: [q] tries of each question, at least 1.

    Returns:
        The population, with these constraints.

    Raises:
        InputError: counts that are no whole numbers with 0 <= correct <= tries.

    >>> p = measured_population([0] * 500 + [4] * 500, [4] * 1000)
    >>> round(p.mean(p.success), 3), [round(end, 2) for end in p.range(p.success)]
    (0.5, [0.47, 0.53])
    """
    correct, tries = np.asarray(correct, float), np.asarray(tries, float)
    if correct.shape != tries.shape or correct.ndim != 1 or not correct.size:
        raise InputError(f"correct and tries must be two lists of one length, got {correct.shape} and {tries.shape}")
    if not ((correct >= 0) & (correct <= tries) & (tries >= 1) & (correct % 1 == 0) & (tries % 1 == 0)).all():
        raise InputError("correct and tries must be whole numbers with 0 <= correct <= tries and tries >= 1")
    pairs, count = np.unique(np.stack([tries, correct]).astype(int), axis=1, return_counts=True)
    (n, c), grid = pairs, np.concatenate([[0.0], 1 / (1 + np.exp(-LOGITS)), [1.0]])
    weight = _most_likely(_likelihood(n, c, grid), count)
    # as many tries as at least nine in ten questions have, so that few are lost and much is seen
    order = np.argsort(-n, kind="stable")
    reached = np.cumsum(count[order]) >= 0.9 * count.sum()
    t = min(int(n[order][np.argmax(reached)]), MAX_TRIES)
    used = n >= t
    share = count[used] @ draws(n[used], c[used], t) / count[used].sum()
    low, high = _wilson(share, int(count[used].sum()))
    return Population(grid, weight, int(count.sum()), binomial(t, grid), low, high, share, int(count[used].sum()))


def row_population(ks, values, rounding: float, questions: int | None = None) -> Population:
    """A smooth population behind one row of pass@k values, `evidence.infer_success`.

    The constraints are the row itself, with its rounding and with its distance to every population.

    Args:
        ks: [k] numbers of attempts.
        values: [k] pass@k as fractions.
        rounding: half a unit of the last digit of the row, a fraction.
        questions: behind the row; not known if None.

    Returns:
        The population, with these constraints.
    """
    from ..evidence import infer_success
    from ..metrics.passk import pass_at_k

    ks, values = np.asarray(ks), np.asarray(values, float)
    mixture = infer_success(ks, values, slack=rounding)
    slack = max(mixture.distance, rounding) + 1e-9
    kernel = np.asarray(pass_at_k(mixture.success[:, None], ks))
    return Population(mixture.success, mixture.weight, questions, kernel, values - slack, values + slack)


def binomial(trials: int, p: np.ndarray) -> np.ndarray:
    """Probabilities of 0..trials successes, [...] -> [..., trials + 1], to some 1e-16 * trials; exact at p = 0 and 1.

    >>> binomial(2, np.array([0.5, 1.0]))
    array([[0.25, 0.5 , 0.25],
           [0.  , 0.  , 1.  ]])
    """
    p = np.asarray(p, float)[..., None]
    count = np.arange(trials + 1)
    ways = np.array([math.lgamma(trials + 1) - math.lgamma(j + 1) - math.lgamma(trials - j + 1) for j in count])
    inside = np.clip(p, 1e-300, 1 - 1e-16)
    found = np.exp(ways + count * np.log(inside) + (trials - count) * np.log1p(-inside))
    found = found / found.sum(-1, keepdims=True)
    return np.where(p <= 0, count == 0, np.where(p >= 1, count == trials, found))


def draws(n: np.ndarray, c: np.ndarray, t: int) -> np.ndarray:
    """Chance of 0..t correct among t of n tries with c correct, without replacement: [q] -> [q, t + 1].

    Its mean over tries is the law of t tries, so it thins counts without a bias.

    >>> draws(np.array([4]), np.array([2]), 2).round(3)
    array([[0.167, 0.667, 0.167]])
    """
    n, c, j = np.asarray(n)[:, None], np.asarray(c)[:, None], np.arange(t + 1)
    possible = (j <= c) & (t - j <= n - c)
    k, rest = np.where(possible, j, 0), np.where(possible, t - j, 0)
    logs = log_ways(c, k) + log_ways(n - c, rest) - log_ways(n, np.full_like(k, t))
    return np.where(possible, np.exp(logs), 0)


def _likelihood(n, c, grid):
    """Of each count at each p, up to a factor per count: [pairs, m]."""
    inside = np.clip(grid, 1e-300, 1 - 1e-16)
    logs = c[:, None] * np.log(inside) + (n - c)[:, None] * np.log1p(-inside)
    sure = ((grid <= 0) & (c[:, None] > 0)) | ((grid >= 1) & (c < n)[:, None])
    logs = np.where(sure, -np.inf, logs)
    return np.exp(logs - logs.max(1, keepdims=True))


def _most_likely(likelihood, count, rounds: int = 3000) -> np.ndarray:
    """Weights of the grid that make the counts most likely, by expectation-maximisation from equal weights."""
    weight = np.full(likelihood.shape[1], 1 / likelihood.shape[1])
    last = -np.inf
    for i in range(rounds):
        mix = likelihood @ weight
        weight = weight * ((count / mix) @ likelihood) / count.sum()
        if i % 50 == 49:
            now = float(count @ np.log(mix))
            if now - last < 1e-4:  # a difference in log-likelihood that no test could see
                break
            last = now
    return weight / weight.sum()


def _wilson(share: np.ndarray, questions: int) -> tuple[np.ndarray, np.ndarray]:
    """Simultaneous intervals of means of numbers in [0, 1], whose variance is at most share (1 - share)."""
    z = NormalDist().inv_cdf(1 - (1 - LEVEL) / (2 * len(share)))
    factor = 1 / (1 + z**2 / questions)
    middle = factor * (share + z**2 / (2 * questions))
    half = factor * z * np.sqrt(share * (1 - share) / questions + z**2 / (4 * questions**2))
    return middle - half, middle + half


def _interval(population: Population, values: np.ndarray) -> tuple[float, float] | None:
    """95% interval of the mean of a polynomial in p of no higher degree than the tries; None of any other function.

    Such a function is a mean over the counts of correct tries of some numbers c, so its unbiased estimate is their mean
    over the questions. Thinned counts vary less, so the interval is not too narrow.
    """
    from scipy.special import stdtrit

    kernel, share = population.kernel, population.share
    if kernel is None or share is None:
        return None
    c = np.linalg.lstsq(kernel, values, rcond=1e-12)[0]
    if np.abs(kernel @ c - values).max() > 1e-9 * max(np.abs(values).max(), 1e-300):
        return None
    estimate, degrees = float(share @ c), population.measured - 1
    error = math.sqrt(max(float(share @ (c - estimate) ** 2), 0) / degrees) if degrees else 0.0
    half = float(stdtrit(degrees, (1 + LEVEL) / 2)) * error if error > 0 else math.inf
    low, high = max(estimate - half, float(values.min())), min(estimate + half, float(values.max()))
    return (low, high) if math.isfinite(half) else None


def _extreme(population: Population, values: np.ndarray) -> float:
    """Least mean of a function of p under the constraints; they are widened step by step if no population fits."""
    from scipy.optimize import Bounds, LinearConstraint, milp  # no variable is whole: it takes ranges in one piece

    kernel, low, high = population.kernel, population.low, population.high
    assert kernel is not None
    assert low is not None
    assert high is not None
    scale = float(np.abs(values).max()) or 1.0
    middle, half = (low + high) / 2, (high - low) / 2
    rows = np.vstack([kernel.T, np.ones(len(values))])
    for widen in (1, 1.25, 1.5, 2, 3, 5, 10, 1e6):
        least, most = (np.append(middle + sign * widen * half, 1.0) for sign in (-1, 1))
        limits = LinearConstraint(rows, least, most)  # type: ignore[arg-type]
        found = milp(values / scale, constraints=limits, bounds=Bounds(0, 1))
        if found.x is not None:
            return float(found.fun) * scale
    raise ArithmeticError(f"the linear program was not solved: {found.message}")
