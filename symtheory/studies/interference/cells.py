"""A cell of the test: a world, a base policy's competence and an optimiser; and what its studies share."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from ... import estimators
from ...dynamics import Update, advantage_of, interference
from ...dynamics.devices import quick_jit
from ...dynamics.sampled import State
from ...dynamics.sampled import step as sampled_step
from ...estimators import Estimator, chain
from ...storage import checkpoint, provenance, store
from ...transformer import model, train
from ...transformer import task as tasks
from ...transformer.world import TransformerWorld
from ...worlds import World, make_bandit, make_tree
from ..transformer.base import Base, base_models, keys_of, shard_runs

ESTIMATORS = ("grpo", "hard_focused", "easy_focused", "positive_dominant", "negative_dominant", "agrae")
KS = (4, 16, 64, 256)
GROUP = 8
MARKS = (0.5, 1.0)
"""Where runs are read, as shares of the gain in training pass@1 that a cell asks for."""
ON_TIME = 0.6
"""Share of the steps after which the mean field of a run has gained what its cell asks for."""
PREDICTORS = ("base kernel", "tangent kernel", "mean field")
NOISY = "mean field and noise"
"""The fourth predictor, added after the first test: what sampling noise costs, along the path of the mean field."""
DRAWS = 8
"""Sampled steps from which the noise is taken at each record of its path."""


class Problem(NamedTuple):
    """What a predictor is given: a base policy and two populations that share its parameters."""

    params: Any
    trained: World
    watched: World


@dataclass(frozen=True)
class TransformerCell:
    """Base models of the transformer; half of the prompts are trained on, the others watched."""

    base: Base
    optimizer: Literal["sgd", "adam"]
    gain: float
    """training pass@1 to gain"""
    steps: int = 80
    records: int = 5
    field_steps: int = 8
    """steps of the mean field; more where its first ones overshoot"""
    batch: int = 16
    prompts: int = 32
    """training prompts, and as many held-out ones; half of the task's prompts at most"""

    @property
    def name(self) -> str:
        b = self.base
        return f"{b.task}, {b.steps} pretraining steps, {b.layers} x {b.width}, {self.optimizer}"

    @property
    def update(self) -> train.Update:
        """Two mini-batches to a rollout batch, clipping at 0.2; rollouts weighted equally, as in the theorem."""
        return train.Update(GROUP, batch=self.batch, aggregation="sequence-sum", optimizer=self.optimizer)

    @property
    def prompts_in_a_step(self) -> int:
        return self.batch // self.update.mini_batches

    def problem(self, key, params) -> Problem:
        task, config = self.base.make_task(), self.base.model_config()
        everything = task.prompts()
        count = everything.tokens.shape[0]
        half = min(self.prompts, count // 2)
        order = jax.random.permutation(key, count)
        own, other = (tasks.pick(everything, order[i * half : (i + 1) * half]) for i in (0, 1))
        return Problem(
            *(params, TransformerWorld(params, own, config, task), TransformerWorld(params, other, config, task))
        )

    def bases(self, seeds: Sequence[int]) -> Any:
        """Parameters of the base model of each seed."""
        return base_models(self.base, len(seeds), 1, quick_jit)(keys_of(seeds, 0))

    def cached_bases(self, seeds: Sequence[int], folder: Path) -> Any:
        """The same, from a file in `folder` once they are made."""
        made_by = provenance.made_by(train.pretrain)
        path = folder / f"base-{store.digest({**asdict(self.base), 'seeds': list(seeds), **made_by})}.npz"
        like = jax.eval_shape(jax.vmap(lambda key: model.init(key, self.base.model_config())), keys_of(seeds, 0))
        found = checkpoint.find(path, like)
        if found is None:
            checkpoint.save(found := self.bases(seeds), path)
        return found

    def start(self, params) -> State:
        return State(params, self.update.make_optimizer().init(params))

    def step(self, key, state: State, problem: Problem, advantage, rate) -> State:
        world: Any = problem.trained
        update = replace(self.update, learning_rate=rate)
        return train.step(key, state, world.config, world.task, world.prompts, advantage, update)[0]

    @property
    def has_entropy(self) -> bool:
        """Whether the entropy over completions can be had: not where they end with a token of their own."""
        return self.base.make_task().end is None

    @property
    def updates(self) -> int:
        """Optimiser steps of a run."""
        return self.steps * self.update.mini_batches


@dataclass(frozen=True)
class SimulatedCell:
    """A bandit or tree with shared features; difficulties are drawn from Beta(a, b)."""

    world: Literal["bandit", "tree"]
    mix: tuple[float, float]
    optimizer: Literal["sgd", "adam"]
    gain: float
    steps: int = 160
    records: int = 8
    field_steps: int = 8
    prompts: int = 64

    @property
    def name(self) -> str:
        return f"{self.world}, Beta({self.mix[0]:g}, {self.mix[1]:g}), {self.optimizer}"

    @property
    def prompts_in_a_step(self) -> int:
        return self.prompts

    def problem(self, key, params) -> Problem:
        key_own, key_other = jax.random.split(key)
        trained, watched = self._population(key_own, params), self._population(key_other, params)
        return Problem(trained.init(), trained, watched)

    def _population(self, key, mix) -> World:
        key_success, key_world = jax.random.split(key)
        success = jnp.clip(jax.random.beta(key_success, mix[0], mix[1], (self.prompts,)), 0.001, 0.99)
        if self.world == "bandit":
            return make_bandit(key_world, success, trajectories=128, correct=12, features=32, feature_noise=1.0)
        return make_tree(key_world, success, depth=4, branching=3, features=16)

    def bases(self, seeds: Sequence[int]) -> Any:
        """The mix, once for each seed: an argument of the programs, so that all mixes share one."""
        return jnp.tile(jnp.asarray(self.mix), (len(seeds), 1))

    def cached_bases(self, seeds: Sequence[int], folder: Path) -> Any:
        return self.bases(seeds)

    def _optimizer(self, rate):
        return {"sgd": optax.sgd, "adam": optax.adam}[self.optimizer](rate)

    def start(self, params) -> State:
        return State(params, self._optimizer(1.0).init(params))

    def step(self, key, state: State, problem: Problem, advantage, rate) -> State:
        return sampled_step(key, state, problem.trained, advantage, self._optimizer(rate), Update(GROUP))[0]

    @property
    def has_entropy(self) -> bool:
        return True

    @property
    def updates(self) -> int:
        return self.steps


Cell = TransformerCell | SimulatedCell


def world_of(cell: str) -> str:
    """The world of a cell, from its name.

    >>> world_of("bandit, Beta(1, 1), sgd"), world_of("addition, 60 pretraining steps, 1 x 32, adam")
    ('bandit', 'transformer')
    """
    first = cell.partition(",")[0]
    return "transformer" if first in tasks.TASKS else first


def switched(names: Sequence[str], index) -> Estimator:
    """The estimator that is the `index`-th of `names`; the index may be traced."""
    every = [estimators.get(name) for name in names]
    return chain(lambda a, g, op: jax.lax.switch(index, [lambda g, e=e: e(g, op) for e in every], g))


AXES = ("seed", "estimator", "mark", "k")


def coordinates(seeds: Sequence[int], names: Sequence[str]) -> dict[str, list]:
    return {"seed": list(seeds), "estimator": list(names), "mark": list(MARKS), "k": list(KS)}


def diagonal_of(cell: Cell, key, problem: Problem, estimator: Estimator, size: int = GROUP) -> Any:
    """The preconditioner of the cell's optimiser at the base policy, None for SGD."""
    if cell.optimizer == "sgd":
        return None
    advantage = advantage_of([estimator], 0)
    how = dict(prompts=cell.prompts_in_a_step)
    return interference.adam_diagonal(
        jax.random.fold_in(key, 3), problem.trained, problem.params, advantage, size, **how
    )


def observer_of(cell: Cell, problem: Problem) -> Callable[[Any], interference.Path]:
    return lambda params: interference.observe(params, problem.trained, problem.watched, entropy=cell.has_entropy)


def entropy_change(path: interference.Path, marks: tuple[float, ...]) -> np.ndarray:
    return np.full(len(marks), np.nan) if path.entropy is None else interference.changes(path, path.entropy, marks)


def over_runs(one: Callable, cell: Cell, seeds: Sequence[int], names: Sequence[str], folder: Path, numbers) -> Any:
    """`one(key, base policy, index of the estimator, number)` for every seed and estimator, seeds outermost.

    `numbers[seed, estimator]` is an argument, so that cells which differ in it share a program.
    """
    seed, index = np.indices((len(seeds), len(names))).reshape(2, -1)
    keys = jax.vmap(jax.random.key)(jnp.asarray(seeds))[seed]
    params = jax.tree.map(lambda x: x[seed], cell.cached_bases(seeds, folder))
    return shard_runs(one, len(seed), 1)(keys, params, jnp.asarray(index), jnp.asarray(numbers).reshape(-1))


def config_of(cell: Cell, seeds: Sequence[int], names: Sequence[str], function: Callable) -> dict[str, Any]:
    links = [link for name in names for link in estimators.get(name).links]
    made_by = provenance.made_by(function, *links)
    return {"kind": type(cell).__name__, **asdict(cell), "seeds": list(seeds), "estimators": list(names), **made_by}
