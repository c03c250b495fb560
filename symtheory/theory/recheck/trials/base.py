"""A trial is a named evaluation; the names and arguments stand in the certificate."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from ....errors import InputError

IDENTITY, TO_N, POINTS, FLOAT = "identity for all G", "all G to n", "exact at points", "float to tolerance"
METHODS = (IDENTITY, TO_N, POINTS, FLOAT)
"""What was done for a statement, from the strongest to the weakest."""


Answer = Any
"""What a trial yields for a point: something true where it agrees, else a text that says what does not agree.

`agrees or "where it does not"` is the usual form.
"""


def disagreement(answer: Answer) -> str:
    """What an answer says against the statement; nothing where it agrees.

    >>> disagreement(True), disagreement("at G = 7"), disagreement(False)
    ('', 'at G = 7', 'a point does not agree')
    """
    return answer if isinstance(answer, str) else "" if answer else "a point does not agree"


@dataclass(frozen=True)
class Trial:
    """A named evaluation."""

    run: Callable[..., Iterator[Answer]]
    """(seed, **args) -> answers, at least one."""
    method: str
    shows: str


TRIALS: dict[str, Trial] = {}


def trial(method: str, shows: str = "exact") -> Callable:
    def register(function: Callable) -> Callable:
        TRIALS[function.__name__] = Trial(function, method, shows)
        return function

    return register


def get(name: str) -> Trial:
    """The trial of this name; raises `InputError` for an unknown one."""
    if name not in TRIALS:
        raise InputError(f"no trial {name!r} in the re-check; it has {', '.join(TRIALS)}")
    return TRIALS[name]
