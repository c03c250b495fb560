"""Theorem 1: what one step does to the logits of a tabular policy, and what it does to the probabilities.

For behaviours b with pi = softmax(h), a group that draws b n_b times, and J = sum_i A_i log pi(o_i) (Eq. 6, 24-29 of
arXiv:2602.05548, read with multiplicities), one gradient step of size eta on the group sum moves

    logits          dh_b = eta g_b,  g_b = n_b A_b - C pi_b,  C = sum_i A_i
    log pi          d log pi_b = eta (g_b - sum_c pi_c g_c) + O(eta^2)
    success rate    dP = eta Cov_pi(f, g) + O(eta^2)

The functions take and return exact numbers (Fraction, Surd) or floats alike.
"""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from functools import partial
from typing import Any

import sympy

from ... import estimators
from ...errors import InputError
from ...estimators import Estimator
from ...metrics.slope import named
from ..algebra import NotProved, certify
from ..certificates import Certificate
from ..proofs import Proof, theorem, theorem_of_each_estimator
from ..surds import Surd, surd
from ..symbols import Expr, F, K, beta, exact_two_outcomes, two_outcomes

GRPO, NEGATIVE = "grpo", "negative_dominant"


def group_advantages(counts: Sequence[int], correct: Sequence[int], estimator: str | Estimator, omega: Any) -> list:
    """Advantage of each behaviour (A+ or A-) in the group that draws it `counts` times; exact numbers, shape [N]."""
    right = sum(n for n, f in zip(counts, correct, strict=True) if f)
    plus, minus = exact_two_outcomes(named(estimator), right, sum(counts), omega)
    return [plus if f else minus for f in correct]


def logit_update(
    policy: Sequence[Any],
    counts: Sequence[int],
    correct: Sequence[int],
    estimator: str | Estimator,
    omega: Any = Fraction(1, 3),
) -> list[Surd]:
    """g_b = n_b A_b - C pi_b (Theorem 1, Eq. 6 of arXiv:2602.05548, with multiplicities), exact, shape [N].

    `policy` are the probabilities pi_b, `counts` the draws n_b, `correct` the outcomes f_b in {0, 1}.

    >>> half, tenth = Fraction(1, 2), Fraction(1, 10)
    >>> logit_update([half, 3 * tenth, 2 * tenth], [1, 1, 0], [1, 0, 0], "negative_dominant")
    [11/20, -73/100, 9/50]
    """
    if not len(policy) == len(counts) == len(correct):
        raise InputError(
            f"policy, counts and correct must have one length, got {len(policy)}, {len(counts)} and {len(correct)}"
        )
    a = group_advantages(counts, correct, estimator, omega)
    c = sum((n * x for n, x in zip(counts, a, strict=True)), surd(0))
    return [n * x - c * pi for n, x, pi in zip(counts, a, policy, strict=True)]


def log_prob_update(policy: Sequence[Any], logits: Sequence[Any]) -> list[Any]:
    """d log pi_b / eta = g_b - sum_c pi_c g_c for a small step along `logits` g, shape [N]."""
    mean = sum(pi * g for pi, g in zip(policy, logits, strict=True))
    return [g - mean for g in logits]


def success_update(policy: Sequence[Any], correct: Sequence[int], logits: Sequence[Any]) -> Any:
    """dP / eta = Cov_pi(f, g) for a small step along `logits` g."""
    moved = log_prob_update(policy, logits)
    return sum(pi * d for pi, d, f in zip(policy, moved, correct, strict=True) if f)


def underdrawn_probability(P: float, pi_b: float, size: int, beta: float = 10) -> float:
    """Pr(0 < K < G, and n_b < (1 - 1/beta)(G - K) pi_b): how often Negative-Dominant lifts the logit of a wrong b.

    n_b = 0 is included. A wrong behaviour of probability `pi_b` is lifted exactly in these groups (Case B of B.5);
    the value is conditional on a mixed group.

    >>> round(underdrawn_probability(0.3, 0.5, 8), 4)
    0.1022
    """
    from scipy.stats import binom

    total = 0.0
    for k in range(1, size):
        wrong = size - k
        limit = (1 - 1 / beta) * wrong * pi_b
        below = binom.cdf(math.ceil(limit) - 1, wrong, pi_b / (1 - P))
        total += float(binom.pmf(k, size, P) * below)
    return total / (1 - P**size - (1 - P) ** size)


@theorem("Theorem 1, Eq. 6 and 24-29 of arXiv:2602.05548")
def logit_update_formula() -> Proof:
    """dh_b = eta (n_b A_b - C pi_b), n_b being how often b was drawn: Theorem 1 with multiplicities."""
    pi, n, a, step = _softmax_step(4)
    c = sum(x * y for x, y in zip(n, a, strict=True))
    certificates = tuple(certify(step[b] - (n[b] * a[b] - c * pi[b]), f"logit {b}") for b in range(4))
    found = {"drawn": "one right b, one wrong b' twice", "K": 1, "G": 3}
    plus, minus = exact_two_outcomes(estimators.get(GRPO), 1, 3)
    found |= {"C over the set {b, b'}": plus + minus, "C over the group": plus + 2 * minus}

    def trials() -> Iterator[bool]:
        yield plus + minus != 0 and plus + 2 * minus == 0
        for size in range(2, 3):  # no smaller mixed group repeats a behaviour
            yield all(k <= 1 and size - k <= 1 for k in range(1, size))

    when = "b in G is counted with multiplicity; as a set the sum of A under GRPO is not 0"
    return Proof("holds when", "derivative of log softmax, certified", certificates, trials, found, when)


def _softmax_step(arms: int):
    """pi, n, A as symbols, and d/dh_b sum_c n_c A_c log pi_c by differentiation of the log softmax."""
    h, n, a, e = (sympy.symbols(f"{name}1:{arms + 1}") for name in "hnAe")
    total: Expr = sum(sympy.exp(x) for x in h)
    goal: Expr = sum(m * x * (y - sympy.log(total)) for m, x, y in zip(n, a, h, strict=True))
    free = {sympy.exp(x): y for x, y in zip(h, e, strict=True)}
    step = [goal.diff(x).subs(free) for x in h]
    return [x / sum(e) for x in e], n, a, step


@theorem("Eq. 26-29 of arXiv:2602.05548, carried on to probabilities")
def log_probability_update_formula() -> Proof:
    """d log pi_b = eta [n_b A_b - C pi_b - sum_i A_i pi(o_i) + C sum_c pi_c^2] to first order, for every estimator."""
    pi, n, a, step = _softmax_step(3)
    c = sum(x * y for x, y in zip(n, a, strict=True))
    drawn = sum(x * y * z for x, y, z in zip(n, a, pi, strict=True))
    norm = sum(x**2 for x in pi)
    moved = log_prob_update(pi, step)
    claims = (moved[b] - (n[b] * a[b] - c * pi[b] - drawn + c * norm) for b in range(3))
    return Proof("exact", "certificate", tuple(certify(claim, f"log pi_{b}") for b, claim in enumerate(claims)))


@theorem("Theorem 1, cases A, B and C (Eq. 7-9) of arXiv:2602.05548, for logits")
def cases_of_logits() -> Proof:
    """Under GRPO the logits of drawn right behaviours rise, those of drawn wrong ones fall, undrawn ones stay."""
    plus, minus = two_outcomes(estimators.get(GRPO))
    n, pi = sympy.symbols("n pi")
    balance = K * plus + F * minus
    certificates = (
        certify(balance, "C"),
        certify((n * plus - balance * pi) - n * sympy.sqrt(F / K), "right: n_b sqrt(F/K) > 0"),
        certify((n * minus - balance * pi) + n * sympy.sqrt(K / F), "wrong: -n_b sqrt(K/F) < 0"),
        certify(0 * plus - balance * pi, "undrawn: 0"),
    )

    def trials() -> Iterator[bool]:
        for policy, correct, counts in small_steps(arms=4, largest=4, denominator=5):
            g = logit_update(policy, counts, correct, GRPO)
            yield all((x > 0 if f else x < 0) if n else x == 0 for x, f, n in zip(g, correct, counts, strict=True))

    return Proof("exact", "certificates for symbolic G and n_b; all small groups", certificates, trials)


Step = tuple[list[Fraction], tuple[int, ...], tuple[int, ...]]


def small_steps(arms: int, largest: int, denominator: int) -> Iterator[Step]:
    """(policy, correct, counts) of mixed groups by growing G, then denominator of the policy: small examples first."""
    for size in range(2, largest + 1):
        for d in range(arms, denominator + 1):
            for weights in itertools.product(range(1, d), repeat=arms - 1):
                if sum(weights) < d:
                    policy = [Fraction(x, d) for x in (*weights, d - sum(weights))]
                    for right_arms in range(1, arms):  # the policies run over all orders already
                        correct = (1,) * right_arms + (0,) * (arms - right_arms)
                        for counts in itertools.product(range(size + 1), repeat=arms):
                            right = sum(n * f for n, f in zip(counts, correct, strict=True))
                            if sum(counts) == size and 0 < right < size:
                                yield policy, correct, counts


def _find(estimator: str, wanted: Callable[[int, int], bool], wrong_way: Callable[[Surd], bool], kind: str) -> Proof:
    """Proof by the smallest step in which a behaviour with (f_b, n_b) `wanted` moves the `wrong_way`."""
    for policy, correct, counts in small_steps(arms=3, largest=6, denominator=10):
        if not any(wanted(f, n) for f, n in zip(correct, counts, strict=True)):
            continue
        moved = log_prob_update(policy, logit_update(policy, counts, correct, estimator))
        for f, n, d in zip(correct, counts, moved, strict=True):
            if wanted(f, n) and wrong_way(d):
                found = {"pi": policy, "correct": correct, "counts": counts, "d log pi / eta": moved}
                trials = partial(_moves, estimator, found, wanted, wrong_way)
                return Proof("fails", f"smallest {kind}", (), trials, found)
    raise NotProved("no counterexample with three behaviours, G <= 6 and denominators up to 10")


def _moves(estimator: str, found: dict, wanted: Callable, wrong_way: Callable) -> Iterator[bool]:
    """Recompute the step from the expanded formula, and by a finite difference of the softmax."""
    pi, correct, counts = found["pi"], found["correct"], found["counts"]
    a = group_advantages(counts, correct, estimator, Fraction(1, 3))
    c = sum((n * x for n, x in zip(counts, a, strict=True)), surd(0))
    drawn = sum((n * x * y for n, x, y in zip(counts, a, pi, strict=True)), surd(0))
    moved = [n * x - c * y - drawn + c * sum(z * z for z in pi) for n, x, y in zip(counts, a, pi, strict=True)]
    yield moved == found["d log pi / eta"]
    yield any(wanted(f, n) and wrong_way(d) for f, n, d in zip(correct, counts, moved, strict=True))
    weights = [float(x) * math.exp(1e-6 * float(n * y - c * x)) for n, x, y in zip(counts, pi, a, strict=True)]
    step = [(math.log(w / sum(weights)) - math.log(x)) / 1e-6 for w, x in zip(weights, pi, strict=True)]
    yield all(abs(s - float(d)) < 1e-4 for s, d in zip(step, moved, strict=True))  # O(eta) curvature


@theorem("Theorem 1, case A of arXiv:2602.05548, 'strictly increasing their probability'")
def case_a_of_probabilities() -> Proof:
    """Under GRPO every drawn right behaviour gains probability. (It loses iff its share n_b/K < m+ - m-.)"""
    return _find(GRPO, lambda f, n: bool(f and n), lambda d: d < 0, "group in which a drawn right behaviour loses")


@theorem("Theorem 1, case B of arXiv:2602.05548, for probabilities")
def case_b_of_probabilities() -> Proof:
    """Under GRPO every drawn wrong behaviour loses probability. (It gains iff its share n_b/(G-K) < m- - m+.)"""
    return _find(GRPO, lambda f, n: bool(not f and n), lambda d: d > 0, "group in which a drawn wrong behaviour gains")


@theorem("B.5, Case C of arXiv:2602.05548: 'remain constant under GRPO'")
def case_c_of_probabilities() -> Proof:
    """Under GRPO the probabilities of undrawn behaviours remain constant."""
    return _find(GRPO, lambda f, n: n == 0, lambda d: d != 0, "group that moves an undrawn behaviour")


@theorem("B.5, Case C of arXiv:2602.05548: 'output probabilities of all unsampled responses increase'")
def negative_dominant_lifts_undrawn_probabilities() -> Proof:
    """Under Negative-Dominant the probabilities of all undrawn behaviours increase."""
    return _find(NEGATIVE, lambda f, n: n == 0, lambda d: d < 0, "group in which an undrawn behaviour loses")


@theorem("B.5, Case A of arXiv:2602.05548 under Negative-Dominant")
def negative_dominant_case_a_of_probabilities() -> Proof:
    """Under Negative-Dominant every drawn right behaviour gains probability."""
    return _find(NEGATIVE, lambda f, n: bool(f and n), lambda d: d < 0, "group in which a drawn right behaviour loses")


@theorem("B.5, Case B of arXiv:2602.05548: 'logits of overconfident negatives can be increased'")
def negative_dominant_lifts_underdrawn_wrong_logits() -> Proof:
    """Under Negative-Dominant the logit of a drawn wrong b rises iff n_b < (1 - 1/beta)(G - K) pi_b."""
    n, pi = sympy.symbols("n pi")
    plus, minus = two_outcomes(estimators.get(NEGATIVE, beta=beta))
    step = n * minus - (K * plus + F * minus) * pi
    identity = certify(step - sympy.sqrt(K / F) * ((1 - 1 / beta) * F * pi - n), "dh_b = sqrt(K/F) [...]")
    found = {"G": 8, "K": 4, "beta": 10, "pi_b": Fraction(1, 2), "dh_b / eta for n_b = 1..4": _example_of_case_b()}
    when = "n_b < (1 - 1/beta)(G - K) pi_b: b is drawn less often than its probability"
    expected = [Fraction(4 - 5 * (m - 1), 5) for m in range(1, 5)]
    return Proof("holds when", "certificate", (identity,), lambda: [_example_of_case_b() == expected], found, when)


def _example_of_case_b() -> list[Surd]:
    half = Fraction(1, 2)
    rest = Fraction(1, 4)
    return [logit_update([rest, half, rest], [4, n, 4 - n], [1, 0, 0], NEGATIVE)[1] for n in range(1, 5)]


@theorem("Sec. 3 and B.5 of arXiv:2602.05548: C < 0 as an exploration bonus")
def imbalance_bonus_sharpens() -> Proof:
    """The term -C pi_b with C < 0 lifts only b with pi_b > sum pi^2, and alone never raises entropy."""
    pi, l = sympy.symbols("pi1:4"), sympy.symbols("l1:4")
    one = {pi[2]: 1 - pi[0] - pi[1]}
    mean = lambda x: sum(p * y for p, y in zip(pi, x, strict=True))  # noqa: E731
    covariance = mean([x * y for x, y in zip(l, pi, strict=True)]) - mean(l) * mean(pi)
    pairs = sum(
        pi[i] * pi[j] * (l[i] - l[j]) * (pi[i] - pi[j]) for i, j in itertools.combinations(range(3), 2)
    )  # each >= 0 for l = log pi: the entropy change is -eta |C| times this
    moved = log_prob_update(pi, pi)
    certificates = (
        certify(covariance - pairs, "Cov(log pi, pi) is a sum of non-negative pairs", one),
        certify(moved[0] - (pi[0] - sum(x**2 for x in pi)), "d log pi_b = eta |C| (pi_b - sum pi^2)", one),
    )

    def trials() -> Iterator[bool]:
        for a, b in itertools.product(range(1, 9), repeat=2):
            policy = [Fraction(a, a + b + 5), Fraction(b, a + b + 5), Fraction(5, a + b + 5)]
            norm = sum(x * x for x in policy)
            yield sum(x * (x - norm) * math.log(x) for x in policy) >= -1e-15

    return Proof("exact", "pair certificate (Chebyshev's sum)", certificates, trials)


@theorem("Theorem 1 of arXiv:2602.05548: what C = 0 means")
def zero_sum_and_signs_give_sure_improvement() -> Proof:
    """If A+ >= 0 >= A- and C = 0, then every group and every step size keeps P' >= P in a tabular policy."""
    claim = "(pi3 + pi4)*(pi1*(1 + u1) + pi2*(1 + u2)) - (pi1 + pi2)*(pi3*(1 - v1) + pi4*(1 - v2))"
    gain = "(pi3 + pi4)*(pi1*u1 + pi2*u2) + (pi1 + pi2)*(pi3*v1 + pi4*v2)"
    meaning = (
        "weights of right behaviours are multiplied by 1 + u, of wrong ones by 1 - v, with u, v >= 0 because C = 0; "
        "P'/(1-P') >= P/(1-P) iff the claim is >= 0, and it equals a sum of non-negative products"
    )
    certificate = Certificate(f"{claim} - ({gain})", meaning=meaning)

    def trials() -> Iterator[bool]:
        for policy, correct, counts in small_steps(arms=4, largest=3, denominator=6):
            yield success_update(policy, correct, logit_update(policy, counts, correct, GRPO)) >= 0

    return Proof("exact", "certificate; all small groups under GRPO", (certificate,), trials)


@theorem_of_each_estimator("the converse of group symmetry (Eq. 5 of arXiv:2602.05548)")
def sure_improvement(estimator: Estimator) -> Proof:
    """Under NAME no group lowers the success probability of a tabular policy, to first order in the step."""
    for policy, counts in _concentrated_steps(estimator):
        correct = (1, 1, 0, 0)
        dp = success_update(policy, correct, logit_update(policy, counts, correct, estimator))
        if dp < 0:
            found = {"pi": policy, "correct": correct, "counts": counts, "dP / eta": dp}
            return Proof("fails", "smallest group found that lowers P", (), partial(_falls, estimator, found), found)
    try:
        plus, minus = two_outcomes(estimator)
        certificate = certify(K * plus + F * minus, f"C of {estimator.name}")
    except NotProved:
        raise NotProved(f"{estimator.name} is not zero-sum, and no regress was found") from None
    return Proof(
        "exact",
        "C = 0 and A+ >= 0 >= A- (see zero_sum_and_signs_give_sure_improvement)",
        (certificate,),
        lambda: _right_signs(estimator),
    )


def _concentrated_steps(estimator: Estimator) -> Iterator[tuple[list[Fraction], tuple[int, int, int, int]]]:
    """Policies over (drawn right, undrawn right, drawn wrong, undrawn wrong) with most mass left undrawn."""
    smallest = max(2, estimator.min_size, estimator.params.get("k", 1))
    for d, size in itertools.product((6, 12, 24, 48, 96), range(smallest, smallest + 3)):
        for right in range(size + 1):
            for masses in ((1, d - 3, 1, 1), (1, 1, 1, d - 3), (1, d // 2, 1, d - 2 - d // 2)):
                yield [Fraction(m, d) for m in masses], (right, 0, size - right, 0)


def _falls(estimator: Estimator, found: dict) -> Iterator[bool]:
    """Whether a finite step (eta = 10^-4) on the softmax weights lowers P for the stored policy and group."""
    g = logit_update(found["pi"], found["counts"], found["correct"], estimator)
    weights = [float(x) * math.exp(1e-4 * float(y)) for x, y in zip(found["pi"], g, strict=True)]
    before = float(sum(x for x, f in zip(found["pi"], found["correct"], strict=True) if f))
    after = sum(w for w, f in zip(weights, found["correct"], strict=True) if f) / sum(weights)
    yield after < before and found["dP / eta"] < 0


def _right_signs(estimator: Estimator) -> Iterator[bool]:
    """A+ >= 0 >= A- and C = 0 in every group up to G = 12, those of equal rewards included."""
    for size in range(max(2, estimator.params.get("k", 1)), 13):
        for k in range(size + 1):
            plus, minus = exact_two_outcomes(estimator, k, size)
            yield plus >= 0 >= minus and k * plus + (size - k) * minus == 0


@theorem("Sec. 4 of arXiv:2602.05548, Negative-Dominant on a concentrated policy")
def negative_dominant_can_regress() -> Proof:
    """There are groups that raise P under GRPO and lower it under Negative-Dominant: dP/eta = 1/10 against -13/500."""
    tenth = Fraction(1, 10)
    policy, correct = [tenth] * 4 + [Fraction(1, 2), tenth], (1, 1, 1, 1, 0, 0)
    counts = (1, 0, 0, 0, 0, 1)
    dp = {
        name: success_update(policy, correct, logit_update(policy, counts, correct, name)) for name in (GRPO, NEGATIVE)
    }
    found = {"pi": policy, "correct": correct, "counts": counts, **{f"dP/eta of {k}": v for k, v in dp.items()}}
    trials = lambda: [dp[GRPO] == tenth, dp[NEGATIVE] == Fraction(-13, 500)]  # noqa: E731
    return Proof("exact", "exact example", (), trials, found)
