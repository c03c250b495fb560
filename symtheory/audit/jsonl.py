"""JSONL logs, one line at a time: a damaged line costs that line and is located; memory does not grow with the file."""

import gzip
import json
import math
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from .rows import ROW, Skipped

MAX_LINE = 32 << 20
"""Longest line read, in bytes: a rollout of 100,000 tokens with five numbers each is about 6 MB."""
MAX_INFLATION = 200
"""Highest ratio of uncompressed to compressed bytes; text logs reach 20, a bomb 1000."""
UNPACKED = 128 << 20
"""Bytes that may be unpacked before that ratio counts."""
CHUNK = 8192
SAMPLE = 200


def lines(path: Path, skipped: Skipped) -> Iterator[tuple[int, bytes | None]]:
    """(number, line) of the lines of a file that are not blank, with None for a line that is too long."""
    number = 0
    try:
        with open(path, "rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            stream: Any = gzip.GzipFile(fileobj=raw) if packed else raw
            inflated = 0
            while line := stream.readline(MAX_LINE + 1):
                number += 1
                inflated += len(line)
                if len(line) > MAX_LINE:
                    skipped.add(f"{path}:{number}", f"longer than {MAX_LINE >> 20} MB")
                    while line and not line.endswith(b"\n"):
                        line = stream.readline(MAX_LINE)
                        inflated += len(line)
                        if packed and inflated > MAX_INFLATION * raw.tell() + UNPACKED:
                            break
                    line = None
                elif number == 1:
                    line = line.removeprefix(b"\xef\xbb\xbf")
                if packed and inflated > MAX_INFLATION * raw.tell() + UNPACKED:
                    skipped.add(f"{path}:{number}", f"inflates more than {MAX_INFLATION} times; the rest is unread")
                    return
                if line is None or line.strip():
                    yield number, line
    except (EOFError, zlib.error, gzip.BadGzipFile):
        skipped.add(f"{path}:{number + 1}", "the compressed data are cut or damaged here; the rest is unread")


def keys(path: Path) -> set[str]:
    """Names of the fields in the first rows of a file, empty if none of its first lines is a JSON object."""
    msgspec = import_msgspec()
    found: set[str] = set()
    for number, line in lines(path, Skipped()):
        if number > SAMPLE:
            break
        try:
            found |= msgspec.json.decode(line or b"0", type=dict[str, msgspec.Raw]).keys()
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            found |= _lenient_keys(line)
    return found


def _lenient_keys(line: bytes | None) -> set[str]:
    """Keys of a row that holds NaN, which is no JSON but which Python's json writes."""
    try:
        row = json.loads(line or b"0")
    except (ValueError, RecursionError):
        return set()
    return set(row) if isinstance(row, dict) else set()


def rows(path: Path, file: int, layout, skipped: Skipped) -> Iterator[np.ndarray]:
    """Chunks of `ROW` from a JSONL file in a `formats.Layout`; what cannot be used goes to `skipped`."""
    msgspec = import_msgspec()
    decode = msgspec.json.Decoder(layout.type).decode
    chunk: list[tuple] = []
    for position, (number, line) in enumerate(lines(path, skipped)):
        if line is None:
            continue
        try:
            chunk.append((*layout.values(decode(line), position), file, number))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError) as error:
            try:
                chunk.append((*_values_with_nan(line, layout, position, error), file, number))
            except ValueError as reason:
                skipped.add(f"{path}:{number}", str(reason))
        if len(chunk) == CHUNK:
            yield np.array(chunk, ROW)
            chunk = []
    if chunk:
        yield np.array(chunk, ROW)


def _values_with_nan(line: bytes, layout, position: int, error: Exception) -> tuple:
    """Values of a line that the strict parser refused, if the only fault is NaN in a field that is not needed.

    Raises `ValueError` with the reason to skip the row.
    """
    msgspec = import_msgspec()
    if not isinstance(error, msgspec.DecodeError) or isinstance(error, msgspec.ValidationError):
        raise ValueError(_reason(error))
    try:
        row = json.loads(line)
        values = row.items() if isinstance(row, dict) else ()
        odd = {name: value for name, value in values if isinstance(value, float) and not math.isfinite(value)}
        for name in layout.type.__struct_encode_fields__:
            if name in odd:
                raise ValueError(f"{name} is {odd[name]}".replace("nan", "NaN"))
        return layout.values(msgspec.convert(row, layout.type), position)
    except msgspec.ValidationError as second:
        raise ValueError(_reason(second)) from None
    except (json.JSONDecodeError, OverflowError, RecursionError):
        raise ValueError(_reason(error)) from None


def _reason(error: Exception) -> str:
    """Why a row is skipped, in words that do not vary with the values, so that reasons can be counted."""
    text = str(error)
    if isinstance(error, RecursionError):
        return "nested too deeply"
    if isinstance(error, UnicodeDecodeError):
        return "not UTF-8"
    if "truncated" in text:
        return "the line is cut short"
    if text.startswith("JSON is malformed"):
        return "not JSON"
    return text.replace("`", "").replace(" - at $.", ": ").replace("Expected", "expected")[:200]


def import_msgspec():
    try:
        import msgspec
    except ImportError:
        raise InputError("reading JSONL logs needs msgspec: install symtheory with its 'audit' extra") from None
    return msgspec
