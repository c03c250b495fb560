"""Bytes of a file as UTF-8: unpacked (gzip, zstd, bzip2, xz), recoded (UTF-16), and never more than a bomb's fuse."""

import bz2
import codecs
import gzip
import io
import lzma
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

MAX_INFLATION = 200
"""Highest ratio of uncompressed to compressed bytes; text logs reach 20, a bomb 1000."""
UNPACKED = 128 << 20
"""Bytes that may be unpacked before that ratio counts."""
BLOCK = 1 << 20
PART = 1 << 16
"""Bytes unpacked at once: what is lost where the data are cut."""
MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"BZh": "bz2", b"\xfd7zXZ\x00": "xz"}
MARKS = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
DAMAGE = (EOFError, zlib.error, lzma.LZMAError, OSError, UnicodeError)
"""What reading a damaged stream raises."""


class Inflated(OSError):
    """A file that unpacks to far more bytes than text does."""

    def __str__(self) -> str:
        return f"inflates more than {MAX_INFLATION} times"


class _Pulled(io.RawIOBase):
    """A raw stream of the bytes that `pull(n)` returns, at most about n at a time; empty at the end."""

    def __init__(self, pull: Callable[[int], bytes]) -> None:
        self._pull, self._left = pull, b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        if not self._left:
            self._left = self._pull(len(buffer))
        part, self._left = self._left[: len(buffer)], self._left[len(buffer) :]
        buffer[: len(part)] = part
        return len(part)


def packing(path: Path) -> str | None:
    """ "gzip", "zstd", "bz2", "xz", or None, by the first bytes and not by the name."""
    with open(path, "rb") as raw:
        head = raw.read(6)
    return next((name for magic, name in MAGIC.items() if head.startswith(magic)), None)


@contextmanager
def open_utf8(path: Path) -> Iterator[BinaryIO]:
    """A buffered stream of a file, unpacked, as UTF-8 without byte order mark; raises one of `DAMAGE` while read."""
    kind = packing(path)
    with open(path, "rb", buffering=BLOCK) as raw:
        stream: Any = raw
        if kind is not None:
            stream = io.BufferedReader(_Pulled(_guarded(raw, _unpacker(kind, raw))), BLOCK)
        mark = stream.peek(4)[:4]
        encoding = next((name for bom, name in MARKS.items() if mark.startswith(bom)), None)
        if encoding is None and len(mark) == 4 and (mark[1] == mark[3] == 0 or mark[0] == mark[2] == 0) and any(mark):
            encoding = "utf-16-le" if mark[1] == 0 else "utf-16-be"  # without a mark, as some Windows tools write
        if encoding is not None:
            stream = io.BufferedReader(_Pulled(_recoded(stream, encoding)), BLOCK)
        if stream.peek(3)[:3] == codecs.BOM_UTF8:
            stream.read(3)
        yield stream


def _unpacker(kind: str, raw: BinaryIO) -> Callable[[int], bytes]:
    if kind == "gzip":
        return gzip.GzipFile(fileobj=raw).read1
    if kind == "bz2":
        return bz2.BZ2File(raw).read1
    if kind == "xz":
        return lzma.LZMAFile(raw).read1
    import pyarrow

    return pyarrow.CompressedInputStream(pyarrow.PythonFile(raw, mode="r"), "zstd").read


def _guarded(raw: BinaryIO, read: Callable[[int], bytes]) -> Callable[[int], bytes]:
    total = 0

    def pull(size: int) -> bytes:
        nonlocal total
        block = read(min(size, PART))
        total += len(block)
        if total > MAX_INFLATION * raw.tell() + UNPACKED:
            raise Inflated
        return block

    return pull


def _recoded(stream: Any, encoding: str) -> Callable[[int], bytes]:
    decoder = codecs.getincrementaldecoder(encoding)(errors="replace")

    def pull(size: int) -> bytes:
        while block := stream.read(max(size // 2, 2)):
            if text := decoder.decode(block).removeprefix("\ufeff"):
                return text.encode("utf-8", "replace")
        return b""

    return pull
