"""The test of the interference law: predictions from the base policy, then the runs that judge them.

A cell is a world, a base policy's competence and an optimiser. For every seed of a cell three predictors say, before
any training, what each estimator will have done to held-out pass@k by the time training pass@1 has gained so much:
the kernel at the base policy, the tangent kernel, and exact expected steps. Then the runs are made, as trainers make
them (sampled groups, mini-batches, clipping, Adam with its memory), and read at the same gains of training pass@1.

Estimators differ in speed by factors, and under SGD a slow one would never reach the reading. So each run has a
learning rate of its own: the one with which its mean field gains what is asked for after `ON_TIME` of the steps.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import xarray as xr

from .. import estimators
from ..dynamics import Update, advantage_of, expected, interference
from ..dynamics.sampled import State
from ..dynamics.sampled import step as sampled_step
from ..estimators import Estimator, chain
from ..metrics.passk import pass_at_k
from ..storage import checkpoint, provenance, store
from ..transformer import model, train
from ..transformer import task as tasks
from ..transformer.world import TransformerWorld
from ..worlds import World, make_bandit, make_tree
from .transformer.base import Base, base_models, keys_of, shard_runs

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
            *(
                params,
                TransformerWorld(params, own, config, task),
                TransformerWorld(params, other, config, task),
            )
        )

    def bases(self, seeds: Sequence[int]) -> Any:
        """Parameters of the base model of each seed."""
        return base_models(self.base, len(seeds), 1)(keys_of(seeds, 0))

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


def switched(names: Sequence[str], index) -> Estimator:
    """The estimator that is the `index`-th of `names`; the index may be traced."""
    every = [estimators.get(name) for name in names]
    return chain(lambda a, g, op: jax.lax.switch(index, [lambda g, e=e: e(g, op) for e in every], g))


def predictions(cell: Cell, seeds: Sequence[int], folder: Path, names: Sequence[str] = ESTIMATORS) -> xr.Dataset:
    """What each predictor says of each estimator and seed, from the base policy alone; kept in `folder`.

    `gain` is held-out pass@k minus the base policy's, dims (predictor, seed, estimator, mark, k); `entropy` the same of
    entropy (nats; nan under the tangent kernel, which does not follow it); `rate` the learning
    rate of the run, `base` the base policy's pass@k and `start` its training pass@1.
    """
    config = _config(cell, seeds, names, predictions)
    return store.cached(
        folder, "interference-predictions", config, lambda: _predictions(cell, list(seeds), names, folder)
    )


def _predictions(cell: Cell, seeds: list[int], names: Sequence[str], folder: Path) -> xr.Dataset:
    marks = [mark * cell.gain for mark in MARKS]

    def one(key, params, index, gain):
        problem = cell.problem(jax.random.fold_in(key, 1), params)
        estimator = switched(names, index)
        diagonal = _diagonal(cell, key, problem, estimator)
        kernel = interference.kernel(*problem, diagonal, entropy=cell.has_entropy)
        weight = expected.slope(estimator, GROUP, kernel.trained)
        slopes = jnp.stack([interference.slope(kernel, weight, k) for k in KS])
        of_entropy = interference.entropy_slope(kernel, weight) if cell.has_entropy else jnp.nan * slopes[0]
        # a little farther than the last mark, so that rounding of the clock does not leave it out
        tangent = interference.tangent(kernel, estimator, GROUP, gain=1.1 * gain)
        how = dict(gain=1.2 * gain, steps=cell.field_steps, diagonal=diagonal, observer=_observer(cell, problem))
        drift, time = interference.drift(*problem, estimator, GROUP, **how)
        return slopes, of_entropy, tangent, drift, time

    found = _over_runs(one, cell, seeds, names, folder, jnp.full((len(seeds), len(names)), cell.gain))
    slopes, of_entropy, tangent, drift, time = jax.tree.map(lambda x: np.asarray(x, float), found)
    count = len(seeds) * len(names)
    paths = [[jax.tree.map(lambda x, i=i: x[i], path) for i in range(count)] for path in (tangent, drift)]
    gains = [np.array([[m * s for m in marks] for s in slopes])]
    gains += [np.array([interference.gains(path, KS, tuple(marks)) for path in own]) for own in paths]
    entropies = [of_entropy[:, None] * np.array(marks), np.full((count, len(marks)), np.nan)]
    entropies += [np.array([_entropy_change(path, tuple(marks)) for path in paths[1]])]
    passed = drift.trained.mean(-1)
    clock = np.array([interference.at_gain(p, t, cell.gain) for p, t in zip(passed, time, strict=True)])
    sizes = (len(seeds), len(names))
    watched = drift.watched[:, 0].reshape(*sizes, -1)[:, 0]
    return xr.Dataset(
        {
            "gain": (("predictor", *AXES), np.reshape(gains, (3, *sizes, len(MARKS), len(KS)))),
            "entropy": (("predictor", *AXES[:-1]), np.reshape(entropies, (3, *sizes, len(MARKS)))),
            "rate": (("seed", "estimator"), (clock / (ON_TIME * cell.updates)).reshape(sizes)),
            "base": (("seed", "k"), np.mean(pass_at_k(watched[..., None], np.asarray(KS)), axis=1)),
            "start": ("seed", passed[:, 0].reshape(sizes)[:, 0]),
        },
        {"predictor": list(PREDICTORS), **_coordinates(seeds, names)},
    )


AXES = ("seed", "estimator", "mark", "k")


def _coordinates(seeds: Sequence[int], names: Sequence[str]) -> dict[str, list]:
    return {"seed": list(seeds), "estimator": list(names), "mark": list(MARKS), "k": list(KS)}


def _diagonal(cell: Cell, key, problem: Problem, estimator: Estimator, size: int = GROUP) -> Any:
    """The preconditioner of the cell's optimiser at the base policy, None for SGD."""
    if cell.optimizer == "sgd":
        return None
    advantage = advantage_of([estimator], 0)
    how = dict(prompts=cell.prompts_in_a_step)
    return interference.adam_diagonal(
        jax.random.fold_in(key, 3), problem.trained, problem.params, advantage, size, **how
    )


def _observer(cell: Cell, problem: Problem) -> Callable[[Any], interference.Path]:
    return lambda params: interference.observe(params, problem.trained, problem.watched, entropy=cell.has_entropy)


def _entropy_change(path: interference.Path, marks: tuple[float, ...]) -> np.ndarray:
    return np.full(len(marks), np.nan) if path.entropy is None else interference.changes(path, path.entropy, marks)


def _over_runs(one: Callable, cell: Cell, seeds: Sequence[int], names: Sequence[str], folder: Path, numbers) -> Any:
    """`one(key, base policy, index of the estimator, number)` for every seed and estimator, seeds outermost.

    `numbers[seed, estimator]` is an argument, so that cells which differ in it share a program.
    """
    seed, index = np.indices((len(seeds), len(names))).reshape(2, -1)
    keys = jax.vmap(jax.random.key)(jnp.asarray(seeds))[seed]
    params = jax.tree.map(lambda x: x[seed], cell.cached_bases(seeds, folder))
    return shard_runs(one, len(seed), 1)(keys, params, jnp.asarray(index), jnp.asarray(numbers).reshape(-1))


def noisy_predictions(cell: Cell, predicted: xr.Dataset, folder: Path) -> xr.Dataset:
    """The fourth predictor for the seeds, estimators and learning rates of `predicted`; kept in `folder`.

    Along the path of the mean field, each of the run's steps also changes pass@k, entropy and training pass@1 by the
    noise term of `interference.noise`; these add up. `gain` and `entropy` are read where training pass@1 with its noise
    has gained each mark; nan where it does not on a path that is half as long again.
    """
    seeds, names = predicted.seed.values.tolist(), predicted.estimator.values.tolist()
    rates = np.nan_to_num(predicted.rate.values).round(12)
    config = {**_config(cell, seeds, names, noisy_predictions), "rates": rates.tolist()}
    return store.cached(folder, "interference-noise", config, lambda: _noisy(cell, seeds, names, rates, folder))


def _noisy(cell: Cell, seeds: list[int], names: list[str], rates: np.ndarray, folder: Path) -> xr.Dataset:
    def one(key, params, index, rate):
        problem = cell.problem(jax.random.fold_in(key, 1), params)
        estimator = switched(names, index)
        diagonal = _diagonal(cell, key, problem, estimator)
        observer = _observer(cell, problem)

        def reading(params):
            seen = observer(params)
            passed = pass_at_k(seen.watched[:, None], jnp.asarray(KS)).mean(0)
            return jnp.array([seen.trained.mean(), *passed, jnp.nan if seen.entropy is None else seen.entropy])

        def both(params):
            key_noise = jax.random.fold_in(key, 4)
            how = dict(rate=rate, prompts=cell.prompts_in_a_step, draws=DRAWS, diagonal=diagonal)
            cost = interference.noise(key_noise, params, problem.trained, estimator, GROUP, reading, **how)
            return reading(params), cost

        # steps as long as those of `_predictions`, half as many again
        how = dict(gain=1.8 * cell.gain, steps=cell.field_steps * 3 // 2, records=6, diagonal=diagonal)
        return interference.drift(*problem, estimator, GROUP, **how, observer=both)

    found = _over_runs(one, cell, seeds, names, folder, rates)
    (seen, cost), time = jax.tree.map(lambda x: np.asarray(x, float), found)
    with np.errstate(all="ignore"):
        updates = np.diff(time, axis=1) / rates.reshape(-1, 1)
    # the noise of a step between two records is the mean of theirs
    added = np.cumsum(updates[..., None] * (cost[:, 1:] + cost[:, :-1]) / 2, axis=1)
    readings = seen + np.concatenate([np.zeros_like(added[:, :1]), added], axis=1)
    marks = [mark * cell.gain for mark in MARKS]
    gains = [[interference.at_gain(x[:, 0], x[:, 1:], m) - x[0, 1:] for m in marks] for x in readings]
    shaped = np.reshape(gains, (1, len(seeds), len(names), len(MARKS), len(KS) + 1))
    return xr.Dataset(
        {"gain": (("predictor", *AXES), shaped[..., :-1]), "entropy": (("predictor", *AXES[:-1]), shaped[..., -1])},
        {"predictor": [NOISY], **_coordinates(seeds, names)},
    )


def measurements(cell: Cell, predicted: xr.Dataset, folder: Path) -> xr.Dataset:
    """The sampled runs that judge `predicted`, with its seeds, estimators and learning rates; kept in `folder`.

    `gain` and `entropy` are read at the marks, nan where a run does not reach one; `passed` is training
    pass@1 at every record.
    """
    seeds, names = predicted.seed.values.tolist(), predicted.estimator.values.tolist()
    config = {
        **_config(cell, seeds, names, measurements),
        "rates": np.nan_to_num(predicted.rate.values).round(12).tolist(),
    }
    return store.cached(folder, "interference-runs", config, lambda: _measurements(cell, predicted, folder))


def _measurements(cell: Cell, predicted: xr.Dataset, folder: Path) -> xr.Dataset:
    seeds, names = predicted.seed.values.tolist(), predicted.estimator.values.tolist()
    stride = cell.steps // cell.records

    def one(key, params, index, rate):
        problem = cell.problem(jax.random.fold_in(key, 1), params)
        advantage = advantage_of([switched(names, index)], 0)
        observe = _observer(cell, problem)

        def one_step(state, t):
            return cell.step(jax.random.fold_in(jax.random.fold_in(key, 2), t), state, problem, advantage, rate), None

        def one_record(state, first):
            return jax.lax.scan(one_step, state, first + jnp.arange(stride))[0], observe(state.params)

        state, path = jax.lax.scan(one_record, cell.start(problem.params), stride * jnp.arange(cell.records))
        return jax.tree.map(lambda a, b: jnp.concatenate([a, b[None]]), path, observe(state.params))

    found = _over_runs(one, cell, seeds, names, folder, np.nan_to_num(predicted.rate.values))
    marks, sizes = tuple(mark * cell.gain for mark in MARKS), (len(seeds), len(names))
    found = jax.tree.map(lambda x: np.asarray(x, float), found)
    paths = [jax.tree.map(lambda x, i=i: x[i], found) for i in range(len(seeds) * len(names))]
    gain, entropy = (
        [read(path) for path in paths]
        for read in (lambda path: interference.gains(path, KS, marks), lambda path: _entropy_change(path, marks))
    )
    return xr.Dataset(
        {
            "gain": (AXES, np.reshape(gain, (*sizes, len(MARKS), len(KS)))),
            "entropy": (AXES[:-1], np.reshape(entropy, (*sizes, len(MARKS)))),
            "passed": (("seed", "estimator", "record"), found.trained.mean(-1).reshape(*sizes, -1)),
        },
        _coordinates(seeds, names),
    )


def _config(cell: Cell, seeds: Sequence[int], names: Sequence[str], function: Callable) -> dict[str, Any]:
    links = [link for name in names for link in estimators.get(name).links]
    made_by = provenance.made_by(function, *links)
    return {"kind": type(cell).__name__, **asdict(cell), "seeds": list(seeds), "estimators": list(names), **made_by}


EDGES = (0.0, 0.02, 0.2, 0.6, 1.0)
"""Edges of the bins of difficulty, by success under the base policy."""


def law(
    cell: Cell,
    seeds: Sequence[int],
    names: Sequence[str],
    *,
    ks: Sequence[int] = KS,
    group_size: int = GROUP,
    bases: Any = None,
) -> xr.Dataset:
    """What the base policies of `cell` say of every estimator, without any training.

    Args:
        cell: its `gain` is how far the tangent kernel is followed.
        seeds: one base policy and one choice of prompts each.
        names: registered estimators.
        ks: of pass@k.
        group_size: G.
        bases: parameters of given base models with a leading axis of `seeds`, in place of the cell's own.

    Returns:
        Dataset with `slope` (seed, estimator, split, k), d pass@k / d training pass@1; `tangent` (seed, estimator, k),
        the change of held-out pass@k when training pass@1 has gained `cell.gain`; `entropy_slope` (nats); for each
        trained prompt its `success`, `progress` T and `exchange_rate` rho_k; and `kernel` (seed, watched, trained), the
        mean of kappa over bins of difficulty, nan for an empty bin. nan marks what is undefined: no equal progress.

    Raises:
        InputError: base policies from which nothing can be predicted, see `interference.check`.
    """
    chain_of = [estimators.get(name) for name in names]

    def one(key, params):
        problem = cell.problem(jax.random.fold_in(key, 1), params)
        diagonal = _diagonal(cell, key, problem, estimators.get("grpo"), group_size)
        return interference.kernel(*problem, diagonal, entropy=cell.has_entropy)

    def read(kernel):
        weight = jnp.stack([expected.slope(e, group_size, kernel.trained) for e in chain_of])
        slopes = [[interference.slope(kernel, weight, k, split) for k in ks] for split in SPLITS]
        rates = [[interference.exchange_rate(kernel, k, split) for k in ks] for split in SPLITS]
        entropy = interference.entropy_slope(kernel, weight) if cell.has_entropy else jnp.full(len(names), jnp.nan)
        return weight, jnp.array(slopes), jnp.array(rates), entropy, interference.progress(kernel)

    def followed(kernel):
        """Success of the watched prompts at the end of linearised training under each estimator, [estimators, H]."""
        paths = [interference.tangent(kernel, e, group_size, gain=cell.gain) for e in chain_of]
        return jnp.stack([path.watched[-1] for path in paths])

    keys = jax.vmap(jax.random.key)(jnp.asarray(seeds))
    params = cell.bases(seeds) if bases is None else bases
    kernels = shard_runs(one, len(seeds), 1)(keys, params)
    weight, slopes, rates, entropy, progress = jax.tree.map(np.asarray, jax.jit(jax.vmap(read))(kernels))
    for i in range(len(seeds)):
        interference.check(jax.tree.map(lambda x, i=i: x[i], kernels), weight[i])
    after = np.asarray(jax.jit(jax.vmap(followed))(kernels), float)
    before = np.asarray(kernels.watched, float)
    passed = [np.asarray(pass_at_k(p[..., None], np.asarray(ks))).mean(-2) for p in (before[:, None], after)]
    gained = passed[1] - passed[0]
    return xr.Dataset(
        {
            "slope": (("split", "k", "seed", "estimator"), np.moveaxis(slopes, 0, 2)),
            "entropy_slope": (("seed", "estimator"), entropy, {"units": "nat"}),
            "tangent": (("seed", "estimator", "k"), gained),
            "success": (("seed", "prompt"), np.asarray(kernels.trained)),
            "progress": (("seed", "prompt"), progress),
            "exchange_rate": (("split", "k", "seed", "prompt"), np.moveaxis(rates, 0, 2)),
            "kernel": (("seed", "watched", "trained"), np.array([by_bin(k) for k in _each(kernels, len(seeds))])),
        },
        {"split": list(SPLITS), "k": list(ks), "seed": list(seeds), "estimator": list(names)},
        {"gain": cell.gain, "cell": cell.name, "edges": list(EDGES)},
    )


SPLITS = ("train", "held_out")


def _each(kernels: interference.Kernel, count: int) -> list[interference.Kernel]:
    return [jax.tree.map(lambda x, i=i: np.asarray(x[i]), kernels) for i in range(count)]


def by_bin(kernel: interference.Kernel, edges: Sequence[float] = EDGES) -> np.ndarray:
    """Mean of kappa over the watched (rows) and trained (columns) prompts of each bin; nan where one is empty."""
    rows, columns = (np.digitize(p, edges[1:-1]) for p in (kernel.watched, kernel.trained))
    bins = range(len(edges) - 1)
    blocks = [[kernel.across[rows == i][:, columns == j] for j in bins] for i in bins]
    return np.array([[block.mean() if block.size else np.nan for block in row] for row in blocks])
