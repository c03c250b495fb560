"""From the formulas of a statement to a certificate: forms of the code, roots of what stands under root signs.

sympy runs the estimator on symbols and factors radicands. What it finds is written down as text; that it proves the
formula is decided by `recheck`, which does not know sympy.
"""

from collections.abc import Iterable

import sympy

from ..estimators import Estimator
from .algebra import NotProved
from .recheck import groups
from .recheck.formulas import Formula, estimators_in, formulas, name_and_parameters
from .recheck.ratios import Missing, Table, Unsigned, settled
from .symbols import Expr, F, K, omega, two_outcomes

_NAMES = {name: sympy.Symbol(name, positive=True) for name in ("k", "f", "g", "w", "v", "N", "beta", "gamma", "alpha")}


def table_of(wanted: Iterable[Formula]) -> Table:
    """Forms, roots and functions that the formulas need, found by trying and adding what is missing."""
    wanted = list(wanted)
    forms = {spec: form_texts(spec) for formula in wanted for spec in estimators_in(formula)}
    table = Table(forms=forms)
    for formula in wanted:
        for _ in range(60):
            try:
                settled(formula, table, lean=True)
            except Missing as missing:
                table = _completed(table, missing)
            except (Unsigned, ZeroDivisionError):
                break
            else:
                break
    return table


def symbolic(spec: str) -> Estimator:
    """The estimator of a formula's header, with open parameters as symbols of their name."""
    _, parameters = name_and_parameters(spec)
    free = {k: sympy.Symbol(k, positive=True) for k, v in parameters.items() if v == k}
    if "ddof" in free:
        free["ddof"] = sympy.Symbol("ddof", nonnegative=True)
    return groups.resolve(spec).with_params(**free)


def form_texts(spec: str) -> dict[str, str]:
    """A+ and A- of the code on symbols, as they come out of it, as texts in K, F and w."""
    plus, minus = two_outcomes(symbolic(spec))
    return {"Aplus": as_text(plus), "Aminus": as_text(minus)}


def as_text(form: Expr) -> str:
    """A sympy expression as a text that `recheck` reads; 1 - omega is one variable, v, a weight like omega."""
    v = sympy.Symbol("v", positive=True)
    w = sympy.Symbol("w", positive=True)
    return str(sympy.sympify(form).subs(1 - omega, v).subs(omega, w))


def _completed(table: Table, missing: Missing) -> Table:
    if missing.name == "power":
        raise NotProved(str(missing))
    if missing.name != "sqrt":
        name = f"{missing.name}{len(table.functions) + 1}"
        functions = {**table.functions, name: (missing.name, *missing.arguments)}
        return Table(table.roots, table.squares, functions, table.forms)
    argument: Expr = sympy.cancel(sympy.sympify(missing.arguments[0], _letters(missing.arguments[0])))  # type: ignore
    k, f = (sympy.Symbol(x, positive=True) for x in "kf")
    above, below = sympy.fraction(argument.subs(sympy.Symbol("g", positive=True) ** 2, k**2 + f**2))
    product = sympy.expand(above * below)
    content, factors = sympy.factor_list(product)
    squares = dict(table.squares)

    def variable(radicand: str) -> str:
        for name, text in squares.items():
            if text == radicand:
                return name
        squares[f"r{len(squares) + 1}"] = radicand
        return f"r{len(squares)}"

    root = [f"1/({below})"]
    content = sympy.Rational(content)
    for factor, power in factors:
        if _sample(factor) < 0:
            factor, content = -factor, content * (-1) ** power
        whole, odd = divmod(int(power), 2)
        if whole:
            root.append(f"({factor})**{whole}")
        if odd:
            name = {k: "k", f: "f"}.get(factor)
            if sympy.expand(factor - k**2 - f**2) == 0:
                name = "g"
            root.append(name or variable(str(sympy.expand(factor))))
    outside, inside = _square_part(content)
    root.append(f"({outside})")
    if inside != 1:
        root.append(variable(str(inside)))
    return Table((*table.roots, "*".join(root)), squares, table.functions, table.forms)


def _letters(text: str) -> dict[str, sympy.Symbol]:
    import re

    return {name: sympy.Symbol(name, positive=True) for name in re.findall(r"[A-Za-z_]\w*", text)}


def _sample(factor: Expr) -> float:
    """Value of a factor at a point of the domain, for its sign."""
    values = {"k": 3, "f": 2, "g": 3.6, "w": 0.4, "v": 0.6, "ddof": 0.5, "eps": 0.1, "guard": 0.1, "N": 1024}
    return float(factor.subs({s: values.get(s.name, 1.7) for s in factor.free_symbols}))


def _square_part(content: Expr) -> tuple[Expr, int]:
    """content = outside^2 inside with a square-free whole number inside."""
    if content < 0:
        raise NotProved(f"a root of {content}")
    number = int(content.p) * int(content.q)
    outside, inside = 1, 1
    for prime, power in sympy.factorint(number).items():
        outside *= int(prime) ** (int(power) // 2)
        inside *= int(prime) ** (int(power) % 2)
    return sympy.Rational(outside, content.q), inside


def parse_all(*texts: str) -> list[Formula]:
    """The formulas of several texts."""
    return [formula for text in texts for formula in formulas(text)]


__all__ = ["F", "K", "form_texts", "parse_all", "symbolic", "table_of"]
