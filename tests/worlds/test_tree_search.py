"""Sources of groups on the tree, and advantages at its nodes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from symtheory import InputError, estimators
from symtheory.worlds import make_tree
from symtheory.worlds.tree import path
from symtheory.worlds.tree_search import branching, group_advantages, independent, node_advantages, searched

WORLD = make_tree(jax.random.key(0), [0.3, 0.1, 0.6], depth=4, branching=3, density=0.15)


def through_nodes(weights, leaves):
    """Sum of step weights through every node of the tree, [P, nodes]."""
    node, _ = path(leaves.rollouts, WORLD.depth, WORLD.branching)
    prompts = jnp.arange(node.shape[0])[:, None, None]
    return jnp.zeros(WORLD.logits.shape[:2]).at[prompts, node].add(weights)


def test_node_advantages_are_zero_sum_at_every_node_under_grpo():
    leaves = branching(jax.random.key(1), WORLD, WORLD.init(), 16)
    a = node_advantages(WORLD, leaves, estimators.get("grpo"))
    assert jnp.abs(a).max() > 0.5
    np.testing.assert_allclose(through_nodes(a, leaves), 0, atol=1e-5)


def test_node_advantages_lean_where_the_estimator_leans():
    leaves = branching(jax.random.key(1), WORLD, WORLD.init(), 16)
    for name, sign in (("positive_dominant", 1), ("negative_dominant", -1)):
        total = sign * through_nodes(node_advantages(WORLD, leaves, estimators.get(name)), leaves)
        assert total.min() > -1e-5
        assert total.max() > 0.1


def test_centred_node_values_telescope_to_the_group_advantage():
    """Sum over a path of V(child) - V(node) is r - V(root), the advantage of Dr.GRPO."""
    leaves, centred = branching(jax.random.key(2), WORLD, WORLD.init(), 12), estimators.get("dr_grpo")
    by_node = node_advantages(WORLD, leaves, centred).sum(-1)
    np.testing.assert_allclose(by_node, group_advantages(WORLD, leaves, centred)[..., 0], atol=1e-6)


def test_in_a_tree_of_one_level_nodes_and_groups_are_the_same():
    world = make_tree(jax.random.key(0), [0.3], depth=1, branching=16)
    leaves = independent(jax.random.key(1), world, world.init(), 8)
    for name in ("grpo", "agrae"):
        by_node, by_group = (f(world, leaves, estimators.get(name)) for f in (node_advantages, group_advantages))
        np.testing.assert_allclose(by_node, by_group, atol=1e-6)


def test_each_branched_leaf_follows_the_policy():
    draw = jax.jit(jax.vmap(lambda k: branching(k, WORLD, WORLD.init(), 4).rollouts[:, 3]))
    last = draw(jax.random.split(jax.random.key(3), 4000))  # [4000, P], the second fork of the second trunk
    rate = np.asarray(jax.vmap(lambda r: WORLD.reward(r[:, None])[:, 0])(last)).mean(0)
    p = np.array([0.3, 0.1, 0.6])
    assert (np.abs(rate - p) < 4 * np.sqrt(p * (1 - p) / 4000)).all()


def test_forks_share_a_prefix_with_their_trunk():
    leaves = branching(jax.random.key(1), WORLD, WORLD.init(), 200, trunks=1).rollouts
    same_first = (leaves // 27 == leaves[:, :1] // 27).mean()
    assert same_first > 0.75  # three of four forks keep at least the first step


@pytest.mark.parametrize("gumbel", [True, False])
def test_search_evaluates_each_leaf_under_the_node_it_expands(gumbel):
    pytest.importorskip("mctx")
    leaves = searched(jax.random.key(1), WORLD, WORLD.init(), 32, gumbel=gumbel)
    assert leaves.rollouts.shape == leaves.mask.shape == (3, 32)
    found = WORLD.reward(leaves.rollouts) * leaves.mask
    assert found.sum() > 0
    assert leaves.mask.sum(-1).min() >= 8
    assert ((leaves.rollouts >= 0) & (leaves.rollouts < 81)).all()


def test_search_prefers_prefixes_that_were_right():
    pytest.importorskip("mctx")
    hard = make_tree(jax.random.key(0), [0.05] * 64, depth=4, branching=3, density=0.15)

    def rate(leaves):
        return (hard.reward(leaves.rollouts) * leaves.mask).sum() / leaves.mask.sum()

    found = rate(searched(jax.random.key(1), hard, hard.init(), 64))
    assert found > 1.3 * rate(independent(jax.random.key(1), hard, hard.init(), 64))


def test_too_many_trunks_are_refused():
    with pytest.raises(InputError, match="trunks must be between 1 and budget = 4"):
        branching(jax.random.key(0), WORLD, WORLD.init(), 4, trunks=5)
