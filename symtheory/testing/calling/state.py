"""State that a function keeps between calls: found by comparing answers, named, and reset before each call."""

import copy
import random
import sys
import types
from collections.abc import Callable
from typing import Any

import numpy as np

from .signature import plain_function
from .sizes import functions_of, holder_of


class Memory:
    """The mutable things that a function can reach: its object, globals of its file, its closure, its defaults."""

    def __init__(self, f: Callable) -> None:
        self._places = dict(_places(f))
        self._kept = {name: _copied(get()) for name, (get, _) in self._places.items()}
        self._written = {name: _seen(value) for name, value in self._kept.items()}

    def changed(self) -> list[str]:
        """Names of what is not as it was."""
        return [n for n, (get, _) in self._places.items() if _seen(get()) != self._written[n]]

    def restore(self) -> None:
        """Put everything back."""
        for name in self.changed():
            self._places[name][1](_copied(self._kept[name]))


def fresh(call: Callable, memory: Memory) -> Callable:
    """`call` with everything as it was at first, and put back afterwards."""

    def called(*args, **kwargs):
        memory.restore()
        try:
            return call(*args, **kwargs)
        finally:
            memory.restore()

    return called


def seeded(call: Callable) -> Callable:
    """`call` with the random numbers of Python, numpy and (where it is loaded) torch seeded before it."""

    def called(*args, **kwargs):
        random.seed(0)
        np.random.seed(0)  # noqa: NPY002 (the user's code may use the global generator)
        if "torch" in sys.modules:
            sys.modules["torch"].manual_seed(0)
        return call(*args, **kwargs)

    return called


def _places(f: Callable):
    """Name -> how to get and how to set, for each thing that may be changed by a call."""
    holder = holder_of(f)
    if holder is not None:
        for name in list(holder.__dict__):
            yield f"self.{name}", (_getter(holder.__dict__, name), _setter(holder.__dict__, name))
    plain = plain_function(f)
    if not isinstance(plain, types.FunctionType):
        return
    read = set().union(*(_names(one.__code__) for one in functions_of(plain)))
    for name in read & set(plain.__globals__):
        value = plain.__globals__[name]
        if value is None or _may_change(value, plain.__module__):  # None: an object made at the first call, perhaps
            yield name, (_getter(plain.__globals__, name), _setter(plain.__globals__, name))
    for name, cell in zip(plain.__code__.co_freevars, plain.__closure__ or (), strict=True):
        if _may_change(cell.cell_contents, plain.__module__):
            yield name, (lambda cell=cell: cell.cell_contents, lambda v, cell=cell: setattr(cell, "cell_contents", v))
    if plain.__defaults__ and any(_may_change(v, plain.__module__) for v in plain.__defaults__):
        yield "a default argument", (lambda: plain.__defaults__, lambda v: setattr(plain, "__defaults__", v))
    if plain.__dict__:
        yield "its own attributes", (lambda: dict(plain.__dict__), plain.__dict__.update)


def _names(code: types.CodeType) -> set[str]:
    inner = (c for c in code.co_consts if isinstance(c, types.CodeType))
    return set(code.co_names).union(*map(_names, inner))


def _may_change(value: Any, module: str) -> bool:
    if isinstance(value, int | float | list | dict | set | bytearray | np.ndarray):
        return True
    return type(value).__module__ in (module, "collections") and not isinstance(value, type | types.FunctionType)


def _getter(scope: dict, name: str) -> Callable[[], Any]:
    return lambda: scope[name]


def _setter(scope: dict, name: str) -> Callable[[Any], None]:
    return lambda value: scope.__setitem__(name, value)


def _copied(value: Any) -> Any:
    try:
        return copy.deepcopy(value)
    except Exception:
        return value


def _seen(value: Any, depth: int = 4) -> Any:
    """A value as something to compare by, objects by what they hold."""
    if isinstance(value, dict):
        return {repr(k): _seen(v, depth - 1) for k, v in value.items()} if depth else len(value)
    if isinstance(value, list | tuple | set):
        return [_seen(v, depth - 1) for v in value] if depth else len(value)
    if isinstance(value, np.ndarray):
        return value.tobytes()
    if depth and hasattr(value, "__dict__") and not isinstance(value, type | types.ModuleType | types.FunctionType):
        return _seen(vars(value), depth - 1) or repr(value)
    return repr(value)
