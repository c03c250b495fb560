"""Single GRPO steps of many base models, held against Theorem 1, the token tree and the tangent kernel."""

import functools
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, cast

import jax
import jax.numpy as jnp
import numpy as np
import optax
import xarray as xr

from ... import estimators
from ...dynamics.sampled import State, advantage_of
from ...storage import store
from ...transformer import model, predict, train
from ...transformer import task as tasks
from .base import Base, Report, base_models, blocks, keys_of, settings_of, shard_runs


@dataclass(frozen=True)
class OneStep:
    """Single steps of many base models, compared with three predictions."""

    base: Base = field(default_factory=lambda: Base(task="congruence", batch=128, rate=2e-3))
    sizes: tuple[tuple[int, int], ...] = ((2, 64),)
    """layers and width of the base models, in place of those of `base`"""
    depths: tuple[int, ...] = (150, 600)
    """pretraining steps of the base models"""
    estimators: tuple[str, ...] = ("grpo", "negative_dominant", "positive_dominant")
    batches: tuple[int, ...] = (1, 16)
    """prompts in the step"""
    rates: tuple[tuple[Literal["adam", "sgd"], tuple[float, ...]], ...] = (
        ("sgd", (1e-3, 1e-2, 1e-1, 1.0)),
        ("adam", (1e-5, 1e-4, 1e-3, 1e-2)),
    )
    """optimisers with their learning rates"""
    histories: tuple[int, ...] = (0, 20)
    """GRPO steps taken before, which fill Adam's memory; at 0 it is empty and Adam's step is nearly a sign"""
    seeds: int = 4
    confirm: bool = False
    draws: int = 1
    """independent steps from each base model"""
    bystanders: int = 8
    """prompts outside the batch that are watched"""


def one_step(config: OneStep, folder: Path, report: Report, *, runs_at_once: int = 1) -> xr.Dataset:
    """Agreement of single steps with their predictions; dims size, depth, history, batch, estimator, seed and draw."""
    blocks_of_seeds = [blocks(config.seeds, False)] + [blocks(config.seeds, True)[config.seeds :]] * config.confirm
    cells = list(itertools.product(config.sizes, blocks_of_seeds, config.depths, config.histories))
    programs = functools.cache(lambda base: _step_programs(config, base, runs_at_once))  # only if something is missing
    parts = []
    for (layers, width), seeds, depth, history in cells:
        base = replace(config.base, layers=layers, width=width)
        own = replace(config, sizes=((layers, width),), depths=(depth,), histories=(history,))
        only = settings_of(own, one_step)

        def make(base=base, seeds=seeds, depth=depth, history=history):
            return _one_step(config, replace(base, steps=depth), seeds, history, programs(base), runs_at_once)

        made = store.cached(folder, "replay-one-step", {**only, "seeds": seeds, "at_once": runs_at_once}, make)
        parameters = model.size(model.init(jax.random.key(0), base.model_config()))
        parts.append(made.expand_dims({"size": [parameters], "depth": [depth], "history": [history]}))
        report("one step", len(parts), len(cells), 0)
    return cast(
        xr.Dataset, xr.combine_by_coords(parts, compat="no_conflicts", combine_attrs="drop", data_vars="minimal")
    )


def _step_programs(config: OneStep, base: Base, runs_at_once: int) -> tuple[Callable, list[Callable]]:
    """The compiled functions: one GRPO step that fills Adam's memory, and the comparison for each batch size."""
    asked, model_config = base.make_task(), base.model_config()
    everything = asked.prompts()
    chain = [estimators.get(name) for name in config.estimators]
    before = train.Update(learning_rate=HISTORY_RATE, mini_batches=1)
    rates = jnp.array([rates for _, rates in config.rates])

    def warm(key, index, state):
        return train.step(key, state, model_config, asked, everything, advantage_of(chain, index), before)[0]

    def agreement(batch, key, index, state):
        key_prompts, key_step = jax.random.split(key)
        order = jax.random.permutation(key_prompts, everything.tokens.shape[0])
        prompts = tasks.pick(everything, order[:batch])
        bystanders = tasks.pick(everything, order[batch : batch + config.bystanders])
        updates = [train.Update(optimizer=name, batch=batch, mini_batches=1) for name, _ in config.rates]
        memory = [state.optimizer if u.optimizer == "adam" else u.make_optimizer().init(()) for u in updates]
        at = State(state.params, memory)
        advantage = advantage_of(chain, index)
        return predict.one_step(key_step, at, model_config, asked, prompts, bystanders, advantage, updates, rates)

    runs = len(chain) * config.seeds * config.draws
    compare = [shard_runs(functools.partial(agreement, batch), runs, runs_at_once) for batch in config.batches]
    return shard_runs(warm, runs, runs_at_once), compare


def _one_step(config: OneStep, base: Base, seeds: list[int], history: int, programs, runs_at_once: int) -> xr.Dataset:
    warm, compare = programs
    index, seed, draw = np.indices((len(config.estimators), len(seeds), config.draws)).reshape(3, -1)
    index = jnp.asarray(index)
    keys, before = (jax.vmap(jax.random.fold_in)(keys_of(seeds, i)[seed], jnp.asarray(draw)) for i in (2, 3))
    params = jax.tree.map(lambda x: x[seed], base_models(base, len(seeds), runs_at_once)(keys_of(seeds, 0)))
    state = State(params, jax.vmap(optax.adam(HISTORY_RATE).init)(params))
    for t in range(history):
        state = warm(jax.vmap(jax.random.fold_in, (0, None))(before, t), index, state)
    found = [program(keys, index, state) for program in compare]
    stacked = predict.Agreement(*(np.stack([np.asarray(x) for x in field]) for field in zip(*found, strict=True)))
    return _labelled_steps(config, seeds, stacked)


HISTORY_RATE = 1e-4
"""Learning rate of the GRPO steps that fill Adam's memory before a step is examined."""


def _labelled_steps(config: OneStep, seeds, found: predict.Agreement) -> xr.Dataset:
    runs = ("batch", "estimator", "seed", "draw")
    sizes = (len(config.batches), len(config.estimators), len(seeds), config.draws)

    def labelled(x, dims, about):
        return (*runs, "optimizer", "rate", *dims), x.reshape(*sizes, *x.shape[2:]), {"long_name": about}

    variables = {
        "r2": labelled(found.r2, ("predictor", "subset"), "share of the squared change of log pi explained"),
        "rms": labelled(found.rms, ("subset",), "root mean square change of log pi"),
        "rose": labelled(found.rose, ("subset",), "share of completions whose probability rose"),
        "bystanders": labelled(found.bystanders, (), "root mean square change for prompts outside the batch"),
        "total": labelled(found.total, (), "largest distance from 1 of a sum of probabilities"),
        "learning_rate": (("optimizer", "rate"), np.array([rates for _, rates in config.rates])),
    }
    coords = {
        "batch": list(config.batches),
        "estimator": list(config.estimators),
        "seed": seeds,
        "optimizer": [name for name, _ in config.rates],
        "predictor": list(predict.PREDICTORS),
        "subset": list(predict.SUBSETS),
    }
    return xr.Dataset(variables, coords)
