"""The theory atlas: what every registered estimator does to right and wrong, easy and hard, in four curves."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .. import estimators
from ..metrics.slope import expected_slope, objective
from .theorems.difficulty import imbalance, magnitude


class Atlas(NamedTuple):
    """Curves of E estimators at one group size G and one batch mean reward omega."""

    names: tuple[str, ...]
    size: int
    omega: float
    p: np.ndarray
    """[G + 1] success rate K/G of a group"""
    magnitude: np.ndarray
    """[E, G + 1] sum |A| / G, Eq. 10 of arXiv:2602.05548"""
    imbalance: np.ndarray
    """[E, G + 1] C / G, the sum of A over the group per rollout"""
    P: np.ndarray
    """[n] success probability of the policy"""
    slope: np.ndarray
    """[E, n] F'_G(P), the expected update per rollout in units of grad P"""
    objective: np.ndarray
    """[E, n] F_G(P) - F_G(0), what the expected update ascends"""


def atlas(names: Sequence[str] | None = None, size: int = 8, omega: float = 0.25, points: int = 201) -> Atlas:
    """The four curves of each estimator (default: all that are registered), exact sums over Bin(G, P).

    >>> atlas(["grpo", "psr"]).magnitude[:, 4].tolist()
    [1.0, 0.5]
    """
    names = tuple(estimators.names("two_class") if names is None else names)
    P = np.linspace(0, 1, points)
    return Atlas(
        names,
        size,
        omega,
        np.arange(size + 1) / size,
        np.stack([magnitude(name, size, omega) / size for name in names]),
        np.stack([imbalance(name, size, omega) / size for name in names]),
        P,
        np.stack([expected_slope(name, size, P, omega) for name in names]),
        np.stack([objective(name, size, P, omega) for name in names]),
    )
