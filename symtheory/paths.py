"""Folders: the notebooks that come with the package, a checkout's own files, and the user's cache."""

import os
from pathlib import Path

from .errors import InputError


def notebooks() -> Path:
    """Where the notebooks are: inside an installed package, or beside it in a checkout.

    >>> notebooks().name
    'notebooks'
    """
    package = Path(__file__).parent
    installed = package / "notebooks"
    return installed if installed.is_dir() else package.parent / "notebooks"


def checkout() -> Path | None:
    """The root of the repository that this package runs from; None for an installed package."""
    root = Path(__file__).parents[1]
    return root if (root / "paper" / "main.tex").is_file() else None


def cache() -> Path:
    """The user's cache of compiled programs, derivations and phase diagrams: XDG_CACHE_HOME/symtheory."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "symtheory"


def no_stream(path: Path) -> Path:
    """The path, unless it is a pipe, a socket or a device, which cannot be read twice and may never end.

    Raises:
        InputError: it is; the sentence says so.
    """
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise InputError(f"{path} must be a file or a folder, got a pipe, socket or device: write it to a file first")
    return path
