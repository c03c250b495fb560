"""JSON in every arrangement: a value a line, one array, indented objects, tables of columns and rows.

A damaged line costs that line and is located; memory does not grow with the file.
"""

import json
import operator
import re
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from ...errors import InputError
from ..rows import Skipped
from .streams import DAMAGE, Inflated, open_utf8

MAX_LINE = 24 << 20
"""Longest value read, in bytes: a rollout of 100,000 tokens with five numbers each is about 6 MB."""
SEPARATORS = " \t\r\n,\x1e"
STEP = re.compile(r"((global_?)?step|iter|iteration|epoch|round|update)?[ _.:-]?\d{1,15}", re.IGNORECASE)
Record = dict[str, Any]


def lines(path: Path, skipped: Skipped) -> Iterator[tuple[int, bytes | None]]:
    """(number, line) of the lines of a file that are not blank, with None for a line that is too long."""
    number = 0
    try:
        with open_utf8(path) as stream:
            while line := stream.readline(MAX_LINE + 1):
                number += 1
                if len(line) > MAX_LINE:
                    skipped.add(f"{path}:{number}", f"longer than {MAX_LINE >> 20} MB")
                    while line and not line.endswith(b"\n"):
                        line = stream.readline(MAX_LINE)
                    yield number, None
                elif not line.isspace():
                    yield number, line
    except DAMAGE as error:
        skipped.add(f"{path}:{number + 1}", _damage(error))


def _damage(error: BaseException) -> str:
    if isinstance(error, Inflated):
        return f"{error}; the rest is unread"
    return "the compressed data are cut or damaged here; the rest is unread"


def is_by_line(path: Path) -> bool:
    """Whether the first line with content is a whole JSON object that is no table: JSON Lines."""
    long = False
    for _, line in lines(path, Skipped()):
        if line is None:  # one endless array, or a damaged line before others
            long = True
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            return line.lstrip()[:1] == b"{" and line.rstrip()[-1:] != b"{" and len(line) > 2
        return isinstance(value, dict) and not is_table(value) and not is_by_step(value)
    return not long


def records(path: Path, skipped: Skipped, keys: Collection[str] | None = None) -> Iterator[tuple[int, Record]]:
    """(line, object) of every JSON object of a file; `keys` are the only top-level keys that are needed."""
    if is_by_line(path):
        yield from _by_line(path, skipped, keys)
    else:
        yield from _by_value(path, skipped)


def _by_line(path: Path, skipped: Skipped, keys: Collection[str] | None) -> Iterator[tuple[int, Record]]:
    decode = _decoder(keys)
    for number, line in lines(path, skipped):
        if line is None:
            continue
        try:
            value = decode(line)
        except ValueError as reason:
            skipped.add(f"{path}:{number}", str(reason))
            continue
        if isinstance(value, dict):
            yield number, value
            continue
        if not all(isinstance(e, dict) for e in value):
            skipped.add(f"{path}:{number}", "expected object, got array")
        for record in objects(value):
            yield number, record


def columns_by_line(
    path: Path, keys: Sequence[str], skipped: Skipped, size: int
) -> Iterator[tuple[list[tuple], list[int], list[int]]]:
    """(values of each top-level key, lines, places) of `size` objects at a time, for a file with an object a line.

    Values that a line lacks are None. This is the fast way: no dict is made of a row.
    """
    msgspec = import_msgspec()
    names = {f"f{i}": key for i, key in enumerate(keys)}
    row = msgspec.defstruct("Row", [(name, Any, None) for name in names], rename=names)
    decode = msgspec.json.Decoder(row).decode
    values_of = operator.attrgetter(*names) if len(names) > 1 else lambda found: (found.f0,)
    rows: list[tuple] = []
    at: list[int] = []
    places: list[int] = []
    for place, (number, line) in enumerate(lines(path, skipped)):
        if line is None:
            continue
        try:
            rows.append(values_of(decode(line)))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError) as error:
            try:
                value = lenient(line, error)
                if not isinstance(value, dict):
                    raise ValueError("expected object, got array")
                rows.append(tuple(value.get(key) for key in keys))
            except ValueError as reason:
                skipped.add(f"{path}:{number}", str(reason))
                continue
        at.append(number)
        places.append(place)
        if len(rows) == size:
            yield list(zip(*rows, strict=True)), at, places
            rows, at, places = [], [], []
    if rows:
        yield list(zip(*rows, strict=True)), at, places


def _decoder(keys: Collection[str] | None):
    """bytes -> value; ValueError with the reason if a line is no JSON. NaN and Infinity are taken as Python does."""
    msgspec = import_msgspec()
    if keys is None:
        parse = msgspec.json.Decoder().decode

        def strict(line: bytes) -> Any:
            return parse(line)
    else:
        names = {f"f{i}": key for i, key in enumerate(keys)}
        row = msgspec.defstruct("Row", [(name, Any, msgspec.UNSET) for name in names], rename=names)
        parse = msgspec.json.Decoder(row).decode

        def strict(line: bytes) -> Any:
            found = parse(line)
            return {key: value for name, key in names.items() if (value := getattr(found, name)) is not msgspec.UNSET}

    def decode(line: bytes) -> Any:
        try:
            return strict(line)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError) as error:
            return lenient(line, error)

    return decode


def lenient(line: bytes, error: Exception) -> Any:
    """The value of a line that the strict parser refused; ValueError with the reason if Python's refuses it too."""
    try:
        value = json.loads(line)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except (ValueError, OverflowError) as second:
        raise ValueError(_reason(error, second)) from None
    if not isinstance(value, dict | list):
        raise ValueError(f"expected object, got {type(value).__name__}")
    return value


def _reason(error: Exception, second: Exception) -> str:
    """Why a row is skipped, in words that do not vary with the values, so that reasons can be counted."""
    if isinstance(error, UnicodeDecodeError) or isinstance(second, UnicodeDecodeError):
        return "not UTF-8"
    if "truncated" in str(error):
        return "the line is cut short"
    return "not JSON"


def objects(value: Any) -> Iterator[Record]:
    """The records in a JSON value: itself, the elements of a list, or the rows of a table."""
    if isinstance(value, list):
        for element in value:
            if isinstance(element, dict):
                yield element
    elif isinstance(value, dict):
        if is_table(value):
            yield from _table_rows(value)
        elif is_by_step(value):
            for step, rows in value.items():
                yield from ({"step": step, **row} for row in rows if isinstance(row, dict))
        else:
            yield value


def is_table(value: Record) -> bool:
    """{"columns": [...], "data": [[...], ...]}, as wandb tables and pandas' "split", or column -> {index: value}."""
    names, data = value.get("columns"), value.get("data")
    if isinstance(names, list) and isinstance(data, list) and data and isinstance(data[0], list):
        return True
    columns = list(value.values())
    return len(columns) > 1 and all(isinstance(c, dict) and c and all(k.isdigit() for k in c) for c in columns)


def is_by_step(value: Record) -> bool:
    """Whether an object holds the rows of each step under its number: {"1": [{...}, ...]} or {"step_1": [...]}."""
    return bool(value) and all(
        STEP.fullmatch(key) and isinstance(rows, list) and rows and isinstance(rows[0], dict)
        for key, rows in value.items()
    )


def _table_rows(value: Record) -> Iterator[Record]:
    names, data = value.get("columns"), value.get("data")
    if isinstance(names, list) and isinstance(data, list):
        for row in data:
            if isinstance(row, list):
                yield dict(zip(map(str, names), row, strict=False))
        return
    for index in next(iter(value.values())):
        yield {name: column.get(index) for name, column in value.items()}


def _by_value(path: Path, skipped: Skipped) -> Iterator[tuple[int, Record]]:
    """Values one after the other, on any number of lines, with or without one pair of brackets around them."""
    scan = json.JSONDecoder().raw_decode
    number, text, at, wanted, bracket = 0, "", 0, 1 << 16, False
    try:
        with open_utf8(path) as stream:
            while True:
                at, number = _skip(text, at, number)
                if at >= len(text) or (not bracket and number == 0 and text[at] == "["):
                    bracket = bracket or (at < len(text) and text[at] == "[")
                    if at < len(text):
                        at += 1
                        continue
                    block = stream.read(wanted)
                    if not block:
                        return
                    text, at = text[at:] + _text(block, stream), 0
                    continue
                if text[at] == "]":
                    at += 1
                    continue
                try:
                    value, at = scan(text, at)
                    wanted = 1 << 16
                except (ValueError, RecursionError) as error:
                    block = b"" if isinstance(error, RecursionError) else stream.read(wanted)
                    if not block or len(text) - at > MAX_LINE:
                        skipped.add(f"{path}:{number + 1}", _cut(error, bool(block)))
                        return
                    text, at, wanted = text[at:] + _text(block, stream), 0, min(2 * wanted, MAX_LINE)
                    continue
                number += 1
                for record in objects(value):
                    yield number, record
                if not isinstance(value, dict | list):
                    skipped.add(f"{path}:{number}", f"expected object, got {type(value).__name__}")
    except DAMAGE as error:
        skipped.add(f"{path}:{number + 1}", _damage(error))


def _text(block: bytes, stream) -> str:
    """The block as text, with the rest of a character that it cuts."""
    for _ in range(4):
        try:
            return block.decode()
        except UnicodeDecodeError as error:
            if error.end < len(block) or not (more := stream.read(1)):
                break
            block += more
    return block.decode(errors="replace")


def _skip(text: str, at: int, number: int) -> tuple[int, int]:
    while at < len(text) and text[at] in SEPARATORS:
        at += 1
    return at, number


def _cut(error: Exception, more: bool) -> str:
    if isinstance(error, RecursionError):
        return "nested too deeply; the rest is unread"
    fault = f"longer than {MAX_LINE >> 20} MB" if more else "not JSON, or cut short"
    return f"{fault}; the rest is unread"


def import_msgspec():
    try:
        import msgspec
    except ImportError:
        raise InputError("reading JSON logs needs msgspec: install symtheory with its 'audit' extra") from None
    return msgspec
