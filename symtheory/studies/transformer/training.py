"""The replay: the real GRPO update on a small transformer, over estimators and seeds, as labelled results.

`training` follows experiments I, II and A-GRAE of the paper (Figs. 2-5, 9, 10, Tables 3, 6, 7) from a base model that
was pretrained to partial competence; `one_step` holds single steps against Theorem 1, the tree of tokens and the
empirical tangent kernel. Seeds are independent in everything: base model, prompts, rollouts.
"""

import functools
import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Literal, cast

import jax
import jax.numpy as jnp
import numpy as np
import optax
import xarray as xr
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from ... import estimators
from ...dynamics.sampled import State, StepInfo, advantage_of
from ...errors import InputError, no_such
from ...storage import checkpoint, provenance, store
from ...transformer import model, predict, train
from ...transformer import task as tasks
from ..controlled import DESIGN_SEEDS, FRESH_SEEDS

Report = Callable[[str, int, int, int], None]
"""Called with a stage, how much of it is done, how much there is, and the rollouts of the part just done."""

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

    def make_task(self) -> tasks.Task:
        return tasks.TASKS[self.task]()

    def shape(self) -> model.Shape:
        asked = self.make_task()
        context = asked.prompts().tokens.shape[-1] + asked.length
        return model.Shape(asked.vocab, context, self.layers, self.width, self.heads, self.dtype)


@dataclass(frozen=True)
class Training:
    """GRPO training of base models under several estimators."""

    base: Base = Base()
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


def blocks(seeds: int, confirm: bool) -> list[int]:
    """The seeds of the design block, and of the fresh block if it is asked for.

    >>> blocks(2, True)
    [0, 1, 1000, 1001]
    """
    starts = (DESIGN_SEEDS, FRESH_SEEDS) if confirm else (DESIGN_SEEDS,)
    return [start + i for start in starts for i in range(seeds)]


@dataclass(frozen=True)
class OneStep:
    """Single steps of many base models, compared with three predictions."""

    base: Base = Base(task="congruence", batch=128, rate=2e-3)
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


def setting(update: train.Update) -> str:
    """Name of a setting: its optimiser and learning rate.

    >>> setting(train.Update(learning_rate=1e-4))
    'Adam 0.0001'
    """
    return f"{update.optimizer.upper() if update.optimizer == 'sgd' else 'Adam'} {update.learning_rate:g}"


def spread(function: Callable, count: int, runs_at_once: int) -> Callable:
    """`train.over_runs` on as many devices as there are, for `count` runs, which are padded to fill them."""
    devices = jax.devices()[: max(1, min(len(jax.devices()), count))]
    mapped = train.over_runs(function, devices, runs_at_once)
    filler = np.arange(math.ceil(count / len(devices)) * len(devices)) % count
    layout = NamedSharding(Mesh(np.array(devices), ("run",)), PartitionSpec("run"))

    def call(*arguments):
        # what one program made on fewer devices, as base models of one seed, moves to all of this one's
        padded = jax.device_put(jax.tree.map(lambda x: x[filler], arguments), layout)
        return jax.tree.map(lambda x: x[:count], mapped(*padded))

    return call


def keys_of(seeds: Sequence[int], purpose: int) -> jax.Array:
    """A key for each seed and purpose: 0 base model, 1 prompts, 2 rollouts, 3 rollouts before a single step."""
    return jax.vmap(lambda seed: jax.random.fold_in(jax.random.key(seed), purpose))(jnp.asarray(seeds))


def base_models(base: Base, seeds: int, runs_at_once: int) -> Callable:
    """The function from one key for each of `seeds` to the parameters of their base models."""
    asked = base.make_task()
    prompts, shape = asked.prompts(), base.shape()

    def pretrain(key):
        return train.pretrain(key, shape, asked, prompts, base.steps, base.batch, base.rate)

    return spread(pretrain, seeds, runs_at_once)


def training(
    config: Training, folder: Path, report: Report, *, seeds_at_once: int = 2, runs_at_once: int = 1
) -> xr.Dataset:
    """Train every estimator from every seed's base model.

    Seeds run in waves of `seeds_at_once`. A finished wave is kept in `folder`, an unfinished one goes on from its
    last checkpoint, and the numbers are those of an uninterrupted run.
    """
    seeds = config.all_seeds
    waves = [seeds[i : i + seeds_at_once] for i in range(0, len(seeds), seeds_at_once)]
    programs = functools.cache(lambda seeds: _programs(config, seeds, runs_at_once))  # one for all waves of a size
    steps, name = len(config.estimators) * config.steps, setting(config.update)
    parts = []
    for i, wave in enumerate(waves):
        only = {**settings_of(config, training), "wave": wave, "at_once": runs_at_once}
        place = folder / f"replay-wave-{store.digest(only)}.npz"

        def report_wave(done, rollouts, before=i * seeds_at_once * steps):
            report(name, before + done, len(seeds) * steps, rollouts)

        def make(wave=wave, place=place, report_wave=report_wave):
            return _train_wave(config, wave, programs(len(wave)), place, report_wave, runs_at_once)

        parts.append(store.cached(folder, "replay-wave", only, make))
        place.unlink(missing_ok=True)
        report_wave(len(wave) * steps, 0)
    return cast(
        xr.Dataset, xr.concat(parts, "seed", combine_attrs="drop_conflicts", data_vars="minimal", coords="minimal")
    )


def settings_of(config: Training | OneStep, function: Callable) -> dict:
    """What determines a result of `function` but its seeds, which name the part that is kept by itself; plain data."""
    settings = {name: value for name, value in asdict(config).items() if name not in ("seeds", "confirm")}
    links = [link for name in config.estimators for link in estimators.get(name).links]
    return {**settings, **provenance.made_by(function, *links)}


def _programs(config: Training, seeds: int, runs_at_once: int) -> tuple[Callable, Callable, Callable]:
    """The compiled functions of a wave: base models, `stride` training steps of every run, their observation."""
    asked, shape = config.base.make_task(), config.base.shape()
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
            return train.step(key_step, state, shape, asked, learned, advantage, config.update, base)

        state, info = jax.lax.scan(one, state, first + jnp.arange(config.stride))
        return state, jax.tree.map(lambda x: x.mean(0), info)

    def observe(key_prompts, key, params):
        prompts = prompts_of(key_prompts)
        if asked.end is None:
            return train.observe(params, shape, asked, prompts), prompts.difficulty
        return train.observe_samples(key, params, shape, asked, prompts), prompts.difficulty

    runs = seeds * len(chain)
    return (
        base_models(config.base, seeds, runs_at_once),
        spread(advance, runs, runs_at_once),
        spread(observe, runs, runs_at_once),
    )


def _train_wave(config, wave, programs, place, report, runs_at_once) -> xr.Dataset:
    """All estimators from the base models of the seeds in `wave`, checkpointed at `place` after every stride."""
    pretrain, advance, observe = programs
    seed, index = np.indices((len(wave), len(config.estimators))).reshape(2, -1)
    key_prompts, key_rollouts = keys_of(wave, 1)[seed], keys_of(wave, 2)[seed]

    base = jax.tree.map(lambda x: x[seed], pretrain(keys_of(wave, 0)))
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
    return _labelled(config, wave, history, np.asarray(difficulty))


def _labelled(config: Training, wave, history, difficulty) -> xr.Dataset:
    seen, batches = history
    sizes = (len(wave), len(config.estimators))

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
        "seed": wave,
        "step": np.arange(0, config.steps + 1, config.stride),
        "split": ["train", "held_out"],
    }
    exact = config.base.make_task().end is None
    return xr.Dataset(variables, coords, {"samples": 0 if exact else train.SAMPLES})


def one_step(config: OneStep, folder: Path, report: Report, *, runs_at_once: int = 1) -> xr.Dataset:
    """Agreement of single steps with their predictions; dims size, depth, history, batch, estimator, seed and draw."""
    waves = [blocks(config.seeds, False)] + [blocks(config.seeds, True)[config.seeds :]] * config.confirm
    cells = list(itertools.product(config.sizes, waves, config.depths, config.histories))
    programs = functools.cache(lambda base: _step_programs(config, base, runs_at_once))  # only if something is missing
    parts = []
    for (layers, width), wave, depth, history in cells:
        base = replace(config.base, layers=layers, width=width)
        own = replace(config, sizes=((layers, width),), depths=(depth,), histories=(history,))
        only = settings_of(own, one_step)

        def make(base=base, wave=wave, depth=depth, history=history):
            return _one_step(config, replace(base, steps=depth), wave, history, programs(base), runs_at_once)

        made = store.cached(folder, "replay-one-step", {**only, "wave": wave, "at_once": runs_at_once}, make)
        parameters = model.size(model.init(jax.random.key(0), base.shape()))
        parts.append(made.expand_dims({"size": [parameters], "depth": [depth], "history": [history]}))
        report("one step", len(parts), len(cells), 0)
    return cast(
        xr.Dataset, xr.combine_by_coords(parts, compat="no_conflicts", combine_attrs="drop", data_vars="minimal")
    )


def _step_programs(config: OneStep, base: Base, runs_at_once: int) -> tuple[Callable, list[Callable]]:
    """The compiled functions: one GRPO step that fills Adam's memory, and the comparison for each batch size."""
    asked, shape = base.make_task(), base.shape()
    everything = asked.prompts()
    chain = [estimators.get(name) for name in config.estimators]
    before = train.Update(learning_rate=HISTORY_RATE, mini_batches=1)
    rates = jnp.array([rates for _, rates in config.rates])

    def warm(key, index, state):
        return train.step(key, state, shape, asked, everything, advantage_of(chain, index), before)[0]

    def agreement(batch, key, index, state):
        key_prompts, key_step = jax.random.split(key)
        order = jax.random.permutation(key_prompts, everything.tokens.shape[0])
        prompts = tasks.pick(everything, order[:batch])
        bystanders = tasks.pick(everything, order[batch : batch + config.bystanders])
        updates = [train.Update(optimizer=name, batch=batch, mini_batches=1) for name, _ in config.rates]
        memory = [state.optimizer if u.optimizer == "adam" else u.make_optimizer().init(()) for u in updates]
        at = State(state.params, memory)
        advantage = advantage_of(chain, index)
        return predict.one_step(key_step, at, shape, asked, prompts, bystanders, advantage, updates, rates)

    runs = len(chain) * config.seeds * config.draws
    compare = [spread(functools.partial(agreement, batch), runs, runs_at_once) for batch in config.batches]
    return spread(warm, runs, runs_at_once), compare


def _one_step(config: OneStep, base: Base, wave: list[int], history: int, programs, runs_at_once: int) -> xr.Dataset:
    warm, compare = programs
    index, seed, draw = np.indices((len(config.estimators), len(wave), config.draws)).reshape(3, -1)
    index = jnp.asarray(index)
    keys, before = (jax.vmap(jax.random.fold_in)(keys_of(wave, i)[seed], jnp.asarray(draw)) for i in (2, 3))
    params = jax.tree.map(lambda x: x[seed], base_models(base, len(wave), runs_at_once)(keys_of(wave, 0)))
    state = State(params, jax.vmap(optax.adam(HISTORY_RATE).init)(params))
    for t in range(history):
        state = warm(jax.vmap(jax.random.fold_in, (0, None))(before, t), index, state)
    found = [program(keys, index, state) for program in compare]
    stacked = predict.Agreement(*(np.stack([np.asarray(x) for x in field]) for field in zip(*found, strict=True)))
    return _labelled_steps(config, wave, stacked)


HISTORY_RATE = 1e-4
"""Learning rate of the GRPO steps that fill Adam's memory before a step is examined."""


def _labelled_steps(config: OneStep, wave, found: predict.Agreement) -> xr.Dataset:
    runs = ("batch", "estimator", "seed", "draw")
    sizes = (len(config.batches), len(config.estimators), len(wave), config.draws)

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
        "seed": wave,
        "optimizer": [name for name, _ in config.rates],
        "predictor": list(predict.PREDICTORS),
        "subset": list(predict.SUBSETS),
    }
    return xr.Dataset(variables, coords)
