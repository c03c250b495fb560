"""What can be derived about one estimator, a user's own included: closed forms, peak, slope, objective, verdicts."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import sympy

from ..errors import InputError
from ..estimators import Estimator
from ..estimators.loading import first_line
from .algebra import NotProved
from .closed_form import as_printed, closed_forms, display, guards
from .proofs import Checked, check
from .symbols import Expr, omega
from .theorems import about
from .theorems.difficulty import numeric_peak, peak_difficulty, per_rollout
from .theorems.objectives import limit_objective, limit_slope

BERNSTEIN = "F_G(P) = (1/G) sum_j d_j Pr(Bin(G, P) > j), d_j = A+(j+1) - A-(j)"


@dataclass(frozen=True)
class Derivation:
    """Closed forms of one estimator and the theorems about it."""

    estimator: Estimator
    forms: tuple[tuple[str, Expr | str], ...]
    """Name of each quantity and its closed form (or a sentence where it has none)."""
    checked: tuple[Checked, ...]
    """zero_sum, sure_improvement, closed_form and population_objective of this estimator."""
    guards: dict[Expr, Expr]
    """Values of the symbols that only guard a division."""


def derive(estimator: Estimator) -> Derivation:
    """Derive everything about one estimator by running its code on symbols.

    Raises `InputError` if its code does not run on symbols.
    """
    try:
        forms = closed_forms(estimator, symbolic_guards=True)
    except InputError:
        raise
    except Exception as error:  # links are user code: say which estimator, and what stopped it
        raise InputError(
            f"estimator {estimator.name!r} does not run on symbols ({first_line(error)}); "
            "links may use operators and the functions of `op` only"
        ) from None
    asymmetry = sympy.factor(sympy.cancel(forms.imbalance / forms.magnitude)) if forms.magnitude != 0 else 0
    quantities = [
        *forms.items(),
        ("C / sum|A|", asymmetry),
        ("peak p of sum|A|", _attempt(lambda: _peak(estimator))),
        ("F'(P), large G", _attempt(lambda: limit_slope(estimator))),
        ("F(P), large G", _attempt(lambda: limit_objective(estimator) or BERNSTEIN)),
    ]
    families = ("closed_form", "zero_sum", "sure_improvement", "population_objective")
    checked = tuple(check(about(family, estimator)) for family in families)
    return Derivation(estimator, tuple(quantities), checked, guards(estimator))


def _peak(estimator: Estimator) -> Expr | str:
    peak = peak_difficulty(estimator)
    if peak is not None:
        return peak
    if not per_rollout(estimator).has(omega):
        return _place(numeric_peak(estimator))
    return ", ".join(f"{_place(numeric_peak(estimator, n / 3))} at omega = {n}/3" for n in (1, 2))


def _place(peak: float) -> str:
    if math.isnan(peak):
        return "none: sum|A| does not depend on p"
    return f"p -> {peak:g}" if peak in (0, 1) else f"{peak:.6g}"


def _attempt(form: Callable[[], Expr | str]) -> Expr | str:
    """A closed form, or the sentence that there is none: an estimator need not have a limit of large groups."""
    try:
        return form()
    except (ArithmeticError, NotProved, NotImplementedError, TypeError, ValueError):
        return "no closed form found"


def as_text(form: Expr | str | int) -> str:
    """A closed form as one line of text."""
    return form if isinstance(form, str) else display(sympy.sympify(form)).replace("Min(", "min(")


def as_tex(form: Expr | str | int) -> str:
    """A closed form as LaTeX."""
    return rf"\text{{{form}}}" if isinstance(form, str) else sympy.latex(as_printed(sympy.sympify(form)))
