"""The transformer as a world: code for `worlds.World` runs on it.

Success is exact. Where all completions have one length it sums over the tree of tokens, each node computed once; a
task with an end token has one correct completion for each prompt, whose probability it is.
"""

from dataclasses import dataclass, field, replace
from typing import Any, cast

import jax
import jax.numpy as jnp

from ..errors import InputError
from ..estimators.group import Array
from ..worlds import World
from . import model
from .task import OneAnswer, Prompts, Task, all_completions, mask_after_end, pick


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class TransformerWorld(World):
    """P prompts of a task, answered by a transformer; parameters are those of the model, shared by all prompts."""

    base: Any
    """parameters of the base policy"""
    prompts: Prompts
    config: model.ModelConfig = field(metadata=dict(static=True))
    task: Task = field(metadata=dict(static=True))

    @property
    def prompt_weight(self):
        return 1.0 / self.prompts.tokens.shape[0]

    def init(self):
        return self.base

    def take(self, prompts):
        return replace(self, prompts=pick(self.prompts, prompts))

    def sample(self, key, params, size):
        """Completions, [P, size, T]; what follows an end token does not count."""
        return model.sample(key, params, self.config, self.prompts.tokens, size, self.task.length)

    def token_log_prob(self, params, rollouts) -> Array:
        """Log-probability of each token of `rollouts[P, size, T]`, 0 after the end."""
        asked = jnp.repeat(self.prompts.tokens, rollouts.shape[1], axis=0)
        flat = model.token_log_prob(params, self.config, asked, rollouts.reshape(-1, self.task.length))
        return jnp.where(mask_after_end(rollouts, self.task.end) > 0, flat.reshape(rollouts.shape), 0)

    def log_prob(self, params, rollouts):
        return self.token_log_prob(params, rollouts).sum(-1)

    def reward(self, rollouts):
        return self.task.reward(self.prompts.facts[:, None, :], rollouts)

    def rollout_length(self, rollouts):
        """Tokens of each rollout, [P, size]."""
        return mask_after_end(rollouts, self.task.end).sum(-1)

    def success(self, params):
        return self._success(params, self.prompts)

    def _success(self, params, prompts: Prompts) -> Array:
        if self.task.end is not None:
            answer = cast(OneAnswer, self.task).written(prompts.facts)[:, None, :]
            return jnp.exp(replace(self, prompts=prompts).log_prob(params, answer))[:, 0]
        correct = self.task.reward(prompts.facts[:, None, :], jnp.asarray(all_completions(self.task)))
        return (correct * jnp.exp(self._log_policy(params, prompts))).sum(-1)

    def _log_policy(self, params, prompts: Prompts) -> Array:
        return model.leaves(model.conditionals(params, self.config, prompts.tokens, self.task.length))

    def success_gradients(self, params, prompts):
        """One prompt at a time, so that a row costs the passes of its own prompt and no others'."""

        def of_one(asked):
            alone = jax.tree.map(lambda x: x[None], asked)
            return jax.grad(lambda p: self._success(p, alone)[0])(params)

        return jax.lax.map(of_one, pick(self.prompts, prompts))

    def entropy(self, params):
        """Over completions; refused where they end with a token of their own, since they are not enumerated."""
        if self.task.end is not None:
            raise InputError(f"entropy needs a task without an end token, got {self.task}: it cannot be enumerated")
        log_policy = self._log_policy(params, self.prompts)
        return -(jnp.exp(log_policy) * log_policy).sum(-1)
