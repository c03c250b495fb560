"""Bootstrap intervals over seeds."""

import functools
from typing import NamedTuple

import numpy as np

from ..errors import InputError

RESAMPLES = 10_000


class Interval(NamedTuple):
    """A mean over seeds with its percentile bootstrap interval; the shapes are those of one seed's value."""

    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray

    def excludes_zero(self) -> np.ndarray:
        """Whether zero lies outside the interval."""
        return (self.low > 0) | (self.high < 0)


def bootstrap(values, level: float = 0.95) -> Interval:
    """Mean over seeds, `values[seed, ...]`, with its percentile bootstrap interval.

    For a paired comparison give the differences of each seed. Resampling uses a fixed generator, so that the same
    values always give the same interval.

    Args:
        values: [seed, ...] at least two seeds.
        level: coverage, in (0, 1).

    Returns:
        Mean, low and high, each [...].

    Raises:
        InputError: fewer than two seeds.

    >>> i = bootstrap([1.0, 2.0, 3.0])
    >>> float(i.mean), bool(i.low < 2 < i.high)
    (2.0, True)
    """
    values = np.asarray(values, float)
    if values.ndim == 0 or len(values) < 2:
        raise InputError(f"values must hold at least two seeds on their first axis, got shape {values.shape}")
    means = np.tensordot(_resampling_weights(len(values)), values, axes=1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return Interval(values.mean(0), low, high)


@functools.cache
def _resampling_weights(seeds: int) -> np.ndarray:
    """[RESAMPLES, seeds] weight of each seed in each resampled mean."""
    counts = np.random.default_rng(0).multinomial(seeds, np.full(seeds, 1 / seeds), size=RESAMPLES)
    return counts / seeds


def share(events, level: float = 0.95) -> Interval:
    """Share of seeds in which something happened, `events[seed, ...]` of 0 and 1, with its Clopper-Pearson interval.

    Unlike the bootstrap it says how much seeds without a single event leave open.

    Args:
        events: [seed, ...] of 0 and 1.
        level: coverage, in (0, 1).

    Returns:
        Mean, low and high, each [...].

    >>> i = share([0.0] * 20)
    >>> float(i.mean), float(i.low), round(float(i.high), 3)
    (0.0, 0.0, 0.168)
    """
    from scipy.stats import binomtest  # its import takes longer than all else here

    events = np.asarray(events, float)
    counts = events.sum(0)
    ends = [binomtest(int(k), len(events)).proportion_ci(level) for k in np.ravel(counts)]
    low, high = (np.reshape([getattr(e, end) for e in ends], counts.shape) for end in ("low", "high"))
    return Interval(counts / len(events), low, high)
