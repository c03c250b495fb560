"""Closed forms of an estimator, derived by evaluating its code on symbols, and turned into array functions.

sum |A| = K |A+| + F |A-|,   C = K A+ + F A- (Eq. 6 of arXiv:2602.05548),   sum A^2 = K A+^2 + F A-^2
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import sympy

from ..estimators import Estimator
from .algebra import Roots, f, g, k
from .symbols import Expr, F, K, exact_two_outcomes, omega, two_outcomes

_G = sympy.Symbol("G", positive=True)
_v = sympy.Symbol("v", positive=True)


@dataclass(frozen=True)
class ClosedForms:
    """Advantages of a mixed group (K correct, F = G - K wrong) and their sums, as sympy expressions."""

    correct: Expr
    """A+, the advantage of each correct rollout."""
    wrong: Expr
    """A-, of each wrong one."""
    imbalance: Expr
    """C = sum A, the amount by which group symmetry is broken (Eq. 5, 6)."""
    magnitude: Expr
    """sum |A|, the update magnitude of Theorem 2 (Eq. 10)."""
    square: Expr
    """sum A^2"""

    def items(self) -> tuple[tuple[str, Expr], ...]:
        """Name and expression of each."""
        names = ("A+", "A-", "C", "sum|A|", "sum A^2")
        return tuple(zip(names, (self.correct, self.wrong, self.imbalance, self.magnitude, self.square), strict=True))


def raw_forms(estimator: Estimator) -> ClosedForms:
    """The five quantities as they come out of the code, untidied."""
    plus, minus = two_outcomes(estimator)
    sizes = [_absolute(x, values) for x, values in zip((plus, minus), _sample(estimator), strict=True)]
    magnitude = K * sizes[0] + F * sizes[1]
    return ClosedForms(plus, minus, K * plus + F * minus, magnitude, K * plus**2 + F * minus**2)


def closed_forms(estimator: Estimator, *, symbolic_guards: bool = False) -> ClosedForms:
    """The five quantities in the shortest form that `tidy` finds, for a mixed group (and K, F >= k for `passk`).

    Args:
        estimator: an `Estimator` that has a theory (`Estimator.two_class`).
        symbolic_guards: leave parameters below 10^-3, which only guard a division (eps), as symbols of their name.

    Returns:
        The advantage of a correct and of a wrong rollout, sum A, sum |A| and sum A^2, as sympy expressions in K and F.

    >>> from symtheory import estimators
    >>> [display(form) for name, form in closed_forms(estimators.get("grpo")).items()]
    ['sqrt(F/K)', '-sqrt(K/F)', '0', '2*sqrt(F*K)', 'G']
    """
    small = guards(estimator)
    raw = raw_forms(estimator.with_params(**{symbol.name: symbol for symbol in small}))
    plus, minus, imbalance = tidy(raw.correct), tidy(raw.wrong), tidy(raw.imbalance)
    magnitude = tidy(2 * K * plus if imbalance == 0 and plus.could_extract_minus_sign() is False else raw.magnitude)
    square = tidy(K * plus**2 + F * minus**2, too_long=100)
    forms = ClosedForms(plus, minus, imbalance, magnitude, square)
    return forms if symbolic_guards else ClosedForms(*(form.xreplace(small) for _, form in forms.items()))


def guards(estimator: Estimator) -> dict[Expr, Expr]:
    """Parameters of an estimator that are there to keep a division finite, as symbols, with their values."""
    small = {name: v for name, v in estimator.params.items() if isinstance(v, float) and 0 < v < 1e-3}
    return {sympy.Symbol(name, positive=True): sympy.Rational(repr(v)) for name, v in small.items()}


def _sample(estimator: Estimator) -> tuple[list, list]:
    """Exact A+ and A- over the mixed groups of 12, at three values of omega; open parameters stand for 1/4."""
    symbols = {name: Fraction(1, 4) for name, v in estimator.params.items() if isinstance(v, sympy.Symbol)}
    fixed = estimator.with_params(**symbols)
    pairs = [exact_two_outcomes(fixed, n, 12, Fraction(w, 8)) for n in range(1, 12) for w in (1, 4, 7)]
    return [a for a, _ in pairs], [b for _, b in pairs]


def _absolute(x: Expr, values: list) -> Expr:
    """|x|, without the bars if no sampled value contradicts one sign (which the re-check then tests on all groups)."""
    if all(value >= 0 for value in values):
        return x
    return -x if all(value <= 0 for value in values) else sympy.Abs(x)


def tidy(expression: Expr, too_long: int = 150) -> Expr:
    """The shortest of a few equivalent forms; `certify` proves the equality, so no choice here can do harm."""
    if sympy.count_ops(expression) > too_long or expression.has(sympy.exp):  # minutes for nothing shorter
        return expression
    split = expression.subs(1 - omega, _v)  # omega and 1 - omega are weights: keep them apart
    candidates = [expression, sympy.factor(expression)]
    if expression.free_symbols & {K, F}:
        candidates += [form.subs(_v, 1 - omega) for form in _in_roots(split)]
    return min(candidates, key=lambda y: (sympy.count_ops(as_printed(y)), len(str(y))))


def _in_roots(expression: Expr) -> list[Expr]:
    """Cancel as a rational function of k = sqrt K, f = sqrt F, g = sqrt(K + F), using g^2 = k^2 + f^2 both ways."""
    roots = Roots()
    fraction = sympy.fraction(sympy.cancel(sympy.together(roots.clear(expression))))
    forms = [sympy.factor(fraction[0] / fraction[1])]
    for order in ((k, f, g), (g, k, f)):
        top, bottom = (sympy.reduced(part, [k**2 + f**2 - g**2], *order)[1] for part in fraction)
        if bottom != 0:
            forms.append(sympy.factor(sympy.cancel(top / bottom)))
    return [roots.restore(form) for form in forms]


def as_printed(expression: Expr) -> Expr:
    """For printing: K + F becomes G, and roots of one product or quotient are written under one sign."""
    plain = {s: sympy.Symbol(s.name) for s in expression.free_symbols | {_G}}
    total = expression.subs(K + F, _G).xreplace(plain)
    return total.replace(lambda e: e.is_Mul, _one_root)


def _one_root(product: Expr) -> Expr:
    """sqrt(F) / sqrt(K) -> sqrt(F / K), for symbols without assumptions, which sympy then leaves alone."""
    outside, inside = [], []
    for base, exponent in (factor.as_base_exp() for factor in product.args):
        if exponent.is_Rational and exponent.q == 2 and not base.is_number:
            whole = exponent - sympy.Rational(1, 2) if exponent > 0 else exponent + sympy.Rational(1, 2)
            outside.append(base**whole)
            inside.append(base ** (2 * (exponent - whole)))
        else:
            outside.append(base**exponent)
    return sympy.Mul(*outside) * sympy.sqrt(sympy.Mul(*inside)) if len(inside) > 1 else product


def display(expression: Expr) -> str:
    """Text of a closed form as it is printed.

    Args:
        expression: a sympy expression.

    Returns:
        One line of text.
    """
    return str(as_printed(expression))


def to_function(expression: Expr, arguments: Sequence[Expr] = (K, F, omega), modules: str = "jax") -> Callable:
    """A closed form as a function of arrays (jax by default, also under jit, grad and vmap; or "numpy").

    Arguments broadcast; give K and F as floats. The result does not check that a group is mixed.

    Args:
        expression: one of `closed_forms`.
        arguments: its symbols, in the order of the function's arguments.
        modules: "jax" or "numpy".

    Returns:
        The function.

    >>> from symtheory import estimators
    >>> round(float(to_function(closed_forms(estimators.get("grpo")).magnitude)(2.0, 6.0, 0.5)), 3)
    6.928
    """
    pairwise = expression.replace(lambda e: isinstance(e, sympy.Min | sympy.Max), _pairwise)
    return sympy.lambdify(list(arguments), pairwise, modules=modules)


def _pairwise(e: Expr) -> Expr:
    """min(a, b) = (a + b - |a - b|) / 2 and max alike, which every array library prints and differentiates."""
    sign = -1 if isinstance(e, sympy.Min) else 1
    terms: tuple[Any, ...] = e.args
    return functools.reduce(lambda a, b: (a + b + sign * sympy.Abs(a - b)) / 2, terms)
