"""Exact real numbers sum_n q_n sqrt(n), with q_n rational and n square-free: the field where advantages live.

With 0/1 rewards the advantage of a rollout is built from counts by + - * / and square roots of rationals, so an
estimator can be evaluated with no rounding at all. `exact_ops()` is a fourth way to run the code of an estimator,
beside numpy, jax and sympy, and a second opinion on a derivation made with the last. Nothing here knows sympy.
"""

import functools
import math
from collections.abc import Mapping
from fractions import Fraction

import numpy as np

DIGITS = 80
"""Decimal digits of the comparisons and of `exp`, the one function here that is not exact."""


class Surd:
    """(sum over n of terms[n] sqrt(n)) / below, n square-free, in lowest terms: whole numbers are quick, fractions not.

    >>> sqrt(Fraction(8, 9)) + 1
    1 + 2/3*sqrt(2)
    >>> 1 / (sqrt(2) + sqrt(3))
    sqrt(3) - sqrt(2)
    """

    __slots__ = ("below", "terms")

    def __init__(self, terms: Mapping[int, int], below: int = 1) -> None:
        common = math.gcd(below, *terms.values()) if below > 1 else 1
        self.terms = {n: q // common for n, q in terms.items() if q}
        self.below = below // common

    def __add__(self, other):
        if isinstance(other, np.ndarray):
            return NotImplemented  # numpy then adds element by element
        other = surd(other)
        below = math.lcm(self.below, other.below)
        terms = {n: q * (below // self.below) for n, q in self.terms.items()}
        for n, q in other.terms.items():
            terms[n] = terms.get(n, 0) + q * (below // other.below)
        return Surd(terms, below)

    def __mul__(self, other):
        if isinstance(other, np.ndarray):
            return NotImplemented
        other = surd(other)
        terms: dict[int, int] = {}
        for n, q in self.terms.items():
            for m, r in other.terms.items():
                common = math.gcd(n, m)
                root = n * m // common**2
                terms[root] = terms.get(root, 0) + q * r * common
        return Surd(terms, self.below * other.below)

    def __neg__(self):
        return Surd({n: -q for n, q in self.terms.items()}, self.below)

    def __sub__(self, other):
        return self + -other

    def __rsub__(self, other):
        return -self + other

    __radd__, __rmul__ = __add__, __mul__

    def __truediv__(self, other):
        if isinstance(other, np.ndarray):
            return NotImplemented
        return self * surd(other).inverse()

    def __rtruediv__(self, other):
        return surd(other) * self.inverse()

    def __pow__(self, exponent: int | Fraction):
        whole = Fraction(exponent)
        if whole.denominator == 2:
            return sqrt(self**whole.numerator)
        if whole.denominator != 1:
            raise ValueError(f"an exact power must be a whole or half number, got {exponent}")
        base = self if whole >= 0 else self.inverse()
        return functools.reduce(lambda a, b: a * b, [base] * abs(whole.numerator), surd(1))

    def inverse(self) -> "Surd":
        """1 / x: multiply by the conjugate that sends sqrt(q) to -sqrt(q), for one prime q after the other."""
        if not self.terms:
            raise ZeroDivisionError("division by an exact zero")
        largest = max(self.terms)
        if largest == 1:
            return surd(Fraction(self.below, self.terms[1]))
        prime = _smallest_prime(largest)
        conjugate = Surd({n: -q if n % prime == 0 else q for n, q in self.terms.items()}, self.below)
        return conjugate * (self * conjugate).inverse()

    def rational(self, digits: int = DIGITS) -> Fraction:
        """A rational number within about 10^-digits, equal to it if it is rational."""
        scale = 10**digits
        scaled = sum(q * (math.isqrt(n * scale**2) if n > 1 else scale) for n, q in self.terms.items())
        return Fraction(scaled, scale * self.below)

    def sign(self) -> int:
        """-1, 0 or 1; square roots of different square-free numbers are independent, so only {} is zero."""
        if len(self.terms) < 2:
            return sum((q > 0) - (q < 0) for q in self.terms.values())
        value = self.rational()
        return (value > 0) - (value < 0)

    def __eq__(self, other) -> bool:
        return not (self - other).terms if isinstance(other, Surd | int | Fraction | float) else NotImplemented

    def __hash__(self) -> int:
        return hash((frozenset(self.terms.items()), self.below))

    def __lt__(self, other) -> bool:
        return (self - other).sign() < 0

    def __le__(self, other) -> bool:
        return (self - other).sign() <= 0

    def __gt__(self, other) -> bool:
        return (self - other).sign() > 0

    def __ge__(self, other) -> bool:
        return (self - other).sign() >= 0

    def __abs__(self):
        return -self if self.sign() < 0 else self

    def __float__(self) -> float:
        return float(self.rational(40))

    def __repr__(self) -> str:
        fractions = {n: Fraction(q, self.below) for n, q in self.terms.items()}
        ordered = sorted(fractions.items(), key=lambda item: (item[0] > 1, -item[1], item[0]))
        text = " + ".join(_term(n, q) for n, q in ordered) or "0"
        return text.replace("+ -", "- ")


def _term(n: int, q: Fraction) -> str:
    if n == 1:
        return str(q)
    return {"1": "", "-1": "-"}.get(str(q), f"{q}*") + f"sqrt({n})"


def surd(x) -> Surd:
    """An exact number from an int, a Fraction, or a float, which stands for the decimal that it prints as."""
    if isinstance(x, Surd):
        return x
    if isinstance(x, int | np.integer):
        return Surd({1: int(x)})
    value = Fraction(repr(float(x))) if isinstance(x, float) else Fraction(x)
    return Surd({1: value.numerator}, value.denominator)


def sqrt(x) -> Surd:
    """Square root of a non-negative rational; nested roots do not occur in the estimators and raise ValueError."""
    x = surd(x)
    if set(x.terms) - {1} or x.sign() < 0:
        raise ValueError(f"no exact square root of {x}")
    outside, inside = _square_part(x.terms.get(1, 0) * x.below)
    return Surd({inside: outside}, x.below)


def exp(x) -> Surd:
    """e^x to `DIGITS` decimal digits (argument must be rational): the series at x / 2^n, squared n times."""
    x = surd(x).rational()
    halvings = max(0, math.ceil(math.log2(abs(x)))) + 4 if x else 0
    scale = 10 ** (DIGITS + 30)
    small = Fraction(x) / 2**halvings
    step = Fraction(round(small * scale), scale)
    term, total, n = Fraction(1), Fraction(1), 1
    while abs(term) * scale > 1:
        term = Fraction(round(term * step / n * scale), scale)
        total, n = total + term, n + 1
    for _ in range(halvings):
        total = Fraction(round(total * total * scale), scale)
    return surd(Fraction(math.floor(total * 10**DIGITS), 10**DIGITS))


@functools.cache
def _factors(n: int) -> dict[int, int]:
    """Prime factors with multiplicity, by trial division: the numbers here are products of counts."""
    factors: dict[int, int] = {}
    prime = 2
    while prime * prime <= n:
        while n % prime == 0:
            factors[prime] = factors.get(prime, 0) + 1
            n //= prime
        prime += 1
    return factors | ({n: factors.get(n, 0) + 1} if n > 1 else {})


@functools.cache
def _smallest_prime(n: int) -> int:
    return min(_factors(n))


@functools.cache
def _square_part(n: int) -> tuple[int, int]:
    """n = outside^2 inside with square-free inside; (0, 1) for 0."""
    if n == 0:
        return 0, 1
    factors = _factors(n).items()
    outside = math.prod(prime ** (power // 2) for prime, power in factors)
    return outside, n // outside**2


def _each(function, arguments):
    """A function of single numbers as one of object arrays."""
    return np.frompyfunc(function, arguments, 1)


class ExactOps:
    """Operations on object arrays of `Surd`: an estimator evaluated without rounding."""

    xp = np
    sqrt, exp = staticmethod(_each(sqrt, 1)), staticmethod(_each(exp, 1))
    minimum = staticmethod(_each(lambda a, b: min(surd(a), surd(b)), 2))
    maximum = staticmethod(_each(lambda a, b: max(surd(a), surd(b)), 2))
    positive = staticmethod(_each(lambda a: surd(a).sign() > 0, 1))
    div = staticmethod(_each(lambda a, b: surd(0) if b == 0 else surd(a) / b, 2))
    where = staticmethod(_each(lambda condition, a, b: a if condition else b, 3))

    def sum(self, x):
        return np.sum(x, axis=-1, keepdims=True)

    def known(self, x) -> bool:
        return True

    def identity(self, like):
        return np.eye(like.shape[-1], dtype=int)

    def lowest(self, rewards, weight):
        live = self.where(self.positive(weight), rewards, surd(10**9))
        return np.min(live, axis=-1, keepdims=True)


@functools.cache
def exact_ops() -> ExactOps:
    return ExactOps()
