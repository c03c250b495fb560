"""Where a function keeps the group size when no parameter has it: its object, its class, a constant, its closure."""

import contextlib
import copy
import inspect
import types
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from .signature import plain_function, role_of


class Place(NamedTuple):
    """Something outside a function that holds the group size, or an object with it."""

    name: str
    get: Callable[[], Any]
    set: Callable[[Any], None]
    path: tuple[str, ...] = ()
    """Where the size is inside an object."""


def holder_of(f: Any) -> Any:
    """The object that a bound method belongs to, or that is called itself; None for a function."""
    if hasattr(f, "__self__"):
        return None if isinstance(f.__self__, type) or not hasattr(f.__self__, "__dict__") else f.__self__
    return f if hasattr(f, "__dict__") and not hasattr(f, "__code__") and not hasattr(f, "__wrapped__") else None


def sized_attributes(holder: Any) -> list[tuple[str, ...]]:
    """Where an object keeps the group size: its attributes, those of its class, and those of its configuration."""
    if holder is None:
        return []
    found = []
    for name, value in _attributes(holder).items():
        if _is_size(name, value):
            found.append((name,))
        elif role_of(name) == "config":
            found += [(name, key) for key, v in _attributes(value).items() if _is_size(str(key), v)]
    return found


def _attributes(holder: Any) -> dict[str, Any]:
    if isinstance(holder, dict):
        return holder
    of_class = {n: v for k in reversed(type(holder).__mro__) for n, v in vars(k).items() if isinstance(v, int)}
    return of_class | dict(getattr(holder, "__dict__", {}))


def _is_size(name: str, value: Any) -> bool:
    return role_of(name) == "size" and isinstance(value, int) and not isinstance(value, bool)


def with_attribute(holder: Any, path: tuple[str, ...], value: Any) -> Any:
    """A copy of an object with one attribute (of an attribute) replaced."""
    changed = copy.copy(holder)
    new = value if len(path) == 1 else with_attribute(_get(holder, path[0]), path[1:], value)
    if isinstance(changed, dict):
        changed[path[0]] = new
    else:
        object.__setattr__(changed, path[0], new)  # configurations are often frozen dataclasses
    return changed


def _get(holder: Any, name: str) -> Any:
    return holder[name] if isinstance(holder, dict) else getattr(holder, name)


def constants(f: Any) -> list[Place]:
    """Group sizes among the globals and closures that a function and its helpers read, objects that have one included.

    >>> NUM_GENERATIONS = 8
    >>> [place.name for place in constants(lambda rewards: rewards.reshape(-1, NUM_GENERATIONS))]
    ['NUM_GENERATIONS']
    """
    return list({place.name: place for one in functions_of(plain_function(f)) for place in _places(one)}.values())


def functions_of(f: Any, depth: int = 2) -> Iterator[types.FunctionType]:
    """A function and those of its file that it calls."""
    if not isinstance(f, types.FunctionType):
        return
    yield f
    called = (f.__globals__.get(n) for n in f.__code__.co_names) if depth else ()
    for value in called:
        if inspect.isfunction(value) and value.__module__ == f.__module__ and value is not f:
            yield from functions_of(value, depth - 1)


def _places(f: types.FunctionType) -> Iterator[Place]:
    scope = f.__globals__
    for name in f.__code__.co_names:
        if name in scope:
            yield from _sized(name, lambda n=name: scope[n], lambda v, n=name: scope.__setitem__(n, v))
    for name, cell in zip(f.__code__.co_freevars, f.__closure__ or (), strict=True):
        yield from _sized(name, lambda c=cell: c.cell_contents, lambda v, c=cell: setattr(c, "cell_contents", v))


def _sized(name: str, get: Callable[[], Any], set: Callable[[Any], None]) -> Iterator[Place]:
    try:
        value = get()
    except ValueError:  # an empty cell
        return
    if _is_size(name, value):
        yield Place(name, get, set)
    elif isinstance(value, dict) or (
        hasattr(value, "__dict__") and not callable(value) and not inspect.ismodule(value)
    ):
        for key, inner in _attributes(value).items():
            if _is_size(str(key), inner):
                yield Place(f"{name}.{key}", get, set, (key,))


@contextlib.contextmanager
def set_to(places: list[Place], size: int) -> Iterator[None]:
    """Within the block every place holds this group size."""
    before = [place.get() for place in places]
    try:
        for place in places:
            place.set(with_attribute(place.get(), place.path, size) if place.path else size)
        yield
    finally:
        for place, value in zip(reversed(places), reversed(before), strict=True):
            place.set(value)
