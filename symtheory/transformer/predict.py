"""One real step against three predictions of it: Theorem 1, the tree of tokens, and the empirical tangent kernel.

The probability of every completion is exact before and after the step, so that what moved is known for completions
that were sampled and for those that were not. Each prediction is a change of log-probability up to one factor, its
step size, which is fitted: a favourable reading, since only the shape of the prediction is held against the data.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from ..dynamics.sampled import Advantage, State
from ..dynamics.theorem1 import log_prob_change, pull_of
from ..estimators.group import Array
from . import model, train
from .model import ModelConfig
from .task import Prompts, Task, correct_completions

PREDICTORS = ("theorem_1", "token_tree", "tangent_kernel")
SUBSETS = ("all", "sampled", "sampled_correct", "sampled_wrong", "unsampled")


def token_tree(conditionals: list[Array], pull: Array) -> Array:
    """Change of log pi if every node of the tree of tokens had softmax logits of its own.

    `conditionals` are the log-probabilities [P, V^t, V] of each level. Theorem 1 holds at every node v with the
    advantages of the draws that pass it, N_v(a) and C_v = sum of N_v, and a completion sums the changes along its
    path. With one level it is `dynamics.theorem1.log_prob_change`.
    """
    changes = []
    for level in conditionals:
        through = pull.reshape(*level.shape, -1).sum(-1)
        changes.append(log_prob_change(jnp.exp(level), through))
    return model.leaves(changes)


class Agreement(NamedTuple):
    """What one step moved and how well it was predicted, by the sets of completions in `SUBSETS`."""

    r2: Array
    """[optimizers, rates, predictors, subsets] share of the squared change that the prediction explains, its factor
    fitted in each subset; the tangent kernel has no factor to fit and can fall below 0"""
    rms: Array
    """[optimizers, rates, subsets] root mean square change of log pi, in nats"""
    rose: Array
    """[optimizers, rates, subsets] share of completions whose probability rose"""
    bystanders: Array
    """[optimizers, rates] root mean square change over all completions of prompts outside the batch"""
    total: Array
    """[optimizers, rates] largest distance from 1 of a sum of probabilities after the step"""


def one_step(
    key: Array,
    state: State,
    config: ModelConfig,
    task: Task,
    prompts: Prompts,
    bystanders: Prompts,
    advantage: Advantage,
    updates: list[train.Update],
    rates: Array,
) -> Agreement:
    """Sample a group for each of `prompts`, take one step with each optimiser and rate, and compare.

    Args:
        state: parameters, and for each of `updates` the memory of its optimiser (a list).
        updates: one for each optimiser; they share group size, aggregation and clipping with the first.
        rates: [optimizers, rates] learning rates.
    """
    rollouts, _ = train.collect(key, state.params, config, task, prompts, advantage, updates[0])
    levels = model.conditionals(state.params, config, prompts.tokens, task.length)
    gradient = jax.grad(train.objective)(state.params, config, rollouts, updates[0])

    count, completions = prompts.tokens.shape[0], config.vocab**task.length
    digits = config.vocab ** jnp.arange(task.length - 1, -1, -1)
    drawn = (rollouts.completions * digits).sum(-1).reshape(count, -1)
    pull = pull_of(drawn, rollouts.advantage.reshape(count, -1), completions)
    sampled = jnp.zeros((count, completions), bool).at[jnp.arange(count)[:, None], drawn].set(True)
    correct = correct_completions(task, prompts.facts)
    subsets = jnp.stack([jnp.ones_like(sampled), sampled, sampled & correct, sampled & ~correct, ~sampled])

    def log_policy(params):
        return model.leaves(model.conditionals(params, config, prompts.tokens, task.length))

    def log_policy_elsewhere(params):
        return model.leaves(model.conditionals(params, config, bystanders.tokens, task.length))

    before, elsewhere = model.leaves(levels), log_policy_elsewhere(state.params)
    shapes = jnp.stack([log_prob_change(jnp.exp(before), pull), token_tree(levels, pull)])

    def direction_of(update, memory):
        return train.OPTIMIZERS[update.optimizer](1.0).update(gradient, memory, state.params)[0]

    directions = [direction_of(*pair) for pair in zip(updates, state.optimizer, strict=True)]
    directions = jax.tree.map(lambda *x: jnp.stack(x), *directions)  # stacked, so that the program holds one of each

    def with_direction(pair):
        direction, rates = pair
        tangent = jax.jvp(log_policy, (state.params,), (direction,))[1]

        def at(rate):
            moved = jax.tree.map(lambda x, d: x + rate * d, state.params, direction)
            after = log_policy(moved)
            return compare(
                after - before,
                shapes,
                rate * tangent,
                subsets,
                log_policy_elsewhere(moved) - elsewhere,
                jnp.abs(jnp.exp(after).sum(-1) - 1).max(),
            )

        return jax.lax.map(at, rates)

    return jax.lax.map(with_direction, (directions, rates))


def compare(change: Array, shapes: Array, tangent: Array, subsets: Array, elsewhere: Array, total: Array) -> Agreement:
    """Agreement of `change[P, N]` with `shapes[2, P, N]` up to a factor and with `tangent[P, N]` as it is.

    A subset without members, or in which nothing moved, has nan.
    """

    def inside(x):
        return jnp.where(subsets, x, 0).sum((-2, -1))

    square, members = inside(change**2), inside(1.0)
    fitted = [inside(change * shape) ** 2 / (square * inside(shape**2)) for shape in shapes]
    r2 = jnp.stack([*fitted, 1 - inside((change - tangent) ** 2) / square])
    return Agreement(
        r2, jnp.sqrt(square / members), inside(change > 0) / members, jnp.sqrt((elsewhere**2).mean()), total
    )
