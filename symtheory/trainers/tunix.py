"""Registered estimators in Tunix's function registry: import this module, then `advantage_estimator="symtheory/agrae"`.

import symtheory.trainers.tunix
from tunix.rl.grpo.grpo_learner import GRPOConfig

config = GRPOConfig(num_generations=8, advantage_estimator="symtheory/agrae")
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from tunix.rl import function_registry

from .. import estimators
from ..errors import InputError
from ..estimators import Estimator
from .monitor import Monitor, as_numpy
from .rollouts import Rates, check_size, in_a_row, named


def register(name: str, estimator: str | None = None, **params) -> Callable:
    """Enter a registered estimator with parameters into Tunix's registry under `name`, and return its function.

    `register("mine", "agrae", alpha=0.5)` is used as `advantage_estimator="mine"`.
    """
    function = advantage_function(named(estimator or name, **params))
    return function_registry.register_advantage_estimator(name)(function)


def advantage_function(estimator: Estimator) -> Callable:
    """Tunix's kind of advantage function: flat rewards of consecutive groups in, flat advantages out, in jax."""
    rates = Rates()

    def compute(rewards: Any, num_generations: int, **_: Any) -> jax.Array:
        check_size(estimator, num_generations)
        values = jnp.asarray(rewards)
        if values.ndim != 1 or not jnp.issubdtype(values.dtype, jnp.floating):
            raise InputError(f"rewards must be a flat array of floats, got {values.dtype} of shape {values.shape}")
        grouped = values[in_a_row(len(values), num_generations).rows]
        given = rates.given() if "rates" in estimator.needs else {}
        a = estimators.advantages(grouped, estimator, **given)
        if "rates" in estimator.needs:
            rates.add(np.asarray(grouped, float), np.ones(grouped.shape))
        return a.reshape(-1)

    compute.__name__ = compute.__qualname__ = f"symtheory_{estimator.name}"
    return compute


def metrics(monitor: Monitor, num_generations: int, estimator: str | None = None, **params) -> Callable:
    """A function for the `metric_fns` of Tunix's learner: the monitor's metrics of every step."""
    chosen = None if estimator is None else named(estimator, **params)

    def observe(prompts: Any, completions: Any, rewards: Any, advantages: Any, **_: Any) -> Mapping[str, Any]:
        layout = in_a_row(len(rewards), num_generations)
        grouped = (layout.group(as_numpy(x)) for x in (rewards, advantages))
        names = [str(prompts[i]) for i in layout.rows[:, 0]] if len(prompts) == len(rewards) else None
        return {k: (v, np.mean) for k, v in monitor.step(*grouped, estimator=chosen, prompts=names).items()}

    return observe


for _name in estimators.names():
    register(f"symtheory/{_name}", _name)
