"""What follows once a way of calling is chosen: the function's state between calls, and the precisions it runs in."""

import dataclasses
import types

import numpy as np

from ...errors import InputError
from ..target import PROBE, Raised, Target, show
from .adapter import Adapter
from .arrays import DTYPES, numpy_dtype, unit_roundoff
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
    other = _other(target)
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


def _other(target: Target) -> np.ndarray:
    return {"real": OTHER, "unit": UNIT_OTHER, "binary": 1 - PROBE}[target.rewards]


def _state_of_one_object(target: Target, adapter: Adapter) -> str:
    """What an object would remember from one call to the next, if it were used twice."""
    assert adapter.signature.owner is not None
    method = types.MethodType(adapter.signature.function, filled(adapter.signature.owner, PROBE.shape[1]))
    once = dataclasses.replace(adapter, signature=dataclasses.replace(adapter.signature, function=method, owner=None))
    memory = Memory(method)
    dtype = numpy_dtype(target.dtype)
    try:
        first = once(PROBE.astype(dtype))
        once(_other(target).astype(dtype))
        lasts = not same(first, once(PROBE.astype(dtype)))
    except Exception:  # a second call on one object fails
        lasts = True
    return ", ".join(sorted(memory.changed())) if lasts else ""


def precisions(target: Target, dtype: str | None) -> tuple[str, ...]:
    """The dtypes it is judged in: both float64 and float32 for torch and jax, which train in the latter."""
    if dtype:
        return (dtype,)
    found = _fine_precisions(target)
    coarse = inside(target)
    if coarse:
        target.notes.append(f"it computes in {coarse} inside, whatever it is given: no epsilon below 0.01 shows")
        for name in found:
            target.at(name).unit_roundoff = unit_roundoff(coarse)
        return found[:1]
    return found


def _fine_precisions(target: Target) -> tuple[str, ...]:
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


LINE = np.array([[0.1, 0.7, 0.35], [0.3, 0.9, 0.6]])
DIRECTION = np.array([[1.0, -0.7, 0.4], [0.6, 0.3, -0.8]])
"""No two rewards of a group come near each other on the way: some estimators have poles there."""


def noise(target: Target) -> float:
    """How far the answers jump where the rewards move smoothly: the precision of what happens inside.

    Second differences along a line of rewards, in steps of a third of float32's spacing: about 1e-15 where all is
    computed in float64, about 1e-7 where something inside is rounded to float32.
    """
    answers = _along(target, 2.0**-25, 7)
    bend = np.diff(answers, n=2, axis=0)
    return float(np.nanmax(np.abs(bend))) if np.isfinite(bend).any() else 0.0


def inside(target: Target) -> str:
    """`float16` or `bfloat16` where a function computes in that, whatever it is given; else nothing.

    Fourth differences along a line of rewards are then everywhere of the size of the rounding, and either all answers
    are numbers of that precision or rounding the rewards beforehand changes nothing.
    """
    answers = _along(target, 2.0**-9, 17)
    bend = np.abs(np.diff(answers, n=4, axis=0))
    if not np.isfinite(bend).any() or np.nanmedian(bend.max(axis=(1, 2))) < 5e-4:
        return ""
    points = LINE + np.arange(5)[:, None, None] * 2.0**-9 * DIRECTION
    for name in ("bfloat16", "float16"):
        rounded = [x.astype(numpy_dtype(name)).astype(float) for x in points]
        late = same(answers.astype(numpy_dtype(name)).astype(float), answers)
        if late or all(same(evaluated(target, x), evaluated(target, y)) for x, y in zip(points, rounded, strict=True)):
            return name
    return "bfloat16" if np.nanmax(bend) > 0.03 else "float16"


def _along(target: Target, step: float, number: int) -> np.ndarray:
    """Answers `[number, P, G]` along a line of rewards; not a number where there are none."""
    if target.rewards == "binary":
        return np.full((number, *LINE.shape), np.nan)
    try:
        return np.stack([target.evaluate(LINE + k * step * DIRECTION) for k in range(number)])
    except (Raised, InputError):
        return np.full((number, *LINE.shape), np.nan)


def evaluated(target: Target, rewards: np.ndarray) -> np.ndarray:
    try:
        return target.evaluate(rewards)
    except Raised:
        return np.full(rewards.shape, np.nan)


def same(a: np.ndarray, b: np.ndarray) -> bool:
    return np.array_equal(a, b, equal_nan=True)
