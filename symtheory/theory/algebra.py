"""From an algebraic identity in K and F to a polynomial certificate of it.

Square roots become variables: k = sqrt K, f = sqrt F, g = sqrt(K + F), and r1, r2, ... for any other root, each
with the hypothesis that defines it (r^2 - radicand = 0). Functions that are not algebraic become free variables.
An identity then is a polynomial in the ideal of the hypotheses, and the division that shows it is the certificate.
"""

from dataclasses import dataclass, field

import sympy

from .certificates import Certificate
from .symbols import Expr, F, K

k, f, g = sympy.symbols("k f g", positive=True)


class NotProved(ArithmeticError):
    """The identity has no certificate: it is false, or outside the algebra used here."""


@dataclass
class Roots:
    """Roots and functions met in expressions, and the variables that stand for them."""

    variables: dict[Expr, sympy.Symbol] = field(default_factory=dict)
    """Radicand (a polynomial) or function -> its variable."""

    def clear(self, expression: Expr) -> Expr:
        """The expression as a rational function of the variables."""
        x = expression.replace(lambda e: isinstance(e, sympy.Abs), lambda e: sympy.Abs(sympy.factor(e.args[0])))
        x = x.replace(_is_function, self._variable)
        x = x.subs({K: k**2, F: f**2})
        return x.replace(lambda e: e.is_Pow and e.exp.is_Rational and e.exp.q == 2, self._root)

    def _root(self, power: Expr) -> Expr:
        numerator, denominator = _fraction(power.base)
        product: Expr = numerator * denominator
        content, radicand = sympy.expand(product).primitive()
        root = g if radicand == k**2 + f**2 else self._variable(radicand) if radicand != 1 else 1
        scale: Expr = sympy.sqrt(content).replace(
            lambda e: e.is_Pow and not e.exp.is_Integer, lambda e: self._variable(e.base)
        )
        return (scale * root / denominator) ** power.exp.p

    def _variable(self, key: Expr) -> sympy.Symbol:
        return self.variables.setdefault(key, sympy.Symbol(f"r{len(self.variables) + 1}", positive=True))

    def restore(self, expression: Expr) -> Expr:
        """Put K, F, the roots and the functions back."""
        roots = {variable: key if _is_function(key) else sympy.sqrt(key) for key, variable in self.variables.items()}
        return expression.xreplace(roots).subs({g: sympy.sqrt(K + F), k: sympy.sqrt(K), f: sympy.sqrt(F)})

    def hypotheses(self) -> list[Expr]:
        """variable^2 - radicand for each root, all 0."""
        own = [variable**2 - key for key, variable in self.variables.items() if not _is_function(key)]
        return [*own, g**2 - k**2 - f**2]

    def leading(self) -> list[sympy.Symbol]:
        """Variables in an order in which each hypothesis is led by the square of its own root."""
        return [variable for key, variable in reversed(self.variables.items()) if not _is_function(key)] + [g, k, f]


def _fraction(x: Expr) -> tuple[Expr, Expr]:
    return sympy.fraction(sympy.factor(x))


def _is_function(key: Expr) -> bool:
    return isinstance(key, sympy.exp | sympy.Min | sympy.Max | sympy.Abs)


def certify(zero: Expr, meaning: str = "", given: dict | None = None) -> Certificate:
    """A certificate that an algebraic expression in K, F and other symbols vanishes wherever it is defined.

    The claim is the numerator as it stands, before it is expanded. `given` maps symbols to polynomials in other symbols
    that they are equal to, as further hypotheses; the expression must then be a polynomial.
    Raises `NotProved` if the numerator is not in the ideal of the hypotheses.
    """
    if given and not zero.is_polynomial():
        raise NotProved(f"{meaning} is no polynomial")
    roots = Roots()
    written = sympy.fraction(sympy.together(roots.clear(sympy.sympify(zero))))[0]
    numerator = sympy.expand(written)
    hypotheses = [symbol - value for symbol, value in (given or {}).items()] + roots.hypotheses()
    order = [*(given or {}), *roots.leading()]
    order += sorted(numerator.free_symbols - set(order), key=str)
    cofactors, remainder = sympy.reduced(numerator, hypotheses, *order, order="lex") if numerator != 0 else ([], 0)
    if remainder != 0:
        raise NotProved(f"{zero} leaves the remainder {remainder}")
    used = [(q, h) for q, h in zip(cofactors, hypotheses, strict=False) if q != 0]
    note = ", ".join(f"{v} = {key if _is_function(key) else sympy.sqrt(key)}" for key, v in roots.variables.items())
    legend = "; k = sqrt(K), f = sqrt(F), g = sqrt(K + F)" if written.free_symbols & {k, f, g} else ""
    legend += f", {note}" if note else ""
    return Certificate(
        str(written), tuple(str(h) for _, h in used), tuple(str(q) for q, _ in used), meaning=meaning + legend
    )
