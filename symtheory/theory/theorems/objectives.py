"""The master theorem: the expected update of any estimator is F'(P) grad P, so it ascends F(P).

For a two-class estimator, an on-policy step without clipping, and any differentiable policy,

    E[(1/G) sum_i A_i grad log pi(o_i)] = F'_G(P) grad P,    F'_G(P) = sum_j d_j C(G-1, j) P^j (1-P)^(G-1-j),

a Bernstein polynomial with coefficients d_j = A+(j+1) - A-(j), the marginal value of a success (arXiv:2510.13651
states the same). All slopes are per rollout: the update is the mean over the group, not the sum.
"""

import functools
import itertools
import math
from typing import Any

import sympy

from ... import estimators
from ...estimators import Estimator
from ...metrics.slope import named
from ..algebra import certify
from ..certificates import Certificate
from ..closed_form import guards
from ..proofs import Proof, theorem, theorem_of_each_estimator
from ..recheck.trials.base import FLOAT, IDENTITY, TO_N
from ..recheck.trials.tables import compositions
from ..symbols import Expr, F, K, P, omega, two_outcomes


def slope_polynomial(estimator: str | Estimator, size: int) -> Expr:
    """F'_G as a polynomial in P with exact coefficients, for a number G.

    >>> sympy.collect(sympy.expand(slope_polynomial("grpo", 4)), P)
    P**2*(-3 + 2*sqrt(3)) + P*(3 - 2*sqrt(3)) + sqrt(3)
    """
    terms = (
        d * math.comb(size - 1, j) * P**j * (1 - P) ** (size - 1 - j)
        for j, d in enumerate(exact_marginal_values(named(estimator), size))
    )
    return sum(terms, sympy.Integer(0))


def exact_marginal_values(estimator: Estimator, size: int) -> list[Expr]:
    """d_0 .. d_(G-1) as exact sympy numbers (in omega, for estimators that see it)."""
    pairs = [two_outcomes(estimator, k, size) for k in range(size + 1)]
    return [sympy.radsimp(after[0]) - sympy.radsimp(before[1]) for before, after in itertools.pairwise(pairs)]


def at_large_groups(form: Expr, rate: Expr) -> Expr:
    """Limit of a closed form in K and F as G -> infinity at K = `rate` G."""
    h, q, v = sympy.symbols("h q v", positive=True)  # 1/G, 1 - rate, 1 - omega
    x = form.subs(1 - omega, v).subs(K + F, 1 / h).subs({K: rate / h, F: q / h})
    x = sympy.powsimp(sympy.factor(sympy.together(sympy.expand_power_base(x))))
    limit = x.subs(h, 0)  # powers of h have cancelled, if the form is of degree 0 in K and F to leading order
    if limit.has(sympy.nan, sympy.zoo, sympy.oo):
        limit = sympy.limit(x, h, 0, "+")
    if not limit.has(sympy.exp):  # factor as a rational function of sqrt(rate) and sqrt(1 - rate)
        x, y = sympy.symbols("x y", positive=True)
        limit = sympy.factor(limit.subs({rate: x**2, q: y**2})).subs({x: sympy.sqrt(rate), y: sympy.sqrt(q)})
    return limit.subs({q: 1 - rate, v: 1 - omega})


def limit_slope(estimator: str | Estimator) -> Expr:
    """F'(P) for G -> infinity, A+ - A- at K = P G; guards such as eps are set to 0.

    >>> limit_slope("grpo")
    1/(sqrt(P)*sqrt(1 - P))
    """
    estimator = named(estimator)
    plus, minus = two_outcomes(estimator.with_params(**{symbol.name: 0 for symbol in guards(estimator)}))
    return at_large_groups(plus - minus, P)


@functools.cache
def _basis() -> tuple[list[Expr], list[Expr]]:
    """Objectives met in this family, and their derivatives."""
    x, y = sympy.sqrt(P), sympy.sqrt(1 - P)
    functions = [P, sympy.asin(x), x * y, x, y, sympy.atanh(x), sympy.atanh(y), sympy.log(P), sympy.log(1 - P)]
    functions += [sympy.sqrt((1 + x) / (1 - x)), x**3, y**3]
    return functions, [function.diff(P) for function in functions]


@functools.cache
def _inverse() -> Any:
    """The inverse of the derivatives at rational points of the circle."""
    _, slopes = _basis()
    return sympy.Matrix([[slope.subs(P, point) for slope in slopes] for point in sample_points(len(slopes))]).inv()


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
    if slope.has(sympy.exp) or not roots <= {P, 1 - P}:
        return None
    functions, slopes = _basis()
    values = sympy.Matrix([slope.subs(P, point) for point in sample_points(len(slopes))])
    coefficients = [sympy.factor(c) for c in _inverse() * values]
    fit = sum(c * s for c, s in zip(coefficients, slopes, strict=True))
    if any(sympy.expand((slope - fit).subs(P, point)) != 0 for point in sample_points(3, start=30)):
        return None
    return sum((c * f for c, f in zip(coefficients, functions, strict=True)), sympy.Integer(0))


@theorem_of_each_estimator("population objective, in the manner of arXiv:2510.13651")
def population_objective(estimator: Estimator) -> Proof:
    """The expected update of NAME is the gradient of F_G(P) = (1/G) sum_j d_j Pr(Bin(G, P) > j), where d_j =
    A+(j+1) - A-(j), and in large groups of the F(P) that `--derive NAME` prints where F is elementary (omega held
    fixed, eps = 0).
    """
    from .identities import as_formula, spec_of

    spec = spec_of(estimator)
    named: list[tuple[str, dict]] = [("ascends", {"spec": spec})]
    form = limit_objective(estimator)
    if form is None:
        return Proof("exact", "F_G as a Bernstein sum; no closed form of its limit was found", named=tuple(named))
    slope = limit_slope(estimator)
    texts = {"objective": _in_q(as_formula(form)), "slope": _in_q(as_formula(slope))}
    named.append(("antiderivative", texts))
    free = ",".join(f"{symbol.name}:0" for symbol in guards(estimator))
    named.append(("large_groups", {"spec": f"{spec}[{free}]" if free else spec, "slope": texts["slope"]}))
    return Proof("exact", "F differentiated by rule", named=tuple(named), rests_on=FLOAT)


def _in_q(text: str) -> str:
    """The text with Q for 1 - P and s for the attenuation min(1, w) at alpha = 1."""
    return text.replace("abs(P - 1)", "(Q)").replace("(1 - P)", "(Q)").replace("min(1, w)", "s")


FINITE: dict[str, tuple[str, tuple[str, ...]]] = {
    "dr_grpo": ("(G-1)/G", ("dr_grpo: A+ - shift(A-) = (G - 1)/G for K >= 2",)),
    "rloo": ("1", ("rloo: A+ - shift(A-) = 1 for K >= 2",)),
    "reinforce": ("1", ("reinforce: A+ - shift(A-) = 1 for K >= 2",)),
    "psr": ("1", ("psr: A+ - shift(A-) = 1 for K >= 2",)),
    "nsr": ("1", ("nsr: A+ - shift(A-) = 1 for K >= 2",)),
    "w_reinforce": ("11/10", ("w_reinforce: A+ - shift(A-) = 11/10 for K >= 2",)),
    "raft": ("(1 - Q^G)/P", ("raft: A+ - shift(A-) = G/K for K >= 2",)),
    "maxrl": ("(1 - Q^G)/P - Q^(G-1)", ("maxrl: A+ - shift(A-) = G/K for K >= 2",)),
    "reinforce_rej": ("2 - Q^(G-1) - P^(G-1)", ("reinforce_rej: A+ - shift(A-) = 2 for K >= 2",)),
}
"""F'_G at every G, and the marginal value d of the K-th success that gives it: a constant c sums to c, and G/K to
(1 - Q^G)/P, as (j+1) C(G, j+1) = G C(G-1, j); groups of equal rewards add the rest."""


@theorem("arXiv:2510.13651, 2602.02710, 2504.11343")
def exact_finite_slopes() -> Proof:
    """At every G the expected update of a prompt of success P is F'_G(P) grad P, where F'_G is 1 for RLOO, PSR and
    NSR, (G-1)/G for Dr.GRPO, (1-Q^G)/P for RAFT, (1-Q^G)/P - Q^(G-1) for MaxRL, and 2 - Q^(G-1) - P^(G-1) for
    Reinforce-Rej, with Q = 1 - P.
    """
    return Proof(
        "exact",
        "marginal values for all G, summed by the binomial theorem and by absorption (both in `prove --kernel`)",
        formulas=tuple(text for _, texts in FINITE.values() for text in texts),
        named=(("slopes_of_the_code", {"forms": {name: text for name, (text, _) in FINITE.items()}}),),
        rests_on=IDENTITY,
    )


@theorem("arXiv:2602.05548 (no statement): GRPO with G <= 3")
def small_groups_have_no_difficulty_weight() -> Proof:
    """Under GRPO F'_2 = 1 and F'_3 = sqrt 2 do not depend on P, so that at G = 2 and 3 GRPO is REINFORCE times a
    constant in expectation, whereas F'_4 = sqrt 3 + (3 - 2 sqrt 3) P (1 - P) does depend on it.
    """
    forms = {
        "2": ["1", "0"],
        "3": ["sqrt(2)", "0"],
        "4": ["sqrt(3)", "3 - 2 sqrt(3)"],
        "5": ["2", "2 sqrt(6) - 6"],
    }
    return Proof(
        "exact", "polynomials of degree below 5, equal at 20 points", named=(("polynomial_slopes", {"forms": forms}),)
    )


@theorem("Sec. 3 of arXiv:2602.05548: which difficulty dominates")
def medium_difficulty_has_least_weight() -> Proof:
    """For every G >= 4 the weight F'_G(P) that GRPO gives to grad P is least at P = 1/2, because F'_G is a
    Bernstein polynomial of degree G - 2 with the convex symmetric coefficients c_j = (G-1)/sqrt((j+1)(G-1-j)).

    The marginal value of the K-th success is ((F) c_(K-1) + (K-1) c_(K-2)) / (G-1): the degree elevation of c. With
    x = j + 1 and y = G - x, c_(j-1) + c_(j+1) >= 2 sqrt(c_(j-1) c_(j+1)) > 2 c_j because (x^2-1)(y^2-1) < x^2 y^2. A
    Bernstein polynomial of a convex sequence is convex, of a symmetric one symmetric: it is least at 1/2.
    """
    elevation = (
        "grpo: A+ - shift(A-) = (F (G - 1)/sqrt(K F) + (K - 1) (G - 1)/sqrt((K - 1) (F + 1))) / (G - 1) for K >= 2"
    )
    convex = Certificate(
        "x**2*y**2 - (x - 1)*(x + 1)*(y - 1)*(y + 1) - (x**2 + (y - 1)*(y + 1))",
        meaning="x^2 y^2 - (x^2-1)(y^2-1) = x^2 + (y-1)(y+1) > 0 for x, y >= 1: c is strictly log-convex at every G",
    )
    trials = (("least_weight_at_half", {}),)
    return Proof("exact", "Bernstein polynomial", (convex,), formulas=(elevation,), named=trials, rests_on=IDENTITY)


@theorem("Sec. 4 of arXiv:2602.05548: Experiments I and II are not independent")
def entanglement() -> Proof:
    """Multiplying the advantages of correct rollouts by l+ and those of wrong ones by l- multiplies GRPO's F'_G(P)
    by l+ (1-P) + l- P, at every G. So Negative-Dominant is easy-focused and Positive-Dominant hard-focused in
    expectation, because `positive_dominant[beta].A+ = beta grpo.A+`, `positive_dominant[beta].A- = grpo.A-`,
    `negative_dominant[beta].A+ = grpo.A+ / beta`, `negative_dominant[beta].A- = grpo.A-` and `grpo: sum A = 0`.
    """
    generic = Certificate(
        "(up*E*q + down*E*P) - (E*q + E*P)*(up*q + down*P)",
        ("q - (1 - P)",),
        ("-(E*(up*q + down*P))",),
        meaning="times P Q: E = E[K A+] = E[F |A-|] by the zero sum; F' = E/P + E/Q before, l+ E/P + l- E/Q after",
    )
    pairs = [["positive_dominant", "10", "1"], ["negative_dominant", "1/10", "1"]]
    trials = (("entangled", {"pairs": pairs}),)
    return Proof("exact", "from the zero sum, at any G", (generic,), named=trials, rests_on=IDENTITY)


@theorem("arXiv:2510.13651; Eq. 4 of arXiv:2602.05548 in expectation")
def master_theorem() -> Proof:
    """For every estimator that gives one advantage to the correct and one to the wrong rollouts of a group (omega
    held fixed) and every differentiable policy, an on-policy step without clipping on G independent rollouts has
    E[(1/G) sum_i A_i grad log pi(o_i)] = F'_G(P) grad P, where F'_G(P) is the mean of A+(J+1) - A-(J) over J ~ Bin(G-1,
    P). So the sum C = sum A does not change the direction of the expected update.
    """
    return Proof(
        "exact",
        "polynomials with symbolic A+, A-, pi at G = 2, 3, 4, every estimator by enumeration; every G in `--kernel`",
        tuple(_master_certificate(size) for size in (2, 3, 4)),
        named=_master_trials(coupled=False),
        rests_on=TO_N,
    )


@theorem("Eq. 11 of arXiv:2602.05548: omega holds the group's own rewards")
def coupled_omega() -> Proof:
    """If omega is the mean reward of a batch that holds the group itself, then, given the other groups, the master
    theorem is still exact: A+ and A- are those at omega(K), a function of the group's own K, and only F' changes.
    """
    return Proof(
        "exact",
        "the master theorem with A+(K, omega(K)), A-(K, omega(K)): its certificate leaves A+ and A- free at each K",
        tuple(_master_certificate(size) for size in (2, 3)),
        named=_master_trials(coupled=True),
        rests_on=TO_N,
    )


def _master_trials(coupled: bool) -> tuple:
    names = ["agrae", "ass", "ddas", "gpg", "agrae_released"] if coupled else list(estimators.names("two_class"))
    arguments = {"names": names, "coupled": coupled}
    return ("master_by_enumeration", arguments), ("master_by_the_law_of_success", arguments)


def _master_certificate(size: int):
    """The theorem for one logit of a policy with two correct and one wrong behaviour, all advantages symbolic."""
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
    return certify(zero, f"logit of a correct behaviour, G = {size}", {pi[2]: 1 - pi[0] - pi[1]})
