"""A sweep of 7 estimators x 8 difficulties x S seeds on the bandit: one program against one program for each estimator.

The first result of a sweep waits for the compiler, the steady state does not; both are measured. Unit of the steady
rows: one step of one run (N = 64, G = 8, 200 steps, read at every 10th).
"""

import time

import jax
import jax.numpy as jnp
import numpy as np
import optax

from symtheory import estimators
from symtheory.dynamics import Update, advantage_of, train
from symtheory.worlds import make_bandit

from .timing import interleave, row, speed_row

NAMES = ("grpo", "positive_dominant", "negative_dominant", "easy_focused", "hard_focused", "ddas", "agrae")
DIFFICULTIES = np.array([0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9])
STEPS, STRIDE, SEEDS = 200, 10, (8, 64)


def run(advantage, key, world):
    return train(
        key,
        world,
        advantage,
        optax.sgd(0.16),
        Update(8),
        observe=lambda params: (world.success(params), world.entropy(params)),
        records=STEPS // STRIDE,
        stride=STRIDE,
    )[1]


def together():
    """(keys [S], world) -> paths of all estimators and seeds, in one program."""
    chains = [estimators.get(name) for name in NAMES]

    def one(key, index, world):
        return run(advantage_of(chains, index), key, world)

    over = jax.vmap(jax.vmap(one, (None, 0, None)), (0, None, None))
    return jax.jit(lambda keys, world: over(keys, jnp.arange(len(NAMES)), world))


def apart(name: str):
    """The same for one estimator, a program of its own."""
    advantage = advantage_of([estimators.get(name)], 0)
    return jax.jit(lambda keys, world: jax.vmap(lambda key: run(advantage, key, world))(keys))


def rows(rounds: int):
    world = make_bandit(jax.random.key(0), DIFFICULTIES, trajectories=64, correct=8)
    for seeds in SEEDS:
        keys = jax.random.split(jax.random.key(1), seeds)
        steps = seeds * len(NAMES) * len(DIFFICULTIES) * STEPS
        case = f"sweep of 7 estimators x 8 difficulties x {seeds} seeds"
        first = []
        for _ in range(min(rounds, 3)):
            jax.clear_caches()
            start = time.perf_counter()
            one = together()
            jax.block_until_ready(one(keys, world))
            middle = time.perf_counter()
            seven = [apart(name) for name in NAMES]
            jax.block_until_ready([f(keys, world) for f in seven])
            first.append((time.perf_counter() - middle) / (middle - start))
        yield row(f"{case}, first result", first, "one program for each estimator")
        seconds = interleave(
            {
                "one": (lambda one=one, keys=keys: jax.block_until_ready(one(keys, world)), steps),
                "seven": (
                    lambda seven=seven, keys=keys: jax.block_until_ready([f(keys, world) for f in seven]),
                    steps,
                ),
            },
            rounds,
        )
        yield speed_row(f"{case}, steady", seconds, "one", "seven", "one program for each estimator")
