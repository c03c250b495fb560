"""A bandit in which the gradients of hard and easy prompts lie at a chosen angle.

The correct trajectories of a hard prompt share the feature u_H + own_q, those of an easy prompt u_E + own_q, with unit
vectors u at the angle and a direction own_q that no other prompt has; wrong ones have none. So the gradient of success
is V_q (u + own_q), V = P (1 - P), and every entry of the interference kernel has a closed form.
"""

import jax.numpy as jnp

from ..errors import InputError
from ..estimators.group import Array
from .bandit import Bandit
from .tree import check_success


def make_conflict(
    success, angle: Array | float, *, own: float = 4.0, first: int = 0, owners: int = 0, trajectories: int = 8
) -> Bandit:
    """A population in which the gradients of hard prompts (success below 1/2) and easy ones lie at `angle`.

    Args:
        success: [P] success of the base policy on each prompt, in (0, 1).
        angle: between the two directions, in radians; may be traced.
        own: length of each prompt's own direction, which transfers to no other prompt.
        first: index of the first prompt's own direction. Populations that share parameters but no prompt have
            disjoint ones.
        owners: number of own directions in the parameters, at least `first` + P; default: just these.
        trajectories: N of each prompt, a quarter of them correct and all of one class equally likely.

    Returns:
        The world, a bandit with features.

    Raises:
        InputError: a success outside (0, 1), or own directions that do not fit.

    >>> world = make_conflict([0.2, 0.9], 0.0)
    >>> [round(p, 3) for p in world.success(world.init()).tolist()]
    [0.2, 0.9]
    """
    success = check_success(success)
    prompts = success.shape[0]
    owners = owners or first + prompts
    if first + prompts > owners:
        raise InputError(f"owners must be at least first + prompts = {first + prompts}, got {owners}")
    if trajectories < 4:
        raise InputError(f"trajectories must be at least 4, a quarter of which are correct, got {trajectories}")
    correct = trajectories // 4
    is_correct = jnp.arange(trajectories) < correct
    mass = jnp.where(is_correct, success[:, None] / correct, (1 - success[:, None]) / (trajectories - correct))
    hard = (success < 0.5)[:, None]
    shared = jnp.where(hard, jnp.array([1.0, 0.0]), jnp.stack([jnp.cos(angle), jnp.sin(angle)]))
    direction = jnp.concatenate([shared, own * jnp.eye(owners)[first : first + prompts]], axis=1)
    features = jnp.where(is_correct[:, None], direction[:, None, :], 0)
    return Bandit(jnp.log(mass), jnp.full(prompts, correct), features)
