"""Use of the machine: every core of a CPU as a device, worlds divided among devices, quick compilation."""

import contextlib
import functools
import os
from collections.abc import Callable

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from ..errors import InputError
from ..worlds import World


def quick_jit(function: Callable, *, once: bool = False) -> Callable:
    """`jax.jit` for programs that compile longer than they run: on a CPU with less work for the compiler.

    The programs of the studies are no slower for it and give the same bits.

    Args:
        function: what `jax.jit` takes.
        once: for a program that runs for a second at most: it compiles in a fifth of the time and runs twice as long.

    Returns:
        The jitted function.
    """
    if jax.default_backend() != "cpu":
        return jax.jit(function)
    level = {"xla_backend_optimization_level": 0 if once else 1}
    return jax.jit(function, compiler_options={**level, **(_unfused() if once else {})})


@functools.cache
def _unfused() -> dict[str, bool]:
    """The option that keeps XLA from its slow emitters of fused loops, if this version of XLA has it."""
    option = {"xla_cpu_use_fusion_emitters": False}
    try:
        jax.jit(lambda x: x, compiler_options=option).lower(0.0).compile()
    except jax.errors.JaxRuntimeError:
        return {}
    return option


_FLAGS = {
    "--xla_cpu_enable_concurrency_optimized_scheduler": "false",
    "--xla_disable_hlo_passes": "cpu-parallel-task-assigner",
}


def use_all_cores() -> None:
    """Set jax up for the small steps of these simulators on a CPU; call it before jax computes anything.

    Every core that the process may use becomes a device of its own, since XLA shares one device badly over cores.
    XLA's scheduler for concurrent operations is turned off, and so is its division of one operation among threads: with
    either a step takes up to twice the CPU time. What the user has chosen (`JAX_NUM_CPU_DEVICES`, `XLA_FLAGS`) stays,
    and so do the devices of a process that has computed already.
    """
    flags = os.getenv("XLA_FLAGS", "")
    for name, value in _FLAGS.items():
        if name not in flags:
            flags = f"{flags} {name}={value}".strip()
    os.environ["XLA_FLAGS"] = flags
    chosen = jax.config.jax_num_cpu_devices >= 0  # type: ignore[attr-defined]  # config.read refuses this one
    if not chosen and "host_platform_device_count" not in flags:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        with contextlib.suppress(RuntimeError):  # jax refuses once it has computed
            jax.config.update("jax_num_cpu_devices", cores)


def across_devices(world: World) -> World:
    """The world with its prompts divided among all local devices, in equal parts.

    A program jitted with it as an argument runs on all of them and gives the same numbers as on one, to the rounding of
    sums over prompts. On a CPU the devices are the cores after `use_all_cores`.

    Args:
        world: a world whose number of prompts the devices divide.

    Returns:
        The same world, its arrays laid out over the devices.

    Raises:
        InputError: a number of prompts that the devices do not divide.
    """
    devices, prompts = jax.local_devices(), world.logits.shape[0]  # type: ignore[attr-defined]
    if prompts % len(devices):
        raise InputError(f"the number of prompts must be a multiple of the {len(devices)} devices, got {prompts}")
    mesh = Mesh(np.array(devices), ("prompt",))
    return jax.device_put(world, NamedSharding(mesh, PartitionSpec("prompt")))


def runs_that_fit(bytes_per_run: float, share: float = 0.8) -> int:
    """How many runs of so many bytes the first device holds in `share` of its memory; on a CPU, of what is free.

    Args:
        bytes_per_run: temporaries and results by XLA's plan: `jit(f).lower(...).compile().memory_analysis()`.
        share: of the memory that may be used, in (0, 1].

    Returns:
        Number of runs, at least 1.

    Raises:
        InputError: not even one run fits.
    """
    device = jax.local_devices()[0]
    if device.platform == "cpu":
        free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    else:
        memory = device.memory_stats()
        free = memory["bytes_limit"] - memory["bytes_in_use"]
    runs = int(share * free / bytes_per_run)
    if runs < 1:
        raise InputError(f"one run takes {bytes_per_run:.3g} bytes, and {device.device_kind} has {free:.3g} free")
    return runs
