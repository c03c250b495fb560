"""The policy loss that trainers minimise: clipped ratio, k3 KL, and the rules that aggregate tokens.

`tests/transformer/test_loss.py` compares it with the losses and gradients of TRL, verl, OpenRLHF and three others.
"""

from typing import Literal, get_args

import jax.numpy as jnp

from ..dynamics import sampled
from ..errors import no_such
from ..estimators.group import Array

Aggregation = Literal[sampled.Aggregation, "dr-grpo"]


def token_weights(mask: Array, aggregation: Aggregation, longest: int | None = None) -> Array:
    """Weight of each token, [B, T], in a loss that is the weighted sum over tokens; `mask[B, T]` marks real ones.

    - token-mean: every token of the batch counts the same (DAPO; verl's and OpenRLHF's default).
    - sequence-mean: the mean over rollouts of the mean over tokens (Eq. 1 of arXiv:2602.05548).
    - sequence-sum: the mean over rollouts of the sum over tokens.
    - dr-grpo: the same divided by the longest completion allowed, `longest` (T if not given).

    Rollouts without a token do not count.

    Args:
        mask: [B, T] 1 for real tokens.
        aggregation: one of the above.
        longest: completion allowed, for dr-grpo; T if not given.

    Returns:
        [B, T] weights.

    Raises:
        InputError: an unknown aggregation.

    >>> token_weights(jnp.array([[1.0, 1.0], [1.0, 0.0]]), "sequence-mean").tolist()
    [[0.25, 0.25], [0.5, 0.0]]
    """
    if aggregation not in get_args(Aggregation):
        raise no_such("aggregation", aggregation, get_args(Aggregation))
    if aggregation == "token-mean":
        return mask / jnp.maximum(mask.sum(), 1)
    tokens = mask.sum(-1, keepdims=True)
    each = mask / jnp.maximum((tokens > 0).sum(), 1)
    if aggregation == "sequence-mean":
        return each / jnp.maximum(tokens, 1)
    return each / (1 if aggregation == "sequence-sum" else longest or mask.shape[-1])


def policy_loss(
    log_prob: Array,
    old_log_prob: Array,
    advantage: Array,
    weight: Array,
    *,
    clip_low: float = 0.2,
    clip_high: float = 0.2,
    dual_clip: float | None = None,
    reference: Array | None = None,
    kl: float = 0.0,
) -> Array:
    """Weighted sum over tokens of -min(rho A, clip(rho) A) + kl k3, a scalar (Eq. 1 and 2 of arXiv:2602.05548).

    Args:
        log_prob, old_log_prob: [B, T] log-probabilities of the sampled tokens now and when they were sampled.
        advantage: [B] of each rollout.
        weight: [B, T] from `token_weights`.
        clip_low, clip_high: the ratio rho is clipped to [1 - clip_low, 1 + clip_high]; DAPO raises clip_high.
        dual_clip: bound of the loss at dual_clip |A| where A < 0 (verl has it at 3 by default), or None.
        reference, kl: [B, T] log-probabilities under the reference policy and the weight of its KL term.

    Returns:
        The loss, a scalar. Masked tokens do not enter, whatever they hold.

    >>> now, old = jnp.log(jnp.array([[0.5]])), jnp.log(jnp.array([[0.25]]))  # the ratio is 2, clipped at 1.2
    >>> round(float(policy_loss(now, old, jnp.array([1.0]), jnp.array([[1.0]]))), 4)
    -1.2
    """
    a = advantage[:, None]
    ratio = jnp.exp(log_prob - old_log_prob)
    surrogate = jnp.minimum(ratio * a, jnp.clip(ratio, 1 - clip_low, 1 + clip_high) * a)
    if dual_clip is not None:
        surrogate = jnp.where(a < 0, jnp.maximum(surrogate, dual_clip * a), surrogate)
    loss = -surrogate
    if reference is not None:
        loss = loss + kl * k3(log_prob, reference)
    # a masked token may hold any number, also an infinite one
    return jnp.where(weight > 0, loss * weight, 0).sum()


def k3(log_prob: Array, reference: Array) -> Array:
    """pi_ref / pi - log(pi_ref / pi) - 1 (Eq. 2): not negative, and its mean under pi is KL(pi, pi_ref)."""
    gap = reference - log_prob
    return jnp.expm1(gap) - gap
