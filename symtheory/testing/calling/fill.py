"""An argument for every parameter of an advantage function: rewards in its layout, and what goes with them."""

import dataclasses
import functools
import inspect
import types
import typing
from collections.abc import Callable, Collection
from typing import Any

import numpy as np

from ...errors import InputError
from .arrays import maker
from .signature import PASSED, Parameter, Signature, plain_function, role_of
from .sizes import sized_attributes, with_attribute

TOKENS = 3
"""Tokens of a rollout where all have the same length; the reward sits on the last valid one."""
EPSILON = 1e-6
"""Passed where a function asks for an epsilon."""


@dataclasses.dataclass(frozen=True)
class Rollouts:
    """What one call of a function is about: all rollouts of a batch, or those of one group."""

    rewards: np.ndarray
    """`[P, G]`, or `[G]` for one group; in the dtype to be passed."""
    order: np.ndarray
    """`[N]` which rollout of `rewards` stands where in the flat batch."""
    tokens: np.ndarray
    """`[P, G]` or `[G]` valid tokens of each rollout."""

    @property
    def flat(self) -> np.ndarray:
        """`[N]` rewards in the flat order."""
        return self.rewards.reshape(-1)[self.order]

    @property
    def group(self) -> np.ndarray:
        """`[N]` the prompt of each rollout, in the flat order."""
        return self.order // self.size

    @property
    def lengths(self) -> np.ndarray:
        """`[N]` valid tokens, in the flat order."""
        return self.tokens.reshape(-1)[self.order]

    @property
    def size(self) -> int:
        return self.rewards.shape[-1]

    @property
    def prompts(self) -> int:
        return self.rewards.shape[0] if self.rewards.ndim == 2 else 1


@dataclasses.dataclass(frozen=True)
class Forms:
    """The choices that names leave open; `decide.py` tries them."""

    rewards: str = "flat"
    """matrix, group, lists, mapping, flat, tokens, functions, objects, records, texts"""
    backend: str = "numpy"
    ids: str = "texts"
    """texts (numpy objects), list, numbers (a list), array, rows (token ids, `[N, 2]`)"""
    mask: str = "flat"
    """flat `[N]`, tokens `[N, T]`, or matrix as the rewards"""
    verdict: str = "mapping"
    """what a reward function gives: mapping or number"""


def arguments(signature: Signature, rollouts: Rollouts, forms: Forms) -> tuple[list[Any], dict[str, Any]]:
    """Positional and keyword arguments for one call."""
    given = [(p, argument(p, signature, rollouts, forms)) for p in passed(signature)]
    positional = [value for p, value in given if p.positional]
    return positional, {p.name: value for p, value in given if not p.positional}


def passed(signature: Signature) -> list[Parameter]:
    """The parameters that get an argument: the required ones, and those that say how rollouts belong together."""
    always = PASSED | ({"config"} if signature.has("tokens") else set())
    return [p for p in signature.parameters if p.role is not None and (p.required or p.role in always)]


def argument(p: Parameter, signature: Signature, rollouts: Rollouts, forms: Forms) -> Any:
    """The argument for one parameter."""
    make = maker(forms.backend)
    simple: dict[str, Callable[[], Any]] = {
        "rewards": lambda: _rewards(p, signature, rollouts, forms),
        "tokens": lambda: make(_tokens(rollouts)),
        "functions": lambda: make(rollouts.flat[:, None]),
        "size": lambda: rollouts.size,
        "count": lambda: rollouts.prompts,
        "ids": lambda: ids(rollouts, forms),
        "mask": lambda: make(_mask(rollouts, forms)),
        "lengths": lambda: make(rollouts.tokens if forms.rewards in ("matrix", "group") else rollouts.lengths),
        "weights": lambda: make(np.ones(1, rollouts.rewards.dtype)),
        "config": lambda: configuration(p, signature, rollouts.size),
        "epsilon": lambda: EPSILON,
        "flag": lambda: True,
        "one": lambda: 1.0,
        "device": lambda: "cpu",
        "dtype": lambda: _library_dtype(rollouts.rewards.dtype, forms.backend),
        "verifier": lambda: _verifier(forms.verdict),
        "responses": lambda: [_as_text(x) for x in rollouts.flat],
        "truths": lambda: ["" for _ in rollouts.flat],
    }
    assert p.role is not None
    return simple[p.role]()


def _rewards(p: Parameter, signature: Signature, rollouts: Rollouts, forms: Forms) -> Any:
    make = maker(forms.backend)
    if forms.rewards == "lists":
        rows = [make(row) for row in np.atleast_2d(rollouts.rewards)]
        return rows
    if forms.rewards == "mapping":
        return {f"prompt-{i}": make(row) for i, row in enumerate(np.atleast_2d(rollouts.rewards))}
    if forms.rewards in ("objects", "records"):
        record = _record_maker(p, signature) if forms.rewards == "objects" else dict
        named = {n: role for n in signature.methods if (role := role_of(n)) in ("rewards", "ids", "lengths")}
        flat = zip(rollouts.flat.tolist(), rollouts.group.tolist(), rollouts.lengths.tolist(), strict=True)
        return [record(**_fields(*values, named)) for values in flat]
    if forms.rewards == "functions":
        return make(rollouts.flat[:, None])
    if forms.rewards == "tokens":
        return make(_tokens(rollouts))
    return make(np.ascontiguousarray(rollouts.rewards) if forms.rewards in ("matrix", "group") else rollouts.flat)


def _tokens(rollouts: Rollouts) -> np.ndarray:
    tokens = np.zeros((rollouts.flat.size, max(TOKENS, int(rollouts.lengths.max()))), rollouts.rewards.dtype)
    tokens[np.arange(len(tokens)), rollouts.lengths - 1] = rollouts.flat
    return tokens


def _mask(rollouts: Rollouts, forms: Forms) -> np.ndarray:
    if forms.mask == "matrix":
        return np.ones(rollouts.rewards.shape, rollouts.rewards.dtype)
    if forms.mask == "flat":
        return np.ones(rollouts.flat.size, rollouts.rewards.dtype)
    width = max(TOKENS, int(rollouts.lengths.max()))
    return (np.arange(width) < rollouts.lengths[:, None]).astype(rollouts.rewards.dtype)


def ids(rollouts: Rollouts, forms: Forms) -> Any:
    """The prompt of each rollout, as the function wants to be told."""
    texts = [f"prompt-{i}" for i in rollouts.group]
    numbers = np.asarray(rollouts.group, dtype=np.int64)
    if forms.ids == "texts":
        return np.array(texts, dtype=object)
    if forms.ids == "list":
        return texts
    if forms.ids == "numbers":
        return numbers.tolist()
    rows = np.stack([numbers, numbers + 7], axis=-1) if forms.ids == "rows" else numbers
    return maker("numpy" if forms.backend == "list" else forms.backend)(rows)


def _fields(reward: float, group: int, length: int, asked: dict[str, str]) -> dict[str, Any]:
    """What a rollout's record may be asked for: what is usual, and by the roles of the names that the code asks for."""
    prompt = f"prompt-{group}"
    same = dict.fromkeys(("reward", "score", "total_reward", "final_reward", "value"), reward)
    named = dict.fromkeys(
        ("prompt", "prompt_id", "group_id", "task_id", "uid", "question_id", "prefix", "index"), prompt
    )
    by_role = {"rewards": reward, "ids": prompt, "lengths": length}
    usual = {**same, **named, "length": length, "advantage": 0.0}
    return {n: by_role[role] for n, role in asked.items()} | usual


def _record_maker(p: Parameter, signature: Signature) -> Callable[..., Any]:
    """Objects of the class that the annotation names, if it does and can be filled; else plain ones."""
    element = _element_type(p, signature)
    if element is None:
        return lambda **known: types.SimpleNamespace(**known)
    hints = {q.name: q for q in inspect.signature(element).parameters.values()}

    def make(**known):
        given = {n: known.get(n, _filler(q, known)) for n, q in hints.items() if n in known or q.default is q.empty}
        return element(**given)

    return make


def _element_type(p: Parameter, signature: Signature) -> type | None:
    """The class of the user's in `list[Class]`, if that is the annotation."""
    f = plain_function(signature.function)
    try:
        hint = typing.get_type_hints(f).get(p.name)
    except Exception:
        return None
    own = [t for t in typing.get_args(hint) if inspect.isclass(t)]
    return next((t for t in own if t.__module__.split(".")[0] not in ("builtins", "typing", "numpy", "torch")), None)


def _filler(q: inspect.Parameter, known: dict[str, Any]) -> Any:
    """Something of the annotated type for a field that says nothing about rewards."""
    kind = str(q.annotation)
    if any(word in q.name.lower() for word in ("prompt", "prefix", "group", "question", "task")) and "int" not in kind:
        return known["prompt"] if "list" not in kind.lower() else [known["prompt"]]
    fillers = {"str": "", "int": 1, "float": 0.0, "bool": True, "list": [], "dict": {}}
    return next((value for name, value in fillers.items() if name in kind.lower()), None)


class Configuration:
    """A configuration that knows the group size and what advantage functions commonly read.

    As an attribute, an item, or by `get`; what it does not know is missing, as in any other configuration. Sections of
    it know the same.
    """

    def __init__(self, size: int, asked: dict[str, Any], sections: Collection[str] = ()) -> None:
        self.__dict__.update(_size=size, _asked=asked, _sections=sections)

    def __getattr__(self, key: str) -> Any:
        value = None if key.startswith("__") else _setting(key, self.__dict__["_size"])
        if value is None and key in self.__dict__.get("_sections", ()):  # a copy begins without any
            return self
        if value is None:
            raise AttributeError(f"the configuration that check passes has no {key!r}")
        self.__dict__["_asked"][key] = "G" if role_of(key) == "size" else value
        return value

    def __setattr__(self, key: str, value: Any) -> None:
        self.__dict__[key] = value

    def __getitem__(self, key: str) -> Any:
        try:
            return getattr(self, key)
        except AttributeError as error:
            raise KeyError(str(error)) from None

    def __contains__(self, key: str) -> bool:
        return hasattr(self, key)

    def get(self, key: str, default: Any = None) -> Any:
        return default if default is not None and key not in self.__dict__["_sections"] else getattr(self, key, None)


def _setting(key: str, size: int) -> Any:
    known = {"size": size, "one": 1.0, "epsilon": EPSILON, "device": "cpu", "flag": True}
    return known.get(role_of(key) or "")


def configuration(p: Parameter, signature: Signature, size: int) -> Any:
    """A configuration of the annotated class where that is a dataclass of the file, else one that knows the usual."""
    scope = getattr(signature.function, "__globals__", {})
    kind = scope.get(p.annotation.split("|")[0].strip().strip("\"'"))
    return (
        filled(kind, size, signature.settings)
        if dataclasses.is_dataclass(kind) and isinstance(kind, type)
        else Configuration(size, signature.settings, signature.sections)
    )


def filled(cls: type, size: int, asked: dict[str, Any] | None = None) -> Any:
    """An object of a class, its group size set and the parameters without a default filled by their names.

    What it asks a made-up configuration for is entered in `asked`.

    Raises:
        InputError: it asks for something that no name explains.
    """
    given, asked = {}, {} if asked is None else asked
    for name, q in inspect.signature(cls).parameters.items():
        role = role_of(name)
        required = q.default is q.empty and q.kind in (q.POSITIONAL_ONLY, q.POSITIONAL_OR_KEYWORD, q.KEYWORD_ONLY)
        if role == "config" and required:
            inner = q.annotation if dataclasses.is_dataclass(q.annotation) else None
            scope = getattr(cls.__init__, "__globals__", {})
            inner = inner or scope.get(str(q.annotation).strip("\"'"))
            given[name] = (
                filled(inner, size, asked)
                if isinstance(inner, type) and dataclasses.is_dataclass(inner)
                else Configuration(size, asked)
            )
        elif role == "size" and q.annotation not in (bool, "bool"):
            given[name] = size
        elif required:
            value = True if q.annotation in (bool, "bool") else _setting(name, size)
            if value is None:
                raise InputError(f"{cls.__name__} asks for {name!r} when it is made, which check cannot know")
            given[name] = value
    made = cls(**given)
    return functools.reduce(lambda holder, path: with_attribute(holder, path, size), sized_attributes(made), made)


def _library_dtype(dtype: np.dtype, backend: str) -> Any:
    if backend != "torch":
        return dtype
    import torch

    return getattr(torch, dtype.name)


def _as_text(reward: float) -> str:
    return repr(float(reward))


def _verifier(kind: str) -> Callable[..., Any]:
    """A reward function that reads the reward out of the response."""

    def mapping(response, *_, **__):
        return {"reward": float(response), "format_reward": float(response), "answer_reward": float(response)}

    return mapping if kind == "mapping" else lambda response, *_, **__: float(response)
