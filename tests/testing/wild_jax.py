"""Advantage functions over jax arrays, as people write them; the truth about each is in `test_wild.py`."""

import jax
import jax.numpy as jnp


def flat(rewards: jax.Array, num_generations: int) -> jax.Array:
    g = rewards.reshape(-1, num_generations)
    return jnp.ravel((g - g.mean(-1, keepdims=True)) / (g.std(-1, ddof=1, keepdims=True) + 1e-6))


@jax.jit
def one_group(rewards):
    return (rewards - jnp.mean(rewards)) / (jnp.std(rewards) + 1e-4)


def grpo_jax(rewards: jnp.ndarray):
    return (rewards - rewards.mean(-1, keepdims=True)) / (jnp.std(rewards, axis=-1, keepdims=True) + 1e-6)
