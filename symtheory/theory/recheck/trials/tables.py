"""A+(K) and A-(K) of the code for all K, and sums over groups."""

import itertools
import math
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from ...exact import exact_advantages, exact_two_outcomes
from ...surds import Surd, surd
from .. import groups
from ..groups import resolve


def table(name: str, size: int, omega: Any, **params: Any) -> tuple[np.ndarray, np.ndarray]:
    """A+(K) and A-(K), K = 0..G, from the code on groups written out; 0 for an empty class. omega may be [G + 1]."""
    return at_counts(name, np.arange(size + 1), size, omega, **params)


def at_counts(name: str, k: np.ndarray, size: int, omega: Any, /, **params: Any) -> tuple[np.ndarray, np.ndarray]:
    """The same for some numbers k[n] of correct rollouts."""
    code = resolve(name).with_params(**params) if params else resolve(name)
    w = np.broadcast_to(np.asarray(omega, dtype=float), k.shape)
    [(plus, minus)] = groups.written_out(code, "numpy", [(k, w, np.arange(size))])
    return np.nan_to_num(plus), np.nan_to_num(minus)


def exact_table(name: str, size: int, omega: Any) -> list[tuple[Surd, Surd]]:
    """The same in exact numbers, above `WRITTEN_OUT` by counts; `omega` a number or a function of K."""
    code, found = resolve(name), []
    for k in range(size + 1):
        w = omega(k) if callable(omega) else omega
        if size > WRITTEN_OUT:
            found.append(exact_two_outcomes(code, k, size, w))
            continue
        a = exact_advantages(code, [1] * k + [0] * (size - k), omega=w)
        found.append((a[0] if k else surd(0), a[-1] if k < size else surd(0)))
    return found


WRITTEN_OUT = 8
"""Largest group that `exact_table` evaluates rollout by rollout; floats are at every size."""


def compositions(arms: int, size: int) -> Iterator[tuple[tuple[int, ...], int]]:
    """Counts of each behaviour in a group, with their multinomial coefficient."""
    for bars in itertools.combinations(range(size + arms - 1), arms - 1):
        counts = tuple(b - a - 1 for a, b in itertools.pairwise((-1, *bars, size + arms - 1)))
        yield counts, math.factorial(size) // math.prod(math.factorial(n) for n in counts)


def bernstein(d: Sequence[Any], P: Fraction) -> Any:
    """sum_j d_j C(n, j) P^j (1-P)^(n-j)."""
    n = len(d) - 1
    return sum((math.comb(n, j) * P**j * (1 - P) ** (n - j) * x for j, x in enumerate(d)), surd(0))
