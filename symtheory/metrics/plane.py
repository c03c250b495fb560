"""The symmetry plane: two numbers that place any advantage estimator, GRPO at the origin.

Both weigh all numbers of right rollouts K = 0..G alike, which is what prompts of uniformly distributed success
probability give on average, and count magnitude by sum |A| (Eq. 10 of arXiv:2602.05548):

    group asymmetry = sum_K C_K / sum_K L_K,               C_K = sum A, L_K = sum |A| of a group with K right of G
    difficulty tilt = 1 - 2 sum_K L_K (K/G) / sum_K L_K,   one minus twice the centre of mass of L over p = K/G

Both lie in [-1, 1] and change sign when right and wrong swap, A(r) -> -A(1 - r), respectively p -> 1 - p. With
asymmetry 1 only correct rollouts are pushed, up; with -1 only wrong ones, down; with tilt > 0 hard prompts weigh more.
For G -> infinity: Positive-Dominant (beta - 1)/(beta + 1) and 0, Hard-Focused 0 and 1/5, DDAS 0 and (2 omega - 1)/5,
A-GRAE with alpha = 1 (omega - 1)/(omega + 1) and (2 omega - 1)/5.
"""

from typing import NamedTuple

import numpy as np

from ..errors import InputError
from ..estimators import Estimator, advantages
from ..estimators.group import Array


class Position(NamedTuple):
    """A point of the symmetry plane."""

    asymmetry: float
    tilt: float


def group_asymmetry(signed: Array, magnitude: Array) -> float | None:
    """C / sum |A| of groups with sums of advantages `signed` and of their sizes `magnitude`; None if all are 0.

    Args:
        signed: [...] sum A of each group.
        magnitude: [...] sum |A| of each group.

    Returns:
        A number in [-1, 1], or None.

    >>> group_asymmetry([1.0, 0.0], [1.0, 1.0])
    0.5
    """
    total = float(np.sum(magnitude))
    return float(np.sum(signed)) / total if total else None


def difficulty_tilt(centre: float, reference: float = 0.5) -> float:
    """Twice the distance by which the mean success rate under sum |A|, `centre`, lies below GRPO's, `reference`.

    GRPO's is 1/2 on groups of all difficulties alike; on groups as they came, give what its weight makes of them.

    Args:
        centre: mean success rate, each group weighed by its sum |A|.
        reference: the same under GRPO's weights.

    Returns:
        The tilt: positive where hard groups weigh more than under GRPO.

    >>> difficulty_tilt(0.4)
    0.19999999999999996
    """
    return 2 * (reference - centre)


def all_groups(size: int) -> np.ndarray:
    """Binary groups with 0, 1, .. `size` right rollouts, [size + 1, size].

    Args:
        size: G, rollouts in a group.

    Returns:
        [G + 1, G] rewards; row c has its c ones first.

    >>> all_groups(2).tolist()
    [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]]
    """
    return (np.arange(size) < np.arange(size + 1)[:, None]).astype(float)


def position(table: Array) -> Position:
    """Position of the estimator that gives the advantages `table[G + 1, G]` for `all_groups(G)`.

    Args:
        table: [G + 1, G] advantages.

    Returns:
        Its asymmetry and tilt.

    Raises:
        InputError: another shape, or no place is defined: all advantages zero, or some not finite.

    >>> position(np.array([[-1.0, -1.0], [0.0, -1.0], [0.0, 0.0]]))  # only wrong rollouts are pushed: NSR
    Position(asymmetry=-1.0, tilt=0.6666666666666667)
    """
    table = np.asarray(table, float)
    size = table.shape[-1]
    if table.shape != (size + 1, size):
        raise InputError(f"table must have shape [G + 1, G], the advantages of all_groups(G), got {table.shape}")
    weight = np.abs(table).sum(-1)
    total = weight.sum()
    if not np.isfinite(total) or total == 0:
        raise InputError("an estimator has a place on the symmetry plane if its advantages are finite and not all zero")
    centre = float((weight * np.arange(size + 1) / size).sum() / total)
    return Position(float(table.sum() / total), difficulty_tilt(centre))


def place(estimator: str | Estimator, size: int = 8, omega: float = 0.5, **params) -> Position:
    """Position of a registered estimator at group size `size` and batch mean reward `omega`.

    Args:
        estimator: its name, or an `Estimator`.
        size: G, rollouts in a group.
        omega: mean reward of the batch.
        params: parameters of the estimator in place of the registered ones.

    Returns:
        Its asymmetry and tilt.

    >>> round(place("positive_dominant", beta=4).asymmetry, 12)
    0.6
    """
    return position(advantages(all_groups(size), estimator, omega=omega, **params))
