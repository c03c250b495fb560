"""Deep trees that are never enumerated: node logits in a hash table, solutions as a list of leaves.

A tree with b = 4 and d = 10 has 350 thousand nodes, times a thousand prompts 1.4 billion logits. A rollout visits d
of them, so each prompt keeps a table of `slots` rows: the nodes near the root, where nearly all visits fall, own a row
each, deeper nodes share the rest by hashing, as token embeddings are hashed. Nodes of one row share one softmax:
deep nodes of a prompt are tied to each other, and never to those of another prompt.

The correct leaves are a short list, so that success is exact without a sweep over the tree.
"""

from dataclasses import dataclass, field, replace

import jax
import jax.numpy as jnp

from ..errors import InputError
from ..estimators.group import Array
from ..ops import jax_ops
from .base import World
from .tree import check_shape, check_success, chosen, level_starts, path, rows_at, walk


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class HashedTree(World):
    """P prompts with a tree of depth d each; parameters are the tables [P, slots, b]."""

    logits: Array
    """[P, slots, b] logits of the base policy"""
    solutions: Array
    """[P, S] correct leaves in increasing order; a leaf that was drawn twice appears twice"""
    depth: int = field(metadata=dict(static=True))

    @property
    def prompt_weight(self):
        return 1.0

    @property
    def branching(self) -> int:
        return self.logits.shape[-1]

    def init(self):
        return self.logits

    def slot(self, node):
        """Row of the table that holds a node's logits."""
        slots = self.logits.shape[1]
        owned = max(start for start in level_starts(self.depth + 1, self.branching) if start <= max(slots // 2, 1))
        mixed = node.astype(jnp.uint32) * jnp.uint32(2654435769)
        shared = owned + ((mixed ^ (mixed >> 15)) % jnp.uint32(slots - owned)).astype(node.dtype)
        return jnp.where(node < owned, node, shared)

    def rows(self, params):
        """The function from nodes [P, G] to their logits [P, G, b]."""
        return lambda node: rows_at(params, self.slot(node))

    def sample(self, key, params, size):
        uniforms = jax.random.uniform(key, (self.depth, params.shape[0], size), params.dtype)
        return walk(self.rows(params), uniforms, self.branching)

    def log_prob(self, params, rollouts):
        node, action = path(rollouts, self.depth, self.branching)
        rows = rows_at(params, self.slot(node))
        return chosen(jax.nn.log_softmax(rows, axis=-1), action).sum(-1)

    def reward(self, rollouts):
        return (rollouts[..., None] == self.solutions[:, None, :]).any(-1).astype(self.logits.dtype)

    def policy_gradient(self, params, rollouts, weight):
        return self.ascend(jnp.zeros_like(params), params, rollouts, weight)

    def ascend(self, target, params, rollouts, weight):
        """`target` plus the gradient of sum(weight * log_prob) at `params`, touching only rows that were visited.

        With `target` = `params` it is a step of plain SGD whose cost does not depend on the size of the table.
        """
        node, action = path(rollouts, self.depth, self.branching)
        slot = self.slot(node)
        policy = jax.nn.softmax(rows_at(params, slot), axis=-1)
        step = jax.nn.one_hot(action, self.branching, dtype=policy.dtype) - policy
        return jax.vmap(lambda row, v, x: row.at[v].add(x))(target, slot, weight[..., None, None] * step)

    def success(self, params):
        mass = jnp.exp(self.log_prob(params, self.solutions))
        first = jnp.concatenate([jnp.ones_like(mass[:, :1], bool), jnp.diff(self.solutions, axis=-1) != 0], axis=-1)
        return jnp.where(first, mass, 0).sum(-1)

    def entropy(self, params):
        """Exact, level by level from the leaves; refused for trees too large to sweep."""
        check_shape(self.depth, self.branching)
        log_policy = jax.nn.log_softmax(params, axis=-1)
        below = jnp.zeros((params.shape[0], self.branching**self.depth), params.dtype)
        for l, start in reversed(list(enumerate(level_starts(self.depth, self.branching)))):
            rows = log_policy[:, self.slot(start + jnp.arange(self.branching**l))]
            below = (jnp.exp(rows) * (below.reshape(rows.shape) - rows)).sum(-1)
        return below[:, 0]


def make_hashed_tree(
    key,
    success,
    *,
    depth: int = 10,
    branching: int = 4,
    solutions: int = 32,
    slots: int = 4096,
    spread: float = 1.0,
) -> HashedTree:
    """A population of deep trees whose base policy solves prompt q with probability `success[q]`.

    Solutions are rollouts of the drawn policy, so they cluster below likely prefixes and differ in prior mass. The
    steps on their paths then gain one common logit per prompt, found by bisection, until success is as asked for.

    Args:
        key: jax random key.
        success: [P] probability that one rollout of the base policy is correct, each in (0, 1).
        depth, branching: shape of the trees; fewer than 2^31 leaves.
        solutions: S, correct leaves of each prompt (drawn with replacement).
        slots: rows in the table of each prompt, at least 2.
        spread: standard deviation of the drawn logits.

    Returns:
        The world.

    Raises:
        InputError: a tree without choices or solutions, or a success that no common logit can reach.
    """
    check_shape(depth, branching, most_leaves=2**31 - 1)
    success = check_success(success)
    if solutions < 1 or slots < 2:
        raise InputError(f"solutions must be at least 1 and slots at least 2, got {solutions} and {slots}")
    key_logits, key_solutions = jax.random.split(key)
    logits = spread * jax.random.normal(key_logits, (success.size, slots, branching))
    world = HashedTree(logits, jnp.zeros((success.size, 1), jnp.int32), depth)
    leaves = jnp.sort(world.sample(key_solutions, logits, solutions), axis=-1)
    world = replace(world, solutions=leaves)
    node, action = path(leaves, depth, branching)
    prompts = jnp.arange(success.size)[:, None, None]
    good = jnp.zeros_like(logits).at[prompts, world.slot(node), action].set(1.0)

    def raised(gain):
        return logits + gain[:, None, None] * good

    low, high = jnp.full(success.shape, -30.0), jnp.full(success.shape, 30.0)

    def halve(_, bounds):
        low, high = bounds
        middle = (low + high) / 2
        short = world.success(raised(middle)) < success
        return jnp.where(short, middle, low), jnp.where(short, high, middle)

    low, high = jax.lax.fori_loop(0, 40, halve, (low, high))
    world = replace(world, logits=raised((low + high) / 2))
    reached = world.success(world.logits)
    missed = jnp.abs(reached - success) > 1e-3 * jnp.minimum(success, 1 - success) + 1e-6
    if jax_ops().known(missed) and missed.any():
        worst = int(jnp.argmax(missed))
        raise InputError(
            f"success {float(success[worst]):g} is out of reach of these trees (nearest {float(reached[worst]):.3g}): "
            f"take more slots than {slots}, or fewer solutions than {solutions}"
        )
    return world
