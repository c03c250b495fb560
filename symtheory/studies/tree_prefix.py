"""How one step moves leaves that were not sampled: the prefix-sharing kernel against Theorem 1 (Eq. 6, Case C).

With a softmax per node the first-order change of a leaf's log-probability is the sum over the nodes v of its path of
f_v(a_v) - sum_a pi_v(a) f_v(a), where f_v(a) = N_v(a) - C_v pi_v(a), N_v(a) is the sum of advantages through the step
(v, a) and C_v that through v. Theorem 1 treats leaves as separate logits. Both are held against the measured change,
by how long a prefix an unsampled leaf shares with its nearest sampled one, and whether that was correct.
"""

from dataclasses import asdict, dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from .. import estimators
from ..dynamics import advantage_of
from ..dynamics.theorem1 import log_prob_change, pull_of
from ..errors import InputError
from ..metrics.intervals import bootstrap
from ..worlds import make_tree

NEAREST = ("correct", "wrong", "neither")


@dataclass(frozen=True)
class Config:
    shapes: tuple[tuple[int, int], ...] = ((256, 1), (16, 2), (4, 4), (2, 8))
    """(branching, depth) of the trees; the same number of leaves makes them comparable"""
    estimators: tuple[str, ...] = ("grpo", "negative_dominant")
    groups: int = 300
    """independent random trees, with one group each"""
    group_size: int = 8
    success: float = 0.3
    density: float = 0.2
    spread: float = 1.0
    eta: float = 1e-4
    """step of the measured change, on the sum over the group"""
    seed: int = 0

    def __post_init__(self):
        if self.groups < 2 or self.group_size < 2 or self.eta <= 0:
            raise InputError(
                "groups and group_size must be at least 2 and eta positive, "
                f"got {self.groups}, {self.group_size} and {self.eta:g}"
            )


def prefix_kernel_change(world, params, rollouts, advantages):
    """First-order change of every leaf's log-probability per unit step on the group sum, [P, leaves].

    The derivative of the leaf log-probabilities along the policy gradient; on a tabular tree the kernel above.
    """
    gradient = world.policy_gradient(params, rollouts, advantages)
    return jax.jvp(world.enumerate, (params,), (gradient,))[1]


def theorem1_change(world, params, rollouts, advantages):
    """The same by Theorem 1, which takes the leaves for separate logits, [P, leaves]."""
    policy = jnp.exp(world.enumerate(params))
    return log_prob_change(policy, pull_of(rollouts, advantages, policy.shape[-1]))


def shared_prefix(leaves, rollouts, depth: int, branching: int):
    """Number of first steps that leaf u has in common with rollout i, [P, leaves, G] from [leaves] and [P, G]."""
    below = branching ** jnp.arange(depth)
    same = leaves[None, :, None, None] // below == rollouts[:, None, :, None] // below
    return same.sum(-1)


def run(config: Config) -> xr.Dataset:
    """Mean change of unsampled leaves by shape, estimator, nearest sampled class and shared prefix, with intervals."""
    with jax.enable_x64(True):
        parts = [_shape(config, b, d) for b, d in config.shapes]
    data = xr.concat(parts, "shape", join="outer")
    data.attrs = {"config": str(asdict(config)), "unit": "change of log-probability per unit step on the group sum"}
    return data


def _shape(config, branching, depth):
    key_world, key_draw = jax.random.split(jax.random.key(config.seed))
    world = make_tree(
        key_world,
        np.full(config.groups, config.success),
        depth=depth,
        branching=branching,
        density=config.density,
        spread=config.spread,
    )
    parts = [_summary(_changes(key_draw, world, name, config), depth) for name in config.estimators]
    data = xr.concat(parts, "estimator").assign_coords(estimator=list(config.estimators))
    return data.assign_coords(shape=f"b = {branching}, d = {depth}")


@partial(jax.jit, static_argnames=("name", "config"))
def _changes(key, world, name, config):
    """Every leaf's change as measured and by both predictions, and its relation to the group."""
    params = world.init()
    rollouts = world.sample(key, params, config.group_size)
    rewards = world.reward(rollouts)
    a = advantage_of([estimators.get(name)], 0)(rewards)
    ahead = params + config.eta * world.policy_gradient(params, rollouts, a)
    shared = shared_prefix(jnp.arange(world.correct.shape[1]), rollouts, world.depth, world.branching)
    return {
        "predicted": prefix_kernel_change(world, params, rollouts, a),
        "theorem1": theorem1_change(world, params, rollouts, a),
        "measured": (world.enumerate(ahead) - world.enumerate(params)) / config.eta,
        "to_correct": jnp.where(rewards[:, None] > 0, shared, -1).max(-1),
        "to_wrong": jnp.where(rewards[:, None] > 0, -1, shared).max(-1),
    }


def _summary(changes, depth):
    c = {k: np.asarray(v) for k, v in changes.items()}
    mixed = (c["to_correct"].max(-1) >= 0) & (c["to_wrong"].max(-1) >= 0)
    c = {k: v[mixed] for k, v in c.items()}
    longest = np.maximum(c["to_correct"], c["to_wrong"])
    side = np.where(c["to_correct"] > c["to_wrong"], 0, np.where(c["to_wrong"] > c["to_correct"], 1, 2))
    cells = [(n, l) for n in range(3) for l in range(depth)]  # shared == depth is a sampled leaf
    inside = np.stack([(side == n) & (longest == l) for n, l in cells]).reshape(3, depth, *side.shape)
    out = {"groups": ((), len(longest)), "leaves": (("nearest", "shared"), inside.sum((-2, -1)))}
    values = {k: c[k] for k in ("predicted", "theorem1", "measured")} | {"rising": (c["measured"] > 0).astype(float)}
    for name, value in values.items():
        per_group = (inside * value).sum(-1), inside.sum(-1)
        for bound, array in zip(("", "_low", "_high"), _ratio_interval(*per_group), strict=True):
            out[name + bound] = (("nearest", "shared"), array)
    unsampled = longest < depth
    for name in ("predicted", "theorem1"):
        error = (c["measured"] - c[name])[unsampled]
        out[f"r2_{name}"] = ((), 1 - (error**2).sum() / ((c["measured"][unsampled]) ** 2).sum())
        out[f"error_{name}"] = ((), np.abs(error).max())
    return xr.Dataset(out, coords={"nearest": list(NEAREST), "shared": np.arange(depth)})


def _ratio_interval(total, count):
    """Mean over leaves with its interval by resampling groups; a delta-method statistic keeps it one bootstrap."""
    total, count = np.moveaxis(total, -1, 0), np.moveaxis(count, -1, 0)
    mean_count = count.mean(0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = total.mean(0) / mean_count
        influence = mean + (total - mean * count) / mean_count
    spread = bootstrap(influence)
    return mean, spread.low, spread.high
