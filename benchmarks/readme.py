"""The figures in benchmarks/README.md, made from the records beside it: `python -m benchmarks.readme`."""

import json
import re
from pathlib import Path

from symtheory.cli import bench
from symtheory.storage import store

FOLDER = Path(__file__).parent


def newest() -> Path:
    """The record of the newest version in history/."""
    return max((FOLDER / "history").glob("*.json"), key=lambda path: [int(n) for n in path.stem.split(".")])


def figures() -> str:
    """The rows of `symtheory bench`, and the waits behind those that are seconds."""
    record = json.loads(newest().read_text())
    waits = [f"{row['name']} {row['seconds']:g}" for row in record["rows"] if "seconds" in row]
    command = f"symtheory bench --against benchmarks/history/{newest().name}"
    seconds = f"In seconds: {'; '.join(waits)}. " if waits else ""
    return "\n".join([bench.table(record), "", f"{seconds}To compare: `{command}`."])


def growth() -> str:
    from . import growth

    return growth.table(json.loads(growth.FILE.read_text()))


SECTIONS = {"figures": figures, "growth": growth}


def made(text: str) -> str:
    """`text` with what stands between the marks of each section made anew."""
    for name, make in SECTIONS.items():
        between = re.compile(f"(<!-- {name} -->\n).*?(<!-- end of {name} -->)", re.DOTALL)
        text, found = between.subn(lambda marks, make=make: f"{marks[1]}\n{make()}\n\n{marks[2]}", text)
        if found != 1:
            raise ValueError(f"README.md must have one section {name}, found {found}")
    return text


if __name__ == "__main__":
    path = FOLDER / "README.md"
    text = made(path.read_text())
    with store.replacing(path) as partial:
        partial.write_text(text)
