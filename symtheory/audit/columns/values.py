"""Values of any kind, as logs hold them, become numbers, hashes and lengths."""

import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

LIMIT = 1e100
"""Largest magnitude of a number in a log, so that no sum of squares overflows."""
TINY = 1e-100
"""Magnitude below which a number of a log counts as 0, so that no square underflows."""
HASH = (1 << 64) - 1
NODES = 2_000_000
"""Parts of a nested value that are looked at; a longer prompt counts as unknown."""
TRUTH: dict[str, float] = dict.fromkeys(("true", "yes", "correct", "pass", "passed", "success", "right"), 1.0)
TRUTH |= dict.fromkeys(("false", "no", "incorrect", "wrong", "fail", "failed", "failure"), 0.0)
PRINTED = re.compile(r"[A-Za-z_][\w.]*\(\[?(-?\d+\.?\d*(?:[eE][-+]?\d+)?)\]?(?:, *\w+=[^()]*)?\)")
"""A number as torch and numpy print it: tensor(0.5, device='cuda:0'), np.float64(0.5)"""
NUMBERS = {float, int, bool, type(None)}


class Coded(NamedTuple):
    """A column of repeated values: each distinct value once, and where it stands."""

    values: list
    indices: np.ndarray

    def plain(self) -> list:
        return [self.values[i] for i in self.indices.tolist()]

    def each(self, function: Callable[[list], np.ndarray]) -> np.ndarray:
        """`function` of the column, computed once per distinct value."""
        return function(self.values)[self.indices]


Column = Sequence[Any] | np.ndarray | Coded


def numbers(column: Column) -> np.ndarray:
    """float64 [n], NaN where a value is missing or no number.

    Truth values, texts such as "0.5", "True" and "correct", and lists of one element count as numbers.

    >>> numbers([1, "0.5", True, None, [[2.0]], "x"]).tolist()
    [1.0, 0.5, 1.0, nan, 2.0, nan]
    """
    if isinstance(column, Coded):
        return column.each(numbers)
    if isinstance(column, np.ndarray):
        return column
    if set(map(type, column)) <= NUMBERS:
        try:
            return np.array(column, np.float64)
        except OverflowError:
            pass
    return np.array([number(value) for value in column], np.float64)


def number(value: Any) -> float:
    """The number that a value means, NaN if it means none."""
    for _ in range(4):
        if isinstance(value, list | tuple) and len(value) == 1:
            value = value[0]
    if isinstance(value, str):
        text = value.strip()
        if len(text) > 64 or "_" in text:
            return np.nan
        try:
            return float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
        except ValueError:
            printed = PRINTED.fullmatch(text)
            return float(printed[1]) if printed else TRUTH.get(text.lower(), np.nan)
    try:
        return float(value) if isinstance(value, int | float) else np.nan
    except OverflowError:
        return np.inf if str(value)[:1] != "-" else -np.inf


def steps(column: Column) -> np.ndarray:
    """float64 [n] whole numbers; of a text such as "step_12" its last number; NaN where there is none."""
    found = numbers(column)
    if isinstance(column, Coded):
        return column.each(steps)
    if np.isnan(found).any() and not isinstance(column, np.ndarray):
        found = np.array([_last_number(v) if n != n else n for v, n in zip(column, found.tolist(), strict=True)])
    with np.errstate(invalid="ignore"):
        return np.where((np.abs(found) <= 2**53) & (found == np.floor(found)), found, np.nan)


def _last_number(value: Any) -> float:
    match = re.fullmatch(r"[A-Za-z_/ .-]{1,40}?0*(\d{1,15})", value) if isinstance(value, str) else None
    return float(match[1]) if match else np.nan


def hashes(column: Column) -> np.ndarray:
    """uint64 [n], one value for equal values, the same for a number and its text; 0 where a value is missing."""
    if isinstance(column, Coded):
        return column.each(hashes)
    if isinstance(column, np.ndarray):
        column = column.tolist()
    if set(map(type, column)) == {str}:
        return np.fromiter(((hash(v) & HASH or 1) if v else 0 for v in column), np.uint64, len(column))
    return np.fromiter(map(stable_hash, column), np.uint64, len(column))


def stable_hash(value: Any) -> int:
    """A number other than 0 for a value, 0 for one that is missing or empty; the same throughout this process."""
    if value is None or value == "" or value != value:
        return 0
    if isinstance(value, str):
        return hash(value) & HASH or 1
    if isinstance(value, bool | int | float):
        whole = isinstance(value, float) and value.is_integer() and abs(value) < 2**63
        return hash(_decimal(int(value)) if whole else _decimal(value)) & HASH or 1
    if isinstance(value, list | tuple) and len(value) == 1 and not isinstance(value[0], dict | list | tuple):
        return stable_hash(value[0])
    try:
        return hash(_frozen(value, [NODES], 0)) & HASH or 1
    except ValueError:
        return 0


def _decimal(value: Any) -> str:
    try:
        return str(value)
    except ValueError:  # more digits than Python prints
        return hex(value)


def _frozen(value: Any, left: list[int], depth: int) -> Any:
    """A hashable value; ValueError if it has too many parts, as one that contains itself has."""
    left[0] -= 1
    if left[0] < 0 or depth > 30:
        raise ValueError
    if isinstance(value, dict):
        return tuple((str(k), _frozen(v, left, depth + 1)) for k, v in value.items())
    if isinstance(value, list | tuple):
        left[0] -= len(value)
        if set(map(type, value)) <= {int, str, float, bool, type(None)}:
            return tuple(value)
        return tuple(_frozen(v, left, depth + 1) for v in value)
    return value if isinstance(value, str | int | float | bool | bytes | None) else type(value).__name__


def combined(columns: Sequence[np.ndarray]) -> np.ndarray:
    """One hash for each row of several hashed columns, 0 where one of them is 0."""
    found = columns[0].copy()
    known = columns[0] != 0
    with np.errstate(over="ignore"):
        for column in columns[1:]:
            found = mixed(found) ^ column
            known &= column != 0
        found = mixed(found) if len(columns) > 1 else found
    return np.where(known, np.where(found == 0, np.uint64(1), found), np.uint64(0))


def mixed(values: np.ndarray) -> np.ndarray:
    """A permutation of the 64-bit numbers that leaves no pattern (splitmix64)."""
    with np.errstate(over="ignore"):
        x = (values + np.uint64(0x9E3779B97F4A7C15)) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return x ^ (x >> np.uint64(31))


def sizes(column: Column) -> np.ndarray:
    """float64 [n] length of texts and messages in characters, of token lists in tokens; NaN if missing."""
    if isinstance(column, Coded):
        return column.each(sizes)
    return np.array([np.nan if v is None else _size(v) for v in column], np.float64)


def _size(value: Any) -> float:
    if isinstance(value, str):
        return float(len(value))
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return float(sum(len(m["content"]) for m in value if isinstance(m.get("content"), str)))
    if isinstance(value, dict):
        return float(len(value["content"])) if isinstance(value.get("content"), str) else np.nan
    return float(len(value)) if isinstance(value, list) else np.nan


def described(value: Any) -> str:
    """What a value is, in the few words that a reason for skipping it needs.

    >>> described(None), described(float("-inf")), described("x")
    ('missing', '-inf', 'no number but str')
    """
    if value is None:
        return "missing"
    if isinstance(value, int | float):
        return (
            "NaN"
            if value != value
            else f"{float(value):g}"
            if abs(value) <= LIMIT or abs(value) == np.inf
            else "out of range"
        )
    return f"no number but {type(value).__name__}"
