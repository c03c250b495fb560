"""The tree world: reasoning as a path from the root to a leaf, one softmax per node.

A trajectory is a leaf of a b-ary tree of depth d, numbered 0 .. b^d - 1, so that its prefix after l steps is
`leaf // b^(d - l)`. Nodes are numbered level by level from the root, and node v at level l with prefix s has the
children s b, ..., s b + b - 1 one level below. Trajectories share prefixes and therefore parameters: here a rollout
moves the log-probability of leaves that were never sampled, which Theorem 1 of arXiv:2602.05548 excludes.

What depends on the whole tree (success, entropy, reach, the expected update) is a dynamic programme over its levels.
"""

import math
from dataclasses import dataclass, replace
from functools import partial, reduce
from itertools import accumulate

import jax
import jax.numpy as jnp

from ..errors import InputError
from ..estimators.group import Array
from ..ops import jax_ops
from .bandit import prefix_sums
from .base import LogitWorld
from .registry import register

MOST_LEAVES = 2**16
ABSENT = -1e9  # logit of a child that does not exist: probability exactly 0, and 0 * log 0 stays finite
_DRAWN = ("children", "mistakes", "logits", "decoys", "tokens", "format", "features")
REWARD_FORMAT = 0.9  # of the graded reward 0.1 accuracy + 0.9 format


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Tree(LogitWorld):
    """P prompts with a tree each. Parameters are logits [P, nodes, b], or the shared W [m] if it has features."""

    logits: Array
    """[P, nodes, b] logits of the base policy"""
    correct: Array
    """[P, leaves] True for correct leaves"""
    length: Array
    """[P, leaves] tokens on the path to each leaf"""
    formatted: Array | None = None
    """[P, leaves] True for leaves in the right format (graded reward), or None for the binary reward"""
    features: Array | None = None
    """[P, nodes, b, m] features phi of each step, or None for independent prompts"""

    @property
    def branching(self) -> int:
        return self.logits.shape[-1]

    @property
    def depth(self) -> int:
        return depth_of(self.correct.shape[-1], self.branching)

    def rows(self, params):
        """The function from nodes [P, G] to their logits [P, G, b]."""
        logits = self.policy_logits(params)
        return lambda node: rows_at(logits, node)

    def sample(self, key, params, size):
        uniforms = jax.random.uniform(key, (self.depth, self.logits.shape[0], size), self.logits.dtype)
        return walk(self.rows(params), uniforms, self.branching)

    def log_prob(self, params, rollouts):
        node, action = path(rollouts, self.depth, self.branching)
        rows = rows_at(self.policy_logits(params), node)
        return chosen(jax.nn.log_softmax(rows, axis=-1), action).sum(-1)

    def reward(self, rollouts):
        """1 if correct; with formats 0.1 accuracy + 0.9 format, where an answer out of format cannot be read."""
        correct = jnp.take_along_axis(self.correct, rollouts, axis=-1)
        rewards = correct.astype(self.logits.dtype)
        if self.formatted is None:
            return rewards
        formatted = jnp.take_along_axis(self.formatted, rollouts, axis=-1)
        return jnp.where(formatted, jnp.where(correct, 1.0, REWARD_FORMAT), 0.0).astype(rewards.dtype)

    def rollout_length(self, rollouts):
        """Tokens of each rollout, [P, size]."""
        return jnp.take_along_axis(self.length, rollouts, axis=-1)

    def policy_gradient(self, params, rollouts, weight):
        return self.step_gradient(params, rollouts, jnp.repeat(weight[..., None], self.depth, axis=-1))

    def step_gradient(self, params, rollouts, weight):
        """Gradient of sum(weight * log pi(step)) with a weight for each step of each rollout, `weight[P, size, d]`."""
        logits, b = self.policy_logits(params), self.branching
        width = jnp.asarray(b, rollouts.dtype)

        def level(carry, weight):
            below, gradient = carry
            node, action = jax.lax.div(below - 1, width), jax.lax.rem(below - 1, width)
            pi = choice_weights(rows_at(logits, node))
            pi = pi / reduce(jnp.add, columns(pi))[..., None]
            change = weight[..., None] * (jax.nn.one_hot(action, b, dtype=pi.dtype) - pi)
            # mapped over prompts, so that a compiler that divides them among devices sees that they share nothing
            return (node, jax.vmap(lambda rows, v, x: rows.at[v].add(x))(gradient, node, change)), None

        # from the leaves to the root
        last = rollouts + first_leaf(self.depth, b)
        start = (last, jnp.zeros_like(self.logits))
        (_, gradient), _ = jax.lax.scan(level, start, jnp.moveaxis(weight, -1, 0), reverse=True)
        return self.pull_back(gradient)

    def enumerate(self, params):
        """Log-probability of every leaf, [P, leaves]."""
        log_policy = jax.nn.log_softmax(self.policy_logits(params), axis=-1)
        total = jnp.zeros((log_policy.shape[0], 1), log_policy.dtype)
        for level in self.levels(log_policy):
            total = (total[..., None] + level).reshape(total.shape[0], -1)
        return total

    def policy(self, params):
        """Probability of every leaf, [P, leaves]."""
        return jnp.exp(self.enumerate(params))

    def levels(self, nodes):
        """[P, nodes, b] as a list over levels of [P, b^l, b]."""
        starts = level_starts(self.depth, self.branching)
        return [nodes[:, start : start + self.branching**l] for l, start in enumerate(starts)]

    def values(self, params, leaf_values=None):
        """Expected leaf value below every node, a list over levels 0..d of [P, b^l]; default: chance of success."""
        policy = jax.nn.softmax(self.policy_logits(params), axis=-1)
        value = self.correct.astype(policy.dtype) if leaf_values is None else leaf_values
        values = [value]
        for level in reversed(self.levels(policy)):
            values.append((level * values[-1].reshape(level.shape)).sum(-1))
        return values[::-1]

    def reach(self, params):
        """Probability that a rollout passes each node, a list over levels 0..d of [P, b^l]."""
        policy = jax.nn.softmax(self.policy_logits(params), axis=-1)
        reach = [jnp.ones((policy.shape[0], 1), policy.dtype)]
        for level in self.levels(policy):
            reach.append((reach[-1][..., None] * level).reshape(level.shape[0], -1))
        return reach

    def success(self, params):
        return self.values(params)[0][:, 0]

    def entropy(self, params):
        """By the chain rule: the entropy of a node's choice plus the expected entropy below."""
        log_policy = jax.nn.log_softmax(self.policy_logits(params), axis=-1)
        below = jnp.zeros_like(self.correct, log_policy.dtype)
        for level in reversed(self.levels(log_policy)):
            below = (jnp.exp(level) * (below.reshape(level.shape) - level)).sum(-1)
        return below[:, 0]

    def success_gradient(self, params, slopes, leaf_values=None):
        """Gradient of sum(slopes * P), `slopes[P]` fixed: reach(v) pi(a | v) (V(child) - V(v)) for each step.

        With slopes F'_G(P_q) it is the expected policy gradient of a group-relative update. One sweep up for the
        values, one down for the visits; the policy gradient theorem on a tree.
        """
        policy = self.levels(jax.nn.softmax(self.policy_logits(params), axis=-1))
        values, reach = self.values(params, leaf_values), self.reach(params)
        steps = [
            reach[l][..., None] * policy[l] * (values[l + 1].reshape(policy[l].shape) - values[l][..., None])
            for l in range(self.depth)
        ]
        return self.pull_back(slopes[:, None, None] * jnp.concatenate(steps, axis=1))

    def greedy(self, params):
        """[P] whether the most likely leaf is correct."""
        best = self.enumerate(params).argmax(-1)
        return jnp.take_along_axis(self.correct, best[:, None], axis=-1)[:, 0]

    def rare(self):
        """[P, leaves] True for the less likely half of the correct leaves under the base policy (at least one)."""
        mass = jnp.where(self.correct, self.enumerate(self.init()), -jnp.inf)
        rank = jnp.argsort(jnp.argsort(-mass, axis=-1), axis=-1)
        return self.correct & (rank >= self.correct.sum(-1, keepdims=True) // 2)

    def rare_coverage(self, params, draws=256):
        """Chance that a rare correct leaf turns up in `draws` rollouts, mean over the rare ones, [P]."""
        return self.coverage(params, self.rare(), draws)

    def coverage(self, params, leaves, draws=256):
        """Chance that a leaf of the set `leaves[P, leaves]` turns up in `draws` rollouts, mean over the set, [P]."""
        mass = jnp.minimum(jnp.exp(self.enumerate(params)), 1 - 1e-6)
        seen = -jnp.expm1(draws * jnp.log1p(-mass))
        return jnp.where(leaves, seen, 0).sum(-1) / leaves.sum(-1)


def depth_of(leaves: int, branching: int) -> int:
    depth = 0
    while branching**depth < leaves:
        depth += 1
    return depth


def level_starts(depth: int, branching: int) -> list[int]:
    """Number of the first node of each level 0..depth - 1."""
    return [(branching**l - 1) // (branching - 1) for l in range(depth)]


def path(leaves, depth: int, branching: int):
    """Nodes and actions on the way to `leaves[...]`: two arrays [..., depth]."""
    below = jnp.asarray([branching ** (depth - 1 - l) for l in range(depth)], leaves.dtype)
    step = leaves[..., None] // below
    return jnp.asarray(level_starts(depth, branching), leaves.dtype) + step // branching, step % branching


def rows_at(table, node):
    """Rows of `table[P, nodes, b]` at `node[P, ...]`: [P, ..., b].

    Mapped over prompts, so that a compiler that divides them among devices sees that they share nothing.
    """
    return jax.vmap(lambda rows, v: rows[v])(table, node)


def walk(rows, uniforms, branching: int, forced=None):
    """Leaves reached by inverse CDF from `uniforms[d, P, G]`, where `rows(node)` gives the logits [P, G, b].

    `forced[d, P, G]` holds actions to take where they are not negative: how a rollout continues a given prefix.
    """

    def level(node, step):
        uniform, forced = step
        action = draw(choice_weights(rows(node)), uniform)
        if forced is not None:
            action = jnp.where(forced >= 0, forced, action)
        return node * branching + 1 + action, None

    root = jnp.zeros(uniforms.shape[1:], jnp.int32)
    # a loop, though its length is known: XLA would compute the levels above anew in each level below
    node, _ = jax.lax.scan(level, root, (uniforms, forced))
    return node - first_leaf(uniforms.shape[0], branching)


def first_leaf(depth: int, branching: int) -> int:
    """Number of the first leaf, where leaves go on the count of nodes: node v has the children b v + 1 to b v + b."""
    return (branching**depth - 1) // (branching - 1)


def columns(rows):
    """`rows[..., b]` as a list of b arrays [...]: XLA is slow at reductions over an axis of so few."""
    return [rows[..., j] for j in range(rows.shape[-1])]


def choice_weights(rows):
    """Softmax of `rows[..., b]` before it is normalised."""
    return jnp.exp(rows - reduce(jnp.maximum, columns(rows))[..., None])


def draw(weights, uniforms):
    """Action with chances proportional to `weights[..., b]` for each of `uniforms[...]` in [0, 1); never one of 0."""
    # of more than two as a product, which XLA computes once: it would sum anew for each comparison
    two = weights.shape[-1] == 2
    cumulative = list(accumulate(columns(weights))) if two else columns(prefix_sums(weights))
    target = uniforms * cumulative[-1]
    return reduce(jnp.add, [(target >= total).astype(jnp.int32) for total in cumulative])


def chosen(rows, action):
    return jnp.take_along_axis(rows, action[..., None], axis=-1)[..., 0]


def check_shape(depth: int, branching: int, most_leaves: int = MOST_LEAVES) -> None:
    """Refuse a tree that has no choices or too many leaves."""
    if branching < 2:
        raise InputError(f"branching must be at least 2, got {branching}: a tree without choices has nothing to learn")
    if depth < 1:
        raise InputError(f"depth must be at least 1, got {depth}")
    if depth * math.log2(branching) > math.log2(most_leaves) + 1e-9:
        raise InputError(
            f"depth and branching must leave at most {most_leaves} leaves to enumerate, got {branching}^{depth}; "
            "make_hashed_tree samples deeper trees without enumerating them"
        )


def check_success(success) -> Array:
    """`success` as an array of probabilities [P]; raises `InputError` otherwise."""
    success = jnp.asarray(success, float)
    if success.ndim != 1 or (jax_ops().known(success) and not ((success > 0) & (success < 1)).all()):
        raise InputError(f"success must be probabilities in (0, 1), one for each prompt, got {success}")
    return success


def make_tree(
    key,
    success,
    *,
    depth: int = 4,
    branching: int = 4,
    density: float = 0.1,
    mistakes: tuple[int, int] | None = None,
    spread: float = 1.0,
    decoys: float = 0.0,
    decoy_pull: float = 2.0,
    ragged: bool = False,
    tokens: tuple[int, int] = (1, 1),
    formatted: float | None = None,
    features: int = 0,
    feature_signal: float = 1.0,
) -> Tree:
    """A population of prompts whose base policy solves prompt q with probability `success[q]`.

    A leaf is correct iff no step on its path is a mistake. The logits are drawn at random, and their distribution
    over leaves is then tilted between correct and wrong until the success is the one asked for, which leaves the
    ratios within each class as they were drawn: several solutions, of different prior mass.

    Args:
        key: jax random key.
        success: [P] probability that one rollout of the base policy is correct, each in (0, 1).
        depth: d, steps in a trajectory.
        branching: b, choices at each step.
        density: expected fraction of correct leaves, in (0, 1). One path is planted free of mistakes, so that small
            trees hold somewhat more; and at least one leaf is wrong.
        mistakes: (first, last) step, counted from 1, at which the first irrecoverable mistake can happen; default
            anywhere. Early mistakes cut large branches, late ones leave wrong leaves beside correct ones.
        spread: standard deviation of the drawn logits; the larger, the more unequal the solutions.
        decoys: share of the first mistakes that look good: their logit gains `decoy_pull`, and all below is wrong.
        decoy_pull: see `decoys`, in nats.
        ragged: a random tree, each node but the root having 1 to b children with equal chances.
        tokens: (fewest, most) tokens in a step, drawn uniformly.
        formatted: fraction of the wrong leaves in the right format, in [0, 1], which turns the graded reward on
            (0.1 accuracy + 0.9 format; correct leaves are in format); None for the binary reward.
        features: m, dimension of the shared parameters; 0 for independent logits.
        feature_signal: distance between the feature means of steps that keep a solution within reach and those
            that lose it, in standard deviations, along one direction common to all prompts.

    Returns:
        The world.

    Raises:
        InputError: a tree without choices, without a correct leaf, without a wrong one, or too large to enumerate.

    >>> world = make_tree(jax.random.key(0), [0.1, 0.9], depth=3, branching=2, density=0.3)
    >>> [round(p, 3) for p in world.success(world.init()).tolist()]
    [0.1, 0.9]
    """
    check_shape(depth, branching)
    success = check_success(success)
    mistakes = (1, depth) if mistakes is None else mistakes
    if not 0 < density < 1:
        kind = "correct" if density <= 0 else "wrong"
        raise InputError(f"density must be in (0, 1), got {density}: a tree without a {kind} leaf teaches nothing")
    if not 1 <= mistakes[0] <= mistakes[1] <= depth:
        raise InputError(f"mistakes must be steps (first, last) between 1 and depth = {depth}, got {mistakes}")
    if not 1 <= tokens[0] <= tokens[1]:
        raise InputError(f"tokens must be (fewest, most) with 1 <= fewest <= most, got {tokens}")
    for name, share in (("decoys", decoys), ("formatted", 0 if formatted is None else formatted)):
        if not 0 <= share <= 1:
            raise InputError(f"{name} must be in [0, 1], got {share}")
    return _build(
        key,
        success,
        spread,
        decoys,
        decoy_pull,
        0.0 if formatted is None else formatted,
        feature_signal,
        shape=(success.size, (branching**depth - 1) // (branching - 1), branching),
        rate=1 - density ** (1 / (mistakes[1] - mistakes[0] + 1)),
        mistakes=mistakes,
        ragged=ragged,
        tokens=tokens,
        graded=formatted is not None,
        features=features,
    )


register("tree", make_tree, depth=4, branching=4, density=0.1)


@partial(jax.jit, static_argnames=("shape", "rate", "mistakes", "ragged", "tokens", "graded", "features"))
def _build(
    key,
    success,
    spread,
    decoys,
    decoy_pull,
    formatted,
    feature_signal,
    *,
    shape,
    rate,
    mistakes,
    ragged,
    tokens,
    graded,
    features,
) -> Tree:
    """The tree of `make_tree` from checked arguments; `shape` is that of the logits."""
    keys = dict(zip(_DRAWN, jax.random.split(key, len(_DRAWN)), strict=True))
    exists = _children(keys["children"], shape, ragged)
    blank = Tree(
        jnp.where(exists, 0.0, ABSENT), jnp.ones((shape[0], shape[1] * (shape[2] - 1) + 1), bool), jnp.ones((1, 1))
    )
    correct = _correct_leaves(keys["mistakes"], blank, exists, rate, mistakes)
    good = _keeps_a_solution(replace(blank, correct=correct))
    pull = decoy_pull * (jax.random.bernoulli(keys["decoys"], decoys, shape) & _first_mistake(blank, good))
    logits = jnp.where(exists, spread * jax.random.normal(keys["logits"], shape) + pull, ABSENT)
    steps = jax.random.randint(keys["tokens"], shape, tokens[0], tokens[1] + 1)
    in_format = None
    if graded:
        in_format = correct | jax.random.bernoulli(keys["format"], formatted, correct.shape)
    phi = None
    if features:
        towards = jnp.full(features, 1 / jnp.sqrt(features))
        phi = jax.random.normal(keys["features"], (*shape, features)) + feature_signal * good[..., None] * towards
    world = Tree(logits, correct, _sum_along_paths(blank, steps), in_format)
    return replace(world, logits=_tilt(world, success), features=phi)


def _children(key, shape, ragged):
    """[P, nodes, b] which children exist."""
    if not ragged:
        return jnp.ones(shape, bool)
    count = jax.random.randint(key, shape[:2], 1, shape[2] + 1).at[:, 0].set(shape[2])
    return jnp.arange(shape[2]) < count[..., None]


def _correct_leaves(key, blank, exists, rate, mistakes):
    """[P, leaves]: the existing leaves without a mistake on their path, one planted and one wrong leaf assured."""
    key_draw, key_plant = jax.random.split(key)
    first, last = mistakes
    wrong = jax.random.bernoulli(key_draw, rate, blank.logits.shape)
    at_step = jnp.concatenate([jnp.full(b.shape[1], l + 1) for l, b in enumerate(blank.levels(blank.logits))])
    wrong = wrong & ((at_step >= first) & (at_step <= last))[:, None]
    planted = blank.sample(key_plant, blank.logits, 1)[:, 0]
    prompts = jnp.arange(exists.shape[0])
    node, action = path(planted, blank.depth, blank.branching)
    wrong = wrong.at[prompts[:, None], node, action].set(False)
    present = _all_along_paths(blank, exists)
    correct = _all_along_paths(blank, ~wrong) & present
    # the root has all its children: below another one than the planted path's there are leaves that can be spoilt
    other = (action[:, :1] + 1) % blank.branching * (correct.shape[1] // blank.branching)
    spoilt = correct.at[prompts[:, None], other + jnp.arange(blank.branching ** (blank.depth - last))].set(False)
    return jnp.where((correct | ~present).all(-1, keepdims=True), spoilt, correct)


def _sum_along_paths(tree, steps):
    total = jnp.zeros((steps.shape[0], 1), steps.dtype)
    for level in tree.levels(steps):
        total = (total[..., None] + level).reshape(total.shape[0], -1)
    return total


def _all_along_paths(tree, steps):
    return _sum_along_paths(tree, (~steps).astype(int)) == 0


def _keeps_a_solution(tree):
    """[P, nodes, b] whether a correct leaf lies below the child."""
    below, levels = tree.correct, []
    for l in reversed(range(tree.depth)):
        levels.append(below.reshape(below.shape[0], tree.branching**l, tree.branching))
        below = levels[-1].any(-1)
    return jnp.concatenate(levels[::-1], axis=1)


def _first_mistake(tree, good):
    """[P, nodes, b] whether the step leaves a node from which a solution was in reach for one from which none is."""
    return ~good & good.any(-1, keepdims=True)


def _tilt(world, success):
    """Logits under which the odds of success are those asked for and the ratios within each class are kept.

    The leaf distribution pi exp(t correct) / Z is a tree policy again: every logit gains the logarithm of the
    partition sum below its child, and t = logit(success) - logit(P).
    """
    t = jax.scipy.special.logit(success) - _log_odds(world)
    log_policy = world.levels(jax.nn.log_softmax(world.logits, axis=-1))
    below, tilted = t[:, None] * world.correct, []
    for level in reversed(log_policy):
        tilted.append(level + below.reshape(level.shape))
        below = jax.nn.logsumexp(tilted[-1], axis=-1)
    return jnp.concatenate(tilted[::-1], axis=1)


def _log_odds(world):
    """log P / (1 - P) of the base policy, without cancellation where P is near 0 or 1, [P]."""
    mass = world.enumerate(world.logits)
    right = jax.nn.logsumexp(jnp.where(world.correct, mass, -jnp.inf), axis=-1)
    return right - jax.nn.logsumexp(jnp.where(world.correct, -jnp.inf, mass), axis=-1)
