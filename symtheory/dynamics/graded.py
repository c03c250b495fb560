"""Expected dynamics for rewards of more than two values, such as 0.1 accuracy + 0.9 format.

The argument of `expected` carries over class by class: an estimator sees only how many rollouts of its group fell
into each reward class, so the expected gradient is sum over classes c of w_c grad P_c, where P_c is the chance of
class c and w_c the mean advantage of a rollout of class c among G - 1 independent others.
"""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np

from ..estimators import Estimator
from ..estimators.group import VARIANCE, Array, BatchStats, make_group
from ..ops import jax_ops
from ..worlds.tree import REWARD_FORMAT, Tree


def class_advantages(estimator: Estimator, size: int, values, mass: Array) -> Array:
    """w_c, the mean advantage of a rollout of each reward class, [P, m] -> [P, m].

    Args:
        estimator: any registered estimator or chain that is defined for these rewards.
        size: G.
        values: [m] the reward of each class.
        mass: [P, m] the chance of each class under the policy of each prompt.

    Rewards of other prompts enter omega by their expected number (exact for estimators without omega).

    >>> from symtheory import estimators
    >>> right, wrong = class_advantages(estimators.get("rloo"), 4, [1.0, 0.0], jnp.array([[0.25, 0.75]]))[0]
    >>> round(float(right), 5), round(float(wrong), 5)
    (0.75, -0.25)
    """
    op = jax_ops()
    values = jnp.asarray(values, mass.dtype)
    prompts, classes = mass.shape
    counts, ways = _compositions(size - 1, classes)
    law = jnp.asarray(ways, mass.dtype) * jnp.prod(mass[:, None, :] ** counts, axis=-1)  # [P, compositions]
    elsewhere = size * ((mass @ values).sum() - mass @ values)
    square = size * ((mass @ values**2).sum() - mass @ values**2)

    def of_class(c):
        weight = jnp.asarray(counts, mass.dtype) + jnp.eye(classes, dtype=mass.dtype)[c]

        def with_others(elsewhere, square):
            omega = (weight @ values + elsewhere) / (size * prompts)
            spread = weight @ values**2 + square - size * prompts * omega**2
            count = jnp.full_like(omega, size * prompts)
            sums = (omega, omega, omega, spread, count, count, spread)
            batch = BatchStats(*(x[:, None] for x in sums), spread=(0.0, (count * VARIANCE)[:, None]))
            rewards = jnp.broadcast_to(values, weight.shape)
            return estimator(make_group(op, rewards, weight, batch=batch), op)[:, c]

        return (law * jax.vmap(with_others)(elsewhere, square)).sum(-1)

    return jnp.stack([of_class(c) for c in range(classes)], axis=-1)


def _compositions(total: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """All ways to put `total` rollouts into classes, [n, classes], and their multinomial coefficients, [n]."""
    counts = [c for c in itertools.product(range(total + 1), repeat=classes) if sum(c) == total]
    ways = [math.factorial(total) / math.prod(map(math.factorial, c)) for c in counts]
    return np.array(counts), np.array(ways)


def gradient(world: Tree, params, estimator: Estimator, size: int):
    """Exact expected gradient of one group-relative update under the tree's reward, binary or graded."""
    if world.formatted is None:
        values, members = [1.0, 0.0], [world.correct, ~world.correct]
    else:
        values = [1.0, REWARD_FORMAT, 0.0]
        members = [world.correct, ~world.correct & world.formatted, ~world.correct & ~world.formatted]
    masses = [world.values(params, m.astype(world.logits.dtype))[0][:, 0] for m in members]
    advantage = class_advantages(estimator, size, values, jnp.stack(masses, axis=-1))
    leaf_values = sum(advantage[:, c, None] * m for c, m in enumerate(members))
    return world.success_gradient(params, jnp.full(world.logits.shape[0], world.prompt_weight), leaf_values)
