"""Every world keeps the promises of `World`; a new one is added to `EXAMPLES`, and nothing else."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from symtheory.transformer import model, task
from symtheory.transformer.world import TransformerWorld
from symtheory.worlds import World, make_bandit, make_hashed_tree, make_tree

SUCCESS = [0.05, 0.4, 0.9]
SIZE = 600


def transformer(asked, seed=0):
    prompts = task.pick(asked.prompts(), jnp.array([0, 3, 6]))
    config = model.ModelConfig(asked.vocab, prompts.tokens.shape[1] + asked.length, 1, 8, 2, "float64")
    base = jax.tree.map(lambda x: x.astype(float), model.init(jax.random.key(seed), config))
    return TransformerWorld(base, prompts, config, asked)


EXAMPLES = {
    "bandit": lambda: make_bandit(jax.random.key(1), SUCCESS, trajectories=12, correct=3),
    "bandit with features": lambda: make_bandit(jax.random.key(1), SUCCESS, trajectories=12, correct=3, features=4),
    "tree": lambda: make_tree(jax.random.key(1), SUCCESS, depth=3, branching=2, density=0.3),
    "tree with features": lambda: make_tree(jax.random.key(1), SUCCESS, depth=3, branching=2, density=0.3, features=4),
    "hashed tree": lambda: make_hashed_tree(jax.random.key(1), SUCCESS, depth=4, branching=2, solutions=3, slots=16),
    "transformer": lambda: transformer(task.Congruence(base=4, moduli=(2, 4))),
    "transformer with an end token": lambda: transformer(task.Addition(digits=1, count=8)),
}


made = functools.cache(lambda name: jax.jit(EXAMPLES[name])())


@pytest.fixture(params=EXAMPLES)
def world(request):
    return made(request.param)


def close(a, b):
    return all(np.allclose(x, y, atol=1e-9) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True))


def within_errors(samples, mean, deviation=None, errors=4.5):
    """Whether the mean over the last axis of `samples[P, n]` is `mean[P]`, in standard errors."""
    deviation = samples.std(-1, ddof=1) if deviation is None else deviation
    return bool((np.abs(samples.mean(-1) - mean) <= errors * deviation / np.sqrt(samples.shape[-1])).all())


def kinds(world):
    """The worlds that inherit from this class: dataclasses, which hold what they need."""
    below = world.__subclasses__()
    return {kind for kind in below if dataclasses.is_dataclass(kind)}.union(*map(kinds, below))


def test_every_world_has_an_example():
    assert {type(made(name)) for name in EXAMPLES} == kinds(World)


@jax.jit
def observed(world, params):
    rollouts = world.sample(jax.random.key(2), params, SIZE)
    exact = not (isinstance(world, TransformerWorld) and world.task.end is not None)
    entropy = world.entropy(params) if exact else None
    some = jnp.array([2, 0])
    own = params if world.prompt_weight != 1 else jax.tree.map(lambda x: x[some], params)
    success = world.success(params)
    alone = world.take(some).success(own) - success[some]
    return success, entropy, world.reward(rollouts), world.log_prob(params, rollouts), alone


def test_a_world_keeps_its_promises(world):
    success, entropy, rewards, log_prob, alone = jax.tree.map(np.asarray, observed(world, world.init()))
    assert success.shape == (3,)
    assert ((success > 0) & (success < 1)).all()
    assert rewards.shape == log_prob.shape == (3, SIZE)
    assert set(np.unique(rewards)) <= {0, 1}
    assert within_errors(rewards, success, np.sqrt(success * (1 - success)))
    assert entropy is None or within_errors(-log_prob, entropy)
    assert np.allclose(alone, 0)  # some of its prompts, taken alone, are a world with the same success


@jax.jit
def gradients(world, params, weight, weights):
    few = world.sample(jax.random.key(3), params, 4)
    return [
        [kind.policy_gradient(world, params, few, weights), kind.success_gradient(world, params, weight)]
        for kind in (type(world), World)
    ], world.success_gradients(params, jnp.arange(3))


def test_gradients_of_a_world_are_those_of_its_log_prob_and_success(world):
    weight = jnp.array([0.5, -1.0, 2.0])
    (own, default), rows = gradients(world, world.init(), weight, jnp.arange(12.0).reshape(3, 4) - 5)
    assert close(own, default)
    assert close(own[1], jax.tree.map(lambda x: jnp.tensordot(weight, x, axes=1), rows))
