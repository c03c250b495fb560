"""Regimes of training: what a verifier that errs, a placebo, redrawn groups and copies do to the expected update.

Each statement is about the mean of one step from one policy, with the advantages of any estimator unless it says more.
"""

import math

import sympy

from ..algebra import certify
from ..certificates import Certificate
from ..proofs import Proof, theorem
from ..recheck.program import IDENTITY, TO_N
from ..recheck.trials.tables import compositions

TELLING = ["grpo", "rloo", "positive_dominant", "negative_dominant", "hard_focused", "maxrl", "nsr"]
"""Estimators that the enumerations run, one of each kind: zero-sum, leave-one-out, asymmetric, focused, one-sided."""


def _noisy_certificate(size: int) -> Certificate:
    """One logit, two correct behaviours and a wrong one; the verifier accepts them with chance t, t and f."""
    pi, (t, f) = sympy.symbols("pi1:4"), sympy.symbols("t f")
    plus, minus = sympy.symbols(f"a1:{size + 1}"), sympy.symbols(f"b0:{size}")
    # what is drawn is a behaviour and what was said of it: six outcomes
    chances = [x * y for x, said in zip(pi, (t, t, f), strict=True) for y in (said, 1 - said)]
    mean = sympy.Integer(0)
    for counts, ways in compositions(6, size):
        accepted = counts[0] + counts[2] + counts[4]
        up, down = plus[accepted - 1] if accepted else 0, minus[accepted] if accepted < size else 0
        c = accepted * up + (size - accepted) * down
        first = counts[0] * up + counts[1] * down
        mean += ways * math.prod(x**n for x, n in zip(chances, counts, strict=True)) * (first - c * pi[0])
    rate = pi[0] + pi[1]
    seen = f + (t - f) * rate
    slope = sum(
        math.comb(size - 1, j) * seen**j * (1 - seen) ** (size - 1 - j) * (plus[j] - minus[j]) for j in range(size)
    )
    zero = mean - size * (t - f) * slope * pi[0] * (1 - rate)
    return certify(zero, f"logit of a correct behaviour, G = {size}; t, f: chances to accept", {pi[2]: 1 - rate})


@theorem("a verifier with errors of both kinds; the master theorem (arXiv:2510.13651) with Youden's J")
def noisy_verifier() -> Proof:
    """If the verifier accepts a correct rollout with probability t and a wrong one with probability f, the expected
    update is J F'_G(f + J P) grad P with J = t - f. Errors change the success rate at which F' is read and multiply the
    update by J; its direction stays grad P, and turns round if J < 0.
    """
    return Proof(
        "exact",
        "polynomials with symbolic A+, A-, pi, t, f at G = 1, 2",
        (_noisy_certificate(1), _noisy_certificate(2)),
        named=(("noisy_verifier_by_enumeration", {"names": TELLING}),),
        rests_on=TO_N,
    )


@theorem("rewards at random (arXiv:2506.10947 reports gains from them)")
def placebo_has_no_drift_but_noise() -> Proof:
    """If the rewards are independent of the rollouts, the expected update is 0 to first order, and its second
    moment is (1/G^2) E[sum A^2] times the Fisher matrix of the policy. With rewards that are 1 with probability P and 0
    with probability Q = 1 - P, GRPO has E[sum A^2] = G (1 - P^G - Q^G), as `grpo: sum A^2 = G` in mixed groups.
    """
    drift = Certificate(
        "A*(x*(1 - x) - y*x - z*x)",
        ("x + y + z - 1",),
        ("-A*x",),
        meaning="E[A (1[o = b] - pi_b)] with A independent of o, three behaviours of probability x, y, z",
    )
    cross = Certificate(
        "A*B*(x*(1 - x) - y*x - z*x)*(x*(1 - x) - y*x - z*x)",
        ("x + y + z - 1",),
        ("-A*B*x*(x*(1 - x) - y*x - z*x)",),
        meaning="two rollouts of a group: E[A_i A_j s_i s_j] = E[A_i A_j] E[s]^2 = 0, so only squares remain",
    )
    return Proof(
        "exact",
        "scores have mean 0; groups enumerated with the code's advantages",
        (drift, cross),
        named=(("placebo_by_enumeration", {"names": TELLING}),),
        rests_on=IDENTITY,
    )


@theorem("second order of the step under a placebo; for arXiv:2506.10947")
def placebo_drifts_at_second_order() -> Proof:
    """If the rewards are independent of the rollouts, a step of size eta on a logit for each behaviour has E[d
    pi_b] = (eta^2 v / 2) pi_b [(1 + 2 s2)(pi_b - s2) - 3 (pi_b^2 - s3)] + O(eta^3), with v = E[sum A^2] / G^2 and s_n =
    sum_c pi_c^n, so that noise alone moves pass@1. Of two behaviours the likelier one loses: pi_b [...] is 4 pi^2 (1 -
    pi)^2 (1 - 2 pi). Where all behaviours are rare, those with pi_b > s2 gain, to leading order.
    """
    spread = Certificate(
        "x*(1 - x)**2 + (s3 - x**3) - (x - s2)**2 - V - ((1 + 2*s2)*(x - s2) - 3*(x**2 - s3))",
        ("V - (s2 - 2*s3 + s2**2)",),
        ("-1",),
        meaning="x = pi_b, Cov g = v (diag pi - pi pi^T): E (g_b - sum_c pi_c g_c)^2 / v is sum_c pi_c w_c^2 less the "
        "square of sum_c pi_c w_c, w_c = 1[c = b] - pi_c, and V is its mean under pi; their difference is twice the "
        "drift of log pi_b over eta^2 v: any number of behaviours",
    )
    x = sympy.Symbol("x")
    y = 1 - x
    s2, s3 = x**2 + y**2, x**3 + y**3
    two = x * ((1 + 2 * s2) * (x - s2) - 3 * (x**2 - s3)) - 4 * x**2 * y**2 * (1 - 2 * x)
    return Proof(
        "exact",
        "a polynomial in the policy; the power series of every group's step",
        (spread, certify(two, "drift of pi_b over eta^2 v / 2, two behaviours x, 1 - x", {})),
        named=(("placebo_at_second_order", {}),),
        rests_on=TO_N,
    )


@theorem("DAPO (arXiv:2503.14476), dynamic sampling")
def redrawing_costs_what_it_gains() -> Proof:
    """Let a group be drawn again until it is mixed, at most T times in all, and let the estimator give A = 0 to
    groups of equal rewards. The expected update is then F'_G grad P times 1 + d + ... + d^(T-1) with d = P^G + (1-P)^G,
    and the mean number of groups drawn is the same sum. So a prompt gains nothing per rollout; what changes is how much
    of the batch each prompt takes.
    """
    series = Certificate(
        "(1 - d)*(S + x) - (1 - d*x)",
        ("(1 - d)*S - (1 - x)",),
        ("1",),
        meaning="x = d^T and S = 1 + d + ... + d^(T-1); (1 - d) S = 1 - x is the chance that one of T is "
        "mixed; one draw more adds x to S; T = 1 is (1 - d) 1 = 1 - d",
    )
    return Proof(
        "exact",
        "geometric series by induction; two draws of every group enumerated",
        (series,),
        named=(("redrawn_by_enumeration", {"names": ["grpo", "rloo", "positive_dominant", "maxrl"]}),),
        rests_on=TO_N,
    )


@theorem("duplicated rollouts: every worker draws the same (no statement in the literature)")
def copies_shrink_the_group() -> Proof:
    """If a group of G rollouts holds c copies of each of G/c rollouts, and the estimator's advantages do not change
    when all rollouts are copied (as under GRPO), then the expected update is F'_(G/c)(P) grad P: the group acts as one
    of its distinct rollouts.
    """
    return Proof(
        "exact",
        "groups of copies enumerated in exact numbers",
        named=(
            ("copies_by_enumeration", {"names": ["grpo", "dr_grpo", "positive_dominant", "hard_focused", "maxrl"]}),
        ),
        rests_on=TO_N,
    )


@theorem("Eq. 1 of arXiv:2602.05548: the k3 estimate of the KL term (GRPO, arXiv:2402.03300)")
def kl_penalty_of_grpo_is_the_forward_one() -> Proof:
    """On policy, the gradient of GRPO's k3 penalty r - log r - 1 with r = pi_base / pi has the mean grad KL(pi_base
    || pi), not grad KL(pi || pi_base). For a logit per behaviour this mean is pi - pi_base.
    """
    mean = Certificate(
        "(x - u) - x*(S - T) - (x - u)",
        ("S - 1", "T - 1"),
        ("-x", "x"),
        meaning="x = pi_b, u = base_b, S and T the sums of pi and of base: E[(1 - r) grad log pi] is sum_c (pi_c - "
        "base_c)(1[c = b] - x): any number of behaviours",
    )
    forward = Certificate(
        "-u + T*e*z - (x - u)",
        ("x - e*z", "T - 1"),
        ("-1", "e*z"),
        meaning="e = exp h_b, z = 1/sum exp h: d/dh_b sum_c base_c (log base_c - h_c + log sum exp h) is -u + T e z",
    )
    return Proof("exact", "", (mean, forward), named=(("forward_kl", {}),), rests_on=IDENTITY)
