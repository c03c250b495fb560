"""Training runs: a scan over steps that observes the policy every `stride` steps."""

from collections.abc import Callable
from functools import partial
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

    def one_step(key, carry, t):
        state, total = carry
        # fold_in gives the t-th key of a split, without an array of all of them: memory does not grow with the stride
        state, info = sampled.prompt_step(jax.random.fold_in(key, t), state, world, advantage, optimizer, update)
        return (state, jax.tree.map(jnp.add, total, info)), None

    def one_record(state, key):
        # looking before stepping lets the observation share its softmax with the first draw
        observed = observe(state.params)
        nothing = sampled.StepInfo(*(jnp.zeros(s.shape, s.dtype) for s in shapes))
        (state, total), _ = jax.lax.scan(partial(one_step, key), (state, nothing), jnp.arange(stride))
        return state, (observed, total)

    shapes = jax.eval_shape(lambda: sampled.prompt_step(key, state, world, advantage, optimizer, update)[1])
    state, (observed, totals) = jax.lax.scan(one_record, state, jax.random.split(key, records))
    # the mean over prompts waits until here, so that devices that share them need not meet at every step
    batches = jax.tree.map(lambda x: x.mean(-1) / stride, totals)
    return state, _append(observed, observe(state.params)), batches


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
        return expected.step(state, world, estimator, optimizer, group_size), observe(state.params)

    state, observed = jax.lax.scan(one_step, state, None, length=steps)
    return state, _append(observed, observe(state.params))


def _append(rest, last):
    return jax.tree.map(lambda a, b: jnp.concatenate([a, b[None]]), rest, last)
