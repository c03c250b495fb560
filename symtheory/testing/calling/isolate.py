"""A function cut out of a file that does not import: its own lines, and what they use of the same file.

The file is read, never run. What is taken: the function (or class), the functions, classes, constants and imports of
the file that it uses, and what those use in turn. An import that fails leaves a name that says so when it is used.
"""

import ast
import copy
import sys
import types
from pathlib import Path
from typing import Any

from ...errors import InputError
from ...estimators import loading
from .signature import library


def load(spec: str, *, isolate: bool = False) -> Any:
    """What `symtheory check` tests: `pkg.mod:func`, `path/to/file.py:func`, `path/to/file.py:Class.method` or a name.

    Where a file does not import, the function is cut out of it; `isolate` cuts it out at once.

    Args:
        spec: where it is.
        isolate: cut the function out of its file without importing the file.

    Returns:
        The function, method, class or name.

    Raises:
        InputError: no such module, file or function, or it cannot be cut out either.
    """
    place, colon, attribute = spec.rpartition(":")
    if not colon or not place.endswith(".py"):
        thing = loading.load(spec)
    elif isolate:
        thing = loading.attribute_of(cut_out(Path(place), attribute), attribute, place)
    else:
        thing = _load_or_cut_out(place, attribute)
    if isinstance(thing, str):  # an enum of strings, say: not to be looked up as one of our own names
        raise InputError(f"{spec!r} is the text {str(thing)!r}; check needs a function, a method or a class")
    return thing


def _load_or_cut_out(place: str, attribute: str) -> Any:
    try:
        module = loading.module(place)
    except InputError as error:
        try:
            module = cut_out(Path(place), attribute)
        except (InputError, OSError):
            raise error from None
        module.__why_isolated__ = str(error)  # type: ignore[attr-defined]
    try:
        return loading.attribute_of(module, attribute, place)
    except ImportError as error:
        raise InputError(f"{attribute} of {place!r} cannot be cut out: {error}") from None


def cut_out(path: Path, attribute: str) -> types.ModuleType:
    """A module of nothing but `attribute` of a file and what it uses there.

    Raises:
        InputError: no such file, it is not Python, or it does not define the attribute.
    """
    try:
        tree = ast.parse(path.read_text(), filename=str(path))
    except FileNotFoundError:
        raise InputError(f"no file {str(path)!r}") from None
    except SyntaxError as error:
        raise InputError(f"{str(path)!r} is not Python that can be read: {error.msg} on line {error.lineno}") from None
    defined = _definitions(tree)
    wanted = attribute.split(".")[0]
    if wanted not in defined:
        raise InputError(f"{str(path)!r} does not define {wanted!r}")
    needed = _closure(wanted, defined)
    module = types.ModuleType(f"{path.stem}_isolated")
    module.__file__ = str(path)
    module.__imports__ = _libraries(tree)  # type: ignore[attr-defined]
    sys.modules[module.__name__] = module
    kept = {id(s): s for s in tree.body if any(s is d for name in needed for d in defined[name])}
    for statement in kept.values():
        _execute(statement, needed, path, module)
    return module


def _libraries(tree: ast.Module) -> set[str]:
    """The packages that a file imports, needed here or not: they tell which arrays it is about."""
    imports = [n for n in ast.walk(tree) if isinstance(n, ast.Import | ast.ImportFrom)]
    absolute = [n.module for n in imports if isinstance(n, ast.ImportFrom) and n.module and not n.level]
    return {
        library(name) for name in [*absolute, *(a.name for n in imports if isinstance(n, ast.Import) for a in n.names)]
    }


def _definitions(tree: ast.Module) -> dict[str, list[ast.stmt]]:
    """Name -> the top-level statements that bind it."""
    defined: dict[str, list[ast.stmt]] = {}
    for statement in tree.body:
        for name in _bound_by(statement):
            defined.setdefault(name, []).append(statement)
    return defined


def _bound_by(statement: ast.stmt) -> set[str]:
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {statement.name}
    if isinstance(statement, ast.Import | ast.ImportFrom):
        return {(alias.asname or alias.name).split(".")[0] for alias in statement.names}
    nodes = list(ast.walk(statement))
    stored = {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    inner = (n for n in nodes if isinstance(n, ast.Import | ast.ImportFrom | ast.FunctionDef | ast.ClassDef))
    return stored.union(*(_bound_by(n) for n in inner if n is not statement))


def _closure(name: str, defined: dict[str, list[ast.stmt]]) -> set[str]:
    """The names that a definition uses, and those that they use."""
    needed: set[str] = set()
    open_ = [name]
    while open_:
        name = open_.pop()
        if name in needed or name not in defined:
            continue
        needed.add(name)
        for statement in defined[name]:
            open_ += {n.id for n in ast.walk(statement) if isinstance(n, ast.Name)}
    return needed


def _execute(statement: ast.stmt, needed: set[str], path: Path, module: types.ModuleType) -> None:
    """Run one statement; annotations stay text, so that no type has to exist for them."""
    if isinstance(statement, ast.Import | ast.ImportFrom):
        _import(statement, needed, path, module)
        return
    if isinstance(statement, ast.If) and "TYPE_CHECKING" in ast.dump(statement.test):  # what a lazy module will have
        for inner in statement.body:
            _execute(inner, needed, path, module)
        return
    if isinstance(statement, ast.ClassDef):
        statement.bases = [b for b in statement.bases if not _is_missing(b, module)]
    future = ast.ImportFrom("__future__", [ast.alias("annotations")], 0, lineno=1, col_offset=0)
    code = compile(ast.Module([ast.fix_missing_locations(future), statement], []), str(path), "exec")
    try:
        exec(code, module.__dict__)
    except Exception as error:
        if isinstance(statement, ast.FunctionDef | ast.ClassDef) and statement.decorator_list:
            statement.decorator_list = []  # a registry's decorator, say, whose registry is not here
            _execute(statement, needed, path, module)
            return
        for name in _bound_by(statement):
            module.__dict__.setdefault(name, _Missing(name, f"{type(error).__name__}: {loading.first_line(error)}"))


def _is_missing(base: ast.expr, module: types.ModuleType) -> bool:
    """Whether a base class is one of those that could not be imported: its methods are then left out."""
    root = next((n.id for n in ast.walk(base) if isinstance(n, ast.Name)), "")
    return isinstance(module.__dict__.get(root), _Missing)


def _import(statement: ast.Import | ast.ImportFrom, needed: set[str], path: Path, module: types.ModuleType) -> None:
    """Import what is needed, each name by itself; relative imports are looked for in files beside this one."""
    for alias in statement.names:
        bound = (alias.asname or alias.name).split(".")[0]
        if bound not in needed:
            continue
        single = copy.copy(statement)
        single.names = [alias]
        try:
            if isinstance(statement, ast.ImportFrom) and statement.level:
                module.__dict__[bound] = _relative(statement, alias.name, path)
            else:
                exec(
                    compile(ast.Module([ast.copy_location(single, statement)], []), str(path), "exec"), module.__dict__
                )
        except Exception as error:
            neighbour = _neighbour(statement, alias, path)
            why = f"{type(error).__name__}: {loading.first_line(error)}"
            module.__dict__[bound] = _Missing(bound, why) if neighbour is None else neighbour


def _neighbour(statement: ast.Import | ast.ImportFrom, alias: ast.alias, path: Path) -> Any:
    """What an absolute import means in the same repository, cut out of its file; None where there is no such file."""
    dotted = statement.module or "" if isinstance(statement, ast.ImportFrom) else alias.name
    if isinstance(statement, ast.Import) and not alias.asname:
        return None
    for folder in path.resolve().parents:
        try:
            found = _file(folder.joinpath(*dotted.split(".")))
            if found is not None and isinstance(statement, ast.Import):
                return _Cut(found)
            return _member(folder.joinpath(*dotted.split(".")), alias.name)
        except InputError:
            continue
    return None


def _relative(statement: ast.ImportFrom, name: str, path: Path) -> Any:
    """A name from a neighbouring file, cut out of it in turn."""
    folder = path.resolve().parents[statement.level - 1]
    return _member(folder.joinpath(*(statement.module or "").split(".")), name)


def _member(place: Path, name: str) -> Any:
    """`from place import name`: a module of a package, or a name of a file or of a package's `__init__.py`.

    Raises:
        InputError: there is none.
    """
    module, file = _file(place / name), _file(place)
    if module is not None:
        return _Cut(module)
    if file is None:
        raise InputError(f"no file {str(place)!r}")
    try:
        return getattr(cut_out(file, name), name)
    except AttributeError:
        raise InputError(f"{str(file)!r} does not define {name!r}") from None


def _file(place: Path) -> Path | None:
    """The file of a module or package."""
    return next((f for f in (place.with_name(place.name + ".py"), place / "__init__.py") if f.exists()), None)


class _Cut:
    """A file as a module whose functions are cut out of it when they are asked for."""

    def __init__(self, file: Path) -> None:
        self.__dict__["_file"] = file

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        found = self.__dict__[name] = getattr(cut_out(self.__dict__["_file"], name), name)  # cut once, not at every use
        return found


class _Missing:
    """A name whose import or definition failed; any use of it says so."""

    def __init__(self, name: str, why: str) -> None:
        self.__dict__["_missing"] = f"{name!r} could not be taken along ({why})"

    def _say(self, *_, **__):
        raise ImportError(self.__dict__["_missing"])

    __call__ = __getitem__ = __iter__ = _say

    def __getattr__(self, name: str):
        if name.startswith("__"):
            raise AttributeError(name)
        self._say()
