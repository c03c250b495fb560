"""A weighted group: the one kind of input that every estimator is evaluated on.

Outcomes `rewards[..., n]` come with multiplicities `weight[..., n]`. Multiplicity 1 for each of G rollouts is the
group that trains a model; multiplicity 0 is padding of a ragged batch; outcomes (1, 0) with multiplicities
(K, G - K) are all groups with K correct at once, as numbers or as sympy symbols.
"""

import functools
from typing import Any, NamedTuple

import numpy as np

Array = Any  # numpy, jax, torch, or an object array of sympy expressions
VARIANCE = 0.25
"""Variance of the advantages before whitening where the theory needs a number: that of r - mean r at p = 1/2."""


class BatchStats(NamedTuple):
    """What an estimator may know of the other prompts of its step."""

    omega: Array
    """Mean reward over all trajectories, Eq. 11 of arXiv:2602.05548. Shape [] or broadcastable to [..., 1]."""
    omega_prompts: Array
    """Mean over prompts of the mean reward of each: what the released A-GRAE code calls omega."""
    token_mean: Array
    """Mean reward over all tokens (each trajectory counted with its length)."""
    token_square: Array
    """Sum of squared deviations from `token_mean` over all tokens."""
    tokens: Array
    """Number of tokens in the batch (of trajectories, if every length is 1)."""
    rollouts: Array
    """Number of trajectories."""
    square: Array
    """Sum of squared deviations from `omega` over all trajectories."""
    spread: tuple[Array, Array] | None = None
    """Mean over all tokens, and sum of squared deviations from it, of the advantages that reach a link which whitens
    them; None: those of the groups at hand are the batch."""
    rates: Array | None = None
    """[h] success rates of earlier groups, for links that weigh by their distribution; None: of the groups at hand."""


class Group(NamedTuple):
    """Rollouts of one prompt (last axis), or of many prompts at once (axes before it)."""

    rewards: Array
    """[..., n]"""
    weight: Array
    """[..., n] multiplicity; 0 is padding"""
    length: Array
    """[..., n] tokens in each trajectory"""
    size: Array
    """[..., 1] G, the sum of the multiplicities"""
    mean: Array
    """[..., 1] mean reward; with rewards 0 and 1 the success rate p"""
    centred: Array
    """[..., n] rewards - mean, exactly 0 in a group of equal rewards"""
    batch: "BatchStats | StatsOfGroups"
    logprob: Array | None = None
    """[..., n] mean log-probability of the tokens of each rollout under the policy that drew it, where it is known"""
    parts: tuple[tuple[Array, "Group"], ...] = ()
    """(weight, group) of each of several rewards a rollout was given; () where there is one"""


def make_group(
    op, rewards, weight=None, length=None, batch: "BatchStats | StatsOfGroups | None" = None, logprob=None, parts=()
) -> Group:
    """Build a group and settle what a group of equal rewards means.

    The mean is taken from the group's lowest reward upwards, so that equal rewards give deviations of exactly zero
    even when floats cannot hold them (three rewards of 0.1 have a naive standard deviation of 1.4e-17).

    Args:
        op: operations of the arrays' library (`ops_for`).
        rewards: [..., G].
        weight: [..., G] how often each rollout counts; 1 if not given, 0 for padding.
        length: [..., G] tokens of each rollout; equal lengths if not given.
        batch: statistics of the whole batch; default: of all the groups given.
        logprob: [..., G] log-probability of each rollout, for the estimators that need it.
        parts: rewards [..., G] of each part of a reward that is a sum.

    Returns:
        The group, which links read.
    """
    xp = op.xp
    weight = xp.ones_like(rewards) if weight is None else weight
    length = xp.ones_like(rewards) if length is None else length
    size = op.sum(weight)
    anchor = op.lowest(rewards, weight)
    above = rewards - anchor
    shift = op.div(op.sum(weight * above), size)
    mean, centred = anchor + shift, above - shift
    group = Group(rewards, weight, length, size, mean, centred, batch, logprob, parts)  # type: ignore[arg-type]
    return group if batch is not None else group._replace(batch=StatsOfGroups(op, group))


class StatsOfGroups:
    """`BatchStats` of the batch made of all the prompts of a `Group`; trajectories of weight 0 do not count.

    Each is worked out where a link asks for it: most links ask for none, and tracing what nobody uses takes time. None
    is kept, since under jax it may belong to one branch of a program only.
    """

    spread = rates = None

    def __init__(self, op, group: Group) -> None:
        self._op, self._group = op, group
        if getattr(op.xp, "__name__", "") == "jax.numpy":
            _known_to_jax()

    @property
    def omega(self) -> Array:
        return self._op.div((self._group.weight * self._group.rewards).sum(), self.rollouts)

    @property
    def omega_prompts(self) -> Array:
        return self._group.mean.mean()

    @property
    def token_mean(self) -> Array:
        return self._op.div((self._tokens * self._group.rewards).sum(), self.tokens)

    @property
    def token_square(self) -> Array:
        return (self._tokens * (self._group.rewards - self.token_mean) ** 2).sum()

    @property
    def tokens(self) -> Array:
        return self._tokens.sum()

    @property
    def rollouts(self) -> Array:
        return self._group.weight.sum()

    @property
    def square(self) -> Array:
        # from the lowest reward upwards, as in `make_group`, so that a batch of equal rewards has exactly 0
        op, rewards, weight = self._op, self._group.rewards, self._group.weight
        above = rewards - op.lowest(rewards.reshape(1, -1), weight.reshape(1, -1))
        above = above - op.div((weight * above).sum(), self.rollouts)
        return (weight * above**2).sum()

    @property
    def _tokens(self) -> Array:
        return self._group.weight * self._group.length

    def _replace(self, **changes) -> BatchStats:
        """All of them, with some replaced."""
        return BatchStats(*(getattr(self, name) for name in BatchStats._fields))._replace(**changes)


@functools.cache
def _known_to_jax() -> None:
    """A group may be an argument of a jax program: its statistics are worked out where it enters."""
    import jax

    def rebuilt(_: Any, values: Any) -> Any:
        return BatchStats(*values)

    jax.tree_util.register_pytree_node(StatsOfGroups, lambda stats: (tuple(stats._replace()), None), rebuilt)


def two_outcome_batch(op, correct, rollouts, variance=VARIANCE) -> BatchStats:
    """The batch of `rollouts` trajectories of one length and equal group sizes, `correct` of them with reward 1.

    Args:
        op: operations of the arrays' library (`ops_for`).
        correct: number of correct trajectories; may be a symbol.
        rollouts: number of trajectories.
        variance: of the advantages that a whitening link receives, which the number of correct ones leaves open.

    Returns:
        Statistics of the batch.
    """
    rate = op.div(correct, rollouts)
    square = rollouts * rate * (1 - rate)
    return BatchStats(rate, rate, rate, square, rollouts, rollouts, square, spread=(0 * rollouts, rollouts * variance))


def two_outcome_group(op, correct, size, batch: BatchStats) -> Group:
    """All groups with `correct[...]` rewards of 1 among `size`, as two weighted outcomes: shapes [..., 2].

    The class without members keeps weight 0, so that its advantage is never used.

    Args:
        op: operations of the arrays' library (`ops_for`).
        correct: [...] numbers of correct rollouts.
        size: [...] rollouts of each group.
        batch: statistics of the batch.

    Returns:
        The groups; the first outcome is the correct one.
    """
    xp = op.xp
    weight = xp.stack([correct, size - correct], axis=-1)
    rewards = xp.broadcast_to(xp.asarray(np.array([1, 0]), dtype=weight.dtype), weight.shape)
    return make_group(op, rewards, weight, batch=batch)
