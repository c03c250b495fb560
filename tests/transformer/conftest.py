"""A task and a transformer small enough that a test can look at all of it."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import pytest

from symtheory.transformer import model, task


@dataclass(frozen=True)
class Tiny(task.Congruence):
    """Sixteen completions of two tokens; correct iff x + 2y + a = 0 mod d."""

    base: int = 4
    moduli: tuple[int, ...] = (2, 4)
    length: int = 2

    def reward(self, facts, completions):
        x, y = completions[..., 0], completions[..., 1]
        return ((x + 2 * y + facts[..., 0]) % facts[..., 1] == 0).astype(jnp.float32)


@pytest.fixture(scope="session")
def tiny():
    """(task, config, parameters) in float32."""
    config = model.ModelConfig(vocab=4, context=4, layers=1, width=8, heads=2)
    return Tiny(), config, jax.jit(lambda key: model.init(key, config))(jax.random.key(3))
