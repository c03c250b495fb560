"""Parquet logs (TRL's completions, plain tables), read by polars in slices so that memory stays flat."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from .formats import LIMIT, Terms, plain_columns, reward_terms
from .rows import ROW, Skipped

SLICE = 1 << 15
"""Rows read at once; with prompts and completions of 4 kB they are 250 MB before they are reduced to numbers."""
NOT_REWARDS = {"step", "advantage"}


def import_polars():
    try:
        import polars
    except ImportError:
        raise InputError("reading parquet logs needs polars: install symtheory with its 'audit' extra") from None
    return polars


def schema(path: Path) -> dict[str, Any]:
    """Column -> polars type; raises `InputError` for a file that is no parquet."""
    pl = import_polars()
    try:
        with _quiet():
            return dict(pl.scan_parquet(path, glob=False).collect_schema())
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read as parquet: {_first_line(error)}") from None


def reward_columns(columns: dict[str, Any]) -> list[str]:
    """TRL's candidates for the reward: its columns of floats, in order; those of `log_extra` come last."""
    return [name for name, kind in columns.items() if kind.is_float() and name not in NOT_REWARDS]


def rows(
    path: Path, file: int, name: str, group_size: int | None, reward: str | None, skipped: Skipped
) -> Iterator[np.ndarray]:
    """Chunks of `ROW` from a parquet file of format "trl" or "plain"; unusable rows go to `skipped`."""
    pl = import_polars()
    columns = schema(path)
    default = reward_columns(columns)[:1] if name == "trl" else []
    terms = reward_terms(reward or (default or ["reward"])[0], columns)
    names = dict(step="step", prompt="prompt", advantage="advantage", text="completion")
    if name == "plain":
        names = plain_columns(set(columns), group_size, path)
    names |= {f"r{i}": column for i, column in enumerate(terms.columns)}
    query = pl.scan_parquet(path, glob=False).select(
        _expression(pl, path, field, column, columns).alias(field)
        for field, column in names.items()
        if field != "text" or columns[column] == pl.String
    )
    start = 0
    while True:
        try:
            with _quiet():
                frame = query.slice(start, SLICE).collect(engine="in-memory")
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, ValueError) as error:
            skipped.add(f"{path}:{start + 1}", f"the file is damaged and the rest unread: {_first_line(error)}")
            return
        if not len(frame):
            return
        table = {column: frame[column].to_numpy() for column in frame.columns}
        yield _usable(table, len(frame), terms, (path, file, start), name == "trl", group_size, skipped)
        start += len(frame)


def _expression(pl, path: Path, field: str, column: str, columns: dict[str, Any]):
    """How a column becomes the numbers of a field; raises `InputError` for a column of another type."""
    if column not in columns:
        raise InputError(f"{path} has no column {column!r}; its columns: {', '.join(columns)}")
    kind, values = columns[column], pl.col(column)
    if field in ("prompt", "id"):
        return pl.when(values.is_not_null()).then(values.hash())
    if field == "text":
        return values.str.len_chars().cast(pl.Float64)
    if field == "step" and (kind.is_integer() or kind == pl.String):
        return values.cast(pl.Int64, strict=False)
    if field == "step" or not kind.is_numeric():
        wanted = "whole numbers" if field == "step" else "numbers"
        raise InputError(f"{path}: column {column!r} must hold {wanted}, got {kind}")
    return values.cast(pl.Float64, strict=False)


def _usable(table, size: int, terms: Terms, place: tuple[Path, int, int], blocks, group_size, skipped) -> np.ndarray:
    """Records of the rows that have what they need; the others are reported with their row number."""
    path, file, start = place
    rows = np.zeros(size, ROW)
    rows["file"], rows["line"] = file, start + 1 + np.arange(size)
    good = np.ones(size, bool)

    def need(ok: np.ndarray, reason: str) -> None:
        for line in rows["line"][good & ~ok]:
            skipped.add(f"{path}:{line}", reason)
        good[~ok] = False

    for name in ("step", "prompt", "id"):
        if name in table:
            values = table[name]
            missing = np.isnan(values) if values.dtype.kind == "f" else np.zeros(size, bool)
            need(~missing, f"{name} is missing")
            rows[name] = np.where(missing, 0, values)
    rewards = np.stack([table[f"r{i}"] for i in range(len(terms.columns))])
    for column, values in zip(terms.columns, rewards, strict=True):
        need(np.isfinite(values) & (np.abs(values) <= LIMIT), f"{column} is null, NaN or not finite")
    rows["reward"], rows["success"] = (
        np.where(good, np.array(terms.weights) @ np.where(good, rewards, 0), 0),
        rewards[0],
    )
    for name in ("advantage", "length", "logprob"):
        values = table.get("text" if name == "length" and "text" in table else name)
        rows[name] = np.nan if values is None else values
        need(~np.isinf(rows[name]) & ~(np.abs(rows[name]) > LIMIT), f"{name} is not finite")
    need(~(rows["length"] < 0), "length is negative")
    place_in_file = rows["line"] - 1
    by_block = group_size is not None and (blocks or "prompt" not in table)
    rows["group"] = place_in_file // (group_size or 1) if by_block else rows["prompt"]
    return rows[good]


@contextlib.contextmanager
def _quiet():
    """Send file descriptor 2 to nowhere: of a damaged file polars prints a Rust backtrace besides raising an error."""
    saved, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(nowhere)


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
