"""The object that `name`, `package.module:object` or `path/to/file.py:object` means: one loader for every command.

A file is imported as a module of its package if `__init__.py` files or relative imports show that it is in one, else
as a script. If the package's own `__init__` fails (because a library is missing, say), it is replaced by an empty one,
and the file alone is run.
"""

import ast
import functools
import importlib
import importlib.util
import inspect
import sys
import types
from pathlib import Path
from typing import Any

from ..errors import InputError, no_such
from . import base
from .base import Estimator, chain


def load(spec: str) -> Any:
    """What `pkg.mod:attribute` or `path/to/file.py:attribute` names, or the registered estimator of that name.

    Raises:
        InputError: no such module, file or attribute, or its import fails.

    >>> load("grpo").name
    'grpo'
    """
    place, colon, attribute = spec.rpartition(":")
    if not colon:
        return base.get(spec)
    return attribute_of(module(place), attribute, place)


def resolve(target: str) -> Estimator:
    """The estimator called `target`: a registered name, or a place that holds an Estimator, a link, or links.

    Raises:
        InputError: an unknown name, a module that cannot be imported, or an object of another kind.
    """
    if ":" not in target:
        if target not in base.names():
            raise no_such("estimator", target, base.names())
        return base.get(target)
    thing = load(target)
    if isinstance(thing, Estimator):
        return thing
    links = tuple(thing) if isinstance(thing, tuple | list) else (thing,)
    if not links or not all(callable(link) for link in links):
        raise InputError(f"{target!r} must be an Estimator, a link or a tuple of links, got {type(thing).__name__}")
    return chain(*links, name=target.rpartition(":")[2])


def module(place: str) -> types.ModuleType:
    """The module that a dotted name or a path to a file means; a name is looked for in the current folder too."""
    try:
        if place.endswith(".py"):
            return _module_of_file(Path(place).resolve(strict=True))
        with _on_path(Path.cwd()):
            return importlib.import_module(place)
    except FileNotFoundError:
        raise InputError(f"no file {place!r}") from None
    except BaseException as error:  # a user's module may fail in any way while it is imported
        if isinstance(error, KeyboardInterrupt):
            raise
        raise InputError(f"cannot import {place!r}: {type(error).__name__}: {first_line(error)}") from None


def attribute_of(thing: Any, path: str, place: str) -> Any:
    """The attribute of a module at a dotted path."""
    try:
        return functools.reduce(getattr, path.split("."), thing)
    except AttributeError:
        have = ", ".join(n for n, v in vars(thing).items() if inspect.isfunction(v) and not n.startswith("_"))
        raise InputError(f"{place!r} has no {path!r}; its functions: {have or 'none'}") from None


def first_line(error: BaseException) -> str:
    """The first line of an error's message."""
    return (str(error).strip().splitlines() or ["no message"])[0][:300]


def _module_of_file(path: Path) -> types.ModuleType:
    """Import a file as a module of its package, if need be without running the packages around it."""
    depth = max(_depth_in_package(path), _relative_depth(path))
    for folder in (path.parents[depth], *_project_folders(path)):
        if str(folder) not in sys.path:
            sys.path.append(str(folder)) if folder != path.parents[depth] else sys.path.insert(0, str(folder))
    if not depth:
        return _run(path, path.stem)
    name = ".".join(path.relative_to(path.parents[depth]).with_suffix("").parts)
    try:
        return importlib.import_module(name)
    except KeyboardInterrupt:
        raise
    except BaseException:
        for level in range(depth, 0, -1):
            _enter_empty(".".join(name.split(".")[: depth - level + 1]), path.parents[level - 1])
        return _run(path, name)


def _depth_in_package(path: Path) -> int:
    """How many folders above the file have an `__init__.py`, without a gap."""
    return next(i for i, folder in enumerate(path.parents) if not (folder / "__init__.py").exists())


def _relative_depth(path: Path) -> int:
    """How many packages the file's relative imports reach up."""
    try:
        tree = ast.parse(path.read_text())
    except (SyntaxError, UnicodeDecodeError):
        return 0
    levels = max((n.level for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)), default=0)
    return min(levels, len(path.parents) - 1)


def _project_folders(path: Path) -> list[Path]:
    """The nearest folder that is a project's root, and its `src`: files of a repository import from there."""
    marks = ("pyproject.toml", "setup.py", ".git", "requirements.txt")
    root = next((f for f in path.parents if any((f / mark).exists() for mark in marks)), None)
    return [] if root is None else [root, root / "src"]


def _enter_empty(name: str, folder: Path) -> None:
    """Enter a package without running its `__init__`, so that modules inside it can be found."""
    if name not in sys.modules:
        package = types.ModuleType(name)
        package.__path__ = [str(folder)]
        sys.modules[name] = package


def _run(path: Path, name: str) -> types.ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    known = sys.modules.get(name)
    if known is None or getattr(known, "__file__", None) is None:
        sys.modules[name] = made
    try:
        spec.loader.exec_module(made)
    except BaseException:
        if sys.modules.get(name) is made:
            del sys.modules[name]
        raise
    return made


class _on_path:
    """A folder at the head of the import path for as long as the block runs."""

    def __init__(self, folder: Path) -> None:
        self.folder = str(folder)

    def __enter__(self) -> None:
        sys.path.insert(0, self.folder)

    def __exit__(self, *_) -> None:
        sys.path.remove(self.folder)
