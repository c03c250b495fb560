"""The interference law: what an estimator does to pass@k at equal progress, from the base policy alone.

By the master theorem an expected step moves the success of prompt x by sum_q F'(P_q) kappa(x, q), with the kernel
kappa(x, q) = <grad P_x, D grad P_q>. With B(q) = mean_x w_x kappa(x, q), w = k (1 - P)^(k-1), and T(q) = mean_q'
kappa(q', q), the slope d pass@k / d training pass@1 is sum F' B / sum F' T. `dynamics.interference` computes all of it.

Identities are certificates in written-out form, for a few prompts; trials evaluate the estimators' own code, with the
kernel of random policies, in exact numbers.
"""

import itertools
import math
from collections.abc import Sequence
from fractions import Fraction

from ..certificates import Certificate
from ..proofs import Proof, theorem
from ..recheck.trials.base import IDENTITY, POINTS, TO_N

FOCUS = ("positive_dominant", "hard_focused", "grpo", "easy_focused", "negative_dominant")
Vector = tuple[Fraction, ...]


def _names(letter: str, count: int) -> list[str]:
    return [f"{letter}{i}" for i in range(1, count + 1)]


def _sum(terms: Sequence[str]) -> str:
    return "(" + " + ".join(terms) + ")"


@theorem("the master theorem, summed over prompts with shared parameters; kernel as in arXiv:2602.21189")
def slope_is_a_mean_of_exchange_rates() -> Proof:
    """To first order, at equal training pass@1, the slope d pass@k / d pass@1 of an estimator is the mean over
    training prompts q of the exchange rates rho_q = B_q / T_q with weights F'_q T_q. Here a unit step on q adds T_q to
    the training pass@1 and B_q to the watched pass@k, summed over prompts. So estimators differ only in the weights.
    """
    f, t, rho = (_names(letter, 4) for letter in ("F", "T", "rho"))
    mean = _sum([f"{a}*{b}*{r}" for a, b, r in zip(f, t, rho, strict=True)])
    through_b = _sum([f"{a}*B{i}" for i, a in enumerate(f, 1)])
    given = tuple(f"B{i} - {r}*{b}" for i, (r, b) in enumerate(zip(rho, t, strict=True), 1))
    certificate = Certificate(
        f"{through_b} - {mean}", given, tuple(f), meaning="sum F' B = sum (F' T) rho where rho T = B, four prompts"
    )

    how = "certificate for four prompts; steps of the estimators' code on 12 random populations, exact"
    names = ["grpo", "hard_focused", "negative_dominant", "agrae"]
    return Proof("exact", how, (certificate,), named=(("steps_by_exchange_rates", {"names": names}),), rests_on=POINTS)


def _chebyshev(prompts: int) -> Certificate:
    """(sum vTrho)(sum wT) - (sum wTrho)(sum vT) = sum over pairs of T T' (v w' - v' w)(rho - rho')."""
    indices = range(1, prompts + 1)
    sums = {x: _sum([f"{x}{i}*T{i}" for i in indices]) for x in ("v", "w")}
    means = {x: _sum([f"{x}{i}*T{i}*rho{i}" for i in indices]) for x in ("v", "w")}
    pairs = _sum(
        [f"T{i}*T{j}*(v{i}*w{j} - v{j}*w{i})*(rho{i} - rho{j})" for i, j in itertools.combinations(indices, 2)]
    )
    return Certificate(
        f"{means['v']}*{sums['w']} - {means['w']}*{sums['v']} - {pairs}",
        meaning=f"difference of two slopes times their denominators, {prompts} prompts, as a sum over pairs",
    )


@theorem("what sets the sign of the order by focus; Chebyshev's sum inequality")
def exchange_rates_set_the_sign() -> Proof:
    """Let T > 0 and F' > 0 for all training prompts, and let A be harder in focus than B, which means that F'_A /
    F'_B falls with P. If the exchange rate rho = B/T falls with P, A gains at least as much pass@k as B for the same
    training pass@1, to first order; if rho rises, at most as much.
    """
    cases = {name: {key: [str(x) for x in row] for key, row in case.items()} for name, case in COUNTEREXAMPLES.items()}
    dropped = {
        f"{name}: {key}": ", ".join(map(str, case[key])) for name, case in COUNTEREXAMPLES.items() for key in case
    }
    return Proof(
        "holds when",
        "certificates for 2, 3 and 4 prompts; every case of three prompts with T, F'_B in {1, 2} and ratio, rho in "
        "{1, 2, 3}; counterexamples",
        tuple(_chebyshev(n) for n in (2, 3, 4)),
        dropped,
        "T > 0, and both F'_A / F'_B and rho are monotone in P; with two classes of prompts it is an iff",
        named=(("monotone_rates", {"dropped": cases}),),
        rests_on=POINTS,
    )


def _case(**rows: tuple[int, ...]) -> dict[str, Vector]:
    return {key: tuple(map(Fraction, values)) for key, values in rows.items()}


COUNTEREXAMPLES: dict[str, dict[str, Vector]] = {
    # prompts in order of P; v is the harder in focus, rho falls, and v still loses
    "T not positive": _case(T=(-1, 4), v=(2, 1), w=(1, 1), rho=(1, 0)),
    "ratio of F' not monotone": _case(T=(1, 1, 1), v=(2, 1, 6), w=(1, 1, 1), rho=(3, 2, 0)),
    "rho not monotone": _case(T=(1, 1, 1), v=(3, 2, 1), w=(1, 1, 1), rho=(1, 0, 4)),
}
"""Smallest cases in which one premise of `exchange_rates_set_the_sign` is dropped and the conclusion fails."""


@theorem("monotone likelihood ratio of the binomial")
def focus_is_ordered_by_marginal_values() -> Proof:
    """If at some G the ratio of the marginal values d_j of estimator A to those of B falls with j, then F'_A / F'_B
    falls with P at that G. So Hard-Focused and Positive-Dominant are harder in focus than GRPO, which is harder than
    Easy-Focused and Negative-Dominant.
    """
    numerator, denominator = (
        _sum([f"{x}{j}*{math.comb(3, j)}*y**{j}" if j else f"{x}0" for j in range(4)]) for x in "ab"
    )
    up, down = (
        _sum([f"{j}*{x}{j}*{math.comb(3, j)}*y**{j - 1}" if j > 1 else f"3*{x}1" for j in range(1, 4)]) for x in "ab"
    )
    pairs = _sum(
        [
            f"{(j - i) * math.comb(3, i) * math.comb(3, j)}*y**{i + j - 1}*(a{j}*b{i} - a{i}*b{j})"
            if i + j > 1
            else "3*(a1*b0 - a0*b1)"
            for i, j in itertools.combinations(range(4), 2)
        ]
    )
    certificate = Certificate(
        f"{up}*{denominator} - {numerator}*{down} - {pairs}",
        meaning="derivative of F'_A / F'_B by the odds y = P / (1 - P), times a square: a sum over pairs i < j, G = 4",
    )

    how = "certificate at G = 4; exact marginal values of the code, G = 4..16"
    pairs_of_focus = [["positive_dominant", "grpo"], ["hard_focused", "grpo"], *(["grpo", n] for n in FOCUS[3:])]
    return Proof("exact", how, (certificate,), named=(("focus_order", {"pairs": pairs_of_focus}),), rests_on=TO_N)


@theorem("Cauchy-Schwarz in the kernel's inner product")
def tilting_to_hard_prompts_never_hurts_what_is_trained() -> Proof:
    """Let pass@k be watched on the training prompts themselves, K be their interference kernel, and w_q = k (1 -
    P_q)^(k-1). Giving REINFORCE the weights 1 + e w does not lower the slope d pass@k / d pass@1 to first order in e,
    since its derivative at e = 0 is [w'Kw 1'K1 - (1'Kw)^2] / (1'K1)^2 >= 0.
    """
    rows = range(1, 4)
    a = [_sum([f"w{q}*g{q}{i}" for q in rows]) for i in (1, 2)]  # J'w for three prompts and two parameters
    b = [_sum([f"g{q}{i}" for q in rows]) for i in (1, 2)]

    def form(left, right):
        kernel = [[f"(g{q}1*g{r}1 + g{q}2*g{r}2)" for r in rows] for q in rows]
        return _sum([f"{left(q)}*{kernel[q - 1][r - 1]}*{right(r)}" for q in rows for r in rows])

    w, one = (lambda q: f"w{q}"), (lambda q: "1")
    square = f"{a[0]}*{b[1]} - {a[1]}*{b[0]}"
    certificates = (
        Certificate(
            f"{form(w, w)}*{form(one, one)} - {form(w, one)}**2",
            square=square,
            meaning="w'Kw 1'K1 - (1'Kw)^2 with K = J J', three prompts, two parameters",
        ),
        Certificate(
            "(b + e*c)*a - (a + e*b)*b - e*(a*c - b**2)",
            meaning="slope(e) - slope(0) over common denominators; a = 1'K1, b = 1'Kw, c = w'Kw",
        ),
    )

    how = "sum-of-squares certificate for three prompts and two parameters; exact tilts of 4 random populations"
    return Proof("exact", how, certificates, named=(("tilted_on_what_is_trained", {}),), rests_on=POINTS)


@theorem("the smallest population with an order: two classes")
def two_classes_favour_hard_focus() -> Proof:
    """Let pass@k be watched on the training prompts themselves, which are of two classes, H and E, with weights d
    pass@k / dP of w_H > w_E. Then more weight on H raises d pass@k / d pass@1 iff kappa_HH kappa_EE > kappa_EH^2. A
    kernel never has the left side below the right one, and has equality only if both classes share one direction.
    """
    top = "((wH*HH + wE*EH)*v + (wH*EH + wE*EE))"
    bottom = "((HH + EH)*v + (EH + EE))"
    certificates = (
        Certificate(
            f"(wH*HH + wE*EH)*{bottom} - {top}*(HH + EH) - (wH - wE)*(HH*EE - EH**2)",
            meaning="numerator of the derivative of the slope by v = F'_H / F'_E; HH, EH, EE the kernel of the classes",
        ),
        Certificate(
            "(a1**2 + a2**2)*(b1**2 + b2**2) - (a1*b1 + a2*b2)**2",
            square="a1*b2 - a2*b1",
            meaning="kappa_HH kappa_EE - kappa_EH^2 for gradients a, b: 0 only if they are parallel",
        ),
    )
    return Proof("exact", "certificates", certificates)


@theorem("held-out prompts: the order can turn")
def own_directions_turn_the_order() -> Proof:
    """Let n_E easy and n_H hard training prompts have gradients V_E and V_H times the sum of a unit vector of their
    class, the two classes at angle phi, and a direction of their own, of squared length s, that no held-out prompt
    shares. At large k hard focus then keeps more held-out pass@k than easy focus, to first order. (It does iff n_E V_E
    sin^2 phi + s (V_E - V_H cos phi) > 0.)
    """
    # gradients V (u_class + own); watched prompts have other own directions, so only u matters to them
    t_h = "(V_H*(nH + s) + V_E*nE*c)"
    t_e = "(V_E*(nE + s) + V_H*nH*c)"
    b_h, b_e = "nH*w*V_H", "nH*w*V_H*c"
    claim = f"{b_h}*{t_e} - {b_e}*{t_h} - nH*w*V_H*(nE*V_E*(1 - c**2) + s*(V_E - V_H*c))"
    certificate = Certificate(claim, meaning="rho_H - rho_E times T_H T_E over V_H V_E; c = cos phi, w_E = 0")

    when = "cos phi < V_E / V_H, or own directions are short: s < n_E V_E sin^2 phi / (V_H cos phi - V_E)"
    trials = (("own_directions", {"example": {name: str(x) for name, x in OWN_DIRECTIONS.items()}}),)
    how = "certificate; exact example"
    return Proof("holds when", how, (certificate,), OWN_DIRECTIONS, when, named=trials, rests_on=IDENTITY)


OWN_DIRECTIONS = {
    "V_H": Fraction(4, 25),
    "V_E": Fraction(9, 100),
    "c": Fraction(4, 5),
    "s": Fraction(2),
}
"""One hard prompt (P = 1/5) and one easy (P = 9/10) at cos phi = 4/5, own directions of squared length 2."""


@theorem("GRPO below its base, to first order")
def falling_below_the_base_needs_negative_interference() -> Proof:
    """Under an estimator with F' > 0 a step lowers pass@k, to first order: sum_q F'_q B_q < 0, where B_q is what a
    unit step on prompt q adds to the watched pass@k. (It never does if no entry kappa of the interference kernel is
    negative. With a hard and an easy class and large k it does iff kappa_HE < -(F'_H / F'_E) kappa_HH.)
    """
    certificate = Certificate(
        "wH*(FH*HH + FE*HE) - wH*FE*(HE - bound)",
        ("FE*bound + FH*HH",),
        ("wH",),
        meaning="d pass@k of two classes with w_E = 0; negative iff kappa_HE is below bound = -(F'_H / F'_E) kappa_HH",
    )

    example = {"kappa_HH": Fraction(1), "kappa_HE": Fraction(-11, 10), "F'_H / F'_E of GRPO at P = 1/10, 9/10": 1}
    when = "a step on easy prompts costs hard ones more than these gain from their own: F'_E |kappa_HE| > F'_H kappa_HH"
    hh, he, ratio = map(str, example.values())
    trials = (("below_the_base", {"names": list(FOCUS), "hh": hh, "he": he, "ratio": ratio}),)
    how = "certificate; exact F' of the code"
    return Proof("holds when", how, (certificate,), example, when, named=trials, rests_on=IDENTITY)
