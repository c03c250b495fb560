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
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

from ... import estimators
from ...errors import InputError
from ...estimators import Estimator
from ...metrics.slope import named
from ..algebra import NotProved
from ..certificates import Certificate
from ..exact import exact_two_outcomes
from ..proofs import Proof, same, theorem, theorem_of_each_estimator
from ..recheck import groups
from ..recheck.trials.base import IDENTITY, POINTS
from ..recheck.trials.steps import small_steps
from ..surds import Surd, surd
from .identities import BY_LENGTH, spec_of, total, unbalanced_group, where_k_counts

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
    """One gradient step on sum_i A_i log pi(o_i), with a logit h_b for each behaviour b, changes it by dh_b = eta
    (n_b A_b - C pi_b), where n_b says how often the group drew b and C = sum A: Theorem 1.
    """
    gradient = Certificate(
        "(m - T*x*z) - (m - C*pi)",
        ("pi - x*z", "T - C"),
        ("C", "-(x*z)"),
        meaning="x = exp h_b, z = 1/sum exp h, pi = x z, m = n_b A_b: d/dh_b sum_c n_c A_c (h_c - log sum exp h) is "
        "m - T x z with T = sum_c n_c A_c, which is C: any number of behaviours",
    )
    found = {"drawn": "one correct b, one wrong b' twice", "K": 1, "G": 3}
    plus, minus = exact_two_outcomes(estimators.get(GRPO), 1, 3)
    found |= {"C over the set {b, b'}": plus + minus, "C over the group": plus + 2 * minus}
    when = "each behaviour counts as often as it was drawn; over the set of drawn behaviours GRPO's A need not sum to 0"
    trials = (("set_and_multiset", {}),)
    return Proof(
        "holds when",
        "derivative of log softmax",
        (gradient,),
        counterexample=found,
        when=when,
        named=trials,
        rests_on=IDENTITY,
    )


@theorem("Eq. 26-29 of arXiv:2602.05548, carried on to probabilities")
def log_probability_update_formula() -> Proof:
    """One gradient step on sum_i A_i log pi(o_i), with a logit for each behaviour, changes log pi_b to first order
    by eta [n_b A_b - C pi_b - sum_i A_i pi(o_i) + C sum_c pi_c^2], for every estimator; n_b says how often the group
    drew b, and C = sum A.
    """
    meaning = (
        "g_b = n_b A_b - C pi_b and d log pi_b = g_b - sum_c pi_c g_c, D = sum_c pi_c n_c A_c = sum_i A_i pi(o_i) "
        "and S = sum_c pi_c^2, so sum_c pi_c g_c = M = D - C S: any number of behaviours"
    )
    certificate = Certificate("(x - C*pi - M) - (x - C*pi - D + C*S)", ("M - D + C*S",), ("-1",), meaning=meaning)
    return Proof("exact", "", (certificate,), named=(("logits_of_small_groups", {}),), rests_on=IDENTITY)


@theorem("Theorem 1, cases A, B and C (Eq. 7-9) of arXiv:2602.05548, for logits")
def cases_of_logits() -> Proof:
    """With a logit for each behaviour, a GRPO step on any mixed group raises the logits of drawn correct
    behaviours, lowers those of drawn wrong ones, and leaves the others as they are, because `grpo: sum A = 0` and
    `grpo: A+ > 0 > A-`.
    """
    return Proof("exact", "dh_b = eta n_b A_b with C = 0", named=(("logits_of_small_groups", {}),), rests_on=IDENTITY)


def _smallest(estimator: str, who: str, way: str) -> dict[str, Any]:
    """The smallest step in which a behaviour of kind `who` moves the wrong `way`, with three behaviours."""
    wanted: dict[str, Callable[[int, int], bool]] = {
        "correct drawn": lambda f, n: bool(f and n),
        "wrong drawn": lambda f, n: bool(not f and n),
        "undrawn": lambda f, n: n == 0,
    }
    ways: dict[str, Callable[[Surd], bool]] = {"up": lambda d: d > 0, "down": lambda d: d < 0, "any": lambda d: d != 0}
    for policy, correct, counts in small_steps(arms=3, largest=6, denominator=10):
        if not any(wanted[who](f, n) for f, n in zip(correct, counts, strict=True)):
            continue
        moved = log_prob_update(policy, logit_update(policy, counts, correct, estimator))
        for f, n, d in zip(correct, counts, moved, strict=True):
            if wanted[who](f, n) and ways[way](d):
                return {"pi": policy, "correct": correct, "counts": counts, "d log pi / eta": moved}
    raise NotProved("no counterexample with three behaviours, G <= 6 and denominators up to 10")


def _find(estimator: str, who: str, way: str) -> Proof:
    """Proof that a statement about steps fails, by the smallest step against it."""
    found = _smallest(estimator, who, way)
    args = {"estimator": estimator, "policy": [str(x) for x in found["pi"]], "who": who, "way": way}
    args |= {"correct": list(found["correct"]), "counts": list(found["counts"])}
    group = f"smallest group in which a behaviour ({who}) moves {'at all' if way == 'any' else way}"
    return Proof("fails", group, counterexample=found, named=(("step_moves", args),))


@theorem("Theorem 1, case A of arXiv:2602.05548, 'strictly increasing their probability'")
def case_a_of_probabilities() -> Proof:
    """With a logit for each behaviour, a GRPO step raises the probability of every drawn correct behaviour. (To
    first order b loses iff n_b/K < m+ - m-, where n_b/K is its share of the correct draws, and m+ and m- are the mean
    probabilities of the correct and of the wrong draws.)
    """
    return _find(GRPO, "correct drawn", "down")


@theorem("Theorem 1, case B of arXiv:2602.05548, for probabilities")
def case_b_of_probabilities() -> Proof:
    """With a logit for each behaviour, a GRPO step lowers the probability of every drawn wrong behaviour. (To first
    order b gains iff n_b/(G-K) < m- - m+, where n_b/(G-K) is its share of the wrong draws, and m+ and m- are the mean
    probabilities of the correct and of the wrong draws.)
    """
    return _find(GRPO, "wrong drawn", "up")


@theorem("B.5, Case C of arXiv:2602.05548: 'remain constant under GRPO'")
def case_c_of_probabilities() -> Proof:
    """With a logit for each behaviour, a GRPO step leaves the probabilities of undrawn behaviours as they are."""
    return _find(GRPO, "undrawn", "any")


@theorem("B.5, Case C of arXiv:2602.05548: 'output probabilities of all unsampled responses increase'")
def negative_dominant_lifts_undrawn_probabilities() -> Proof:
    """With a logit for each behaviour, a Negative-Dominant step raises the probability of every undrawn behaviour."""
    return _find(NEGATIVE, "undrawn", "down")


@theorem("B.5, Case A of arXiv:2602.05548 under Negative-Dominant")
def negative_dominant_case_a_of_probabilities() -> Proof:
    """With a logit for each behaviour, a Negative-Dominant step raises the probability of every drawn correct
    behaviour.
    """
    return _find(NEGATIVE, "correct drawn", "down")


@theorem("B.5, Case B of arXiv:2602.05548: 'logits of overconfident negatives can be increased'")
def negative_dominant_lifts_underdrawn_wrong_logits() -> Proof:
    """With a logit for each behaviour, a Negative-Dominant step raises the logit of a drawn wrong behaviour b; this
    is so iff n_b < (1 - 1/beta)(G - K) pi_b, since `negative_dominant[beta]: A- = -sqrt(K/F)` and
    `negative_dominant[beta]: sum A = -(1 - 1/beta) F sqrt(K/F)`.
    """
    meaning = "dh_b = n A- - C pi with A- = -s, C = -c F s (s = sqrt(K/F), c = 1 - 1/beta) is s (c F pi - n)"
    identity = Certificate("(n*a - C*pi) - s*(c*F*pi - n)", ("a + s", "C + c*F*s"), ("n", "-pi"), meaning=meaning)
    values = _example_of_case_b()
    found = {"G": 8, "K": 4, "beta": 10, "pi_b": Fraction(1, 2), "dh_b / eta for n_b = 1..4": values}
    when = "n_b < (1 - 1/beta)(G - K) pi_b: b is drawn less often than its probability"
    trials = (("logits_of_a_wrong_behaviour", {"values": [str(x) for x in values]}),)
    return Proof("holds when", "", (identity,), counterexample=found, when=when, named=trials, rests_on=IDENTITY)


def _example_of_case_b() -> list[Surd]:
    half, rest = Fraction(1, 2), Fraction(1, 4)
    return [logit_update([rest, half, rest], [4, n, 4 - n], [True, False, False], NEGATIVE)[1] for n in range(1, 5)]


@theorem("Sec. 3 and B.5 of arXiv:2602.05548: C < 0 as an exploration bonus")
def imbalance_bonus_sharpens() -> Proof:
    """The term -C pi_b of a step on logits, with C < 0, raises the probability of b to first order only if pi_b >
    sum_c pi_c^2, and taken alone it never raises the entropy to first order.
    """
    pair = Certificate(
        "x*y*(a - b)*(x - y) - (x*y*(a*x - a*y - b*x + b*y))",
        meaning="2 Cov_pi(log pi, pi) = sum over pairs x y (log x - log y)(x - y), each >= 0 as log rises: this term "
        "multiplied out",
    )
    moved = Certificate(
        "(pi - M) - (pi - S)",
        ("M - S",),
        ("-1",),
        meaning="g_b = |C| pi_b: d log pi_b = eta |C| (pi_b - M), M = sum_c pi_c pi_c = S: any number of behaviours",
    )
    two = Certificate(
        "2*(x*a*x + y*b*y)*(x + y) - 2*(x*a + y*b)*(x*x + y*y) - 2*x*y*(a - b)*(x - y)",
        meaning="Chebyshev's identity for two behaviours of weights x, y with values a = log x, b = log y",
    )
    trials = (("bonus_on_small_policies", {}),)
    return Proof("exact", "Chebyshev's sum by pairs", (pair, moved, two), named=trials, rests_on=IDENTITY)


@theorem("Theorem 1 of arXiv:2602.05548: what C = 0 means")
def zero_sum_and_signs_give_sure_improvement() -> Proof:
    """If A+ >= 0 >= A- and C = sum A = 0, then a step on any group, of any size eta, ends with P' >= P in a policy
    that has a logit of its own for each whole trajectory, with equal weights on the rollouts and plain gradient ascent.
    """
    meaning = (
        "a correct behaviour's weight is multiplied by 1 + u, a wrong one's by 1 - v, u, v >= 0, because C = 0 leaves "
        "h_b + eta n_b A_b; with masses R, W and gains U = sum pi u, V = sum pi v the odds rise iff the claim is >= 0, "
        "and it is W U + R V: any number of behaviours"
    )
    certificate = Certificate("W*(R + U) - R*(W - V) - (W*U + R*V)", meaning=meaning)
    trials = (("random_steps", {"estimator": GRPO}), ("logits_of_small_groups", {}))
    return Proof("exact", "", (certificate,), named=trials, rests_on=IDENTITY)


BOUNDARY: dict[str, dict[str, Any]] = {
    "prefix": {
        "kind": "prefix",
        "policy": {"": ["2/5", "3/5"], "0": ["1/5", "4/5"], "1": ["1/5", "4/5"]},
        "correct": ["01", "10"],
        "draws": ["10", "00"],
        "dP / eta": "-4/125",
    },
    "length": BY_LENGTH,
    "clipped": {
        "kind": "weights",
        "policy": ["1/5", "1/5", "3/5"],
        "correct": [1, 0, 0],
        "draws": [0, 1],
        "weights": ["0", "1"],
    },
    "KL": {"kind": "KL", "policy": ["3/4", "1/4"], "reference": ["1/4", "3/4"], "correct": [1, 0], "draws": []},
    "entropy": {"kind": "entropy", "policy": ["3/4", "1/4"], "correct": [1, 0], "draws": []},
}
"""The smallest steps found that lower P under GRPO where one hypothesis of sure improvement is missing."""


@theorem("what the sure improvement of GRPO needs")
def sure_improvement_needs_its_hypotheses() -> Proof:
    """Under GRPO no group lowers P either where trajectories share prefixes, where rollouts weigh 1/|o_i|, where a
    drawn correct rollout is clipped, with a KL penalty, or with an entropy bonus.
    """
    tree, clipped = BOUNDARY["prefix"], BOUNDARY["clipped"]
    found = {
        "tree of depth 2, node policies": [tree["policy"][n] for n in ("", "0", "1")],
        "correct leaves": tree["correct"],
        "drawn": tree["draws"],
        "dP / eta on the tree": tree["dP / eta"],
        "lengths (4, 1), policy": BY_LENGTH["policy"],
        "correct one clipped, policy": clipped["policy"],
        "KL to (1/4, 3/4) or entropy bonus, policy": BOUNDARY["entropy"]["policy"],
    }
    trials = tuple(("boundary_falls", {"example": example}) for example in BOUNDARY.values())
    return Proof("fails", "one smallest example for each", counterexample=found, named=trials)


@theorem_of_each_estimator("the converse of group symmetry (Eq. 5 of arXiv:2602.05548)")
def sure_improvement(estimator: Estimator) -> Proof:
    """Under NAME no group lowers the success probability P of a policy with a logit for each whole trajectory, at
    any step size of plain gradient ascent with equal weights on the rollouts.
    """
    spec = spec_of(estimator)
    edge = where_k_counts(estimator)
    found = _fall(estimator)
    if found:
        args = {"estimator": spec, "policy": [str(x) for x in found["pi"]], "omega": str(found["omega"])}
        args |= {"correct": list(found["correct"]), "counts": list(found["counts"])}
        return Proof(
            "fails", "smallest group found that lowers P", counterexample=found, named=(("success_falls", args),)
        )
    if unbalanced_group(estimator):
        raise NotProved(f"{estimator.name} is not zero-sum, and no regress was found")
    return Proof(
        "exact",
        "C = 0 and A+ >= 0 >= A- (see zero_sum_and_signs_give_sure_improvement)",
        formulas=(f"{spec}: sum A = 0{edge}", f"{spec}: A+ >= 0 >= A-{edge}"),
        named=(("random_steps", {"estimator": spec, "tries": 1000}),),
        rests_on=IDENTITY,
    )


def _fall(estimator: Estimator) -> dict[str, Any] | None:
    """A group that lowers P to first order: found by the signs of A+, A- and C over groups to G = 200, if there is one.

    A wrong sign of A+ or A- shows at once with one behaviour of each kind; C != 0 by leaving most mass undrawn.
    """
    for size, correct, w in _suspects(estimator):
        for n in range(1, 7):
            for masses in ((1, 2**n, 1, 1), (1, 1, 1, 2**n)):
                policy = [Fraction(m, sum(masses)) for m in masses]
                counts, outcomes = (correct, 0, size - correct, 0), (1, 1, 0, 0)
                g = logit_update(policy, counts, outcomes, estimator, w)
                dp = success_update(policy, outcomes, g)
                if dp < 0:
                    return {"pi": policy, "correct": outcomes, "counts": counts, "omega": w, "dP / eta": dp}
    return None


def _suspects(estimator: Estimator):
    """(G, K, omega) with C != 0 or a wrong sign, the smallest first."""
    smallest = max(estimator.min_size, estimator.params.get("k", 2))
    for size in range(smallest, smallest + 5):
        for correct, w in itertools.product(range(size + 1), (Fraction(1, 3), Fraction(0), Fraction(1))):
            try:
                plus, minus = exact_two_outcomes(estimator, correct, size, w)
            except ZeroDivisionError:
                continue
            balanced = same(total(estimator, correct, size, w), 0)
            if not balanced or (correct and plus < 0) or (correct < size and minus > 0):
                yield size, correct, w
    draws = groups.all_sizes(0)
    at = groups.Floats(spec_of(estimator), {}, "numpy", draws.correct, draws.wrong, draws.omega, draws.seed)
    for wrong in (at.quantity("", "Aplus") < -1e-9, at.quantity("", "Aminus") > 1e-9):
        for i in wrong.nonzero()[0]:
            w = Fraction(float(draws.omega[i])).limit_denominator(20)
            yield int(draws.correct[i] + draws.wrong[i]), int(draws.correct[i]), w


@theorem("Sec. 4 of arXiv:2602.05548, Negative-Dominant on a concentrated policy")
def negative_dominant_can_regress() -> Proof:
    """There are a policy, with a logit for each behaviour, and a group whose step raises P under GRPO and lowers it
    under Negative-Dominant, to first order: dP/eta is 1/10 and -13/500.
    """
    tenth = Fraction(1, 10)
    policy, correct = [tenth] * 4 + [Fraction(1, 2), tenth], (1, 1, 1, 1, 0, 0)
    counts = (1, 0, 0, 0, 0, 1)
    dp = {
        name: success_update(policy, correct, logit_update(policy, counts, correct, name)) for name in (GRPO, NEGATIVE)
    }
    found = {"pi": policy, "correct": correct, "counts": counts, **{f"dP/eta of {k}": v for k, v in dp.items()}}
    args = {"policy": [str(x) for x in policy], "correct": list(correct), "counts": list(counts)}
    trials = (("success_moves", {**args, "rates": {GRPO: "1/10", NEGATIVE: "-13/500"}}),)
    return Proof("exact", "exact example", counterexample=found, named=trials, rests_on=POINTS)
