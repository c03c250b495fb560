"""Estimators: chains of links over a weighted group, and the registry that everything else walks.

A link is a function `link(a, g, op, *, parameter=default)`: the advantages so far `a[..., n]`, the group, the
operations it may call, and its parameters as keywords. A chain starts from the rewards and applies its links in
turn; its parameters are those of its links. Links must be pure and use only operators and `op`, because the same
lines train a model (numpy, jax) and prove a theorem (sympy).
"""

import functools
import importlib
import inspect
import math
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from ..errors import InputError, no_such
from ..ops import ops_for
from .group import Array, Batch, Group, make_group, two_outcome_group

Link = Callable[..., Array]
Rewards = Literal["real", "unit", "binary"]
# Laws (names of `symtheory.testing.INVARIANTS`) that tend to come together, for declarations in `register`.
ORDERLY = "finite permutation_of_rollouts permutation_of_prompts sign_correct monotone_in_reward dtype_stability"
SYMMETRIC = "degenerate_zero zero_sum group_symmetry sure_monotonicity"
MIRRORED = "sample_symmetry flip_antisymmetry"
AFFINE = "shift positive_scale"
BOUNDED = "l1_bound l2_bound"

_RANGE = {"real": "finite", "unit": "in [0, 1]", "binary": "0 or 1"}


@dataclass(frozen=True)
class Estimator:
    """An advantage estimator: rewards of a group in, advantages of the same shape out."""

    name: str
    links: tuple[Link, ...]
    params: Mapping[str, Any]
    """Value of each parameter of its links."""
    source: str
    """Equation, table or repository that defines it."""
    rewards: Rewards = "real"
    """Rewards it is defined for: real numbers, numbers in [0, 1], or exactly 0 and 1."""
    min_size: int = 2
    """Smallest group it is defined for."""
    laws: frozenset[str] = frozenset()
    """Invariants it is declared to satisfy; the test suite holds the declaration against what it finds."""

    def __call__(self, group: Group, op) -> Array:
        """Advantages of a `Group`, shape [..., n]; 0 for outcomes of weight 0."""
        a = group.rewards
        for link in self.links:
            a = link(a, group, op, **{name: self.params[name] for name in link_parameters(link)})
        return op.where(op.positive(group.weight), a, 0)

    def with_params(self, **params) -> "Estimator":
        """The same estimator with some parameters replaced; raises `InputError` for one that it does not take."""
        for name, value in params.items():
            if name not in self.params:
                known = ", ".join(sorted(self.params)) or "none"
                raise InputError(f"estimator {self.name!r} takes no parameter {name!r}; its parameters: {known}")
            if isinstance(value, int | float) and not math.isfinite(value):
                raise InputError(f"parameter {name!r} of estimator {self.name!r} must be finite, got {value}")
        return replace(self, params={**self.params, **params})

    def two_outcomes(self, correct: Array, size: Array, batch: Batch, op) -> tuple[Array, Array]:
        """A+ and A-, the advantage of each correct and each wrong rollout, for groups with `correct` right of `size`.

        Shapes: `correct[...]` -> (`A+[...]`, `A-[...]`). Where a class is empty its advantage is 0.
        """
        a = self(two_outcome_group(op, correct, size, batch), op)
        return a[..., 0], a[..., 1]


@functools.cache
def link_parameters(link: Link) -> dict[str, Any]:
    """Keyword parameters of a link with their defaults."""
    kinds = inspect.signature(link).parameters.values()
    return {p.name: p.default for p in kinds if p.kind is p.KEYWORD_ONLY}


def chain(
    *links: Link,
    name: str = "chain",
    source: str = "",
    rewards: Rewards = "real",
    min_size: int = 2,
    laws: str = "",
    **params,
) -> Estimator:
    """Compose links into an estimator, without registering it; `params` override defaults of the links."""
    defaults = {key: value for link in links for key, value in link_parameters(link).items()}
    estimator = Estimator(name, links, defaults, source, rewards, min_size, frozenset(laws.split()))
    return estimator.with_params(**params)


_registry: dict[str, Estimator] = {}


def register(name: str, *links: Link, **options) -> Estimator:
    """Compose links (see `chain`) and enter the estimator under `name`; a second one of that name is an error."""
    if name in _registry:
        raise InputError(f"estimator {name!r} is registered already; choose another name")
    _registry[name] = chain(*links, name=name, **options)
    return _registry[name]


def names() -> tuple[str, ...]:
    """Names of all registered estimators.

    >>> "agrae" in names()
    True
    """
    _discover()
    return tuple(_registry)


def get(name: str, **params) -> Estimator:
    """The estimator registered under `name`, with parameters replaced.

    >>> get("positive_dominant", beta=5).params["beta"]
    5
    """
    _discover()
    if name not in _registry:
        raise no_such("estimator", name, _registry)
    return _registry[name].with_params(**params)


def _discover() -> None:
    """Import every module of this package, each of which registers its estimators."""
    package = __name__.rpartition(".")[0]
    for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
        importlib.import_module(f"{package}.{module.name}")


def advantages(rewards: Array, estimator: str | Estimator, *, mask=None, lengths=None, omega=None, **params) -> Array:
    """Advantage of every rollout of a batch of groups.

    Args:
        rewards: `[G]` or `[..., G]`, array-like, numpy or jax; the group is the last axis, and all groups together
            are the batch from which batch statistics (omega, Eq. 11 of arXiv:2602.05548) are taken.
        estimator: a registered name (`symtheory.estimators.names()`) or an `Estimator`.
        mask: `[..., G]`, 1 for a rollout and 0 for padding, where groups differ in size.
        lengths: `[..., G]` tokens in each rollout, for estimators that weigh by length (`opo`, `reinforce_pp`).
        omega: batch mean reward to use in place of the batch's own, in [0, 1].
        **params: parameters of the estimator, for instance `alpha=1.0`.

    Returns:
        Array of the shape of `rewards`, of the same kind: numpy in float64, jax in the dtype of its floating input.

    Raises:
        InputError: rewards that are not finite, or outside what the estimator is defined for, a wrong rank, a group
            too small, an unknown name or parameter.

    >>> advantages([[1, 0, 0, 0], [1, 1, 1, 1]], "grpo").round(3)
    array([[ 1.732, -0.577, -0.577, -0.577],
           [ 0.   ,  0.   ,  0.   ,  0.   ]])
    """
    estimator = get(estimator, **params) if isinstance(estimator, str) else estimator.with_params(**params)
    op = ops_for(rewards, mask, lengths)
    rewards = _as_floats("rewards", rewards, op)
    weight = op.xp.ones_like(rewards) if mask is None else _as_floats("mask", mask, op, rewards.shape)
    length = op.xp.ones_like(rewards) if lengths is None else _as_floats("lengths", lengths, op, rewards.shape)
    _check(rewards, weight, length, estimator)
    group = make_group(op, op.where(weight > 0, rewards, 0), weight, length)
    if omega is not None:
        if not 0 <= omega <= 1:
            raise InputError(f"omega must be a mean reward in [0, 1], got {omega}")
        value = op.xp.asarray(omega, dtype=rewards.dtype)
        group = group._replace(batch=group.batch._replace(omega=value, omega_prompts=value))
    return estimator(group, op)


def _as_floats(name: str, values: Array, op, shape: tuple[int, ...] | None = None) -> Array:
    """`values` as a floating array of rank >= 1 and, if given, of `shape`."""
    try:
        values = op.xp.asarray(values)
        if not op.xp.issubdtype(values.dtype, op.xp.floating):
            values = values.astype(np.result_type(float) if op.xp is np else float)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} must be numbers in a rectangular array [..., G]: {error}") from None
    if values.ndim == 0 or 0 in values.shape:
        raise InputError(f"{name} must have shape [..., G] and not be empty, got shape {values.shape}")
    if shape is not None and values.shape != shape:
        raise InputError(f"{name} must have the shape of rewards, {shape}, got {values.shape}")
    return values


def _check(rewards: Array, weight: Array, length: Array, estimator: Estimator) -> None:
    """Refuse what the estimator is not defined for; traced jax values cannot be looked at and pass."""
    op = ops_for(rewards, weight, length)
    if not all(op.known(x) for x in (rewards, weight, length)):
        return
    rewards, weight, length = np.asarray(rewards), np.asarray(weight), np.asarray(length)
    name = estimator.name
    if not np.isin(weight, (0, 1)).all():
        raise InputError(f"mask must hold 0 and 1, got {weight[~np.isin(weight, (0, 1))].flat[0]}")
    if not (np.isfinite(length) & (length > 0)).all():
        raise InputError(f"lengths must be positive, got {length[~(length > 0)].flat[0]}")
    live = rewards[weight > 0]
    allowed = {
        "real": np.isfinite(live),
        "unit": (live >= 0) & (live <= 1),
        "binary": np.isin(live, (0, 1)),
    }[estimator.rewards]
    if not allowed.all():
        kind = _RANGE[estimator.rewards]
        raise InputError(f"rewards must be {kind} for estimator {name!r}, got {live[~allowed].flat[0]}")
    size = weight.sum(-1)
    if (size < estimator.min_size).any():
        raise InputError(
            f"rewards must have shape [..., G] with G >= {estimator.min_size} for estimator {name!r}, got a group of "
            f"{int(size.min())} in shape {rewards.shape}: it has no group to compare with"
        )
