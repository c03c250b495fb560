"""Search as a source of groups: what independent rollouts, branching and MCTS find for the same leaf evaluations.

Two questions. How many rare solutions does a budget of leaf evaluations find under the base policy? And what does a
policy become that is trained on such groups, with symmetric and asymmetric estimators? Sources of one seed see the
same trees. A source changes the size of a step as well as its direction, so trained policies are compared at equal
step and where their exact pass@1 first reaches the same value.

The comparison was fixed before it was run; its size (prompts, records, budgets) was cut for time during a first run
that had printed no result. The learning rate was chosen from GRPO on independent rollouts alone (seeds from 900: of
0.3, 1, 3 the smallest whose mean pass@1 passes 0.8 within the run).
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from .. import estimators
from ..errors import InputError
from ..estimators.group import Array
from ..metrics.passk import pass_at_k
from ..worlds import group_sources, make_tree
from ..worlds.tree import Tree
from .populations import many_hard_some_easy

SOURCES: dict[str, Callable] = {
    "independent": group_sources.independent,
    "branching": group_sources.branching,
    "gumbel": group_sources.searched,
    "puct": partial(group_sources.searched, gumbel=False),
}
TRAINED = {
    "independent": ("independent", group_sources.group_advantages),
    "branching": ("branching", group_sources.group_advantages),
    "branching, node level": ("branching", group_sources.node_advantages),
    "gumbel": ("gumbel", group_sources.group_advantages),
    "gumbel, node level": ("gumbel", group_sources.node_advantages),
}
KS = (1, 16, 256)


@dataclass(frozen=True)
class Config:
    seeds: int = 20
    first_seed: int = 0
    prompts: int = 24
    depth: int = 4
    branching: int = 4
    density: float = 0.1
    budgets: tuple[int, ...] = (8, 32, 128)
    """leaf evaluations for each prompt, in the first question"""
    group_size: int = 16
    """leaf evaluations for each prompt and step, in the second"""
    records: int = 20
    stride: int = 5
    learning_rate: float = 0.3
    level: float = 0.6
    """pass@1 at which trained policies are compared"""
    estimators: tuple[str, ...] = ("grpo", "positive_dominant", "negative_dominant", "agrae")
    sources: tuple[str, ...] = ("independent", "branching", "branching, node level", "gumbel")
    """keys of `TRAINED`"""

    def __post_init__(self):
        if self.seeds < 2:
            raise InputError(f"seeds must be at least 2, since intervals are taken over seeds, got {self.seeds}")


def population(key, config: Config):
    """Trees of `many_hard_some_easy` prompts."""
    success = many_hard_some_easy(config.prompts)
    return make_tree(key, success, depth=config.depth, branching=config.branching, density=config.density)


class Drawn(NamedTuple):
    """The trees of one seed, and the random numbers of what happens on them."""

    world: Tree
    rare: Array
    """[P, leaves] True for the less likely half of the solutions"""
    key: Array


def run(config: Config) -> xr.Dataset:
    """Both questions, with a value for each seed."""
    drawn = jax.jit(jax.vmap(partial(_draw, config=config)))(config.first_seed + jnp.arange(config.seeds))
    found = [
        jax.jit(jax.vmap(partial(_found, source=source, budget=budget)))(drawn)
        for source in SOURCES
        for budget in config.budgets
    ]
    shape = (len(SOURCES), len(config.budgets), config.seeds)
    data = xr.Dataset(
        {
            name: (("source", "budget", "seed"), np.reshape([f[name] for f in found], shape))
            for name in ("rare_found", "solved", "evaluated")
        },
        {"source": list(SOURCES), "budget": list(config.budgets), "seed": config.first_seed + np.arange(config.seeds)},
    )
    paths = [_trained(config, source, drawn) for source in config.sources]
    data = data.merge(xr.concat(paths, "trained_on").assign_coords(trained_on=list(config.sources)))
    data.attrs = {"config": str(asdict(config)), "level": config.level}
    return data


def _draw(seed, config) -> Drawn:
    key_world, key = jax.random.split(jax.random.key(seed))
    world = population(key_world, config)
    return Drawn(world, world.rare(), key)


def _found(drawn: Drawn, *, source, budget):
    """Share of the rare solutions and of the prompts that one group finds under the base policy."""
    world = drawn.world
    leaves = SOURCES[source](drawn.key, world, world.init(), budget)
    prompts = jnp.arange(world.logits.shape[0])[:, None]
    seen = jnp.zeros(world.correct.shape).at[prompts, leaves.rollouts].max(leaves.mask) > 0
    return {
        "rare_found": ((seen & drawn.rare).sum(-1) / drawn.rare.sum(-1)).mean(),
        "solved": (seen & world.correct).any(-1).mean(),
        "evaluated": leaves.mask.mean(),
    }


def _trained(config, source, drawn: Drawn) -> xr.Dataset:
    each = jax.vmap(partial(_path, config=config, source=source), (None, 0))
    runs = jax.jit(jax.vmap(each, (0, None)))(drawn, jnp.arange(len(config.estimators)))
    coords = {
        "estimator": list(config.estimators),
        "metric": [*(f"pass@{k}" for k in KS), "rare_coverage", "entropy"],
        "record": np.arange(config.records + 1) * config.stride,
    }
    return xr.Dataset({"trained": (("seed", "estimator", "record", "metric"), np.asarray(runs))}, coords)


def _path(drawn: Drawn, index, *, config, source):
    """Exact metrics of the policy along one training run with the `index`-th estimator, [records + 1, metric]."""
    world, rare = drawn.world, drawn.rare
    sample, advantages = TRAINED[source]
    chains = [estimators.get(name) for name in config.estimators]

    def estimator(group, op):
        return jax.lax.switch(index, [lambda g, e=e: e(g, op) for e in chains], group)

    def step(params, key):
        leaves = SOURCES[sample](key, world, params, config.group_size)
        weight = advantages(world, leaves, estimator) / config.group_size
        return params + config.learning_rate * world.step_gradient(params, leaves.rollouts, weight), None

    def observe(params):
        success = world.success(params)
        passed = [jnp.mean(pass_at_k(success, k)) for k in KS]
        return jnp.stack([*passed, world.coverage(params, rare).mean(), world.entropy(params).mean()])

    def record(params, key):
        params, _ = jax.lax.scan(step, params, jax.random.split(key, config.stride))
        return params, observe(params)

    _, rest = jax.lax.scan(record, world.init(), jax.random.split(drawn.key, config.records))
    return jnp.concatenate([observe(world.init())[None], rest])


def at_level(data: xr.Dataset, metric: str) -> xr.DataArray:
    """`metric` where the mean pass@1 of a run first reaches the level, by linear interpolation; NaN if it never does.

    Dimensions: trained_on, seed, estimator.
    """
    passed = data.trained.sel(metric="pass@1").transpose("trained_on", "seed", "estimator", "record").values
    value = data.trained.sel(metric=metric).transpose("trained_on", "seed", "estimator", "record").values
    level = data.attrs["level"]
    first = np.maximum((passed >= level).argmax(-1), 1)[..., None]
    p0, p1 = (np.take_along_axis(passed, first - i, -1)[..., 0] for i in (1, 0))
    v0, v1 = (np.take_along_axis(value, first - i, -1)[..., 0] for i in (1, 0))
    reached = (passed >= level).any(-1)
    share = np.clip((level - p0) / np.where(p1 > p0, p1 - p0, 1), 0, 1)
    coords = {d: data[d] for d in ("trained_on", "seed", "estimator")}
    return xr.DataArray(np.where(reached, v0 + share * (v1 - v0), np.nan), coords, list(coords))
