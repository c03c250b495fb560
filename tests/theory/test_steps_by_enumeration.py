"""Theorem 1 and its consequences, again: every small step in fractions, derivatives by a complex step.

Under GRPO A+ and A- are F and -K times 1 / sqrt(K F) (Eq. 3), so whatever a sign decides is decided by fractions.
Under Negative-Dominant A+ is ten times smaller. Nothing of the theorems' own code computes an expected value here.
"""

import inspect
import itertools
import math
import re
from fractions import Fraction

import numpy as np
import pytest

import symtheory
from symtheory import estimators
from symtheory.estimators import chain
from symtheory.estimators.grpo import center
from symtheory.theory.theorems import about, find
from symtheory.theory.theorems.updates import (
    BOUNDARY,
    log_prob_update,
    logit_update,
    success_update,
    underdrawn_probability,
)

CORRECT_WEIGHT = {"grpo": Fraction(1), "negative_dominant": Fraction(1, 10)}
EPSILON = 1e-30
"""A complex step: derivatives without a difference, so without cancellation."""


def softmax(h):
    weights = np.exp(h - h.real.max())
    return weights / weights.sum()


def derivative(function, at, along):
    """d/de of function(at + e along) at e = 0."""
    return function(np.asarray(at) + 1j * EPSILON * np.asarray(along)).imag / EPSILON


def scaled_advantages(name, draws, correct):
    """A_i sqrt(K F) of each rollout, fractions."""
    right = sum(correct[b] for b in draws)
    return [CORRECT_WEIGHT[name] * (len(draws) - right) if correct[b] else Fraction(-right) for b in draws]


def scaled_step(name, policy, correct, counts):
    """dh and d log pi of a step, times sqrt(K F) / eta: rollout by rollout, each pushes its behaviour against pi."""
    draws = [b for b, n in enumerate(counts) for _ in range(n)]
    a = scaled_advantages(name, draws, correct)
    h = [sum(x * ((o == b) - p) for x, o in zip(a, draws, strict=True)) for b, p in enumerate(policy)]
    return h, [sum(((c == b) - policy[c]) * h[c] for c in range(len(h))) for b in range(len(h))]


def policies(arms, denominator):
    """Every policy of `arms` behaviours whose probabilities are whole multiples of 1 / denominator."""
    for cuts in itertools.combinations(range(1, denominator), arms - 1):
        yield [Fraction(b - a, denominator) for a, b in itertools.pairwise((0, *cuts, denominator))]


def steps(size, denominator, arms=3):
    """Every mixed group of one size from every policy of one denominator: (policy, correct, counts)."""
    for policy, right in itertools.product(policies(arms, denominator), range(1, arms)):
        correct = [1] * right + [0] * (arms - right)
        for counts in itertools.product(range(size + 1), repeat=arms):
            if sum(counts) == size and 0 < sum(counts[:right]) < size:
                yield policy, correct, counts


SMALL = [step for size, d in ((2, 3), (2, 5), (3, 4), (4, 4)) for step in steps(size, d)]


def shares(policy, correct, counts):
    """Mean pi(o_i) of the correct and of the wrong rollouts, m+ and m-; K and F."""
    both = [[(p, n) for p, f, n in zip(policy, correct, counts, strict=True) if f == kind] for kind in (1, 0)]
    k, f = (sum(n for _, n in kind) for kind in both)
    return sum(p * n for p, n in both[0]) / k, sum(p * n for p, n in both[1]) / f, k, f


@pytest.mark.parametrize("name", ["grpo", "negative_dominant"])
def test_updates_are_derivatives_of_the_likelihood_and_of_success(name):
    for policy, correct, counts in SMALL[::7]:
        draws = [b for b, n in enumerate(counts) for _ in range(n)]
        a = np.array([float(x) for x in scaled_advantages(name, draws, correct)])
        k = sum(correct[b] for b in draws)
        a /= math.sqrt(k * (len(draws) - k))
        h = np.log(np.array([float(p) for p in policy]))
        ours = logit_update(policy, counts, correct, name)
        goal = [derivative(lambda x, a=a, o=draws: a @ np.log(softmax(x))[o], h, e) for e in np.eye(len(h))]
        np.testing.assert_allclose([float(x) for x in ours], goal, atol=1e-13)
        moved = derivative(lambda x: np.log(softmax(x)), h, goal)
        np.testing.assert_allclose([float(x) for x in log_prob_update(policy, ours)], moved, atol=1e-13)
        rise = derivative(lambda x, f=correct: softmax(x) @ f, h, goal)
        assert float(success_update(policy, correct, ours)) == pytest.approx(rise, abs=1e-13)
        symbols = {"C": a.sum(), "D": a @ np.exp(h)[draws], "S": np.exp(2 * h).sum()}
        stated = _stated_update(find("log_probability_update_formula").statement)
        drawn = np.bincount(draws, a, len(h))
        np.testing.assert_allclose(eval(stated, {}, {**symbols, "m": drawn, "pi": np.exp(h)}), moved, atol=1e-13)


def _stated_update(statement):
    """The bracket of the statement as Python: m is n_b A_b, D is sum_i A_i pi(o_i), S is sum_c pi_c^2."""
    [text] = re.findall(r"by eta \[(.*)\], for every", statement)
    words = {"n_b A_b": "m", "C pi_b": "C*pi", "sum_i A_i pi(o_i)": "D", "C sum_c pi_c^2": "C*S"}
    for word, symbol in words.items():
        assert word in text
        text = text.replace(word, symbol)
    return text


def test_omega_is_a_third_where_it_is_not_given():
    policy, third = [Fraction(1, 2), Fraction(1, 2)], Fraction(1, 3)
    assert logit_update(policy, [1, 1], [1, 0], "agrae") == logit_update(policy, [1, 1], [1, 0], "agrae", third)
    g = [float(x) for x in logit_update(policy, [1, 1], [1, 0], "agrae")]
    root = math.sqrt(1 / 2)  # at p = 1/2 Eq. 12 weighs all advantages by this, Eq. 13 correct ones by omega too
    assert g == pytest.approx([root * (1 / 3 - (1 / 3 - 1) / 2), root * (-1 - (1 / 3 - 1) / 2)])


def test_the_multiset_counts_and_the_set_does_not():
    found = find("logit_update_formula").derive().counterexample
    right, wrong = math.sqrt(2), -1 / math.sqrt(2)  # Eq. 3 at K = 1, G = 3
    assert (found["K"], found["G"]) == (1, 3)
    assert float(found["C over the set {b, b'}"]) == pytest.approx(right + wrong)
    assert found["C over the group"] == 0


def test_under_grpo_logits_move_as_cases_a_b_and_c_say():
    for policy, correct, counts in SMALL:
        h, _ = scaled_step("grpo", policy, correct, counts)
        for x, f, n in zip(h, correct, counts, strict=True):
            assert (x > 0, x < 0) == (f == 1 and n > 0, f == 0 and n > 0)


def test_under_grpo_probabilities_turn_where_the_shares_say():
    assert "b loses iff n_b/K < m+ - m-" in find("case_a_of_probabilities").statement
    assert "b gains iff n_b/(G-K) < m- - m+" in find("case_b_of_probabilities").statement
    turned = set()
    for policy, correct, counts in [*SMALL, *steps(4, 7)]:
        up, down, k, f = shares(policy, correct, counts)
        _, moved = scaled_step("grpo", policy, correct, counts)
        for right, n, d in zip(correct, counts, moved, strict=True):
            if n and right:
                assert (d < 0) == (Fraction(n, k) < up - down)
            elif n:
                assert (d > 0) == (Fraction(n, f) < down - up)
            turned |= {(right, d < 0)} if n else set()
    assert len(turned) == 4  # every case was met


CLAIMS = {
    "case_a_of_probabilities": ("grpo", lambda f, n, d: f and n and d < 0),
    "case_b_of_probabilities": ("grpo", lambda f, n, d: not f and n and d > 0),
    "case_c_of_probabilities": ("grpo", lambda f, n, d: not n and d != 0),
    "negative_dominant_lifts_undrawn_probabilities": ("negative_dominant", lambda f, n, d: not n and d < 0),
    "negative_dominant_case_a_of_probabilities": ("negative_dominant", lambda f, n, d: f and n and d < 0),
}
"""The estimator of each claim, and whether a behaviour (correct?, draws, d log pi) is against it."""


@pytest.mark.parametrize("id", CLAIMS)
def test_no_smaller_step_is_against_a_claim_than_the_published_one(id):
    name, against = CLAIMS[id]
    proof = find(id).derive()
    found = proof.counterexample
    policy, correct, counts = found["pi"], found["correct"], found["counts"]

    def refuted(policy, correct, counts):
        _, moved = scaled_step(name, policy, correct, counts)
        return any(against(f, n, d) for f, n, d in zip(correct, counts, moved, strict=True))

    assert proof.verdict == "fails"
    assert (len(policy), sum(policy)) == (3, 1)
    assert refuted(policy, correct, counts)
    k = sum(n for f, n in zip(correct, counts, strict=True) if f)
    _, moved = scaled_step(name, policy, correct, counts)
    root = math.sqrt(k * (sum(counts) - k))
    assert [float(x) for x in found["d log pi / eta"]] == pytest.approx([float(x) / root for x in moved])
    size, denominator = sum(counts), math.lcm(*(p.denominator for p in policy))
    for smaller in range(2, size + 1):
        for d in range(3, denominator if smaller == size else 8):
            assert not any(refuted(*step) for step in steps(smaller, d)), (smaller, d)


def test_negative_dominant_lifts_a_wrong_logit_iff_it_is_drawn_too_little():
    proof = find("negative_dominant_lifts_underdrawn_wrong_logits").derive()
    beta = estimators.get("negative_dominant").params["beta"]
    assert "n_b < (1 - 1/beta)(G - K) pi_b" in proof.when
    lifted = set()
    for policy, correct, counts in [*SMALL, *steps(5, 7)]:
        h, _ = scaled_step("negative_dominant", policy, correct, counts)
        wrong = sum(n for f, n in zip(correct, counts, strict=True) if not f)
        for p, f, n, d in zip(policy, correct, counts, h, strict=True):
            if n and not f:
                assert (d > 0) == (n < (1 - Fraction(1, beta)) * wrong * p)
                lifted.add(d > 0)
    assert lifted == {True, False}
    found = proof.counterexample
    policy, sizes = [Fraction(1, 4), found["pi_b"], 1 - Fraction(1, 4) - found["pi_b"]], (found["K"], found["G"])
    assert (*sizes, found["beta"]) == (4, 8, beta)
    values = found["dh_b / eta for n_b = 1..4"]
    assert len(values) == 4
    for n, value in enumerate(values, 1):
        h, _ = scaled_step("negative_dominant", policy, [1, 0, 0], (4, n, 4 - n))
        assert value == h[1] / 4  # sqrt(K F) = 4


def test_underdrawn_probability_counts_the_groups_that_lift_a_wrong_logit():
    for rate, p, size in (("3/10", "1/2", 4), ("1/10", "4/5", 3)):
        policy = [Fraction(rate), Fraction(p), 1 - Fraction(rate) - Fraction(p)]
        hit = mixed = Fraction(0)
        for draws in itertools.product(range(3), repeat=size):
            counts = [draws.count(b) for b in range(3)]
            if 0 < counts[0] < size:
                chance = math.prod(policy[b] for b in draws)
                h, _ = scaled_step("negative_dominant", policy, [1, 0, 0], counts)
                mixed, hit = mixed + chance, hit + chance * (h[1] > 0)
        ours = underdrawn_probability(float(policy[0]), float(policy[1]), size)
        assert ours == pytest.approx(float(hit / mixed), rel=1e-12)
    default = inspect.signature(underdrawn_probability).parameters["beta"].default
    assert default == estimators.get("negative_dominant").params["beta"]


def test_the_imbalance_term_lifts_what_is_likely_and_lowers_entropy():
    for policy in itertools.chain(policies(3, 9), policies(4, 8)):
        pi = np.array([float(p) for p in policy])
        moved = derivative(lambda x: np.log(softmax(x)), np.log(pi), pi)  # along -C pi with C = -1
        second = sum(p * p for p in policy)
        assert [d > 1e-14 for d in moved] == [p > second for p in policy]
        entropy = derivative(lambda x: -(softmax(x) * np.log(softmax(x))).sum(), np.log(pi), pi)
        assert entropy <= 1e-14
    assert "pi_b > sum_c pi_c^2" in find("imbalance_bonus_sharpens").statement


@pytest.mark.parametrize("eta", [0.01, 1, 30])
def test_zero_sum_and_signs_keep_success_in_every_finite_step(eta):
    for policy, correct, counts in SMALL[::3]:
        draws = [b for b, n in enumerate(counts) for _ in range(n)]
        k = sum(correct[b] for b in draws)
        a = np.where(np.array(correct)[draws] > 0, 1 / k, -1 / (len(draws) - k))  # C = 0, A+ > 0 > A-
        pi = np.array([float(p) for p in policy])
        after = softmax(np.log(pi) + eta * np.bincount(draws, a, len(pi)))
        assert after @ correct >= pi @ correct


def rises(policy, correct, g):
    """dP / eta along g, by a complex step."""
    return float(derivative(lambda h: softmax(h) @ np.asarray(correct), np.log(np.asarray(policy, float)), g))


def test_each_missing_hypothesis_has_a_step_that_lowers_success():
    examples = [args["example"] for _, args in find("sure_improvement_needs_its_hypotheses").derive().named]
    assert [example["kind"] for example in examples] == ["prefix", "weights", "weights", "KL", "entropy"]
    a = np.array([1.0, -1.0])  # GRPO with one correct and one wrong rollout, Eq. 3
    for kind, example in zip(("length", "clipped"), examples[1:3], strict=True):
        pi, weights = (np.array([float(Fraction(x)) for x in example[key]]) for key in ("policy", "weights"))
        assert [example["correct"][b] for b in example["draws"]] == [1, 0]
        assert set(example["correct"]) == {0, 1}
        g = np.bincount(example["draws"], weights * a, len(pi)) - (weights * a).sum() * pi
        assert rises(pi, example["correct"], g) < -9e-4, kind
    for kind, example in zip(("KL", "entropy"), examples[3:], strict=True):
        pi = np.array([float(Fraction(x)) for x in example["policy"]])
        reference = np.array([float(Fraction(x)) for x in example.get("reference", ["1"] * len(pi))])

        def goal(h, reference=reference):  # -KL(pi || reference), and the entropy where the reference is constant
            return -(softmax(h) * np.log(softmax(h) / reference)).sum()

        g = [derivative(goal, np.log(pi), e) for e in np.eye(len(pi))]
        assert set(example["correct"]) == {0, 1}
        assert not example["draws"]
        assert rises(pi, example["correct"], g) < -1e-3, kind


def test_the_tree_that_shares_a_prefix_loses_what_is_published():
    example = BOUNDARY["prefix"]
    nodes = ["", "0", "1"]
    h = np.log([[float(Fraction(x)) for x in example["policy"][n]] for n in nodes])

    def log_pi(h, leaf):
        return sum(np.log(softmax(h[nodes.index(leaf[:d])]))[int(leaf[d])] for d in range(2))

    def gradient(function):
        steps = np.eye(6).reshape(6, 3, 2)
        return np.array([derivative(function, h, e) for e in steps]).reshape(3, 2)

    right, wrong = example["draws"]
    assert right in example["correct"]
    assert wrong not in example["correct"]
    step = gradient(lambda h: log_pi(h, right) - log_pi(h, wrong))  # A = 1 and -1
    fall = derivative(lambda h: sum(np.exp(log_pi(h, leaf)) for leaf in example["correct"]), h, step)
    assert float(fall) == pytest.approx(float(Fraction(example["dP / eta"])), abs=1e-14)
    published = find("sure_improvement_needs_its_hypotheses").derive().counterexample
    assert published["dP / eta on the tree"] == example["dP / eta"]
    assert published["lengths (4, 1), policy"] == BOUNDARY["length"]["policy"]
    assert [Fraction(x) for x in BOUNDARY["length"]["weights"]] == [Fraction(1, 4), 1]


def test_the_step_that_grpo_takes_up_and_negative_dominant_down_has_the_stated_rates():
    theorem = find("negative_dominant_can_regress")
    [stated] = re.findall(r"dP/eta is (\S+) and (\S+)\.$", theorem.statement)
    found = theorem.derive().counterexample
    for name, rate in zip(("grpo", "negative_dominant"), stated, strict=True):
        _, moved = scaled_step(name, found["pi"], found["correct"], found["counts"])
        right = sum(n for n, f in zip(found["counts"], found["correct"], strict=True) if f)
        assert right * (sum(found["counts"]) - right) == 1  # so advantages are not scaled
        exact = sum(p * d for p, d, f in zip(found["pi"], moved, found["correct"], strict=True) if f)
        assert exact == Fraction(rate) == found[f"dP/eta of {name}"]
    assert sum(found["pi"]) == 1


TWO_CLASS = estimators.names("two_class")
MASSES = np.array([masses for n in range(1, 7) for masses in ((1, 2**n, 1, 1), (1, 1, 1, 2**n))])
"""Policies of two correct and two wrong behaviours, in units of the rarest."""


def falls(name, size, correct, omega, masses):
    """dP / eta of the group that draws the first correct and the first wrong behaviour only, [policies]."""
    others = round(1024 / size) - 1  # groups that bring the batch to about 1,024 rollouts and to omega
    beside = np.arange(others * size) < round(omega * (others + 1) * size) - correct
    rewards = np.r_[np.ones(correct), np.zeros(size - correct)]
    a = symtheory.advantages(np.vstack([rewards, beside.reshape(others, size)]), name, omega=omega)[0]
    pi = masses / masses.sum(1, keepdims=True)
    drawn = np.array([a[rewards > 0].sum(), 0, a[rewards == 0].sum(), 0])
    g = drawn - a.sum() * pi
    f = np.array([1, 1, 0, 0])
    return (pi * f * (g - (pi * g).sum(1, keepdims=True))).sum(1)


@pytest.mark.parametrize("name", TWO_CLASS)
def test_success_falls_exactly_where_sure_improvement_fails(name):
    proof = find(f"sure_improvement:{name}").derive()
    code = estimators.get(name)
    smallest = max(2, code.min_size, code.params.get("k", 1))
    if proof.verdict == "exact":
        for size, omega in itertools.product(range(smallest, smallest + 4), (0.0, 0.3, 1.0)):
            with np.errstate(all="ignore"):
                drops = [falls(name, size, k, omega, MASSES) for k in range(size + 1)]
            assert not (np.array(drops) < -1e-12).any()  # NaN, from omega = 0 in a divisor, is no fall
        return
    found = proof.counterexample
    size, correct = sum(found["counts"]), found["counts"][0]
    assert tuple(found["correct"]) == (1, 1, 0, 0)
    assert tuple(found["counts"]) == (correct, 0, size - correct, 0)
    omega = float(found["omega"])
    drops = falls(name, size, correct, omega, MASSES)
    first = int((drops < -1e-12).argmax())
    assert [Fraction(int(m), int(MASSES[first].sum())) for m in MASSES[first]] == found["pi"]
    rounded = name in ("prpo", "reinforce_pp")  # divided by the std of the batch, whose omega and size are rounded here
    assert float(found["dP / eta"]) == pytest.approx(drops[first], rel=2e-3 if rounded else 1e-9)
    assert drops[first] < 0
    for fewer in range(correct):
        assert not (falls(name, size, fewer, omega, MASSES) < -1e-12).any()
    for smaller in range(smallest, size):
        for k in range(smaller + 1):
            assert not (falls(name, smaller, k, omega, MASSES) < -1e-12).any(), (smaller, k)


def turned_where(condition, name):
    """Dr.GRPO, with every sign turned in groups where a condition is positive: zero-sum, and wrong there."""

    def turn(a, g, op):
        return op.where(op.positive(condition(g)), -a, a)

    return chain(center, turn, name=name, rewards="binary", laws="")


@pytest.mark.parametrize(
    ("condition", "name", "size", "omega"),
    [
        (lambda g: (g.size - 5) * (7 - g.size), "turned_at_6", range(6, 7), {Fraction(1, 3)}),
        (lambda g: g.size - 100, "turned_above_100", range(101, 10**4), None),
        (lambda g: Fraction(1, 10**6) - g.batch.omega, "turned_at_omega_0", range(2, 3), {0}),
        (lambda g: g.batch.omega - 1 + Fraction(1, 10**6), "turned_at_omega_1", range(2, 3), {1}),
    ],
)
def test_a_wrong_sign_in_some_groups_only_is_found(condition, name, size, omega):
    proof = about("sure_improvement", turned_where(condition, name)).derive()
    assert proof.verdict == "fails"
    found = proof.counterexample
    right, undrawn, wrong, other = found["counts"]
    assert right + wrong in size
    assert undrawn == other == 0
    assert min(right, wrong) > 0
    assert omega is None or found["omega"] in omega
    p = Fraction(right, right + wrong)
    counts, a = np.array([right, 0, wrong, 0]), np.array([p - 1, 0, p, 0], float)  # the turned signs
    assert float(found["dP / eta"]) == pytest.approx(rises(found["pi"], found["correct"], counts * a))
    assert found["dP / eta"] < 0


@pytest.mark.parametrize("side", [1, -1])
def test_a_wrong_sign_of_one_kind_in_large_groups_is_found(side):
    def turn(a, g, op):  # above 100, this side's advantages turn and the others vanish
        turned = op.where(op.positive(side * a), -a, 0 * a)
        return op.where(op.positive(g.size - 100), turned, a)

    turned = chain(center, turn, name=f"turned_side_{side}".replace("-", "minus_"), rewards="binary", laws="")
    found = about("sure_improvement", turned).derive().counterexample
    assert sum(found["counts"]) > 100
    assert found["dP / eta"] < 0
