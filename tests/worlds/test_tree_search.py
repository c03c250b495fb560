"""Sources of groups on the tree, and advantages at its nodes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from symtheory import InputError, estimators
from symtheory.worlds import make_tree
from symtheory.worlds.group_sources import branching, group_advantages, independent, node_advantages, searched
from symtheory.worlds.tree import path

branch = jax.jit(branching, static_argnames=("budget", "trunks"))
search = jax.jit(searched, static_argnames=("budget", "gumbel"))


@pytest.fixture(scope="module")
def world():
    return make_tree(jax.random.key(0), [0.3, 0.1, 0.6], depth=4, branching=3, density=0.15)


def by_node(world, leaves, name):
    return jax.jit(lambda leaves: node_advantages(world, leaves, estimators.get(name)))(leaves)


def by_groups(world, leaves, name):
    return jax.jit(lambda leaves: group_advantages(world, leaves, estimators.get(name)))(leaves)


@jax.jit
def through_nodes(world, weights, leaves):
    """Sum of step weights through every node of the tree, [P, nodes]."""
    node, _ = path(leaves.rollouts, world.depth, world.branching)
    prompts = jnp.arange(node.shape[0])[:, None, None]
    return jnp.zeros(world.logits.shape[:2]).at[prompts, node].add(weights)


def test_node_advantages_are_zero_sum_at_every_node_under_grpo(world):
    leaves = branch(jax.random.key(1), world, world.init(), budget=16)
    a = by_node(world, leaves, "grpo")
    assert jnp.abs(a).max() > 0.5
    np.testing.assert_allclose(through_nodes(world, a, leaves), 0, atol=1e-5)


def test_node_advantages_lean_where_the_estimator_leans(world):
    leaves = branch(jax.random.key(1), world, world.init(), budget=16)
    for name, sign in (("positive_dominant", 1), ("negative_dominant", -1)):
        total = sign * through_nodes(world, by_node(world, leaves, name), leaves)
        assert total.min() > -1e-5
        assert total.max() > 0.1


def test_centred_node_values_telescope_to_the_group_advantage(world):
    """Sum over a path of V(child) - V(node) is r - V(root), the advantage of Dr.GRPO."""
    leaves = branch(jax.random.key(2), world, world.init(), budget=12)
    by_path, by_group = by_node(world, leaves, "dr_grpo").sum(-1), by_groups(world, leaves, "dr_grpo")
    np.testing.assert_allclose(by_path, by_group[..., 0], atol=1e-6)


def test_in_a_tree_of_one_level_nodes_and_groups_are_the_same():
    world = make_tree(jax.random.key(0), [0.3], depth=1, branching=16)
    leaves = jax.jit(independent, static_argnums=3)(jax.random.key(1), world, world.init(), 8)
    by_group = by_groups(world, leaves, "agrae")
    np.testing.assert_allclose(by_node(world, leaves, "agrae"), by_group, atol=1e-6)


def test_each_branched_leaf_follows_the_policy(world):
    draw = jax.jit(jax.vmap(lambda k: branching(k, world, world.init(), 4).rollouts[:, 3]))
    last = draw(jax.random.split(jax.random.key(3), 4000))  # [4000, P], the second fork of the second trunk
    rate = np.asarray(jax.vmap(lambda r: world.reward(r[:, None])[:, 0])(last)).mean(0)
    p = np.array([0.3, 0.1, 0.6])
    assert (np.abs(rate - p) < 4 * np.sqrt(p * (1 - p) / 4000)).all()


def test_forks_share_a_prefix_with_their_trunk(world):
    leaves = branch(jax.random.key(1), world, world.init(), 200, trunks=1).rollouts
    same_first = (leaves // 27 == leaves[:, :1] // 27).mean()
    assert same_first > 0.75  # three of four forks keep at least the first step


@pytest.mark.parametrize("gumbel", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_search_evaluates_each_leaf_under_the_node_it_expands(world, gumbel):
    pytest.importorskip("mctx")
    leaves = search(jax.random.key(1), world, world.init(), budget=32, gumbel=gumbel)
    assert leaves.rollouts.shape == leaves.mask.shape == (3, 32)
    found = world.reward(leaves.rollouts) * leaves.mask
    assert found.sum() > 0
    assert leaves.mask.sum(-1).min() >= 8
    assert ((leaves.rollouts >= 0) & (leaves.rollouts < 81)).all()


@pytest.mark.slow
def test_search_prefers_prefixes_that_were_right():
    pytest.importorskip("mctx")
    hard = make_tree(jax.random.key(0), [0.05] * 64, depth=4, branching=3, density=0.15)

    def rate(leaves):
        return (hard.reward(leaves.rollouts) * leaves.mask).sum() / leaves.mask.sum()

    found = rate(search(jax.random.key(1), hard, hard.init(), budget=64))
    assert found > 1.3 * rate(independent(jax.random.key(1), hard, hard.init(), 64))


def test_too_many_trunks_are_refused(world):
    with pytest.raises(InputError, match="trunks must be between 1 and budget = 4"):
        branching(jax.random.key(0), world, world.init(), 4, trunks=5)
