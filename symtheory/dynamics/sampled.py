"""Sampled dynamics: the group-relative policy update in any world (Eq. 1 and 4 of arXiv:2602.05548, without KL).

One step draws a group of rollouts for every prompt, scores them, turns rewards into advantages by a registered
estimator, and ascends (1/G) sum_i A_i log pi(o_i), summed over prompts with the world's prompt weight. With more
than one epoch the rollouts are used again, with importance ratios and PPO's clipping.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax

from ..errors import InputError
from ..estimators import Estimator
from ..estimators.group import Array, make_group
from ..ops import jax_ops
from ..worlds import World
from . import drawing
from .regime import Regime

Aggregation = Literal["sequence-sum", "sequence-mean", "token-mean"]


@dataclass(frozen=True)
class Update:
    """How rollouts become a step.

    Raises:
        InputError: a group size or a number of epochs below 1.
    """

    group_size: int = 8
    epochs: int = 1
    """passes over each batch of rollouts; from the second step on the ratio differs from 1 and clipping acts"""
    clip_low: float = 0.2
    clip_high: float = 0.2
    """DAPO's asymmetric clipping has 0.28 here"""
    aggregation: Aggregation = "sequence-sum"
    """How token losses add up: the sum over a rollout's tokens (Theorem 1, Dr.GRPO), their mean (GRPO, Eq. 1), or the
    mean over all tokens of the batch (DAPO). The last two need a world with `rollout_length`."""

    def __post_init__(self):
        for name in ("group_size", "epochs"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} must be at least 1, got {getattr(self, name)}")


class State(NamedTuple):
    params: Any
    optimizer: Any
    memory: Any = ()
    """what a regime remembers, see `drawing.start`"""


class StepInfo(NamedTuple):
    """What one batch of rollouts looked like; sums run over the group, means over prompts."""

    correct: Array
    """[] fraction of correct rollouts in the batch (Fig. 5); the omega of Eq. 11 for binary rewards"""
    unsolved: Array
    """[] fraction of prompts with no correct rollout in their group (Fig. 9)"""
    abs_advantage: Array
    """[] mean over prompts of sum |A| (Eq. 10)"""
    imbalance: Array
    """[] mean over prompts of C = sum A (Eq. 5)"""


class RegimeInfo(NamedTuple):
    """What one batch under a regime looked like; the first four as in `StepInfo`, of the rewards as they were given."""

    correct: Array
    unsolved: Array
    abs_advantage: Array
    imbalance: Array
    rollouts: Array
    """[] rollouts drawn, mean over prompts"""
    trained: Array
    """[] fraction of prompts whose group was trained on"""


Advantage = Callable[..., Array]
"""Rewards [P, G] to advantages [P, G]; with groups of several sizes it also takes weights [P, G], 0 for padding."""


def advantage_of(estimators: Sequence[Estimator], index: Array, filtered: Array | bool = False) -> Advantage:
    """The advantage function of one of several estimators, for `train` and `step`.

    Args:
        estimators: registered estimators or chains.
        index: which of them; it may be traced, so that `vmap` runs all of them in one program.
        filtered: whether groups of equal rewards are dropped and their weight is given to the other groups, as DAPO's
            dynamic sampling does.

    Returns:
        Function from rewards [P, G] to advantages [P, G].

    >>> from symtheory import estimators
    >>> advantage_of([estimators.get("rloo")], 0)(jnp.array([[1.0, 0.0, 0.0]])).round(3).tolist()
    [[1.0, -0.5, -0.5]]
    """
    op = jax_ops()
    branches = [lambda *group, e=e: e(make_group(op, *group), op) for e in estimators]

    def advantage(rewards, weight=None):
        group = (rewards,) if weight is None else (rewards, weight)
        a = jax.lax.switch(index, branches, *group) if len(branches) > 1 else branches[0](*group)
        high, low = (rewards, rewards) if weight is None else (jnp.where(weight > 0, rewards, x) for x in (-1, 2))
        kept = jnp.mean(high.max(-1) != low.min(-1))
        return a * jnp.where(filtered, op.div(1.0, kept), 1.0)

    return advantage


def step(
    key: Array,
    state: State,
    world: World,
    advantage: Advantage,
    optimizer: optax.GradientTransformation,
    update: Update,
    regime: Regime | None = None,
) -> tuple[State, Any]:
    """One batch of rollouts and the optimiser steps taken on it; its `StepInfo`, under a regime its `RegimeInfo`."""
    state, info = prompt_step(key, state, world, advantage, optimizer, update, regime)
    return state, jax.tree.map(jnp.mean, info)


def prompt_step(
    key: Array,
    state: State,
    world: World,
    advantage: Advantage,
    optimizer: optax.GradientTransformation,
    update: Update,
    regime: Regime | None = None,
) -> tuple[State, Any]:
    """`step` with the info of each prompt, [P], in place of their mean."""
    if regime is not None and regime.name != "plain":
        return _regime_step(key, state, world, advantage, optimizer, update, regime)
    rollouts = world.sample(key, state.params, update.group_size)
    rewards = world.reward(rollouts)
    a = advantage(rewards)
    share = token_share(world, rollouts, update.aggregation)
    old = jax.lax.stop_gradient(world.log_prob(state.params, rollouts)) if update.epochs > 1 else None

    def epoch(state, _):
        weight = a if old is None else clipped(a, world.log_prob(state.params, rollouts) - old, update)
        gradient = world.policy_gradient(
            state.params, rollouts, weight * share * world.prompt_weight / update.group_size
        )
        return apply_gradient(state, gradient, optimizer), None

    return _epochs(epoch, state, update), StepInfo(*_told(rewards, a))


def _regime_step(key, state, world, advantage, optimizer, update, regime):
    """`prompt_step` under a regime that departs from the plain one."""
    before = state.memory or drawing.start(world, regime)
    drawn, memory = drawing.draw(key, before, state.params, world, update.group_size, regime)
    rollouts, rewards, counts = drawn.rollouts, drawn.rewards, drawn.counts
    admitted = drawing.admitted(before, state.params, world, regime)
    if admitted is not None:
        memory, counts = {**memory, "admitted": admitted}, counts * admitted
    a = advantage(rewards) if drawn.weight is None else advantage(rewards, drawn.weight)
    present = counts[:, None] if drawn.weight is None else counts[:, None] * drawn.weight
    size = update.group_size if drawn.weight is None else drawn.weight.sum(-1, keepdims=True)
    share = token_share(world, rollouts, update.aggregation)
    corrected = regime.stale is not None and regime.stale.lag > 0 and regime.stale.corrected
    old = None
    if update.epochs > 1 or corrected:
        source = drawing.sampler_of(before, state.params) if corrected else state.params
        old = jax.lax.stop_gradient(world.log_prob(source, rollouts))

    def epoch(state, _):
        weight, unclipped = a, 1.0
        if old is not None:
            log_ratio = world.log_prob(state.params, rollouts) - old
            weight, unclipped = clipped(a, log_ratio, update), jnp.exp(log_ratio)
        weight = weight * share
        if regime.entropy or regime.kl:
            weight = weight + unclipped * _pull(world, state.params, rollouts, regime)
        gradient = world.policy_gradient(state.params, rollouts, weight * present * world.prompt_weight / size)
        return apply_gradient(state, gradient, optimizer), None

    state = _epochs(epoch, state._replace(memory=memory), update)
    asked = drawn.spent if admitted is None else drawn.spent * admitted
    return state, RegimeInfo(*_told(rewards, a, drawn.weight), asked.astype(rewards.dtype), counts)


def _pull(world, params, rollouts, regime):
    """What entropy bonus and KL penalty add to the advantage of each rollout, [P, G].

    E[-log pi grad log pi] is the gradient of the entropy, and E[(pi_base / pi - 1) grad log pi], the gradient of minus
    the k3 estimate, that of minus KL(base || pi).
    """
    log_prob = world.log_prob(params, rollouts)
    pull = -regime.entropy * log_prob if regime.entropy else 0.0
    if regime.kl:
        pull = pull + regime.kl * jnp.expm1(world.log_prob(world.init(), rollouts) - log_prob)
    return jax.lax.stop_gradient(pull)


def clipped(a: Array, log_ratio: Array, update: Update) -> Array:
    """Weight of grad log pi(o) in the gradient of min(ratio A, clip(ratio) A): ratio A, or 0 where clipping acts."""
    ratio = jnp.exp(log_ratio)
    active = jnp.where(a > 0, ratio <= 1 + update.clip_high, ratio >= 1 - update.clip_low)
    return a * ratio * active


def _epochs(epoch, state, update):
    return (jax.lax.scan(epoch, state, None, length=update.epochs) if update.epochs > 1 else epoch(state, None))[0]


def _told(rewards, a, weight=None):
    """What a batch looked like, for `StepInfo`."""
    if weight is None:
        share, unsolved = (rewards >= 1).mean(-1, dtype=rewards.dtype), (rewards < 1).all(-1)
    else:
        right = (rewards >= 1) * weight
        share, unsolved = right.sum(-1) / weight.sum(-1), (right == 0).all(-1)
    return share, unsolved.astype(rewards.dtype), jnp.abs(a).sum(-1), a.sum(-1)


def token_share(world: World, rollouts: Any, aggregation: str) -> Array | float:
    """Factor on log pi(o) from averaging over tokens, [P, size], see `Update.aggregation`."""
    if aggregation == "sequence-sum":
        return 1.0
    if not hasattr(world, "rollout_length"):
        raise InputError(f"aggregation {aggregation!r} needs a world whose rollouts have lengths, got {type(world)}")
    length = world.rollout_length(rollouts)  # type: ignore[attr-defined]
    return 1 / (length if aggregation == "sequence-mean" else length.mean())


def apply_gradient(state: State, gradient: Any, optimizer: optax.GradientTransformation) -> State:
    """Ascend `gradient` by one step of the optimiser."""
    descent = jax.tree.map(jnp.negative, gradient)
    change, memory = optimizer.update(descent, state.optimizer, state.params)
    return state._replace(params=optax.apply_updates(state.params, change), optimizer=memory)
