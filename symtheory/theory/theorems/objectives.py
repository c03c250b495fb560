"""The master theorem: the expected update of any estimator is F'(P) grad P, so it ascends F(P).

For a two-class estimator, an on-policy step without clipping, and any differentiable policy,

    E[(1/G) sum_i A_i grad log pi(o_i)] = F'_G(P) grad P,    F'_G(P) = sum_j d_j C(G-1, j) P^j (1-P)^(G-1-j),

a Bernstein polynomial with coefficients d_j = A+(j+1) - A-(j), the marginal value of a success (arXiv:2510.13651
states the same). All slopes are per rollout: the update is the mean over the group, not the sum.
"""

import functools
import itertools
import math
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import sympy

from ... import estimators
from ...estimators import Estimator
from ...metrics.slope import named
from ..algebra import certify
from ..certificates import Certificate
from ..closed_form import guards
from ..proofs import Proof, same, theorem, theorem_of_each_estimator
from ..surds import Surd, surd
from ..symbols import BATCH, Expr, F, K, P, beta, exact_two_outcomes, exact_value, omega, two_outcomes

Q = 1 - P


def slope_polynomial(estimator: str | Estimator, size: int) -> Expr:
    """F'_G as a polynomial in P with exact coefficients, for a number G.

    >>> sympy.collect(sympy.expand(slope_polynomial("grpo", 4)), P)
    P**2*(-3 + 2*sqrt(3)) + P*(3 - 2*sqrt(3)) + sqrt(3)
    """
    terms = (
        d * math.comb(size - 1, j) * P**j * Q ** (size - 1 - j)
        for j, d in enumerate(exact_marginal_values(named(estimator), size))
    )
    return sum(terms, sympy.Integer(0))


def exact_marginal_values(estimator: Estimator, size: int) -> list[Expr]:
    """d_0 .. d_(G-1) as exact sympy numbers (in omega, for estimators that see it)."""
    pairs = [two_outcomes(estimator, k, size) for k in range(size + 1)]
    return [sympy.radsimp(pairs[j + 1][0]) - sympy.radsimp(pairs[j][1]) for j in range(size)]


def at_large_groups(form: Expr, rate: Expr) -> Expr:
    """Limit of a closed form in K and F as G -> infinity at K = `rate` G."""
    h, q, v = sympy.symbols("h q v", positive=True)  # 1/G, 1 - rate, 1 - omega
    x = form.subs(1 - omega, v).subs(K + F, 1 / h).subs({K: rate / h, F: q / h})
    x = x.replace(lambda e: e.is_Pow and e.exp.is_Rational and e.exp.q == 2, _with_factored_base)
    x = sympy.powsimp(sympy.factor(sympy.together(sympy.expand_power_base(x))))
    limit = x.subs(h, 0)  # powers of h have cancelled, if the form is of degree 0 in K and F to leading order
    if limit.has(sympy.nan, sympy.zoo, sympy.oo):
        limit = sympy.limit(x, h, 0, "+")
    if not limit.has(sympy.exp):  # factor as a rational function of sqrt(rate) and sqrt(1 - rate)
        x, y = sympy.symbols("x y", positive=True)
        limit = sympy.factor(limit.subs({rate: x**2, q: y**2})).subs({x: sympy.sqrt(rate), y: sympy.sqrt(q)})
    return limit.subs({q: 1 - rate, v: 1 - omega})


def _with_factored_base(root: Expr) -> Expr:
    return sympy.factor(sympy.together(root.base)) ** root.exp


def limit_slope(estimator: str | Estimator) -> Expr:
    """F'(P) for G -> infinity, A+ - A- at K = P G; guards such as eps are set to 0.

    >>> limit_slope("grpo")
    1/(sqrt(P)*sqrt(1 - P))
    """
    estimator = named(estimator)
    plus, minus = two_outcomes(estimator.with_params(**{symbol.name: 0 for symbol in guards(estimator)}))
    return at_large_groups(plus - minus, P)


@functools.cache
def _basis() -> tuple[list[Expr], list[Expr], Any]:
    """Objectives met in this family, their derivatives, and the inverse of those at rational points of the circle."""
    x, y = sympy.sqrt(P), sympy.sqrt(Q)
    functions = [P, sympy.asin(x), x * y, x, y, sympy.atanh(x), sympy.atanh(y), sympy.log(P), sympy.log(Q)]
    functions += [sympy.sqrt((1 + x) / (1 - x)), P * x, Q * y]
    slopes = [function.diff(P) for function in functions[:9]]
    slopes += [1 / (2 * x * y * (1 - x)), 3 * x / 2, -3 * y / 2]
    rows = [[slope.subs(P, point) for slope in slopes] for point in sample_points(len(slopes))]
    return functions, slopes, sympy.Matrix(rows).inv()


def sample_points(count: int, start: int = 2) -> list[Expr]:
    """Rational P with rational sqrt P and sqrt(1 - P)."""
    ts = [sympy.Rational(1, n) for n in range(start, start + count)]
    return [((1 - t**2) / (1 + t**2)) ** 2 for t in ts]


def limit_objective(estimator: str | Estimator) -> Expr | None:
    """F(P) with F' the slope for G -> infinity, up to a constant; None if it is outside the span of `_basis`.

    The coefficients solve a linear system at rational points; `objective:NAME` proves the result.

    >>> limit_objective("grpo")
    2*asin(sqrt(P))
    """
    slope = limit_slope(estimator)
    roots = {e.base for e in slope.atoms(sympy.Pow) if e.exp.is_Rational and e.exp.q == 2 and e.base.has(P)}
    if slope.has(sympy.exp) or not roots <= {P, Q, Q**-1}:
        return None
    functions, slopes, inverse = _basis()
    values = sympy.Matrix([slope.subs(P, point) for point in sample_points(len(slopes))])
    coefficients = [sympy.factor(c) for c in inverse * values]
    fit = sum(c * s for c, s in zip(coefficients, slopes, strict=True))
    if any(sympy.expand((slope - fit).subs(P, point)) != 0 for point in sample_points(3, start=30)):
        return None
    return sum((c * f for c, f in zip(coefficients, functions, strict=True)), sympy.Integer(0))


@theorem_of_each_estimator("population objective, in the manner of arXiv:2510.13651")
def population_objective(estimator: Estimator) -> Proof:
    """The expected update of NAME ascends the F(P) that `--derive NAME` prints (omega fixed, guards 0 in the limit of
    large G).
    """
    form = limit_objective(estimator)
    if form is None:
        return Proof(
            "exact", "F_G as a Bernstein sum; its limit has no elementary form here", _bernstein_certificates()
        )
    slope = limit_slope(estimator)
    derivative = sympy.expand(form.diff(P))

    def trials() -> Iterator[bool]:
        for point, w in itertools.product(sample_points(40), (Fraction(2, 7), Fraction(9, 10))):
            values = {P: Fraction(int(point.p), int(point.q)), omega: w, **BATCH}
            yield same(exact_value(derivative, values), exact_value(slope, values))
        yield from _large_groups(estimator, slope)

    return Proof("exact", "linear system on the rational circle; equal at 40 rational points", (), trials)


@functools.cache
def _bernstein_certificates() -> tuple[Certificate, ...]:
    """d/dP Pr(Bin(G, P) > j) = G C(G-1, j) P^j (1-P)^(G-1-j), which makes F_G the sum of d_j/G times such tails."""
    found = []
    for size in range(2, 7):
        for j in range(size):
            tail: Expr = sum(math.comb(size, i) * P**i * Q ** (size - i) for i in range(j + 1, size + 1))
            density = size * math.comb(size - 1, j) * P**j * Q ** (size - 1 - j)
            found.append(certify(tail.diff(P) - density, f"derivative of Pr(Bin({size}, P) > {j})"))
    return tuple(found)


def _large_groups(estimator: Estimator, slope: Expr) -> Iterator[bool]:
    """A+ - A- of the code at G = 10^6 and rational sqrt p is within 10^-4 of the limit."""
    free = estimator.with_params(**{symbol.name: 0 for symbol in guards(estimator)})
    for rate, w in itertools.product((Fraction(9, 25), Fraction(16, 25)), (Fraction(2, 7), Fraction(9, 10))):
        plus, minus = exact_two_outcomes(free, int(rate * 10**6), 10**6, w)
        limit = exact_value(slope, {P: rate, omega: w, **BATCH})
        yield abs(float(plus - minus) - float(limit)) < 1e-4 * max(1.0, abs(float(limit)))


FINITE: dict[str, tuple[Any, str]] = {
    "dr_grpo": (lambda G: sympy.Rational(G - 1, G), "(G-1)/G"),
    "rloo": (lambda G: sympy.Integer(1), "1"),
    "reinforce": (lambda G: sympy.Integer(1), "1"),
    "psr": (lambda G: sympy.Integer(1), "1"),
    "nsr": (lambda G: sympy.Integer(1), "1"),
    "w_reinforce": (lambda G: sympy.Rational(11, 10), "11/10"),
    "raft": (lambda G: sympy.cancel((1 - Q**G) / P), "(1 - Q^G)/P"),
    "maxrl": (lambda G: sympy.cancel((1 - Q**G) / P) - Q ** (G - 1), "(1 - Q^G)/P - Q^(G-1)"),
    "reinforce_rej": (lambda G: 2 - Q ** (G - 1) - P ** (G - 1), "2 - Q^(G-1) - P^(G-1)"),
}
"""F'_G in closed form at every G, as a function of G and as text."""


@theorem("arXiv:2510.13651, 2602.02710, 2504.11343")
def exact_finite_slopes() -> Proof:
    """F'_G at every G: 1 for RLOO, PSR, NSR; (G-1)/G Dr.GRPO; (1-Q^G)/P RAFT; that - Q^(G-1) MaxRL; 2-Q^(G-1)-P^(G-1)
    Rej.
    """
    certificates = tuple(
        certify(slope_polynomial(name, size) - claimed(size), f"F'_{size} of {name} is {text}")
        for name, (claimed, text) in FINITE.items()
        for size in range(2, 10)
    )
    return Proof("exact", "polynomial certificates in P for G = 2..9", certificates)


@theorem("arXiv:2602.05548 (no statement): GRPO with G <= 3")
def small_groups_have_no_difficulty_weight() -> Proof:
    """F'_2 = 1 and F'_3 = sqrt 2 for GRPO are constants: with G <= 3 it is plain REINFORCE in expectation; F'_4 is
    not.
    """
    r2, r3, r6 = (sympy.sqrt(n) for n in (2, 3, 6))
    claimed = {2: 1, 3: r2, 4: r3 + (3 - 2 * r3) * P * Q, 5: 2 + (2 * r6 - 6) * P * Q}
    certificates = tuple(certify(slope_polynomial("grpo", g) - c, f"F'_{g} of GRPO") for g, c in claimed.items())
    return Proof("exact", "polynomial certificates in P", certificates)


@theorem("Sec. 3 of arXiv:2602.05548: which difficulty dominates")
def medium_difficulty_has_least_weight() -> Proof:
    """Relative to grad P, GRPO's weight F'_G is smallest at P = 1/2 for G >= 4: in z = 2P - 1 it has no negative
    coefficient.
    """
    z = sympy.Symbol("z")

    def coefficients(size: int) -> list[Surd]:
        polynomial = sympy.Poly(sympy.expand(slope_polynomial("grpo", size).subs(P, (1 + z) / 2)), z)
        return [exact_value(sympy.expand(c), {}) for c in reversed(polynomial.all_coeffs())]

    def trials() -> Iterator[bool]:
        for size in range(4, 13):
            c = coefficients(size)
            yield all(x == 0 for x in c[1::2]) and all(x >= 0 for x in c[0::2]) and c[2] > 0

    return Proof("exact", "signs of the exact coefficients of F'_G in 2P - 1, G = 4..12", (), trials)


@theorem("Sec. 4 of arXiv:2602.05548: Experiments I and II are not independent")
def entanglement() -> Proof:
    """F' of GRPO with right and wrong scaled by l+, l- is F'_GRPO [l+ (1-P) + l- P]: Negative-Dominant is
    easy-focused.
    """
    e, up, down = sympy.symbols("E lplus lminus")  # E = E[K A+] = E[(G-K) |A-|], equal by the zero sum
    q = sympy.Symbol("Q")
    generic = certify((up * e / P + down * e / q) - (e / P + e / q) * (up * q + down * P), "any G", {q: 1 - P})
    certificates = [generic]
    for name, weight in (("positive_dominant", beta * Q + P), ("negative_dominant", Q / beta + P)):
        for size in range(2, 7):
            mine = sympy.expand(sympy.cancel(slope_polynomial(estimators.get(name, beta=beta), size)))
            certificates.append(certify(mine - slope_polynomial("grpo", size) * weight, f"F'_{size} of {name}"))
    return Proof("exact", "certificate for any G from the zero sum; polynomials in P for G = 2..6", tuple(certificates))


@theorem("arXiv:2510.13651; Eq. 4 of arXiv:2602.05548 in expectation")
def master_theorem() -> Proof:
    """E[(1/G) sum A_i grad log pi(o_i)] = F'_G(P) grad P for every two-class estimator: C does not change the
    direction.
    """
    return Proof(
        "exact",
        "polynomial certificates with symbolic A+, A-, pi at G = 2, 3, 4; exact enumeration for every estimator",
        tuple(_master_certificate(size) for size in (2, 3, 4)),
        _enumerated_updates,
    )


def compositions(arms: int, size: int) -> Iterator[tuple[tuple[int, ...], int]]:
    """Counts of each behaviour in a group, with their multinomial coefficient."""
    for bars in itertools.combinations(range(size + arms - 1), arms - 1):
        counts = tuple(b - a - 1 for a, b in itertools.pairwise((-1, *bars, size + arms - 1)))
        yield counts, math.factorial(size) // math.prod(math.factorial(n) for n in counts)


def _master_certificate(size: int):
    """The theorem for one logit of a policy with two right and one wrong behaviour, all advantages symbolic."""
    pi = sympy.symbols("pi1:4")
    plus, minus = sympy.symbols(f"a1:{size + 1}"), sympy.symbols(f"b0:{size}")
    rate = pi[0] + pi[1]
    mean = sympy.Integer(0)
    for counts, ways in compositions(3, size):
        right = counts[0] + counts[1]
        up, down = plus[right - 1] if right else 0, minus[right] if right < size else 0
        c = right * up + (size - right) * down
        mean += ways * math.prod(x**n for x, n in zip(pi, counts, strict=True)) * (counts[0] * up - c * pi[0])
    slope = sum(
        math.comb(size - 1, j) * rate**j * (1 - rate) ** (size - 1 - j) * (plus[j] - minus[j]) for j in range(size)
    )
    zero = mean - size * slope * pi[0] * (1 - rate)
    return certify(zero, f"logit of a right behaviour, G = {size}", {pi[2]: 1 - pi[0] - pi[1]})


def _enumerated_updates() -> Iterator[bool]:
    """All group outcomes of an exact policy with four behaviours, for every registered estimator."""
    pi, f, w = [Fraction(n, 10) for n in (1, 2, 3, 4)], (1, 0, 1, 0), Fraction(2, 7)
    rate = pi[0] + pi[2]
    for name in estimators.names("two_class"):
        size = max(4, estimators.get(name).params.get("k", 1))
        table = [exact_two_outcomes(estimators.get(name), k, size, w) for k in range(size + 1)]
        mean = [surd(0)] * 4
        for counts, ways in compositions(4, size):
            right = counts[0] + counts[2]
            a = table[right]
            c = right * a[0] + (size - right) * a[1]
            chance = ways * math.prod(x**n for x, n in zip(pi, counts, strict=True))
            update = [n * a[1 - ok] - c * x for n, ok, x in zip(counts, f, pi, strict=True)]
            mean = [m + chance * u for m, u in zip(mean, update, strict=True)]
        slope = sum(
            math.comb(size - 1, j) * rate**j * (1 - rate) ** (size - 1 - j) * (table[j + 1][0] - table[j][1])
            for j in range(size)
        )
        yield all(same(m / size, slope * x * (ok - rate)) for m, x, ok in zip(mean, pi, f, strict=True))
