"""What one step of training sees: groups of G rollouts of questions drawn from a population, exactly.

A group with K correct of G gives A+(K) to each correct rollout and A-(K) to each wrong one. If one logit decides
whether question q is solved, with probability p, its part of the step is

    h(K, p) = (1/G) sum_i A_i d log pi(o_i) / d logit = (K A+ - p C) / G,    C = K A+ + (G - K) A-,

and its mean over K ~ Bin(G, p) is F'_G(p) p (1 - p): the master theorem (`dynamics.expected`). Mean and variance of the
step are finite sums over K. Estimators that look at the whole batch (omega) are averaged over the law of the number of
correct rollouts in the other groups, by convolution, so they are exact too.

Signal and noise. All questions share the logit, so the signal is the mean of h. A rollout also has directions of its
own (the tokens that no other rollout has); these do not add up, so the noise is the sum of (A_i / rollouts)^2, in units
of the squared length of the part of d log pi(o) that is its own. That unit is a property of the model and not known
here: ratios of signal to noise mean something, single values do not.
"""

import functools
from typing import NamedTuple

import numpy as np

from ..errors import InputError
from ..estimators import Estimator, chain
from ..estimators.group import two_outcome_batch
from ..metrics.slope import advantage_table
from ..ops import numpy_ops
from .population import Population, binomial

NEGLIGIBLE = 1e-13
"""Chance below which a number of correct rollouts in the other groups is left out"""
BLOCK = 1 << 20
"""Numbers held at once while the groups of a step are paired"""


class Step(NamedTuple):
    """A step that is the mean over the rollouts of `groups` groups."""

    kept: float
    """chance that a group is kept; groups are drawn until the step is full"""
    mean: float
    """signal: expected step along the logit, the mean over the groups kept of F'_G(p) p (1 - p)"""
    variance: float
    """variance of the step along the logit, over questions and rollouts"""
    own: float
    """noise: expected sum over rollouts of (A_i / rollouts)^2, the squared length of what belongs to single rollouts"""

    @property
    def signal_to_noise(self) -> float | None:
        """mean^2 / own; None where nothing is ever weighed."""
        return self.mean**2 / self.own if self.own > 0 else None


def live(size: int, p: np.ndarray) -> np.ndarray:
    """Chance that a group of G holds a correct and a wrong rollout, 1 - p^G - (1 - p)^G.

    Args:
        size: G, rollouts in a group.
        p: [...] success probabilities.

    Returns:
        [...] probabilities.

    >>> live(2, np.array([0.5, 1.0])).tolist()
    [0.5, 0.0]
    """
    return 1 - p**size - (1 - p) ** size


def slope(estimator: Estimator, size: int, p: np.ndarray, population: Population, groups: int) -> np.ndarray:
    """F'_G(p) = E over J ~ Bin(G-1, p) of A+(J+1) - A-(J), the expected gap of advantages; shape of `p`.

    The other groups of the step are drawn from the population.

    Args:
        estimator: any registered estimator or chain.
        size: G, rollouts in a group.
        p: [...] success probabilities of the group's question.
        population: questions of the other groups.
        groups: groups in the step, at least 1.

    Returns:
        [...] slopes.

    Raises:
        InputError: a group too small.

    >>> from symtheory import estimators
    >>> from symtheory.plan.population import exact_population
    >>> slope(estimators.get("rloo"), 8, np.array([0.1, 0.9]), exact_population([0.5]), 4)
    array([1., 1.])
    """
    start, law = _elsewhere(estimator, size, population, groups)
    plus, minus = _tables(estimator, size, start, len(law), groups)
    gap = law @ (plus[:, 1:] - minus[:, :-1])
    return binomial(size - 1, p) @ gap


def step(estimator: Estimator, size: int, population: Population, groups: int, keep: np.ndarray | None = None) -> Step:
    """Mean and variance of a step, exactly.

    Args:
        estimator: any registered estimator or chain.
        size: G.
        population: questions, drawn anew for each group.
        groups: groups in the step, at least 1.
        keep: [G + 1] 1 for numbers of correct rollouts whose groups are kept; others are drawn again.

    Returns:
        The mean and the variance.

    Raises:
        InputError: a group too small for the estimator, or no group that could be kept.
    """
    p, k = population.success, np.arange(size + 1.0)
    law = _law(size, population) * (1 if keep is None else keep)
    powers = np.stack([population.weight, population.weight * p, population.weight * p**2]) @ law  # [3, G + 1]
    kept = float(powers[0].sum())
    if not kept > 0:
        raise InputError(f"no group of {size} rollouts could be kept: every question is always or never solved")
    once, by_p, by_p2 = powers / kept
    start, elsewhere = _elsewhere(estimator, size, population, groups, keep)
    plus, minus = _tables(estimator, size, start, len(elsewhere), groups)
    signed, own = k * plus + (size - k) * minus, k * plus  # C and K A+, [S, G + 1]
    part = (own * once - signed * by_p) / size
    mean = float(elsewhere @ part.sum(1))
    square = (own**2 * once - 2 * own * signed * by_p + signed**2 * by_p2) / size**2
    variance = float(elsewhere @ square.sum(1)) - mean**2
    if groups > 1 and sees_batch(estimator):
        variance += (groups - 1) * (_product_of_two(estimator, size, population, groups, keep) - mean**2)
    squares = float(elsewhere @ ((k * plus**2 + (size - k) * minus**2) @ once))
    return Step(min(kept, 1.0), mean, max(variance, 0) / groups, squares / (groups * size**2))


def moments(estimator: Estimator, size: int, p: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean of h and of sum A_i^2 / G^2 over groups of a question, [m] each; for estimators that ignore the batch."""
    k = np.arange(size + 1.0)
    ((plus,), (minus,)) = _tables(estimator, size, 0, 1, 1)
    h = (k * plus - p[:, None] * (k * plus + (size - k) * minus)) / size
    law = binomial(size, p)
    return (law * h).sum(1), law @ (k * plus**2 + (size - k) * minus**2) / size**2


def sees_batch(estimator: Estimator) -> bool:
    """Whether advantages depend on other groups, through omega."""
    return "batch_independence" not in estimator.laws


def _law(size: int, population: Population) -> np.ndarray:
    """Law of the correct rollouts of a group of each question, [m, G + 1]; kept, since every estimator asks for it."""
    return _law_of(size, population.success.tobytes())


@functools.lru_cache(maxsize=8)
def _law_of(size: int, success: bytes) -> np.ndarray:
    return binomial(size, np.frombuffer(success))


def _tables(estimator: Estimator, size: int, start: int, count: int, groups: int) -> tuple[np.ndarray, np.ndarray]:
    """A+ and A- for `count` numbers of correct rollouts in the other groups from `start` on, and K = 0..G in this one.

    Shapes [count, G + 1], or [1, G + 1] if the estimator does not look at the other groups.
    """
    needed = max(estimator.min_size, estimator.params.get("k", 1))
    if size < needed:
        raise InputError(f"group size must be at least {needed} for estimator {estimator.name!r}, got {size}")
    if not sees_batch(estimator):
        plus, minus = advantage_table(estimator, size)
        return plus[None], minus[None]
    return _tables_of_batch(estimator.links, tuple(estimator.params.items()), size, start, count, groups)


@functools.lru_cache(maxsize=16)
def _tables_of_batch(links, params, size: int, start: int, count: int, groups: int) -> tuple[np.ndarray, np.ndarray]:
    op, estimator = numpy_ops(), chain(*links, **dict(params))
    correct = np.broadcast_to(np.arange(size + 1.0), (count, size + 1))
    total = (start + np.arange(count)[:, None] + correct)[..., None]
    batch = two_outcome_batch(op, total, np.array(float(size * groups)))
    with np.errstate(all="ignore"):
        plus, minus = estimator.two_outcomes(correct, np.full_like(correct, size), batch, op)
    k = np.arange(size + 1)
    return np.where(k > 0, plus, 0.0), np.where(k < size, minus, 0.0)


def _elsewhere(estimator, size, population, groups, keep=None) -> tuple[int, np.ndarray]:
    """Law of the number of correct rollouts in the other groups: first number, and chances from there on."""
    return _law_of_sum(size, population, groups - 1, keep) if sees_batch(estimator) else (0, np.ones(1))


def _law_of_sum(size, population, groups, keep=None) -> tuple[int, np.ndarray]:
    """Law of the number of correct rollouts in so many groups, without its negligible ends."""
    one = population.weight @ (_law(size, population) * (1 if keep is None else keep))
    total = groups * size + 1
    law = np.fft.irfft(np.fft.rfft(one / one.sum(), total + 1) ** groups, total + 1)[:total]
    seen = np.flatnonzero(law > NEGLIGIBLE)
    law = np.where(law > NEGLIGIBLE, law, 0)[seen[0] : seen[-1] + 1]
    return int(seen[0]), law / law.sum()


def _product_of_two(estimator, size, population, groups, keep) -> float:
    """Mean of h h' over two groups of one step, which share the mean reward of the batch.

    Given the number T of correct rollouts in the step, the product is a sum over K and K' of h_T(K) h_T(K') times the
    chance of T - K - K' in the rest: a convolution of h_T with itself.
    """
    k = np.arange(size + 1)
    law = _law(size, population) * (1 if keep is None else keep)
    once, by_p = np.stack([population.weight, population.weight * population.success]) @ law
    kept = once.sum()
    start, rest = _law_of_sum(size, population, groups - 2, keep)
    plus, minus = _tables(estimator, size, start, len(rest) + size, groups)
    part = (k * plus * once - (k * plus + (size - k) * minus) * by_p) / (kept * size)  # [S, K], S in the others
    total, block = 0.0, max(1, BLOCK // (2 * size + 1))
    for first in range(0, len(rest) + 2 * size, block):
        t = np.arange(first, min(first + block, len(rest) + 2 * size))[:, None]
        h = np.where((t >= k) & (t - k < len(part)), part[np.clip(t - k, 0, len(part) - 1), k], 0.0)
        both = np.fft.irfft(np.fft.rfft(h, 2 * size + 2) ** 2, 2 * size + 2)[:, : 2 * size + 1]
        left = t - np.arange(2 * size + 1)
        chance = np.where((left >= 0) & (left < len(rest)), rest[np.clip(left, 0, len(rest) - 1)], 0.0)
        total += float((both * chance).sum())
    return total
