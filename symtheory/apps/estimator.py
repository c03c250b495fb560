"""An estimator from a few typed lines, and what can be said of it at once: curves, place, laws, closed forms.

The lines are Python and are executed as such: this is for one's own code on one's own machine.
"""

import traceback
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import estimators
from ..errors import InputError
from ..estimators import Estimator, chain
from ..estimators.agrae import attenuate_correct, focus_by_progress
from ..estimators.controlled import damp_correct, weigh_correct
from ..estimators.difficulty import focus_easy, focus_hard
from ..estimators.grpo import center, scale_by_std
from ..testing import check_estimator
from ..testing.check import Report
from ..testing.target import PROBE, Target
from ..theory.derivation import as_tex, derive

SOURCE = "<your code>"
SECONDS = 5.0
"""that typed code may take for one call"""
LINKS = (
    center,
    scale_by_std,
    focus_hard,
    focus_easy,
    focus_by_progress,
    weigh_correct,
    damp_correct,
    attenuate_correct,
)
"""Links that typed code may use by name."""
EXAMPLE = '''\
def damp_confident(a, g, op, *, strength=1.0):
    """a (1 - p)^strength: easy prompts count less."""
    return a * (1 - g.mean) ** strength


links = (center, scale_by_std, damp_confident)
'''


def read(code: str) -> Estimator:
    """The estimator that typed code defines: a chain of the links that it calls `links`.

    Raises `InputError`, with the line, for code that does not run, hangs, or is no estimator of rewards in [0, 1].

    >>> read("links = (center,)").name
    'your estimator'
    """
    made: list[Estimator] = []
    caught: list[BaseException] = []

    def define_and_call(rewards):
        try:
            made.append(_define(code))
            return estimators.advantages(rewards, made[0])
        except BaseException as error:
            caught.append(error)
            raise

    Target(define_and_call, "your code", "unit", SECONDS)(PROBE)
    if caught:
        raise InputError(where(code, caught[0])) from caught[0]
    return made[0]


def _define(code: str) -> Estimator:
    names: dict[str, Any] = {link.__name__: link for link in LINKS} | {"np": np}
    exec(compile(code, SOURCE, "exec"), names)
    links = names.get("links")
    links = (links,) if callable(links) else links
    if not isinstance(links, tuple | list) or not links or not all(callable(link) for link in links):
        raise InputError("the code must end with a tuple of links, `links = (center, ...)`, and it does not")
    return chain(*links, name="your estimator", rewards="unit")


def where(code: str, error: BaseException) -> str:
    """An error in one sentence, with the line of the typed code that it comes from."""
    if isinstance(error, SyntaxError):
        return f"line {error.lineno}, `{(error.text or '').strip()}`: {error.msg}"
    lines = code.splitlines()
    own = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == SOURCE and f.lineno]
    at = f"line {own[-1]}, `{lines[own[-1] - 1].strip()}`: " if own and own[-1] <= len(lines) else ""
    return f"{at}{type(error).__name__}: {error}"


def told(code: str, compute: Callable[[], str]) -> str:
    """The Markdown that `compute` gives, or what stopped it: typed code may fail on some groups only."""
    try:
        return compute()
    except InputError as error:
        return str(error)
    except Exception as error:
        return where(code, error)


def laws(estimator: Estimator, examples: int = 30) -> Report:
    """Which laws the estimator obeys, see `symtheory check`."""
    return check_estimator(estimator, examples=examples)


def closed_forms(estimator: Estimator) -> list[tuple[str, str]]:
    """Quantity and LaTeX of what sympy derives, as `symtheory prove --derive`; `InputError` where it cannot."""
    return [(name, as_tex(form)) for name, form in derive(estimator).forms]


def form_table(forms: list[tuple[str, str]]) -> str:
    """Markdown: each quantity with its closed form."""
    rows = (f"| {name} | ${tex}$ |" for name, tex in forms)
    return "\n".join(["| quantity | K correct and F wrong of G |", "|---|---|", *rows])


def law_table(report: Report) -> str:
    """Markdown: the laws that hold, and the smallest group that breaks each of the others."""
    kept = ", ".join(f"`{f.name}`" for f in report.findings if f.holds)
    rows = [
        f"| `{f.name}` | {_numbers(f.counterexample)} | {f.note or _numbers(f.advantages)} |"
        for f in report.findings
        if f.holds is False
    ]
    broken = "\n".join(["| breaks | rewards | advantages |", "|---|---|---|", *rows]) if rows else "It breaks none."
    return f"Holds: {kept or 'none'}.\n\n{broken}"


def _numbers(values) -> str:
    return "; ".join(", ".join(f"{x:.4g}" for x in group) for group in np.atleast_2d(values))
