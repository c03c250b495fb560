"""Docstrings as the documentation reads them: examples become blocks of code."""

import re

import griffe

EXAMPLE = re.compile(r"(?:^|\n\n)( *)(>>> .*?)(?=\n\s*\n|\Z)", re.DOTALL)


class Doctests(griffe.Extension):
    """Fences the examples of every docstring, which Markdown would take for quotations."""

    def on_instance(self, *, obj, **kwargs) -> None:
        """Called for every module, class, function and attribute."""
        if obj.docstring:
            obj.docstring.value = fenced(obj.docstring.value)


def fenced(docstring: str) -> str:
    """The docstring with a fence around each example."""
    return EXAMPLE.sub(r"\n\n\1```pycon\n\1\2\n\1```", docstring)
