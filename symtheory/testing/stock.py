"""Batches of rewards that tell estimators apart, smallest first."""

import itertools

import numpy as np


def small_batches() -> list[np.ndarray]:
    """Telling batches, smallest first: all binary ones of at most four rewards, then graded, signed and extreme ones.

    >>> [b.tolist() for b in small_batches()[:3]]
    [[[0.0, 0.0]], [[0.0, 1.0]], [[1.0, 0.0]]]
    """
    zero_one, thirds = (0.0, 1.0), (0.0, 0.5, 1.0)
    batches = [np.array([r]) for size in (2, 3, 4) for r in itertools.product(zero_one, repeat=size)]
    batches += [np.reshape(r, (2, 2)) for r in itertools.product(zero_one, repeat=4)]
    batches += [np.array([r]) for size in (2, 3) for r in itertools.product(thirds, repeat=size) if 0.5 in r]
    batches += [np.full((1, size), value) for size in (2, 3, 4) for value in (0.1, 0.7, 0.9, 1 / 3)]
    graded = [[0.2, 0.0], [0.9, 1.0], [0.1, 0.6], [0.3, 0.3 + 1e-9], [0.1, 0.2, 0.7], [0.1, 0.1, 0.1 + 1e-12]]
    graded += [[0.1, 0.1, 0.6, 0.6], [0.1, 0.4, 0.5, 0.2]]
    real = [[-1.0, 1.0], [-1.0, -1.0], [1000.0, 0.0], [1000.5, 1000.0], [1e-8, 0.0], [1e15, 0.0], [0.0, 1e-15]]
    real += [[-1e15, 1e15], [-1.0, 0.3, 2.0], [1000.5, 1000.0, 1000.0], [-1.0, -1.0, 1.0, 1.0]]
    batches += [np.array([r]) for r in graded + real]
    batches += [
        np.array(r)
        for r in (
            [[0.1, 0.6], [0.5, 1.0]],
            [[0.0, 0.0], [0.9, 1.0]],
            [[1.0, 1.0], [0.0, 0.01]],
            [[0.0, 0.5], [0.0, 0.0]],
            [[-1.0, 1.0], [0.0, 5.0]],
        )
    ]
    by_count = [np.array([1.0] * k + [0.0] * (size - k)) for size in (3, 4, 5, 8) for k in range(size + 1)]
    batches += [r[None] for r in by_count if len(r) > 4]
    batches += [
        np.stack([r, other]) for r in by_count for other in by_count[::3] if len(r) == len(other) and len(r) in (4, 8)
    ]
    batches += [np.stack([r, other, other, other]) for r in by_count[-8:-1] for other in (by_count[-9], by_count[-1])]
    batches += [np.full((1, size), value) for size in (5, 8) for value in (0.1, 0.7, 0.9, 1 / 3)]
    return sorted(batches, key=lambda r: r.size > 4)


def large_batches() -> list[np.ndarray]:
    """Groups of the sizes that are trained with, and of one: one correct, one wrong, half, graded, and all alike.

    A clip at 3 shows from G = 11 on, one at 5 from G = 27 on.
    """
    batches = []
    for size in (16, 64):
        for correct in (1, size // 2, size - 1):
            batches.append(np.array([[1.0] * correct + [0.0] * (size - correct)]))
    batches += [np.full((1, size), value) for size, value in ((16, 0.97), (16, 0.98), (64, 0.1))]
    batches.append((np.arange(16.0)[None] * 7 % 16) / 16)
    return [*batches, np.zeros((1, 1)), np.ones((1, 1))]


def bfloat16_batches() -> list[np.ndarray]:
    """A few batches that bfloat16 holds exactly, but for the groups that are all alike."""
    exact = [
        [[0, 1]],
        [[0, 0, 1]],
        [[0, 0.5, 1]],
        [[1, 1, 0, 0]],
        [[1, 1, 1, 0]],
        [[0, 1], [1, 1]],
        [[0.0, 0.0], [0, 1]],
    ]
    alike = [np.full((1, size), value) for size in (3, 8) for value in (0.6992, 0.8984, 0.1)]
    return [*(np.array(r, dtype=np.float64) for r in exact), *alike]
