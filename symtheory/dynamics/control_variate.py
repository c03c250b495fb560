"""Means over sampled runs with less noise: the martingale part of a run as control variate.

A sampled step is its exact mean given the policy (`expected`) plus noise. To first order around the mean field, the
noise xi_t of step t moves the success at the end by lambda_t . xi_t, where lambda_t is the adjoint of the path: one
backward sweep. The sum of these over a run has mean exactly 0, whatever the path, because each xi_t has mean 0 given
the policy it was drawn from; and it is correlated with the success, the more so the smaller the noise. So success minus
c times the sum, with c fitted, has the same mean and a smaller variance. The fit costs a bias of order 1 / runs.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from ..errors import InputError
from ..estimators import Estimator
from ..estimators.group import Array
from ..worlds import World
from . import expected
from .sampled import advantage_of


class Controlled(NamedTuple):
    """Success after the last step, over runs from one base policy; [P] over prompts."""

    mean: Array
    """[P] mean over runs with the control variate"""
    error: Array
    """[P] its standard error"""
    plain_mean: Array
    """[P] plain mean over runs"""
    plain_error: Array
    """[P] its standard error"""
    coefficient: Array
    """[P] fitted c; near 1 where the first order holds"""
    success: Array
    """[runs, P]"""
    variate: Array
    """[runs, P] sum of lambda_t . xi_t, of mean exactly 0"""


def control_variate(
    key: Array, world: World, estimator: Estimator, group_size: int, rate: float, *, steps: int, runs: int
) -> Controlled:
    """Mean success after `steps` steps of SGD, over `runs` sampled runs, with and without the control variate.

    Args:
        key: jax random key.
        world: prompts that share nothing (no features), each trained on its own.
        estimator: any whose advantages do not depend on other prompts.
        group_size: G.
        rate: learning rate of SGD on the mean over the group; the mean of a step is only known for a linear optimiser.
        steps: T. The adjoint holds T times the parameters of the world.
        runs: sampled runs of every prompt, at least 3.

    Returns:
        Success of each prompt, [P], by both estimates, with their standard errors.

    Raises:
        InputError: shared parameters, an estimator coupled through omega, or too few runs.
    """
    if getattr(world, "features", None) is not None:
        raise InputError("world must have independent prompts for a control variate, got one with features")
    if "batch_independence" not in estimator.laws:
        raise InputError(f"estimator must not depend on other prompts for a control variate, got {estimator.name!r}")
    if runs < 3:
        raise InputError(f"runs must be at least 3, since the coefficient is fitted, got {runs}")
    adjoint = _adjoint(world, estimator, group_size, rate, steps)
    one_run = partial(
        _run, world=world, estimator=estimator, group_size=group_size, rate=rate, adjoint=adjoint, steps=steps
    )
    success, variate = jax.vmap(one_run)(jax.random.split(key, runs))
    centred = variate - variate.mean(0)
    spread = (centred**2).sum(0)
    coefficient = jnp.where(spread > 0, (centred * success).sum(0) / jnp.where(spread > 0, spread, 1), 0)
    controlled = success - coefficient * variate
    return Controlled(
        controlled.mean(0),
        controlled.std(0) * jnp.sqrt(1 / (runs - 2)),
        success.mean(0),
        success.std(0) * jnp.sqrt(1 / (runs - 1)),
        coefficient,
        success,
        variate,
    )


def _adjoint(world, estimator, group_size, rate, steps):
    """Derivative of each prompt's success at the end by its parameters after every step of the mean field, [T, ...]."""

    def advance(params):
        return params + rate * expected.gradient(params, world, estimator, group_size)

    last, path = jax.lax.scan(lambda params, _: (advance(params), params), world.init(), None, length=steps)
    end = jax.grad(lambda params: world.success(params).sum())(last)
    _, adjoint = jax.lax.scan(lambda g, params: (jax.vjp(advance, params)[1](g)[0], g), end, path, reverse=True)
    return adjoint


def _run(key, *, world, estimator, group_size, rate, adjoint, steps):
    """Success [P] and variate [P] of one sampled run of every prompt."""
    advantage = advantage_of([estimator], 0)

    def step(state, inputs):
        params, variate = state
        key, weight = inputs
        rollouts = world.sample(key, params, group_size)
        share = advantage(world.reward(rollouts)) * (world.prompt_weight / group_size)
        change = rate * world.policy_gradient(params, rollouts, share)
        noise = change - rate * expected.gradient(params, world, estimator, group_size)
        variate = variate + (weight * noise).reshape(len(variate), -1).sum(-1)
        return (params + change, variate), None

    start = (world.init(), jnp.zeros_like(world.success(world.init())))
    (params, variate), _ = jax.lax.scan(step, start, (jax.random.split(key, steps), adjoint))
    return world.success(params), variate
