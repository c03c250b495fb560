"""The advantages in whatever a function returns: an array, a list, [N, 1], tokens, a tuple, a dict, objects."""

from collections.abc import Mapping
from dataclasses import is_dataclass
from typing import Any

import numpy as np

from ...errors import InputError
from .arrays import as_numpy
from .signature import library


def read(result: Any, rewards: np.ndarray, last_token: np.ndarray | None, name: str) -> np.ndarray:
    """Advantages in the shape of `rewards`.

    Args:
        result: what the function returned.
        rewards: what it was asked about, `[P, G]` or `[G]`.
        last_token: `[N]` last valid token of each rollout, where the function may answer for tokens.
        name: how a message calls the function.

    Raises:
        InputError: nothing in it has one number for each rollout.
    """
    fitting = [a for part in _parts(result) if (a := _fit(part, rewards, last_token)) is not None]
    if not fitting:
        raise InputError(_complaint(result, rewards, name))
    changed = [a for a in fitting if not np.array_equal(a, rewards)]  # rewards that are handed back are no answer
    return (changed or fitting)[0]


def library_of(result: Any) -> str | None:
    """The library of the first array in a result: `numpy`, `torch` or `jax`; None where there are plain numbers."""
    homes = (library(type(part).__module__) for part in _parts(result))
    return next((home for home in homes if home in ("numpy", "torch", "jax")), None)


def _parts(result: Any) -> list[Any]:
    """The places where the advantages may be, the likeliest first."""
    if isinstance(result, Mapping):
        named = [v for k, v in result.items() if "adv" in str(k).lower()]
        return [*named, *(v for v in result.values() if not any(v is n for n in named)), result]
    if isinstance(result, tuple) and hasattr(result, "_fields"):
        return _parts(result._asdict())  # type: ignore[attr-defined]
    if isinstance(result, tuple) and not all(isinstance(item, float | int) for item in result):
        return [*(p for item in result for p in _parts(item)), list(result)]  # a tuple of groups is one answer
    if isinstance(result, list) and result and _is_record(result[0]):
        return [[_field(item) for item in result]]
    if isinstance(result, list) and result and isinstance(result[0], list) and result[0] and _is_record(result[0][0]):
        return [[[_field(item) for item in row] for row in result]]
    if _is_record(result) and not isinstance(result, Mapping):
        return _parts({n: getattr(result, n) for n in _public(result)})
    return [result]


def _fit(part: Any, rewards: np.ndarray, last_token: np.ndarray | None) -> np.ndarray | None:
    """One number for each rollout, or None."""
    if isinstance(part, Mapping) and len(part) == len(rewards) and rewards.ndim == 2:
        part = list(part.values())
    try:
        a = as_numpy(part)
    except (TypeError, ValueError):
        return None
    if a.shape == rewards.shape:
        return a
    if a.ndim == 2 and last_token is not None and len(a) == rewards.size and a.shape[1] == last_token.max() + 1:
        return a[np.arange(len(a)), last_token].reshape(rewards.shape)
    squeezed = a.reshape([n for n in a.shape if n != 1] or [1])
    flat = rewards.reshape([n for n in rewards.shape if n != 1] or [1])
    return a.reshape(rewards.shape) if squeezed.shape in (flat.shape, (rewards.size,)) else None


def _is_record(x: Any) -> bool:
    """Whether it is an object or mapping with an advantage or a reward in it."""
    if isinstance(x, Mapping):
        return any("adv" in str(k) or str(k) in ("reward", "score") for k in x)
    return is_dataclass(x) or any(n in ("advantage", "advantages", "reward") for n in _public(x))


def _public(x: Any) -> list[str]:
    return [n for n in getattr(x, "__dict__", {}) if not n.startswith("_")]


def _field(record: Any) -> Any:
    """The advantage of one rollout's record, or its reward if that is what it has."""
    values = record if isinstance(record, Mapping) else {n: getattr(record, n) for n in _public(record)}
    names = sorted(values, key=lambda n: ("adv" not in n, n != "reward"))
    return next((values[n] for n in names if isinstance(values[n], float | int) or hasattr(values[n], "shape")), None)


def _complaint(result: Any, rewards: np.ndarray, name: str) -> str:
    part = _parts(result)[0] if _parts(result) else result
    try:
        shape = as_numpy(part).shape
    except (TypeError, ValueError):
        return f"{name} must return an array of numbers, got {brief(result)}"
    return f"{name} must return advantages of the shape of rewards, {rewards.shape}, got {shape}"


def brief(value: Any) -> str:
    """A value's type and, shortened, its text."""
    text = " ".join(repr(value).split())
    return f"{type(value).__name__} {text if len(text) <= 60 else text[:57] + '...'}"
