"""Estimators: chains of links over a weighted group, and their registry.

A link is a function `link(a, g, op, *, parameter=default)`: the advantages so far `a[..., n]`, the group, the
operations it may call, and its parameters as keywords. A chain starts from the rewards and applies its links in
turn; its parameters are those of its links. Links must be pure and use only operators and `op`, because the same
lines train a model (numpy, jax, torch) and prove a theorem (sympy). A link that needs more than rewards says so with
`@needs`.
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
from .group import Array, BatchStats, Group, make_group, two_outcome_group

Link = Callable[..., Array]
Rewards = Literal["real", "unit", "binary"]
# Laws (names of `symtheory.testing.invariants.INVARIANTS`) that tend to come together, for declarations in `register`.
ORDERLY = "finite permutation_of_rollouts permutation_of_prompts sign_correct monotone_in_reward dtype_stability"
SYMMETRIC = "degenerate_zero zero_sum group_symmetry sure_monotonicity"
MIRRORED = "sample_symmetry flip_antisymmetry"
AFFINE = "shift positive_scale"
BOUNDED = "l1_bound l2_bound"

Need = Literal["spread", "rates", "logprobs"]
Kind = Literal["all", "rewards", "two_class"]

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

    @property
    def needs(self) -> frozenset[Need]:
        """What its links need beside rewards, see `needs`."""
        return frozenset().union(*(getattr(link, "needs", ()) for link in self.links))

    @property
    def two_class(self) -> bool:
        """Whether counts of correct rollouts and a few sums over the batch decide A+ and A-, as the theory supposes."""
        return not self.needs & {"rates", "logprobs"}

    @property
    def before_whitening(self) -> "Estimator | None":
        """The chain up to its first link that needs the spread of the advantages over the batch, None without one."""
        cut = [i for i, link in enumerate(self.links) if "spread" in getattr(link, "needs", ())]
        return replace(self, links=self.links[: cut[0]]) if cut else None

    def __call__(self, group: Group, op) -> Array:
        """Advantages of a `Group`, shape [..., n]; 0 for outcomes of weight 0."""
        if group.logprob is None and "logprobs" in self.needs:
            raise InputError(
                f"estimator {self.name!r} needs logprobs, the mean log-probability of each rollout's tokens"
            )
        a = group.rewards
        for link in self.links:
            a = link(a, group, op, **{name: self.params[name] for name in link_parameters(link)})
        return op.where(op.positive(group.weight), a, 0)

    def with_params(self, **params) -> "Estimator":
        """The same estimator with some parameters replaced; raises `InputError` for one that it does not take."""
        if not params:
            return self
        for name, value in params.items():
            if name not in self.params:
                known = ", ".join(sorted(self.params)) or "none"
                raise InputError(f"estimator {self.name!r} takes no parameter {name!r}; its parameters: {known}")
            if isinstance(value, int | float) and not math.isfinite(value):
                raise InputError(f"parameter {name!r} of estimator {self.name!r} must be finite, got {value}")
        return replace(self, params={**self.params, **params})

    def two_outcomes(self, correct: Array, size: Array, batch: BatchStats, op) -> tuple[Array, Array]:
        """A+ and A-, the advantage of each correct and each wrong rollout, for groups with `correct` right of `size`.

        Shapes: `correct[...]` -> (`A+[...]`, `A-[...]`). Where a class is empty its advantage is 0.
        """
        if not self.two_class:
            needed = ", ".join(sorted(self.needs & {"rates", "logprobs"}))
            raise InputError(f"estimator {self.name!r} has no theory of two outcomes: it also needs {needed}")
        a = self(two_outcome_group(op, correct, size, batch), op)
        return a[..., 0], a[..., 1]


def needs(*what: Need) -> Callable[[Link], Link]:
    """Declare what a link needs beside the rewards of its group and the sums of `BatchStats`.

    `"spread"`: mean and spread of the advantages so far over the batch; `"rates"`: success rates of other groups, of
    earlier steps for instance. Both are those of the groups at hand where nothing else is given. `"logprobs"`: the mean
    log-probability of each rollout's tokens, without which the estimator refuses.
    """

    def mark(link: Link) -> Link:
        link.needs = frozenset(what)  # type: ignore[attr-defined]
        return link

    return mark


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
    """Compose links into an estimator, without registering it; `params` override defaults of the links.

    Args:
        links: functions (a, group, op, **params) -> a, applied in turn.
        name: of the estimator.
        source: where it is from: a paper and equation, or a file.
        rewards: rewards that it is defined for: `"real"`, `"unit"` ([0, 1]) or `"binary"`.
        min_size: smallest group that it is defined for.
        laws: names of the laws that it obeys, in one string.
        params: values in place of the links' defaults.

    Returns:
        The estimator.
    """
    defaults = {key: value for link in links for key, value in link_parameters(link).items()}
    estimator = Estimator(name, links, defaults, source, rewards, min_size, frozenset(laws.split()))
    return estimator.with_params(**params)


_registry: dict[str, Estimator] = {}


def register(name: str, *links: Link, **options) -> Estimator:
    """Compose links (see `chain`) and enter the estimator under `name`; a second one of that name is an error.

    Args:
        name: a new name.
        links: see `chain`.
        options: see `chain`.

    Returns:
        The estimator.

    Raises:
        InputError: the name is taken.
    """
    if name in _registry:
        raise InputError(f"estimator {name!r} is registered already; choose another name")
    _registry[name] = chain(*links, name=name, **options)
    return _registry[name]


def names(kind: Kind = "all") -> tuple[str, ...]:
    """Names of the registered estimators: all, those that rewards suffice for, or those that have a theory.

    Args:
        kind: `"all"`, `"rewards"` (rewards suffice) or `"two_class"` (there is a theory of it).

    Returns:
        The names.

    >>> "agrae" in names("two_class"), "unlikeliness" in names("rewards")
    (True, False)
    """
    _discover()
    suits = {"all": lambda e: True, "rewards": lambda e: "logprobs" not in e.needs, "two_class": lambda e: e.two_class}
    return tuple(name for name, estimator in _registry.items() if suits[kind](estimator))


def get(name: str, **params) -> Estimator:
    """The estimator registered under `name`, with parameters replaced.

    Args:
        name: see `names`.
        params: values in place of the registered ones.

    Returns:
        The estimator.

    Raises:
        InputError: an unknown name or parameter.

    >>> get("positive_dominant", beta=5).params["beta"]
    5
    """
    if name not in _registry:
        _discover()
    if name not in _registry:
        raise no_such("estimator", name, _registry)
    return _registry[name].with_params(**params)


@functools.cache
def _discover() -> None:
    """Import every module of this package, each of which registers its estimators."""
    package = __name__.rpartition(".")[0]
    for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
        importlib.import_module(f"{package}.{module.name}")


def advantages(
    rewards: Array,
    estimator: str | Estimator,
    *,
    mask=None,
    lengths=None,
    omega=None,
    components=None,
    weights=None,
    logprobs=None,
    rates=None,
    **params,
) -> Array:
    """Advantage of every rollout of a batch of groups.

    Args:
        rewards: `[G]` or `[..., G]`, array-like, numpy, jax or torch; the group is the last axis, and all groups
            together are the batch from which batch statistics (omega, Eq. 11 of arXiv:2602.05548) are taken. None
            with `components`: their weighted sum.
        estimator: a registered name (`symtheory.estimators.names()`) or an `Estimator`.
        mask: `[..., G]`, 1 for a rollout and 0 for padding, where groups differ in size.
        lengths: `[..., G]` tokens in each rollout, for estimators that weigh by length (`opo`, `reinforce_pp`).
        omega: batch mean reward to use in place of the batch's own, in [0, 1].
        components: `[J, ..., G]`, or a list of J arrays: several rewards of each rollout, for estimators that treat
            them one by one (`gdpo`); NaN where one was not given, and a rollout that got none counts as padding.
        weights: `[J]` weights of the components, default 1 each.
        logprobs: `[..., G]` mean log-probability of each rollout's tokens, for estimators that need it
            (`unlikeliness`, `differential_smoothing`).
        rates: `[h]` success rates of groups of earlier steps, for estimators that weigh by their distribution
            (`curverl`); default those of the batch.
        **params: parameters of the estimator, for instance `alpha=1.0`.

    Returns:
        Array of the shape of `rewards`, of the same kind: numpy in float64, jax and torch in the dtype of a floating
        input and on its device.

    Raises:
        InputError: rewards that are not finite, or outside what the estimator is defined for, a wrong rank, a group
            too small, an unknown name or parameter, log-probabilities that are needed and missing.

    >>> advantages([[1, 0, 0, 0], [1, 1, 1, 1]], "grpo").round(3)
    array([[ 1.732, -0.577, -0.577, -0.577],
           [ 0.   ,  0.   ,  0.   ,  0.   ]])
    >>> advantages(None, "grpo", components=[[[1, 0]], [[0, 1]]], weights=[1, 0.5])
    array([[ 1., -1.]])
    """
    estimator = get(estimator, **params) if isinstance(estimator, str) else estimator.with_params(**params)
    given = dict(omega=omega, components=components, weights=weights, logprobs=logprobs, rates=rates)
    group, op = group_of(rewards, mask, lengths, **given)
    check_group(op, group, estimator)
    return op.like(estimator(group, op), rewards if components is None or rewards is not None else components[0])


def group_of(
    rewards, mask=None, lengths=None, *, omega=None, components=None, weights=None, logprobs=None, rates=None
) -> tuple[Group, Any]:
    """The weighted groups that the arguments of `advantages` describe, and the operations on their kind of array."""
    op = ops_for(rewards, components, mask, lengths, logprobs)
    parts = _components(components, weights, op)
    summed = rewards is None
    rewards = _as_floats("rewards", _weighted_sum(parts, op) if summed else rewards, op)

    def beside(name, values):
        return op.xp.ones_like(rewards) if values is None else _as_floats(name, values, op, rewards)

    weight, length = beside("mask", mask), beside("lengths", lengths)
    if summed:  # a rollout that got none of its rewards is no member of its group
        weight = op.where(sum(r == r for _, r in parts) > 0, weight, 0)
    logprob = None if logprobs is None else beside("logprobs", logprobs)
    group = make_group(op, op.where(weight > 0, rewards, 0), weight, length, logprob=logprob)
    group = group._replace(parts=_parts(parts, group, op))
    if omega is not None:
        if not 0 <= omega <= 1:
            raise InputError(f"omega must be a mean reward in [0, 1], got {omega}")
        value = 0 * group.batch.omega + omega
        group = group._replace(batch=group.batch._replace(omega=value, omega_prompts=value))
    if rates is not None:
        seen = _as_floats("rates", rates, op, rewards, fits=False).reshape(-1)
        group = group._replace(batch=group.batch._replace(rates=seen))
    return group, op


def _components(components, weights, op) -> list[tuple[Array, Array]]:
    """(weight, rewards) of each component; raises `InputError` where they do not fit together."""
    if components is None:
        if weights is not None:
            raise InputError("weights are those of the components, and none are given")
        return []
    values = _as_floats("components", components, op, leading=True)
    weights = [1.0] * values.shape[0] if weights is None else weights
    weights = _as_floats("weights", weights, op, values, fits=False)
    if weights.shape != values.shape[:1]:
        raise InputError(f"weights must be one for each of the {values.shape[0]} components, got shape {weights.shape}")
    return [(weights[j], values[j]) for j in range(values.shape[0])]


def _weighted_sum(parts, op) -> Array:
    """sum_j w_j r_j, a component that is NaN counting as 0."""
    if not parts:
        raise InputError("rewards must be given, or components that make them up")
    return sum(w * op.where(r == r, r, 0) for w, r in parts)


def _parts(parts, group: Group, op) -> tuple[tuple[Array, Group], ...]:
    """The components as groups of their own, in which rollouts that have none are padding."""
    found = []
    for w, r in parts:
        if tuple(r.shape) != tuple(group.rewards.shape):
            raise InputError(
                f"each component must have the shape of rewards, {tuple(group.rewards.shape)}, got {tuple(r.shape)}"
            )
        weight = op.where(r == r, group.weight, 0)
        found.append((w, make_group(op, op.where(weight > 0, r, 0), weight, group.length, batch=group.batch)))
    return tuple(found)


def _as_floats(name, values, op, like: Array | None = None, leading: bool = False, fits: bool = True) -> Array:
    """`values` as a floating array of rank >= 1 (2 with a `leading` axis); dtype and, if it `fits`, shape as `like`."""
    try:
        values = op.floats(values, like)
    except (TypeError, ValueError) as error:
        wanted = "[J, ..., G]" if leading else "[..., G]"
        raise InputError(f"{name} must be numbers in a rectangular array {wanted}: {_first_line(error)}") from None
    shape = tuple(values.shape)
    if len(shape) < 1 + leading or 0 in shape:
        wanted = "[J, ..., G]" if leading else "[..., G]"
        raise InputError(f"{name} must have shape {wanted} and not be empty, got shape {shape}")
    if like is not None and fits and shape != tuple(like.shape):
        raise InputError(f"{name} must have the shape of rewards, {tuple(like.shape)}, got {shape}")
    return values


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]


def _zero_or_one(x: np.ndarray) -> np.ndarray:
    return (x == 0) | (x == 1)


_ALLOWED = {"real": np.isfinite, "unit": lambda x: (x >= 0) & (x <= 1), "binary": _zero_or_one}


def check_group(op, group: Group, estimator: Estimator, smallest: int | None = None) -> None:
    """Refuse what the estimator is not defined for; traced jax values cannot be looked at and pass.

    `smallest` replaces the least number of rollouts in a group, for a caller who gives smaller groups no advantage.
    """
    name = estimator.name
    if not all(op.known(x) for x in (group.rewards, group.weight, group.length)):
        return
    rewards, weight, length = (op.numpy(x) for x in (group.rewards, group.weight, group.length))
    if not _zero_or_one(weight).all():
        raise InputError(f"mask must hold 0 and 1, got {weight[~_zero_or_one(weight)].flat[0]}")
    if not (np.isfinite(length) & (length > 0)).all():
        raise InputError(f"lengths must be positive, got {length[~(length > 0)].flat[0]}")
    live = rewards[weight > 0]
    allowed = _ALLOWED[estimator.rewards](live)
    if not allowed.all():
        kind = _RANGE[estimator.rewards]
        raise InputError(f"rewards must be {kind} for estimator {name!r}, got {live[~allowed].flat[0]}")
    size, least = weight.sum(-1), estimator.min_size if smallest is None else smallest
    if (size < least).any():
        raise InputError(
            f"rewards must have shape [..., G] with G >= {least} for estimator {name!r}, got a group of "
            f"{int(size.min())} in shape {rewards.shape}: it has no group to compare with"
        )
