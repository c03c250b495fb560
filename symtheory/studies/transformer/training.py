"""GRPO training of the transformer under several estimators and seeds, as labelled results.

It follows experiments I, II and A-GRAE of the paper (Figs. 2-5, 9, 10, Tables 3, 6, 7). Seeds are independent in
everything: base model, prompts, rollouts.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from ... import estimators
from ...dynamics.sampled import State, StepInfo, advantage_of
from ...errors import InputError
from ...storage import checkpoint, store
from ...transformer import task as tasks
from ...transformer import train
from .base import Base, Report, base_models, blocks, keys_of, setting, settings_of, shard_runs

ESTIMATORS = (
    "grpo",
    "positive_dominant",
    "negative_dominant",
    "hard_focused",
    "easy_focused",
    "ddas",
    "ass",
    "agrae",
    "agrae_released",
)


@dataclass(frozen=True)
class Training:
    """GRPO training of base models under several estimators."""

    base: Base = field(default_factory=Base)
    update: train.Update = field(default_factory=lambda: train.Update(learning_rate=1e-4))
    estimators: tuple[str, ...] = ESTIMATORS
    seeds: int = 8
    confirm: bool = False
    """whether as many fresh seeds run too, which a verdict needs"""
    steps: int = 120
    stride: int = 15
    """steps between exact observations, and between checkpoints"""
    prompts: int = 64
    """training prompts, and as many held-out ones"""

    def __post_init__(self):
        for name in ("seeds", "steps", "stride"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.steps % self.stride:
            raise InputError(f"steps must be a multiple of stride, got {self.steps} and {self.stride}")
        for name in self.estimators:
            estimators.get(name)

    @property
    def all_seeds(self) -> list[int]:
        return blocks(self.seeds, self.confirm)


def training(
    config: Training, folder: Path, report: Report, *, seeds_at_once: int = 2, runs_at_once: int = 1
) -> xr.Dataset:
    """Train every estimator from every seed's base model.

    Seeds run in chunks of `seeds_at_once`. A finished chunk is kept in `folder`; an interrupted one resumes from its
    last checkpoint. The numbers are those of an uninterrupted run.
    """
    everyone = config.all_seeds
    chunks = [everyone[i : i + seeds_at_once] for i in range(0, len(everyone), seeds_at_once)]
    programs = functools.cache(lambda count: _programs(config, count, runs_at_once))  # one for all chunks of a size
    steps, name = len(config.estimators) * config.steps, setting(config.update)
    parts = []
    for i, seeds in enumerate(chunks):
        only = {**settings_of(config, training), "seeds": seeds, "at_once": runs_at_once}
        place = folder / f"replay-training-{store.digest(only)}.npz"

        def report_chunk(done, rollouts, before=i * seeds_at_once * steps):
            report(name, before + done, len(everyone) * steps, rollouts)

        def make(seeds=seeds, place=place, report_chunk=report_chunk):
            return _train_chunk(config, seeds, programs(len(seeds)), place, report_chunk, runs_at_once)

        parts.append(store.cached(folder, "replay-training", only, make))
        place.unlink(missing_ok=True)
        report_chunk(len(seeds) * steps, 0)
    return cast(
        xr.Dataset, xr.concat(parts, "seed", combine_attrs="drop_conflicts", data_vars="minimal", coords="minimal")
    )


def _programs(config: Training, seeds: int, runs_at_once: int) -> tuple[Callable, Callable, Callable]:
    """The compiled functions of a chunk: base models, `stride` training steps of every run, their observation."""
    asked, model_config = config.base.make_task(), config.base.model_config()
    everything = asked.prompts()
    chain = [estimators.get(name) for name in config.estimators]

    def prompts_of(key):
        chosen = jax.random.permutation(key, everything.tokens.shape[0])[: 2 * config.prompts]
        return tasks.pick(everything, chosen)

    def advance(key_prompts, key, index, first, state, base):
        learned = tasks.pick(prompts_of(key_prompts), slice(config.prompts))
        advantage = advantage_of(chain, index)

        def one(state, t):
            key_step = jax.random.fold_in(key, t)
            return train.step(key_step, state, model_config, asked, learned, advantage, config.update, base)

        state, info = jax.lax.scan(one, state, first + jnp.arange(config.stride))
        return state, jax.tree.map(lambda x: x.mean(0), info)

    def observe(key_prompts, key, params):
        prompts = prompts_of(key_prompts)
        if asked.end is None:
            return train.observe(params, model_config, asked, prompts), prompts.difficulty
        return train.observe_samples(key, params, model_config, asked, prompts), prompts.difficulty

    runs = seeds * len(chain)
    return (
        base_models(config.base, seeds, runs_at_once),
        shard_runs(advance, runs, runs_at_once),
        shard_runs(observe, runs, runs_at_once),
    )


def _train_chunk(config, seeds, programs, place, report, runs_at_once) -> xr.Dataset:
    """All estimators from the base models of `seeds`, checkpointed at `place` after every stride."""
    pretrain, advance, observe = programs
    seed, index = np.indices((len(seeds), len(config.estimators))).reshape(2, -1)
    key_prompts, key_rollouts = keys_of(seeds, 1)[seed], keys_of(seeds, 2)[seed]

    base = jax.tree.map(lambda x: x[seed], pretrain(keys_of(seeds, 0)))
    state = State(base, jax.vmap(config.update.make_optimizer().init)(base))
    reference = base if config.update.kl else None
    seen, difficulty = observe(key_prompts, key_rollouts, base)
    batches = StepInfo(*(np.full(len(seed), np.nan, np.float32),) * len(StepInfo._fields))
    records = config.steps // config.stride
    history = jax.tree.map(
        lambda x: np.stack([np.asarray(x)] + [np.full(x.shape, np.nan, np.float32)] * records), (seen, batches)
    )
    done = np.asarray(0)
    done, state, history = checkpoint.find(place, (done, state, history)) or (done, state, history)
    for record in range(int(done), records):
        first = jnp.full(len(seed), record * config.stride)
        state, batches = advance(key_prompts, key_rollouts, jnp.asarray(index), first, state, reference)
        seen, _ = observe(key_prompts, key_rollouts, state.params)
        for kept, new in zip(jax.tree.leaves(history), jax.tree.leaves((seen, batches)), strict=True):
            kept[record + 1] = new
        checkpoint.save((np.asarray(record + 1), state, history), place)
        steps = len(seed) * config.stride
        report(steps * (record + 1), steps * config.update.batch * config.update.group_size)
    return _labelled(config, seeds, history, np.asarray(difficulty))


def _labelled(config: Training, seeds, history, difficulty) -> xr.Dataset:
    seen, batches = history
    sizes = (len(seeds), len(config.estimators))

    def by_prompt(x, about, units):
        x = np.asarray(x).reshape(-1, *sizes, 2, config.prompts).transpose(2, 1, 0, 3, 4)
        return ("estimator", "seed", "step", "split", "prompt"), x, {"long_name": about, "units": units}

    def by_step(x, about):
        x = np.asarray(x).reshape(-1, *sizes).transpose(2, 1, 0)
        return ("estimator", "seed", "step"), x, {"long_name": about, "units": "1"}

    variables = {
        "success": by_prompt(seen.success, "probability that a rollout is correct", "1"),
        "success_cut": by_prompt(seen.success_cut, "the same at temperature 0.6 and top-p 0.95", "1"),
        "greedy": by_prompt(seen.greedy, "whether the greedy completion is correct", "1"),
        "entropy": by_prompt(seen.entropy, "entropy over completions", "nat"),
        "correct": by_step(batches.correct, "correct rollouts in a batch, mean since the last record"),
        "unsolved": by_step(batches.unsolved, "prompts of a batch without a correct rollout"),
        "abs_advantage": by_step(batches.abs_advantage, "sum of |A| over a group"),
        "imbalance": by_step(batches.imbalance, "sum of A over a group"),
        "difficulty": (("seed", "split", "prompt"), difficulty.reshape(*sizes, 2, -1)[:, 0]),
    }
    coords = {
        "estimator": list(config.estimators),
        "seed": seeds,
        "step": np.arange(0, config.steps + 1, config.stride),
        "split": ["train", "held_out"],
    }
    exact = config.base.make_task().end is None
    return xr.Dataset(variables, coords, {"samples": 0 if exact else train.SAMPLES})
