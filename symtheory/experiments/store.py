"""Results on disk: labelled arrays in NetCDF, written atomically, addressed by their configuration.

A result is found again by the hash of everything that made it. A file is either whole and checksummed or absent:
it is written beside its place, flushed, and renamed.
"""

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import xarray as xr

from .. import __version__
from ..errors import InputError

SCHEMA = 1


def save(dataset: xr.Dataset, path: str | os.PathLike) -> Path:
    """Write `dataset` to `path` as NetCDF with a checksum on every variable, all or nothing."""
    path = Path(path)
    encoding = {
        name: {"fletcher32": True} for name, v in dataset.variables.items() if v.dtype.kind in "fiub" and v.ndim
    }
    with replacing(path) as partial:
        dataset.to_netcdf(partial, engine="h5netcdf", encoding=encoding)
    return path


def load(path: str | os.PathLike) -> xr.Dataset:
    """Read a result into memory; a damaged or foreign file is refused with one sentence."""
    try:
        with xr.open_dataset(path, engine="h5netcdf") as dataset:
            return dataset.load()
    except FileNotFoundError:
        raise InputError(f"no result at {path}") from None
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise InputError(f"{path} is not a readable result ({error}); delete it to have it made again") from None


@contextlib.contextmanager
def replacing(path: str | os.PathLike):
    """A temporary path beside `path` that takes its place when the block ends well, and vanishes otherwise."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, partial = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=f".tmp{path.suffix}")
    os.close(handle)
    try:
        yield Path(partial)
        with open(partial, "rb") as written:
            os.fsync(written.fileno())
        os.chmod(partial, 0o644)
        os.replace(partial, path)
    finally:
        Path(partial).unlink(missing_ok=True)


def digest(config: dict[str, Any]) -> str:
    """First 16 hex digits of the hash of a configuration, the package version and the file schema."""
    return hashlib.sha256(_canonical(config).encode()).hexdigest()[:16]


def _canonical(config: dict[str, Any]) -> str:
    return json.dumps({"version": __version__, "schema": SCHEMA, **config}, sort_keys=True, allow_nan=False)


def find(folder: str | os.PathLike, name: str, config: dict[str, Any]) -> xr.Dataset | None:
    """The whole result of this configuration in `folder`, or None; a damaged file or another's counts as none."""
    path = _place(folder, name, config)
    if path.exists():
        with contextlib.suppress(InputError):
            found = load(path)
            if found.attrs.get("config") == _canonical(config):
                return found
    return None


def cached(folder: str | os.PathLike, name: str, config: dict[str, Any], make: Callable[[], xr.Dataset]) -> xr.Dataset:
    """The result of `make()`, from `folder` if it lies there already (see `find`); made and kept otherwise."""
    dataset = find(folder, name, config)
    if dataset is None:
        dataset = make()
        dataset.attrs["config"] = _canonical(config)
        save(dataset, _place(folder, name, config))
    return dataset


def _place(folder: str | os.PathLike, name: str, config: dict[str, Any]) -> Path:
    return Path(folder) / f"{name}-{digest(config)}.nc"
