"""What users may rely on: exported names are found, and say what goes in, what comes out and what is refused."""

import dataclasses
import importlib
import importlib.util
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import symtheory

PACKAGES = ("symtheory", *(f"symtheory.{name}" for name in sorted(symtheory._SUBPACKAGES)))
EXPORTED = [
    (package, name) for package in PACKAGES for name in getattr(importlib.import_module(package), "__all__", ())
]


def lacking(thing) -> list[str]:
    """Sections that the docstring of a function, as it is written, should have and has not."""
    function = inspect.unwrap(thing)
    told, signature = inspect.getdoc(function) or "", inspect.signature(function)
    wanted = {
        "Args": bool(signature.parameters),
        "Returns": signature.return_annotation not in (None, "None"),
        "Raises": "raise " in inspect.getsource(function),
    }
    return [section for section, due in wanted.items() if due and f"{section}:\n" not in told]


def test_what_the_pages_import_from_a_package_is_exported():
    """Or is a module. What only our own commands use is not exported."""
    root = Path(symtheory.__file__).parents[1]
    pages = [*root.glob("*.md"), *root.glob("docs/*.md"), *root.glob("notebooks/*.py"), *root.glob("notebooks/*.ipynb")]
    text = "\n".join(page.read_text(encoding="utf-8") for page in pages)
    asked = {
        (package, name)
        for package, names in re.findall(r"from (symtheory(?:\.\w+)?) import ([\w, ]+)", text)
        if hasattr(importlib.import_module(package), "__path__")
        for name in re.findall(r"\w+", re.sub(r" as \w+", "", names))
        if importlib.util.find_spec(f"{package}.{name}") is None
    }
    assert len(asked) > 20
    assert asked - set(EXPORTED) == set()
    assert len(EXPORTED) <= 65


@pytest.mark.parametrize(("package", "name"), EXPORTED)
def test_an_exported_name_says_what_it_takes_gives_and_refuses(package, name):
    thing = getattr(importlib.import_module(package), name)
    if inspect.isfunction(inspect.unwrap(thing)):
        assert lacking(thing) == []
    elif inspect.isclass(thing):
        told = inspect.getdoc(thing) or ""
        assert told
        assert not (dataclasses.is_dataclass(thing) and told.startswith(f"{name}(")), "dataclasses wrote it"


def test_a_function_that_says_nothing_would_be_found():
    def silent(x: int) -> int:
        """Twice x."""
        raise ValueError(x)

    assert lacking(silent) == ["Args", "Returns", "Raises"]


def test_a_name_that_no_package_has_is_an_attribute_error():
    with pytest.raises(AttributeError, match=r"symtheory\.theory"):
        symtheory.theory.no_such_name  # noqa: B018


def test_the_package_alone_imports_nothing_heavy():
    code = "import sys, symtheory; print({'numpy', 'jax', 'sympy', 'xarray'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "set()\n"
