"""Rational functions with named square roots: a formula as a polynomial identity, by arithmetic on fractions alone.

K = k^2 and F = f^2, and every square root met is one of the roots that a certificate lists: a product of k, f,
g = sqrt(K + F) and of variables r1, r2, ... with r_i^2 a polynomial. That a listed root is the root of its argument is
checked here (its square is the argument, and it is positive at a point; the argument has no zero in between).
Functions such as exp and min are variables of their own, one for each argument.
"""

import ast
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

from ..certificates import Polynomial, add, constant, exponents, monomial, parse, substitute
from ..certificates import multiply as _multiply
from .formulas import Formula, tree, walk

Frozen = tuple[tuple[int, int | Fraction], ...]
ONE: Polynomial = {0: 1}
RULES: dict[str, Polynomial] = {"g": parse("k**2 + f**2")}
"""variable -> the polynomial that its square is."""


LARGEST_PRODUCT = 60_000
"""Pairs of terms up to which two polynomials are multiplied; beyond it a formula is tried on groups instead."""


class Missing(Exception):
    """A square root or function that a certificate does not list yet, with its arguments as texts."""

    def __init__(self, name: str, arguments: Sequence[str]) -> None:
        super().__init__(f"no {name} of {', '.join(arguments)} in the certificate")
        self.name, self.arguments = name, tuple(arguments)


class Unsigned(Exception):
    """The sign of an expression does not show in its coefficients."""


@dataclass(frozen=True)
class Ratio:
    """num / product of the factors `den`, each with its power."""

    num: Polynomial
    den: Mapping[Frozen, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Table:
    """What a certificate lists: roots as texts, polynomials of r1, r2, ..., functions, and forms of the estimators."""

    roots: tuple[str, ...] = ()
    squares: Mapping[str, str] = field(default_factory=dict)
    """r1 -> the text of r1^2."""
    functions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """variable -> (function, argument texts)."""
    forms: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """estimator -> {"Aplus": text, "Aminus": text}, as the code gives them on symbols."""

    @functools.cached_property
    def rules(self) -> dict[str, Polynomial]:
        """The square of every root variable."""
        return RULES | {variable: parse(square) for variable, square in self.squares.items()}


def multiply(a: Polynomial, b: Polynomial) -> Polynomial:
    """The product of two polynomials that are not too long for it."""
    if len(a) * len(b) > LARGEST_PRODUCT:
        raise Unsigned("the polynomials are too long to be multiplied out")
    return _multiply(a, b)


def freeze(p: Polynomial) -> Frozen:
    return tuple(sorted(p.items()))


def text_of(p: Polynomial) -> str:
    """A polynomial as text, terms in a fixed order."""
    terms = []
    for powers, c in sorted((tuple(exponents(m).items()), c) for m, c in p.items()):
        factors = [f"{v}**{e}" if e > 1 else v for v, e in powers]
        number = f"({c})" if c.denominator > 1 else str(c)
        terms.append("*".join([number, *factors] if c != 1 or not factors else factors))
    return " + ".join(terms).replace("+ -", "- ") or "0"


def ratio_text(r: Ratio) -> str:
    below = "*".join(f"({text_of(dict(p))})**{e}" for p, e in r.den.items())
    return f"({text_of(r.num)})" + (f"/({below})" if below else "")


def reduce(p: Polynomial, rules: Mapping[str, Polynomial]) -> Polynomial:
    """Normal form: no variable of `rules` is left with a power above 1. The latest variables are replaced first."""
    for variable in reversed(list(rules)):
        p = substitute(p, variable, rules[variable], step=2)
    return p


def divide(p: Polynomial, rules: Mapping[str, Polynomial]) -> tuple[dict[str, Polynomial], Polynomial]:
    """Cofactors q and remainder with p = sum over variables of q (variable^2 - rule) + remainder."""
    cofactors: dict[str, Polynomial] = {}
    for variable in reversed(list(rules)):
        while high := {m: c for m, c in p.items() if exponents(m).get(variable, 0) > 1}:
            quotient = {m - monomial(variable, 2): c for m, c in high.items()}
            cofactors[variable] = add(cofactors.get(variable, {}), quotient)
            low = {m: c for m, c in p.items() if m not in high}
            p = add(low, multiply(quotient, rules[variable]))
    return cofactors, p


def product(den: Mapping[Frozen, int]) -> Polynomial:
    total = ONE
    for factor, power in den.items():
        for _ in range(power):
            total = multiply(total, dict(factor))
    return total


@dataclass(frozen=True)
class Symbols:
    """The arithmetic of `formulas.walk` on ratios; `table` holds the roots, functions and forms."""

    table: Table
    estimator: str = ""
    names: Mapping[str, Ratio] = field(default_factory=dict)
    """K, F and whatever else does not stand for itself."""
    least: tuple[int, int] = (1, 1)
    """Smallest K and F."""
    lean: bool = False
    """Whether to reduce by the rules at every step, which keeps long forms short."""

    def at(self, correct: Ratio, wrong: Ratio, omega: Ratio, other: Ratio) -> "Symbols":
        names = {"K": correct, "F": wrong, "w": omega, "v": other, "omega": omega}
        return replace(self, names=names)

    def flipped(self) -> "Symbols":
        n = self.names
        return self.at(n["F"], n["K"], n["v"], n["w"])

    def shifted(self) -> "Symbols":
        n = self.names
        minus = self.number(Fraction(-1))
        return self.at(self.add(n["K"], minus), self.add(n["F"], self.number(Fraction(1))), n["w"], n["v"])

    def number(self, value: Fraction) -> Ratio:
        return Ratio(constant(value))

    def name(self, name: str) -> Ratio:
        n = self.names
        if name in n:
            return n[name]
        if name == "G":
            return self.add(n["K"], n["F"])
        if name == "p":
            return self.divide(n["K"], self.name("G"))
        return Ratio({monomial(name): 1})

    def quantity(self, spec: str, name: str) -> Ratio:
        spec = spec or self.estimator
        if name in ("Aplus", "Aminus"):
            return walk(tree(self.table.forms[spec][name]), self)
        plus, minus = self.quantity(spec, "Aplus"), self.quantity(spec, "Aminus")
        if name == "L1":
            plus, minus = self.call("abs", [plus]), self.call("abs", [minus])
        if name == "L2":
            plus, minus = self.multiply(plus, plus), self.multiply(minus, minus)
        n = self.names
        return self.add(self.multiply(n["K"], plus), self.multiply(n["F"], minus))

    def _made(self, num: Polynomial, den: Mapping[Frozen, int]) -> Ratio:
        if self.lean:
            num = reduce(num, self.table.rules)
        return Ratio(num, den) if num else Ratio({})

    def add(self, a: Ratio, b: Ratio) -> Ratio:
        den = {f: max(a.den.get(f, 0), b.den.get(f, 0)) for f in {**a.den, **b.den}}
        parts = [
            multiply(x.num, product({f: e - x.den.get(f, 0) for f, e in den.items() if e > x.den.get(f, 0)}))
            for x in (a, b)
        ]
        return self._made(add(*parts), den)

    def multiply(self, a: Ratio, b: Ratio) -> Ratio:
        den = {f: a.den.get(f, 0) + b.den.get(f, 0) for f in {**a.den, **b.den}}
        num = multiply(a.num, b.num)
        for factor in list(den):  # a numerator that is one of the factors cancels it
            for one in (a.num, b.num):
                if den.get(factor) and freeze(one) == factor:
                    other = b.num if one is a.num else a.num
                    num, den = other, {f: e - (f == factor) for f, e in den.items() if e > (f == factor)}
                    a, b = Ratio(other), Ratio(ONE)
                    break
        return self._made(num, den)

    def divide(self, a: Ratio, b: Ratio) -> Ratio:
        if not b.num:
            raise ZeroDivisionError("division by an expression that is 0")
        below = {} if b.num == ONE else {freeze(b.num): 1}
        if set(b.num) == {0}:  # a number
            inverse = Ratio({0: 1 / Fraction(b.num[0])}, {})
            below = {}
        else:
            inverse = Ratio(ONE, below)
        inverse = Ratio(multiply(inverse.num, product(b.den)), inverse.den)
        return self.multiply(a, inverse)

    def power(self, base: Ratio, exponent: Fraction) -> Ratio:
        if exponent.denominator == 2:
            return self.power(self.call("sqrt", [base]), Fraction(exponent.numerator))
        if exponent.denominator != 1:
            raise Missing("power", [ratio_text(base), str(exponent)])
        result = self.number(Fraction(1))
        for _ in range(abs(int(exponent))):
            result = self.multiply(result, base) if exponent > 0 else self.divide(result, base)
        return result

    def call(self, name: str, args: list[Ratio]) -> Ratio:
        if name == "abs":
            return args[0] if self.sign(args[0]) > 0 else self.multiply(self.number(Fraction(-1)), args[0])
        if name == "sqrt":
            for text in self.table.roots:
                root = walk(tree(text), replace(self, names={**self.names, "K": K_, "F": F_, "w": BASE["w"]}))
                if self.same(self.multiply(root, root), args[0]):
                    return root
            raise Missing("sqrt", [ratio_text(args[0])])
        for variable, (function, *texts) in self.table.functions.items():
            if function == name and len(texts) == len(args):
                listed = [walk(tree(t), replace(self, names={})) for t in texts]
                if all(self.same(x, y) for x, y in zip(listed, args, strict=True)):
                    return Ratio({monomial(variable): 1})
        raise Missing(name, [ratio_text(x) for x in args])

    def difference(self, a: Ratio, b: Ratio) -> Polynomial:
        """num_a den_b - num_b den_a, over the common denominator, unreduced."""
        return self.add(a, self.multiply(self.number(Fraction(-1)), b)).num

    def same(self, a: Ratio, b: Ratio) -> bool:
        lean = replace(self, lean=True)
        return not reduce(lean.difference(a, b), self.table.rules)

    def sign(self, x: Ratio) -> int:
        """1 if x >= 0 shows in its coefficients, -1 if x <= 0; raises `Unsigned` otherwise."""
        rules = self.table.rules
        sign = polynomial_sign(reduce(x.num, rules), self.least)
        for factor, power in x.den.items():
            if power % 2:
                sign *= polynomial_sign(reduce(dict(factor), rules), self.least)
        return sign


K_, F_ = Ratio(parse("k**2")), Ratio(parse("f**2"))
BASE = {"K": K_, "F": F_, "w": Ratio(parse("w")), "v": Ratio(parse("1 - w")), "omega": Ratio(parse("w"))}
"""Names that do not stand for themselves, in a group with K correct and F wrong rollouts."""
APART = {**BASE, "v": Ratio(parse("v"))}
"""The same with 1 - w as a variable of its own, a weight like w, for signs."""


def polynomial_sign(p: Polynomial, least: tuple[int, int] = (1, 1)) -> int:
    """Sign of a polynomial for K >= least[0], F >= least[1], 0 <= w, ddof <= 1 and all other variables positive.

    It shows if all coefficients have one sign, perhaps after K = least + a, F = least + b, w = 1 - v, ddof = 1 - e,
    g = k + u or g = f + u; or in both of the cases k = f + u and f = k + u. A zero polynomial counts as positive.

    >>> polynomial_sign(parse("k**2 + f**2 - 1")), polynomial_sign(parse("w - 1"))
    (1, -1)
    >>> polynomial_sign(parse("k**2 - 2*k*f + f**2"))
    1
    """
    shift = {"k": least[0], "f": least[1]}
    moves: list[dict[str, Any]] = [
        {},
        {"w": parse("1 - v")},
        shift,
        {**shift, "ddof": parse("1 - e")},
        {**shift, "w": parse("1 - v")},
        {"g": parse("k + u")},
        {"g": parse("f + u")},
        {"g": parse("k + u"), "w": parse("1 - v")},
    ]
    for move in moves:
        moved = _moved(p, move)
        if sign := _one_sign(moved) or _one_sign(_homogeneous(moved)):
            return sign
    cases = {_one_sign(_moved(p, {"k": parse("f + u")})), _one_sign(_moved(p, {"f": parse("k + u")}))}
    if len(cases) == 1 and 0 not in cases:
        return cases.pop()
    raise Unsigned(f"the sign of {text_of(p)[:80]} does not show in its coefficients")


def _homogeneous(p: Polynomial) -> Polynomial:
    """p with every term brought to one degree in w and v = 1 - w, as w + v = 1: the Bernstein form on [0, 1]."""
    powers = {m: exponents(m).get("w", 0) for m in p}
    one, total = parse("w + v"), {}
    for e in range(max(powers.values(), default=0) + 1):
        total = add(multiply(total, one), {m: c for m, c in p.items() if powers[m] == e})
    return total


def _one_sign(p: Polynomial) -> int:
    signs = {c > 0 for c in p.values()}
    return 0 if len(signs) == 2 else -1 if signs == {False} else 1


def _moved(p: Polynomial, move: Mapping[str, Any]) -> Polynomial:
    """p with variables replaced; pairs of k and of f by least + a and least + b, an odd one stays."""
    for variable, new in move.items():
        if isinstance(new, int):
            p = substitute(p, variable, parse(f"{new} + {'a' if variable == 'k' else 'b'}"), step=2)
        else:
            p = substitute(p, variable, new)
    return p


def sides(formula: Formula, table: Table, lean: bool = False) -> tuple[Ratio, Ratio, Symbols]:
    """Both sides of a formula as ratios; sum A = 0 is read as K A+ = -F A-, whose sides are not 0."""
    names = BASE if formula.relation == "=" else APART
    arithmetic = Symbols(table, formula.estimator, names, formula.least, lean)
    texts = (formula.left, formula.right)
    if (formula.left, formula.relation, formula.right) == ("C", "=", "0"):
        texts = ("K*Aplus", "-F*Aminus")
    left, right = (walk(tree(side), arithmetic) for side in texts)
    return left, right, arithmetic


def cross_products(formula: Formula, table: Table) -> tuple[str, str, Polynomial]:
    """num_l den_r and num_r den_l as texts, before anything is multiplied out, and their difference expanded."""
    left, right, _ = sides(formula, table)
    texts, expanded = [], []
    for a, b in ((left, right), (right, left)):
        below = [f"({text_of(dict(p))})" + (f"**{e}" if e > 1 else "") for p, e in b.den.items()]
        texts.append("*".join([f"({text_of(a.num)})", *below]))
        expanded.append(multiply(a.num, product(b.den)))
    return texts[0], texts[1], add(expanded[0], {m: -c for m, c in expanded[1].items()})


def settled(formula: Formula, table: Table, lean: bool = False) -> bool:
    """Whether a relation holds for all K and F: an equation by its numerator, an inequality by its coefficients.

    Raises `Unsigned` where no sign shows, and `Missing` where the table lacks a root or a function.
    """
    left, right, arithmetic = sides(formula, table, lean)
    rules = table.rules
    if formula.relation == "=":
        return not reduce(arithmetic.difference(left, right), rules)
    if formula.relation == "!=":
        raise Unsigned("an inequality with != is tried on groups only")
    gap = arithmetic.add(left, arithmetic.multiply(arithmetic.number(Fraction(-1)), right))
    if formula.relation in ("<", "<="):
        gap = arithmetic.multiply(arithmetic.number(Fraction(-1)), gap)
    if formula.relation in ("<", ">") and not reduce(gap.num, rules):
        return False
    return arithmetic.sign(gap) > 0


def variables_of(text: str) -> set[str]:
    return {n.id for n in ast.walk(tree(text)) if isinstance(n, ast.Name)}
