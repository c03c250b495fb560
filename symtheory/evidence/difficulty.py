"""The distribution of difficulty behind a row of pass@k values, by linear programming.

Every question has c of n samples correct, and its unbiased pass@k is 1 - C(n - c, k) / C(n, k) (Eq. 37 of
arXiv:2602.05548): a published row is a mixture over c of these kernels, or it is not the pass@k of any set of
samples. The same holds over success probabilities p with the kernel 1 - (1 - p)^k.
"""

import functools
from typing import NamedTuple

import numpy as np

from ..errors import InputError
from ..metrics.passk import pass_at_k, unbiased_pass_at_k

SLACK = 0.0005
"""Half a digit of tables printed with one decimal of a percent: 0.05 points."""
LOGITS = np.linspace(-9, 9, 181)
"""Grid of `infer_success`: p from 1.2e-4 to 1 - 1.2e-4; below it 256 attempts see less than 3% of a question."""

MANY = 256
"""Samples per question beyond which kernels are made from logarithms, and thinned"""


class Mixture(NamedTuple):
    """A distribution of the success probability of a question."""

    success: np.ndarray
    """[m] increasing success probabilities in [0, 1]"""
    weight: np.ndarray
    """[m] share of the questions, sums to 1"""
    distance: float
    """largest absolute difference between the row and the pass@k of this mixture, as a fraction"""


def count_kernel(n: int, ks) -> np.ndarray:
    """Unbiased pass@k of a question with c = 0..n correct of n samples, shape [n + 1, k].

    Args:
        n: samples of the question.
        ks: [k] numbers of attempts, at most n.

    Returns:
        [n + 1, k] probabilities.

    >>> count_kernel(4, [1, 2, 4])[1]
    array([0.25, 0.5 , 1.  ])
    """
    return _count_kernel(n, tuple(np.asarray(ks).tolist())).copy()


@functools.lru_cache(maxsize=1024)
def _count_kernel(n: int, ks: tuple[int, ...]) -> np.ndarray:
    count = np.arange(n + 1)[:, None]
    if n > MANY:  # a product of up to k factors for each count takes too much memory
        return passed_by_count(n, count, np.array(ks))
    return np.asarray(unbiased_pass_at_k(n, count, np.array(ks)))


def passed_by_count(n, c, k) -> np.ndarray:
    """1 - C(n - c, k) / C(n, k) by logarithms of factorials, to some 1e-13 n; shapes broadcast.

    >>> passed_by_count(4, 1, np.array([1, 2, 4])).round(12)
    array([0.25, 0.5 , 1.  ])
    """
    n, c, k = np.broadcast_arrays(n, c, k)
    short = n - c < k  # every k samples hold a correct one; also where there are no k samples, as the usual code has it
    drawn = np.where(short, 0, k)
    return np.where(short, 1.0, -np.expm1(np.minimum(log_ways(n - c, drawn) - log_ways(n, drawn), 0.0)) + 0.0)


def log_ways(n, k) -> np.ndarray:
    """log C(n, k) of whole numbers 0 <= k <= n; shapes broadcast.

    >>> np.exp(log_ways(4, np.arange(5))).round(9)
    array([1., 4., 6., 4., 1.])
    """
    n, k = np.broadcast_arrays(n, k)
    table = _log_factorials(int(n.max(initial=0)))
    return table[n] - table[k] - table[np.maximum(n - k, 0)]


@functools.lru_cache(maxsize=8)
def _log_factorials(n: int) -> np.ndarray:
    return np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, n + 1)))])


def _counts(n: int) -> np.ndarray:
    """Counts of correct samples that make the columns of the linear program: all, or steps of 1% from both ends.

    With fewer columns the distance can only grow; at n = 1024 it grows by less than 1e-5.
    """
    if n <= MANY:
        return np.arange(n + 1)
    steps = np.unique(np.round(np.geomspace(1, n / 2, int(np.log(n / 2) / 0.01))).astype(int))
    return np.unique(np.concatenate([[0], steps, n - steps, [n]]))


def infer_difficulty(ks, values, n: int = 256) -> Mixture:
    """The mixture over counts c of n that comes nearest to a row of pass@k values in the maximum norm.

    Its `distance` is that of the row to all sets of samples: where it exceeds the rounding of the row, no set of n
    samples per question has these values, whatever the number of questions. The nearest mixture itself is one of
    many and sparse; `infer_success` gives a smooth one.

    Args:
        ks: [k] numbers of attempts, at most n.
        values: [k] pass@k as fractions in [0, 1].
        n: samples per question.

    Returns:
        The mixture over c / n, c = 0..n, with its distance from the row.

    Raises:
        InputError: fewer samples than the largest k.

    >>> infer_difficulty([1, 2, 4], [0.25, 0.5, 1.0], n=4).weight.round(6)
    array([0., 1., 0., 0., 0.])
    >>> round(infer_difficulty([1, 2], [0.5, 0.4], n=4).distance, 6)  # pass@k cannot fall
    0.05
    """
    ks, values = _row(ks, values)
    if ks.max() > n:
        raise InputError(f"n must be at least the largest k, {ks.max()}, got {n}: pass@k needs k samples of a question")
    counts = _counts(n)
    kernel = _count_kernel(n, tuple(ks.tolist()))[counts]
    return _mixture(counts / n, _nearest(kernel, values)[0], kernel, values)


def infer_success(ks, values, slack: float = SLACK) -> Mixture:
    """A smooth distribution of success probability whose expected pass@k is near a row of values.

    First the smallest distance t* to any mixture of the kernels 1 - (1 - p)^k; then, among the mixtures within
    t* + slack, the one whose density over logit p has the least sum of absolute second differences. Atoms at p = 0
    and p = 1, the questions never and always solved, are free. Few values of k leave the density open in the regions
    they do not see: it is a plausible reading, not an estimate with error bars.

    Args:
        ks: [k] numbers of attempts.
        values: [k] pass@k as fractions in [0, 1].
        slack: how much farther than the nearest mixture the smooth one may lie, a fraction.

    Returns:
        The mixture over success probabilities, with its distance from the row.

    >>> row = pass_at_k(np.array([0.0, 0.3]), np.array([[1], [4], [16], [64]])).mean(-1)
    >>> mixture = infer_success([1, 4, 16, 64], row)
    >>> mixture.distance < 0.001, bool(abs(mixture.weight[0] - 0.5) < 0.02)
    (True, True)
    """
    ks, values = _row(ks, values)
    grid = np.concatenate([[0.0], 1 / (1 + np.exp(-LOGITS)), [1.0]])
    kernel = np.asarray(pass_at_k(grid[:, None], ks))
    _, nearest = _nearest(kernel, values)
    weight = _smoothest(kernel, values, nearest + slack)
    return _mixture(grid, weight, kernel, values)


def success_probabilities(mixture: Mixture, prompts: int) -> np.ndarray:
    """Success probabilities of a finite population, increasing: the quantiles at (i + 1/2) / prompts, shape [prompts].

    Since pass@k increases with p, its mean over these prompts is within 1 / (2 prompts) of the mixture's.

    Args:
        mixture: from `infer_success` or `infer_difficulty`.
        prompts: size of the population.

    Returns:
        [prompts] probabilities, increasing.

    Raises:
        InputError: fewer than 1 prompt.

    >>> success_probabilities(Mixture(np.array([0.0, 0.5, 1.0]), np.array([0.5, 0.25, 0.25]), 0.0), 4).tolist()
    [0.0, 0.0, 0.5, 1.0]
    """
    if prompts < 1:
        raise InputError(f"prompts must be at least 1, got {prompts}")
    share = (np.arange(prompts) + 0.5) / prompts
    last = len(mixture.weight) - 1
    return mixture.success[np.minimum(np.searchsorted(np.cumsum(mixture.weight), share), last)]


def transport(base: Mixture, trained: Mixture, quantiles=(0.1, 0.25, 0.5, 0.75, 0.9)) -> np.ndarray:
    """Success before and after at given quantiles of difficulty, if training kept the order of the questions: [q, 2].

    Of all ways to pair two distributions the monotone one moves the least in the mean; the tables do not say which
    question is which, so it is the smallest change that explains them.

    Args:
        base, trained: mixtures before and after training.
        quantiles: [q] of difficulty, in (0, 1).

    Returns:
        [q, 2] success before and after.
    """
    share = np.asarray(quantiles, float)
    pairs = [
        m.success[np.minimum(np.searchsorted(np.cumsum(m.weight), share), len(m.weight) - 1)] for m in (base, trained)
    ]
    return np.stack(pairs, axis=-1)


def _row(ks, values) -> tuple[np.ndarray, np.ndarray]:
    ks, values = np.asarray(ks), np.asarray(values, float)
    if ks.ndim != 1 or ks.shape != values.shape or not ks.size:
        raise InputError(f"ks and values must be two lists of one length, got shapes {ks.shape} and {values.shape}")
    if not np.issubdtype(ks.dtype, np.integer) or (ks < 1).any():
        raise InputError(f"ks must be whole numbers of attempts >= 1, got {ks.tolist()}")
    if not ((values >= 0) & (values <= 1)).all():
        raise InputError(f"values must be pass@k as fractions in [0, 1], got {values.tolist()}")
    return ks, values


def _mixture(success, weight, kernel, values) -> Mixture:
    weight = np.maximum(weight, 0)
    weight = weight / weight.sum()
    return Mixture(success, weight, float(np.abs(weight @ kernel - values).max()))


def _nearest(kernel: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, float]:
    """Weights w >= 0 of sum 1 that minimise t = max |w kernel - values|, and t."""
    m, k = kernel.shape
    slack = -np.ones((k, 1))
    above, below = np.hstack([kernel.T, slack]), np.hstack([-kernel.T, slack])
    cost = np.append(np.zeros(m), 1.0)
    total = np.append(np.ones(m), 0.0)[None]
    x = _solve(cost, np.vstack([above, below]), np.concatenate([values, -values]), total)
    return x[:m], float(x[m])


def _smoothest(kernel: np.ndarray, values: np.ndarray, distance: float) -> np.ndarray:
    """Weights within `distance` of the values whose interior, without both atoms, bends the least."""
    m = len(kernel)
    inner = m - 2
    bends = inner - 2
    bend = np.zeros((bends, m))
    rows = np.arange(bends)
    for offset, coefficient in ((1, 1), (2, -2), (3, 1)):
        bend[rows, rows + offset] = coefficient
    bound = np.eye(bends)
    fit = np.hstack([kernel.T, np.zeros((kernel.shape[1], bends))])
    upper = np.vstack([fit, -fit, np.hstack([bend, -bound]), np.hstack([-bend, -bound])])
    limit = np.concatenate([values + distance, distance - values, np.zeros(2 * bends)])
    cost = np.concatenate([np.zeros(m), np.ones(bends)])
    total = np.concatenate([np.ones(m), np.zeros(bends)])[None]
    return _solve(cost, upper, limit, total)[:m]


def _solve(cost, upper, limit, total) -> np.ndarray:
    from scipy.optimize import linprog

    result = linprog(cost, A_ub=upper, b_ub=limit, A_eq=total, b_eq=[1.0], method="highs")
    if result.x is None:  # both programs are feasible by construction: the solver gave up
        raise ArithmeticError(f"the linear program was not solved: {result.message}")
    return result.x
