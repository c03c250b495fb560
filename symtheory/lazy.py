"""Names that a package exports, while the modules that define them are imported when a name is first used."""

import importlib
from collections.abc import Callable, Sequence
from typing import Any


def lazily(package: str, **homes: Sequence[str]) -> Callable[[str], Any]:
    """The `__getattr__` of a package.

    Args:
        package: its `__name__`.
        homes: module of the package -> names that it defines.

    Returns:
        Function from an exported name to the thing.
    """
    home_of = {name: module for module, names in homes.items() for name in names}

    def __getattr__(name: str) -> Any:
        if name not in home_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(importlib.import_module(f"{package}.{home_of[name]}"), name)

    return __getattr__
