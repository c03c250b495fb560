"""The bandit world: softmax policies over N whole trajectories per prompt (the behaviour space of Theorem 1).

Trajectories are ordered so that the correct ones come first, which makes the verifier a comparison and the success
probability a prefix sum. Prompts have logits of their own, or logits h0 + phi W from features with one shared W,
in which case training on some prompts moves all others.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from ..errors import InputError
from ..estimators.group import Array
from ..ops import jax_ops
from .base import LogitWorld
from .registry import register

BLOCK, LARGE_BLOCK, MANY = 16, 32, 512  # trajectories per block of the two-level inverse CDF; the larger for many


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Bandit(LogitWorld):
    """P prompts with N trajectories each. Parameters are logits [P, N], or the shared W [m] if it has features."""

    logits: Array
    """[P, N] logits of the base policy; trajectory j is correct iff j < n_correct."""
    n_correct: Array
    """[P] number of correct trajectories of each prompt"""
    features: Array | None = None
    """[P, N, m] features phi of each trajectory, or None for independent prompts"""
    length: Array | None = None
    """[P, N] tokens of each trajectory, or None where lengths do not matter"""

    def policy(self, params):
        """Probability of every trajectory, [P, N]: the enumeration of this world."""
        return jax.nn.softmax(self.policy_logits(params), axis=-1)

    def sample(self, key, params, size):
        logits = self.policy_logits(params)
        uniforms = jax.random.uniform(key, (*logits.shape[:-1], size), logits.dtype)
        return draw(jnp.exp(logits - logits.max(-1, keepdims=True)), uniforms)

    def log_prob(self, params, rollouts):
        log_policy = jax.nn.log_softmax(self.policy_logits(params), axis=-1)
        return jnp.take_along_axis(log_policy, rollouts, axis=-1)

    def reward(self, rollouts):
        return (rollouts < self.n_correct[:, None]).astype(self.logits.dtype)

    def rollout_length(self, rollouts):
        """Tokens of each rollout, [P, size]."""
        if self.length is None:
            raise InputError("this bandit has no lengths; `make_bandit(..., lengths=(correct, wrong))` gives them")
        return jnp.take_along_axis(self.length, rollouts, axis=-1)

    def policy_gradient(self, params, rollouts, weight):
        """Theorem 1 with multiplicities: sum of weights of each trajectory minus C pi (Eq. 24-29)."""
        policy = self.policy(params)
        pull = -weight.sum(-1, keepdims=True) * policy
        # mapped over prompts, so that a compiler that divides them among devices sees that they share nothing
        return self.pull_back(jax.vmap(lambda row, j, w: row.at[j].add(w))(pull, rollouts, weight))

    @property
    def correct(self):
        """[P, N] True for correct trajectories."""
        return jnp.arange(self.logits.shape[-1]) < self.n_correct[:, None]

    def success(self, params):
        return jnp.where(self.correct, self.policy(params), 0).sum(-1)

    def success_gradient(self, params, slopes):
        """Gradient of sum(slopes * success), `slopes[P]` fixed: pi_j (1[j correct] - P) for each trajectory."""
        from_mean = self.correct - self.success(params)[:, None]
        return self.pull_back(slopes[:, None] * self.policy(params) * from_mean)

    def entropy(self, params):
        logits = self.policy_logits(params)
        below = logits - jax.lax.stop_gradient(logits.max(-1, keepdims=True))
        weight = jnp.exp(below)  # as in the softmax, so that a program that needs both computes it once
        total = weight.sum(-1)
        # as a product, since XLA's sum of products takes three times as long
        surprise = jnp.matmul(weight * below, jnp.ones(weight.shape[-1], weight.dtype), precision="highest")
        return jnp.log(total) - surprise / total

    def greedy(self, params):
        """[P] whether the most likely trajectory is correct."""
        return self.policy(params).argmax(-1) < self.n_correct

    def rare_coverage(self, params, draws=256):
        """Chance that a rare correct trajectory turns up in `draws` rollouts, mean over the rare ones, [P].

        The rare ones are the less likely half of the correct trajectories under the base policy.
        """
        index = jnp.arange(self.logits.shape[-1])
        rare = (index >= self.n_correct[:, None] // 2) & self.correct
        seen = -jnp.expm1(draws * jnp.log1p(-jnp.minimum(self.policy(params), 1 - 1e-6)))
        return jnp.where(rare, seen, 0).sum(-1) / rare.sum(-1)


def draw(weights, uniforms):
    """Indices with chances proportional to `weights[..., N]` from `uniforms[..., G]`, by an inverse CDF in two levels.

    Prefix sums inside blocks and of block totals are products with a triangle of ones, and a draw looks only at the
    block it falls into: G (N / block + block) comparisons in place of G N, and no sequential cumulative sum. Where
    blocks are many and draws few, prefix sums are taken only inside the blocks that are drawn.
    """
    *batch, n = weights.shape
    size = BLOCK if n <= MANY else LARGE_BLOCK
    blocks = jnp.pad(weights, [(0, 0)] * len(batch) + [(0, -n % size)])
    blocks = blocks.reshape(*batch, -1, size)
    few = blocks.shape[-2] >= 4 * uniforms.shape[-1]
    within = blocks if few else prefix_sums(blocks)
    totals = blocks.sum(-1) if few else within[..., -1]
    above = prefix_sums(totals)
    target = uniforms * above[..., -1:]
    block = (target[..., None] >= above[..., None, :-1]).sum(-1, dtype=jnp.int32)
    rest = target - jnp.take_along_axis(above - totals, block, axis=-1, mode="promise_in_bounds")
    rows = jnp.take_along_axis(within, block[..., None], axis=-2, mode="promise_in_bounds")
    rows = prefix_sums(rows) if few else rows
    inside = (rest[..., None] >= rows[..., :-1]).sum(-1, dtype=jnp.int32)
    return jnp.minimum(block * size + inside, n - 1)


def prefix_sums(x):
    """Along the last axis, as a product with a triangle, in full precision: a GPU's products have less by default."""
    return jnp.matmul(x, jnp.triu(jnp.ones((x.shape[-1],) * 2, x.dtype)), precision="highest")


def make_bandit(
    key,
    success,
    *,
    trajectories: int = 256,
    correct: int = 20,
    zipf_correct: float = 1.8,
    zipf_wrong: float = 1.5,
    overconfidence: float = 0.0,
    features: int = 0,
    feature_noise: float = 0.5,
    lengths: tuple[float, float] | None = None,
) -> Bandit:
    """A population of prompts whose base policy solves prompt q with probability `success[q]`.

    Args:
        key: jax random key for the features; unused without them.
        success: [P] probability that one rollout of the base policy is correct, each in (0, 1).
        trajectories: N, trajectories per prompt.
        correct: how many of them are correct.
        zipf_correct, zipf_wrong: within a class the j-th trajectory has mass proportional to j to minus this power;
            the larger, the fewer common trajectories and the more rare ones.
        overconfidence: share of the wrong mass that sits on one wrong trajectory in addition, in [0, 1).
        features: m, dimension of the shared parameters; 0 for independent logits.
        feature_noise: standard deviation of the part of correctness that the features do not show. The correct
            trajectories of a prompt are those with the largest phi . w + feature_noise * N(0, 1), for one unit
            vector w common to all prompts: at 0 a shared W can solve every prompt, with noise it must err on some.
        lengths: mean tokens of correct and of wrong trajectories, each class spread evenly over half to one and a half
            times its mean; None for trajectories without lengths.

    Returns:
        The world.

    Raises:
        InputError: a success probability outside (0, 1), or no room for correct and wrong trajectories.

    >>> import jax
    >>> world = make_bandit(jax.random.key(0), [0.1, 0.9], trajectories=8, correct=2)
    >>> [round(p, 3) for p in world.success(world.init()).tolist()]
    [0.1, 0.9]
    """
    success = jnp.asarray(success, float)
    if success.ndim != 1 or (jax_ops().known(success) and not ((success > 0) & (success < 1)).all()):
        raise InputError(f"success must be probabilities in (0, 1), one for each prompt, got {success}")
    if not 1 <= correct < trajectories:
        raise InputError(f"correct must be between 1 and trajectories - 1 = {trajectories - 1}, got {correct}")
    if not 0 <= overconfidence < 1:
        raise InputError(f"overconfidence must be in [0, 1), got {overconfidence}")
    right = _zipf(correct, zipf_correct)
    wrong = (1 - overconfidence) * _zipf(trajectories - correct, zipf_wrong)
    wrong = wrong.at[0].add(overconfidence)
    logits = jnp.concatenate(
        [jnp.log(success)[:, None] + jnp.log(right), jnp.log1p(-success)[:, None] + jnp.log(wrong)], axis=-1
    )
    counts = jnp.full(success.shape, correct)
    tokens = None if lengths is None else _lengths(lengths, correct, success.size, trajectories)
    phi = _features(key, success.size, trajectories, correct, features, feature_noise) if features else None
    return Bandit(logits, counts, phi, tokens)


register("bandit", make_bandit, trajectories=64, correct=8)


def _lengths(means, correct, prompts, trajectories):
    """[P, N] tokens; the golden ratio spreads them without a draw and without order."""
    if len(means) != 2 or min(means) <= 0:
        raise InputError(f"lengths must be the mean tokens of correct and of wrong trajectories, got {means}")
    place = jnp.arange(trajectories)
    spread = 0.5 + (place * (jnp.sqrt(5.0) - 1) / 2) % 1
    return jnp.broadcast_to(jnp.where(place < correct, *means) * spread, (prompts, trajectories))


def _zipf(size, power):
    mass = jnp.arange(1.0, size + 1) ** -power
    return mass / mass.sum()


def _features(key, prompts, trajectories, correct, dimension, noise):
    """[P, N, m] standard normal features, the correct trajectories of each prompt being those of highest score."""
    key_phi, key_noise, key_order = jax.random.split(key, 3)
    phi = jax.random.normal(key_phi, (prompts, trajectories, dimension))
    score = phi.sum(-1) / jnp.sqrt(dimension) + noise * jax.random.normal(key_noise, (prompts, trajectories))
    rank = jnp.argsort(jnp.argsort(-score, axis=-1), axis=-1)
    # correct trajectories first, in random order within each class, so that base mass and features are independent
    order = jnp.argsort((rank >= correct) + jax.random.uniform(key_order, rank.shape) / 2, axis=-1)
    return jnp.take_along_axis(phi, order[..., None], axis=1)
