"""The interface of a world: a policy over trajectories of each of P prompts, with a verifier.

The update, the metrics and the experiments are written once against it. A world is an immutable pytree, so that it
can be an argument of jit and be mapped over; its trainable parameters are a separate pytree.
"""

from typing import Any, Protocol

from ..estimators.group import Array

Params = Any
Rollouts = Any


class World(Protocol):
    """P prompts, a policy and a verifier. Every method is pure and can be traced by jax."""

    @property
    def prompt_weight(self) -> Array:
        """Weight of each prompt in the objective: 1 if prompts share nothing, 1 / P if they share parameters."""
        ...

    def init(self) -> Params:
        """Parameters of the base policy."""
        ...

    def sample(self, key: Array, params: Params, size: int) -> Rollouts:
        """`size` independent rollouts for each prompt; leading axes [P, size]."""
        ...

    def log_prob(self, params: Params, rollouts: Rollouts) -> Array:
        """Log-probability of each rollout, [P, size]; differentiable in `params`."""
        ...

    def reward(self, rollouts: Rollouts) -> Array:
        """Verifier's reward of each rollout, [P, size]."""
        ...

    def policy_gradient(self, params: Params, rollouts: Rollouts, weight: Array) -> Params:
        """Gradient of sum(weight * log_prob) over prompts and rollouts, `weight[P, size]` held fixed."""
        ...

    def success(self, params: Params) -> Array:
        """Exact probability that one rollout is correct, [P]; differentiable in `params`."""
        ...

    def success_gradient(self, params: Params, slopes: Array) -> Params:
        """Gradient of sum(slopes * success) over prompts, `slopes[P]` held fixed."""
        ...

    def entropy(self, params: Params) -> Array:
        """Exact entropy of the policy over trajectories in nats, [P]."""
        ...
