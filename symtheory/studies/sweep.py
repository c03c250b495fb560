"""Sweeps: every combination of worlds, estimators, their parameters, difficulties, group sizes, optimisers and seeds.

Runs of one shape are numbered (difficulty, learning rate, parameters, seed; the seed fastest) and cut into tiles of
`Sweep.tile` runs. A tile is addressed by its runs, its settings, and the code that computes it, so a grid that grows
runs only what is new, if the number of seeds is a multiple of the tile. Runs of one seed see the same random numbers
in every combination: differences are paired.
"""

import functools
import hashlib
import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import xarray as xr

from .. import __version__, estimators
from ..dynamics import Regime, Update, train
from ..estimators import Estimator
from ..estimators.group import make_group
from ..estimators.plane import PLANE
from ..ops import jax_ops
from ..storage import provenance, store, tiles
from ..worlds import registry
from .controlled import UNITS, observe_world

OPTIMIZERS = {"sgd": optax.sgd, "adam": optax.adam}
NAME = "sweep"  # of its tiles


@dataclass(frozen=True)
class Sweep:
    """A grid of training runs; `sweep_file.EXAMPLE` says what each field means, and `sweep_file.read` makes one."""

    name: str
    estimators: tuple[Estimator, ...]
    difficulties: tuple[float, ...]
    learning_rates: tuple[float, ...]
    seeds: tuple[int, ...]
    worlds: tuple[str, ...] = ("bandit",)
    group_sizes: tuple[int, ...] = (8,)
    optimizers: tuple[str, ...] = ("sgd",)
    parameters: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    steps: int = 200
    stride: int = 20
    prompts: int = 1
    ks: tuple[int, ...] = (1, 16, 256)
    tile: int = 256
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: usual_settings())
    """Of each world, as keywords of the function that makes it."""
    regimes: Mapping[str, Regime] = field(default_factory=dict)
    """By name; an axis of its own if there are any."""

    @property
    def cells(self) -> list["Cell"]:
        """What needs a program of its own, in the order of the result's first axes."""
        axes = (self.worlds, self.estimators, self.group_sizes, self.optimizers, self.regimes or ("",))
        return [Cell(*c) for c in itertools.product(*axes)]

    @property
    def axes(self) -> dict[str, tuple[float, ...]]:
        """What varies between the runs of a cell, the last the fastest."""
        lists = {"difficulty": self.difficulties, "learning_rate": self.learning_rates, **self.parameters}
        return {**lists, "seed": self.seeds}


def usual_settings() -> dict[str, Mapping[str, Any]]:
    """Of each registered world."""
    return {name: registry.get(name).settings for name in registry.names()}


class Cell(NamedTuple):
    """The axes that change a program and not only its arguments."""

    world: str
    estimator: Estimator
    group_size: int
    optimizer: str
    regime: str = ""
    """Its name, "" for the plain setting."""


def plan(sweep: Sweep) -> list[tiles.Tile]:
    """The tiles of a sweep, cell by cell."""
    grid = np.meshgrid(*map(np.asarray, sweep.axes.values()), indexing="ij")
    runs = dict(zip(sweep.axes, map(np.ravel, grid), strict=True))
    planned = []
    for cell in sweep.cells:
        program = jax.jit(jax.vmap(_program(sweep, cell)))
        common = _config(sweep, cell)
        for start in range(0, len(runs["seed"]), sweep.tile):
            block = {name: values[start : start + sweep.tile] for name, values in runs.items()}
            drawn = hashlib.sha256(b"".join(values.tobytes() for values in block.values())).hexdigest()
            padded = {name: np.resize(values, sweep.tile) for name, values in block.items()}
            arguments = {name: values.astype("uint32" if name == "seed" else float) for name, values in padded.items()}
            label = functools.partial(_label, sweep, cell, block)
            planned.append(tiles.Tile({**common, "runs": drawn}, program, (arguments,), label))
    return planned


def unfinished(planned: Sequence[tiles.Tile], folder: Path) -> int:
    """How many of the tiles do not lie in `folder`."""
    return sum(not store.place(folder, NAME, tile.config).exists() for tile in planned)


def gather(sweep: Sweep, parts: Sequence[xr.Dataset]) -> xr.Dataset:
    """The results of all tiles of `plan` as one dataset with a dimension for every axis."""
    rows = [row(e) for e in sweep.estimators]
    axes = {
        "world": sweep.worlds,
        "estimator": rows,
        "group_size": sweep.group_sizes,
        "optimizer": sweep.optimizers,
        **({"regime": list(sweep.regimes)} if sweep.regimes else {}),
        **sweep.axes,
    }
    sizes = [len(values) for values in axes.values()]

    def whole(name: str) -> tuple:
        values = np.concatenate([part[name].values for part in parts])
        return (*axes, *parts[0][name].dims[1:]), values.reshape(*sizes, *values.shape[1:]), {"units": UNITS[name]}

    fixed = sorted({name for e in sweep.estimators for name in changed(e)})
    coords = {name: list(values) for name, values in axes.items()}
    coords |= {name: parts[0][name] for name in ("k", "step", "batch_step")}
    coords |= {
        f"estimator_{name}": ("estimator", [e.params.get(name, np.nan) for e in sweep.estimators]) for name in fixed
    }
    settings = {**_common(sweep), **{world: sweep.settings[world] for world in sweep.worlds}}
    about = {"title": sweep.name, "version": __version__, "settings": json.dumps(settings)}
    return xr.Dataset(
        {str(name): whole(str(name)) for name in parts[0] if all(name in part for part in parts)}, coords, about
    )


def changed(estimator: Estimator) -> dict[str, Any]:
    """Parameters that differ from the registered ones."""
    usual = find(estimator.name).params
    return {name: value for name, value in estimator.params.items() if value != usual[name]}


def row(estimator: Estimator) -> str:
    """Label of an estimator on its axis.

    >>> row(find("positive_dominant", beta=5)), row(find("grpo"))
    ('positive_dominant(beta=5)', 'grpo')
    """
    own = ", ".join(f"{name}={value}" for name, value in changed(estimator).items())
    return f"{estimator.name}({own})" if own else estimator.name


def find(name: str, **params) -> Estimator:
    """A registered estimator, or the family of the symmetry plane."""
    return PLANE.with_params(**params) if name == PLANE.name else estimators.get(name, **params)


def _program(sweep: Sweep, cell: Cell) -> Callable[[dict[str, jax.Array]], dict[str, jax.Array]]:
    """One run: its place on each axis -> what was observed, with a leading axis of records or intervals."""

    def one(run):
        parameters = {name: run[name] for name in sweep.parameters}
        key_world, key_rollouts = jax.random.split(jax.random.key(run["seed"]))
        success = jnp.full(sweep.prompts, run["difficulty"])
        world = registry.get(cell.world).make(key_world, success, **sweep.settings[cell.world])
        _, observed, batches = train(
            key_rollouts,
            world,
            functools.partial(advantage_with, cell.estimator, parameters),
            OPTIMIZERS[cell.optimizer](run["learning_rate"]),
            Update(cell.group_size),
            observe=lambda params: observe_world(world, params, sweep.ks),
            records=sweep.steps // sweep.stride,
            stride=sweep.stride,
            regime=sweep.regimes.get(cell.regime),
        )
        told = {name: x for name, x in batches._asdict().items() if name in UNITS}
        return {**observed, **told}

    return one


def advantage_with(
    estimator: Estimator, parameters: dict[str, jax.Array], rewards: jax.Array, weight: jax.Array | None = None
) -> jax.Array:
    """Advantages [P, G] with some parameters replaced; "omega" stands in for the batch mean reward."""
    op = jax_ops()
    group = make_group(op, rewards) if weight is None else make_group(op, rewards, weight)
    if "omega" in parameters:
        omega = parameters["omega"]
        group = group._replace(batch=group.batch._replace(omega=omega, omega_prompts=omega))
    return estimator.with_params(**{n: x for n, x in parameters.items() if n != "omega"})(group, op)


def _label(sweep: Sweep, cell: Cell, runs: dict[str, np.ndarray], values: dict[str, np.ndarray]) -> xr.Dataset:
    """Name the axes of what a program returned, and drop the runs that only filled the tile."""
    count = len(runs["seed"])
    steps = np.arange(0, sweep.steps + 1, sweep.stride)

    def named(name: str, x: np.ndarray) -> tuple:
        dims = ["run", "record" if x.shape[1] == len(steps) else "interval", "k"]
        return dims[: x.ndim], x[:count], {"units": UNITS[name]}

    coords: dict[str, Any] = {"world": cell.world, "estimator": row(cell.estimator)}
    coords |= {"group_size": cell.group_size, "optimizer": cell.optimizer}
    coords |= {"regime": cell.regime} if cell.regime else {}
    coords |= {name: ("run", x) for name, x in runs.items()}
    coords |= {"k": list(sweep.ks), "step": ("record", steps), "batch_step": ("interval", steps[1:])}
    return xr.Dataset({name: named(name, x) for name, x in values.items()}, coords)


def _common(sweep: Sweep) -> dict[str, Any]:
    """Settings that are the same in all cells."""
    return {name: getattr(sweep, name) for name in ("steps", "stride", "prompts", "ks", "tile")}


def _config(sweep: Sweep, cell: Cell) -> dict[str, Any]:
    """Everything but the runs that determines a tile of the cell, as plain data."""
    return {
        "sweep": 1,
        **_common(sweep),
        "world": cell.world,
        "settings": sweep.settings[cell.world],
        "estimator": cell.estimator.name,
        "params": {n: v for n, v in cell.estimator.params.items() if n not in sweep.parameters},
        "axes": list(sweep.axes),
        "group_size": cell.group_size,
        "optimizer": cell.optimizer,
        **({"regime": repr(sweep.regimes[cell.regime])} if cell.regime else {}),
        **provenance.made_by(_program, registry.get(cell.world).make, *cell.estimator.links),
    }
