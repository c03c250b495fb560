"""Checkpoints: the arrays of a pytree in one file, written all or nothing, read without pickle."""

import os
import zipfile
from pathlib import Path
from typing import Any

import jax
import numpy as np

from ..errors import InputError
from .store import LOG, replacing


def save(tree: Any, path: str | os.PathLike) -> None:
    """Write the leaves of `tree` to `path` (npz); a kill at any moment leaves the old file or the new one."""
    leaves = {f"{i:05d}": np.asarray(leaf) for i, leaf in enumerate(jax.tree.leaves(tree))}
    with replacing(path) as partial, open(partial, "wb") as file:
        np.savez(file, allow_pickle=False, **leaves)


def find(path: str | os.PathLike, like: Any) -> Any | None:
    """The tree that was saved at `path` (see `load`), or None; a damaged file gives a warning."""
    if not Path(path).exists():
        return None
    try:
        return load(path, like)
    except InputError:
        LOG.warning("%s is damaged; its work is done again", path)
        return None


def load(path: str | os.PathLike, like: Any) -> Any:
    """The tree that was saved, in the structure of `like`, whose leaves need only `shape` and `dtype`.

    Raises `InputError` if the file is damaged or holds other shapes than `like`.
    """
    leaves, structure = jax.tree.flatten(like)
    try:
        with np.load(Path(path), allow_pickle=False) as file:
            found = [file[f"{i:05d}"] for i in range(len(file.files))]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{path} is not a readable checkpoint ({error}); delete it to start anew") from None
    if [(x.shape, x.dtype) for x in found] != [(x.shape, x.dtype) for x in leaves]:
        raise InputError(f"{path} is a checkpoint of another model; delete it to start anew")
    return jax.tree.unflatten(structure, found)
