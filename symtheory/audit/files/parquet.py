"""Parquet, read by pyarrow slice by slice so that memory stays flat.

pyarrow, and not polars, because of damaged files: where pyarrow raises an error, polars may end the whole process
(one changed byte in a page header made it ask for 2^61 bytes).
"""

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import InputError
from ..columns.values import Coded
from ..rows import Skipped

SLICE = 1 << 15
"""Rows read at once, at most."""
BYTES = 64 << 20
"""Bytes read at once, about."""


def import_pyarrow():
    try:
        import pyarrow.parquet
    except ImportError:
        raise InputError("reading parquet logs needs pyarrow: install symtheory with its 'audit' extra") from None
    return pyarrow


def schema(path: Path) -> dict[str, Any]:
    """Column -> arrow type; raises `InputError` for a file that is no parquet."""
    pa = import_pyarrow()
    try:
        with pa.parquet.ParquetFile(path) as file:
            return {field.name: field.type for field in file.schema_arrow}
    except (pa.ArrowException, OSError, ValueError, MemoryError) as error:
        raise InputError(f"{path} cannot be read as parquet: {first_line(error)}") from None


def is_flat(kind) -> bool:
    """Whether a column holds one number, truth value or text a row."""
    types = import_pyarrow().types
    tests = (types.is_integer, types.is_floating, types.is_decimal, types.is_boolean, types.is_null, is_text)
    return any(test(kind) for test in tests)


def is_text(kind) -> bool:
    types = import_pyarrow().types
    return types.is_string(kind) or types.is_large_string(kind) or types.is_dictionary(kind)


def columns(path: Path, names: Collection[str], skipped: Skipped, limit: int = 0) -> Iterator[dict[str, Any]]:
    """Slices of the named columns: arrays of float64, `Coded` text, or lists of Python values for nested columns."""
    pa = import_pyarrow()
    kinds = schema(path)
    start = 0
    try:
        texts = [name for name in names if pa.types.is_string(kinds[name]) or pa.types.is_large_string(kinds[name])]
        # as dictionaries, so that one long text repeated in every row is held once
        with pa.parquet.ParquetFile(path, pre_buffer=False, buffer_size=1 << 20, read_dictionary=texts) as stream:
            size = limit or _slice(stream.metadata)
            for batch in stream.iter_batches(size, columns=list(names), use_threads=False):
                batch.validate(full=True)  # indices of a damaged dictionary may point outside it
                yield {name: _column(pa, batch.column(name), kinds[name]) for name in names} | {"": len(batch)}
                start += len(batch)
    except (pa.ArrowException, OSError, ValueError, KeyError, MemoryError, OverflowError) as error:
        skipped.add(f"{path}:{start + 1}", f"the file is damaged and the rest unread: {first_line(error)}")


def sample(path: Path, limit: int) -> list[dict]:
    """The first rows as Python values."""
    kinds = schema(path)
    for part in columns(path, kinds, Skipped(), limit):
        size = part.pop("")
        values = {name: _plain(column) for name, column in part.items()}
        return [{name: column[i] for name, column in values.items()} for i in range(min(size, limit))]
    return []


def _slice(metadata) -> int:
    size = sum(metadata.row_group(i).total_byte_size for i in range(metadata.num_row_groups))
    return int(np.clip(BYTES * max(metadata.num_rows, 1) // max(size, 1), 16, SLICE))


def _column(pa, array, kind) -> Any:
    types = pa.types
    if not len(array):
        return np.zeros(0) if is_flat(kind) and not is_text(kind) else []
    if types.is_boolean(kind):
        array = array.cast(pa.uint8())
    if types.is_null(kind):
        return np.full(len(array), np.nan)
    if types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind) or types.is_boolean(kind):
        return _numpy(array.cast(pa.float64(), safe=False), np.float64, np.nan)
    if hasattr(array, "indices"):
        values = [*array.dictionary.to_pylist(), None]
        return Coded(values, _numpy(array.indices.cast(pa.int64()), np.int64, len(values) - 1))
    return array.to_pylist()


def _numpy(array, dtype, missing) -> np.ndarray:
    """The values of an array, with `missing` for its nulls; arrow's own conversion would import pandas first."""
    valid, values = array.buffers()
    found = np.frombuffer(values, dtype, len(array), array.offset * np.dtype(dtype).itemsize).copy()
    if array.null_count and valid is not None:
        bits = np.unpackbits(np.frombuffer(valid, np.uint8), bitorder="little")
        found[bits[array.offset : array.offset + len(array)] == 0] = missing
    return found


def _plain(column: Any) -> list:
    if isinstance(column, Coded):
        return column.plain()
    return [None if x != x else x for x in column.tolist()] if isinstance(column, np.ndarray) else column


def first_line(error: BaseException) -> str:
    text = (str(error).splitlines() or [type(error).__name__])[0][:200]
    return "".join(c if c.isprintable() else "?" for c in text)
