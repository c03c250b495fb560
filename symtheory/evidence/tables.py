"""pass@k tables: the paper's (3 to 7, arXiv:2602.05548v3) and anyone's, as rows of values over k."""

import csv
import math
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..errors import InputError, no_such

REQUIRED = ("dataset", "method", "k", "pass_at_k_percent")
OPTIONAL = ("table", "model", "plus_minus")


class Row(NamedTuple):
    """pass@k of one method on one benchmark."""

    table: str
    model: str
    dataset: str
    method: str
    ks: np.ndarray
    """[k] increasing numbers of attempts"""
    values: np.ndarray
    """[k] pass@k as fractions in [0, 1]"""
    plus_minus: np.ndarray
    """[k] published spread as fractions, NaN where none is given"""


def published(table: str | None = None, dataset: str | None = None, method: str | None = None) -> tuple[Row, ...]:
    """Rows of the paper's tables ("table3" ... "table7"), those that match what is given.

    Raises `InputError` for a table, dataset or method that the tables do not have.

    >>> row, = published(table="table3", dataset="MATH", method="Base Model")
    >>> row.ks.tolist(), float(row.values[0])
    ([1, 2, 4, 8, 16, 32, 64, 128, 256], 0.634)
    """
    files = sorted((Path(__file__).parent / "data").glob("*.csv"))
    rows = [row for file in files for row in read_table(file)]
    for field, wanted in (("table", table), ("dataset", dataset), ("method", method)):
        if wanted is not None:
            known = {getattr(row, field) for row in rows}
            rows = [row for row in rows if getattr(row, field) == wanted]
            if not rows:
                raise no_such(field if len(known) > 1 else f"{field} among the rows asked for", wanted, known)
    return tuple(rows)


def read_table(path: str | Path) -> tuple[Row, ...]:
    """Rows of a CSV file with columns dataset, method, k, pass_at_k_percent and optionally table, model, plus_minus.

    Raises `InputError` naming file and line for a missing column, a value that is no number or outside its range,
    or a k that a row has twice.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} must be a CSV file in UTF-8: {error}") from None
    return rows_of(text.splitlines(), str(path))


def rows_of(lines: list[str], name: str) -> tuple[Row, ...]:
    """Rows of the lines of a CSV file; `name` appears in errors."""
    reader = csv.DictReader(lines)
    try:
        missing = [c for c in REQUIRED if c not in (reader.fieldnames or ())]
        if missing:
            raise InputError(f"{name} must have the columns {', '.join(REQUIRED)}; it lacks {', '.join(missing)}")
        cells: dict[tuple[str, ...], dict[int, tuple[float, float]]] = {}
        for line in reader:
            where = f"{name}:{reader.line_num}"
            row = cells.setdefault(tuple(line.get(c) or "" for c in ("table", "model", "dataset", "method")), {})
            k = int(_number(line["k"], "k", where, 1, 10**6))
            if k in row:
                raise InputError(f"{where}: k = {k} comes twice for method {line['method']!r} on {line['dataset']!r}")
            spread = line.get("plus_minus")
            row[k] = (
                _number(line["pass_at_k_percent"], "pass_at_k_percent", where, 0, 100) / 100,
                _number(spread, "plus_minus", where, 0, 100) / 100 if spread else math.nan,
            )
    except csv.Error as error:
        raise InputError(f"{name}:{reader.line_num}: not a CSV table: {error}") from None
    if not cells:
        raise InputError(f"{name} must hold at least one row of pass@k values, got only a header")
    return tuple(_row(key, row) for key, row in cells.items())


def _row(key: tuple[str, ...], cells: dict[int, tuple[float, float]]) -> Row:
    ks = sorted(cells)
    return Row(*key, np.array(ks), np.array([cells[k][0] for k in ks]), np.array([cells[k][1] for k in ks]))  # type: ignore[call-arg]


def _number(text: str | None, column: str, where: str, low: float, high: float) -> float:
    try:
        value = float(text or "")
    except ValueError:
        value = math.nan
    if not low <= value <= high or (column == "k" and value != int(value)):
        kind = "a whole number" if column == "k" else "a number"
        raise InputError(f"{where}: {column} must be {kind} from {low} to {high}, got {text!r}")
    return value
