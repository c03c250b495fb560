"""How much a group of difficulty p moves the policy: Theorem 2, Table 1, and the peaks of DDAS.

The magnitude is sum |A| (Eq. 10 of arXiv:2602.05548), a function of p = K/G. Note that p is the success rate of the
sampled group, not the success probability P of the policy.
"""

from typing import Any

import numpy as np
import sympy

from ... import estimators
from ...errors import InputError
from ...estimators import Estimator
from ...metrics.slope import advantage_table, named
from ..certificates import Certificate
from ..closed_form import closed_forms, guards
from ..exact import exact_advantages, exact_two_outcomes
from ..proofs import Proof, proved, theorem
from ..surds import sqrt
from ..symbols import BATCH, Expr, F, K, omega, p


def magnitude(estimator: str | Estimator, size: int, omega: float = 0.5) -> np.ndarray:
    """sum |A| of groups with K = 0..G correct of G = `size`, shape [G + 1] (Eq. 10 of arXiv:2602.05548).

    >>> magnitude("grpo", 4).round(3)
    array([0.   , 3.464, 4.   , 3.464, 0.   ])
    """
    correct = np.arange(size + 1)
    plus, minus = advantage_table(estimator, size, omega)
    return correct * np.abs(plus) + (size - correct) * np.abs(minus)


def imbalance(estimator: str | Estimator, size: int, omega: float = 0.5) -> np.ndarray:
    """C = sum A of groups with K = 0..G correct of G = `size`, shape [G + 1] (Eq. 6 of arXiv:2602.05548)."""
    correct = np.arange(size + 1)
    plus, minus = advantage_table(estimator, size, omega)
    return correct * plus + (size - correct) * minus


def ddas_peak(omega: float) -> float:
    """Success rate at which DDAS moves most: (1 - w)^2 / ((1 - w)^2 + w^2), from Eq. 12 of arXiv:2602.05548.

    >>> ddas_peak(0.25)
    0.9
    """
    _check_omega(omega)
    return (1 - omega) ** 2 / ((1 - omega) ** 2 + omega**2)


def ddas_height(omega: float) -> float:
    """Largest sum |A| / G of DDAS over p: sqrt(w^2 + (1 - w)^2), between 1/sqrt 2 and 1.

    >>> round(ddas_height(0.5), 6)
    0.707107
    """
    _check_omega(omega)
    return float(np.hypot(omega, 1 - omega))


def _check_omega(omega: float) -> None:
    if not 0 <= omega <= 1:
        raise InputError(f"omega must be a mean reward in [0, 1], got {omega}")


def per_rollout(estimator: Estimator) -> Expr:
    """sum |A| / G as a function of p in groups without limit of size; a guard such as eps is set to 0."""
    from .objectives import at_large_groups

    return at_large_groups(closed_forms(unguarded(estimator)).magnitude / (K + F), p)


def unguarded(estimator: Estimator) -> Estimator:
    """The estimator with the parameters that only guard a division set to 0."""
    return estimator.with_params(**{symbol.name: 0 for symbol in guards(estimator)})


def peak_difficulty(estimator: str | Estimator) -> Expr | None:
    """The success rate p at which sum |A| is largest in groups without limit of size, as a closed form.

    0 or 1 if the supremum lies at that end; None if sum |A| does not depend on p, if the peak is the root of an
    equation of degree above two, or if one form does not hold for every omega (`numeric_peak` finds those).

    >>> peak_difficulty("grpo"), peak_difficulty("hard_focused"), peak_difficulty("reinforce_rej")
    (1/2, 0, None)
    >>> peak_difficulty("prpo")  # 1 for omega below 1/2, 0 above
    """
    t = sympy.Symbol("t", positive=True)  # p = t^2 / (1 + t^2)
    height = per_rollout(named(estimator))
    if height.has(sympy.exp):
        return None
    height = height.subs(p, t**2 / (1 + t**2)).subs(BATCH)
    height: Expr = sympy.powdenest(sympy.factor(height), force=True)
    slope: Expr = sympy.simplify(height.diff(t))
    numerator: Expr = sympy.numer(sympy.together(slope))
    if slope == 0 or not numerator.is_polynomial(t):
        return None
    factors: list[Expr] = [f for f, _ in sympy.factor_list(numerator)[1] if f.has(t)]
    if any(sympy.Poly(f, t).degree() > 2 for f in factors):
        return None
    means = sympy.Rational(1, 3), sympy.Rational(2, 3)  # values of omega at which roots and heights are compared
    roots: list[Expr] = [r for f in factors for r in sympy.solve(f, t) if r.subs(omega, means[0]).is_positive]
    places: dict[Expr, Expr] = {sympy.Integer(0): sympy.Rational(1, 10**6), sympy.Integer(1): sympy.Integer(10**6)}
    places |= {sympy.factor(r**2 / (1 + r**2)): r for r in roots}
    best = {max(places, key=lambda peak: float(height.subs(t, places[peak]).subs(omega, w))) for w in means}
    return best.pop() if len(best) == 1 else None


def numeric_peak(estimator: str | Estimator, omega_value: float = 0.5) -> float:
    """The success rate p at which sum |A| is largest in groups without limit of size, as a number.

    0 or 1 where sum |A| still rises within 10^-3 of that end, NaN if it does not depend on p.

    >>> round(numeric_peak("ddas", 0.25), 9), numeric_peak("easy_focused")
    (0.9, 1.0)
    """
    from scipy.optimize import brentq

    form = per_rollout(named(estimator)).subs({omega: omega_value, **BATCH})
    height, slope = (sympy.lambdify(p, x, modules="numpy") for x in (form, form.diff(p)))
    grid = np.linspace(0.001, 0.999, 999)
    heights = np.broadcast_to(height(grid), grid.shape)
    best = int(np.argmax(heights))
    if np.ptp(heights) < 1e-12:
        return float("nan")
    if best in (0, len(grid) - 1):
        return float(best > 0)
    root: Any = brentq(slope, grid[best - 1], grid[best + 1], xtol=1e-15)
    return root


@theorem("Theorem 2, Eq. 10 of arXiv:2602.05548")
def update_magnitude() -> Proof:
    """Under GRPO (population std, eps = 0, rewards 0 and 1) `grpo: sum |A| = 2 G sqrt(p (1 - p))` in every mixed
    group, where p = K/G is the share of correct rollouts.
    """
    return proved()


@theorem("Theorem 2 of arXiv:2602.05548, with the std of real code")
def update_magnitude_general() -> Proof:
    """If GRPO divides by std + eps with any ddof and any eps, `grpo[ddof, eps]: sum |A| = 2 G p (1 - p) / (sqrt(G p
    (1 - p) / (G - ddof)) + eps)` in every mixed group, where p = K/G.
    """
    return proved()


@theorem("Theorem 2 of arXiv:2602.05548, with ddof")
def update_magnitude_ddof() -> Proof:
    """At eps = 0 and any ddof, `grpo[ddof]: sum |A| = 2 sqrt(G (G - ddof) p (1 - p))` in every mixed group: against
    the population std, the sample std (ddof = 1) only multiplies it by sqrt((G - 1)/G).
    """
    return proved()


@theorem("the L2 companion of Theorem 2 of arXiv:2602.05548")
def square_sum_is_constant() -> Proof:
    """Under GRPO at eps = 0, `grpo[ddof]: sum A^2 = G - ddof` in every mixed group, so that in the L2 norm no
    difficulty dominates.
    """
    return proved()


@theorem("Theorem 2 of arXiv:2602.05548: the largest update")
def magnitude_bound() -> Proof:
    """Under GRPO `grpo: sum |A| <= G` in every mixed group, with equality exactly where K = F, because `grpo: G^2 -
    (sum |A|)^2 = (K - F)^2`.
    """
    return proved()


@theorem("Table 1b of arXiv:2602.05548")
def table1_hard_focused() -> Proof:
    """In every mixed group Hard-Focused has `hard_focused[gamma]: sum |A| = 2 gamma G sqrt(1 - p)`, which is G
    sqrt(1 - p) at gamma = 1/2; p = K/G.
    """
    return proved()


@theorem("Table 1b of arXiv:2602.05548")
def table1_easy_focused() -> Proof:
    """In every mixed group Easy-Focused has `easy_focused[gamma]: sum |A| = 2 gamma G sqrt(p)`, which is G sqrt(p)
    at gamma = 1/2; p = K/G.
    """
    return proved()


@theorem("Table 1a of arXiv:2602.05548")
def table1_positive_dominant() -> Proof:
    """In every mixed group Positive-Dominant, which multiplies the advantages of correct rollouts by beta, has
    `positive_dominant[beta]: sum |A| = (beta + 1) G sqrt(p (1 - p))` and `positive_dominant[beta]: sum A = (beta - 1) G
    sqrt(p (1 - p))`.
    """
    return proved()


@theorem("Table 1a of arXiv:2602.05548")
def table1_negative_dominant() -> Proof:
    """In every mixed group Negative-Dominant, which divides the advantages of correct rollouts by beta, has
    `negative_dominant[beta]: sum |A| = (1 + 1/beta) G sqrt(p (1 - p))` and `negative_dominant[beta]: sum A = -(1 -
    1/beta) G sqrt(p (1 - p))`.
    """
    return proved()


@theorem("Table 1b of arXiv:2602.05548: 'gamma = 0.5 keeps the maximum'")
def focus_maximum_is_not_attained() -> Proof:
    """Hard- and Easy-Focused at gamma = 1/2 keep the maximum G of GRPO's sum |A|. (By `hard_focused: G^2 - (sum
    |A|)^2 = G K` and `easy_focused: G^2 - (sum |A|)^2 = G F` it is a supremum: the largest value that a mixed group
    reaches is G sqrt(1 - 1/G), at K = 1 for Hard-Focused and at K = G - 1 for Easy-Focused.)
    """
    example = {"G": 2, "GRPO's largest sum |A|": 2, "Hard-Focused's largest sum |A|": sqrt(2)}
    when = "'maximum' is read as supremum over p in (0, 1); no group attains it"
    trials = (("focus_maximum", {"names": ["hard_focused", "easy_focused"]}),)
    return Proof("holds when", counterexample=example, when=when, named=trials, rests_on="identity for all G")


@theorem("Eq. 12 of arXiv:2602.05548")
def ddas_magnitude() -> Proof:
    """In every mixed group DDAS has `ddas: sum |A| = G (w sqrt(1 - p) + (1 - w) sqrt(p))` and `ddas: sum A = 0`,
    for every batch mean reward w in [0, 1].
    """
    return proved()


@theorem("Eq. 12 of arXiv:2602.05548")
def ddas_peak_and_height() -> Proof:
    """As a function of p = K/G in [0, 1], sum |A| under DDAS is largest at p* = (1-w)^2 / ((1-w)^2 + w^2), where it
    is G sqrt(w^2 + (1-w)^2), a number in [G/sqrt 2, G], because `ddas: G^2 (w^2 + (1 - w)^2) - (sum |A|)^2 = G (w
    sqrt(K) - (1 - w) sqrt(F))^2`; w is the batch mean reward.
    """
    smallest = Certificate("2*(w**2 + (1 - w)**2) - 1", square="2*w - 1", meaning="height >= 1/sqrt 2")
    largest = Certificate("1 - (w**2 + v**2) - 2*w*v", ("1 - w - v",), ("1 + w + v",), meaning="height <= 1, w, v >= 0")
    trials = (("ddas_peak", {}),)
    return Proof("exact", "", (smallest, largest), named=trials, rests_on="identity for all G")


@theorem("Eq. 13 of arXiv:2602.05548")
def ass_imbalance() -> Proof:
    """In every mixed group ASS, which multiplies the advantages of correct rollouts by min(1, w/alpha) at batch
    mean reward w, has `ass[alpha]: sum A = -(1 - min(1, w/alpha)) G sqrt(p (1 - p))` and `ass[alpha]: sum |A| = (1 +
    min(1, w/alpha)) G sqrt(p (1 - p))`.
    """
    return proved()


@theorem("Eq. 11-13 of arXiv:2602.05548")
def agrae_imbalance() -> Proof:
    """In every mixed group at batch mean reward w, A-GRAE has `agrae[alpha]: sum A = -(1 - min(1, w/alpha)) (G/2)
    (w sqrt(1 - p) + (1 - w) sqrt(p))` and `agrae[alpha]: sum |A| = (1 + min(1, w/alpha)) (G/2) (w sqrt(1 - p) + (1 - w)
    sqrt(p))`, so that sum A is negative while w < alpha, and 0 once w >= alpha.
    """
    return proved()


@theorem("HKU-HealthAI/A-GRAE at c5aa316 against Eq. 12 of arXiv:2602.05548")
def released_easy_factor() -> Proof:
    """The released code divides easy-focused advantages by sqrt(1 - p), as the paper does. (It divides by 1 -
    sqrt(p), and is larger by the factor sqrt((1 + sqrt p)/(1 - sqrt p)).)
    """
    paper = estimators.get("agrae")
    released = estimators.get("agrae_released", ddof=0, eps=0, guard=0)
    a, b = (exact_two_outcomes(e, 7, 8, 0)[1] for e in (paper, released))
    found = {"K": 7, "G": 8, "released / paper": b / a}
    return Proof("fails", "both factors from their code", counterexample=found, named=(("released_factor", {}),))


@theorem("Sec. 2 of arXiv:2602.05548: p = (sum |r|) / G for signed rewards")
def success_rate_of_signed_rewards() -> Proof:
    """Theorem 2, sum |A| = 2 G sqrt(p (1 - p)) with p = sum |r| / G, also holds for rewards in {-1, +1}."""
    rewards = (1, -1)
    found = {"rewards": rewards, "p": 1, "2 G sqrt(p(1-p))": 0}
    found["sum |A|"] = sum(abs(x) for x in exact_advantages(estimators.get("grpo"), rewards))
    trials = (("signed_rewards", {"rewards": list(rewards)}),)
    return Proof("fails", "smallest mixed group", counterexample=found, named=trials)
