"""A tree while it learns: mass, solutions and change of every node, for the picture and the animation."""

from dataclasses import asdict, dataclass
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from .. import estimators
from ..dynamics import advantage_of
from ..errors import InputError
from ..worlds import make_tree


@dataclass(frozen=True)
class Config:
    estimator: str = "grpo"
    depth: int = 4
    branching: int = 3
    success: float = 0.25
    density: float = 0.12
    decoys: float = 0.3
    spread: float = 1.2
    group_size: int = 8
    learning_rate: float = 0.5
    """step on the mean over the group"""
    steps: int = 60
    seed: int = 0

    def __post_init__(self):
        if self.steps < 1 or self.group_size < 2:
            raise InputError(
                f"steps must be at least 1 and group_size at least 2, got {self.steps} and {self.group_size}"
            )
        if self.depth >= 1 and self.branching >= 2 and self.branching**self.depth > 512:
            raise InputError(
                f"depth and branching must leave at most 512 leaves to draw, got {self.branching}^{self.depth}"
            )


def run(config: Config) -> xr.Dataset:
    """`steps` sampled steps on one tree.

    Variables: `reach[step, node]`, the chance that a rollout passes each node, level by level from the root to the
    leaves; `change[step, node]`, the change of its logarithm in the step that follows; `rollouts[step, node]`, those
    of that step's group through it; `success` and `entropy` per step; `correct[leaf]`.
    """
    key_world, key_train = jax.random.split(jax.random.key(config.seed))
    world = make_tree(
        key_world,
        [config.success],
        depth=config.depth,
        branching=config.branching,
        density=config.density,
        decoys=config.decoys,
        spread=config.spread,
    )
    program = _program(config.estimator, config.group_size)
    path = program(world, jax.random.split(key_train, config.steps), config.learning_rate)
    dims = {"reach": ("step", "node"), "change": ("step", "node"), "rollouts": ("step", "node")}
    data = xr.Dataset({name: (dims.get(name, ("step",)), np.asarray(v)) for name, v in path.items()})
    data["correct"] = (("leaf",), np.asarray(world.correct[0]))
    return data.assign_attrs(asdict(config))


@cache
def _program(estimator: str, group_size: int):
    """(world, keys [steps], learning rate) -> snapshots [steps, ...], compiled once for each shape of its arguments."""
    advantage = advantage_of([estimators.get(estimator)], jnp.asarray(0))

    def path(world, keys, learning_rate):
        def step(params, key):
            rollouts = world.sample(key, params, group_size)
            a = advantage(world.reward(rollouts))
            ahead = params + learning_rate * world.policy_gradient(params, rollouts, a / group_size)
            return ahead, _snapshot(world, params, ahead, rollouts)

        return jax.lax.scan(step, world.init(), keys)[1]

    return jax.jit(path)


def _snapshot(world, params, ahead, rollouts):
    """State before a step and what the step does."""

    def flat(levels):
        return jnp.concatenate([level[0] for level in levels])

    below = [world.branching ** (world.depth - l) for l in range(world.depth + 1)]
    counts = [
        (rollouts[:, :, None] // n == jnp.arange(world.branching**l)).sum(1).astype(params.dtype)
        for l, n in enumerate(below)
    ]
    reach = flat(world.reach(params))
    return {
        "reach": reach,
        "change": jnp.log(jnp.maximum(flat(world.reach(ahead)), 1e-30)) - jnp.log(jnp.maximum(reach, 1e-30)),
        "rollouts": flat(counts),
        "success": world.success(params)[0],
        "entropy": world.entropy(params)[0],
    }
