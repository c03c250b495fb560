"""A labelled result as the files that a reader gets: dataset, caption, and picture as PNG and, if asked for, PDF."""

import contextlib
import hashlib
import importlib
import json
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from pathlib import Path

import matplotlib as mpl
import xarray as xr
from matplotlib.figure import Figure

from ..storage import provenance, store
from . import captions
from .style import write


def publish(dataset: xr.Dataset, fig: Figure, path: Path, pdf: bool = False) -> None:
    """Write PATH.nc, .md, .png and, if asked for, .pdf, each all or nothing.

    The caption comes from the attributes `title`, `caption` and `command` of the dataset.
    """
    save(dataset, path)
    _write_pictures(fig, path, pdf)


def save(dataset: xr.Dataset, path: Path) -> None:
    """Write the dataset and its caption, PATH.nc and .md."""
    store.save(dataset, path.with_suffix(".nc"))
    told = (dataset.attrs[name] for name in ("title", "caption", "command"))
    captions.write(path.with_suffix(".md"), captions.Caption(*told))


@contextlib.contextmanager
def drawing(
    cache: Path, pdf: bool, report: Callable[[], None], processes: int
) -> Iterator[Callable[[str, Path], None]]:
    """A function `draw(module, path)` that draws saved figures while the caller goes on; at the end all are drawn.

    Pictures that were drawn from the same dataset by the same code stay as they are: `cache` remembers their bytes.

    Args:
        cache: folder of what is kept between runs.
        pdf: also as PDF.
        report: called once for each figure that is drawn.
        processes: that draw beside this one; with 0 it draws itself.
    """
    started: list[Future] = []

    def draw(module: str, path: Path) -> None:
        note = cache / f"picture-{_made_from(module, path)}.json"
        if _is_drawn(path, pdf, note):
            return report()
        if not processes:
            _draw(module, path, pdf, note)
            return report()
        started.append(pool.submit(_draw, module, path, pdf, note))
        started[-1].add_done_callback(lambda _: report())

    context = multiprocessing.get_context("spawn")  # a fork of a process in which jax has threads may hang
    with ProcessPoolExecutor(max(1, processes), context, initializer=_end_with_parent) as pool:
        yield draw
        for picture in started:
            picture.result()


def _draw(module: str, path: Path, pdf: bool, note: Path) -> None:
    """Draw PATH.nc, and note the bytes of its pictures."""
    _write_pictures(_drawer(module)(store.load(path.with_suffix(".nc"))), path, pdf)
    with store.replacing(note) as partial:
        partial.write_text(json.dumps(_hashes(path, pdf)))


def _drawer(module: str) -> Callable[[xr.Dataset], Figure]:
    return importlib.import_module(f"{__package__}.{module}").draw


def _write_pictures(fig: Figure, path: Path, pdf: bool) -> None:
    for suffix in _suffixes(pdf):
        with store.replacing(path.with_suffix(suffix)) as partial:
            write(fig, partial)
        fig.set_layout_engine("none")  # the layout stays as the first picture has it, and is not made again


def _suffixes(pdf: bool) -> tuple[str, ...]:
    return (".png", ".pdf") if pdf else (".png",)


def _made_from(module: str, path: Path) -> str:
    """Hash of all that determines a picture: its dataset, the code that draws it, and matplotlib."""
    parts = [_hash(path.with_suffix(".nc")), provenance.code_of(_drawer(module)), mpl.__version__]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def _is_drawn(path: Path, pdf: bool, note: Path) -> bool:
    with contextlib.suppress(OSError, ValueError):
        noted = json.loads(note.read_text())
        return all(noted.get(suffix) == found for suffix, found in _hashes(path, pdf).items())
    return False


def _hashes(path: Path, pdf: bool) -> dict[str, str]:
    return {suffix: _hash(path.with_suffix(suffix)) for suffix in _suffixes(pdf)}


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _end_with_parent() -> None:
    """Leave Ctrl-C to the parent process, and end when it ends, however that happens."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
