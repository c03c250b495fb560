"""Theorem 1 of arXiv:2602.05548, with multiplicities: how one step moves a policy with a logit for each behaviour."""

import jax.numpy as jnp

from ..estimators.group import Array


def pull_of(drawn: Array, advantages: Array, behaviours: int) -> Array:
    """n_b A_b, the sum of the advantages of the draws of each behaviour.

    Args:
        drawn: [..., P, G] index of the behaviour of each rollout.
        advantages: [..., P, G].
        behaviours: N, how many behaviours there are.

    Returns:
        [..., P, N].

    >>> pull_of(jnp.array([[0, 0, 2]]), jnp.array([[1.0, 1.0, -2.0]]), 3).tolist()
    [[2.0, 0.0, -2.0]]
    """
    return jnp.zeros((*drawn.shape[:-1], behaviours)).at[(*jnp.indices(drawn.shape)[:-1], drawn)].add(advantages)


def logit_change(policy: Array, pull: Array) -> Array:
    """Change of the logits for a unit step on sum A log pi: n_b A_b - C pi_b with C = sum A (Eq. 24-29).

    Args:
        policy: [..., N] probability of each behaviour, numpy or jax.
        pull: [..., N] sum of the advantages of its draws; see `pull_of`.

    Returns:
        [..., N], per unit of the learning rate on the sum over the group.

    >>> logit_change(jnp.array([0.5, 0.5]), jnp.array([1.0, 0.0])).tolist()
    [0.5, -0.5]
    """
    return pull - pull.sum(-1, keepdims=True) * policy


def log_prob_change(policy: Array, pull: Array) -> Array:
    """First-order change of log pi in the same step: d logit_b - sum_c pi_c d logit_c.

    Args:
        policy: [..., N] probabilities.
        pull: [..., N] sums of advantages of each trajectory (`pull_of`).

    Returns:
        [..., N] change of log pi for a step size of 1.

    >>> log_prob_change(jnp.array([[0.5, 0.25, 0.25]]), jnp.array([[1.0, -1.0, 0.0]])).tolist()
    [[0.75, -1.25, -0.25]]
    """
    logits = logit_change(policy, pull)
    return logits - (policy * logits).sum(-1, keepdims=True)
