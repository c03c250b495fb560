"""The TOML file of a sweep: an example, and a reader that names the first thing that is wrong."""

import itertools
import math
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import jax
import numpy as np

from .. import estimators
from ..dynamics.drawing import check as check_regime
from ..dynamics.regime import parse as parse_regime
from ..errors import InputError, no_such
from ..estimators import Estimator
from ..worlds import registry
from .sweep import OPTIMIZERS, Sweep, advantage_with, changed, find, row

LARGEST = 4 * 2**30  # bytes of a gathered result, which is put together in memory


EXAMPLE = """\
# A sweep: every combination of the lists below is trained once for each seed.
name = "example"                   # results go to OUT/example.nc

worlds = ["bandit"]                # "bandit": whole trajectories; "tree": paths that share prefixes
estimators = [                     # names from `symtheory list`, or "plane" (parameters tilt and asymmetry);
  "grpo",                          # an entry with parameters is a row of its own
  "agrae",
  {name = "positive_dominant", beta = 5},
]
difficulties = [0.02, 0.1, 0.5]    # chance that one rollout of the base policy is correct, in (0, 1)
group_sizes = [8]                  # rollouts per prompt
optimizers = ["sgd"]               # "sgd", "adam"
learning_rates = [0.1, 0.5]        # on the mean over the group, (1/G) sum of A log pi
seeds = 64                         # a number (0, 1, ...) or a list
first_seed = 0                     # where counting starts, if seeds is a number

steps = 200                        # optimiser steps
stride = 20                        # steps between records; memory grows with the records, not with the steps
prompts = 1                        # prompts of a batch, all of one difficulty; they share omega, not parameters
ks = [1, 16, 256]                  # pass@k
tile = 64                          # runs in one program and one file; its width is part of a result's identity

# Regimes are a dimension of the result; each table is a row (docs/regimes.md). For instance:
# [regimes]
# plain = {}
# noisy = {verifier = {false_positive = 0.1, false_negative = 0.1}}
# dapo = {redraw = {tries = 8}, kl = 0.01}

# Swept parameters are dimensions of the result. Every estimator above must take them ("omega", the batch mean
# reward, can be fixed for all). For instance, with estimators = ["plane"]:
# [parameters]
# tilt = [-1.0, 0.0, 1.0]
# asymmetry = [-0.5, 0.0, 0.5]

[bandit]
trajectories = 64
correct = 8

[tree]
depth = 4
branching = 4
density = 0.1
"""


def read(path: str | Path) -> Sweep:
    """The sweep that a TOML file describes (see `EXAMPLE`); `InputError` names the first thing that is wrong."""
    try:
        return parse(tomllib.loads(Path(path).read_text(encoding="utf-8")), Path(path).stem)
    except (FileNotFoundError, IsADirectoryError):
        raise InputError(f"no file {path}; `symtheory sweep --example` prints one to start from") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not TOML: {error}") from None


def parse(given: Mapping[str, Any], name: str = "sweep") -> Sweep:
    """The sweep of a configuration, as plain data.

    >>> parse({"estimators": ["grpo"], "difficulties": [1.5], "learning_rates": [0.1], "seeds": 2})
    Traceback (most recent call last):
        ...
    symtheory.errors.InputError: difficulties must be numbers in (0, 1), also as 32-bit floats, got 1.5
    """
    given = {"name": name, **given}
    known = {"first_seed", *registry.names(), *(f.name for f in fields(Sweep))} - {"settings"}
    for key in given:
        if key not in known:
            raise no_such("key", key, known)
    for key in ("estimators", "difficulties", "learning_rates", "seeds"):
        if key not in given:
            raise InputError(f"{key} is missing; `symtheory sweep --example` shows what a sweep needs")
    if not (isinstance(given["name"], str) and re.fullmatch(r"[\w.-]*\w[\w.-]*", given["name"])):
        raise InputError(f"name must consist of letters, digits, '_', '-' and '.', got {given['name']!r}")

    values: dict[str, Any] = {"name": given["name"]}
    values |= {key: _list(key, given[key], *_LISTS[key]) for key in _LISTS if key in given}
    values |= {key: _one(key, given[key], *_WHOLE) for key in ("steps", "stride", "prompts", "tile") if key in given}
    values["seeds"] = _seeds(given["seeds"], given.get("first_seed"))
    values["parameters"] = {
        key: _list(key, numbers, *_FINITE) for key, numbers in _table("parameters", given.get("parameters", {})).items()
    }
    values["regimes"] = {
        key: parse_regime(_table(f"regimes.{key}", table))
        for key, table in _table("regimes", given.get("regimes", {})).items()
    }
    values["settings"] = {world: _world_settings(world, given.get(world, {})) for world in registry.names()}
    values["estimators"] = tuple(_estimator(entry) for entry in _entries("estimators", given["estimators"]))
    sweep = Sweep(**values)
    _check(sweep)
    return sweep


def _is_whole(x: Any, least: int = 1) -> bool:
    return isinstance(x, int) and not isinstance(x, bool) and least <= x < 2**31


def _is_number(x: Any) -> bool:
    return isinstance(x, int | float) and not isinstance(x, bool) and math.isfinite(np.float32(x))


_WHOLE = (_is_whole, "a whole number of at least 1")


_FINITE = (_is_number, "finite numbers")


_LISTS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "difficulties": (
        lambda x: _is_number(x) and bool(0 < np.float32(x) < 1),
        "numbers in (0, 1), also as 32-bit floats",
    ),
    "learning_rates": (lambda x: _is_number(x) and x > 0, "positive numbers"),
    "group_sizes": (_is_whole, "whole numbers of at least 1"),
    "ks": (_is_whole, "whole numbers of at least 1"),
    "worlds": (lambda x: x in registry.names(), f"among {', '.join(registry.names())}"),
    "optimizers": (lambda x: x in OPTIMIZERS, f"among {', '.join(OPTIMIZERS)}"),
}


def _one(key: str, value: Any, allowed: Callable[[Any], bool], what: str) -> Any:
    if not allowed(value):
        raise InputError(f"{key} must be {what}, got {value!r}")
    return value


def _entries(key: str, values: Any) -> list:
    if not isinstance(values, list) or not values:
        raise InputError(f"{key} must be a list that is not empty, got {values!r}")
    return values


def _list(key: str, values: Any, allowed: Callable[[Any], bool], what: str) -> tuple:
    for i, value in enumerate(_entries(key, values)):
        _one(key, value, allowed, what)
        if value in values[:i]:
            raise InputError(f"{key} must not repeat a value, got {value!r} twice")
    return tuple(values)


def _table(key: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InputError(f"{key} must be a table, [{key}], got {value!r}")
    return value


def _seeds(seeds: Any, first: Any) -> tuple[int, ...]:
    if isinstance(seeds, list):
        if first is not None:
            raise InputError("first_seed goes with a number of seeds, got a list of seeds as well")
        for seed in _entries("seeds", seeds):
            _one("seeds", seed, lambda x: _is_whole(x, 0), "a number of seeds or a list of whole numbers of at least 0")
        if len(set(seeds)) < len(seeds):
            raise InputError(f"seeds must not repeat a value, got {max(seeds, key=seeds.count)!r} twice")
        return tuple(seeds)
    _one("seeds", seeds, _is_whole, "a number of seeds or a list of whole numbers")
    first = _one("first_seed", 0 if first is None else first, lambda x: _is_whole(x, 0), "a whole number of at least 0")
    return tuple(range(first, first + seeds))


def _world_settings(world: str, given: Any) -> dict[str, Any]:
    """Settings of a world over the usual ones; the world itself judges them."""
    make, usual = registry.get(world)
    for key, value in _table(world, given).items():
        if key not in usual:
            raise no_such(f"key in [{world}]", key, usual)
        whole = isinstance(usual[key], int)
        _one(f"{key} in [{world}]", value, *(_WHOLE if whole else (_is_number, "a finite number")))
    settings = {**usual, **given}
    if given:
        jax.eval_shape(lambda p: make(jax.random.key(0), p, **settings), jax.ShapeDtypeStruct((1,), float))
    return settings


def _estimator(entry: Any) -> Estimator:
    if isinstance(entry, str):
        return find(entry)
    if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
        raise InputError(f"estimators must be names or tables with a name and parameters, got {entry!r}")
    params = {key: value for key, value in entry.items() if key != "name"}
    for key, value in params.items():
        _one(f"parameter {key!r} of estimator {entry['name']!r}", value, _is_number, "a finite number")
    return find(entry["name"], **params)


def _check(sweep: Sweep) -> None:
    """What no field shows alone."""
    if sweep.steps % sweep.stride:
        raise InputError(f"steps must be a multiple of stride, got {sweep.steps} and {sweep.stride}")
    rows = [row(e) for e in sweep.estimators]
    if len(set(rows)) < len(rows):
        raise InputError(f"estimators must not repeat a row, got {max(rows, key=rows.count)!r} twice")
    taken = {"regime", "world", "estimator", "group_size", "optimizer", "difficulty", "learning_rate", "seed", "k"}
    for name, values in sweep.parameters.items():
        if name in taken:
            raise InputError(f"parameter {name!r} has the name of an axis")
        if name == "omega" and not all(0 <= x <= 1 for x in values):
            raise InputError(f"parameter 'omega' must be a mean reward in [0, 1], got {list(values)}")
    for world, regime, size in itertools.product(sweep.worlds, sweep.regimes.values(), sweep.group_sizes):
        made = jax.eval_shape(
            lambda p, world=world: registry.get(world).make(jax.random.key(0), p, **sweep.settings[world]),
            jax.ShapeDtypeStruct((sweep.prompts,), float),
        )
        check_regime(made, size, regime)
    for estimator, size in itertools.product(sweep.estimators, sweep.group_sizes):
        _check_estimator(sweep, estimator, size)
    observed = (sweep.steps // sweep.stride + 1) * (len(sweep.ks) + 7)
    size = 4 * observed * len(sweep.cells) * math.prod(map(len, sweep.axes.values()))
    if size > LARGEST:
        raise InputError(
            f"the result would take {size / 2**30:.1f} GiB, more than {LARGEST / 2**30:.0f}: take fewer records "
            "(a longer stride) or ks, or cut the grid into several sweeps"
        )


def _check_estimator(sweep: Sweep, estimator: Estimator, size: int) -> None:
    """The estimator is defined for groups of this size, and takes the swept parameters."""
    rewards = np.arange(size) % 2.0
    estimators.advantages(rewards, estimator)
    for name in set(sweep.parameters) - {"omega"}:
        if name in changed(estimator):
            raise InputError(f"parameter {name!r} of estimator {estimator.name!r} is both fixed and swept")
        for value in sweep.parameters[name]:
            estimators.advantages(rewards, estimator.with_params(**{name: value}))
        try:
            jax.eval_shape(lambda x, r, name=name: advantage_with(estimator, {name: x}, r), 0.0, rewards)
        except (InputError, TypeError, jax.errors.JAXTypeError):
            raise InputError(
                f"parameter {name!r} of estimator {estimator.name!r} cannot be swept, as it changes the program; give "
                f'each value a row of its own: {{name = "{estimator.name}", {name} = {sweep.parameters[name][0]}}}'
            ) from None
