"""The one exception that reaches a user: a sentence that names the argument, what came, and what is expected."""

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """Bad input from the caller. The command line prints it as one line and exits with status 2."""


def no_such(kind: str, name: str, known: Iterable[str]) -> InputError:
    """An `InputError` for an unknown name, with the nearest known one.

    >>> str(no_such("estimator", "hard_focussed", ["grpo", "hard_focused"]))
    "no estimator 'hard_focussed'. Did you mean 'hard_focused'?"
    """
    known = sorted(known)
    near = difflib.get_close_matches(str(name), known, n=1, cutoff=0.5)
    hint = f"Did you mean {near[0]!r}?" if near else f"Known: {', '.join(known)}."
    return InputError(f"no {kind} {name!r}. {hint}")
