"""The interference law for models without exact gradients: exchange rates from a few probe steps.

Train a copy of the base model for a few steps on the prompts of one bin of difficulty, count correct rollouts of all
prompts before and after, and do so for each bin. Any trainer will do: the length of the steps cancels in an exchange
rate, and within a narrow bin so does the weight F' of its estimator. The change must be small; the steps need not be.

Bins must be made from other rollouts than those counted here: a prompt with lucky base counts looks easier than it is,
and then seems to lose after every probe.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..errors import InputError
from ..estimators.group import Array
from ..metrics.passk import unbiased_pass_at_k

DRAWS = 400


class Counts(NamedTuple):
    """Correct rollouts of each prompt under the base model (row 0) and after the probe of each of B bins (1 + bin)."""

    trained: Array
    """[1 + B, T] of the prompts that are trained on, in the probes those of one bin at a time"""
    watched: Array
    """[1 + B, H] of held-out prompts"""
    rollouts: int
    """n, rollouts of each prompt in each row"""
    bins: Array
    """[T] bin of each trained prompt, 0 .. B - 1"""
    watched_bins: Array
    """[H] bin of each watched prompt"""


class Probed(NamedTuple):
    """What probes say; errors are standard errors from the rollouts alone, the prompts being held fixed."""

    progress: Array
    """[B] change of training pass@1 in each probe: T of the bin, in units of its probe's length"""
    progress_error: Array
    kappa: Array
    """[B, B] change of pass@1 of the watched prompts of each bin (rows) in each probe (columns): the kernel by bins"""
    kappa_error: Array
    rate: Array
    """[B, K] held-out pass@k per unit of training pass@1 in each probe: rho_k of the bin"""
    rate_error: Array


def exchange_rates(counts: Counts, ks: Sequence[int], *, seed: int = 0) -> Probed:
    """Exchange rate of every bin from a table of probes.

    It costs (1 + B)(T + H) n rollouts besides the probes' own steps. Standard errors are the spread over redrawn
    counts, each from the binomial law at a success drawn from its Jeffreys posterior, so that prompts without a correct
    rollout are not taken for impossible.

    Args:
        counts: the table.
        ks: of pass@k, each at most n.
        seed: of the redrawn counts.

    Raises:
        InputError: shapes that do not fit, counts outside 0..n, a k above n, or a probe without progress.

    >>> base, after = [[10, 40]], [[20, 41], [12, 50]]
    >>> counts = Counts(np.array(base + after), np.array(base + after), 100, np.array([0, 1]), np.array([0, 1]))
    >>> exchange_rates(counts, [4]).rate.round(2).tolist()  # training the hard prompt gains more pass@4
    [[2.33], [1.02]]
    """
    counts = _checked(counts, ks)
    probes = len(counts.trained) - 1

    def readings(trained, watched):
        gain = (trained[1:] - trained[0]).mean(-1) / counts.rollouts
        moved = (watched[1:] - watched[0]) / counts.rollouts
        kappa = [[row[counts.watched_bins == i].mean() for row in moved] for i in range(probes)]
        passed = np.stack([np.mean(unbiased_pass_at_k(counts.rollouts, watched, k), axis=-1) for k in ks], axis=-1)
        with np.errstate(all="ignore"):
            return gain, np.array(kappa), (passed[1:] - passed[0]) / gain[:, None]

    gain, kappa, rate = readings(counts.trained, counts.watched)
    rng = np.random.default_rng(seed)
    drawn = [readings(*(_redrawn(rng, c, counts.rollouts) for c in counts[:2])) for _ in range(DRAWS)]
    errors = [_half_width(np.array([d[i] for d in drawn])) for i in range(3)]
    if (gain <= 0).any():
        worst = int(np.argmin(gain))
        raise InputError(
            f"every probe must raise training pass@1, that of bin {worst} changed it by {gain[worst]:+.4f} "
            f"(standard error {errors[0][worst]:.4f}): take longer probes or more rollouts"
        )
    return Probed(gain, errors[0], kappa, errors[1], rate, errors[2])


def slope(probed: Probed, counts: Counts, weight: Any) -> tuple[np.ndarray, np.ndarray]:
    """d held-out pass@k / d training pass@1 of an estimator, with its standard error: two arrays [K].

    Args:
        probed: `exchange_rates(counts, ks)`, of probes of equal length (steps and learning rate).
        counts: the table.
        weight: [B] F'(P) of the estimator at the success of each bin, over that of the estimator of the probes.
    """
    weight = np.asarray(weight, float)
    if weight.shape != probed.progress.shape:
        raise InputError(f"weight must have one number for each of the {probed.progress.size} bins, got {weight.shape}")
    # a probe spends all its steps on one bin; an estimator gives each bin its share of the prompts
    share = np.bincount(counts.bins, minlength=len(weight)) * weight * probed.progress
    share = share / share.sum()
    return share @ probed.rate, np.sqrt((share**2) @ probed.rate_error**2)


def _half_width(draws: np.ndarray) -> np.ndarray:
    """Half of the central 68% of `draws[D, ...]`: the standard deviation, for ratios whose divisor may come near 0."""
    low, high = np.nanquantile(draws, [0.16, 0.84], axis=0)
    return (high - low) / 2


def _redrawn(rng: np.random.Generator, correct: np.ndarray, rollouts: int) -> np.ndarray:
    return rng.binomial(rollouts, rng.beta(correct + 0.5, rollouts - correct + 0.5))


def _checked(counts: Counts, ks: Sequence[int]) -> Counts:
    trained, watched, bins, watched_bins = (
        np.asarray(x) for x in (counts.trained, counts.watched, counts.bins, counts.watched_bins)
    )
    probes = len(trained) - 1
    if trained.ndim != 2 or watched.ndim != 2 or len(watched) != len(trained) or probes < 1:
        raise InputError(
            "counts.trained and counts.watched must have shapes [1 + B, T] and [1 + B, H] with at least one probe, got "
            f"{trained.shape} and {watched.shape}"
        )
    for name, x, of in (("bins", bins, trained), ("watched_bins", watched_bins, watched)):
        if x.shape != of.shape[1:] or set(np.unique(x)) != set(range(probes)):
            raise InputError(
                f"counts.{name} must give each of {of.shape[1]} prompts one of the bins 0..{probes - 1}, none of them "
                f"empty, got {x.shape} with bins {np.unique(x).tolist()}"
            )
    if counts.rollouts < 1 or not all(((x >= 0) & (x <= counts.rollouts)).all() for x in (trained, watched)):
        raise InputError(f"counts must be numbers of correct ones among rollouts = {counts.rollouts}")
    if not ks or not all(1 <= k <= counts.rollouts for k in ks):
        raise InputError(f"ks must be in 1..{counts.rollouts}, the rollouts of a prompt, got {list(ks)}")
    return Counts(trained, watched, counts.rollouts, bins, watched_bins)
