"""Consequences of the master theorem over time: mean-field flow, fixed points, and where training collapses.

In the flow dh/dt = F'(P) grad_h P an estimator only sets the speed: every estimator with F' > 0 traces the same
orbit. What tells estimators apart is finite steps (`nsr_collapse_threshold`), several prompts (`stability_index`)
and finite groups. Step sizes eta multiply the group SUM here, as in Theorem 1.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import sympy

from ...errors import InputError
from ...estimators import Estimator
from ...metrics.slope import expected_slope, marginal_values, probability
from ..algebra import certify
from ..certificates import Certificate
from ..proofs import Proof, theorem
from ..recheck.trials.base import FLOAT, IDENTITY
from ..recheck.trials.tables import compositions
from ..symbols import P, omega
from .objectives import limit_slope


def mean_field_orbit(policy: Any, correct: Any, until: float) -> np.ndarray:
    """The policy, shape [N], that every estimator with F' > 0 has when the mean-field flow reaches P = `until`.

    `policy` are the starting probabilities, `correct` the outcomes in {0, 1}; the flow raises P, so `until` must lie
    above the starting success rate.

    >>> mean_field_orbit([0.05, 0.25, 0.45, 0.15, 0.10], [1, 1, 0, 0, 0], 0.9).round(7)
    array([0.0231217, 0.8768783, 0.0462374, 0.030008 , 0.0237546])
    """
    from scipy.integrate import solve_ivp
    from scipy.special import softmax

    pi0, f = np.asarray(policy, dtype=float), np.asarray(correct, dtype=float)
    if not (pi0 > 0).all() or abs(pi0.sum() - 1) > 1e-9 or not pi0 @ f < until < 1:
        raise InputError(
            f"policy must be positive and sum to 1 with success rate below until < 1, got {policy}, {until}"
        )

    def slope(_, h):  # d h / d P, so that P is the clock
        pi = softmax(h)
        force = pi * (f - pi @ f)
        return force / (force @ force)

    h = solve_ivp(slope, (pi0 @ f, until), np.log(pi0), rtol=1e-12, atol=1e-13, method="DOP853").y[:, -1]
    return softmax(h)


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
    from scipy.special import expit, logit

    rate = _numeric_slope(estimator, size, omega_value)
    speed = lambda z: 2 * rate(expit(z)) * expit(z) * expit(-z)  # noqa: E731  dz/dt = 2 F' P Q
    return quad(lambda z: 1 / speed(z), logit(start), logit(end))[0]


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
    from scipy.stats import beta

    rate = _numeric_slope(estimator, None, omega_value)
    return float(beta(a, b).expect(lambda x: 2 * rate(x) * x**2 * (1 - x) ** 2))


def regularised_fixed_point(
    estimator: str | Estimator, p_ref: float, beta_kl: float, omega_value: float = 0.5
) -> float:
    """Lowest fixed point p* of p = sigmoid(logit p_ref + F'(p) / beta_kl), the KL-regularised best response iterated.

    F' is the slope for large groups (arXiv:2503.06639 for GRPO), convex in logit p. p* lies above p_ref whenever
    F' > 0. Where F' has no bound, as under GRPO, a small beta_kl leaves no fixed point.

    Raises:
        InputError: there is no fixed point.

    >>> round(regularised_fixed_point("grpo", 0.2, 2.0), 12)
    0.408732720588
    """
    from scipy.special import expit, logit

    rate, turn = _numeric_slope(estimator, None, omega_value), _local_slope(estimator, beta_kl, omega_value)
    base = z = logit(p_ref)
    last = -math.inf
    while z > last:  # Newton's method, which rises to the root where F' is convex in z
        p = min(float(expit(z)), math.nextafter(1, 0))  # F' may have no value at 1
        last, z = z, z + (base + rate(p) / beta_kl - z) / (1 - turn(p))
    if last - z > 1e-9:
        raise InputError(f"beta_kl must be larger for a fixed point above p_ref = {p_ref:g}, got {beta_kl:g}")
    return float(expit(last))


def _local_slope(estimator: str | Estimator, beta_kl: float, w: float) -> Callable[[float], float]:
    curvature = sympy.lambdify(P, limit_slope(estimator).subs(omega, w).diff(P), modules="math")
    return lambda p: p * (1 - p) * curvature(p) / beta_kl


def fixed_point_slope(estimator: str | Estimator, p_ref: float, beta_kl: float, omega_value: float = 0.5) -> float:
    """p*(1 - p*) F''(p*) / beta_kl, the local slope of that recursion; it converges iff its modulus is below 1.

    >>> round(fixed_point_slope("grpo", 0.2, 2.0), 7)
    -0.0928268
    """
    return _local_slope(estimator, beta_kl, omega_value)(
        regularised_fixed_point(estimator, p_ref, beta_kl, omega_value)
    )


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
    """beta_c = sqrt((G-1) [(1+s2)^2 + s2^2 - s3] / Q): below it the term in eta^2 raises E[P] too under
    Negative-Dominant, at P -> 0.

    >>> round(negative_dominant_critical_beta(5, [0.4, 0.3, 0.2, 0.1]), 2)
    6.11
    """
    s2, s3, q = _moments(rho)
    return math.sqrt((size - 1) * ((1 + s2) ** 2 + s2**2 - s3) / q) if q > 0 else math.inf


def negative_dominant_critical_step(size: int, beta: float, rho: Sequence[float]) -> float:
    """eta* = 2 sqrt(G-1)(1+s2) / (beta Q_beta): there the terms in eta and eta^2 of E[dP] cancel under
    Negative-Dominant, at P -> 0.

    Q_beta = Q - ((G-1)/beta^2) [(1+s2)^2 + s2^2 - s3]; infinite if Q_beta <= 0. A larger step lowers E[P] only where
    eta* is small: exactly, 0.296 here at beta = 100, and at beta = 10 no step does.

    >>> round(negative_dominant_critical_step(5, 100, [0.4, 0.3, 0.2, 0.1]), 2)
    0.29
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
    """In the mean field of one prompt (a logit h_b for each behaviour b, exact expected steps, small eta) the
    logits obey dh_b/dt = F'(P) pi_b (f_b - P), where f_b is 1 for a correct behaviour and 0 for a wrong one. So all
    estimators with F' > 0 follow one curve from one base policy, each at its own speed.
    """
    force = Certificate(
        "slope*((x*f)*z - (x*z)*R*z) - slope*(x*z)*(f - P)",
        ("P - R*z",),
        ("slope*x*z",),
        meaning="x = exp h_b, z = 1/sum exp h, R = sum over correct ones, P = R z: dP/dh_b by the quotient rule, times "
        "F', is F' pi_b (f_b - P), so F' is a common factor of the field: any number of behaviours",
    )
    names = ["grpo", "positive_dominant", "negative_dominant", "hard_focused", "easy_focused", "maxrl"]
    trials = (("one_orbit", {"names": names}), ("some_weight_vanishes", {"names": ["passk", "grpo_passk"]}))
    return Proof("exact", "follows from the master theorem", (force,), named=trials, rests_on=IDENTITY)


@theorem("rank bias, arXiv:2506.02355, in closed form")
def conserved_quantities() -> Proof:
    """Along the mean-field flow of one prompt exp(-h_b) - exp(-h_c) is constant for any two correct behaviours b,
    c, and for any two wrong ones, under every estimator; h are the logits.
    """
    drift = Certificate(
        "(-b*slope*(x*z)*(f - P)) - (-c*slope*(y*z)*(f - P))",
        ("b*x - 1", "c*y - 1"),
        ("-slope*z*(f - P)", "slope*z*(f - P)"),
        meaning="x = exp h_b, b = exp(-h_b), y and c of the other, z = 1/sum exp h: both drift by -F' z (f - P)",
    )
    ratio = Certificate(
        "slope*(x*z)*(1 - P) - slope*(y*z)*(1 - P) - slope*(1 - P)*(x - y)*z",
        meaning="d/dt log(pi_b/pi_c) = F' (1 - P)(pi_b - pi_c) for two correct ones, pi = exp(h) z",
    )
    return Proof("exact", "any number of behaviours", (drift, ratio), named=(("conserved", {}),), rests_on=IDENTITY)


CLOCKS = {
    "grpo": ("(P - Q)/sqrt(P*Q)", "1/sqrt(P*Q)"),
    "rloo": ("log(P) - log(Q) + (P/Q - Q/P)/2", "1"),
    "hard_focused": ("2/sqrt(Q) + log(1 - sqrt(Q)) - log(1 + sqrt(Q))", "1/(2*P*sqrt(Q))"),
    "easy_focused": ("-2/sqrt(P) + log(1 + sqrt(P)) - log(1 - sqrt(P))", "1/(2*sqrt(P)*Q)"),
}
"""Mean-field time T(P) with one correct and one wrong behaviour, and F'(P), for large groups: with z = logit P,
2 sinh(z/2); z + sinh z; ...
"""


@theorem("Fig. 5 of arXiv:2602.05548 in the mean field of two behaviours")
def two_arm_clocks() -> Proof:
    """With one correct and one wrong behaviour, z = logit P and large groups, the mean field reaches z at the time
    (up to a constant) 2 sinh(z/2) under GRPO, z + sinh z under RLOO, and T(z) = 2u + ln((u-1)/(u+1)) with u = sqrt(1 +
    e^z) under Hard-Focused; under Easy-Focused at the time -T(-z).
    """
    trials = tuple(
        ("antiderivative", {"objective": clock, "slope": f"1/(2*({slope})*P^2*Q^2)"})
        for clock, slope in CLOCKS.values()
    )
    weights = (
        "grpo: A+ - A- = 1/sqrt(p (1 - p))",
        "hard_focused: A+ - A- = 1/(2 p sqrt(1 - p))",
        "easy_focused: A+ - A- = 1/(2 sqrt(p) (1 - p))",
        "rloo: A+ - shift(A-) = 1 for K >= 2",
    )
    return Proof("exact", "dT/dP = 1 / (2 F' P^2 (1-P)^2) by rule", formulas=weights, named=trials, rests_on=IDENTITY)


EASY_THRESHOLDS = {"2": "none", "3": "none", "4": "none", "5": "0.852", "8": "0.749", "12": "0.732", "64": "0.745"}
"""P above which Easy-Focused outpaces GRPO in groups of this size; Hard-Focused below one minus it."""


@theorem("Figs. 4, 5 of arXiv:2602.05548 in the mean field")
def focus_beats_grpo_only_at_one_end() -> Proof:
    """In large groups, at gamma = 1/2, Easy- and Hard-Focused improve a prompt faster than GRPO, as `easy_focused:
    A+ = grpo.A+ / (2 sqrt(1 - p))` and `hard_focused: A+ = grpo.A+ / (2 sqrt(p))`. (Easy-Focused does iff P > 3/4, and
    Hard-Focused iff P < 1/4.)

    At finite G the coefficients of the difference change sign at most once, so there is at most one threshold: none up
    to G = 4.
    """
    found = {f"threshold at G = {g}": p for g, p in EASY_THRESHOLDS.items()}
    when = "P > 3/4 (Easy-Focused) or P < 1/4 (Hard-Focused), at gamma = 1/2 and large G"
    trials = (("thresholds", {"easy": EASY_THRESHOLDS}), ("focus_crossings", {}))
    return Proof("holds when", "finite G to 64", counterexample=found, when=when, named=trials)


INDICES = {
    "grpo": "1",
    "dr_grpo": "1",
    "rloo": "1",
    "psr": "1",
    "nsr": "1",
    "negative_dominant": "beta",
    "positive_dominant": "1/beta",
    "easy_focused": "sqrt(G-1)",
    "hard_focused": "1/sqrt(G-1)",
    "ass": "1/s",
    "maxrl": "1/(G-1)",
    "agrae": "agrae",
}
"""Stability index of each estimator at alpha = 1 (s = w); A-GRAE's is [w + (1-w) r] / (s [w r + 1-w]), r^2 = G-1."""


@theorem("Fig. 9 of arXiv:2602.05548: loss of hard prompts, in a scalar model of two prompts")
def stability_indices() -> Proof:
    """Let d_j = A+(j+1) - A-(j) be the marginal value of a correct rollout beside j other ones. The ratio R =
    d_(G-1)/d_0 is 1 for GRPO, RLOO and NSR, beta for Negative-Dominant, 1/beta for Positive-Dominant, sqrt(G-1) for
    Easy-Focused, 1/sqrt(G-1) for Hard-Focused, and 1/s for ASS, which scales correct rollouts by s. (Where n_e easy
    prompts have success sigmoid(a + t) and n_h hard ones sigmoid(b - t), losing the hard ones attracts if R > R* =
    (n_h/n_e) e^(a+b) and repels if R < R*; R = R* is undecided.)
    """
    return Proof("exact", "every G to 200", named=(("ends_of_the_weight", {"forms": INDICES}),))


@theorem("arXiv:2506.01347 (NSR) in finite steps")
def nsr_noise_coefficient() -> Proof:
    """Let one correct behaviour have the small probability P, and let the wrong ones have the conditional
    probabilities rho, s_n = sum rho^n and Q = s2 + 2 s2^2 - 3 s3. To leading order in P and eta, groups of only wrong
    rollouts lower P by (eta^2/2) G Q P in expectation under NSR. So E[dP] < 0 below P_crit = eta Q / (2 (1 + s2)).
    """
    certificates = []
    for size in (1, 2, 3):
        rho = sympy.symbols("rho1:4")
        cost = sympy.Integer(0)
        for counts, ways in compositions(3, size):  # P = 0: only wrong behaviours are drawn, A- = -1, C = -G
            g = [-n + size * x for n, x in zip(counts, rho, strict=True)]
            mean = sum(x * y for x, y in zip(rho, g, strict=True))
            right = mean**2  # the correct behaviour has g = 0, so (g - mean)^2 = mean^2
            wrong = sum(x * (y - mean) ** 2 for x, y in zip(rho, g, strict=True))
            cost += ways * math.prod(x**n for x, n in zip(rho, counts, strict=True)) * (right - wrong)
        s2, s3 = sum(x**2 for x in rho), sum(x**3 for x in rho)
        claim = cost + size * (s2 + 2 * s2**2 - 3 * s3)
        certificates.append(
            certify(claim, f"d/dP E Cov(f, (g - mean g)^2) at P = 0, G = {size}", {rho[2]: 1 - rho[0] - rho[1]})
        )
    formula = "nsr: A- = -1"
    return Proof(
        "exact",
        "polynomials over the law of three wrong behaviours at G = 1, 2, 3",
        tuple(certificates),
        formulas=(formula,),
        named=(("nsr_at_second_order", {}),),
        rests_on="all G to n",
    )


@theorem("arXiv:2503.06639 for GRPO")
def regularised_recursion_improves() -> Proof:
    """Every fixed point of the KL-regularised recursion p -> sigmoid(logit p_ref + F'(p) / beta) lies above p_ref
    if F' > 0. Under GRPO with large groups the recursion has the slope -(1-2p)/(2 beta sqrt(p(1-p))) at a fixed point
    p.
    """
    from .identities import as_formula

    names = ("grpo", "dr_grpo", "hard_focused", "easy_focused", "agrae")
    slopes = {name: as_formula(limit_slope(name)).replace("(1 - P)", "(Q)") for name in names}
    meaning = "F' = 1/s, s^2 = P Q: F'' = -(1 - 2P)/(2 s^3), so P Q F'' 2 s + (1 - 2P) = 0"
    curvature = Certificate("s**2*d*2*s + (1 - 2*P)", ("2*s**3*d + (1 - 2*P)",), ("1",), meaning=meaning)
    named = (
        ("recursion", {"slopes": slopes}),
        ("antiderivative", {"objective": "1/sqrt(P*Q)", "slope": "(2*P - 1)/(2*P*Q*sqrt(P*Q))"}),
    )
    return Proof("exact", "the residual is negative up to p_ref", (curvature,), named=named, rests_on=FLOAT)
