"""What trainers have in common: flat rollouts as groups, rewards that a function did not give, a window of rates."""

from collections import deque
from typing import Any, NamedTuple

import numpy as np

from .. import estimators
from ..errors import InputError
from ..estimators import Estimator
from ..estimators.base import check_group, group_of

WINDOW = 10
"""Steps whose success rates an estimator that needs them sees (CurveRL's default)."""


class Layout(NamedTuple):
    """Where the rollouts of each group are in a flat batch of n."""

    rows: np.ndarray
    """[P, G] index of each rollout; 0 in padding"""
    mask: np.ndarray
    """[P, G] True for a rollout, False for padding of a smaller group"""

    def group(self, values: Any) -> Any:
        """[n] -> [P, G], numpy, jax or torch."""
        return values[self.rows]

    def flat(self, values: Any) -> Any:
        """[P, G] -> [n], the inverse of `group`."""
        order = np.argsort(self.rows[self.mask], kind="stable")
        return values.reshape(-1)[np.flatnonzero(self.mask.reshape(-1))[order]]


def by_id(ids: Any) -> Layout:
    """Groups of rollouts with one id, in order of first appearance; sizes may differ and groups be interleaved.

    >>> by_id(["a", "b", "a"]).rows.tolist()
    [[0, 2], [1, 0]]
    """
    members: dict[Any, list[int]] = {}
    for i, name in enumerate(np.asarray(ids, dtype=object).tolist()):
        members.setdefault(name, []).append(i)
    size = max(map(len, members.values()))
    rows, mask = np.zeros((len(members), size), int), np.zeros((len(members), size), bool)
    for q, indices in enumerate(members.values()):
        rows[q, : len(indices)], mask[q, : len(indices)] = indices, True
    return Layout(rows, mask)


def in_a_row(count: int, size: int) -> Layout:
    """Groups of `size` consecutive rollouts.

    Raises:
        InputError: `count` is not a multiple of `size`.
    """
    if size < 1 or count % size:
        raise InputError(f"{count} rollouts do not form groups of {size}: the last group is ragged")
    rows = np.arange(count).reshape(-1, size)
    return Layout(rows, np.ones_like(rows, bool))


def named(name: str, **params) -> Estimator:
    """The registered estimator, with its parameters checked before the first step."""
    return estimators.get(name, **params)


def check_size(estimator: Estimator, size: int) -> None:
    """Refuse groups that are too small for an estimator before the first rollout is drawn."""
    least = max(estimator.min_size, estimator.params.get("k", 1))
    if size < least:
        raise InputError(f"estimator {estimator.name!r} needs at least {least} rollouts a prompt, got {size}")


def advantages_of_scored(rewards: Any, estimator: Estimator, *, mask=None, **given) -> Any:
    """Advantages `[P, G]` where some rollouts have no reward: `rewards[P, G]` is None or NaN there.

    A rollout without any reward, and one that is left without a group, gets 0. `given` are keyword arguments of
    `estimators.advantages`; `components[J, P, G]` may lack single rewards.
    """
    group, op = group_of(rewards, mask, **given)
    check_group(op, group, estimator, smallest=0)
    a = estimator(group, op)
    return op.where(group.size + 0 * a >= estimator.min_size, a, 0)


class Rates:
    """Success rates of the groups of the last steps, for estimators that weigh by their distribution."""

    def __init__(self, window: int = WINDOW) -> None:
        self.steps: deque[np.ndarray] = deque(maxlen=window)

    def given(self) -> dict[str, np.ndarray]:
        """The argument `rates` of `estimators.advantages`; at the first step there is none."""
        seen = [rates for rates in self.steps if len(rates)]
        return {"rates": np.concatenate(seen)} if seen else {}

    def add(self, rewards: np.ndarray, mask: np.ndarray) -> None:
        """Remember the success rates of a step's mixed groups, from `rewards[P, G]`."""
        rates = (rewards * mask).sum(-1) / np.maximum(mask.sum(-1), 1)
        self.steps.append(rates[(rates > 0) & (rates < 1)])
