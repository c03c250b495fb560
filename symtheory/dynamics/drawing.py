"""Sampled batches of rollouts under a `Regime`, and the regime's state from one update to the next.

The rollouts themselves use the key of the step and all other chance a key folded from it, so a regime that departs from
nothing (J = 1, lag 0, one try, one copy) gives the numbers of the plain program bit for bit.
"""

from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ..errors import InputError
from ..estimators.group import Array
from ..worlds import World
from ..worlds.group_sources import branching
from ..worlds.tree import Tree
from .regime import Group, Regime

ERRORS, SIZES, HOT, AGAIN = range(4)
"""What a key is folded with, by what it is for."""


class Drawn(NamedTuple):
    """A group for each prompt."""

    rollouts: Any
    """leaves [P, G, ...]"""
    rewards: Array
    """[P, G] what the verifier said"""
    weight: Array | None
    """[P, G] 0 for padding of a smaller group; None: every group is full"""
    counts: Array
    """[P] 1 for a group that is trained on, else 0"""
    spent: Array
    """[P] rollouts that were drawn for it"""


def check(world: World, size: int, regime: Regime) -> None:
    """Refuse a regime that this world or group size cannot have."""
    group = regime.group or Group()
    if regime.verifier is not None and getattr(world, "formatted", None) is not None:
        raise InputError("verifier errs on binary rewards, got a world with graded ones")
    if group.sizes and max(group.sizes) != size:
        raise InputError(f"the largest of sizes must be group_size = {size}, got {max(group.sizes)}")
    if size % group.copies:
        raise InputError(f"copies must divide group_size = {size}, got {group.copies}")
    if group.hot > size:
        raise InputError(f"hot must be at most group_size = {size}, got {group.hot}")
    if group.trunks and not isinstance(world, Tree):
        raise InputError("trunks need a tree, where rollouts have beginnings to share")
    if group.hot and not hasattr(world, "logits"):
        raise InputError("hot needs a world whose policy is a softmax of logits")
    if group.hot and regime.stale is not None and regime.stale.corrected:
        raise InputError("corrected staleness needs rollouts of one past policy, got some at another temperature")


def start(world: World, regime: Regime | None) -> Any:
    """What the regime remembers before the first update; () for nothing."""
    if regime is None or regime.name == "plain":
        return ()
    memory: dict[str, Any] = {"step": jnp.zeros((), jnp.int32)}
    params = world.init()
    if regime.admit is not None:
        memory["admitted"] = jnp.ones(jax.eval_shape(world.success, params).shape, bool)
    if regime.stale is not None and regime.stale.lag:
        memory["past"] = jax.tree.map(lambda x: jnp.broadcast_to(x, (regime.stale.lag, *x.shape)), params)  # type: ignore[union-attr]
    if regime.group is not None and regime.group.replay:
        first = world.sample(jax.random.key(0), params, 1)
        memory["stored"] = jax.tree.map(lambda x: x[:, 0], first)
        memory["has"] = jnp.zeros(jax.eval_shape(world.success, params).shape, bool)
    return memory


def admitted(memory: Any, params: Any, world: World, regime: Regime) -> Array | None:
    """[P] which prompts are trained on in this update; None for all."""
    if regime.admit is None:
        return None
    base = world.success(world.init())
    return regime.admit.admits(memory["admitted"], world.success(params), base, memory["step"])


def sampler_of(memory: Any, params: Any) -> Any:
    """Parameters of the policy that the rollouts come from."""
    return jax.tree.map(lambda x: x[0], memory["past"]) if "past" in memory else params


def draw(key: Array, memory: Any, params: Any, world: World, size: int, regime: Regime) -> tuple[Drawn, Any]:
    """A batch under the regime, and the memory after it (all but the admitted prompts)."""
    check(world, size, regime)
    source = sampler_of(memory, params)
    one = partial(_groups, params=source, world=world, size=size, regime=regime)
    tries = 1 if regime.redraw is None else regime.redraw.tries
    if tries == 1:
        drawn = one(key)
    else:
        again = jax.vmap(partial(jax.random.fold_in, jax.random.fold_in(key, AGAIN)))(jnp.arange(1, tries))
        drawn = _first_kept(jax.vmap(one)(jnp.concatenate([key[None], again])))
    later = {**memory, "step": memory["step"] + 1}
    if "past" in memory:
        later["past"] = pushed(memory["past"], params)
    if "stored" in memory:
        drawn, later = _with_replay(drawn, later)
    return drawn, later


def pushed(past: Any, params: Any) -> Any:
    """Past parameters with the oldest replaced by these."""
    return jax.tree.map(lambda old, x: jnp.concatenate([old[1:], x[None]]), past, params)


def _groups(key, *, params, world, size, regime) -> Drawn:
    """One draw of a group for every prompt."""
    group = regime.group or Group()
    distinct = size // group.copies
    rollouts = _rollouts(key, params, world, distinct, group)
    rewards = world.reward(rollouts)
    if regime.verifier is not None:
        u = jax.random.uniform(jax.random.fold_in(key, ERRORS), rewards.shape, rewards.dtype)
        said = jnp.where(rewards >= 1, u >= regime.verifier.false_negative, u < regime.verifier.false_positive)
        rewards = said.astype(rewards.dtype)
    if group.copies > 1:
        rollouts, rewards = jax.tree.map(lambda x: jnp.repeat(x, group.copies, axis=1), (rollouts, rewards))
    weight, spent = None, jnp.full(rewards.shape[0], distinct)
    if group.sizes:
        chosen = jax.random.randint(jax.random.fold_in(key, SIZES), (rewards.shape[0],), 0, len(group.sizes))
        spent = jnp.asarray(group.sizes)[chosen]
        weight = (jnp.arange(size) < spent[:, None]).astype(rewards.dtype)
    counts = jnp.ones(rewards.shape[0], rewards.dtype)
    if regime.redraw is not None:
        counts = regime.redraw.keeps((rewards >= 1).sum(-1), size).astype(rewards.dtype)
    return Drawn(rollouts, rewards, weight, counts, spent)


def _rollouts(key, params, world, size, group):
    if group.trunks:
        return branching(key, world, params, size, trunks=group.trunks).rollouts
    if not group.hot:
        return world.sample(key, params, size)
    heated = replace(world, logits=world.logits / group.temperature)
    hot = heated.sample(jax.random.fold_in(key, HOT), jax.tree.map(lambda x: x / group.temperature, params), group.hot)
    if group.hot == size:
        return hot
    cool = world.sample(key, params, size - group.hot)
    return jax.tree.map(lambda a, b: jnp.concatenate([a, b], axis=1), cool, hot)


def _first_kept(tries: Drawn) -> Drawn:
    """Of tries [T, P, ...] the first that is kept, or the last."""
    last = tries.counts.shape[0] - 1
    first = jnp.where((tries.counts > 0).any(0), (tries.counts > 0).argmax(0), last)
    prompts = jnp.arange(first.shape[0])
    chosen = jax.tree.map(lambda x: x[first, prompts], tries)
    return chosen._replace(spent=chosen.spent * (first + 1))


def _with_replay(drawn: Drawn, memory: Any) -> tuple[Drawn, Any]:
    """The group with an old success where it has none of its own; the memory with the newest success."""
    accepted = drawn.rewards >= 1
    solved = accepted.any(-1)
    use = ~solved & memory["has"]
    place = accepted.argmax(-1)
    rows = jnp.arange(place.shape[0])

    def keep(old, x):
        new = x[rows, place]
        return jnp.where(solved.reshape(-1, *[1] * (new.ndim - 1)), new, old)

    def put(old, x):
        last = jnp.where(use.reshape(-1, *[1] * (old.ndim - 1)), old, x[:, -1])
        return x.at[:, -1].set(last.astype(x.dtype))

    rollouts = jax.tree.map(put, memory["stored"], drawn.rollouts)
    rewards = drawn.rewards.at[:, -1].set(jnp.where(use, 1, drawn.rewards[:, -1]))
    later = {
        **memory,
        "stored": jax.tree.map(keep, memory["stored"], drawn.rollouts),
        "has": memory["has"] | solved,
    }
    return drawn._replace(rollouts=rollouts, rewards=rewards), later
