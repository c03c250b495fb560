"""The house: packages import one way, a folder stays small, and the core knows no file, picture or command line."""

import ast
import graphlib
from collections import defaultdict
from pathlib import Path

import pytest

import symtheory

PACKAGE = Path(symtheory.__file__).parent
FOLDERS = sorted({f.parent for f in PACKAGE.rglob("*.py")})
EDGE = {"matplotlib", "rich", "tyro", "marimo"}


def imports(file: Path) -> set[str]:
    """Full names of the modules that `file` imports, its own package's relative ones resolved."""
    package = ["symtheory", *file.relative_to(PACKAGE).parts[:-1]]
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *(node.module.split(".") if node.module else [])])
            found |= {f"{module}.{alias.name}" for alias in node.names}
    return found


def arrows() -> dict[str, set[str]]:
    """Package -> the packages of the house that it imports."""
    found = defaultdict(set)
    for file in PACKAGE.rglob("*.py"):
        own = file.relative_to(PACKAGE).parts
        if len(own) > 1:
            used = {name.split(".")[1] for name in imports(file) if name.startswith("symtheory.")}
            found[own[0]] |= {name for name in used if (PACKAGE / name).is_dir() and name != own[0]}
    return found


def test_packages_import_one_way():
    try:
        graphlib.TopologicalSorter(arrows()).prepare()
    except graphlib.CycleError as error:
        pytest.fail(f"packages import in a circle: {' -> '.join(error.args[1])}")


def test_nothing_imports_the_command_line():
    assert {package for package, used in arrows().items() if "cli" in used} == set()


@pytest.mark.parametrize("core", ["estimators", "metrics", "worlds", "dynamics", "transformer", "theory", "evidence"])
def test_the_core_draws_nothing_and_prints_nothing(core):
    for file in (f for f in (PACKAGE / core).rglob("*.py") if f.name != "__main__.py"):
        assert {name.partition(".")[0] for name in imports(file)} & EDGE == set(), file
        calls = {
            n.func.id
            for n in ast.walk(ast.parse(file.read_text()))
            if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)
        }
        assert not calls & {"print", "open"}, file


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda f: f.relative_to(PACKAGE.parent).as_posix())
def test_a_folder_holds_at_most_twenty_modules(folder):
    assert len([f for f in folder.glob("*.py") if f.name != "__init__.py"]) <= 20


def test_every_subpackage_is_an_attribute_of_the_package():
    for folder in PACKAGE.iterdir():
        if (folder / "__init__.py").exists() and folder.name != "cli":
            assert getattr(symtheory, folder.name).__name__ == f"symtheory.{folder.name}"
            assert folder.name in dir(symtheory)


def test_exported_names_exist():
    for folder in FOLDERS:
        name = ".".join(folder.relative_to(PACKAGE.parent).parts)
        module = __import__(name, fromlist=["_"])
        for exported in getattr(module, "__all__", ()):
            assert hasattr(module, exported), f"{name}.{exported}"
