"""The interface of a world: a policy over trajectories of each of P prompts, with a verifier.

The update, the metrics and the experiments use this interface alone. A world is an immutable pytree, so that it
can be an argument of jit and be mapped over; its trainable parameters are a separate pytree.

A new world is a frozen dataclass that inherits from `World` and gives six methods: `init`, `sample`, `log_prob`,
`reward`, `success` and `entropy`. The gradients come from `jax.grad`; a world that knows them in closed form overrides
them, and the conformance test compares them with the defaults.
"""

from typing import Any, Self

import jax
import jax.numpy as jnp

from ..estimators.group import Array

Params = Any
Rollouts = Any


class World:
    """P prompts, a policy and a verifier. Every method is pure and can be traced by jax."""

    @property
    def prompt_weight(self) -> Array | float:
        """Weight of each prompt in the objective: 1 if prompts share nothing, 1 / P if they share parameters."""
        raise NotImplementedError

    def init(self) -> Params:
        """Parameters of the base policy."""
        raise NotImplementedError

    def sample(self, key: Array, params: Params, size: int) -> Rollouts:
        """`size` independent rollouts for each prompt; leading axes [P, size]."""
        raise NotImplementedError

    def log_prob(self, params: Params, rollouts: Rollouts) -> Array:
        """Log-probability of each rollout, [P, size]; differentiable in `params`."""
        raise NotImplementedError

    def reward(self, rollouts: Rollouts) -> Array:
        """Verifier's reward of each rollout, [P, size]."""
        raise NotImplementedError

    def success(self, params: Params) -> Array:
        """Exact probability that one rollout is correct, [P]; differentiable in `params`."""
        raise NotImplementedError

    def entropy(self, params: Params) -> Array:
        """Exact entropy of the policy over trajectories in nats, [P]; differentiable in `params`."""
        raise NotImplementedError

    def policy_gradient(self, params: Params, rollouts: Rollouts, weight: Array) -> Params:
        """Gradient of sum(weight * log_prob) over prompts and rollouts, `weight[P, size]` held fixed."""
        return jax.grad(lambda p: (weight * self.log_prob(p, rollouts)).sum())(params)

    def success_gradient(self, params: Params, slopes: Array) -> Params:
        """Gradient of sum(slopes * success) over prompts, `slopes[P]` held fixed."""
        return jax.grad(lambda p: (slopes * self.success(p)).sum())(params)

    def success_gradients(self, params: Params, prompts: Array) -> Params:
        """Gradient of the success of each of `prompts[n]` (their indices): leaves with a leading axis [n].

        One backward pass through all P prompts for each row; a world whose prompts are costly overrides it.
        """
        success = jax.eval_shape(self.success, params)
        one_hot = jnp.eye(*success.shape, dtype=success.dtype)[prompts]
        return jax.lax.map(lambda slopes: self.success_gradient(params, slopes), one_hot)

    def take(self, prompts: Array) -> Self:
        """The world of these prompts alone (their indices), for worlds whose arrays all begin with the prompt axis."""
        return jax.tree.map(lambda x: x[prompts], self)


class LogitWorld(World):
    """A world whose policy is softmaxes over logits [P, ...]: the parameters themselves, or h0 + phi W from features.

    With features phi [P, ..., m] the parameters are one W [m] for all prompts, so that a step on one moves the others.
    """

    logits: Array
    features: Array | None

    @property
    def prompt_weight(self):
        return 1.0 if self.features is None else 1.0 / self.logits.shape[0]

    def init(self):
        if self.features is None:
            return self.logits
        return jnp.zeros(self.features.shape[-1], self.features.dtype)

    def policy_logits(self, params: Params) -> Array:
        """Logits of the policy, of the shape of `logits`."""
        return params if self.features is None else self.logits + self.features @ params

    def pull_back(self, gradient: Array) -> Params:
        """Gradient with respect to the parameters from one with respect to the logits."""
        if self.features is None:
            return gradient
        return gradient.reshape(-1) @ self.features.reshape(-1, self.features.shape[-1])
