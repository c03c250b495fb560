"""Training runs: a scan over steps that observes the policy every `stride` steps."""

import contextlib
import os
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from ..errors import InputError
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


def quick_jit(function: Callable) -> Callable:
    """`jax.jit` for programs that compile longer than they run: on a CPU with a third less work for the compiler.

    The programs of the studies are no slower for it and give the same bits.
    """
    options = {"xla_backend_optimization_level": 1} if jax.default_backend() == "cpu" else None
    return jax.jit(function, compiler_options=options)


def use_all_cores() -> None:
    """Set jax up for the small steps of these simulators on a CPU; call it before jax computes anything.

    Every core that the process may use becomes a device of its own, since XLA shares one device badly over cores.
    XLA's scheduler for concurrent operations is turned off: with it a step of the bandit takes up to half as long
    again. What the user has chosen (`JAX_NUM_CPU_DEVICES`, `XLA_FLAGS`) stays, and so do the devices of a process that
    has computed already.
    """
    flags, scheduler = os.getenv("XLA_FLAGS", ""), "--xla_cpu_enable_concurrency_optimized_scheduler"
    if scheduler not in flags:
        os.environ["XLA_FLAGS"] = f"{flags} {scheduler}=false".strip()
    chosen = jax.config.jax_num_cpu_devices >= 0  # type: ignore[attr-defined]  # config.read refuses this one
    if not chosen and "host_platform_device_count" not in flags:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        with contextlib.suppress(RuntimeError):  # jax refuses once it has computed
            jax.config.update("jax_num_cpu_devices", cores)


def across_devices(world: World) -> World:
    """The world with its prompts divided among all local devices, in equal parts.

    A program jitted with it as an argument runs on all of them and gives the same numbers as on one, to the rounding of
    sums over prompts. On a CPU the devices are the cores after `use_all_cores`.

    Raises:
        InputError: a number of prompts that the devices do not divide.
    """
    devices, prompts = jax.local_devices(), world.logits.shape[0]  # type: ignore[attr-defined]
    if prompts % len(devices):
        raise InputError(f"the number of prompts must be a multiple of the {len(devices)} devices, got {prompts}")
    mesh = Mesh(np.array(devices), ("prompt",))
    return jax.device_put(world, NamedSharding(mesh, PartitionSpec("prompt")))


def _append(rest, last):
    return jax.tree.map(lambda a, b: jnp.concatenate([a, b[None]]), rest, last)
