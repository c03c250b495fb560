"""A training step on trees, as `dynamics.train` runs it, against a Python loop and C; deep ones against NumPy, mctx.

Enumerated trees (`Tree`): 1,024 runs, G = 8, success read at every 100th step, the batch's statistics at every step;
one unit is one step of one run. The Python loop walks one rollout after another; C is one thread of tree.c.

Hashed trees (`HashedTree`): 1,000 prompts, depth 10, 4 choices; one unit is one rollout. NumPy does the same step,
vectorised over prompts and rollouts. mctx searches the same trees with 32 simulations a prompt: another algorithm,
which keeps statistics for each simulation, so its rate is a scale and not a contest.
"""

import ctypes
import importlib.util
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax

from symtheory import estimators
from symtheory.dynamics import Update, advantage_of
from symtheory.dynamics import train as train_world
from symtheory.dynamics.counter import counter_key
from symtheory.dynamics.devices import across_devices
from symtheory.worlds import group_sources, make_hashed_tree, make_tree
from symtheory.worlds.hashed_tree import HashedTree
from symtheory.worlds.tree import level_starts

from .native import library
from .timing import interleave, skipped, speed_row


@partial(jax.jit, static_argnames=("size", "steps"), donate_argnames="params")
def train(key, params, world: HashedTree, size: int, steps: int, learning_rate: float):
    """`steps` GRPO steps; returns parameters and the mean reward of each batch."""
    advantage = advantage_of([estimators.get("grpo")], jnp.asarray(0))

    def step(params, key):
        rollouts = world.sample(key, params, size)
        rewards = world.reward(rollouts)
        return world.ascend(params, params, rollouts, advantage(rewards) * (learning_rate / size)), rewards.mean()

    return jax.lax.scan(step, params, jax.random.split(key, steps))


def numpy_step(rng, params, solutions, slot, depth: int, size: int, learning_rate: float) -> float:
    """The same step in place, in NumPy; returns the mean reward of the batch."""
    prompts, branching = params.shape[0], params.shape[-1]
    rows = np.arange(prompts)[:, None]
    prefix = np.zeros((prompts, size), np.int64)
    visited = []
    for start in level_starts(depth, branching):
        at = slot[start + prefix]
        logits = params[rows, at]
        policy = np.exp(logits - logits.max(-1, keepdims=True))
        policy /= policy.sum(-1, keepdims=True)
        action = (rng.random((prompts, size, 1), np.float32) >= policy.cumsum(-1)[..., :-1]).sum(-1)
        visited.append((at, action, policy))
        prefix = prefix * branching + action
    rewards = (prefix[..., None] == solutions[:, None]).any(-1).astype(np.float32)
    centred, std = rewards - rewards.mean(-1, keepdims=True), rewards.std(-1, keepdims=True)
    weight = np.where(std > 0, centred / np.where(std > 0, std, 1), 0) * (learning_rate / size)
    for at, action, policy in visited:
        change = -policy
        np.put_along_axis(change, action[..., None], 1 - np.take_along_axis(policy, action[..., None], -1), -1)
        np.add.at(params, (rows, at), weight[..., None] * change)
    return float(rewards.mean())


@partial(jax.jit, static_argnames="simulations")
def search(key, params, world: HashedTree, simulations: int):
    return group_sources.searched(key, world, params, simulations)


RATE, GROUP = 0.05, 8  # step on the sum over the group


def program(steps: int):
    advantage = advantage_of([estimators.get("grpo")], 0)

    def run(key, world):
        return train_world(
            key,
            world,
            advantage,
            optax.sgd(RATE * GROUP),
            Update(GROUP),
            observe=world.success,
            records=1,
            stride=steps,
        )[1:]

    return jax.jit(run)


def python_loop(rng, logits, correct, steps: int) -> list[float]:
    """One run, one rollout after another; children of node v are b v + 1 .. b v + b."""
    h, (nodes, b) = logits.astype(float), logits.shape
    rates = []
    for _ in range(steps):
        paths, rewards = [], np.zeros(GROUP)
        for g in range(GROUP):
            node, path = 0, []
            while node < nodes:
                weight = np.exp(h[node] - h[node].max())
                policy = weight / weight.sum()
                action = min(int(policy.cumsum().searchsorted(rng.random(), side="right")), b - 1)
                path.append((node, action, policy))
                node = node * b + 1 + action
            paths.append(path)
            rewards[g] = correct[node - nodes]
        std = rewards.std()
        advantages = (rewards - rewards.mean()) / std if std > 0 else np.zeros(GROUP)
        for path, a in zip(paths, advantages, strict=True):
            for node, action, policy in path:
                h[node] -= RATE * a * policy
                h[node, action] += RATE * a
        rates.append(rewards.mean())
    return rates


def c_train():
    """The kernel of tree.c, or None where there is no C compiler."""
    built = library("tree")
    if built is None:
        return None
    floats = np.ctypeslib.ndpointer(np.float32, flags="C")
    flags = np.ctypeslib.ndpointer(np.uint8, flags="C")
    built.train.argtypes = [floats, flags, *[ctypes.c_int] * 5, ctypes.c_float, ctypes.c_uint64, floats, floats]
    built.train.restype = None

    def run(logits, correct, depth, steps):
        h, (runs, _, b) = logits.astype(np.float32), logits.shape
        rate, size = np.empty((2, runs, steps), np.float32)
        built.train(h, correct, runs, b, depth, GROUP, steps, RATE, 1, rate, size)
        return rate

    return run


def enumerated(branching: int, depth: int, runs: int, steps: int, rounds: int):
    world = make_tree(jax.random.key(0), np.tile([0.05, 0.1, 0.25, 0.5], runs // 4), branching=branching, depth=depth)
    logits, correct = np.asarray(world.logits), np.asarray(world.correct, np.uint8)
    spread, ours, rng = across_devices(world), program(steps), np.random.default_rng(0)
    made = {
        "threefry": (lambda: jax.block_until_ready(ours(jax.random.key(1), spread)), runs * steps),
        "counter": (lambda: jax.block_until_ready(ours(counter_key(1), spread)), runs * steps),
        "Python loop": (lambda: python_loop(rng, logits[0], correct[0], 5), 5),
    }
    kernel = c_train()
    if kernel:
        made["C, 1 thread"] = (partial(kernel, logits, correct, depth, steps), runs * steps)
    seconds = interleave(made, rounds)
    case = f"tree step, b={branching} d={depth}, {runs} runs"
    for other in ("Python loop", "C, 1 thread"):
        if other in seconds:
            yield speed_row(f"{case}, threefry", seconds, "threefry", other)
            yield speed_row(f"{case}, counter key", seconds, "counter", other)
    if kernel is None:
        yield skipped(case, "no C compiler on the path", "C, 1 thread")


def hashed(rounds: int, prompts: int = 1000, depth: int = 10, branching: int = 4, simulations: int = 32):
    quantiles = jax.random.beta(jax.random.key(0), 0.6, 1.6, (prompts,)).clip(0.005, 0.7)
    world = make_hashed_tree(jax.random.key(1), quantiles, depth=depth, branching=branching)
    rng, solutions = np.random.default_rng(0), np.asarray(world.solutions)
    slot = np.asarray(world.slot(jnp.arange((branching**depth - 1) // (branching - 1))))
    table, state = np.array(world.logits), {"params": jnp.array(world.logits)}

    def jitted():
        state["params"], rewards = train(jax.random.key(2), state["params"], world, GROUP, 20, 1.0)
        jax.block_until_ready(rewards)

    def plain():
        for _ in range(3):
            numpy_step(rng, table, solutions, slot, depth, GROUP, 1.0)

    programs = {"ours": (jitted, 20 * prompts * GROUP), "NumPy batch": (plain, 3 * prompts * GROUP)}
    if importlib.util.find_spec("mctx"):
        searching = lambda: jax.block_until_ready(search(jax.random.key(3), world.logits, world, simulations))  # noqa: E731
        programs["mctx"] = (searching, simulations * prompts)
    seconds = interleave(programs, rounds)
    case = "rollout of a deep tree with its update, b=4 d=10, 1,000 prompts"
    yield speed_row(case, seconds, "ours", "NumPy batch")
    if "mctx" in seconds:
        yield speed_row(case, seconds, "ours", "mctx", "a simulation of mctx's Gumbel search (a scale, not a contest)")
    else:
        yield skipped(case, "pip install mctx", "mctx")


def rows(rounds: int):
    yield from enumerated(4, 4, 1024, 100, rounds)
    yield from enumerated(2, 10, 1024, 100, rounds)
    yield from hashed(min(rounds, 7))
