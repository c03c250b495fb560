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
from ..estimators import Estimator, make_group
from ..estimators.group import Array
from ..ops import jax_ops
from ..worlds import World

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


Advantage = Callable[[Array], Array]


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
    branches = [lambda rewards, e=e: e(make_group(op, rewards), op) for e in estimators]

    def advantage(rewards):
        a = jax.lax.switch(index, branches, rewards) if len(branches) > 1 else branches[0](rewards)
        kept = jnp.mean(rewards.max(-1) != rewards.min(-1))
        return a * jnp.where(filtered, op.div(1.0, kept), 1.0)

    return advantage


def step(
    key: Array,
    state: State,
    world: World,
    advantage: Advantage,
    optimizer: optax.GradientTransformation,
    update: Update,
) -> tuple[State, StepInfo]:
    """One batch of rollouts and the optimiser steps taken on it."""
    state, info = prompt_step(key, state, world, advantage, optimizer, update)
    return state, jax.tree.map(jnp.mean, info)


def prompt_step(
    key: Array,
    state: State,
    world: World,
    advantage: Advantage,
    optimizer: optax.GradientTransformation,
    update: Update,
) -> tuple[State, StepInfo]:
    """`step` with the `StepInfo` of each prompt, [P], in place of their mean."""
    rollouts = world.sample(key, state.params, update.group_size)
    rewards = world.reward(rollouts)
    a = advantage(rewards)
    share = token_share(world, rollouts, update.aggregation)
    old = jax.lax.stop_gradient(world.log_prob(state.params, rollouts)) if update.epochs > 1 else None

    def epoch(state, _):
        weight = a
        if old is not None:
            ratio = jnp.exp(world.log_prob(state.params, rollouts) - old)
            # the gradient of min(ratio A, clip(ratio) A) is ratio A where the unclipped term is the smaller, else 0
            active = jnp.where(a > 0, ratio <= 1 + update.clip_high, ratio >= 1 - update.clip_low)
            weight = a * ratio * active
        gradient = world.policy_gradient(
            state.params, rollouts, weight * share * world.prompt_weight / update.group_size
        )
        return apply_gradient(state, gradient, optimizer), None

    state, _ = jax.lax.scan(epoch, state, None, length=update.epochs) if update.epochs > 1 else epoch(state, None)
    info = StepInfo(
        correct=(rewards >= 1).mean(-1, dtype=rewards.dtype),
        unsolved=(rewards < 1).all(-1).astype(rewards.dtype),
        abs_advantage=jnp.abs(a).sum(-1),
        imbalance=a.sum(-1),
    )
    return state, info


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
    return State(optax.apply_updates(state.params, change), memory)
