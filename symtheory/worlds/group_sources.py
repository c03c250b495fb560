"""Where groups come from on a tree: independent rollouts, branching from prefixes, or search.

Every source spends the same budget of leaf evaluations (calls of the verifier) and returns leaves [P, G] with a mask
[P, G] of those that count. Branching draws each leaf from the policy, but leaves of one trunk share a prefix. Search
chooses leaves by their value, so that its groups are off-policy: the update on them is biased by design.
"""

import importlib
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ..errors import InputError
from ..estimators import Group
from ..estimators.group import Array, make_group
from ..ops import jax_ops
from .hashed_tree import HashedTree
from .tree import Tree, path, walk

Advantages = Callable[[Group, Any], Array]  # an Estimator, or one of several chosen by a traced index


class Leaves(NamedTuple):
    """A group of evaluated leaves for each prompt."""

    rollouts: Array
    """[P, G] leaves"""
    mask: Array
    """[P, G] 1 for a leaf that was evaluated, 0 for a place left empty"""


def independent(key, world: Tree | HashedTree, params, budget: int) -> Leaves:
    """`budget` independent rollouts."""
    rollouts = world.sample(key, params, budget)
    return Leaves(rollouts, jnp.ones(rollouts.shape, world.logits.dtype))


def branching(key, world: Tree | HashedTree, params, budget: int, *, trunks: int = 2) -> Leaves:
    """Tree rollouts: `trunks` independent ones; the others fork from these in turn, each at a uniform level.

    A fork keeps the first l steps of its trunk, l uniform in 0..d - 1, and goes on under the policy. Marginally each
    leaf follows the policy.
    """
    if not 1 <= trunks <= budget:
        raise InputError(f"trunks must be between 1 and budget = {budget}, got {trunks}")
    key_trunk, key_level, key_rest = jax.random.split(key, 3)
    trunk = world.sample(key_trunk, params, trunks)
    own = jnp.arange(budget - trunks) % trunks
    level = jax.random.randint(key_level, (world.logits.shape[0], budget - trunks), 0, world.depth)
    _, action = path(trunk[:, own], world.depth, world.branching)
    forced = jnp.where(jnp.arange(world.depth) < level[..., None], action, -1)
    forks = continued(key_rest, world, params, jnp.moveaxis(forced, -1, 0))
    rollouts = jnp.concatenate([trunk, forks], axis=-1)
    return Leaves(rollouts, jnp.ones(rollouts.shape, world.logits.dtype))


def continued(key, world: Tree | HashedTree, params, forced):
    """Leaves [P, G] under the policy that take the actions `forced[d, P, G]` where these are not negative."""
    uniforms = jax.random.uniform(key, forced.shape, world.logits.dtype)
    return walk(world.rows(params), uniforms, world.branching, forced.astype(jnp.int32))


def searched(key, world: Tree | HashedTree, params, budget: int, *, gumbel: bool = True) -> Leaves:
    """`budget` simulations of Gumbel or PUCT search (mctx), each evaluating one leaf by one rollout of the policy.

    The prior of a node is the policy; its value is the reward of a rollout from it, at depth d its own reward. A
    simulation that returns to an evaluated leaf spends budget without a new leaf, and its place stays empty.
    """
    try:
        mctx: Any = importlib.import_module("mctx")
    except ImportError:
        raise InputError("search needs the package mctx: pip install 'symtheory[search]'") from None
    rows = world.rows(params)
    last = (world.branching**world.depth - 1) // (world.branching - 1) - 1
    key_search, key_root = jax.random.split(key)

    def evaluate(key, prefix, level):
        """Prior, a rollout's leaf and its reward for one node of each prompt, given by prefix and level [P]."""
        start = (world.branching**level - 1) // (world.branching - 1)
        node = jnp.minimum(start + prefix, last)  # below a leaf there is no node, and search does not look
        at = jnp.arange(world.depth)[:, None, None]
        ahead = world.branching ** jnp.maximum(level - 1 - at[..., 0], 0)
        forced = jnp.where(at[..., 0] < level, prefix // ahead % world.branching, -1)[..., None]
        leaf = continued(key, world, params, forced)
        return rows(node[:, None])[:, 0], leaf[:, 0], world.reward(leaf)[:, 0]

    def expand(_, key, action, embedding):
        prefix, level, _ = embedding
        prefix, level = prefix * world.branching + action, level + 1
        prior, leaf, reward = evaluate(key, prefix, level)
        done = level == world.depth
        output = mctx.RecurrentFnOutput(
            reward=jnp.where(done, reward, 0.0),
            discount=jnp.where(done, 0.0, 1.0).astype(reward.dtype),
            prior_logits=prior,
            value=jnp.where(done, 0.0, reward),
        )
        return output, (prefix, level, leaf)

    zero = jnp.zeros(world.logits.shape[0], jnp.int32)
    prior, _, _ = evaluate(key_root, zero, zero)
    # the root's own value is the mean of nothing yet: 0 costs no call of the verifier
    root = mctx.RootFnOutput(prior_logits=prior, value=jnp.zeros_like(prior[:, 0]), embedding=(zero, zero, zero))
    search = mctx.gumbel_muzero_policy if gumbel else mctx.muzero_policy
    tree = search((), key_search, root, expand, budget, max_depth=world.depth).search_tree
    visited = tree.node_visits[:, 1:] > 0
    return Leaves(tree.embeddings[2][:, 1:], visited.astype(world.logits.dtype))


def group_advantages(world: Tree, leaves: Leaves, estimator: Advantages):
    """Advantage of each leaf among all leaves of its prompt, as a weight for each of its steps, [P, G, d]."""
    op = jax_ops()
    a = estimator(make_group(op, world.reward(leaves.rollouts), leaves.mask), op)
    return jnp.repeat(a[..., None], world.depth, axis=-1)


def node_advantages(world: Tree, leaves: Leaves, estimator: Advantages):
    """Advantage of each step among the leaves that pass its node, [P, G, d]: a group at every node.

    V(s) is the mean reward of the leaves below s. At node v the outcomes are V(child) of each leaf that passes v, and
    the estimator scores them as it scores rewards; an estimator that centres is therefore zero-sum at every node. The
    batch (omega) is that of the whole groups.
    """
    op = jax_ops()
    rewards = world.reward(leaves.rollouts)
    batch = make_group(op, rewards, leaves.mask).batch
    node, _ = path(leaves.rollouts, world.depth, world.branching)
    node = jnp.concatenate([node, -1 - leaves.rollouts[..., None]], axis=-1)  # the leaf itself as the last node
    same = (node[:, :, None] == node[:, None]) & (leaves.mask[:, None, :, None] > 0)  # [P, i, j, d + 1]
    weight = jnp.moveaxis(same, -1, 1).astype(rewards.dtype)  # [P, d + 1, i, j]: does j pass the node of i
    value = (weight * rewards[:, None, None]).sum(-1) / jnp.maximum(weight.sum(-1), 1)  # [P, d + 1, i]
    outcomes = jnp.broadcast_to(value[:, 1:, None, :], weight[:, 1:].shape)
    a = estimator(make_group(op, outcomes, weight[:, :-1], batch=batch), op)
    own = jnp.diagonal(a, axis1=-2, axis2=-1) * leaves.mask[:, None]
    return jnp.moveaxis(own, 1, -1)
