"""Folders: those that come with the package, and the one in which explorers keep what they need not make twice."""

import os
from pathlib import Path


def folder(name: str) -> Path:
    """Where `paper` or `notebooks` is: inside an installed package, or beside it in a checkout.

    >>> folder("paper").name
    'paper'
    """
    package = Path(__file__).parent
    installed = package / name
    return installed if installed.is_dir() else package.parent / name


def cache() -> Path:
    """Folder of compiled programs and phase diagrams : XDG_CACHE_HOME/symtheory."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "symtheory"
