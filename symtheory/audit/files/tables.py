"""Comma- and tab-separated tables, row by row."""

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path

from ..rows import Skipped
from .streams import DAMAGE, open_utf8

FIELD = 16 << 20
"""Longest field read, in characters."""
DELIMITERS = ",\t;|"
SEPARATOR = re.compile(r"sep=.\s*$", re.IGNORECASE)
"""The line above the header in which Excel names the delimiter."""
DECIMAL = re.compile(r"-?\d+,\d+")
"""A number with a decimal comma, as tables with semicolons have it."""


def delimiter(header: str) -> str | None:
    """What separates the names of a header line, None if nothing does."""
    best = max(DELIMITERS, key=header.count)
    return best if header.count(best) else None


def records(path: Path, skipped: Skipped) -> Iterator[tuple[int, dict]]:
    """(line, row) of a table whose first row names its columns; empty cells are None."""
    csv.field_size_limit(FIELD)
    line = 1
    try:
        with open_utf8(path) as stream:
            text = io.TextIOWrapper(stream, "utf-8", errors="replace", newline="")
            header = text.readline(1 << 20)
            while header.startswith("#") or SEPARATOR.match(header) or (header and header.isspace()):
                header, line = text.readline(1 << 20), line + 1
            mark, above = delimiter(header) or ",", line - 1
            reader = csv.reader(text, delimiter=mark)
            names = next(csv.reader([header], delimiter=mark), [])
            names = [name.strip() for name in names]
            for cells in reader:
                line = reader.line_num + 1 + above
                if not cells:
                    continue
                if len(cells) != len(names):
                    skipped.add(f"{path}:{line}", f"has {len(cells)} cells where the header has {len(names)}")
                    continue
                if mark == ";":
                    cells = [cell.replace(",", ".") if DECIMAL.fullmatch(cell) else cell for cell in cells]
                yield line, {name: cell if cell != "" else None for name, cell in zip(names, cells, strict=True)}
    except csv.Error as error:
        skipped.add(f"{path}:{line + 1}", f"the table is damaged and the rest unread: {str(error)[:100]}")
    except DAMAGE:
        skipped.add(f"{path}:{line + 1}", "the data are cut or damaged here; the rest is unread")
