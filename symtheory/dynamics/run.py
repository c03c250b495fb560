"""Training runs: a scan over steps that observes the policy every `stride` steps."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax

from ..estimators import Estimator
from ..estimators.group import Array
from ..worlds import World
from . import drawing, expected, expected_regime, sampled
from .regime import Regime

Observe = Callable[[Any], Any]


def train(
    key: Array,
    world: World,
    advantage: sampled.Advantage,
    optimizer: optax.GradientTransformation,
    update: sampled.Update,
    *,
    observe: Observe,
    records: int,
    stride: int,
    regime: Regime | None = None,
) -> tuple[sampled.State, Any, Any]:
    """Run `records * stride` sampled steps from the base policy (Eq. 1 and 4 of arXiv:2602.05548).

    Args:
        key: jax random key. One key gives the same run.
        world: P prompts with a policy and a verifier.
        advantage: rewards [P, G] to advantages [P, G]; see `advantage_of`.
        optimizer: an optax optimiser. It ascends the mean over the group, (1/G) sum A log pi.
        update: group size, epochs, clipping and aggregation.
        observe: function of the parameters; what it returns is recorded.
        records: how often the policy is observed after the base policy.
        stride: steps between two observations.
        regime: departures from fresh independent groups, a perfect verifier and fixed prompts.

    Returns:
        The final state; what `observe(params)` returned for the base policy and after every `stride` steps, with a
        leading axis of `records + 1`; and the `StepInfo` (under a regime the `RegimeInfo`) of the batches, mean over
        each stride, with a leading axis of `records`.

    Raises:
        InputError: an aggregation that needs rollout lengths in a world that has none, or a regime that does not fit.
    """
    params = world.init()
    state = sampled.State(params, optimizer.init(params), drawing.start(world, regime))
    prompt_step = partial(
        sampled.prompt_step, world=world, advantage=advantage, optimizer=optimizer, update=update, regime=regime
    )

    def one_step(key, carry, t):
        state, total = carry
        # fold_in gives the t-th key of a split, without an array of all of them: memory does not grow with the stride
        state, info = prompt_step(jax.random.fold_in(key, t), state)
        return (state, jax.tree.map(jnp.add, total, info)), None

    def one_record(state, key):
        # looking before stepping lets the observation share its softmax with the first draw
        observed = observe(state.params)
        nothing = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)
        (state, total), _ = jax.lax.scan(partial(one_step, key), (state, nothing), jnp.arange(stride))
        return state, (observed, total)

    shapes = jax.eval_shape(lambda: prompt_step(key, state)[1])
    state, (observed, totals) = jax.lax.scan(one_record, state, jax.random.split(key, records))
    # the mean over prompts waits until here, so that devices that share them need not meet at every step
    batches = jax.tree.map(lambda x: x.mean(-1) / stride, totals)
    return state, _append(observed, observe(state.params)), batches


def mean_field(
    world: World,
    estimator: Estimator,
    optimizer: optax.GradientTransformation,
    update: sampled.Update | int,
    *,
    observe: Observe,
    steps: int,
    regime: Regime | None = None,
) -> tuple[sampled.State, Any]:
    """Iterate the expected step, F'_G(P) grad P summed over prompts.

    Each step is the exact mean of a sampled one. The path is not the mean of sampled paths: the difference is the bias
    of the mean field, and a figure that shows the path must show it too.

    Args:
        world: P prompts with a differentiable `success`.
        estimator: a registered estimator or chain.
        optimizer: an optax optimiser.
        update: group size G, clipping (of stale rollouts) and aggregation; a number is G with the usual rest.
        observe: function of the parameters; what it returns is recorded.
        steps: number of expected steps.
        regime: departures of which the mean is known, see `expected_regime`.

    Returns:
        The final state, and what `observe(params)` returned at each of the `steps + 1` times, on a leading axis.

    Raises:
        InputError: the mean of a step has no closed form, with the reason.
    """
    params = world.init()
    update = sampled.Update(update) if isinstance(update, int) else update
    regime = regime or Regime()
    state = sampled.State(params, optimizer.init(params), drawing.start(world, regime))
    plain = regime.name == "plain" and update.aggregation == "sequence-sum" and update.epochs == 1

    def one_step(state, _):
        if plain:
            return expected.step(state, world, estimator, optimizer, update.group_size), observe(state.params)
        return expected_regime.step(state, world, estimator, optimizer, update, regime), observe(state.params)

    state, observed = jax.lax.scan(one_step, state, None, length=steps)
    return state, _append(observed, observe(state.params))


def _append(rest, last):
    return jax.tree.map(lambda a, b: jnp.concatenate([a, b[None]]), rest, last)
