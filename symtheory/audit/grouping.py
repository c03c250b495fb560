"""Whether the advantages of a log fit its groups: every estimator gives equal rewards of a group equal advantages."""

import numpy as np

from .rows import Batch

UNEQUAL = 1e-3
"""Share of the usual advantage by which two must differ to count as unequal."""


def uneven_groups(batch: Batch) -> np.ndarray:
    """[m] whether rollouts of a group have one reward and different advantages."""
    group = np.repeat(np.arange(len(batch.starts)), batch.sizes)
    found = np.zeros(len(batch.starts), bool)
    found[group[uneven(group, batch.rows["reward"], batch.rows["advantage"])]] = True
    return found


def uneven(group: np.ndarray, reward: np.ndarray, advantage: np.ndarray) -> np.ndarray:
    """Positions of rollouts whose advantage differs from that of another one of the same group and reward."""
    known = np.flatnonzero(np.isfinite(advantage))
    alive = np.abs(advantage[known])
    alive = alive[alive > 0]
    if not len(alive):
        return np.zeros(0, int)
    order = known[np.lexsort((advantage[known], reward[known], group[known]))]
    same = (group[order][1:] == group[order][:-1]) & (reward[order][1:] == reward[order][:-1])
    return order[1:][same & (np.diff(advantage[order]) > UNEQUAL * np.median(alive))]


def fitting_size(reward: np.ndarray, advantage: np.ndarray, largest: int = 1024) -> int | None:
    """The largest number of consecutive rows that may be one group, and divides all of them; None if only 1 does.

    >>> fitting_size(np.array([1.0, 0, 1, 0]), np.array([0.5, -0.5, 1, -1]))
    2
    """
    n = len(reward)
    if not np.isfinite(advantage).all() or not advantage.any():
        return None
    for size in range(min(n // 2, largest), 1, -1):
        if n % size == 0 and not len(uneven(np.arange(n) // size, reward, advantage)):
            return size
    return None
