"""A training step on the bandit, as `dynamics.train` runs it, against NumPy, numba, C and JAX's own categorical.

Unit: one step of one run: softmax over N trajectories, G rollouts, GRPO's advantage (population std), the dense update
of Theorem 1, and success, entropy and sum |A| recorded at every step (the package takes the mean of sum |A| over runs,
and records C, omega and the unsolved share as well). All programs train the same base policies with the same step.
"""

import ctypes
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax

from symtheory import estimators
from symtheory.dynamics import Update, advantage_of, train
from symtheory.dynamics.counter import counter_key
from symtheory.dynamics.devices import across_devices
from symtheory.worlds import make_bandit

from .native import library
from .timing import interleave, skipped, speed_row

RATE = 0.02  # step on the sum over the group
CASES = {(64, 8): (1024, 200), (1024, 8): (256, 100), (64, 64): (1024, 100)}  # (N, G): (runs, steps)


def make_world(trajectories: int, runs: int):
    success = np.tile([0.05, 0.1, 0.25, 0.5], runs // 4)
    return make_bandit(jax.random.key(0), success, trajectories=trajectories, correct=trajectories // 8)


def program(group: int, steps: int, stride: int = 1):
    """Jitted (key, world) -> success and entropy of every run, and the batches, at every `stride`-th step."""
    advantage = advantage_of([estimators.get("grpo")], 0)

    def run(key, world):
        return train(
            key,
            world,
            advantage,
            optax.sgd(RATE * group),
            Update(group),
            observe=lambda params: (world.success(params), world.entropy(params)),
            records=steps // stride,
            stride=stride,
        )[1:]

    return jax.jit(run)


def numpy_loop(rng, logits, correct: int, group: int, steps: int):
    """One run, step by step."""
    h, n = logits.astype(float), logits.size
    success, entropy, size = np.empty((3, steps))
    uniforms = rng.random((steps, group))
    for t in range(steps):
        below = h - h.max()
        weight = np.exp(below)
        total = weight.sum()
        policy = weight / total
        cumulative = policy.cumsum()
        success[t], entropy[t] = cumulative[correct - 1], np.log(total) - policy @ below
        arm = cumulative.searchsorted(uniforms[t] * cumulative[-1], side="right")
        right = arm < correct
        p = right.mean()
        std = (p * (1 - p)) ** 0.5
        a = (right - p) / std if std > 0 else np.zeros(group)
        size[t] = np.abs(a).sum()
        h += RATE * (np.bincount(arm, a, n) - a.sum() * policy)
    return success, entropy, size


def numpy_batch(rng, logits, correct: int, group: int, steps: int):
    """All runs at once; the draw by whichever of two ways is faster for this group size."""
    h, (runs, n) = logits.astype(np.float32), logits.shape
    row = np.arange(runs)[:, None]
    success, entropy, size = np.empty((3, steps, runs))
    for t in range(steps):
        below = h - h.max(1, keepdims=True)
        weight = np.exp(below)
        total = weight.sum(1, keepdims=True)
        policy = weight / total
        cumulative = policy.cumsum(1)
        success[t] = cumulative[:, correct - 1]
        entropy[t] = np.log(total[:, 0]) - np.einsum("rn,rn->r", policy, below)
        target = rng.random((runs, group), np.float32) * cumulative[:, -1:]
        if group <= 16:
            arm = np.stack([(target[:, g : g + 1] < cumulative).argmax(1) for g in range(group)], 1)
        else:
            flat = np.searchsorted((cumulative + row).ravel(), (target + row).ravel(), side="right")
            arm = np.minimum(flat.reshape(runs, group) - row * n, n - 1)
        right = arm < correct
        p = right.mean(1)
        std = np.sqrt(p * (1 - p))
        safe = np.where(std > 0, std, 1)
        a = np.where(right, ((1 - p) / safe)[:, None], (-p / safe)[:, None]) * (std > 0)[:, None]
        size[t] = np.abs(a).sum(1)
        gradient = np.bincount((arm + row * n).ravel(), a.ravel(), runs * n).reshape(runs, n)
        h += RATE * (gradient - a.sum(1, keepdims=True) * policy)
    return success, entropy, size


def numba_train():
    """The compiled kernel of numba, or None where numba is not installed."""
    try:
        import numba
    except ImportError:
        return None

    @numba.njit(fastmath=True)
    def kernel(logits, correct, group, steps, rate, seed):
        np.random.seed(seed)  # noqa: NPY002
        runs, n = logits.shape
        logits = logits.copy()
        success, entropy, size = np.empty((3, runs, steps), np.float32)
        weight, cumulative, arm = np.empty(n, np.float32), np.empty(n, np.float32), np.empty(group, np.int64)
        for run in range(runs):
            h = logits[run]
            for t in range(steps):
                top, surprise, total = h.max(), np.float32(0), np.float32(0)
                for j in range(n):
                    below = h[j] - top
                    weight[j] = np.exp(below)
                    surprise += weight[j] * below
                for j in range(n):
                    total += weight[j]
                    cumulative[j] = total
                k = 0
                for g in range(group):
                    target = np.float32(np.random.random()) * total  # noqa: NPY002
                    arm[g] = min(np.searchsorted(cumulative, target, side="right"), n - 1)
                    k += arm[g] < correct
                p = np.float32(k / group)
                std = np.sqrt(p * (1 - p))
                plus, minus = ((1 - p) / std, -p / std) if std > 0 else (np.float32(0), np.float32(0))
                pull = np.float32(rate * (k * plus + (group - k) * minus) / total)
                success[run, t] = cumulative[correct - 1] / total
                entropy[run, t] = np.log(total) - surprise / total
                size[run, t] = k * plus - (group - k) * minus
                for j in range(n):
                    h[j] -= pull * weight[j]
                for g in range(group):
                    h[arm[g]] += np.float32(rate) * (plus if arm[g] < correct else minus)
        return success, entropy, size

    return lambda logits, correct, group, steps: kernel(logits, correct, group, steps, RATE, 0)


def c_train():
    """The kernel of bandit.c, or None where there is no C compiler."""
    built = library("bandit")
    if built is None:
        return None
    kernel = built.train
    floats = np.ctypeslib.ndpointer(np.float32, flags="C")
    kernel.argtypes = [floats, *[ctypes.c_int] * 5, ctypes.c_float, ctypes.c_uint64, floats, floats, floats]
    kernel.restype = None

    def run(logits, correct, group, steps):
        h, (runs, n) = logits.astype(np.float32), logits.shape
        measures = [np.empty((runs, steps), np.float32) for _ in range(3)]
        kernel(h, runs, n, correct, group, steps, RATE, 1, *measures)
        return measures

    return run


def categorical_program(correct: int, group: int, steps: int):
    """The first thing one would write in JAX: `jax.random.categorical` for one run, mapped over runs."""

    def one_run(key, h):
        def step(h, key):
            policy = jax.nn.softmax(h)
            entropy = -(policy * jax.nn.log_softmax(h)).sum()
            arm = jax.random.categorical(key, h, shape=(group,))
            right = (arm < correct).astype(h.dtype)
            std = right.std()
            a = jnp.where(std > 0, (right - right.mean()) / jnp.where(std > 0, std, 1), 0)
            h_new = h + RATE * (jnp.zeros_like(h).at[arm].add(a) - a.sum() * policy)
            return h_new, (policy[:correct].sum(), entropy, jnp.abs(a).sum())

        return jax.lax.scan(step, h, jax.random.split(key, steps))[1]

    return jax.jit(lambda key, h: jax.vmap(one_run)(jax.random.split(key, len(h)), h))


def programs(trajectories: int, group: int, runs: int, steps: int) -> dict:
    """Everything to be timed in one case, as functions that wait for their result, with the steps they make."""
    world = make_world(trajectories, runs)
    logits, correct = np.asarray(world.logits), trajectories // 8
    spread, ours, thinned = across_devices(world), program(group, steps), program(group, steps, 10)
    rng, key, fast = np.random.default_rng(0), jax.random.key(1), counter_key(1)
    few = max(4, 20480 // runs)
    made = {
        "threefry": (lambda: jax.block_until_ready(ours(key, spread)), runs * steps),
        "counter": (lambda: jax.block_until_ready(ours(fast, spread)), runs * steps),
        "every 10th": (lambda: jax.block_until_ready(thinned(fast, spread)), runs * steps),
        "one device": (lambda: jax.block_until_ready(ours(key, world)), runs * steps),
        "NumPy loop": (lambda: numpy_loop(rng, logits[0], correct, group, 400), 400),
        "NumPy batch": (lambda: numpy_batch(rng, logits, correct, group, few), runs * few),
    }
    if kernel := numba_train():
        made["numba, 1 thread"] = (partial(kernel, logits, correct, group, steps), runs * steps)
    if kernel := c_train():
        made["C, 1 thread"] = (partial(kernel, logits, correct, group, steps), runs * steps)
    if (trajectories, group) == (64, 8):
        naive = categorical_program(correct, group, 10)
        made["JAX categorical"] = (lambda: jax.block_until_ready(naive(key, world.logits)), runs * 10)
    return made


PEERS = ("NumPy loop", "NumPy batch", "numba, 1 thread", "C, 1 thread", "JAX categorical")


def rows(rounds: int):
    for (trajectories, group), (runs, steps) in CASES.items():
        made = programs(trajectories, group, runs, steps)
        seconds = interleave(made, rounds)
        case = f"bandit step, N={trajectories} G={group}, {runs} runs"
        for other in PEERS:
            if other in seconds:
                yield speed_row(f"{case}, threefry", seconds, "threefry", other)
        for other in PEERS:
            if other in seconds:
                yield speed_row(f"{case}, counter key", seconds, "counter", other)
        yield speed_row(f"{case}, counter key", seconds, "counter", "threefry", "threefry")
        yield speed_row(f"{case}, observed every 10th step", seconds, "every 10th", "counter", "every step")
        yield speed_row(f"{case}, one device a core", seconds, "threefry", "one device", "one device")
        for absent, why in (("numba, 1 thread", "pip install numba"), ("C, 1 thread", "no C compiler on the path")):
            if absent not in made:
                yield skipped(case, why, absent)
