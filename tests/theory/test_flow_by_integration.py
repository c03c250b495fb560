"""What the theory says of training as a flow, computed again from the papers' advantages: groups enumerated, flows
integrated, minima searched. The package's closed forms stand on one side of each comparison only."""

import math
import re

import numpy as np
import pytest
from scipy.integrate import quad, solve_ivp
from scipy.optimize import brentq, minimize_scalar
from scipy.special import expit, logit, softmax
from textbook import advantage, chance, gap, group_advantages, groups, logit_gradient, slope, value

from symtheory import InputError
from symtheory.theory.theorems import find, flow

START, CORRECT = np.array([0.05, 0.25, 0.45, 0.15, 0.10]), np.array([1, 1, 0, 0, 0])


def expected_field(name, size):
    """dh/dt of five behaviours: the mean step over all 5^G groups, each written out."""
    drawn = list(groups(len(CORRECT), size))
    a = [group_advantages(name, [CORRECT[b] for b in group]) for group in drawn]
    onehot = np.eye(len(CORRECT))[np.array(drawn)]  # [groups, G, behaviours]
    pulls, sums = np.einsum("ni,nib->nb", a, onehot) / size, np.sum(a, 1) / size

    def field(_, h):
        pi = softmax(h)
        law = pi[np.array(drawn)].prod(1)
        return law @ pulls - (law @ sums) * pi

    return field


def test_the_enumerated_field_is_the_mean_of_single_steps():
    mean = sum(
        chance(group, START) * logit_gradient(START, group, group_advantages("grpo", [CORRECT[b] for b in group]))
        for group in groups(5, 2)
    )
    np.testing.assert_allclose(expected_field("grpo", 2)(0, np.log(START)), mean, atol=1e-15)


@pytest.mark.parametrize("name", ["grpo", "rloo", "easy_focused"])
def test_the_enumerated_field_is_the_stated_one(name):
    force = re.search(r"obey dh_b/dt = F'\(P\) (.+?), where f_b is 1", find("orbit_equivalence").statement)
    success, speed = START @ CORRECT, slope(name, 3, START @ CORRECT)
    stated = [speed * value(force.group(1), pi_b=p, f_b=f, P=success) for p, f in zip(START, CORRECT, strict=True)]
    np.testing.assert_allclose(expected_field(name, 3)(0, np.log(START)), stated, atol=1e-14)


@pytest.mark.parametrize("name", ["grpo", "hard_focused", "negative_dominant", "maxrl"])
def test_the_flow_over_all_groups_runs_through_the_one_orbit(name):
    def reached(_, h):
        return softmax(h) @ CORRECT - 0.9

    reached.terminal = True
    path = solve_ivp(expected_field(name, 3), (0, 1e4), np.log(START), events=reached, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(softmax(path.y[:, -1]), flow.mean_field_orbit(START, CORRECT, 0.9), atol=1e-6)


def test_the_orbit_keeps_the_differences_that_the_theorem_says_are_conserved():
    end = flow.mean_field_orbit(START, CORRECT, 0.9)
    # h is log pi up to a constant that the flow does not move: dh sums to 0, so log-probabilities lose their mean
    h0, h1 = (np.log(x) - np.log(x).mean() for x in (START, end))
    form = re.search(r"one prompt (.+) is constant for any two", find("conserved_quantities").statement).group(1)
    for b, c in ((0, 1), (2, 3), (3, 4)):
        before, after = (value(form, h_b=h[b], h_c=h[c]) for h in (h0, h1))
        assert after == pytest.approx(before, rel=1e-10)


def test_an_orbit_ends_at_the_success_that_is_asked_for_to_eleven_digits():
    for until in (0.31, 0.9, 0.999):
        assert flow.mean_field_orbit(START, CORRECT, until) @ CORRECT == pytest.approx(until, abs=1e-11)


@pytest.mark.parametrize(
    ("policy", "until"),
    [([0.5, 0.6], 0.9), ([0.5, 0.5 + 1e-6], 0.9), ([0.4, 0.5], 0.9), ([0.0, 1.0], 0.9), ([0.5, 0.5], 1.0)],
)
def test_an_orbit_refuses_what_is_no_policy_or_no_success(policy, until):
    with pytest.raises(InputError, match="policy must be positive and sum to 1"):
        flow.mean_field_orbit(policy, [1, 0], until)


def integrated_time(rate, start, end):
    """Time in which the flow of two logits, right and wrong, moves P from `start` to `end`."""

    def field(_, h):  # d logits / dt = F' grad P
        p = softmax(h)[0]
        return rate(p) * p * (1 - p) * np.array([1.0, -1.0])

    def reached(_, h):
        return softmax(h)[0] - end

    reached.terminal = True
    path = solve_ivp(field, (0, 1e6), np.log([start, 1 - start]), events=reached, rtol=1e-10, atol=1e-12)
    return path.t_events[0][0]


@pytest.mark.parametrize("name", ["grpo", "rloo", "hard_focused", "easy_focused", "negative_dominant", "agrae"])
def test_times_of_two_behaviours_are_those_of_the_integrated_flow(name):
    large = integrated_time(lambda p: gap(name, p), 0.05, 0.8)
    assert flow.two_arm_time(name, 0.05, 0.8) == pytest.approx(large, rel=1e-8)
    finite = integrated_time(lambda p: slope(name, 4, p), 0.05, 0.8)
    assert flow.two_arm_time(name, 0.05, 0.8, size=4) == pytest.approx(finite, rel=1e-8)


def test_times_keep_their_digits_over_a_long_way():
    # dT = dP / (2 P^(3/2) (1 - P)^(3/2)) under GRPO: 2 sinh(z / 2) between the two logits
    far = -2 * math.sinh(math.log(1e-12 / (1 - 1e-12)) / 2)
    assert flow.two_arm_time("grpo", 1e-12, 0.5) == pytest.approx(far, rel=1e-11)


def stated_clocks():
    """The clocks of the theorem as functions of z = logit P, read from its statement."""
    text = find("two_arm_clocks").statement
    grpo, rloo, hard, u = re.search(
        r"constant\) (.+) under GRPO, (.+) under RLOO, and T\(z\) = (.+) with u = (.+) under Hard-Focused; under "
        r"Easy-Focused at the time -T\(-z\)\.",
        text,
    ).groups()
    after = lambda z: value(hard, u=value(u, z=z))  # noqa: E731
    return {
        "grpo": lambda z: value(grpo, z=z),
        "rloo": lambda z: value(rloo, z=z),
        "hard_focused": after,
        "easy_focused": lambda z: -after(-z),
    }


@pytest.mark.parametrize("name", flow.CLOCKS)
def test_the_stated_clocks_tick_as_the_enumerated_flow_does(name):
    clock, forms = stated_clocks()[name], flow.CLOCKS[name]
    at = lambda text, p: value(text, P=p, Q=1 - p)  # noqa: E731
    expected = quad(lambda p: 1 / (2 * gap(name, p) * (p * (1 - p)) ** 2), 0.2, 0.7, epsrel=1e-12)[0]
    assert clock(logit(0.7)) - clock(logit(0.2)) == pytest.approx(expected, rel=1e-10)
    assert at(forms[0], 0.7) - at(forms[0], 0.2) == pytest.approx(expected, rel=1e-10)
    assert [at(forms[1], p) for p in (0.1, 0.6)] == pytest.approx([gap(name, p) for p in (0.1, 0.6)], rel=1e-12)


@pytest.mark.parametrize("name", ["grpo", "easy_focused", "hard_focused", "maxrl", "agrae"])
@pytest.mark.parametrize(("a", "b"), [(1, 1), (2, 4), (3.5, 1.5)])
def test_initial_gains_are_the_mean_first_step_over_the_beta_law(name, a, b):
    angle = (np.arange(4000) + 0.5) * np.pi / 8000  # P = sin^2: the midpoint rule then converges fast
    success = np.sin(angle) ** 2
    law = success ** (a - 0.5) * (1 - success) ** (b - 0.5)
    rise = []
    for p in success:
        step = (advantage(name, 1, p) - advantage(name, 0, p)) * p * (1 - p)  # of the right logit; the wrong one: minus
        rise.append(p * (1 - p) * 2 * step)
    mean = np.average(rise, weights=law)
    assert flow.initial_gain(name, a, b) == pytest.approx(mean, rel=1e-6)


def test_initial_gains_keep_nine_digits():
    assert flow.initial_gain("grpo", 1, 1) == pytest.approx(2 * math.gamma(2.5) ** 2 / math.gamma(5), rel=1e-9)
    assert flow.initial_gain("grpo", 60, 1) == pytest.approx(
        2 * 60 * math.gamma(61.5) * math.gamma(2.5) / math.gamma(64), rel=1e-9
    )


def best_response(name, p, ref, beta):
    """argmax over x of x A+ + (1 - x) A- - beta KL(x || ref), with the advantages of a large group of mean p."""
    right, wrong = advantage(name, 1, p), advantage(name, 0, p)

    def loss(z):
        x = expit(z)
        kl = x * math.log(x / ref) + (1 - x) * math.log((1 - x) / (1 - ref))
        return -(x * right + (1 - x) * wrong - beta * kl)

    return expit(minimize_scalar(loss, bracket=(logit(ref), logit(ref) + 1), tol=1e-12).x)


@pytest.mark.parametrize(
    ("name", "ref", "beta"),
    [("grpo", 0.2, 2.0), ("grpo", 0.2, 1.0), ("hard_focused", 0.2, 1.0), ("easy_focused", 0.3, 2.0), ("maxrl", 0.6, 3)],
)
def test_fixed_points_answer_themselves_and_are_the_lowest(name, ref, beta):
    text = find("regularised_recursion_improves").statement
    assert "p -> sigmoid(logit p_ref + F'(p) / beta) lies above p_ref if F' > 0" in text
    point = flow.regularised_fixed_point(name, ref, beta)
    assert point > ref
    assert best_response(name, point, ref, beta) == pytest.approx(point, abs=1e-6)
    assert expit(logit(ref) + gap(name, point) / beta) == pytest.approx(point, abs=1e-14)
    below = np.linspace(0.001, point - 1e-3, 2000)
    assert all(expit(logit(ref) + gap(name, p) / beta) > p for p in below)


@pytest.mark.parametrize(("name", "ref", "beta"), [("grpo", 0.2, 2.0), ("hard_focused", 0.3, 1.5), ("agrae", 0.4, 2.0)])
def test_the_slope_of_the_recursion_is_its_numerical_derivative(name, ref, beta):
    point, h = flow.regularised_fixed_point(name, ref, beta), 1e-5
    up, down = (expit(logit(ref) + gap(name, point + d) / beta) for d in (h, -h))
    assert flow.fixed_point_slope(name, ref, beta) == pytest.approx((up - down) / (2 * h), rel=1e-6)
    if name == "grpo":  # the slope that the theorem states
        text = find("regularised_recursion_improves").statement
        form = re.search(r"the slope (.+) at a fixed point p\.", text).group(1)
        stated = value(form, p=point, beta=beta)
        assert stated == pytest.approx((up - down) / (2 * h), rel=1e-6)


@pytest.mark.parametrize(
    ("name", "ref", "beta"),
    [
        ("grpo", 0.2, 0.77),
        ("grpo", 0.2, 0.04),
        ("grpo", 0.9, 1.33334),
        ("grpo", 0.259, 0.994),
        ("easy_focused", 0.312, 1.203),
        ("agrae", 0.2, 0.5),
    ],
)
def test_a_weak_penalty_leaves_no_fixed_point_where_the_weight_has_no_bound(name, ref, beta):
    z = np.linspace(logit(ref) - 5, 30, 5000)
    assert all(logit(ref) + gap(name, p) / beta > x for x, p in zip(z, expit(z), strict=True))  # always above
    with pytest.raises(InputError, match="beta_kl must be larger for a fixed point"):
        flow.regularised_fixed_point(name, ref, beta)


def test_a_bounded_weight_has_a_fixed_point_under_every_penalty():
    assert flow.regularised_fixed_point("dr_grpo", 0.2, 0.2) == pytest.approx(expit(logit(0.2) + 5), abs=1e-15)
    assert flow.regularised_fixed_point("dr_grpo", 0.2, 0.01) == 1.0  # 1 - e^-98


def test_the_weakest_penalty_with_a_fixed_point_under_grpo_is_found_by_the_minimum():
    # a root of z - logit(ref) = 2 cosh(z / 2) / beta exists iff beta >= min over z of 2 cosh(z / 2) / (z - logit(ref))
    ratio = minimize_scalar(lambda z: 2 * math.cosh(z / 2) / (z - logit(0.2)), bounds=(0, 5), method="bounded").fun
    assert 0.2 < flow.regularised_fixed_point("grpo", 0.2, ratio * (1 + 1e-6)) < 1
    with pytest.raises(InputError):
        flow.regularised_fixed_point("grpo", 0.2, ratio * (1 - 1e-6))


NAMES = {
    "GRPO": "grpo",
    "RLOO": "rloo",
    "NSR": "nsr",
    "Negative-Dominant": "negative_dominant",
    "Positive-Dominant": "positive_dominant",
    "Easy-Focused": "easy_focused",
    "Hard-Focused": "hard_focused",
    "ASS": "ass",
}


def index_of(name, size, omega):
    """d_(G-1) / d_0: the value of a last and of a first success, from the group written out."""
    d = [
        group_advantages(name, [1] * (j + 1) + [0] * (size - j - 1), omega)[0]
        - group_advantages(name, [1] * j + [0] * (size - j), omega)[-1]
        for j in (0, size - 1)
    ]
    return d[1] / d[0]


def as_index(form, size, omega):
    r = math.sqrt(size - 1)
    if form == "agrae":
        return (omega + (1 - omega) * r) / (omega * (omega * r + 1 - omega))
    return value(form, G=size, beta=10, s=omega)


@pytest.mark.parametrize("name", flow.INDICES)
def test_stability_indices_are_ratios_of_written_out_groups(name):
    for size, omega in ((2, 0.5), (5, 0.3), (8, 0.9)):
        expected = index_of(name, size, omega)
        assert as_index(flow.INDICES[name], size, omega) == pytest.approx(expected, rel=1e-12)
        assert flow.stability_index(name, size, omega) == pytest.approx(expected, rel=1e-12)
    assert flow.stability_index(name, 8) == pytest.approx(index_of(name, 8, 0.5), rel=1e-12)


def test_the_statement_of_the_indices_names_each_of_them():
    text = find("stability_indices").statement.split("is ", 1)[1].split(". (")[0]
    clauses = re.findall(r"([\w/()\-]+) for ((?:[A-Z][\w-]+(?:, (?=[A-Z])| and )?)+)", text)
    stated = {name: form for form, names in clauses for name in re.split(", | and ", names) if name}
    assert set(stated) == set(NAMES)
    for name, form in stated.items():
        assert as_index(form, 6, 0.3) == pytest.approx(index_of(NAMES[name], 6, 0.3), rel=1e-12), name


@pytest.mark.parametrize(("name", "stable"), [("negative_dominant", True), ("positive_dominant", False)])
def test_losing_the_hard_prompt_attracts_where_the_index_is_above_its_threshold(name, stable):
    """P_e = sigmoid(a + t), P_h = sigmoid(b - t): the flow of t far out, with R* = (n_h / n_e) e^(a+b) = 1."""
    text = find("stability_indices").statement
    assert "let d_j = A+(j+1) - A-(j)" in text.replace("Let", "let")
    assert "R = d_(G-1)/d_0" in text
    assert "losing the hard ones attracts if R > R* = (n_h/n_e) e^(a+b) and repels if R < R*" in text
    a, b, size, t = 0.7, -0.7, 4, 14.0
    easy, hard = expit(a + t), expit(b - t)
    drift = slope(name, size, easy) * easy * expit(-a - t) - slope(name, size, hard) * hard * expit(t - b)
    assert (drift > 0) == stable == (flow.stability_index(name, size) > 1)


THRESHOLDS = flow.EASY_THRESHOLDS


@pytest.mark.parametrize("size", THRESHOLDS)
def test_easy_focus_outpaces_grpo_above_the_stated_success_only(size):
    lead = lambda p: slope("easy_focused", int(size), p) - slope("grpo", int(size), p)  # noqa: E731
    grid = np.linspace(0.005, 0.995, 100)
    if THRESHOLDS[size] == "none":
        assert all(lead(p) < 1e-12 for p in grid)
        assert int(size) <= int(re.search(r"none up to G = (\d+)", statement_of_focus()).group(1))
        return
    root = brentq(lead, 0.3, 0.995)
    assert f"{root:.3f}" == THRESHOLDS[size]
    assert all((lead(p) > 0) == (p > root) for p in grid)
    mirrored = slope("hard_focused", int(size), 1 - root) - slope("grpo", int(size), 1 - root)
    assert mirrored == pytest.approx(0, abs=1e-9)


def statement_of_focus():
    """The whole docstring: its second paragraph holds the finite groups."""
    return " ".join(flow.focus_beats_grpo_only_at_one_end.__doc__.split())


def test_the_first_group_size_with_a_threshold_is_one_above_the_stated():
    largest = int(re.search(r"none up to G = (\d+)", statement_of_focus()).group(1))
    ahead = [size for size in range(2, 9) if slope("easy_focused", size, 0.99) > slope("grpo", size, 0.99)]
    assert ahead[0] == largest + 1


def test_at_large_groups_focus_crosses_grpo_at_the_stated_success():
    easy, hard = re.search(r"iff P > (\d+/\d+), and Hard-Focused iff P < (\d+/\d+)", statement_of_focus()).groups()
    roots = [brentq(lambda p, n=n: gap(n, p) - gap("grpo", p), 0.01, 0.99) for n in ("easy_focused", "hard_focused")]
    assert roots == pytest.approx([value(easy), value(hard)], abs=1e-12)
    assert gap("easy_focused", 0.76) > gap("grpo", 0.76)
    assert gap("hard_focused", 0.24) > gap("grpo", 0.24)
    assert easy in find("focus_beats_grpo_only_at_one_end").derive().when
