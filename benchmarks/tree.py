"""Step rate of sampled training on deep trees: 1,000 prompts, depth 10, 4 choices, groups of 8.

Three programs take turns in one process: the jitted step of this package, the same step in plain NumPy (vectorised
over prompts and rollouts, a loop over the ten levels), and Gumbel search by mctx on the same trees. The two training
steps touch only the rows of the hash table that rollouts visit; a table for every node would hold 1.4 billion logits.
mctx is another algorithm, which keeps statistics for each simulation: its rate is a scale, not a contest.

Run: python benchmarks/tree.py [--prompts 1000 --rounds 7 ...]
"""

import json
import platform
import time
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import tyro

from symtheory import estimators
from symtheory.dynamics import advantage_of
from symtheory.worlds import HashedTree, make_hashed_tree, tree_search
from symtheory.worlds.tree import level_starts


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
    return tree_search.searched(key, world, params, simulations)


def main(
    prompts: int = 1000,
    depth: int = 10,
    branching: int = 4,
    size: int = 8,
    steps: int = 20,
    numpy_steps: int = 3,
    simulations: int = 32,
    rounds: int = 7,
    seed: int = 0,
) -> None:
    """Print rates and their ratios, best and range over rounds."""
    quantiles = jax.random.beta(jax.random.key(seed), 0.6, 1.6, (prompts,))
    world = make_hashed_tree(jax.random.key(seed + 1), quantiles.clip(0.005, 0.7), depth=depth, branching=branching)
    rng, solutions = np.random.default_rng(seed), np.asarray(world.solutions)
    slot = np.asarray(world.slot(jnp.arange((branching**depth - 1) // (branching - 1))))
    table = np.array(world.logits)
    state = {"params": jnp.array(world.logits)}
    learning = {"jitted": [], "NumPy": []}

    def jitted(key):
        state["params"], rewards = train(key, state["params"], world, size, steps, 1.0)
        learning["jitted"] += rewards.tolist()
        return steps * prompts * size

    def plain(_):
        learning["NumPy"] += [numpy_step(rng, table, solutions, slot, depth, size, 1.0) for _ in range(numpy_steps)]
        return numpy_steps * prompts * size

    def searching(key):
        jax.block_until_ready(search(key, world.logits, world, simulations))
        return simulations * prompts

    programs = {"jitted": jitted, "NumPy": plain, "mctx": searching}
    seconds = {name: [] for name in programs}
    for i, key in enumerate(jax.random.split(jax.random.key(seed + 2), rounds + 1)):
        for name, program in programs.items():
            start = time.perf_counter()
            leaves = program(key)
            if i:  # the first round compiles
                seconds[name].append((time.perf_counter() - start) / leaves)
    print(f"{platform.machine()}, {len(jax.devices())} x {jax.devices()[0].device_kind}, jax {jax.__version__}")
    rates = {name: 1 / np.array(s) for name, s in seconds.items()}
    for name, rate in rates.items():
        unit = "simulations" if name == "mctx" else "rollouts"
        line = (
            f"{name:7s} best {rate.max() / 1e3:9.1f} k {unit}/s, range {rate.min() / 1e3:.1f} to {rate.max() / 1e3:.1f}"
        )
        print(line + ("" if name == "mctx" else f"; {rate.max() / prompts / size:.2f} steps/s"))
    for other in ("NumPy", "mctx"):
        ratio = rates["jitted"] / rates[other]
        print(f"jitted / {other}: median {np.median(ratio):.2f}, range {ratio.min():.2f} to {ratio.max():.2f}")
    success = {"base": world.success(world.logits).mean(), "jitted": world.success(state["params"]).mean()}
    success["NumPy"] = world.success(jnp.asarray(table)).mean()
    done = {"base": 0, **{k: len(v) for k, v in learning.items()}}
    print("exact success:", json.dumps({k: f"{float(v):.4f} after {done[k]} steps" for k, v in success.items()}))


if __name__ == "__main__":
    tyro.cli(main)
