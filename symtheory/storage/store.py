"""Results on disk: labelled arrays in NetCDF, written atomically, addressed by their configuration.

A result is found again by the hash of everything that made it. A file is either whole and checksummed or absent:
it is written beside its place, flushed, and renamed. The same dataset always gives the same bytes. Several processes
may share a folder: each writes whole files, and what two of them make at once is equal.
"""

import contextlib
import functools
import hashlib
import json
import logging
import os
import socket
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import xarray as xr

from .. import __version__
from ..errors import InputError

LOG = logging.getLogger(__name__)

SCHEMA = 1
FOREIGN_AGE = 24 * 3600  # seconds after which a temporary file of another machine counts as left behind


def save(dataset: xr.Dataset, path: str | os.PathLike) -> Path:
    """Write `dataset` to `path` as NetCDF with a checksum on every variable, all or nothing.

    The file is made in memory first, where it takes the space of the dataset once more: a full disk then ends in one
    plain error, which it does not inside HDF5.

    Args:
        dataset: what is kept.
        path: where; its folder is made.

    Returns:
        The path.
    """
    path = Path(path)
    encoding = {
        name: {"fletcher32": True} for name, v in dataset.variables.items() if v.dtype.kind in "fiub" and v.ndim
    }
    content = dataset.to_netcdf(engine="h5netcdf", encoding=encoding)
    with replacing(path) as partial:
        partial.write_bytes(content)
    return path


def load(path: str | os.PathLike) -> xr.Dataset:
    """Read a result into memory; a damaged or foreign file is refused with one sentence.

    Args:
        path: a file that `save` wrote.

    Returns:
        The dataset, in memory.

    Raises:
        InputError: no such file, or a damaged or foreign one.
    """
    try:
        with xr.open_dataset(path, engine="h5netcdf") as dataset:
            return dataset.load()
    except FileNotFoundError:
        raise InputError(f"no result at {path}") from None
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise InputError(f"{path} is not a readable result ({error}); delete it to have it made again") from None


@contextlib.contextmanager
def replacing(path: str | os.PathLike):
    """A temporary path beside `path` that takes its place when the block ends well, and vanishes otherwise.

    An `OSError` names `path`. What killed processes left in the folder is removed on the way.
    """
    path = Path(path)
    with naming(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        _tidy(path.parent)
        handle, name = tempfile.mkstemp(
            dir=path.parent, prefix=f".{path.stem}@{_owner()}@", suffix=f".tmp{path.suffix}"
        )
        os.close(handle)
        partial = Path(name)
        try:
            yield partial
            with open(partial, "rb") as written:
                os.fsync(written.fileno())
            os.chmod(partial, 0o644)
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)


@contextlib.contextmanager
def naming(path: Path):
    """Have an `OSError` of the block name `path`, in place of a temporary file or of nothing."""
    try:
        yield
    except OSError as error:
        error.filename = str(path)
        raise


def _owner() -> str:
    """This process, as part of the name of a file that is its own."""
    return f"{socket.gethostname()}@{os.getpid()}"


@functools.cache
def _tidy(folder: Path) -> None:
    """Remove the temporary files of processes that are gone; looked for once in each folder."""
    for partial in folder.glob(".*.tmp*"):
        _, host, process, _ = ["", "", "", *partial.name.split("@")][-4:]
        here = host == socket.gethostname() and process.isdigit()
        with contextlib.suppress(FileNotFoundError):
            if not _alive(int(process)) if here else time.time() - partial.stat().st_mtime > FOREIGN_AGE:
                partial.unlink()


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def digest(config: dict[str, Any]) -> str:
    """First 16 hex digits of the hash of a configuration, the package version and the file schema."""
    return hashlib.sha256(_canonical(config).encode()).hexdigest()[:16]


def _canonical(config: dict[str, Any]) -> str:
    return json.dumps({"version": __version__, "schema": SCHEMA, **config}, sort_keys=True, allow_nan=False)


def find(folder: str | os.PathLike, name: str, config: dict[str, Any]) -> xr.Dataset | None:
    """The whole result of this configuration in `folder`, or None; of a damaged file or another's a warning tells."""
    path = place(folder, name, config)
    if not path.exists():
        return None
    try:
        found = load(path)
    except InputError:
        LOG.warning("%s is damaged; it is made again", path)
        return None
    if found.attrs.get("config") != _canonical(config):
        LOG.warning("%s holds the result of another configuration; it is made again", path)
        return None
    return found


def keep(folder: str | os.PathLike, name: str, config: dict[str, Any], dataset: xr.Dataset) -> xr.Dataset:
    """Write the result of this configuration to `folder`, where `find` will find it; returns it with the config."""
    dataset.attrs["config"] = _canonical(config)
    save(dataset, place(folder, name, config))
    return dataset


def cached(folder: str | os.PathLike, name: str, config: dict[str, Any], make: Callable[[], xr.Dataset]) -> xr.Dataset:
    """The result of `make()`, from `folder` if it lies there already (see `find`); made and kept otherwise.

    Args:
        folder: where results lie.
        name: begins the file's name.
        config: everything that determines the result, as plain data.
        make: called with nothing if the result is not there.

    Returns:
        The result; its attribute `config` says what made it.
    """
    found = find(folder, name, config)
    return keep(folder, name, config, make()) if found is None else found


def place(folder: str | os.PathLike, name: str, config: dict[str, Any]) -> Path:
    """Where the result of this configuration lies in `folder`."""
    return Path(folder) / f"{name}-{digest(config)}.nc"
