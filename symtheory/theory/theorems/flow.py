"""Consequences of the master theorem over time: mean-field flow, fixed points, and where training collapses.

In the flow dh/dt = F'(P) grad_h P an estimator only sets the clock: every estimator with F' > 0 traces the same
orbit. What tells estimators apart is finite steps (`nsr_collapse_threshold`), several prompts (`stability_index`)
and finite groups. Step sizes eta multiply the group SUM here, as in Theorem 1.
"""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import sympy

from ... import estimators
from ...errors import InputError
from ...estimators import Estimator
from ...metrics.slope import expected_slope, marginal_values, named, probability
from ..algebra import certify
from ..proofs import Proof, same, theorem
from ..surds import Surd, sqrt, surd
from ..symbols import F, K, P, exact_two_outcomes, exact_value, omega
from .objectives import compositions, limit_slope, sample_points

Q = 1 - P


def mean_field_orbit(policy: Any, correct: Any, until: float) -> np.ndarray:
    """The policy, shape [N], that every estimator with F' > 0 has when the mean-field flow reaches P = `until`.

    `policy` are the starting probabilities, `correct` the outcomes in {0, 1}; the flow raises P, so `until` must lie
    above the starting success rate.

    >>> mean_field_orbit([0.05, 0.25, 0.45, 0.15, 0.10], [1, 1, 0, 0, 0], 0.9).round(7)
    array([0.0231217, 0.8768783, 0.0462374, 0.030008 , 0.0237546])
    """
    from scipy.integrate import solve_ivp

    pi0, f = np.asarray(policy, dtype=float), np.asarray(correct, dtype=float)
    if not (pi0 > 0).all() or abs(pi0.sum() - 1) > 1e-9 or not pi0 @ f < until < 1:
        raise InputError(
            f"policy must be positive and sum to 1 with success rate below until < 1, got {policy}, {until}"
        )

    def slope(_, h):  # d h / d P, so that P is the clock
        pi = _softmax(h)
        force = pi * (f - pi @ f)
        return force / (force @ force)

    h = solve_ivp(slope, (pi0 @ f, until), np.log(pi0), rtol=1e-12, atol=1e-13, method="DOP853").y[:, -1]
    return _softmax(h)


def _softmax(h: np.ndarray) -> np.ndarray:
    weights = np.exp(h - h.max())
    return weights / weights.sum()


def two_arm_time(
    estimator: str | Estimator, start: float, end: float, size: int | None = None, omega_value: float = 0.5
) -> float:
    """Mean-field time from P = `start` to `end` with one right and one wrong behaviour.

    The integral of dP / (2 F' P^2 (1-P)^2), as a wrong and a right logit move apart by 2 F' P (1-P) dt.
    `size` is the group size, or None for the limit of large groups.

    >>> round(two_arm_time("grpo", 0.01, 0.5), 3)
    9.849
    """
    from scipy.integrate import quad

    rate = _numeric_slope(estimator, size, omega_value)
    logit = lambda x: math.log(x / (1 - x))  # noqa: E731
    speed = lambda z: 2 * rate(_sigmoid(z)) * _sigmoid(z) * _sigmoid(-z)  # noqa: E731  dz/dt = 2 F' P Q
    return quad(lambda z: 1 / speed(z), logit(start), logit(end), epsabs=0, epsrel=1e-12, limit=500)[0]


def _sigmoid(z: float) -> float:
    return 1 / (1 + math.exp(-z))


def _numeric_slope(estimator: str | Estimator, size: int | None, w: float) -> Callable[[float], float]:
    if size is not None:
        return lambda x: float(expected_slope(estimator, size, x, w))
    form = limit_slope(estimator).subs(omega, w)
    return sympy.lambdify(P, form, modules="math")


def initial_gain(estimator: str | Estimator, a: float, b: float, omega_value: float = 0.5) -> float:
    """d E[P] / dt at the start for P ~ Beta(a, b), one right and one wrong behaviour: E[2 F'(P) P^2 (1-P)^2].

    >>> round(initial_gain("grpo", 1, 1), 4), round(initial_gain("easy_focused", 1, 1), 4)
    (0.1473, 0.1143)
    """
    from scipy.integrate import quad
    from scipy.stats import beta as beta_law

    rate = _numeric_slope(estimator, None, omega_value)
    density: Callable = beta_law(a, b).pdf  # type: ignore[attr-defined]
    return quad(lambda x: 2 * rate(x) * x**2 * (1 - x) ** 2 * density(x), 0, 1, epsabs=1e-13, epsrel=1e-12)[0]


def regularised_fixed_point(
    estimator: str | Estimator, p_ref: float, beta_kl: float, omega_value: float = 0.5
) -> float:
    """Fixed point p* of p = sigmoid(logit p_ref + F'(p) / beta_kl), the KL-regularised best response iterated.

    F' is the slope for large groups (arXiv:2503.06639 for GRPO). It lies above p_ref whenever F' > 0.

    >>> round(regularised_fixed_point("grpo", 0.2, 2.0), 12)
    0.408732720588
    """
    from scipy.optimize import brentq

    rate = _numeric_slope(estimator, None, omega_value)
    base = math.log(p_ref / (1 - p_ref))
    residual = lambda z: z - base - rate(_sigmoid(z)) / beta_kl  # noqa: E731
    high = base + 1.0
    while residual(high) < 0:
        high += 1.0
    root: Any = brentq(residual, base, high, xtol=1e-15)
    return _sigmoid(root)


def fixed_point_slope(estimator: str | Estimator, p_ref: float, beta_kl: float, omega_value: float = 0.5) -> float:
    """p*(1 - p*) F''(p*) / beta_kl, the local slope of that recursion; it converges iff its modulus is below 1.

    >>> round(fixed_point_slope("grpo", 0.2, 2.0), 7)
    -0.0928268
    """
    point = regularised_fixed_point(estimator, p_ref, beta_kl, omega_value)
    curvature = sympy.lambdify(P, limit_slope(estimator).subs(omega, omega_value).diff(P), modules="math")
    return point * (1 - point) * curvature(point) / beta_kl


def stability_index(estimator: str | Estimator, size: int, omega_value: float = 0.5) -> float:
    """R = d_(G-1) / d_0: with an easy and a hard prompt in conflict, losing the hard one is stable iff R > R*.

    R* = (n_h / n_e) e^(a+b) in the scalar model P_e = sigmoid(a + t), P_h = sigmoid(b - t).

    >>> round(stability_index("negative_dominant", 8), 9), round(stability_index("easy_focused", 8) ** 2, 9)
    (10.0, 7.0)
    """
    d = marginal_values(estimator, size, omega_value)
    return float(d[-1] / d[0])


def _moments(rho: Sequence[float]) -> tuple[float, float, float]:
    """s2, s3 and Q = s2 + 2 s2^2 - 3 s3 of the conditional law of the wrong behaviours."""
    if abs(sum(rho) - 1) > 1e-9 or min(rho) < 0:
        raise InputError(f"rho must be probabilities of the wrong behaviours that sum to 1, got {list(rho)}")
    s2, s3 = sum(x**2 for x in rho), sum(x**3 for x in rho)
    return s2, s3, s2 + 2 * s2**2 - 3 * s3


def nsr_collapse_threshold(eta: float, rho: Sequence[float], weight: float = 0.0) -> float:
    """P below which E[dP] < 0 under NSR: eta Q / (2 (1 + weight)(1 + s2)), to leading order in P and eta.

    One right behaviour at P -> 0, wrong ones with conditional law `rho`, s_n = sum rho^n, Q = s2 + 2 s2^2 - 3 s3;
    `weight` is A+ (0: NSR, 0.1: W-REINFORCE, 1: REINFORCE +-1), and A- = -1. 0 if Q <= 0: no threshold.

    >>> round(nsr_collapse_threshold(0.3, [0.4, 0.3, 0.2, 0.1]), 4)
    0.0208
    """
    s2, _, q = _moments(rho)
    return max(0.0, eta * q / (2 * (1 + weight) * (1 + s2)))


def nsr_critical_step(P: float, rho: Sequence[float], weight: float = 0.0) -> float:
    """The step eta at which `nsr_collapse_threshold` reaches P; infinite if there is no threshold.

    >>> round(nsr_critical_step(0.003, [0.4, 0.3, 0.2, 0.1]), 5)
    0.04333
    """
    s2, _, q = _moments(rho)
    return 2 * (1 + weight) * (1 + s2) * P / q if q > 0 else math.inf


def negative_dominant_critical_beta(size: int, rho: Sequence[float]) -> float:
    """beta_c = sqrt((G-1) [(1+s2)^2 + s2^2 - s3] / Q): below it no step size makes Negative-Dominant regress at P -> 0.

    >>> round(negative_dominant_critical_beta(5, [0.4, 0.3, 0.2, 0.1]), 2)
    6.11
    """
    s2, s3, q = _moments(rho)
    return math.sqrt((size - 1) * ((1 + s2) ** 2 + s2**2 - s3) / q) if q > 0 else math.inf


def negative_dominant_critical_step(size: int, beta: float, rho: Sequence[float]) -> float:
    """eta* = 2 sqrt(G-1)(1+s2) / (beta Q_beta): a larger step lowers E[P] under Negative-Dominant at P -> 0.

    Q_beta = Q - ((G-1)/beta^2) [(1+s2)^2 + s2^2 - s3]; infinite if Q_beta <= 0.

    >>> round(negative_dominant_critical_step(5, 10, [0.4, 0.3, 0.2, 0.1]), 2)
    4.61
    """
    s2, s3, q = _moments(rho)
    q -= (size - 1) / beta**2 * ((1 + s2) ** 2 + s2**2 - s3)
    return 2 * math.sqrt(size - 1) * (1 + s2) / (beta * q) if q > 0 else math.inf


def tail_miss_probability(size: int, mass: float, tail: float) -> float:
    """Pr(mixed group without a draw from a set of mass `tail` inside the right ones of mass `mass`), arXiv:2602.06717.

    >>> round(tail_miss_probability(6, 0.4, 0.05), 11)
    0.686597625
    """
    probability([mass, tail])
    return (1 - tail) ** size - (mass - tail) ** size - (1 - mass) ** size


@theorem("Eq. 6 of arXiv:2602.05548 in expectation; Fig. 3 of it in the mean field")
def orbit_equivalence() -> Proof:
    """In the mean field of one prompt all two-class estimators trace one curve: dh_b = F'(P) pi_b (f_b - P) dt."""
    slope, e1, e2, e3 = sympy.symbols("slope e1:4")
    total = e1 + e2 + e3
    pi = [x / total for x in (e1, e2, e3)]
    rate = pi[0] + pi[1]
    h = sympy.symbols("h1:4")
    success = (sympy.exp(h[0]) + sympy.exp(h[1])) / sum(sympy.exp(x) for x in h)
    free: dict[Any, Any] = {sympy.exp(x): e for x, e in zip(h, (e1, e2, e3), strict=True)}
    field = [slope * success.diff(x).subs(free) for x in h]
    certificates = tuple(
        certify(force - slope * x * (f - rate), f"dh_{b}/dt: F' is a common factor")
        for b, (force, x, f) in enumerate(zip(field, pi, (1, 1, 0), strict=True))
    )
    return Proof("exact", "certificate; follows from the master theorem", certificates, _same_orbit)


def _same_orbit() -> Iterator[bool]:
    """Euler steps of equal dP under two estimators with very different F' visit the same policies."""
    start, f = np.array([0.05, 0.25, 0.45, 0.15, 0.10]), np.array([1, 1, 0, 0, 0.0])
    end = mean_field_orbit(start, f, 0.9)
    for name in ("grpo", "positive_dominant", "negative_dominant", "hard_focused", "easy_focused", "maxrl"):
        yield bool(np.abs(_follow(name, start, f, 0.9) - end).max() < 1e-6)


def _follow(name: str, start: np.ndarray, f: np.ndarray, until: float) -> np.ndarray:
    """The policy at P = `until`, by integrating the flow of this estimator at G = 8 in its own time."""
    from scipy.integrate import solve_ivp

    def field(_, h):
        pi = _softmax(h)
        return expected_slope(name, 8, min(1.0, pi @ f)) * pi * (f - pi @ f)

    def reached(_, h):
        return _softmax(h) @ f - until

    reached.terminal = True  # type: ignore[attr-defined]
    return _softmax(solve_ivp(field, (0, 1e4), np.log(start), events=reached, rtol=1e-9, atol=1e-11).y[:, -1])


@theorem("rank bias, arXiv:2506.02355, in closed form")
def conserved_quantities() -> Proof:
    """The mean-field flow conserves exp(-h_b) - exp(-h_c) for two right (or two wrong) b, c, under every estimator."""
    slope, e1, e2, e3 = sympy.symbols("slope e1:4")
    total = e1 + e2 + e3
    rate = (e1 + e2) / total
    drift = [-(1 / e) * slope * (e / total) * (1 - rate) for e in (e1, e2)]  # d/dt exp(-h_b) = -exp(-h_b) dh_b/dt
    ratio = slope * (e1 / total - e2 / total) * (1 - rate)
    certificates = (
        certify(drift[0] - drift[1], "d/dt of exp(-h_1) - exp(-h_2)"),
        certify(ratio - slope * (1 - rate) * (e1 - e2) / total, "d/dt log(pi_1/pi_2) = F' (1 - P)(pi_1 - pi_2)"),
    )

    def trials() -> Iterator[bool]:
        start = np.array([0.05, 0.25, 0.45, 0.15, 0.10])
        end = mean_field_orbit(start, [1, 1, 0, 0, 0], 0.9)
        before, after = (1 / x[0] - 1 / x[1] for x in (start, end))  # exp(-h) = scale / pi
        wrong = [(1 / x[2] - 1 / x[3]) for x in (start, end)]
        yield abs(after / before - wrong[1] / wrong[0]) < 1e-8  # one common scale, the partition function

    return Proof("exact", "certificate; integrated orbit", certificates, trials)


CLOCKS = {
    "grpo": 2 * (P - Q) / (2 * sympy.sqrt(P * Q)),
    "rloo": sympy.log(P) - sympy.log(Q) + (P / Q - Q / P) / 2,
    "hard_focused": 2 / sympy.sqrt(Q) + sympy.log((1 - sympy.sqrt(Q)) / (1 + sympy.sqrt(Q))),
    "easy_focused": -2 / sympy.sqrt(P) + sympy.log((1 + sympy.sqrt(P)) / (1 - sympy.sqrt(P))),
}
"""Mean-field time T(P) with one right and one wrong behaviour, large G: with z = logit P, 2 sinh(z/2); z + sinh z;
...
"""


@theorem("Fig. 5 of arXiv:2602.05548 in the mean field of two behaviours")
def two_arm_clocks() -> Proof:
    """One right, one wrong arm: time is 2 sinh(z/2) for GRPO, z + sinh z RLOO, 2u + ln((u-1)/(u+1)) Hard, u = sqrt(1
    + e^z), mirrored Easy.
    """

    def trials() -> Iterator[bool]:
        for name, clock in CLOCKS.items():
            rate, slope = sympy.expand(clock.diff(P)), limit_slope(name)
            for point in sample_points(40):
                at = {P: Fraction(int(point.p), int(point.q))}
                square = at[P] ** 2 * (1 - at[P]) ** 2
                yield same(exact_value(rate, at) * 2 * exact_value(slope, at) * square, 1)

    return Proof("exact", "dT/dP = 1 / (2 F' P^2 (1-P)^2) at 40 rational points of bounded degree", (), trials)


@theorem("Figs. 4, 5 of arXiv:2602.05548 in the mean field")
def focus_beats_grpo_only_at_one_end() -> Proof:
    """Easy-Focused improves a prompt faster than GRPO, and Hard-Focused another: iff P > 3/4 and iff P < 1/4 (large
    G).
    """
    easy, hard, grpo = (limit_slope(n) for n in ("easy_focused", "hard_focused", "grpo"))
    # F'_easy / F'_grpo = 1 / (2 sqrt(1 - P)), which is 1 at P = 3/4
    k_form: dict[Any, Any] = {P: K / (K + F)}
    certificates = (
        certify((2 * easy * sympy.sqrt(Q) - grpo).subs(k_form), "F'_GRPO = 2 sqrt(1-P) F'_Easy"),
        certify((2 * hard * sympy.sqrt(P) - grpo).subs(k_form), "F'_GRPO = 2 sqrt(P) F'_Hard"),
    )

    def trials() -> Iterator[bool]:
        for point in sample_points(60):
            at = {P: Fraction(int(point.p), int(point.q))}
            e, h, g = (exact_value(x, at) for x in (easy, hard, grpo))
            yield (e > g) == (at[P] > Fraction(3, 4)) and (h > g) == (at[P] < Fraction(1, 4))
        yield initial_gain("easy_focused", 1, 1) < initial_gain("grpo", 1, 1)
        yield initial_gain("easy_focused", 4, 1) > initial_gain("grpo", 4, 1)

    at_half = {P: Fraction(1, 2)}
    slower = exact_value(easy, at_half) / exact_value(grpo, at_half)
    found = {"P": Fraction(1, 2), "F' of Easy-Focused / F' of GRPO": slower}
    when = "P > 3/4 (Easy-Focused) or P < 1/4 (Hard-Focused), at gamma = 1/2"
    return Proof("holds when", "certificates; rational points", certificates, trials, found, when)


INDICES: dict[str, tuple[Callable[[int, Fraction], Surd], str]] = {
    "grpo": (lambda g, w: surd(1), "1"),
    "dr_grpo": (lambda g, w: surd(1), "1"),
    "rloo": (lambda g, w: surd(1), "1"),
    "psr": (lambda g, w: surd(1), "1"),
    "nsr": (lambda g, w: surd(1), "1"),
    "negative_dominant": (lambda g, w: surd(10), "beta"),
    "positive_dominant": (lambda g, w: surd(Fraction(1, 10)), "1/beta"),
    "easy_focused": (lambda g, w: sqrt(g - 1), "sqrt(G-1)"),
    "hard_focused": (lambda g, w: 1 / sqrt(g - 1), "1/sqrt(G-1)"),
    "ass": (lambda g, w: surd(1 / w), "1/s"),
    "maxrl": (lambda g, w: surd(Fraction(1, g - 1)), "1/(G-1)"),
    "agrae": (
        lambda g, w: (w + (1 - w) * sqrt(g - 1)) / (w * (w * sqrt(g - 1) + (1 - w))),
        "[w + (1-w) sqrt(G-1)] / (s [w sqrt(G-1) + 1 - w])",
    ),
}
"""Stability index of each estimator at alpha = 1 (s = w), exact and as text."""


@theorem("Fig. 9 of arXiv:2602.05548: loss of hard prompts, in a scalar model of two prompts")
def stability_indices() -> Proof:
    """R = d_(G-1)/d_0 is 1 for GRPO, RLOO, NSR; beta NegDom; 1/beta PosDom; sqrt(G-1) Easy; its inverse Hard; 1/s
    ASS.
    """

    def trials() -> Iterator[bool]:
        for name, (index, _) in INDICES.items():
            for g, w in itertools.product((2, 3, 4, 8, 12), (Fraction(3, 10), Fraction(1, 2))):
                e = named(name)
                first = exact_two_outcomes(e, 1, g, w)[0] - exact_two_outcomes(e, 0, g, w)[1]
                last = exact_two_outcomes(e, g, g, w)[0] - exact_two_outcomes(e, g - 1, g, w)[1]
                yield last == first * index(g, w)

    return Proof("exact", "exact marginal values of the code, G = 2, 3, 4, 8, 12", (), trials)


@theorem("arXiv:2506.01347 (NSR) in finite steps")
def nsr_noise_coefficient() -> Proof:
    """All-wrong groups cost NSR (eta^2/2) G Q P of success, Q = s2 + 2 s2^2 - 3 s3: hence P_crit = eta Q / (2 (1 +
    s2)).
    """
    certificates = []
    minus = exact_two_outcomes(estimators.get("nsr"), 0, 4)[1].rational()
    for size in (1, 2, 3):
        rho = sympy.symbols("rho1:4")
        cost = sympy.Integer(0)
        for counts, ways in compositions(3, size):  # P = 0: only wrong behaviours are drawn, C = -G
            g = [int(minus) * n + size * x for n, x in zip(counts, rho, strict=True)]
            mean = sum(x * y for x, y in zip(rho, g, strict=True))
            right = mean**2  # the right behaviour has g = 0, so (g - mean)^2 = mean^2
            wrong = sum(x * (y - mean) ** 2 for x, y in zip(rho, g, strict=True))
            cost += ways * math.prod(x**n for x, n in zip(rho, counts, strict=True)) * (right - wrong)
        s2, s3 = sum(x**2 for x in rho), sum(x**3 for x in rho)
        claim = cost + size * (s2 + 2 * s2**2 - 3 * s3)
        certificates.append(
            certify(claim, f"d/dP E Cov(f, (g - mean g)^2) at P = 0, G = {size}", {rho[2]: 1 - rho[0] - rho[1]})
        )
    return Proof("exact", "polynomial certificates over the law of wrong behaviours, G = 1, 2, 3", tuple(certificates))


@theorem("arXiv:2503.06639 for GRPO")
def regularised_recursion_improves() -> Proof:
    """The KL-regularised recursion has its fixed point above p_ref for F' > 0; its slope is -(1-2p)/(2 beta
    sqrt(p(1-p))) under GRPO.
    """

    def trials() -> Iterator[bool]:
        for name in ("grpo", "dr_grpo", "hard_focused", "easy_focused", "agrae"):
            for p_ref, beta_kl in ((0.2, 2.0), (0.2, 1.0), (0.6, 3.0)):
                yield regularised_fixed_point(name, p_ref, beta_kl) > p_ref
        point = regularised_fixed_point("grpo", 0.2, 2.0)
        closed = -(1 - 2 * point) / (2 * 2.0 * math.sqrt(point * (1 - point)))
        yield abs(fixed_point_slope("grpo", 0.2, 2.0) - closed) < 1e-12
        x = point
        for _ in range(60):
            x = _sigmoid(math.log(0.2 / 0.8) + 1 / math.sqrt(x * (1 - x)) / 2.0)
        yield abs(x - point) < 1e-12

    curvature = limit_slope("grpo").diff(P)
    claim = (curvature * P * Q * 2 * sympy.sqrt(P * Q) + (1 - 2 * P)).subs(P, K / (K + F))
    return Proof(
        "exact", "certificate of the slope; root finding", (certify(claim, "P Q F'' 2 sqrt(PQ) + 1 - 2P"),), trials
    )
