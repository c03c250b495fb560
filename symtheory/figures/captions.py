"""The text that lies beside a picture: its title, what is seen, and the command that made it."""

import re
from pathlib import Path
from typing import NamedTuple

from ..storage.store import replacing


class Caption(NamedTuple):
    """What a reader is told about a figure."""

    title: str
    text: str
    """Markdown; the first paragraph says what is seen"""
    command: str


def write(path: Path, caption: Caption) -> None:
    """Write the file PATH, all or nothing."""
    title, text, command = caption
    with replacing(path) as partial:
        partial.write_text(f"# {title}\n\n{text}\n\nMade by `{command}`.\n", encoding="utf-8")


def read(path: Path) -> Caption:
    """What `write` wrote; the title or the command is "" where the file names none.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write(Path(folder, "fig1.md"), Caption("Figure 1", "A line rises.", "symtheory reproduce"))
    ...     read(Path(folder, "fig1.md"))
    Caption(title='Figure 1', text='A line rises.', command='symtheory reproduce')
    """
    found = re.fullmatch(
        r"(?:# (?P<title>[^\n]+)\n)?(?P<text>.*?)(?:^Made by `(?P<command>[^\n]+)`\.)?\s*",
        path.read_text(encoding="utf-8"),
        re.DOTALL | re.MULTILINE,
    )
    assert found is not None  # every part may be empty
    return Caption(found["title"] or "", found["text"].strip(), found["command"] or "")


def one_line(text: str) -> str:
    """A text that is written over several lines of code, as one line."""
    return " ".join(text.split())
