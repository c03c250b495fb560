"""Certificates: polynomials as text, and arithmetic on them without sympy, by which they are re-checked.

A certificate says: claim = sum_i cofactor_i * hypothesis_i + square^2.
Where every hypothesis is 0, the claim is 0 (no square), or at least 0 (with one). To re-check it is to expand both
sides with the exact rational arithmetic below and compare coefficients, without search or simplification.
"""

import ast
import functools
import math
import operator
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

Polynomial = dict[int, int | Fraction]
"""Coefficient of each monomial; whole ones are ints.

A monomial is one whole number that holds the exponent of each variable in `BITS` bits of its own, so that a product of
monomials is a sum; the number 0 is the monomial 1.
"""
BITS = 16
_LARGEST = (1 << BITS) - 1
_PLACES: dict[str, int] = {}
"""Where the exponent of each variable begins, in the order in which they were met."""


@dataclass(frozen=True)
class Certificate:
    """claim = sum cofactors[i] * hypotheses[i] + square^2, as polynomials written in Python syntax.

    >>> Certificate("G**2 - 4*K*F", ("G - K - F",), ("G + K + F",), square="K - F").holds()
    True
    >>> Certificate("G**2 - 4*K*F", ("G - K - F",), ("G + K + F",), square="K + F").holds()
    False
    """

    claim: str
    hypotheses: tuple[str, ...] = ()
    cofactors: tuple[str, ...] = ()
    square: str = "0"
    meaning: str = ""
    """What the claim says, and what its variables stand for."""

    def holds(self) -> bool:
        """Whether both sides have the same coefficients, in exact rational arithmetic."""
        if len(self.hypotheses) != len(self.cofactors):
            return False
        pairs = zip(self.cofactors, self.hypotheses, strict=True)
        parts = [multiply(parse(cofactor), parse(hypothesis)) for cofactor, hypothesis in pairs]
        square = parse(self.square)
        return parse(self.claim) == add(multiply(square, square), *parts)

    def empty(self) -> bool:
        """Whether the claim says nothing: it is written as 0, without hypotheses and without a square."""
        return not self.hypotheses and self.square == "0" and not self.variables()

    def residual_at(self, point: Mapping[str, Fraction]) -> Fraction:
        """claim - sum cofactor * hypothesis - square^2 at a rational point: 0 for a valid certificate."""
        value = {text: evaluate(text, point) for text in (self.claim, *self.hypotheses, *self.cofactors, self.square)}
        spent = sum(value[q] * value[h] for q, h in zip(self.cofactors, self.hypotheses, strict=True))
        return value[self.claim] - spent - value[self.square] ** 2

    def variables(self) -> tuple[str, ...]:
        """Names of all variables in it."""
        texts = (self.claim, *self.hypotheses, *self.cofactors, self.square)
        nodes = (node for text in texts for node in ast.walk(ast.parse(text, mode="eval")))
        return tuple(sorted({node.id for node in nodes if isinstance(node, ast.Name)}))


def monomial(name: str, exponent: int = 1) -> int:
    """name^exponent as a monomial."""
    return exponent << _PLACES.setdefault(name, BITS * len(_PLACES))


@functools.cache
def _highest_bits(places: int) -> int:
    """The highest bit of every exponent."""
    return sum(1 << BITS * i + BITS - 1 for i in range(places))


def exponents(monomial: int) -> dict[str, int]:
    """Variables of a monomial with their exponents, by name."""
    found = {name: monomial >> place & _LARGEST for name, place in _PLACES.items()}
    return {name: found[name] for name in sorted(found) if found[name]}


def add(*polynomials: Polynomial) -> Polynomial:
    wholes, below = _over_one(*polynomials)
    total: Polynomial = {}
    for polynomial in wholes:
        for m, c in polynomial.items():
            total[m] = total.get(m, 0) + c
    return _divided(total, below)


def multiply(a: Polynomial, b: Polynomial) -> Polynomial:
    """The product; raises ValueError for an exponent of 2^15, half of what a monomial has room for."""
    ([a], above), ([b], below) = _over_one(a), _over_one(b)
    product: Polynomial = {}
    met = 0
    for m, c in a.items():
        for n, d in b.items():
            met |= m + n
            product[m + n] = product.get(m + n, 0) + c * d
    if met & _highest_bits(len(_PLACES)):
        raise ValueError(f"an exponent of {1 << BITS - 1} or more")
    return _divided(product, above * below)


def _over_one(*polynomials: Polynomial) -> tuple[list[Polynomial], int]:
    """Polynomials of whole numbers and what all of them are to be divided by: sums of fractions are slow."""
    fractions = [c.denominator for p in polynomials for c in p.values() if type(c) is not int]
    if not fractions:
        return list(polynomials), 1
    below = math.lcm(*fractions)
    return [{m: c.numerator * (below // c.denominator) for m, c in p.items()} for p in polynomials], below


def _divided(p: Polynomial, below: int) -> Polynomial:
    if below == 1:
        return {m: c for m, c in p.items() if c}
    return {m: c // below if c % below == 0 else Fraction(c, below) for m, c in p.items() if c}


def substitute(p: Polynomial, name: str, value: Polynomial, step: int = 1) -> Polynomial:
    """p with name^step replaced by a polynomial, by Horner's rule; of an odd power of a square (step 2) one is left.

    >>> substitute(parse("x**5 + x"), "x", parse("y + 1"), 2) == parse("x*((y + 1)**2 + 1)")
    True
    """
    met = functools.reduce(operator.or_, p, 0)
    if name not in _PLACES or (met >> _PLACES[name] & _LARGEST) < step:
        return p
    parts: dict[int, Polynomial] = {}
    for m, c in p.items():
        e = m >> _PLACES[name] & _LARGEST
        parts.setdefault(e, {})[m - (e << _PLACES[name])] = c
    rests = []
    for rest in range(step):
        total: Polynomial = {}
        for e in range(max(parts) // step * step + rest, -1, -step):
            total = add(multiply(total, value), parts.get(e, {}))
        rests.append(multiply(total, {monomial(name, rest): 1}) if rest else total)
    return add(*rests)


def parse(text: str) -> Polynomial:
    """The polynomial that a text in Python syntax stands for: + - *, division by numbers, whole powers.

    >>> parse("(x - 1)*(x + 1)/2") == parse("x**2/2 - 1/2")
    True
    """
    return _walk(ast.parse(text, mode="eval").body, _POLYNOMIALS)


def evaluate(text: str, point: Mapping[str, Fraction]) -> Fraction:
    """Value of such a text at a rational point, by direct substitution."""
    return _walk(ast.parse(text, mode="eval").body, (point.__getitem__, Fraction, *_NUMBERS))


def refuted_by_z3(certificate: Certificate, seconds: float = 5.0) -> bool | None:
    """Ask z3 (the extra `prove`) for real numbers where the hypotheses are 0 and the claim is not (or is negative).

    False: there are none, a second proof that needs no cofactors. True: it found some. None: no answer in time.
    """
    import z3

    solver = z3.Solver()
    solver.set("timeout", int(1000 * seconds))
    value = {text: _in_z3(text, z3) for text in (certificate.claim, *certificate.hypotheses)}
    solver.add(*(value[h] == 0 for h in certificate.hypotheses))
    claim = value[certificate.claim]
    solver.add(claim != 0 if certificate.square == "0" else claim < 0)
    answer = str(solver.check())
    return None if answer == "unknown" else answer == "sat"


def _in_z3(text: str, z3: Any) -> Any:
    def number(value):
        return z3.RealVal(str(value))

    def power(base, exponent):
        return math.prod([base] * exponent.as_long(), start=number(1))

    arithmetic = (z3.Real, number, lambda *terms: sum(terms, number(0)), operator.mul, operator.truediv, power)
    return _walk(ast.parse(text, mode="eval").body, arithmetic)


def _power(base: Polynomial, exponent: Polynomial) -> Polynomial:
    result: Polynomial = {0: 1}
    for _ in range(int(_only_number(exponent))):
        result = multiply(result, base)
    return result


def _only_number(p: Polynomial) -> int | Fraction:
    if set(p) - {0}:
        raise ValueError("only numbers may divide or be an exponent in a certificate")
    return p.get(0, 0)


def constant(value: int | Fraction) -> Polynomial:
    """A number as a polynomial."""
    value = Fraction(value)
    return {0: value.numerator if value.denominator == 1 else value} if value else {}


_NUMBERS = (lambda *terms: sum(terms, Fraction(0)), lambda a, b: a * b, lambda a, b: a / b, lambda a, b: a ** int(b))
_POLYNOMIALS = (
    lambda name: {monomial(name): 1},
    constant,
    add,
    multiply,
    lambda a, b: multiply(a, constant(1 / Fraction(_only_number(b)))),
    _power,
)


def _summands(node) -> list[tuple[int, ast.expr]]:
    """Terms of a left-leaning chain of + and -, each with its sign."""
    terms = []
    while isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub):
        terms.append((1 if isinstance(node.op, ast.Add) else -1, node.right))
        node = node.left
    return [(1, node), *reversed(terms)]


def _walk(node, arithmetic):
    name, number, plus, times, divide, power = arithmetic
    if isinstance(node, ast.Name):
        return name(node.id)
    if isinstance(node, ast.Constant) and isinstance(node.value, int):
        return number(node.value)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return times(number(-1), _walk(node.operand, arithmetic))
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub):
        return plus(*(times(number(sign), _walk(term, arithmetic)) for sign, term in _summands(node)))
    if isinstance(node, ast.BinOp):
        left, right = _walk(node.left, arithmetic), _walk(node.right, arithmetic)
        match node.op:
            case ast.Mult():
                return times(left, right)
            case ast.Div():
                return divide(left, right)
            case ast.Pow():
                return power(left, right)
    raise ValueError(f"not a polynomial: {ast.unparse(node)}")
