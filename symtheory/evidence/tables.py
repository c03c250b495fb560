"""pass@k tables: the paper's (3 to 7, arXiv:2602.05548v3), those of other papers, and your own, as rows over k.

A table is read in the shapes that papers print: one value a line, a column for each k, or a column for each method;
separated by commas, semicolons, tabs, `|` (markdown) or `&` (LaTeX); with percent signs, bold marks and +- spreads.
"""

import csv
import functools
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from ..errors import InputError, no_such
from ..paths import no_stream

Unit = Literal["percent", "fraction"]
KEYS = ("table", "model", "dataset", "method")
_NAMES = {
    "table": ("table",),
    "model": ("base_model",),
    "dataset": ("dataset", "benchmark", "task", "data", "test_set", "eval"),
    "method": ("method", "algorithm", "name", "run", "estimator", "approach", "system"),
    "k": ("k", "attempts"),
    "value": ("pass_at_k_percent", "pass_at_k", "pass@k", "passk", "pass_k", "value", "score", "accuracy", "percent"),
    "plus_minus": ("plus_minus", "std", "error", "stderr", "+-", "±"),
}
_PASS = re.compile(
    r"^(?P<before>.*?)[\s(_/:-]*p(?:ass)?[\s_]*(?:@|at)[\s_]*(?P<k>\d+)\)?(?P<after>\W.*)?$", re.IGNORECASE
)
_OTHER = re.compile(r"(?:avg|mean|maj|cons|best|major\w*)[\s_]*(?:@|at)[\s_]*\d+", re.IGNORECASE)
_NUMBER = r"[-+]?(?:\d+[.,]?\d*|[.,]\d+)(?:[eE][-+]?\d+)?"
_CELL = re.compile(
    rf"^(?P<value>{_NUMBER})\s*(?P<unit>%?)\s*(?:(?:±|\+/?-|\\pm)\s*(?P<spread>{_NUMBER})\s*(?P<spread_unit>%?))?$"
)
EMPTY = {"", "-", "--", "---", "–", "—", "n/a", "na", "none", "?", "×", "x", "√"}
LARGEST = 64 << 20
"""Bytes of a table at most."""


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
    rounding: float = 0.0005
    """half a unit of the last digit that the table prints, as a fraction"""


class Table(NamedTuple):
    """Rows of a file, and what was decided in reading it."""

    rows: tuple[Row, ...]
    notes: list[str]
    """one sentence for each choice that the file left open"""


class _Cell(NamedTuple):
    key: tuple[str, str, str, str]
    k: int
    value: float
    spread: float
    """NaN where none is given"""
    percent: bool
    """whether it has a percent sign"""
    digits: int
    """after the decimal point"""
    where: str


def published(table: str | None = None, dataset: str | None = None, method: str | None = None) -> tuple[Row, ...]:
    """Rows of the paper's tables ("table3" ... "table7"), those that match what is given.

    Args:
        table: "table3" ... "table7"; all if not given.
        dataset: name of a benchmark as the paper writes it.
        method: name of a method as the paper writes it.

    Returns:
        The rows, in the order of the paper.

    Raises:
        InputError: a table, dataset or method that the tables do not have.

    >>> row, = published(table="table3", dataset="MATH", method="Base Model")
    >>> row.ks.tolist(), float(row.values[0])
    ([1, 2, 4, 8, 16, 32, 64, 128, 256], 0.634)
    """
    rows = _papers_own()
    for field, wanted in (("table", table), ("dataset", dataset), ("method", method)):
        if wanted is not None:
            known = {getattr(row, field) for row in rows}
            rows = tuple(row for row in rows if getattr(row, field) == wanted)
            if not rows:
                raise no_such(field if len(known) > 1 else f"{field} among the rows asked for", wanted, known)
    return rows


@functools.cache
def _papers_own() -> tuple[Row, ...]:
    files = sorted((Path(__file__).parent / "data").glob("*.csv"))
    return tuple(row for file in files for row in read_table(file))


def other_papers() -> tuple[Row, ...]:
    """Rows of pass@k tables of other papers, typed from public text; the file names the source of each row.

    Returns:
        The rows.
    """
    return read_table(Path(__file__).parent / "data" / "others" / "tables.csv", unit="percent")


def read_table(path: str | Path, unit: Unit | None = None) -> tuple[Row, ...]:
    """Rows of a file with a pass@k table; see `read`, which also says what was decided in reading.

    Args:
        path: a text file.
        unit: "percent" or "fraction", where the table does not tell.

    Returns:
        The rows.
    """
    return read(path, unit).rows


def read(path: str | Path, unit: Unit | None = None) -> Table:
    """Read a pass@k table in any of the shapes that papers print.

    Args:
        path: a text file: CSV, TSV, markdown or LaTeX rows.
        unit: "percent" or "fraction", where the table does not tell.

    Returns:
        The rows, and what was decided in reading them.

    Raises:
        InputError: no such file, no pass@k in it, a value that is no number or outside its range, a k that a row has
            twice, or values of which only the caller can know the unit. It names file and line.
    """
    path = no_stream(Path(path))
    try:
        if path.stat().st_size > LARGEST:
            raise InputError(f"table must be a file of at most {LARGEST >> 20} MB, got {str(path)!r}")
        text = path.read_bytes()
    except OSError as error:
        reason = "no such file" if isinstance(error, FileNotFoundError) else (error.strerror or str(error)).lower()
        raise InputError(f"table must be a file with a pass@k table, got {str(path)!r}: {reason}") from None
    return rows_of(decoded(text, str(path)).splitlines(), str(path), unit)


def decoded(text: bytes, name: str) -> str:
    """Text of a file in UTF-8, or in UTF-16 with a mark."""
    encoding = "utf-16" if text[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        found = text.decode(encoding)
    except UnicodeDecodeError as error:
        raise InputError(f"{name} must be a text table in UTF-8: {error}") from None
    if "\0" in found:
        raise InputError(f"{name} must be a text table in UTF-8, and it holds zero bytes")
    return found


def is_table(lines: Sequence[str]) -> bool:
    """Whether the first line of a file looks like the header of a pass@k table."""
    header = next((cells for cells, _ in _grid(lines[:200])), [])
    return _shape(header) is not None


def rows_of(lines: Sequence[str], name: str, unit: Unit | None = None) -> Table:
    """Rows of the lines of a table; `name` appears in errors."""
    grid = _grid(lines)
    try:
        header, _ = next(grid)
        shape = _shape(header)
        if shape is None:
            raise InputError(
                f"{name} must have a column for each k (pass@1, pass@2, ...), or a column k and one of values such as "
                f"pass_at_k_percent; its columns are {', '.join(repr(_short(c)) for c in header[:12])}"
            )
        notes = _left_out(header)
        cells, heading = [], ""
        for row, n in grid:
            filled = [c for c in row if c]
            if shape.kind == "wide" and "dataset" not in shape.named and len(filled) == 1:
                heading = filled[0]  # such as the name of a benchmark above its rows
                continue
            found = _cells(shape, header, row, f"{name}:{n}")
            cells += [c._replace(key=(*c.key[:2], c.key[2] or heading, c.key[3])) for c in found]
    except StopIteration:
        raise InputError(f"{name} must hold a pass@k table, got an empty file") from None
    except csv.Error as error:
        raise InputError(f"{name}: not a table: {error}") from None
    if not cells:
        raise InputError(f"{name} must hold at least one row of pass@k values, got only a header")
    scale, told = _unit(cells, header, name, unit)
    return Table(_rows(cells, scale), notes + told)


def _grid(lines: Sequence[str]):
    """Cells of each line of a table and its number, without rules, comments and text around the table."""
    numbered = [
        (n, line) for n, line in enumerate(lines, 1) if line.strip() and not line.lstrip().startswith(("%", "#"))
    ]
    head = next((line for _, line in numbered if _PASS_OR_K(line)), numbered[0][1] if numbered else "")
    mark = next((s for s in ("|", "&", "\t", ";") if s in head), ",")
    started = False
    for n, line in numbered:
        if mark in "|&":
            body = re.sub(r"\\\\.*$", "", line).strip()
            if mark == "|":
                body = body.removeprefix("|").removesuffix("|")
            cells = body.split(mark)
            heading = re.search(r"\\multicolumn\{\d+\}\{[^}]*\}\{(.*)\}", body)
            cells = [heading[1]] if heading and started else cells
            if (mark not in line and not heading) or all(re.fullmatch(r"[\s:=-]*", c) for c in cells):
                continue  # a rule, or text around the table
        else:
            cells = next(csv.reader([line], delimiter=mark))
        cells = [_plain(c) for c in cells]
        if not started and len(cells) < 2 and _shape(cells) is None and line is not numbered[-1][1]:
            continue  # a title above the table
        started = True
        yield cells, n


def _PASS_OR_K(line: str) -> bool:
    return bool(re.search(r"p(?:ass)?[\s_]*(?:@|at)[\s_]*\d", line, re.IGNORECASE) or re.search(r"\bk\b", line.lower()))


def _plain(cell: str) -> str:
    """A cell without the marks of bold, italics, links, formulas and arrows."""
    cell = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", cell)
    for _ in range(3):
        cell = re.sub(r"\\(?:textbf|textit|underline|mathbf|emph|text|bf|bm)\s*\{([^{}]*)\}", r"\1", cell)
    cell = re.sub(r"</?\w+>", "", cell).replace("\\%", "%").replace("$", "").replace("\u00a0", " ")
    cell = re.sub(r"_\{?\\pm\s*([\d.]+)\}?", r" ± \1", cell)
    return re.sub(r"\*+|__|`|[↑↓†‡]", "", cell).strip()


class _Shape(NamedTuple):
    kind: Literal["long", "wide", "methods"]
    named: dict[str, int]
    """column of each key"""
    columns: list[tuple[int, int, str]]
    """wide: (column, k, dataset); methods: (column, 0, method)"""


def _shape(header: Sequence[str]) -> _Shape | None:
    """How a table with this header is laid out; None if it holds no pass@k."""
    low = [re.sub(r"[\s-]+", "_", c.strip().lower()) for c in header]
    named: dict[str, int] = {}
    for field, names in _NAMES.items():
        for i, cell in enumerate(low):
            if cell == field or (cell in names and field not in named):
                named[field] = i
                if cell == field:
                    break
    wide = []
    for i, cell in enumerate(header):
        if (found := _PASS.match(cell.strip())) and not _OTHER.search(cell):
            wide.append((i, int(found["k"]), found["before"].strip(" -_/:(")))
        elif found := re.fullmatch(r"k\s*=\s*(\d+)", cell.strip(), re.IGNORECASE):
            wide.append((i, int(found[1]), ""))
    if "k" in named and "value" in named and not wide:
        return _Shape("long", named, [])
    numbers = [(i, int(c), "") for i, c in enumerate(low) if re.fullmatch(r"[1-9]\d*", c)]
    wide = wide or (numbers if len(numbers) > 1 else [])
    if wide:
        taken = {i for i, _, _ in wide}
        named = {f: i for f, i in named.items() if i not in taken and f not in ("k", "value", "plus_minus")}
        rest = [i for i in range(len(header)) if i not in taken and i not in named.values()]
        if "method" not in named:  # the first column names the rows: "Model" where no other says the method
            first = named.pop("model", None)
            if first is None and rest:
                first = rest[0]
            if first is not None:
                named["method"] = first
        return _Shape("wide", named, wide)
    if "k" in named:
        taken = set(named.values())
        methods = [(i, 0, header[i]) for i in range(len(header)) if i not in taken and not _OTHER.search(header[i])]
        return _Shape("methods", named, methods) if methods else None
    return None


def _cells(shape: _Shape, header: Sequence[str], row: Sequence[str], where: str):
    """The pass@k values of one line."""
    row = [*row, *[""] * (len(header) - len(row))]
    key = {f: row[shape.named[f]] if f in shape.named else "" for f in KEYS}
    if shape.kind == "wide":
        if all(row[i].lower() in EMPTY for i, _, _ in shape.columns):
            return  # a heading inside the table
        for i, k, dataset in shape.columns:
            if row[i].lower() not in EMPTY:
                inside = key | ({"dataset": " ".join(filter(None, (key["dataset"], dataset)))} if dataset else {})
                yield _cell(inside, k, row[i], "", where, f"pass@{k}")
        return
    k = _attempts(row[shape.named["k"]], where)
    if shape.kind == "long":
        i = shape.named["value"]
        spread = row[shape.named["plus_minus"]] if "plus_minus" in shape.named else ""
        yield _cell(key, k, row[i], spread, where, header[i])
        return
    for i, _, method in shape.columns:
        if row[i].lower() not in EMPTY:
            yield _cell(key | {"method": method}, k, row[i], "", where, method)


def _attempts(text: str, where: str) -> int:
    found = re.fullmatch(r"(?:p(?:ass)?[\s_]*(?:@|at)[\s_]*|k\s*=\s*)?(\d+)(?:\.0*)?", text.strip(), re.IGNORECASE)
    if not found or not 1 <= int(found[1]) <= 10**6:
        raise InputError(f"{where}: k must be a whole number from 1 to 1000000, such as 16 or pass@16, got {text!r}")
    return int(found[1])


def _cell(key: dict, k: int, text: str, spread: str, where: str, column: str) -> _Cell:
    if not 1 <= k <= 10**6:
        raise InputError(f"{where}: k must be a whole number from 1 to 1000000, got {k}")
    found = _CELL.match(text)
    outer = _CELL.match(spread) if spread.strip() and spread.lower() not in EMPTY else None
    if not found or (spread.strip().lower() not in EMPTY and not outer):
        raise InputError(f"{where}: {column} must be a number from 0 to 100, got {(text if not found else spread)!r}")
    value = _float(found["value"])
    if not 0 <= value <= 100:
        raise InputError(f"{where}: {column} must be a number from 0 to 100, got {text!r}")
    width = found["spread"] or (outer["value"] if outer else None)
    digits = len(re.split(r"[.,]", re.split("[eE]", found["value"])[0] + ".")[1])
    return _Cell(
        tuple(_short(key[f]) for f in KEYS),  # type: ignore[arg-type]
        k, value, math.nan if width is None else _float(width), bool(found["unit"]), digits, where,
    )  # fmt: skip


def _float(text: str) -> float:
    return float(text.replace(",", "."))


def _short(text: str) -> str:
    """Text of a file for a message or a table cell: one line, of no more than 80 printable characters."""
    text = "".join(c if c.isprintable() else " " for c in text)
    return text if len(text) <= 80 else text[:77] + "..."


def _unit(cells: list[_Cell], header: Sequence[str], name: str, unit: Unit | None) -> tuple[float, list[str]]:
    """What one unit of the numbers is worth as a fraction, and a sentence where that was decided here."""
    signs = [c for c in cells if c.percent]
    if unit == "fraction" and signs:
        raise InputError(f"unit must be percent for {name}: {signs[0].where} has a percent sign")
    if unit == "fraction" and (large := next((c for c in cells if c.value > 1), None)):
        raise InputError(f"{large.where}: a fraction must be from 0 to 1, got {large.value:g}: give --unit percent")
    if unit is not None or signs:
        bare = [c for c in cells if not c.percent and 0 < c.value <= 1] if signs and unit is None else []
        if bare and len(bare) == len(cells) - len(signs):
            raise InputError(
                f"{name} mixes values with a percent sign and values of at most 1 without ({bare[0].where}): are those "
                "fractions? Write one kind, or say --unit percent"
            )
        return (1.0 if unit == "fraction" else 0.01), []
    if max(c.value for c in cells) > 1:
        return 0.01, _rows_like_fractions(cells)
    if any("percent" in h.lower() or "%" in h for h in header) or all(c.value in (0, 1) for c in cells):
        raise InputError(
            f"{name}: every value is at most 1, though its column says percent or nothing else: say --unit fraction if "
            f"{cells[0].value:g} means {100 * cells[0].value:g}%, or --unit percent if it means {cells[0].value:g}%"
        )
    return 1.0, [
        f"every value is at most 1, so they are read as fractions: {cells[0].value:g} is {100 * cells[0].value:g}% "
        "(--unit percent reads them as percentages)"
    ]


def _rows_like_fractions(cells: list[_Cell]) -> list[str]:
    """Rows of a table of percentages whose values all are at most 1, which may be fractions."""
    most: dict[tuple, float] = {}
    for c in cells:
        most[c.key] = max(most.get(c.key, 0), c.value)
    odd = [key for key, value in most.items() if 0 < value <= 1]
    if not odd:
        return []
    named = ", ".join(" ".join(filter(None, key)) for key in odd[:3]) + (" ..." if len(odd) > 3 else "")
    return [f"all values of {named} are at most 1 and read as percentages, like the rest: are they fractions?"]


def _rows(cells: list[_Cell], scale: float) -> tuple[Row, ...]:
    digits: dict[str, int] = {}
    found: dict[tuple, dict[int, _Cell]] = {}
    for c in cells:
        digits[c.key[0]] = max(digits.get(c.key[0], 0), c.digits)  # a table prints all its values alike
        row = found.setdefault(c.key, {})
        if c.k in row:
            raise InputError(f"{c.where}: k = {c.k} comes twice for method {c.key[3]!r} on {c.key[2]!r}")
        row[c.k] = c
    rows = []
    for key, row in found.items():
        ks = sorted(row)
        values, spread = (np.array([getattr(row[k], f) for k in ks]) * scale for f in ("value", "spread"))
        if (values > 1).any():
            raise InputError(f"{row[ks[int(values.argmax())]].where}: pass@k must be at most 100%")
        half = 0.5 * 10.0 ** -digits[key[0]] * scale
        rows.append(Row(*key, ks=np.array(ks), values=values, plus_minus=spread, rounding=half))
    return tuple(rows)


def _left_out(header: Sequence[str]) -> list[str]:
    """Columns of other metrics, which are not pass@k."""
    other = [c for c in header if _OTHER.search(c)]
    return [f"columns {', '.join(map(_short, other))} are not pass@k and are left out"] if other else []
