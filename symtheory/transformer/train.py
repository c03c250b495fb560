"""Training the small transformer: supervised pretraining, the GRPO update as trainers run it, and exact metrics.

One rollout batch is a group of completions for each of some prompts, with advantages over the whole batch; it is
used in `epochs` passes of `mini_batches` optimiser steps, in which the ratio departs from 1 and clipping acts.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as Spec

from ..dynamics import sampled
from ..dynamics.sampled import Advantage, State, StepInfo, apply_gradient
from ..errors import InputError, no_such
from ..estimators.group import Array
from . import model
from .loss import Aggregation, policy_loss, token_weights
from .model import ModelConfig, Params
from .task import Prompts, Task, correct_completions, mask_after_end, pick

OPTIMIZERS = {"adam": optax.adam, "sgd": optax.sgd}


@dataclass(frozen=True)
class Update(sampled.Update):
    """How rollouts become optimiser steps: the update of every world, and what trainers add to it.

    Raises:
        InputError: a number below 1, a batch that the mini-batches do not divide, or an unknown optimizer.
    """

    aggregation: Aggregation = "sequence-mean"
    batch: int = 16
    """prompts in a rollout batch, drawn without replacement"""
    mini_batches: int = 2
    """optimiser steps in one pass over the rollout batch, each on its share of the prompts"""
    kl: float = 0.0
    """weight of the k3 divergence from the base policy"""
    optimizer: Literal["adam", "sgd"] = "adam"
    learning_rate: float = 1e-3

    def __post_init__(self):
        super().__post_init__()
        for name in ("batch", "mini_batches"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.batch % self.mini_batches:
            raise InputError(f"batch must be a multiple of mini_batches, got {self.batch} and {self.mini_batches}")
        if self.optimizer not in OPTIMIZERS:
            raise no_such("optimizer", self.optimizer, OPTIMIZERS)

    def make_optimizer(self) -> optax.GradientTransformation:
        return OPTIMIZERS[self.optimizer](self.learning_rate)


class Rollouts(NamedTuple):
    """B rollouts with what the loss needs of them."""

    prompts: Array
    """[B, L]"""
    completions: Array
    """[B, T]"""
    mask: Array
    """[B, T] 1 for tokens up to the end of the completion"""
    advantage: Array
    """[B]"""
    old_log_prob: Array | None
    """[B, T] under the policy that sampled them, or None where it is the policy being updated"""
    reference: Array | None
    """[B, T] under the base policy, or None without a KL term"""


def pretrain(
    key: Array, config: ModelConfig, task: Task, prompts: Prompts, steps: int, batch: int, rate: float
) -> Params:
    """Train a base model by supervision on the teacher's demonstrations of `prompts`.

    Args:
        key: jax random key.
        config: the model's configuration.
        task: what is asked; it demonstrates answers, some of them wrong.
        prompts: the prompts that demonstrations are drawn from.
        steps: Adam steps. Fewer of them leave more to learn.
        batch: demonstrations in a step.
        rate: Adam's learning rate.

    Returns:
        The parameters of the base policy.
    """
    optimizer = optax.adam(rate)
    key_init, key_steps = jax.random.split(key)
    params = model.init(key_init, config)

    def one_step(state, key):
        key_prompts, key_teacher = jax.random.split(key)
        asked = pick(prompts, jax.random.randint(key_prompts, (batch,), 0, prompts.tokens.shape[0]))
        shown = task.demonstrate(key_teacher, asked.facts)
        weight = token_weights(mask_after_end(shown, task.end), "token-mean")

        def log_likelihood(params):
            return (weight * model.token_log_prob(params, config, asked.tokens, shown)).sum()

        return apply_gradient(state, jax.grad(log_likelihood)(state.params), optimizer), None

    state, _ = jax.lax.scan(one_step, State(params, optimizer.init(params)), jax.random.split(key_steps, steps))
    return state.params


def collect(
    key: Array,
    params: Params,
    config: ModelConfig,
    task: Task,
    prompts: Prompts,
    advantage: Advantage,
    update: Update,
    base: Params | None = None,
) -> tuple[Rollouts, StepInfo]:
    """Sample and score a group of rollouts for each of `prompts`.

    Args:
        key: jax random key.
        params: parameters of the policy that samples.
        config, task: the model's configuration, and the task that scores completions.
        prompts: B / G prompts.
        advantage: rewards [P, G] to advantages [P, G]; see `dynamics.advantage_of`.
        update: group size, and whether old and reference log-probabilities are needed.
        base: parameters of the reference policy, for the KL term only.

    Returns:
        The rollouts in the order of the prompts, G for each; and the `StepInfo` of the batch.
    """
    group = update.group_size
    completions = model.sample(key, params, config, prompts.tokens, group, task.length)
    rewards = task.reward(prompts.facts[:, None, :], completions)
    a = advantage(rewards)
    asked, completions = jnp.repeat(prompts.tokens, group, axis=0), completions.reshape(-1, task.length)

    def log_prob(params):
        return jax.lax.stop_gradient(model.token_log_prob(params, config, asked, completions))

    rollouts = Rollouts(
        asked,
        completions,
        mask_after_end(completions, task.end),
        a.reshape(-1),
        log_prob(params) if update.mini_batches * update.epochs > 1 else None,
        log_prob(base) if update.kl and base is not None else None,
    )
    info = StepInfo(
        correct=rewards.mean(),
        unsolved=(rewards == 0).all(-1).mean(),
        abs_advantage=jnp.abs(a).sum(-1).mean(),
        imbalance=a.sum(-1).mean(),
    )
    return rollouts, info


def objective(params: Params, config: ModelConfig, rollouts: Rollouts, update: Update) -> Array:
    """The loss of `rollouts` under `params`: a scalar to minimise (`policy_loss`)."""
    log_prob = model.token_log_prob(params, config, rollouts.prompts, rollouts.completions)
    old = jax.lax.stop_gradient(log_prob) if rollouts.old_log_prob is None else rollouts.old_log_prob
    return policy_loss(
        log_prob,
        old,
        rollouts.advantage,
        token_weights(rollouts.mask, update.aggregation),
        clip_low=update.clip_low,
        clip_high=update.clip_high,
        reference=rollouts.reference,
        kl=update.kl,
    )


def step(
    key: Array,
    state: State,
    config: ModelConfig,
    task: Task,
    prompts: Prompts,
    advantage: Advantage,
    update: Update,
    base: Params | None = None,
    sharding: NamedSharding | None = None,
) -> tuple[State, StepInfo]:
    """One rollout batch and the optimiser steps taken on it.

    Args:
        prompts: the training prompts, from which `update.batch` are drawn.
        advantage: rewards [P, G] -> advantages [P, G], for instance from `dynamics.advantage_of`.
        base: parameters of the reference policy, needed for the KL term only.
        sharding: spreads the prompts of the batch, and with them all that follows, over devices.

    Returns:
        The state after `epochs * mini_batches` optimiser steps, and the `StepInfo` of the batch.

    Raises:
        InputError: fewer prompts than `update.batch`.
    """
    if prompts.tokens.shape[0] < update.batch:
        raise InputError(f"batch must be at most the {prompts.tokens.shape[0]} prompts, got {update.batch}")
    key_prompts, key_rollouts = jax.random.split(key)
    asked = pick(prompts, jax.random.choice(key_prompts, prompts.tokens.shape[0], (update.batch,), replace=False))
    if sharding is not None:
        asked = jax.lax.with_sharding_constraint(asked, sharding)
    rollouts, info = collect(key_rollouts, state.params, config, task, asked, advantage, update, base)
    optimizer = update.make_optimizer()

    def one_step(state, share):
        ascent = jax.grad(lambda params: -objective(params, config, share, update))(state.params)
        return apply_gradient(state, ascent, optimizer), None

    if update.mini_batches * update.epochs == 1:
        return one_step(state, rollouts)[0], info
    shares = jax.tree.map(lambda x: x.reshape(update.mini_batches, -1, *x.shape[1:]), rollouts)
    for _ in range(update.epochs):
        state, _ = jax.lax.scan(one_step, state, shares)
    return state, info


class Observation(NamedTuple):
    """The policy on P prompts; exact where completions can be enumerated, else from samples."""

    success: Array
    """[P] chance that a rollout is correct"""
    success_cut: Array
    """[P] the same when sampled at temperature 0.6 and top-p 0.95, as the paper evaluates"""
    greedy: Array
    """[P] whether the greedy completion is correct"""
    entropy: Array
    """[P] entropy over completions in nats"""


SAMPLES = 256
"""Completions for each prompt where the metrics cannot be exact."""
CUT = (0.6, 0.95)
"""Temperature and top-p of the paper's evaluation."""


def observe(params: Params, config: ModelConfig, task: Task, prompts: Prompts) -> Observation:
    """Exact metrics from the probability of every completion, for tasks without an end token.

    Args:
        params, config: the policy.
        task: what is asked; all its completions have one length and are enumerated.
        prompts: P prompts.

    Returns:
        An `Observation` with arrays [P].
    """
    correct = correct_completions(task, prompts.facts)
    levels = model.conditionals(params, config, prompts.tokens, task.length)

    def success(temperature, top_p):
        cut = [jnp.log(model.sharpen(jnp.exp(level), temperature, top_p)) for level in levels]
        return (correct * jnp.exp(model.leaves(cut))).sum(-1)

    log_prob = model.leaves(levels)
    probability = jnp.exp(log_prob)
    return Observation((correct * probability).sum(-1), success(*CUT), success(0, 1), -(probability * log_prob).sum(-1))


def observe_samples(
    key: Array, params: Params, config: ModelConfig, task: Task, prompts: Prompts, samples: int = SAMPLES
) -> Observation:
    """The same metrics from `samples` completions a prompt, for any task; `success * samples` are whole numbers."""
    key_plain, key_cut, key_greedy = jax.random.split(key, 3)

    def drawn(key, count, temperature, top_p):
        completions = model.sample(key, params, config, prompts.tokens, count, task.length, temperature, top_p)
        return completions, task.reward(prompts.facts[:, None, :], completions).mean(-1)

    completions, success = drawn(key_plain, samples, 1.0, 1.0)
    flat = completions.reshape(-1, task.length)
    log_prob = model.token_log_prob(params, config, jnp.repeat(prompts.tokens, samples, axis=0), flat)
    total = (log_prob * mask_after_end(flat, task.end)).sum(-1).reshape(-1, samples)
    return Observation(success, drawn(key_cut, samples, *CUT)[1], drawn(key_greedy, 1, 0, 1)[1], -total.mean(-1))


def over_runs(function: Callable, devices: list, at_once: int, jit: Callable = jax.jit) -> Callable:
    """`function` for many independent runs: all arguments and results gain a leading axis of runs.

    The runs are spread over `devices`, with no communication, and each device works on `at_once` of its runs at a
    time: 1 keeps the arrays of a run in a CPU's cache, many fill an accelerator. The number of runs must be a
    multiple of the number of devices. `jit` compiles the whole.
    """
    mesh = Mesh(np.array(devices), ("run",))

    def mapped(*arguments):
        return jax.lax.map(lambda each: function(*each), arguments, batch_size=at_once if at_once > 1 else None)

    spec = Spec("run")
    return jit(jax.shard_map(mapped, mesh=mesh, in_specs=spec, out_specs=spec, check_vma=False))
