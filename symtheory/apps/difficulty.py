"""The difficulty app: train a few estimators on a population of prompts, fast enough for sliders.

The interactive counterpart of `study`: the same measures on a smaller population, mean field by default, with what a
slider moves (difficulty, learning rate, parameters of estimators) as traced arguments, so that one compilation serves
all its positions.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import optax
import xarray as xr
from scipy.special import expit, logit

from .. import estimators
from ..claims.effects import at_matched_budget
from ..dynamics import Update, advantage_of, interference, mean_field, train
from ..dynamics import expected as exact
from ..errors import no_such
from ..estimators import chain
from ..estimators.plane import PLANE
from ..figures.style import look
from ..metrics.intervals import bootstrap
from ..studies.controlled import KS, difficulty, observe_world
from ..worlds import make_bandit, make_conflict
from .svg import Mark, band, chart, curve, dots, ink

ONE = "one difficulty"
TWO = "few hard, many easy"
POPULATIONS: dict[str, tuple[str, str] | None] = {
    ONE: None,
    TWO: None,
    "MATH, Qwen2.5-Math-7B": ("table3", "MATH"),
    "AIME 2025, Qwen2.5-Math-7B": ("table3", "AIME 2025"),
    "AMC23, Qwen2.5-Math-7B": ("table3", "AMC23"),
    "MATH, DeepSeek-R1-7B": ("table5", "MATH"),
    "AIME 2025, DeepSeek-R1-7B": ("table5", "AIME 2025"),
    "AMC23, DeepSeek-R1-7B": ("table5", "AMC23"),
}
"""Populations of prompts by name: one difficulty for all, an eighth at success 0.2 and the others at 0.95, or inferred
from a base model's published pass@k."""
ESTIMATORS = (
    "grpo",
    "positive_dominant",
    "negative_dominant",
    "easy_focused",
    "hard_focused",
    "ddas",
    "ass",
    "agrae",
    "agrae_released",
    "dr_grpo",
    "w_reinforce",
    "plane",
)
"""Registered estimators, and the family of the symmetry plane, whose place its parameters are."""
OPTIMIZERS = {"adam": optax.adam, "sgd": optax.sgd}
RATES = {
    ("shared", "adam"): 0.01,
    ("shared", "sgd"): 1.0,
    ("at an angle", "adam"): 0.01,
    ("at an angle", "sgd"): 0.05,
    ("independent", "adam"): 0.02,
    ("independent", "sgd"): 0.1,
}
"""Learning rates with which GRPO gets far, but not to the end, in `Setting.steps` steps on MATH."""


SEEDS = 64
"""Sampled runs of a setting."""


@dataclass(frozen=True)
class Setting:
    """What is compiled: everything that no slider moves."""

    sharing: Literal["shared", "at an angle", "independent"] = "shared"
    """Random features, or one direction for hard prompts and one for easy ones (`worlds.conflict`), or no sharing."""
    optimizer: Literal["adam", "sgd"] = "adam"
    group_size: int = 8
    prompts: int = 32
    """Training prompts, and as many held-out ones if parameters are shared."""
    trajectories: int = 64
    correct: int = 8
    features: int = 16
    feature_noise: float = 2.0
    steps: int = 160

    @property
    def populations(self) -> tuple[str, ...]:
        """`train`, and `held_out` where training moves other prompts at all."""
        return ("train",) if self.sharing == "independent" else ("train", "held_out")


def population(name: str, shift: float, prompts: int) -> np.ndarray:
    """Success probability of the base policy on each of `prompts` prompts, every logit moved by `shift`.

    Raises `InputError` for a name that is not in `POPULATIONS`.

    >>> population("one difficulty", 0.0, 2).tolist()
    [0.5, 0.5]
    """
    if name not in POPULATIONS:
        raise no_such("population", name, POPULATIONS)
    return expit(_base_logits(name, prompts) + shift)


@cache
def _base_logits(name: str, prompts: int) -> np.ndarray:
    source = POPULATIONS[name]
    if name == TWO:
        return logit(np.where(np.arange(prompts) < max(1, prompts // 8), 0.2, 0.95))
    return np.zeros(prompts) if source is None else logit(difficulty(*source, prompts))


def expected(
    setting: Setting,
    success: np.ndarray,
    names: Sequence[str],
    rate: float,
    params: Mapping[str, float] | None = None,
    world: int = 0,
    angle: float = 90.0,
) -> xr.Dataset:
    """Mean-field paths, with the dims of `study` (`seed, estimator, record, population, k`; one seed, a record a step).

    Args:
        setting: what is compiled.
        success: [prompts] of the base policy; held-out prompts have the same.
        names: some of `ESTIMATORS`.
        rate: learning rate.
        params: values of estimators' parameters by name, for those that have them.
        world: seed of the features, where parameters are shared.
        angle: degrees between the gradients of hard and easy prompts, where parameters are shared at an angle.
    """
    worlds, run = _worlds_program(setting)(world, jnp.asarray(success), angle), _expected_program(setting)
    values = {key: float(value) for key, value in (params or {}).items()}
    return _label(setting, names, 0, [run(ESTIMATORS.index(name), worlds, rate, values) for name in names])


def sampled(
    setting: Setting,
    success: np.ndarray,
    names: Sequence[str],
    rate: float,
    params: Mapping[str, float] | None = None,
    world: int = 0,
    angle: float = 90.0,
    seeds: Sequence[int] = range(SEEDS),
) -> Iterator[xr.Dataset]:
    """Sampled paths in the world of `expected`, one seed after another, each a dataset; methods of a seed are paired.

    A generator, so that whoever iterates can show progress and stop.
    """
    worlds, run = _worlds_program(setting)(world, jnp.asarray(success), angle), _sampled_program(setting)
    values = {key: float(value) for key, value in (params or {}).items()}
    for seed in seeds:
        yield _label(setting, names, seed, [run(ESTIMATORS.index(n), seed, worlds, rate, values) for n in names])


def law(setting: Setting, success: np.ndarray, params: Mapping[str, float], world: int, angle: float, k: int) -> str:
    """What the base policy says about hard and easy focus and GRPO at this k, in a sentence; no training."""
    slopes = _law_program(setting, k)(world, jnp.asarray(success), angle, {n: float(v) for n, v in params.items()})
    grpo, hard, easy = (float(x) for x in slopes)
    if not np.isfinite([grpo, hard, easy]).all():
        return "The law says nothing here: no step raises training pass@1."
    order = "Hard-Focused" if hard > easy else "Easy-Focused"
    verb = "gains" if grpo > 0 else "**loses**"
    return (
        f"The base policy says: at equal progress **{order} keeps more held-out pass@{k}** (slopes {hard:+.3f} hard, "
        f"{easy:+.3f} easy), and GRPO {verb} {abs(grpo):.3f} of it per unit of training pass@1."
    )


@cache
def _law_program(setting: Setting, k: int):
    def slopes(seed, success, angle, params):
        worlds = _worlds_program(setting)(seed, success, angle)
        trained, watched = worlds["train"], worlds["held_out"]
        kernel = interference.kernel(trained.init(), trained, watched)
        chains = [chain(_switch(ESTIMATORS.index(n), params)) for n in ("grpo", "hard_focused", "easy_focused")]
        weight = jnp.stack([exact.slope(e, setting.group_size, kernel.trained) for e in chains])
        return interference.slope(kernel, weight, k)

    return jax.jit(slopes)


def gain(paths: xr.Dataset, at: Literal["equal steps", "equal progress"], reference: str = "grpo") -> xr.Dataset:
    """Each estimator minus `reference`, at the last step or where all reach one training pass@1, by seed.

    Equal progress asks whether an estimator leads elsewhere, equal steps also counts how fast it goes.
    """
    everyone = tuple(paths.estimator.values)
    moment = paths.isel(record=-1) if at == "equal steps" else at_matched_budget(paths, everyone)
    return moment - moment.sel(estimator=reference)


def orbit_distance(paths: xr.Dataset) -> float:
    """Largest difference of training entropy (nats) between estimators at equal training pass@1, where both passed.

    0, up to the finite step, is what one orbit for all estimators looks like.
    """
    at = paths.isel(seed=0).sel(population="train")
    passed = at.pass_at_k.sel(k=1).transpose("estimator", "record").values
    entropy = at.entropy.transpose("estimator", "record").values
    low, high = passed.min(-1).max(), passed.max(-1).min()
    grid = np.linspace(low, high, 101)
    curves = np.array([np.interp(grid, p[order], h[order]) for p, h, order in _by_progress(passed, entropy)])
    return float(np.ptp(curves, axis=0).max())


def _by_progress(passed, entropy):
    return [(p, h, np.argsort(p, kind="stable")) for p, h in zip(passed, entropy, strict=True)]


@cache
def _worlds_program(setting: Setting):
    def make(seed, success, angle):
        if setting.sharing == "at an angle":
            own = dict(owners=2 * setting.prompts, trajectories=setting.trajectories)
            first = (0, setting.prompts)
            return {
                name: make_conflict(success, jnp.radians(angle), first=i, **own)
                for name, i in zip(setting.populations, first, strict=True)
            }
        keys = jax.random.split(jax.random.fold_in(jax.random.key(0), seed), len(setting.populations))
        return {
            name: make_bandit(
                key,
                success,
                trajectories=setting.trajectories,
                correct=setting.correct,
                features=setting.features if setting.sharing == "shared" else 0,
                feature_noise=setting.feature_noise,
            )
            for name, key in zip(setting.populations, keys, strict=True)
        }

    return jax.jit(make)


@cache
def _expected_program(setting: Setting):
    def path(index, worlds, rate, params):
        return mean_field(
            worlds["train"],
            chain(_switch(index, params)),
            OPTIMIZERS[setting.optimizer](rate),
            setting.group_size,
            observe=_observer(setting, worlds),
            steps=setting.steps,
        )[1]

    return jax.jit(path)


@cache
def _sampled_program(setting: Setting):
    def path(index, seed, worlds, rate, params):
        return train(
            jax.random.key(seed),
            worlds["train"],
            advantage_of([chain(_switch(index, params))], index),
            OPTIMIZERS[setting.optimizer](rate),
            Update(setting.group_size),
            observe=_observer(setting, worlds),
            records=setting.steps,
            stride=1,
        )[1]

    return jax.jit(path)


def _switch(index, params: Mapping[str, Any]):
    """The link that is the `index`-th of `ESTIMATORS`, all compiled at once, with these values of their parameters."""
    chains = [PLANE if name == PLANE.name else estimators.get(name) for name in ESTIMATORS]
    chains = [e.with_params(**{key: params[key] for key in params if key in e.params}) for e in chains]
    return lambda a, g, op: jax.lax.switch(index, [lambda g, e=e: e(g, op) for e in chains], g)


def _observer(setting: Setting, worlds: Mapping[str, Any]):
    """params -> measures on each population, in the order of `Setting.populations` (jax sorts the keys of dicts)."""

    def watch(params):
        return jax.tree.map(lambda *x: jnp.stack(x), *(observe_world(worlds[n], params) for n in setting.populations))

    return watch


def _label(setting: Setting, names: Sequence[str], seed: int, paths: Sequence[Mapping[str, Any]]) -> xr.Dataset:
    """Name the axes of the paths of each estimator, arrays [record, population, ...]."""
    dims = ("seed", "estimator", "record", "population", "k")
    stacked = {key: np.array([[np.asarray(path[key]) for path in paths]]) for key in paths[0]}
    coords = {
        "seed": [seed],
        "estimator": list(names),
        "population": list(setting.populations),
        "k": list(KS),
        "step": ("record", np.arange(setting.steps + 1)),
    }
    return xr.Dataset({key: (dims[: x.ndim], x) for key, x in stacked.items()}, coords)


SPLITS = {"train": "training prompts", "held_out": "held-out prompts"}


def course(paths: xr.Dataset, population: str, k: int, runs: xr.Dataset | None = None) -> str:
    """pass@k over steps. `paths` is the mean field; `runs` are sampled, drawn as mean and interval over seeds."""
    values = paths.pass_at_k.sel(k=k, population=population)
    marks = _curves(paths.step.values, values)
    if runs is not None:
        marks = _bands(runs.step.values, runs.pass_at_k.sel(k=k, population=population)) + marks
    last = values.isel(seed=0, record=-1)
    ends = ", ".join(f"{label(n)} {v:.2f}" for n, v in zip(last.estimator.values, last.values, strict=True))
    title = f"pass@{k}, {SPLITS[population]}"
    return chart(title, marks, x="step", y_limits=(0, 1), alt=f"{title} over steps; at the end {ends}")


def gains(gain: xr.Dataset, population: str, at: str, runs: xr.Dataset | None = None) -> str:
    """pass@k minus GRPO's over k, in points, from results of `gain`."""
    values = 100 * gain.pass_at_k.sel(population=population)
    marks = _curves(KS, values)
    if runs is not None:
        marks = _bands(KS, 100 * runs.pass_at_k.sel(population=population)) + marks
    two = values.isel(seed=0).sel(k=[1, 256]).transpose("estimator", "k")
    ends = ", ".join(
        f"{label(n)} {a:+.1f} and {b:+.1f}" for n, (a, b) in zip(two.estimator.values, two.values, strict=True)
    )
    title = f"pass@k minus GRPO's, {at}"
    ticks = [(k, str(k)) for k in KS[::2]]
    alt = f"{title}, in points at k = 1 and 256: {ends}"
    return chart(title, marks, x="k", y="points", log_x=True, x_ticks=ticks, zero=True, alt=alt)


def orbit(paths: xr.Dataset, population: str, runs: xr.Dataset | None = None) -> str:
    """Entropy against pass@1, whatever the speed of training. A dot is where a path ends."""
    at = paths.isel(seed=0).sel(population=population)
    names = list(at.estimator.values)
    ways = list(zip(names, at.pass_at_k.sel(k=1).values, at.entropy.values, strict=True))
    marks = [curve(x, y, name) for name, x, y in ways]
    marks += [dots(x[-1], y[-1], ink(name), 5, [label(name)]) for name, x, y in ways]
    if runs is not None:
        mean = runs.sel(population=population).mean("seed").isel(record=slice(None, None, 10))
        marks += [dots(mean.pass_at_k.sel(k=1, estimator=n), mean.entropy.sel(estimator=n), ink(n), 3) for n in names]
    title = f"the way taken, {SPLITS[population]}"
    alt = f"{title}: entropy against pass@1, one curve for each of {len(names)} estimators"
    return chart(title, marks, x="pass@1", y="entropy (nats)", alt=alt)


def label(name: str) -> str:
    """What an estimator is called in charts."""
    return look(name)["label"]


def _curves(x, values: xr.DataArray) -> list[Mark]:
    one = values.isel(seed=0).transpose("estimator", ...)
    return [curve(x, y, name) for name, y in zip(one.estimator.values, one.values, strict=True)]


def _bands(x, values: xr.DataArray) -> list[Mark]:
    """Mean over seeds as dots, with its interval as a shade once there are two seeds."""
    kept, marks = slice(None, None, max(1, len(x) // 16)), []  # intervals of all steps would cost a second
    x = x[kept]
    for name in values.estimator.values:
        own = values.sel(estimator=name).transpose("seed", ...).values[:, kept]
        if len(own) > 1:
            interval = bootstrap(own)
            marks.append(band(x, interval.low, interval.high, ink(name)))
        marks.append(dots(x, own.mean(0), ink(name), 3))
    return marks
