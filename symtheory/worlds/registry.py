"""Worlds by name: how a population of each is drawn. A file of this folder that calls `register` adds one."""

import functools
import importlib
import pkgutil
from collections.abc import Callable, Mapping
from typing import NamedTuple

from ..errors import InputError, no_such
from .base import World


class Population(NamedTuple):
    """How a world of prompts is drawn, and the usual settings of that."""

    make: Callable[..., World]
    """(key, success [P], **settings) -> the world whose base policy has these chances of success"""
    settings: Mapping[str, int | float]


_registry: dict[str, Population] = {}


def register(name: str, make: Callable[..., World], **settings: int | float) -> None:
    """Enter a world under `name`, with the usual values of the settings that a sweep file may change.

    Args:
        name: a new name.
        make: (key, success [P], **settings) -> the world.
        settings: usual values of the settings.

    Raises:
        InputError: the name is taken.
    """
    if name in _registry:
        raise InputError(f"world {name!r} is registered already; choose another name")
    _registry[name] = Population(make, settings)


def names() -> tuple[str, ...]:
    """Names of the registered worlds.

    Returns:
        The names, sorted.

    >>> names()
    ('bandit', 'tree')
    """
    _discover()
    return tuple(sorted(_registry))


def get(name: str) -> Population:
    """How the population of a registered world is drawn.

    Args:
        name: see `names`.

    Returns:
        The function that draws a population, and its usual settings.

    Raises:
        InputError: no world has this name; the sentence says which one is near.

    >>> dict(get("bandit").settings)
    {'trajectories': 64, 'correct': 8}
    """
    _discover()
    if name not in _registry:
        raise no_such("world", name, _registry)
    return _registry[name]


@functools.cache
def _discover() -> None:
    package = __name__.rpartition(".")[0]
    for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
        importlib.import_module(f"{package}.{module.name}")
