"""In 32 bits at the edges: logits of 1e4, chances of 1e-12, groups of 1 to 4096, steps of 1e6; never a silent NaN."""

import functools
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy import stats

from symtheory import InputError, estimators
from symtheory.dynamics import Update, advantage_of, train
from symtheory.dynamics.expected import binomial, slope
from symtheory.estimators.group import make_group
from symtheory.ops import jax_ops
from symtheory.studies.controlled import observe_world
from symtheory.worlds import make_bandit, make_tree
from symtheory.worlds.bandit import Bandit

pytestmark = pytest.mark.usefixtures("single_precision")
SIZES = (1, 2, 8, 64, 512, pytest.param(4096, marks=pytest.mark.slow))


def groups(size):
    """Groups with every telling number of correct rollouts, [groups, size]."""
    correct = sorted({0, min(1, size), size // 2, size - 1, size})
    return jnp.asarray(np.arange(size) < np.array(correct)[:, None], jnp.float32)


@functools.cache
def advantages(size):
    """Advantages of every estimator by name, in one program: of a mixed batch, at omega = 0 and at omega = 1.

    None stands where the estimator refuses the group.
    """
    op = jax_ops()

    @jax.jit
    def all_of_them(rewards):
        found = {}
        for name in estimators.names("rewards"):
            batches = (rewards, rewards[:1], rewards[-1:])
            try:
                found[name] = [estimators.get(name)(make_group(op, batch), op) for batch in batches]
            except InputError:
                found[name] = None
        return found

    return all_of_them(groups(size))


@pytest.mark.parametrize("name", estimators.names("rewards"))
@pytest.mark.parametrize("size", SIZES)
def test_advantages_are_finite_in_any_group_or_the_group_is_refused(name, size):
    found = advantages(size)[name]
    if found is None:
        assert size < estimators.get(name).params["k"]
        return
    for a in found:
        assert a.dtype == jnp.float32
        assert np.isfinite(a).all()


@pytest.mark.parametrize("size", SIZES[1:])
def test_expected_slopes_are_finite_for_large_groups_and_rare_success(size):
    p = jnp.asarray([1e-12, 1e-3, 0.5, 1 - 1e-6], jnp.float32)
    names = ("grpo", "rloo")
    law, grpo, rloo = jax.jit(lambda p: (binomial(size - 1, p), *(slope(estimators.get(n), size, p) for n in names)))(p)
    np.testing.assert_allclose(law.sum(-1), 1, atol=1e-6 * size)
    np.testing.assert_allclose(
        law[1:], stats.binom.pmf(np.arange(size), size - 1, np.asarray(p, float)[1:, None]), rtol=2e-6 * size, atol=1e-9
    )
    assert np.isfinite(grpo).all()
    np.testing.assert_allclose(rloo, 1, atol=2e-6 * size)


def extreme_bandit():
    """Prompts whose policies sit where floats end: sure, hopeless, uniform, and in between."""
    logits = np.zeros((6, 16))
    logits[0, :3], logits[1, 3:] = 1e4, 1e4
    logits[2, 0], logits[3, 5] = -1e4, 1e4
    logits[4] = np.log(np.r_[np.full(3, 1e-12 / 3), np.full(13, (1 - 1e-12) / 13)])
    return Bandit(jnp.asarray(logits, jnp.float32), jnp.full(6, 3))


def extreme_tree():
    tree = make_tree(jax.random.key(0), [1e-12, 1 - 1e-6, 0.5], depth=2, branching=3)
    return replace(tree, logits=tree.logits.at[2].multiply(1e4))


@pytest.mark.slow
@pytest.mark.parametrize("make_world", [extreme_bandit, extreme_tree])
@pytest.mark.parametrize("optimizer", [optax.sgd, optax.adam])
def test_updates_and_metrics_stay_finite_from_extreme_policies_under_steps_of_a_million(make_world, optimizer):
    """Every estimator, 20 steps; two learning rates, one ordinary."""
    names = estimators.names("rewards")
    chains = [estimators.get(n) for n in names]
    world = make_world()

    def one(index, rate):
        state, seen, batches = train(
            jax.random.key(0),
            world,
            advantage_of(chains, index),
            optimizer(rate),
            Update(8),
            observe=lambda params: observe_world(world, params),
            records=2,
            stride=10,
        )
        return state.params, seen, batches._asdict()

    rates = jnp.asarray([0.1, 1e6], jnp.float32)
    result = jax.jit(jax.vmap(jax.vmap(one, (None, 0)), (0, None)))(jnp.arange(len(names)), rates)
    for x in jax.tree.leaves(result):
        bad = ~np.isfinite(np.asarray(x)).reshape(len(names), -1).all(-1)
        assert not bad.any(), [n for n, b in zip(names, bad, strict=True) if b]


@pytest.mark.parametrize("p", [1e-30, 1e-12, 1e-7])
def test_a_rare_success_survives_the_making_of_a_world(p):
    tree = make_tree(jax.random.key(0), [p], depth=2, branching=3)
    for world in (make_bandit(jax.random.key(0), [p], trajectories=16, correct=3), tree):
        success, pass_at_k = jax.jit(
            lambda w: (w.success(w.init()), observe_world(w, w.init(), (1, 256))["pass_at_k"])
        )(world)
        np.testing.assert_allclose(success, p, rtol=1e-4)
        np.testing.assert_allclose(pass_at_k, [p, 256 * p], rtol=1e-3)
