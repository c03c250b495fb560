"""What the worlds draw has the chances it should have: chi-square against exact laws."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import chi2

from symtheory.dynamics.counter import counter_key
from symtheory.worlds import make_tree
from symtheory.worlds.bandit import draw
from symtheory.worlds.tree import walk

KEYS = {"threefry": jax.random.key, "counter": counter_key}
SIZES = [200_000, pytest.param(10_000_000, marks=pytest.mark.slow)]


def chi_square_chance(counts, chances) -> float:
    """Chance of a chi-square statistic as large as that of `counts`, cells of fewer than 5 expected put together."""
    counts, expected = np.asarray(counts, float), np.asarray(chances, float) * np.sum(counts)
    rare = expected < 5
    if rare.any():
        counts = np.append(counts[~rare], counts[rare].sum())
        expected = np.append(expected[~rare], expected[rare].sum())
    return float(chi2.sf(((counts - expected) ** 2 / expected).sum(), len(counts) - 1))


def weights_of(n):
    """Zipf's law times noise, in a random order: neither sorted nor smooth."""
    rng = np.random.default_rng(0)
    return rng.permutation(np.arange(1.0, n + 1) ** -1.2 * rng.uniform(0.5, 1.5, n)).astype(np.float32)


@pytest.mark.parametrize("total", SIZES)
@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize(("n", "group"), [(64, 8), (64, 64), (1000, 8), (1024, 64)])
def test_trajectories_are_drawn_with_their_chances(n, group, key, total, single_precision):
    weights, batch = weights_of(n), 500
    rounds = total // (batch * group)

    def count(counts, key):
        arms = draw(jnp.broadcast_to(weights, (batch, n)), jax.random.uniform(key, (batch, group)))
        return counts.at[arms.ravel()].add(1), None

    @jax.jit
    def counted():
        return jax.lax.scan(count, jnp.zeros(n, jnp.int32), jax.random.split(KEYS[key](7), rounds))[0]

    counts = np.asarray(counted())
    assert counts.sum() == rounds * batch * group
    assert chi_square_chance(counts, weights / weights.sum(dtype=float)) > 1e-4


@pytest.mark.parametrize("total", SIZES)
@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize(("branching", "depth"), [(2, 6), (4, 3)])
def test_leaves_are_reached_with_their_chances(branching, depth, key, total, single_precision):
    world = jax.jit(lambda key: make_tree(key, [0.3], branching=branching, depth=depth))(jax.random.key(3))
    rows, batch, group = world.rows(world.init()), 500, 8
    chances = np.exp(np.asarray(jax.jit(world.enumerate)(world.init()), float))[0]
    rounds = total // (batch * group)

    def count(counts, key):
        leaves = walk(rows, jax.random.uniform(key, (depth, 1, batch * group)), branching)
        return counts.at[leaves.ravel()].add(1), None

    @jax.jit
    def counted():
        return jax.lax.scan(count, jnp.zeros(len(chances), jnp.int32), jax.random.split(KEYS[key](7), rounds))[0]

    counts = np.asarray(counted())
    assert chi_square_chance(counts, chances / chances.sum()) > 1e-4


def test_the_statistic_finds_a_draw_that_is_off_by_two_in_a_hundred():
    chances = weights_of(64) / weights_of(64).sum()
    wrong = chances.copy()
    wrong[:8] *= 1.02
    counts = np.random.default_rng(0).multinomial(10_000_000, wrong / wrong.sum())
    assert chi_square_chance(counts, chances) < 1e-9
