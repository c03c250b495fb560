"""Pipes that are given in place of files, copied so that they can be read more than once."""

import stat
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from ...errors import InputError
from . import documents
from .sources import kind
from .streams import BLOCK, packing

STANDARD_INPUT = ("-", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0")
MOST = 8 << 30
"""Bytes of a pipe that are copied at most."""


@contextmanager
def spooled(given: Sequence[str | Path]) -> Iterator[list[str]]:
    """The same paths, with a temporary file in place of each pipe, until the end of the block.

    `-` is standard input. Sentences about a copy name what was given.

    Raises:
        InputError: a pipe with more than `MOST` bytes or than the disk holds; a terminal.
    """
    paths = [str(path) for path in given]
    if not any(map(is_pipe, paths)):
        yield paths
        return
    with tempfile.TemporaryDirectory(prefix="symtheory-") as folder:
        copies = {}
        for i, path in enumerate(paths):
            if is_pipe(path) and path not in copies:
                copies[path] = _copied(path, Path(folder) / str(i))
        try:
            yield [str(copies.get(path, path)) for path in paths]
        except InputError as reason:
            raise InputError(renamed(str(reason), {str(copy): path for path, copy in copies.items()})) from None


def renamed(found: Any, names: Mapping[str, str]) -> Any:
    """A text, or a report with texts in it, with other names for files.

    >>> renamed({"where": ["/tmp/x/0/pipe.gz:3"]}, {"/tmp/x/0/pipe.gz": "-"})
    {'where': ['-:3']}
    """
    if isinstance(found, dict):
        return {key: renamed(value, names) for key, value in found.items()}
    if isinstance(found, list | tuple):
        return [renamed(value, names) for value in found]
    if isinstance(found, str):
        for copy, given in names.items():
            found = found.replace(copy, given)
    return found


def is_pipe(path: str) -> bool:
    """Whether a path is standard input, a named pipe, or what a shell makes of <(command)."""
    if path == "-":
        return True
    try:
        mode = Path(path).stat().st_mode
    except (OSError, ValueError):
        return False
    return stat.S_ISFIFO(mode) or (path in STANDARD_INPUT and stat.S_ISSOCK(mode))


def _copied(path: str, folder: Path) -> Path:
    folder.mkdir()
    file = folder / "pipe"
    standard = path in STANDARD_INPUT
    try:
        with open(0 if standard else path, "rb", closefd=not standard) as source, file.open("wb") as copy:
            if source.isatty():
                raise InputError(f"{path} is the terminal: pipe a log into it, such as zcat log.gz | symtheory audit -")
            _copy(source, copy, path)
    except OSError as error:
        raise InputError(f"{path} cannot be copied to {tempfile.gettempdir()}: {error.strerror or error}") from None
    return file.rename(folder / f"pipe{_ending(file)}")


def _copy(source: BinaryIO, copy: BinaryIO, path: str) -> None:
    total = 0
    while block := source.read(BLOCK):
        total += len(block)
        if total > MOST:
            raise InputError(f"{path} must be a pipe of at most {MOST >> 30} GB: write it to a file first")
        copy.write(block)


def _ending(file: Path) -> str:
    """What the name of a file would end in, by its bytes."""
    if packing(file) is not None:
        return ".gz"
    found = kind(file)
    if found != "json":
        return {"parquet": ".parquet", "torch": ".pt"}.get(found, ".csv")
    with file.open("rb") as stream:
        start = stream.read(4096).lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
    if start not in (b"{", b"["):
        return ".txt"
    return ".jsonl" if documents.is_by_line(file) else ".json"
