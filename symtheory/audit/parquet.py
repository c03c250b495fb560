"""Parquet logs (TRL's completions, plain tables), read by pyarrow batch by batch so that memory stays flat.

pyarrow, and not polars, because of damaged files: where pyarrow raises an error, polars may end the whole process
(one changed byte in a page header made it ask for 2^61 bytes).
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from .formats import LIMIT, Terms, plain_columns, reward_terms, stable_hash
from .rows import ROW, Skipped

SLICE = 1 << 15
"""Rows read at once."""
NOT_REWARDS = {"step", "advantage"}


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
            fields = list(file.schema_arrow)
    except (pa.ArrowException, OSError, ValueError, MemoryError) as error:
        raise InputError(f"{path} cannot be read as parquet: {_first_line(error)}") from None
    return {field.name: field.type for field in fields}


def reward_columns(columns: dict[str, Any]) -> list[str]:
    """TRL's candidates for the reward: its columns of floats, in order; those of `log_extra` come last."""
    is_float = import_pyarrow().types.is_floating
    return [name for name, kind in columns.items() if is_float(kind) and name not in NOT_REWARDS]


def rows(
    path: Path, file: int, name: str, group_size: int | None, reward: str | None, skipped: Skipped
) -> Iterator[np.ndarray]:
    """Chunks of `ROW` from a parquet file of format "trl" or "plain"; unusable rows go to `skipped`."""
    pa = import_pyarrow()
    columns = schema(path)
    default = reward_columns(columns)[:1] if name == "trl" else []
    terms = reward_terms(reward or (default or ["reward"])[0], columns)
    names = dict(step="step", prompt="prompt", advantage="advantage", length="completion")
    if name == "plain":
        names = plain_columns(set(columns), group_size, path)
        names.pop("reward", None)
    names |= {f"r{i}": column for i, column in enumerate(terms.columns)}
    convert = {field: _conversion(pa, path, field, column, columns) for field, column in names.items()}
    by_block = group_size is not None and (name == "trl" or "prompt" not in names)
    start = 0
    try:
        texts = [column for column in set(names.values()) if _is_text(pa, columns[column])]
        # as dictionaries, so that one long text repeated in every row is held once
        with pa.parquet.ParquetFile(path, pre_buffer=False, buffer_size=1 << 20, read_dictionary=texts) as stream:
            for batch in stream.iter_batches(SLICE, columns=list(set(names.values())), use_threads=False):
                batch.validate(full=True)  # indices of a damaged dictionary may point outside it
                table = {field: convert[field](batch.column(column)) for field, column in names.items()}
                yield _usable(table, len(batch), terms, (path, file, start), group_size if by_block else None, skipped)
                start += len(batch)
    except (pa.ArrowException, OSError, ValueError, KeyError, MemoryError, OverflowError) as error:
        skipped.add(f"{path}:{start + 1}", f"the file is damaged and the rest unread: {_first_line(error)}")


def _conversion(pa, path: Path, field: str, column: str, columns: dict[str, Any]) -> Callable[[Any], np.ndarray]:
    """How a column becomes the float64 numbers of a field, or hashes; `InputError` for a column of another type."""
    if column not in columns:
        raise InputError(f"{path} has no column {column!r}; its columns: {', '.join(columns)}")
    kind, types = columns[column], pa.types
    if field in ("prompt", "id"):
        return lambda array: _for_each_value(array, stable_hash, np.uint64(0))
    if column == "completion" and field == "length":
        return lambda array: _for_each_value(array, lambda text: float(len(text)), np.nan)
    if field == "step" and _is_text(pa, kind):
        return lambda array: _for_each_value(array, _whole, np.nan)
    numeric = types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind)
    if not numeric or (field == "step" and not types.is_integer(kind)):
        wanted = "whole numbers" if field == "step" else "numbers"
        raise InputError(f"{path}: column {column!r} must hold {wanted}, got {kind}")
    return lambda array: array.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)


def _for_each_value(array, function: Callable[[Any], Any], missing) -> np.ndarray:
    """`function` of each element, computed once per distinct value where the column is a dictionary."""
    if not hasattr(array, "indices"):
        values = array.to_pylist()
        return np.array([missing if v is None else function(v) for v in values], np.asarray(missing).dtype)
    values = [missing if v is None else function(v) for v in array.dictionary.to_pylist()]
    indices = array.indices.fill_null(len(values)).to_numpy(zero_copy_only=False)
    return np.array([*values, missing], np.asarray(missing).dtype)[indices]


def _is_text(pa, kind) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def _whole(text: str) -> float:
    try:
        return float(int(text))
    except (ValueError, OverflowError):
        return np.nan


def _usable(table, size: int, terms: Terms, place: tuple[Path, int, int], block: int | None, skipped) -> np.ndarray:
    """Records of the rows that have what they need; the others are reported with their row number."""
    path, file, start = place
    rows = np.zeros(size, ROW)
    rows["file"], rows["line"] = file, start + 1 + np.arange(size)
    good = np.ones(size, bool)

    def need(ok: np.ndarray, reason: str) -> None:
        for line in rows["line"][good & ~ok]:
            skipped.add(f"{path}:{line}", reason)
        good[~ok] = False

    need(np.abs(table["step"]) <= 2**53, "step is no whole number")
    rows["step"] = np.where(good, table["step"], 0)
    if "prompt" in table:
        need(table["prompt"] != 0, "prompt is missing")
        rows["prompt"] = table["prompt"]
    if "id" in table:
        rows["id"] = np.where(table["id"] == 0, 0, table["id"] ^ (3 * rows["prompt"]))  # an id within its prompt
    rewards = np.stack([table[f"r{i}"] for i in range(len(terms.columns))])
    for column, values in zip(terms.columns, rewards, strict=True):
        need(np.abs(values) <= LIMIT, f"{column} is null, NaN or not finite")
    rows["reward"], rows["success"] = np.array(terms.weights) @ np.where(good, rewards, 0), rewards[0]
    for name in ("advantage", "length", "logprob"):
        rows[name] = table.get(name, np.nan)
        need(~(np.abs(rows[name]) > LIMIT), f"{name} is not finite")
    need(~(rows["length"] < 0), "length is negative")
    rows["group"] = rows["prompt"] if block is None else (rows["line"] - 1) // block
    return rows[good]


def _first_line(error: BaseException) -> str:
    text = (str(error).splitlines() or [type(error).__name__])[0][:200]
    return "".join(c if c.isprintable() else "?" for c in text)
