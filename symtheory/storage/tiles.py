"""Tiles: how every study and sweep is computed, on however many devices, and kept.

A tile is a fixed number of runs in one program, computed whole on one device and kept as one file. The width of a
batch changes the last bits of its results, so it belongs to a tile's configuration; the number and order of tiles,
devices, processes and hosts then changes nothing.
"""

import warnings
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

import jax
import numpy as np
import xarray as xr

from .. import paths
from ..dynamics import use_all_cores
from ..errors import InputError
from . import store


class Tile(NamedTuple):
    """One unit of work."""

    config: dict[str, Any]
    """Everything that determines the result, as plain data."""
    program: Callable[..., Any]
    """A jitted function; tiles of one shape share it."""
    arguments: tuple
    label: Callable[[Any], xr.Dataset]
    """What the program returned, as numpy arrays -> the result."""
    amount: int = 1
    """What it counts for in a progress bar."""


def run(
    tiles: Sequence[Tile],
    folder: str | Path,
    name: str,
    progress: Callable[[int], None] = lambda amount: None,
    share: int = 1,
) -> list[xr.Dataset]:
    """Results of `tiles` in their order; those that do not lie in `folder` yet are made, on local devices.

    A program is compiled once more for each device that runs it, so every device gets at least `share` tiles.

    Each device computes whole tiles, since one program sharded over devices gives other bits on another number of
    them, and works on its next tile while the last one is written.

    Raises:
        InputError: a result is not finite; what was finished before is kept.
    """
    results = [store.find(folder, name, tile.config) for tile in tiles]
    progress(sum(tile.amount for tile, found in zip(tiles, results, strict=True) if found is not None))
    missing = [i for i, found in enumerate(results) if found is None]
    devices = jax.local_devices()[: max(1, len(missing) // share)]
    started: deque[tuple[int, Any]] = deque()

    def finish() -> None:
        i, values = started.popleft()
        dataset = tiles[i].label(jax.tree.map(np.asarray, values))
        require_finite(dataset)
        results[i] = store.keep(folder, name, tiles[i].config, dataset)
        progress(tiles[i].amount)

    # neighbours share a program: each device gets neighbours
    turns = -(-len(missing) // len(devices))
    for turn in range(turns):
        for device, i in zip(devices, missing[turn::turns], strict=False):
            started.append((i, tiles[i].program(*jax.device_put(tiles[i].arguments, device))))
            if len(started) > len(devices):
                finish()
    while started:
        finish()
    return cast(list[xr.Dataset], results)


def require_finite(dataset: xr.Dataset) -> None:
    """Refuse a result that holds NaN or infinity, with the labels of the earliest one.

    >>> require_finite(xr.Dataset({"entropy": ("step", [0.5, float("nan")])}, {"step": [0, 10], "seed": 3}))
    Traceback (most recent call last):
        ...
    symtheory.errors.InputError: entropy is not finite at step 10, seed 3
    """
    found = []
    for name, values in dataset.data_vars.items():
        if values.dtype.kind == "f" and not np.isfinite(values.values).all():
            first = np.argwhere(~np.isfinite(values.values))[0]
            place = values.isel(dict(zip(values.dims, first, strict=True)))
            found.append((name, {c: x.item() for c, x in place.coords.items()}))
    if found:
        name, labels = min(found, key=lambda one: one[1].get("step", 0))
        raise InputError(f"{name} is not finite at " + ", ".join(f"{c} {x}" for c, x in labels.items()))


def prepare(out: str | Path) -> None:
    """Make ready to compute into the folder `out`: on all cores, and with compiled programs kept in the user's cache.

    A folder that cannot be written is refused now and not after the work.
    """
    use_all_cores()
    cache = Path(out, "cache")
    with store.naming(cache), store.replacing(cache / "writable") as partial:
        partial.touch()
    (cache / "writable").unlink(missing_ok=True)
    if jax.config.jax_compilation_cache_dir is None:  # type: ignore[attr-defined]
        jax.config.update("jax_compilation_cache_dir", str(paths.cache() / "xla"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)
    jax.config.update("jax_persistent_cache_enable_xla_caches", "none")  # else the folder's path is part of the key
    warnings.filterwarnings("ignore", "Error (reading|writing) persistent compilation cache")  # compiled once more
