"""Anyone's estimator as one kind of callable: float arrays `[prompts, G]` in, float64 advantages `[prompts, G]` out.

What comes may want numpy, jax or torch arrays, or have the signature of verl's advantage functions; it may raise,
hang, return the wrong shape, change its input or be random. All of that is settled here, once.
"""

import ctypes
import functools
import importlib
import importlib.util
import inspect
import sys
import threading
import types
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np

from .. import estimators
from ..errors import InputError
from ..estimators.base import Estimator, Rewards

Backend = Literal["numpy", "jax", "torch"]

PROBE = np.array([[1.0, 0.0, 0.0], [1.0, 1.0, 0.0]])
"""Two mixed groups: every estimator worth checking is defined here."""


class Target:
    """An estimator under test. Call it with rewards `[P, G]`; equal inputs are evaluated once.

    Attributes:
        name: how reports call it.
        rewards: rewards it is defined for: `"real"`, `"unit"` ([0, 1]) or `"binary"`.
        time_limit: seconds that one call may take; None for a registered estimator, which is trusted.
        unit_roundoff: machine epsilon of the arithmetic that its results show, 2.2e-16 or 1.2e-7.
    """

    def __init__(self, function: Callable, name: str, rewards: Rewards, time_limit: float | None):
        self.name = name
        self.rewards: Rewards = rewards
        self.time_limit = time_limit
        self._function = function
        self._refuses = time_limit is None
        self._known: dict[tuple, np.ndarray] = {}
        self._raised: dict[tuple, str] = {}
        self._hung: InputError | None = None
        self.unit_roundoff = float(np.finfo(np.float64).eps)

    def __call__(self, rewards: np.ndarray) -> np.ndarray:
        """Advantages; all nan where the function raises (`error_on` has the message).

        Raises:
            InputError: it hangs, returns another shape or no numbers, or changes its input.
        """
        key = (rewards.shape, rewards.dtype, rewards.tobytes())
        if key not in self._known:
            try:
                self._known[key] = self._evaluate(rewards)
            except _Raised as error:
                self._raised[key] = str(error)
                self._known[key] = np.full(rewards.shape, np.nan)
        return self._known[key]

    def error_on(self, rewards: np.ndarray) -> str | None:
        """What it raised on these rewards, if it did."""
        return self._raised.get((rewards.shape, rewards.dtype, rewards.tobytes()))

    def admits(self, rewards: np.ndarray) -> bool:
        """Whether it is defined for these rewards (a registered estimator refuses what it is not defined for)."""
        if self._refuses:
            try:
                return self(rewards) is not None
            except InputError:
                return False
        if self.rewards == "binary":
            return bool(np.isin(rewards, (0, 1)).all())
        return self.rewards == "real" or bool(((rewards >= 0) & (rewards <= 1)).all())

    def _evaluate(self, rewards: np.ndarray) -> np.ndarray:
        if self._hung:
            raise self._hung
        given = rewards.copy()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result = self._within_limit(given)
        if not np.array_equal(given, rewards):
            raise InputError(
                f"{self.name} changes its input in place: rewards {show(rewards)} became {show(given)}; work on a copy"
            )
        try:
            result = np.asarray(result, dtype=np.float64)
        except (TypeError, ValueError):
            raise InputError(f"{self.name} must return an array of numbers, got {_brief(result)}") from None
        if result.shape != rewards.shape:
            raise InputError(
                f"{self.name} must return advantages of the shape of rewards, {rewards.shape}, got {result.shape}"
            )
        return result

    def _within_limit(self, rewards: np.ndarray) -> Any:
        """Call the function, in a thread that is left behind if it does not return in time."""
        if self.time_limit is None:
            with np.errstate(all="ignore"):
                return self._function(rewards)
        box: dict[str, Any] = {}

        def work():
            try:
                with np.errstate(all="ignore"):
                    box["result"] = self._function(rewards)
            except BaseException as error:
                box["error"] = error

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        thread.join(self.time_limit)
        if thread.is_alive():
            # A loop in Python ends at this exception; what waits in C stays behind as a daemon.
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident or 0), ctypes.py_object(SystemExit))
            self._hung = InputError(
                f"{self.name} did not return within {self.time_limit:g} s on rewards {show(rewards)}"
            )
            raise self._hung
        if "error" in box:
            if isinstance(box["error"], InputError):
                raise box["error"]
            raise _Raised(f"{type(box['error']).__name__}: {_first_line(box['error'])}")
        return box["result"]


class _Raised(Exception):
    """The function under test raised."""


def as_target(
    f: Target | Estimator | str | Callable,
    *,
    name: str | None = None,
    rewards: Rewards = "real",
    backend: Backend | None = None,
    time_limit: float = 10.0,
) -> Target:
    """Make anything that estimates advantages checkable.

    Args:
        f: a registered name, an `Estimator`, or a callable: `f(rewards[P, G]) -> advantages[P, G]`, or with verl's
            signature `f(token_level_rewards, response_mask, index, ...) -> (advantages, returns)`.
        name: how reports call it; default its own name.
        rewards: rewards that a callable is defined for (registered estimators say it themselves).
        backend: arrays that a callable wants; default: what its code refers to, else what it accepts.
        time_limit: seconds one call may take.

    Raises:
        InputError: it cannot be called, or fails, hangs, changes its input or is random on two mixed groups.

    >>> as_target("dr_grpo")(np.array([[1.0, 0.0]]))
    array([[ 0.5, -0.5]])
    """
    if isinstance(f, Target):
        return f
    if isinstance(f, str):
        f = estimators.get(f)
    if isinstance(f, Estimator):
        estimator = f
        return Target(lambda r: estimators.advantages(r, estimator), name or f.name, f.rewards, time_limit=None)
    if not callable(f):
        raise InputError(f"an estimator must be callable or a registered name, got {_brief(f)}")
    try:
        return _adapted(f, name or _name_of(f), rewards, backend, time_limit)
    except TypeError as error:
        raise InputError(f"{_name_of(f)} cannot be called: {_first_line(error)}") from None


def load(spec: str) -> Callable | Estimator:
    """The callable that `pkg.mod:func` or `path/to/file.py:func` names, or a registered estimator.

    Raises:
        InputError: no such module, file or function, or its import fails.
    """
    place, colon, attribute = spec.rpartition(":")
    if not colon:
        return estimators.get(spec)
    try:
        module = _module_of_file(Path(place)) if place.endswith(".py") else importlib.import_module(place)
    except FileNotFoundError:
        raise InputError(f"no file {place!r} (from {spec!r})") from None
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        raise InputError(f"cannot import {place!r}: {type(error).__name__}: {_first_line(error)}") from None
    try:
        return functools.reduce(getattr, attribute.split("."), module)  # type: ignore[return-value]
    except AttributeError:
        have = ", ".join(n for n, v in vars(module).items() if inspect.isfunction(v) and not n.startswith("_"))
        raise InputError(f"{place!r} has no {attribute!r}; its functions: {have or 'none'}") from None


def _module_of_file(path: Path) -> types.ModuleType:
    """Import a file, with its folder importable as it would be for a script."""
    path = path.resolve(strict=True)
    if str(path.parent) not in sys.path:
        sys.path.insert(0, str(path.parent))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault(path.stem, module)
    spec.loader.exec_module(module)
    return module


def _adapted(f: Callable, name: str, rewards: Rewards, backend: Backend | None, time_limit: float) -> Target:
    """The first backend that works on two mixed groups; the error of the likeliest if none does."""
    call = _rewards_only(f, name)
    first: _Raised | None = None
    for kind in [backend] if backend else _likely_backends(f):
        target = Target(_BACKENDS[kind](call), name, rewards, time_limit)
        try:
            once = target._evaluate(PROBE)
        except _Raised as error:
            first = first or error
            continue
        again = target._evaluate(PROBE)
        if not np.array_equal(once, again, equal_nan=True):
            raise InputError(f"{name} is random: two calls on the rewards {show(PROBE)} differ; seed or remove it")
        if kind == "jax":
            target = _compiled(call, target, once)
        if np.array_equal(once, once.astype(np.float32)):
            target.unit_roundoff = float(np.finfo(np.float32).eps)
        return target
    raise InputError(f"{name} raised {first} on rewards {show(PROBE)} of shape {PROBE.shape}")


def _compiled(call: Callable, eager: Target, expected: np.ndarray) -> Target:
    """The jitted function if it gives the same: compiling once for each shape is several times faster."""
    target = Target(_on_jax_jitted(call), eager.name, eager.rewards, eager.time_limit)
    try:
        same = np.allclose(target._evaluate(PROBE), expected, rtol=1e-12, atol=1e-12, equal_nan=True)
    except (_Raised, InputError):
        return eager
    return target if same else eager


def _rewards_only(f: Callable, name: str) -> Callable:
    """`f` as a function of rewards [P, G] alone; recognises verl's signature by its parameter names."""
    try:
        parameters = inspect.signature(f).parameters.values()
    except ValueError:  # builtins and some extension types do not tell
        return f
    needed = [p.name for p in parameters if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    given = {p.name for p in parameters}
    if "token_level_rewards" in given:
        return _verl_call(f, name, given, needed)
    if len(needed) > 1:
        extra = ", ".join(needed[1:])
        raise InputError(
            f"{name} must be a function of rewards [prompts, G], but also asks for {extra}; fix them first"
        )
    return f


TOKENS = 3
"""Tokens of each rollout given to a verl function; the reward sits on the last."""


def _verl_call(f: Callable, name: str, given: set[str], needed: list[str]) -> Callable:
    """Call a function with verl's signature: rewards on the last token, groups told by a uid, advantages read there."""
    config = _Config(norm_adv_by_std_in_grpo=True, gamma=1.0)

    def call(rewards):
        import torch

        prompts, size = rewards.shape
        tokens = torch.zeros((prompts * size, TOKENS), dtype=rewards.dtype)
        tokens[:, -1] = rewards.reshape(-1)
        mask = torch.ones_like(tokens)
        index = np.array([f"prompt-{i // size}" for i in range(prompts * size)], dtype=object)
        known = dict(token_level_rewards=tokens, response_mask=mask, eos_mask=mask, index=index, uid=index)
        optional = dict(config=config, gamma=1.0)
        arguments = {k: v for k, v in known.items() if k in given} | {k: v for k, v in optional.items() if k in needed}
        if missing := [n for n in needed if n not in arguments]:
            raise InputError(f"{name} asks for {', '.join(missing)}, which rewards alone do not give; fix them first")
        result = f(**arguments)
        advantages = result[0] if isinstance(result, tuple) else result
        return advantages[:, -1].reshape(prompts, size)

    return call


class _Config(types.SimpleNamespace):
    """What verl functions read from their configuration: attributes, and `get` as a mapping has it."""

    def get(self, key: str, default: Any = None) -> Any:
        return getattr(self, key, default)


def _on_numpy(f: Callable) -> Callable:
    return lambda rewards: _first(f(rewards))


def _on_jax(f: Callable) -> Callable:
    import jax

    def call(rewards):
        with jax.enable_x64(True):
            return np.asarray(_first(f(jax.numpy.asarray(rewards))))

    return call


def _on_jax_jitted(f: Callable) -> Callable:
    import jax

    return _on_jax(jax.jit(f))


def _on_torch(f: Callable) -> Callable:
    try:
        import torch
    except ImportError:
        raise InputError("this estimator needs torch, which is not installed") from None

    def call(rewards):
        result = _first(f(torch.from_numpy(rewards)))  # shares memory, so that a change in place is seen
        return result.detach().cpu().to(torch.float64).numpy() if isinstance(result, torch.Tensor) else result

    return call


_BACKENDS: dict[str, Callable] = {"numpy": _on_numpy, "jax": _on_jax, "torch": _on_torch}


def _likely_backends(f: Callable) -> list[str]:
    """Backends in the order worth trying: the one that its code refers to, then the others that are installed."""
    if "token_level_rewards" in _parameter_names(f):
        return ["torch"]
    roots = _packages_used(_plain_function(f))
    first = next((kind for kind in ("torch", "jax") if kind in roots), "numpy")
    rest = [k for k in ("numpy", "jax", "torch") if k != first and importlib.util.find_spec(k) is not None]
    return [first, *rest]


def _packages_used(f: Any, depth: int = 2) -> set[str]:
    """Top-level packages that a function's code, annotations and called functions refer to."""
    if not hasattr(f, "__code__"):
        return set()
    scope = f.__globals__
    roots = {str(a).replace("<class '", "").split(".")[0] for a in getattr(f, "__annotations__", {}).values()}
    names = _names_in(f.__code__)
    roots |= names & {"torch", "jax"}
    for value in (scope[n] for n in names if n in scope):
        home = value.__name__ if isinstance(value, types.ModuleType) else getattr(value, "__module__", None) or ""
        roots.add(home.split(".")[0])
        if depth and inspect.isfunction(value) and value.__module__ == f.__module__:
            roots |= _packages_used(value, depth - 1)
    return {"jax" if root == "jaxlib" else root for root in roots}


def _names_in(code: types.CodeType) -> set[str]:
    """Global names in a code object and the functions defined inside it."""
    inner = (c for c in code.co_consts if isinstance(c, types.CodeType))
    return set(code.co_names).union(*map(_names_in, inner))


def _plain_function(f: Any) -> Any:
    """The Python function behind partials, decorators, methods and callable objects."""
    while isinstance(f, functools.partial):
        f = f.func
    f = inspect.unwrap(f)
    f = getattr(f, "__func__", f)
    return f if hasattr(f, "__code__") else type(f).__call__


def _parameter_names(f: Callable) -> set[str]:
    try:
        return set(inspect.signature(f).parameters)
    except (ValueError, TypeError):
        return set()


def _first(result: Any) -> Any:
    """Advantages, of a function that returns them alone or first in a tuple."""
    return result[0] if isinstance(result, tuple) and result else result


def _name_of(f: Any) -> str:
    return getattr(f, "__name__", None) or getattr(_plain_function(f), "__qualname__", type(f).__name__)


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or ["no message"])[0][:300]


def _brief(value: Any) -> str:
    text = repr(value)
    return f"{type(value).__name__} {text if len(text) <= 60 else text[:57] + '...'}"


def show(rewards: np.ndarray) -> str:
    """Rewards as a Python literal on one line.

    >>> show(np.array([[1.0, 0.1]]))
    '[[1.0, 0.1]]'
    """
    return str(np.asarray(rewards).tolist())
