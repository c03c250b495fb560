"""Expected dynamics: the exact mean of one sampled step, without sampling.

For any estimator whose advantages depend only on a rollout's reward and the number K of correct rollouts, and for
any differentiable policy, the expected gradient of prompt q is F'_G(P_q) grad P_q, with
F'_G(P) = E over J ~ Bin(G-1, P) of [A+(J+1) - A-(J)]. So the expected step needs only P and its gradient, in every
world. One such step is exact; iterated it is a mean field, which ignores the spread of the sampled paths.
"""

import math
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.scipy.special import xlog1py, xlogy

from ..estimators import Estimator
from ..estimators.group import VARIANCE, Array, two_outcome_batch
from ..ops import jax_ops
from ..worlds import World
from .sampled import State, apply_gradient


def binomial(trials: int, success: Array) -> Array:
    """Probabilities of 0..trials successes, [..., trials + 1]; exact at success 0 and 1.

    >>> binomial(2, 0.5).tolist()
    [0.25, 0.5, 0.25]
    """
    success = jnp.asarray(success)
    count = np.arange(trials + 1)
    if math.comb(trials, trials // 2) < float(jnp.finfo(success.dtype).max):
        ways = np.array([math.comb(trials, j) for j in count], dtype=float).astype(success.dtype)
        return ways * _powers(success, trials) * _powers(1 - success, trials)[..., ::-1]
    # the number of ways is beyond the range of the dtype: by logarithms, with some 1e-7 trials of relative error in
    # 32 bits and 1e-16 trials in 64
    log_ways = [math.lgamma(trials + 1) - math.lgamma(j + 1) - math.lgamma(trials - j + 1) for j in count]
    success = success[..., None]
    logs = xlogy(count, success) + xlog1py(count[::-1], -success) + np.array(log_ways).astype(success.dtype)
    return jnp.exp(logs)


def _powers(x: Array, highest: int) -> Array:
    """x^0 .. x^highest on a new last axis: by products for the usual group sizes, which is faster than `pow`."""
    if highest > 32:
        return x[..., None] ** np.arange(highest + 1)
    powers = [jnp.ones_like(x)]
    for _ in range(highest):
        powers.append(powers[-1] * x)
    return jnp.stack(powers, axis=-1)


def correct_elsewhere(size: int, success: Array) -> Array:
    """Law of the number of correct rollouts of all prompts but q, for each q: [P] -> [P, (P-1) size + 1].

    The Poisson-binomial law by convolution of prefixes and suffixes, exact to rounding; it couples prompts through
    omega. Cost grows with P squared, so it serves tests and small populations.
    """
    prompts = success.shape[0]
    laws = binomial(size, success)
    one = jnp.ones(1, laws.dtype)
    before, after = [one], [one]
    for q in range(prompts - 1):
        before.append(jnp.convolve(before[-1], laws[q]))
        after.append(jnp.convolve(after[-1], laws[prompts - 1 - q]))
    return jnp.stack([jnp.convolve(before[q], after[prompts - 1 - q]) for q in range(prompts)])


def slope(estimator: Estimator, size: int, success: Array, *, batch: Literal["exact", "mean"] = "mean") -> Array:
    """F'_G(P_q), the expected advantage gap between a correct and a wrong rollout of prompt q, [P] -> [P].

    Args:
        estimator: any registered estimator or chain.
        size: G.
        success: [P] success probability of every prompt of the batch (one prompt: a batch of one).
        batch: how the other prompts' rewards, which enter through omega, are averaged. "exact" sums over their
            law, "mean" puts their expected number in its place, which is exact for one prompt and for estimators
            without omega, and off by O(1 / (P G)) otherwise. The spread that a whitening estimator divides by is put
            at its mean in both.

    >>> from symtheory import estimators
    >>> slope(estimators.get("rloo"), 8, jnp.array([0.1, 0.9])).round(5).tolist()
    [1.0, 1.0]
    """
    success = jnp.asarray(success)
    plus, minus, law = outcomes(estimator, size, success, batch=batch)
    return jnp.einsum("prj,pr,pj->p", plus - minus, law, binomial(size - 1, success))


def outcomes(
    estimator: Estimator, size: int, success: Array, *, batch: Literal["exact", "mean"] = "mean", copies: int = 1
) -> tuple[Array, Array, Array]:
    """A+ and A- of a rollout beside J = 0.. correct ones among its others, and the law of what others enter by.

    Args:
        estimator, size, success, batch: those of `slope`.
        copies: how often each of size / copies rollouts is in the group; they are correct together.

    Returns:
        A+(copies (J + 1)) and A-(copies J), both [P, R, size / copies], and the chance of each of the R numbers of
        correct rollouts in other groups, [P, R].
    """
    op = jax_ops()
    prompts = success.shape[0]
    if batch == "exact":
        law = correct_elsewhere(size, success)
        elsewhere = jnp.arange(law.shape[-1], dtype=law.dtype)
        elsewhere = jnp.broadcast_to(elsewhere, law.shape)
    else:
        law = jnp.ones((prompts, 1), success.dtype)
        elsewhere = (size * (success.sum() - success))[:, None]
    others = jnp.arange(size // copies, dtype=success.dtype)  # J, correct ones among the other rollouts
    g = jnp.asarray(size, success.dtype)
    variance = variance_before_whitening(estimator, size, success)

    def both(elsewhere):
        """A+ and A- with so many correct rollouts in other groups: [] -> [G], [G]."""

        def batch_with(own):
            return _column(two_outcome_batch(op, elsewhere + own, g * prompts, variance))

        right, wrong = (others + 1, others) if copies == 1 else (copies * (others + 1), copies * others)
        plus, _ = estimator.two_outcomes(right, g, batch_with(right), op)
        _, minus = estimator.two_outcomes(wrong, g, batch_with(wrong), op)
        return plus, minus

    return *jax.vmap(jax.vmap(both))(elsewhere), law  # [P, R, G]


def variance_before_whitening(estimator: Estimator, size: int, success: Array) -> Array | float:
    """Expected variance over the batch of the advantages that a whitening link receives."""
    before = estimator.before_whitening
    if before is None:
        return VARIANCE
    op, correct, g = jax_ops(), jnp.arange(size + 1, dtype=success.dtype), jnp.asarray(size, success.dtype)
    batch = two_outcome_batch(op, g * success.sum(), g * success.shape[0])
    plus, minus = before.two_outcomes(correct, jnp.full_like(correct, size), batch, op)
    law = binomial(size, success)
    mean, square = (((correct * plus**n + (g - correct) * minus**n) / g * law).sum(-1).mean() for n in (1, 2))
    return square - mean**2


def _column(batch):
    """Batch statistics that differ between the groups of one call, as [..., 1] beside the outcome axis."""
    return jax.tree.map(lambda x: jnp.asarray(x)[..., None] if jnp.ndim(x) else x, batch)


def gradient(
    params: Any, world: World, estimator: Estimator, size: int, batch: Literal["exact", "mean"] = "mean"
) -> Any:
    """Expected gradient of one update: sum over prompts of prompt weight * F'_G(P_q) * grad P_q."""
    slopes = slope(estimator, size, world.success(params), batch=batch)
    return world.success_gradient(params, slopes * world.prompt_weight)


def step(
    state: State,
    world: World,
    estimator: Estimator,
    optimizer: optax.GradientTransformation,
    size: int,
    batch: Literal["exact", "mean"] = "mean",
) -> State:
    """One mean-field step: the exact expected gradient at `state`, through the optimiser."""
    return apply_gradient(state, gradient(state.params, world, estimator, size, batch), optimizer)
