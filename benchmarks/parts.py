"""Where the time of a step goes, by CPU time: each part in JAX, on one device, beside the same part in C.

Random bits are the uniforms of a step, exponentials those of its softmax, memory is one read and one write of the
logits, which C keeps in its first-level cache and JAX in whatever holds all runs. Dispatch is a step of the same
program for four runs, whose arithmetic is next to nothing: what XLA spends on starting operations, shared here by the
runs of the case. The rest of a step is drawing, scattering, and reductions.
"""

import ctypes
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from symtheory.dynamics.counter import counter_key
from symtheory.worlds import make_tree

from . import bandit, tree
from .native import library
from .timing import interleave, row, skipped

STEPS = 50
CASES = [("bandit", 64, 8, 512), ("bandit", 1024, 8, 128), ("bandit", 64, 64, 512), ("bandit", 1024, 64, 128)]
TREES = [("tree", 4, 4, 512), ("tree", 2, 10, 512)]


def loops(uniforms: int, exponentials: int, state: int, runs: int) -> dict:
    """Each part in JAX: a loop of `STEPS` steps over [runs, size], and that size."""

    def looped(step):
        return jax.jit(lambda x: jax.lax.fori_loop(0, STEPS, step, x))

    def bits(key):
        return looped(lambda t, x: x + jax.random.uniform(jax.random.fold_in(key, t), x.shape))

    parts = {
        "random bits, threefry": ("bits", bits(jax.random.key(1)), uniforms),
        "random bits, counter key": ("bits", bits(counter_key(1)), uniforms),
        "exponentials": ("exponentials", looped(lambda t, x: jnp.exp(-x)), exponentials),
        "memory": ("memory", looped(lambda t, x: x * 0.5 + 1), state),
    }
    return {
        name: (kernel, program, np.zeros((runs, size), np.float32)) for name, (kernel, program, size) in parts.items()
    }


def whole(kind: str, first: int, second: int, runs: int) -> tuple:
    """The program of a step and its world, for `runs` runs; the kernel in C."""
    if kind == "bandit":
        world = bandit.make_world(first, max(runs, 4))
        program, kernel = bandit.program(second, STEPS), bandit.c_train()
        logits = np.asarray(world.logits)
        return program, world, kernel and partial(kernel, logits, first // 8, second, STEPS)
    success = np.tile([0.05, 0.1, 0.25, 0.5], max(runs, 4) // 4)
    world = make_tree(jax.random.key(0), success, branching=first, depth=second)
    program, kernel = tree.program(STEPS), tree.c_train()
    logits, correct = np.asarray(world.logits), np.asarray(world.correct, np.uint8)
    return program, world, kernel and partial(kernel, logits, correct, second, STEPS)


def sizes(kind: str, first: int, second: int) -> tuple[int, int, int]:
    """Uniforms, exponentials and logits of one step of one run."""
    if kind == "bandit":
        return second, first, first
    return tree.GROUP * second, 2 * tree.GROUP * second * first, (first**second - 1) // (first - 1) * first


def rows(rounds: int):
    native = library("parts")
    if native is None:
        yield skipped("parts of a step", "no C compiler on the path", "C, 1 thread")
        return
    floats = np.ctypeslib.ndpointer(np.float32, flags="C")
    for kind, first, second, runs in CASES + TREES:
        shape = f"N={first} G={second}" if kind == "bandit" else f"b={first} d={second}"
        program, world, kernel = whole(kind, first, second, runs)
        _, tiny, _ = whole(kind, first, second, 4)
        key = counter_key(1)
        programs = {
            "whole": (partial(waited, program, key, world), runs * STEPS),
            "whole in C": (kernel, runs * STEPS),
            "dispatch": (partial(waited, program, key, tiny), runs * STEPS),
        }
        for name, (symbol, part, start) in loops(*sizes(kind, first, second), runs).items():
            function = getattr(native, symbol)
            function.argtypes, function.restype = [floats, *[ctypes.c_int] * 3], None
            programs[name] = (partial(waited, part, jax.device_put(start, jax.devices()[0])), runs * STEPS)
            programs[f"{name} in C"] = (partial(function, start.copy(), runs, start.shape[1], STEPS), runs * STEPS)
        seconds = {name: 1e9 * pairs[:, 1] for name, pairs in interleave(programs, rounds).items()}
        case = f"{kind} step, {shape}"
        for name in programs:
            if f"{name} in C" in seconds:
                ours, theirs = seconds[name], seconds[f"{name} in C"]
                yield row(f"{case}: {name}", theirs / ours, "C, 1 thread", **nanoseconds(ours, theirs))
        ours, all_of_it = seconds["dispatch"], seconds["whole"]
        ratios = ours / np.median(all_of_it)
        yield row(f"{case}: dispatch", ratios, "the whole", "times the time", **nanoseconds(ours, all_of_it))


def nanoseconds(ours, theirs) -> dict[str, float]:
    """Medians, for the table."""
    return {"ns": float(f"{np.median(ours):.3g}"), "against_ns": float(f"{np.median(theirs):.3g}")}


def waited(program, *arguments):
    jax.block_until_ready(program(*arguments))
