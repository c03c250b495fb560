"""What the parameters of an advantage function mean, read from their names, annotations and defaults.

Nothing is called here, and nothing is decided that a call can decide better: `decide.py` does that.
"""

import ast
import functools
import inspect
import re
import textwrap
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

ROLLOUTS = r"(generations?|samples?|rollouts?|responses?|completions?|outputs?|trajector(y|ies)|candidates|answers)"
PER = r"(_per_(prompt|group|question|problem|query|input|instance|task|example))"
PROMPT = r"(group|prompt_group|prompt|problem|question|task|query|instance|sample_group|episode_group)"
ROLES: tuple[tuple[str, str], ...] = (
    ("tokens", r"token_level_(rewards?|scores?)|token_(rewards|scores)"),
    ("functions", r"(rewards?|scores?)_per_(reward_)?func(tion)?s?|(rewards?|scores?)_by_func(tion)?"),
    ("verifier", r"(reward|score|scoring|verify|verifier|grading|grader)_(fn|func|function)|verifier|grader"),
    ("size", rf"(num_|n_|k_)(return_sequences|repeats?|per_group|{ROLLOUTS}){PER}?"),
    ("size", rf"{ROLLOUTS}{PER}|(group|grpo|grp|rollout_group)_(size|n|len)|(rollout|repeat|group)_(n|num|times)"),
    ("size", r"(n|k|g|size|repeats?|n_resp_per_prompt|num_per_prompt|n_per_prompt|n_gen|num_gen)"),
    ("count", rf"(num_|n_){PROMPT}s?|num_queries"),
    (
        "ids",
        rf"{PROMPT}s?(_?(ids?|idxs?|index|indexes|indices|uids?|keys?|hash(es)?))?|uids?|index|indices|ids?|inputs",
    ),
    ("mask", r".*masks?"),
    ("lengths", r".*(length|len)s?"),
    ("weights", r".*weights?"),
    ("config", r".*(config|cfg|conf|args|hparams|hyperparams|opts|options|params)"),
    ("epsilon", r"(.*_)?eps(ilon)?(_.*)?"),
    ("flag", r"(norm|normali[sz]e|use|with|do|is|should|scale|by|std|unbiased|whiten|minus)(_.*)?|.*_(std|norm)"),
    ("one", r"gamma|lam|lambda_?|lambd"),
    ("device", r"device"),
    ("dtype", r"dtype"),
    ("truths", r".*(truths?|labels|references|targets|solutions|gold)"),
    ("responses", rf"(rollout_|model_|policy_)?{ROLLOUTS}"),
    ("rewards", r".*(rewards?|scores?|returns?|outcomes?)(_.*)?|rs?|xs?|values?"),
)
"""Role and the names (in lower case, whole) that have it; the first that fits counts."""
PASSED = frozenset({"rewards", "tokens", "functions", "size", "ids", "mask", "lengths", "weights"})
"""Roles that are passed even where the parameter has a default, since leaving them out would mean another thing."""


@dataclass(frozen=True)
class Parameter:
    """One parameter, and what it means."""

    name: str
    role: str | None
    required: bool
    annotation: str = ""
    positional: bool = False
    """It cannot be given by name."""


@dataclass(frozen=True)
class Signature:
    """What can be read about a callable without calling it."""

    function: Callable
    parameters: tuple[Parameter, ...]
    owner: type | None = None
    """The class to make an object of, if the callable is a method that has none yet."""
    packages: frozenset[str] = field(default_factory=frozenset)
    """`numpy`, `torch`, `jax`, `statistics`: what its own code refers to."""
    annotated: frozenset[str] = field(default_factory=frozenset)
    """The same of its parameters' annotations."""
    around: frozenset[str] = field(default_factory=frozenset)
    """The same of the file around it."""
    axis: bool = False
    """Its code names an axis (or dim), or keeps one."""
    text: str = ""
    """Its name, docstring, annotations and parameter names, in lower case."""
    methods: frozenset[str] = field(default_factory=frozenset)
    """Attributes that its code asks for."""
    sections: frozenset[str] = field(default_factory=frozenset)
    """Attributes and items of which its code reads a part, if it takes a configuration: `rollout` in
    `config.rollout.n`."""
    settings: dict[str, Any] = field(default_factory=dict, compare=False)
    """What it asked a made-up configuration for, and was told."""

    def having(self, role: str) -> tuple[Parameter, ...]:
        return tuple(p for p in self.parameters if p.role == role)

    def has(self, *roles: str) -> bool:
        return any(p.role in roles for p in self.parameters)

    @property
    def unknown(self) -> tuple[Parameter, ...]:
        """Required parameters that no role fits."""
        return tuple(p for p in self.parameters if p.role is None and p.required)

    def with_role(self, name: str, role: str) -> "Signature":
        """The same with another role for one parameter."""
        changed = tuple(replace(p, role=role) if p.name == name else p for p in self.parameters)
        return replace(self, parameters=changed)


def describe(f: Callable) -> Signature:
    """Read the signature of a function, method, class or callable object."""
    owner = _owner(f)
    if not inspect.isclass(f) and not hasattr(f, "__code__") and inspect.ismethod(getattr(f, "forward", None)):
        f = f.forward  # type: ignore[attr-defined]  # a torch module's own method tells more than its `__call__`
    if inspect.isclass(f):
        owner, f = f, _main_method(f)
    parameters = _parameters(f, skip_self=owner is not None)
    plain = plain_function(f)
    tree = _tree(plain)
    packages, axis, methods = _uses(plain, tree) if hasattr(plain, "__code__") else ({_home(type(f))}, False, set())
    scope = getattr(plain, "__globals__", {})
    around = {_home(v) for v in list(scope.values())} | scope.get("__imports__", set())
    hints = [_homes(hint, scope) for n, hint in getattr(plain, "__annotations__", {}).items() if n != "return"]
    words = [
        getattr(plain, "__qualname__", ""),
        inspect.getdoc(plain) or "",
        *(f"{p.name} {p.annotation}" for p in parameters),
    ]
    return Signature(
        f,
        parameters,
        owner,
        frozenset(packages),
        frozenset(set().union(*hints)),
        frozenset(around & {"numpy", "torch", "jax"}),
        axis,
        " ".join(words).lower(),
        frozenset(methods),
        frozenset(_sections(tree) if tree and any(p.role == "config" for p in parameters) else ()),
    )


def role_of(name: str) -> str | None:
    """The role that a parameter's name says it has.

    >>> [role_of(n) for n in ("rewards", "n_samples_per_prompt", "group_ids", "eps", "wandb_run")]
    ['rewards', 'size', 'ids', 'epsilon', None]
    """
    name = name.strip("_").lower()
    return next((role for role, pattern in ROLES if re.fullmatch(pattern, name)), None)


def plain_function(f: Any) -> Any:
    """The Python function behind partials, decorators, methods and callable objects."""
    while isinstance(f, functools.partial):
        f = f.func
    f = inspect.unwrap(f)
    f = getattr(f, "__func__", f)
    return f if hasattr(f, "__code__") else type(f).__call__


def name_of(f: Any) -> str:
    """How a report calls it."""
    named = getattr(f, "__name__", None) or getattr(f, "name", None)  # the second of a function that torch compiled
    return named if isinstance(named, str) else getattr(plain_function(f), "__qualname__", type(f).__name__)


def _parameters(f: Callable, skip_self: bool) -> tuple[Parameter, ...]:
    try:
        found = list(inspect.signature(f).parameters.values())
    except (ValueError, TypeError):  # builtins and some extension types do not tell
        return (Parameter("rewards", "rewards", True, positional=True),)
    found = [p for p in found[skip_self:] if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    parameters = [
        Parameter(p.name, _role(p), p.default is p.empty, _text(p.annotation), p.kind is p.POSITIONAL_ONLY)
        for p in found
    ]
    return tuple(_with_rewards(parameters))


def _role(p: inspect.Parameter) -> str | None:
    """A parameter's role by its name; an annotation or default of another kind overrules the name."""
    role, kind = role_of(p.name), _text(p.annotation)
    if (kind == "bool" or isinstance(p.default, bool)) and role != "rewards":
        return "flag"
    if role == "rewards" and "baseline" in p.name.lower():
        return None
    if role in ("ids", "rewards") and kind == "int":
        return "size"
    if role in ("flag", "ids") and kind == "float":
        return None
    if role is None and callable(p.default) and p.default is not p.empty:
        return None
    return role


def _with_rewards(parameters: list[Parameter]) -> list[Parameter]:
    """Where no name says rewards, the first parameter that can hold them does."""
    if any(p.role in ("rewards", "tokens", "functions", "verifier") for p in parameters):
        first = next(p for role in ("tokens", "functions", "rewards", "verifier") for p in parameters if p.role == role)
        return [  # only one is the rewards; another required one is not known
            replace(p, role=None) if p.role == "rewards" and p is not first else p for p in parameters
        ]
    for kind in ((None, "responses"), ("ids", "size", "weights", "truths")):
        for i, p in enumerate(parameters):
            if p.role in kind:
                return [*parameters[:i], replace(p, role="rewards"), *parameters[i + 1 :]]
    return parameters


def _text(annotation: Any) -> str:
    """An annotation as one would write it."""
    if annotation is inspect.Parameter.empty:
        return ""
    plain = isinstance(annotation, type) and not hasattr(annotation, "__args__")
    return annotation.__name__ if plain else str(annotation)


def _owner(f: Any) -> type | None:
    """The class of a plain function that is a method, found by its qualified name where it was defined."""
    parts = getattr(f, "__qualname__", "").split(".")
    if not inspect.isfunction(f) or len(parts) < 2 or "<locals>" in parts:
        return None
    holder = functools.reduce(lambda h, n: getattr(h, n, None), parts[1:-1], f.__globals__.get(parts[0]))
    member = inspect.getattr_static(holder, parts[-1], None) if inspect.isclass(holder) else None
    return holder if (inspect.isfunction(member) and member is f) or _wraps(member, f) else None


def _wraps(member: Any, f: Any) -> bool:
    return inspect.isfunction(member) and inspect.unwrap(member) is inspect.unwrap(f)


def _main_method(cls: type) -> Callable:
    """The method of a class that computes advantages: `__call__` or `forward`, else the one whose name says so."""
    methods = {n: m for n, m in inspect.getmembers(cls, inspect.isfunction) if n == "__call__" or not n.startswith("_")}
    first = "forward" if "forward" in methods else "__call__"
    ranked = sorted(methods, key=lambda n: (n != first, "adv" not in n, "norm" not in n and "compute" not in n))
    return methods[ranked[0]] if ranked else cls


def _home(value: Any) -> str:
    """The package that a module, function or class comes from; `jax` for what is built on it."""
    name = value.__name__ if isinstance(value, types.ModuleType) else getattr(value, "__module__", None)
    return library(name if isinstance(name, str) else "")


def library(module: str) -> str:
    """The package of a module's name, libraries of jax counted as jax.

    >>> library("jaxlib.xla_client"), library("torch.nn.functional")
    ('jax', 'torch')
    """
    root = module.split(".")[0]
    return "jax" if root in ("jaxlib", "flax", "chex", "optax", "equinox", "haiku") else root


def _uses(f: Any, tree: ast.Module | None, depth: int = 2) -> tuple[set[str], bool, set[str]]:
    """Packages that a function and the functions it calls refer to, whether they name an axis, attributes they use."""
    names = _names_in(f.__code__)
    roots = set().union(*(_homes(a, f.__globals__) for a in getattr(f, "__annotations__", {}).values()))
    roots |= names & {"torch", "jax"}
    axis, methods = _reads(f, tree)
    for value in (f.__globals__[n] for n in names if n in f.__globals__):
        roots.add(_home(value))
        if depth and inspect.isfunction(value) and _home(value) == _home(f):  # of the same package
            inner = _uses(value, _tree(value), depth - 1)
            roots, axis, methods = roots | inner[0], axis or inner[1], methods | inner[2]
    if depth and methods and "." in f.__qualname__:  # methods of its own class
        holder = f.__globals__.get(f.__qualname__.split(".")[0])
        for inner_f in (inspect.getattr_static(holder, m, None) for m in methods if inspect.isclass(holder)):
            if inspect.isfunction(inner_f) and inner_f is not f:
                inner = _uses(inner_f, _tree(inner_f), 0)
                roots, axis, methods = roots | inner[0], axis or inner[1], methods | inner[2]
    return roots, axis, methods


ARRAY_TYPES = {"Tensor": "torch", "Array": "jax", "jnp": "jax", "ndarray": "numpy", "NDArray": "numpy", "np": "numpy"}
"""What an annotation means whose import is for type checkers only."""


def _homes(annotation: Any, scope: dict[str, Any]) -> set[str]:
    """Packages of the types in an annotation, be it text or not: `jax` for `Float[Array, "g"] | None`."""
    if isinstance(annotation, str):
        words = re.findall(r"[A-Za-z_]\w*", annotation)
        return {_home(scope[w]) if w in scope else str(ARRAY_TYPES.get(w, w)) for w in words}
    inner = [*typing.get_args(annotation), getattr(annotation, "array_type", None)]  # of a union, and of jaxtyping
    return {_home(annotation)}.union(*(_homes(a, scope) for a in inner if a is not None and a is not annotation))


def _names_in(code: types.CodeType) -> set[str]:
    """Global names in a code object and the functions defined inside it."""
    inner = (c for c in code.co_consts if isinstance(c, types.CodeType))
    return set(code.co_names).union(*map(_names_in, inner))


AXIS_WORDS = {"axis", "dim", "keepdim", "keepdims"}
REDUCTIONS = {"mean", "std", "var", "sum", "max", "min", "amax", "amin", "nanmean", "nansum", "median", "std_mean"}


def _reads(f: Any, tree: ast.Module | None) -> tuple[bool, set[str]]:
    """Whether a function's source names an axis in a call, and the attributes that it reads."""
    if tree is None:
        return bool(AXIS_WORDS & set(_keywords(f.__code__))), _names_in(f.__code__)
    body = [n for part in getattr(tree.body[0], "body", tree.body) if isinstance(part, ast.AST) for n in ast.walk(part)]
    body = body if isinstance(tree.body[0], ast.FunctionDef) else list(ast.walk(tree))  # annotations apart
    calls = [n for n in body if isinstance(n, ast.Call)]
    named = any(k.arg in AXIS_WORDS for c in calls for k in c.keywords)
    placed = any(isinstance(c.func, ast.Attribute) and c.func.attr in REDUCTIONS and _axis_given(c) for c in calls)
    sliced = any(isinstance(n, ast.Subscript) and isinstance(n.slice, ast.Tuple) for n in body)
    return named or placed or sliced, {n.attr for n in body if isinstance(n, ast.Attribute)}


def _tree(f: Any) -> ast.Module | None:
    """The syntax tree of a function's source, where that can be had."""
    try:
        return ast.parse(textwrap.dedent(inspect.getsource(f)))
    except (OSError, TypeError, SyntaxError, IndentationError):
        return None


def _sections(tree: ast.Module) -> set[str]:
    """`rollout` for `config.rollout.n`, `config["rollout"]["n"]` and `config.get("rollout").n`."""
    wholes = [n.value for n in ast.walk(tree) if isinstance(n, ast.Attribute | ast.Subscript)]
    keys = [n.slice for n in wholes if isinstance(n, ast.Subscript)]
    keys += [n.args[0] for n in wholes if isinstance(n, ast.Call) and n.args]
    texts = {k.value for k in keys if isinstance(k, ast.Constant) and isinstance(k.value, str)}
    return texts | {n.attr for n in wholes if isinstance(n, ast.Attribute)}


def _axis_given(call: ast.Call) -> bool:
    """`x.mean(1)` or `np.mean(x, -1)`: a whole number among the arguments of a reduction."""
    for argument in call.args:
        value = argument.operand if isinstance(argument, ast.UnaryOp) else argument
        if isinstance(value, ast.Constant) and isinstance(value.value, int):
            return True
    return False


def _keywords(code: types.CodeType) -> list[str]:
    tuples = [c for c in code.co_consts if isinstance(c, tuple)]
    inner = [k for c in code.co_consts if isinstance(c, types.CodeType) for k in _keywords(c)]
    return [k for t in tuples for k in t if isinstance(k, str)] + inner
