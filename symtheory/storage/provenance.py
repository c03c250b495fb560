"""What made a result: part of its address, so that a result of changed code has another address."""

import ast
import functools
import hashlib
import inspect
import json
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import jax
import optax


def made_by(*functions: Callable) -> dict[str, Any]:
    """What else than its settings determines a result: code, libraries, platform, precision; part of its configuration.

    `functions` make the result; estimators, which they find by name, are given by their links.
    """
    return {
        "code": code_of(*functions),
        "libraries": [jax.__version__, optax.__version__],
        "platform": jax.default_backend(),
        "x64": jax.config.read("jax_enable_x64"),
    }


@functools.cache
def code_of(*functions: Callable) -> str:
    """Hash of the code behind `functions`: a result of changed code is another result."""
    return hashlib.sha256(json.dumps(sources_of(functions), sort_keys=True).encode()).hexdigest()


def sources_of(functions: Sequence[Callable]) -> dict[str, str]:
    """Code of the modules that define `functions` and of all modules of this package that those use, by name.

    Estimators are reached through their links, so that a new one leaves the results of the others alone. What keeps
    results (`symtheory.storage`) does not make them; its `SCHEMA` is in their address.
    """
    storage = __name__.rpartition(".")[0]
    package = storage.partition(".")[0]
    sources: dict[str, str] = {}
    todo = [inspect.getmodule(f) for f in functions]
    while todo:
        module = todo.pop()
        if module is None or module.__name__ in sources or module.__name__.startswith(storage):
            continue
        sources[module.__name__] = syntax(inspect.getsource(module))
        used = [x if isinstance(x, ModuleType) else inspect.getmodule(x) for x in vars(module).values() if _is_code(x)]
        # the module of a package holds all that is in it, and `symtheory.estimators` every estimator
        todo += [m for m in used if m and m.__name__.startswith(f"{package}.") and not hasattr(m, "__path__")]
    return sources


@functools.cache
def syntax(source: str) -> str:
    """The syntax tree of `source` without docstrings, the same for every version of Python; comments are not in it.

    >>> syntax("x = 1  # one") == syntax("x=1") != syntax("x = 2")
    True
    """

    def plain(node: Any) -> Any:
        if isinstance(node, list):
            return [plain(x) for x in node if not _is_docstring(x)]
        if isinstance(node, ast.AST):
            fields = {name: plain(x) for name, x in ast.iter_fields(node) if x is not None and x != []}
            return [type(node).__name__, fields]
        return repr(node)

    return json.dumps(plain(ast.parse(source)))


def _is_docstring(node: Any) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _is_code(x: Any) -> bool:
    return inspect.isroutine(x) or inspect.isclass(x) or inspect.ismodule(x)
