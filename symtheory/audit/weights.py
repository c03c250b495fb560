"""Find the reward behind logged advantages: the weights of reward columns that the advantages are a scaling of.

Every estimator that is linear in the rewards of its group, with a factor that may depend on the group, makes the
advantages of a group parallel to its centred rewards X w (X: [G, K] reward columns, w: [K] weights). So w minimises

    sum over groups of |X w - (a'X w) a|^2,   a = the centred advantages of the group, normalised (0 if all are 0),

which is the eigenvector of a K x K matrix for its smallest eigenvalue. The value at w, relative to sum |X w|^2, is
the share of the reward's variance that the advantages do not have.
"""

import itertools
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from .rows import Batch

EXACT = 1e-5
"""Unexplained share below which weights count as those of the training run: rounded advantages leave about 1e-6."""
DENOMINATORS = (1, 2, 4, 5, 10, 20, 100)


class Fit(NamedTuple):
    """Weights of the reward columns, scaled so that the largest is 1, and how well they explain the advantages."""

    weights: tuple[float, ...]
    unexplained: float
    unsure: tuple[int, ...]
    """Columns that are constant in every group, whose weight nothing tells"""


class Standardised(NamedTuple):
    """Weights of rewards that were standardised in their groups before they were added."""

    weights: tuple[float, ...]
    ddof: int
    eps: float
    unexplained: float


def fit(batches: Iterable[Batch], preferred: np.ndarray, nansum: bool = True) -> Fit | None:
    """The weights that the advantages of some batches come from, the simplest of equally good ones.

    Args:
        batches: with reward columns `parts` and logged advantages.
        preferred: [K] weights that are used unless others explain more.
        nansum: whether a missing reward counts as 0.

    Returns:
        None if there is nothing to explain: no advantages, or no column that varies.
    """
    matrix, total, compared = _matrices(batches, len(preferred))
    if not compared or not np.trace(total) > 0:
        return None
    size = len(preferred)
    varies = np.diag(total) > 1e-12 * np.trace(total)
    unsure = tuple(np.flatnonzero(~varies).tolist())
    trials = [preferred, np.ones(size), *np.eye(size)]
    vectors = np.linalg.eigh(matrix[np.ix_(varies, varies)])[1]
    best = np.zeros(size)
    best[varies] = vectors[:, 0]
    trials += [_rounded(best), best]
    shares = [_unexplained(w * varies, matrix, total) for w in trials]
    good = [i for i, share in enumerate(shares) if share < EXACT]
    if not good:
        return Fit(tuple(preferred.tolist()), shares[0], unsure)
    return Fit(tuple(_scaled(trials[good[0]] * varies).tolist()), shares[good[0]], unsure)


def fit_standardised(batches: Sequence[Batch], size: int) -> Standardised | None:
    """The weights of rewards that were each standardised in their group and then added up, as GDPO does.

    A further scaling of a whole step, as GDPO's, is left open. None if no such sum gives the advantages.
    """
    for ddof, eps in itertools.product((1, 0), (1e-4, 1e-6, 0.0)):
        left, total, compared = _matrices(batches, size, (ddof, eps))
        if not compared or not np.trace(total) > 0 or (np.diag(total) == 0).any():
            return None
        w = np.linalg.eigh(left)[1][:, 0]
        for weights in (_rounded(w), _scaled(w)):
            share = _unexplained(weights, left, total)
            if share < EXACT and np.count_nonzero(weights) > 1:
                return Standardised(tuple(weights.tolist()), ddof, eps, share)
    return None


def _matrices(
    batches: Iterable[Batch], size: int, standardise: tuple[int, float] | None = None
) -> tuple[np.ndarray, np.ndarray, bool]:
    """(what the advantages leave of the rewards, all of them, whether there were any): [K, K], [K, K].

    Rewards are centred in their groups and compared group by group; with `standardise` = (ddof, eps) they are divided
    by their standard deviation too, and compared over whole steps.
    """
    left, total, compared = np.zeros((size, size)), np.zeros((size, size)), False
    for batch in batches:
        step_x, step_a = [], []
        for _, rows in batch.by_size():
            if rows.shape[1] < 2:
                continue
            x = np.nan_to_num(batch.rows["parts"][rows])
            a = batch.rows["advantage"][rows]
            known = np.isfinite(a).all(1)
            x, a = x[known], a[known]
            x = x - x.mean(1, keepdims=True)
            a = a - a.mean(1, keepdims=True)
            compared |= bool(len(a))
            if standardise is not None:
                deviation = x.std(1, keepdims=True, ddof=standardise[0]) + standardise[1]
                step_x.append(np.divide(x, deviation, out=np.zeros_like(x), where=deviation > 1e-9).reshape(-1, size))
                step_a.append(a.reshape(-1))
                continue
            left, total = left + _rest(x, a), total + np.einsum("gik,gil->kl", x, x)
        if step_x:
            x, a = np.concatenate(step_x)[None], np.concatenate(step_a)[None]
            left, total = left + _rest(x, a), total + np.einsum("gik,gil->kl", x, x)
    return left, total, compared


def _rest(x: np.ndarray, a: np.ndarray) -> np.ndarray:
    """Products of rewards [g, n, K] without their parts along the advantages [g, n]: [K, K]."""
    norm = np.linalg.norm(a, axis=1, keepdims=True)
    unit = np.divide(a, norm, out=np.zeros_like(a), where=norm > 1e-6)
    along = np.einsum("gi,gik->gk", unit, x)
    return np.einsum("gik,gil->kl", x, x) - np.einsum("gk,gl->kl", along, along)


def _unexplained(w: np.ndarray, left: np.ndarray, total: np.ndarray) -> float:
    """Share of the variance of X w that the advantages do not have.

    A sum that is constant in every group explains advantages of 0; then the variance of its terms is the measure.
    """
    variance = float(w @ total @ w)
    terms = float((w**2) @ np.diag(total))
    if terms <= 0:
        return 1.0
    rest = max(float(w @ left @ w), 0.0)
    return rest / (variance if variance > 1e-9 * terms else terms)


def _scaled(w: np.ndarray) -> np.ndarray:
    largest = w[np.abs(w).argmax()]
    w = w / largest if largest else w
    return np.where(np.abs(w) < 1e-9, 0.0, w)


def _rounded(w: np.ndarray) -> np.ndarray:
    """The weights as short decimals, where they are close to such: people do not choose 0.19999."""
    w = _scaled(w)
    for n in DENOMINATORS:
        if np.abs(w * n - np.round(w * n)).max() < 2e-3 * n:
            return np.round(w * n) / n
    return w
