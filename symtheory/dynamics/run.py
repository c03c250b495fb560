"""Training runs: a scan over steps that records metrics every `stride` steps, mapped over seeds and estimators."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from ..estimators import Estimator
from ..estimators.group import Array
from ..worlds import World
from . import expected, sampled


class Record(NamedTuple):
    """Exact metrics of the policy at one moment, and the batches since the record before."""

    success: Array
    """[P] exact success probability of each prompt, from which pass@k follows for every k"""
    entropy: Array
    """[P] exact policy entropy in nats"""
    batch: sampled.StepInfo
    """means over the steps since the last record; NaN in the record of the base policy"""


def observe(world: World, params, batch: sampled.StepInfo) -> Record:
    return Record(world.success(params), world.entropy(params), batch)


def train(
    key: Array,
    world: World,
    advantage: sampled.Advantage,
    optimizer: optax.GradientTransformation,
    update: sampled.Update,
    *,
    records: int,
    stride: int,
) -> tuple[sampled.State, Record, sampled.State]:
    """`records * stride` sampled steps from the base policy.

    Returns the final state; a `Record` whose leaves have a leading axis of `records + 1`, the base policy first;
    and the parameters at those moments.
    """
    params = world.init()
    state = sampled.State(params, optimizer.init(params))

    def one_step(state, key):
        return sampled.step(key, state, world, advantage, optimizer, update)

    def one_record(state, key):
        state, infos = jax.lax.scan(one_step, state, jax.random.split(key, stride))
        record = observe(world, state.params, jax.tree.map(lambda x: x.mean(0), infos))
        return state, (record, state.params)

    nothing = sampled.StepInfo(*(jnp.asarray(jnp.nan),) * len(sampled.StepInfo._fields))
    base = (observe(world, params, nothing), params)
    state, rest = jax.lax.scan(one_record, state, jax.random.split(key, records))
    record, path = jax.tree.map(lambda first, more: jnp.concatenate([first[None], more]), base, rest)
    return state, record, path


def mean_field(
    world: World,
    estimator: Estimator,
    optimizer: optax.GradientTransformation,
    group_size: int,
    *,
    steps: int,
) -> tuple[sampled.State, Array]:
    """Iterate the expected step; returns the final state and the success probabilities [steps + 1, P].

    Each step is the exact mean of a sampled one, the path is not the mean of sampled paths: their difference (the
    bias of the mean field) is itself a result, see `symtheory.experiments`.
    """
    params = world.init()
    state = sampled.State(params, optimizer.init(params))

    def one_step(state, _):
        state = expected.step(state, world, estimator, optimizer, group_size)
        return state, world.success(state.params)

    state, path = jax.lax.scan(one_step, state, None, length=steps)
    return state, jnp.concatenate([world.success(params)[None], path])
