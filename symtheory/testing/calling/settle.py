"""What a chosen way of calling a function has to settle: what it remembers, and the precisions it runs in."""

import dataclasses
import types

import numpy as np

from ...errors import InputError
from ..target import PROBE, Raised, Target, show
from .adapter import Adapter
from .arrays import DTYPES, unit_roundoff
from .fill import filled
from .state import Memory, fresh, seeded

OTHER = np.array([[7.0, 3.0, 4.0], [5.0, 1.0, 1.0]])
"""Two groups unlike the probe: what a function remembers of them shows."""
UNIT_OTHER = np.array([[0.7, 0.3, 0.4], [0.5, 0.1, 0.1]])


def settle_memory(target: Target, adapter: Adapter, memory: Memory, name: str) -> None:
    """Find out whether the answers depend on earlier calls; if on what it remembers, let it forget before each call."""
    owner = adapter.signature.owner
    if owner is not None:
        target.notes.append(f"each call gets a fresh {owner.__name__}")
        target.state = _state_of_one_object(target, adapter)
        return
    memory.restore()
    other = {"real": OTHER, "unit": UNIT_OTHER, "binary": 1 - PROBE}[target.rewards]
    first, second, third = (evaluated(target, r) for r in (PROBE, other, PROBE))
    changed = memory.changed()
    memory.restore()
    if same(first, third) and same(second, evaluated(target, other)):
        memory.restore()
        return
    target._function = fresh(adapter, memory)
    if same(evaluated(target, PROBE), evaluated(target, PROBE)) and changed:
        target.state = ", ".join(sorted(changed))
        return
    calls = f"two calls on the rewards {show(PROBE)} differ"
    target._function = seeded(adapter)
    if not changed or same(evaluated(target, PROBE), evaluated(target, PROBE)):
        raise InputError(f"{name} is random: {calls}; seed or remove it")
    raise InputError(f"{name} is random, or keeps state that cannot be put back: {calls}; seed or remove it")


def _state_of_one_object(target: Target, adapter: Adapter) -> str:
    """What an object would remember from one call to the next, if it were used twice."""
    assert adapter.signature.owner is not None
    method = types.MethodType(adapter.signature.function, filled(adapter.signature.owner, PROBE.shape[1]))
    once = dataclasses.replace(adapter, signature=dataclasses.replace(adapter.signature, function=method, owner=None))
    memory = Memory(method)
    first = once(PROBE)
    try:
        once(1 - PROBE)
        lasts = not same(first, once(PROBE))
    except Exception:  # a second call on one object fails
        lasts = True
    return ", ".join(sorted(memory.changed())) if lasts else ""


def precisions(target: Target, dtype: str | None) -> tuple[str, ...]:
    """The dtypes it is judged in: both float64 and float32 for torch and jax, which train in the latter."""
    if dtype:
        return (dtype,)
    if target.backend in ("list", "numpy"):
        return ("float32",) if noise(target) > 1e-10 else ("float64",)
    running = []
    for name in DTYPES[:2]:
        try:
            target.at(name).evaluate(PROBE)
        except (Raised, InputError):
            continue
        running.append(name)
    if running == ["float32"]:
        target.notes.append("it does not run in float64")
    elif noise(target.at("float64")) > 1e-10:
        target.notes.append("it computes in float32 inside, whatever it is given")
        target.at("float64").unit_roundoff = unit_roundoff("float32")
        return ("float32",) if "float32" in running else ("float64",)
    return tuple(running)


def noise(target: Target) -> float:
    """How far the answers jump where the rewards move smoothly: the precision of what happens inside.

    Second differences along a line of rewards, in steps of a third of float32's spacing: about 1e-15 where all is
    computed in float64, about 1e-7 where something inside is rounded to float32.
    """
    base = np.array([[0.1, 0.7, 0.35], [0.3, 0.9, 0.25]])
    direction = np.array([[1.0, -0.7, 0.4], [0.6, 0.3, -0.8]]) * 2.0**-25
    if target.rewards == "binary":
        return 0.0
    try:
        answers = [target.evaluate(base + k * direction) for k in range(7)]
    except (Raised, InputError):
        return 0.0
    bend = np.diff(np.stack(answers), n=2, axis=0)
    return float(np.nanmax(np.abs(bend))) if np.isfinite(bend).any() else 0.0


def evaluated(target: Target, rewards: np.ndarray) -> np.ndarray:
    try:
        return target.evaluate(rewards)
    except Raised:
        return np.full(rewards.shape, np.nan)


def same(a: np.ndarray, b: np.ndarray) -> bool:
    return np.array_equal(a, b, equal_nan=True)
