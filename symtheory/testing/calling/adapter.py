"""One way to call a function: rewards `[P, G]` in, advantages `[P, G]` out, whatever the function takes and gives."""

import asyncio
import contextlib
import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from ...errors import InputError
from .answers import library_of, read
from .arrays import as_numpy
from .fill import TOKENS, Forms, Rollouts, arguments, filled, passed
from .signature import Signature, name_of
from .sizes import Place, constants, holder_of, set_to, sized_attributes, with_attribute

Layout = Literal["matrix", "group", "lists", "flat", "ids", "tokens", "functions", "responses"]
LAYOUTS: dict[str, str] = {
    "matrix": "matrix [prompts, G]",
    "group": "one group at a time [G]",
    "lists": "a list of groups",
    "flat": "flat rewards, groups of G in a row",
    "ids": "flat rewards, groups told by ids",
    "tokens": "token-level rewards, groups told by ids",
    "functions": "rewards by reward function [N, n_funcs]",
    "responses": "responses and a reward function, groups of G in a row",
}


class ChangesInput(InputError):
    """A function that changes the rewards it is given."""


@dataclass(frozen=True)
class Adapter:
    """A callable of rewards `[P, G]` (float64, float32 or bfloat16) that gives float64 advantages `[P, G]`."""

    signature: Signature
    layout: str
    forms: Forms
    jitted: dict[int, Callable] | None = field(default=None, compare=False)
    """The function as jax compiles it for each group size, where that gives the same."""
    known: dict[bytes, np.ndarray] | None = field(default=None, compare=False)
    """Answers for single groups, once it is known that they do not depend on earlier calls."""

    @property
    def name(self) -> str:
        return name_of(self.signature.function)

    @property
    def shuffles(self) -> bool:
        """Whether rollouts may stand in any order, told apart by ids."""
        return self.signature.has("ids") and self.layout != "group"

    @property
    def has_lengths(self) -> bool:
        """Whether the function is told how long each rollout is."""
        return self.signature.has("tokens", "lengths") or (self.signature.has("mask") and self.forms.mask == "tokens")

    def __call__(self, rewards: np.ndarray, order: np.ndarray | None = None, lengths: np.ndarray | None = None):
        """Advantages `[P, G]`.

        Args:
            rewards: `[P, G]`.
            order: `[N]` order of the rollouts in the flat batch, where ids tell the groups.
            lengths: `[P, G]` valid tokens of each rollout, where there are tokens.

        Raises:
            InputError: no advantages in what it returns, or it changes the rewards that it is given.
        """
        tokens = np.full(rewards.shape, TOKENS) if lengths is None else lengths
        if self.layout == "group":
            return np.stack(
                [self._group(Rollouts(r, np.arange(len(r)), t)) for r, t in zip(rewards, tokens, strict=True)]
            )
        order = np.arange(rewards.size) if order is None else order
        return self._ask(Rollouts(rewards, order, tokens))

    def describe(self) -> str:
        """Layout and the choices within it, for the head of a report."""
        text = LAYOUTS[self.layout]
        if self.layout == "flat":
            text += f" ({self._told_size()})"
        if self.layout in ("ids", "tokens"):
            named = ", ".join(p.name for p in self.signature.having("ids"))
            text += f" ({named})" if named else " (read off the rollouts)" if self.layout == "ids" else " (not read)"
        form = {
            "objects": ", rollouts as objects with .reward",
            "records": ", rollouts as dicts",
            "mapping": ", in a dict",
        }
        return text + form.get(self.forms.rewards, "")

    def _told_size(self) -> str:
        sizes = [p.name for p in self.signature.having("size")]
        hidden = [f"self.{'.'.join(path)}" for path in sized_attributes(holder_of(self.signature.function))]
        hidden += [place.name for place in self._constants]
        return ", ".join(sizes or hidden or ["the size in its configuration"])

    @functools.cached_property
    def _constants(self) -> list[Place]:
        """Constants that hold the group size, where no parameter does."""
        return [] if self.layout != "flat" or self.signature.has("size") else constants(self.signature.function)

    def answers_in(self, rewards: np.ndarray) -> str | None:
        """The library whose arrays it returns: `numpy`, `torch`, `jax`, or None for plain numbers."""
        group = self.layout == "group"
        rewards = rewards[0] if group else rewards
        with _double_precision(self.forms.backend):
            result, _ = self._call(Rollouts(rewards, np.arange(rewards.size), np.full(rewards.shape, TOKENS)))
        return library_of(result)

    def _ask(self, rollouts: Rollouts) -> np.ndarray:
        with _double_precision(self.forms.backend):
            result, given = self._call(rollouts)
            self._must_be_unchanged(given, rollouts)
            return self._answer(result, given, rollouts)

    def _call(self, rollouts: Rollouts) -> tuple[Any, dict[str, Any]]:
        """What the function returns, and the arguments that it was given."""
        positional, named = arguments(self.signature, rollouts, self.forms)
        with set_to(self._constants, rollouts.size):
            result = _finished(self._function(rollouts.size)(*positional, **named))
        given = dict(zip([p.name for p in passed(self.signature) if p.positional], positional, strict=True))
        return result, given | named

    def _group(self, group: Rollouts) -> np.ndarray:
        if self.known is None or self.has_lengths:
            return self._ask(group)
        key = str(group.rewards.dtype).encode() + group.rewards.tobytes()
        if key not in self.known:
            self.known[key] = self._ask(group)
        return self.known[key]

    def _function(self, size: int) -> Callable:
        """What to call for groups of a size."""
        if self.jitted is None:
            return self._bound(size)
        if size not in self.jitted:
            self.jitted[size] = _jit(self._bound(size), self.signature)
        return self.jitted[size]

    def _bound(self, size: int) -> Callable:
        """The function; a method with a fresh object of its class, or with the group size set in its own."""
        f, owner = self.signature.function, self.signature.owner
        if owner is not None:
            return functools.partial(f, filled(owner, size, self.signature.settings))
        holder = holder_of(f)
        paths = [] if self.layout == "group" else sized_attributes(holder)
        if not paths:
            return f
        sized = functools.reduce(lambda h, path: with_attribute(h, path, size), paths, holder)
        return getattr(sized, f.__name__) if hasattr(f, "__self__") else sized  # type: ignore[return-value]

    def _answer(self, result: Any, given: dict[str, Any], rollouts: Rollouts) -> np.ndarray:
        written = result is None or isinstance(result, int | float)  # into the objects; a count comes back, or nothing
        if written and self.forms.rewards in ("objects", "records"):
            result = given[self.signature.having("rewards")[0].name]
        last = rollouts.lengths - 1 if self.has_lengths else None
        if rollouts.rewards.ndim == 1 or self.layout in ("matrix", "lists"):
            return read(result, rollouts.rewards.astype(np.float64), last, self.name)
        a = read(result, rollouts.flat.astype(np.float64), last, self.name)
        return a[np.argsort(rollouts.order)].reshape(rollouts.rewards.shape)

    def _must_be_unchanged(self, given: dict[str, Any], rollouts: Rollouts) -> None:
        if self.forms.rewards not in ("matrix", "group", "flat") or not self.signature.having("rewards"):
            return
        expected = rollouts.flat if self.forms.rewards == "flat" else rollouts.rewards
        now = as_numpy(given[self.signature.having("rewards")[0].name])
        if now.shape != expected.shape or not np.array_equal(now, expected.astype(np.float64)):
            became = f"rewards {expected.tolist()} became {now.tolist()}"
            raise ChangesInput(f"{self.name} changes its input in place: {became}; work on a copy")


def _finished(result: Any) -> Any:
    """What a coroutine returns in the end, and all that a generator yields."""
    if inspect.iscoroutine(result):
        return asyncio.run(result)
    return list(result) if inspect.isgenerator(result) else result


def _double_precision(backend: str) -> contextlib.AbstractContextManager:
    """jax makes float32 of float64 unless told otherwise."""
    if backend != "jax":
        return contextlib.nullcontext()
    import jax

    return jax.enable_x64(True)


def settled(adapter: Adapter, rewards: np.ndarray) -> Adapter:
    """The same for a function without memory: answers for single groups are kept, and jax code is compiled."""
    kept = replace(adapter, known={})
    return _compiled(kept, rewards) if adapter.forms.backend == "jax" else kept


def _compiled(adapter: Adapter, rewards: np.ndarray) -> Adapter:
    """With the function jitted, if it can be and gives the same: then each shape compiles once."""
    if adapter.signature.has("ids", "config", "verifier"):
        return adapter
    fast = replace(adapter, jitted={}, known={})
    try:
        same = np.allclose(fast(rewards), adapter(rewards), rtol=1e-12, atol=1e-12, equal_nan=True)
    except Exception:
        return adapter
    return fast if same else adapter


def _jit(f: Callable, signature: Signature) -> Callable:
    import jax

    arrays = ("rewards", "tokens", "functions", "mask", "weights")
    return jax.jit(f, static_argnames=[p.name for p in passed(signature) if p.role not in arrays])
