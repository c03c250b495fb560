"""Base models of the transformer, pretrained to partial competence, and what all its studies share."""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from ... import estimators
from ...errors import InputError, no_such
from ...storage import provenance
from ...transformer import model, train
from ...transformer import task as tasks
from ..controlled import DESIGN_SEEDS, FRESH_SEEDS

Report = Callable[[str, int, int, int], None]
"""Called with a stage, how much of it is done, how much there is, and the rollouts of the part just done."""


@dataclass(frozen=True)
class Base:
    """A base model and how far it is pretrained."""

    task: str = "expression"
    layers: int = 2
    width: int = 64
    heads: int = 4
    dtype: str = "float32"
    steps: int = 400
    batch: int = 128
    rate: float = 4e-3

    def __post_init__(self):
        if self.task not in tasks.TASKS:
            raise no_such("task", self.task, tasks.TASKS)
        for name, value in (("layers", self.layers), ("width", self.width), ("pretraining", self.steps)):
            if value < 1:
                raise InputError(f"{name} must be at least 1, got {value}")
        if self.width % self.heads:
            raise InputError(f"width must be a multiple of the {self.heads} heads, got {self.width}")

    def make_task(self) -> tasks.Task:
        return tasks.TASKS[self.task]()

    def model_config(self) -> model.ModelConfig:
        asked = self.make_task()
        context = asked.prompts().tokens.shape[-1] + asked.length
        return model.ModelConfig(asked.vocab, context, self.layers, self.width, self.heads, self.dtype)


def blocks(seeds: int, confirm: bool) -> list[int]:
    """The seeds of the design block, and of the fresh block if it is asked for.

    >>> blocks(2, True)
    [0, 1, 1000, 1001]
    """
    starts = (DESIGN_SEEDS, FRESH_SEEDS) if confirm else (DESIGN_SEEDS,)
    return [start + i for start in starts for i in range(seeds)]


def setting(update: train.Update) -> str:
    """Name of a setting: its optimiser and learning rate.

    >>> setting(train.Update(learning_rate=1e-4))
    'Adam 0.0001'
    """
    return f"{update.optimizer.upper() if update.optimizer == 'sgd' else 'Adam'} {update.learning_rate:g}"


def shard_runs(function: Callable, count: int, runs_at_once: int, jit: Callable = jax.jit) -> Callable:
    """`train.over_runs` on as many devices as there are, for `count` runs, which are padded to fill them."""
    devices = jax.devices()[: max(1, min(len(jax.devices()), count))]
    mapped = train.over_runs(function, devices, runs_at_once, jit)
    filler = np.arange(math.ceil(count / len(devices)) * len(devices)) % count
    layout = NamedSharding(Mesh(np.array(devices), ("run",)), PartitionSpec("run"))

    def call(*arguments):
        # what one program made on fewer devices, as base models of one seed, moves to all of this one's
        full = arguments if len(filler) == count else jax.tree.map(lambda x: x[filler], arguments)
        found = mapped(*jax.device_put(full, layout))
        return found if len(filler) == count else jax.tree.map(lambda x: x[:count], found)

    return call


def keys_of(seeds: Sequence[int], purpose: int) -> jax.Array:
    """A key for each seed and purpose: 0 base model, 1 prompts, 2 rollouts, 3 rollouts before a single step."""
    return jax.vmap(lambda seed: jax.random.fold_in(jax.random.key(seed), purpose))(jnp.asarray(seeds))


def base_models(base: Base, seeds: int, runs_at_once: int, jit: Callable = jax.jit) -> Callable:
    """The function from one key for each of `seeds` to the parameters of their base models."""
    asked = base.make_task()
    prompts, model_config = asked.prompts(), base.model_config()

    def pretrain(key):
        return train.pretrain(key, model_config, asked, prompts, base.steps, base.batch, base.rate)

    return shard_runs(pretrain, seeds, runs_at_once, jit)


def settings_of(config: Any, function: Callable) -> dict:
    """What determines a result of `function` but its seeds, which name the part that is kept by itself; plain data."""
    settings = {name: value for name, value in asdict(config).items() if name not in ("seeds", "confirm")}
    links = [link for name in config.estimators for link in estimators.get(name).links]
    return {**settings, **provenance.made_by(function, *links)}
