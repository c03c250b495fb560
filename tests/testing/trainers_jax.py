"""Advantage functions of jax trainers, most of whose bodies never name jax; the truth is in `test_trainers.py`."""

from __future__ import annotations

from dataclasses import dataclass

from jax import Array
from jax import numpy as np


def one_group(rewards):
    return (rewards - rewards.mean()) / (rewards.std(ddof=1) + 1e-4)


def flat(rewards: Array, num_generations: int):
    g = rewards.reshape(-1, num_generations)
    return (g - g.mean(-1, keepdims=True)).ravel()


@dataclass(frozen=True)
class Head:
    group_size: int = 4
    scale: float = 2.0

    def centred(self, rewards):
        g = rewards.reshape(-1, self.group_size)
        return (g - g.mean(1, keepdims=True)).reshape(-1)

    def __call__(self, rewards):
        return np.multiply(self.centred(rewards), self.scale)


head = Head()


def on_the_host(rewards):
    """Written into in place, which jax arrays do not allow."""
    out = rewards.copy()
    out[:] -= out.mean()
    return out
