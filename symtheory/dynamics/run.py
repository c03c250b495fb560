"""Training runs: a scan over steps that observes the policy every `stride` steps."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from ..estimators import Estimator
from ..estimators.group import Array
from ..worlds import World
from . import expected, sampled

Observe = Callable[[Any], Any]


def train(
    key: Array,
    world: World,
    advantage: sampled.Advantage,
    optimizer: optax.GradientTransformation,
    update: sampled.Update,
    *,
    observe: Observe,
    records: int,
    stride: int,
) -> tuple[sampled.State, Any, sampled.StepInfo]:
    """`records * stride` sampled steps from the base policy.

    Returns the final state; what `observe(params)` gave for the base policy and then after every `stride` steps, with
    a leading axis of `records + 1`; and the `StepInfo` of the batches, mean over each stride, with one of `records`.
    """
    params = world.init()
    state = sampled.State(params, optimizer.init(params))

    def one_step(state, key):
        return sampled.step(key, state, world, advantage, optimizer, update)

    def one_record(state, key):
        state, infos = jax.lax.scan(one_step, state, jax.random.split(key, stride))
        return state, (observe(state.params), jax.tree.map(lambda x: x.mean(0), infos))

    state, (observed, batches) = jax.lax.scan(one_record, state, jax.random.split(key, records))
    return state, _prepend(observe(params), observed), batches


def mean_field(
    world: World,
    estimator: Estimator,
    optimizer: optax.GradientTransformation,
    group_size: int,
    *,
    observe: Observe,
    steps: int,
) -> tuple[sampled.State, Any]:
    """Iterate the expected step; returns the final state and what `observe(params)` gave at each of `steps + 1` times.

    Each step is the exact mean of a sampled one, the path is not the mean of sampled paths: the difference is the
    bias of the mean field, which a figure that shows the path must show too.
    """
    params = world.init()
    state = sampled.State(params, optimizer.init(params))

    def one_step(state, _):
        state = expected.step(state, world, estimator, optimizer, group_size)
        return state, observe(state.params)

    state, observed = jax.lax.scan(one_step, state, None, length=steps)
    return state, _prepend(observe(params), observed)


def _prepend(first, rest):
    return jax.tree.map(lambda a, b: jnp.concatenate([a[None], b]), first, rest)
