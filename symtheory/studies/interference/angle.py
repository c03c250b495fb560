"""The angle between the gradients of easy and hard prompts that turns the order of estimators, predicted and measured.

At small angles most of what a hard prompt learns does not help other prompts, and easy focus keeps more held-out
pass@k. From the turning angle on hard focus keeps more. From a larger angle on GRPO ends below its base policy.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import xarray as xr

from ... import estimators
from ...dynamics import Update, advantage_of, expected, interference
from ...dynamics.sampled import State
from ...dynamics.sampled import step as sampled_step
from ...worlds import make_conflict
from .cells import Problem, switched

ESTIMATORS = ("grpo", "hard_focused", "easy_focused", "positive_dominant", "negative_dominant")


@dataclass(frozen=True)
class Angle:
    """A population of hard and easy prompts, and how runs on it are made and read."""

    hard: float = 0.2
    easy: float = 0.95
    hard_prompts: int = 4
    easy_prompts: int = 24
    own: float = 4.0
    k: int = 4
    group_size: int = 8
    gain: float = 0.01
    """training pass@1 at which runs are read, above the base policy's"""
    steps: int = 300
    records: int = 30
    degrees: tuple[float, ...] = tuple(range(0, 181, 12))


def problem(config: Angle, angle) -> Problem:
    """Training prompts at this angle (radians), and as many held-out ones with own directions of their own."""
    success = [config.hard] * config.hard_prompts + [config.easy] * config.easy_prompts
    make = partial(make_conflict, success, angle, own=config.own, owners=2 * len(success))
    trained, watched = make(first=0), make(first=len(success))
    return Problem(trained.init(), trained, watched)


def turning_angle(config: Angle) -> float:
    """Degrees at which the order of hard and easy focus turns: n_E V_E sin^2 + s (V_E - V_H cos) = 0, at large k.

    0 if hard focus keeps more at every angle. See the theorem `own_directions_turn_the_order`.

    >>> 0 < turning_angle(Angle()) < 90
    True
    """
    v_h, v_e = config.hard * (1 - config.hard), config.easy * (1 - config.easy)
    n, s = config.easy_prompts * v_e, config.own**2
    # n (1 - c^2) + s (v_e - v_h c) = 0, the root c in [0, 1]
    c = (-s * v_h + np.sqrt((s * v_h) ** 2 + 4 * n * (n + s * v_e))) / (2 * n)
    return float(np.degrees(np.arccos(min(c, 1.0))))


def falling_angle(config: Angle, estimator: str = "grpo") -> float:
    """Degrees from which an estimator lowers held-out pass@k, at large k; 180 if it never does.

    n_E F'_E V_E cos = -n_H F'_H V_H, see the theorem `falling_below_the_base_needs_negative_interference`.
    """
    success = jnp.array([config.hard] * config.hard_prompts + [config.easy] * config.easy_prompts)
    force = np.asarray(expected.slope(estimators.get(estimator), config.group_size, success) * success * (1 - success))
    cosine = -force[: config.hard_prompts].sum() / force[config.hard_prompts :].sum()
    return float(np.degrees(np.arccos(max(cosine, -1.0))))


def predicted(config: Angle, names: Sequence[str] = ESTIMATORS, degrees: Sequence[float] | None = None) -> xr.Dataset:
    """`slope`, d held-out pass@k / d training pass@1 at the base policy, dims (degrees, estimator)."""
    at = np.linspace(0, 180, 61) if degrees is None else np.asarray(degrees, float)
    chosen = [estimators.get(name) for name in names]

    @jax.jit
    @jax.vmap
    def slopes(angle):
        kernel = interference.kernel(*problem(config, angle))
        weight = jnp.stack([expected.slope(e, config.group_size, kernel.trained) for e in chosen])
        return interference.slope(kernel, weight, config.k)

    found = np.asarray(slopes(jnp.radians(at)))
    return xr.Dataset({"slope": (("degrees", "estimator"), found)}, {"degrees": at, "estimator": list(names)})


def measured(config: Angle, seeds: Sequence[int], names: Sequence[str] = ESTIMATORS) -> xr.Dataset:
    """Sampled SGD runs: `slope`, change of held-out pass@k per training pass@1 where that has gained `config.gain`.

    Dims (degrees, seed, estimator). Learning rates are such that every estimator gets there in about 3/5 of the steps.
    """
    angles = np.radians(config.degrees)
    stride = config.steps // config.records

    def one(angle, index, seed):
        at = problem(config, angle)
        estimator = switched(names, index)
        _, time = interference.drift(*at, estimator, config.group_size, gain=config.gain)
        optimizer = optax.sgd(time[-1] / (0.6 * config.steps))
        advantage = advantage_of([estimator], 0)
        key = jax.random.key(seed)

        def one_step(state, t):
            key_step = jax.random.fold_in(key, t)
            return sampled_step(key_step, state, at.trained, advantage, optimizer, Update(config.group_size))[0], None

        def one_record(state, first):
            seen = interference.Path(at.trained.success(state.params), at.watched.success(state.params))
            return jax.lax.scan(one_step, state, first + jnp.arange(stride))[0], seen

        state = State(at.params, optimizer.init(at.params))
        return jax.lax.scan(one_record, state, stride * jnp.arange(config.records))[1]

    grid = np.indices((len(angles), len(names), len(seeds))).reshape(3, -1)
    found = jax.jit(jax.vmap(one))(jnp.asarray(angles[grid[0]]), jnp.asarray(grid[1]), jnp.asarray(seeds)[grid[2]])
    found = jax.tree.map(np.asarray, found)
    paths = [jax.tree.map(lambda x, i=i: x[i], found) for i in range(grid.shape[1])]
    gains = [interference.gains(path, (config.k,), (config.gain,))[0, 0] / config.gain for path in paths]
    shaped = np.reshape(gains, (len(angles), len(names), len(seeds))).swapaxes(1, 2)
    coords = {"degrees": list(config.degrees), "seed": list(seeds), "estimator": list(names)}
    return xr.Dataset({"slope": (("degrees", "seed", "estimator"), shaped)}, coords)
