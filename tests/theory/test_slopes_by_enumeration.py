"""The master theorem and what follows from it, from every group of small policies and the papers' advantages."""

import itertools
import math
import re
from fractions import Fraction

import numpy as np
import pytest
import sympy
from scipy.special import softmax
from textbook import advantage, chance, gap, group_advantages, groups, slope, value

from symtheory import estimators
from symtheory.theory.symbols import P, omega
from symtheory.theory.theorems import find, objectives
from symtheory.theory.theorems.objectives import (
    exact_marginal_values,
    limit_objective,
    limit_slope,
    sample_points,
    slope_polynomial,
)

NAMES = [
    "grpo",
    "dr_grpo",
    "rloo",
    "reinforce",
    "psr",
    "nsr",
    "w_reinforce",
    "reinforce_rej",
    "raft",
    "maxrl",
    "positive_dominant",
    "negative_dominant",
    "hard_focused",
    "easy_focused",
    "f_grpo",
    "ddas",
    "ass",
    "agrae",
]
"""Estimators whose advantages `textbook` writes out."""
FEATURES = np.array([[1.0, 0.5, -1.0], [0.2, -0.4, 2.0], [-1.5, 0.3, 0.1], [0.7, 1.1, 0.6]])
"""Of four trajectories, so that their logits share three parameters."""
PARAMETERS, RIGHT = np.array([0.3, -0.5, 0.2]), (1, 0, 1, 0)


def at(form, success, w):
    return float(form.subs({P: success, omega: w}))


def policy_and_scores(parameters):
    """pi(o) and grad log pi(o) of each trajectory."""
    pi = softmax(FEATURES @ parameters)
    return pi, FEATURES - pi @ FEATURES


@pytest.mark.parametrize("name", NAMES)
def test_the_mean_over_all_groups_of_the_policy_gradient_is_the_slope_times_the_gradient_of_success(name):
    text = find("master_theorem").statement
    assert "has E[(1/G) sum_i A_i grad log pi(o_i)] = F'_G(P) grad P, where F'_G(P) is the mean of" in text
    assert "A+(J+1) - A-(J) over J ~ Bin(G-1, P)" in text
    size, w, h = 3, 0.4, 1e-6
    pi, scores = policy_and_scores(PARAMETERS)
    mean = np.zeros(3)
    for group in groups(4, size):
        a = group_advantages(name, [RIGHT[o] for o in group], w)
        mean += chance(group, pi) * sum(x * scores[o] for x, o in zip(a, group, strict=True)) / size
    success = lambda parameters: softmax(FEATURES @ parameters) @ RIGHT  # noqa: E731
    rise = [(success(PARAMETERS + h * e) - success(PARAMETERS - h * e)) / (2 * h) for e in np.eye(3)]
    np.testing.assert_allclose(
        mean, at(slope_polynomial(name, size), success(PARAMETERS), w) * np.array(rise), atol=1e-8
    )


@pytest.mark.parametrize("name", NAMES)
def test_polynomials_of_the_slope_are_the_enumerated_slopes(name):
    for size, success in ((2, 0.3), (3, 0.65), (6, 0.2)):
        assert at(slope_polynomial(name, size), success, 0.4) == pytest.approx(slope(name, size, success, 0.4))


@pytest.mark.parametrize("name", NAMES)
def test_marginal_values_are_those_of_written_out_groups(name):
    for size in (2, 5):
        exact = exact_marginal_values(estimators.get(name), size)
        assert len(exact) == size
        for j, d in enumerate(exact):
            with_one, without = ([1] * n + [0] * (size - n) for n in (j + 1, j))
            expected = group_advantages(name, with_one, 0.4)[0] - group_advantages(name, without, 0.4)[-1]
            assert at(d, 0.5, 0.4) == pytest.approx(expected, rel=1e-12, abs=1e-12)


STATED = {
    "RLOO": "rloo",
    "PSR": "psr",
    "NSR": "nsr",
    "Dr.GRPO": "dr_grpo",
    "RAFT": "raft",
    "MaxRL": "maxrl",
    "Reinforce-Rej": "reinforce_rej",
}


def stated_slopes():
    """Formula of each estimator in the statement of `exact_finite_slopes`."""
    text = find("exact_finite_slopes").statement.split("where F'_G is ")[1].removesuffix(", with Q = 1 - P.")
    names = r"[A-Z][\w.-]+(?:(?:, | and )[A-Z][\w.-]+)*"
    clauses = re.findall(rf"(?:^|, (?:and )?)([\d(][^,]*?) for ({names})(?=, |$)", text)
    return {STATED[name]: form for form, names in clauses for name in re.split(r", | and ", names)}


def test_the_statement_gives_every_exact_slope_a_formula():
    assert set(stated_slopes()) == set(STATED.values())


@pytest.mark.parametrize("name", objectives.FINITE)
def test_exact_slopes_at_every_size_are_the_enumerated_ones(name):
    forms = {objectives.FINITE[name][0], stated_slopes().get(name, objectives.FINITE[name][0])}
    for form, size, success in itertools.product(forms, (2, 3, 7), (0.2, 0.7)):
        assert value(form, G=size, P=success, Q=1 - success) == pytest.approx(slope(name, size, success))


def test_small_groups_have_the_stated_polynomials():
    theorem = find("small_groups_have_no_difficulty_weight")
    two, three, four = re.search(
        r"F'_2 = (\S+) and F'_3 = (.+?) do not .* F'_4 = (.+) does depend", theorem.statement
    ).groups()
    ((_, arguments),) = theorem.derive().named
    forms = {2: two, 3: three, 4: four, **{int(g): f"{a} + ({b}) P Q" for g, (a, b) in arguments["forms"].items()}}
    for size, form in [(2, two), (3, three), (4, four), *forms.items()]:
        for success in (0.1, 0.35, 0.8):
            read = re.sub(r"sqrt (\d)", r"sqrt(\1)", form)
            assert value(read, P=success, Q=1 - success) == pytest.approx(slope("grpo", size, success)), size
    weights = {size: [slope("grpo", size, p) for p in (0.1, 0.5)] for size in (2, 3, 4)}
    largest = int(re.search(r"at G = 2 and (\d)", theorem.statement).group(1))
    assert [size for size, (a, b) in weights.items() if abs(a - b) < 1e-12] == list(range(2, largest + 1))


def test_grpo_weighs_medium_difficulty_least_from_the_stated_size_on():
    text = find("medium_difficulty_has_least_weight").statement
    first, form = re.search(r"every G >= (\d+) .* is least at P = 1/2, .* coefficients c_j = (.+)\.$", text).groups()
    for size in range(2, 13):
        around = [slope("grpo", size, p) for p in np.linspace(0.02, 0.98, 49)]
        least = all(x > around[24] + 1e-12 for i, x in enumerate(around) if i != 24)
        assert least == (size >= int(first)), size
    degree = re.search(r"Bernstein polynomial of degree (.+) with the convex symmetric", text).group(1)
    for size in (4, 9):
        assert value(degree, G=size) == size - 2
        c = [value(form, G=size, j=j) for j in range(size - 1)]
        n, p = size - 2, 0.3
        total = sum(x * math.comb(n, j) * p**j * (1 - p) ** (n - j) for j, x in enumerate(c))
        assert total == pytest.approx(slope("grpo", size, p), rel=1e-12)


@pytest.mark.parametrize(("name", "up", "down"), [("positive_dominant", 10, 1), ("negative_dominant", 0.1, 1)])
def test_scaling_one_sign_tilts_the_slope_of_grpo_as_stated(name, up, down):
    tilt = re.search(r"F'_G\(P\) by (.+), at every G", find("entanglement").statement).group(1)
    ((_, arguments),) = find("entanglement").derive().named
    assert [name, str(Fraction(up).limit_denominator()), str(down)] in arguments["pairs"]
    for size, success in ((2, 0.3), (5, 0.8)):
        factor = value(tilt.replace("l+", "up").replace("l-", "down"), up=up, down=down, P=success)
        assert slope(name, size, success) == pytest.approx(factor * slope("grpo", size, success))


@pytest.mark.parametrize("name", ["ass", "ddas", "agrae"])
def test_with_its_own_rewards_in_omega_a_group_still_steps_along_the_gradient_of_success(name):
    """The batch holds this group of three and five more rollouts, two of them right; every group is written out."""
    size = 3
    mean_reward = lambda k: (k + 2) / (size + 5)  # noqa: E731
    pi, scores = policy_and_scores(PARAMETERS)
    mean, success = np.zeros(3), pi @ RIGHT
    for group in groups(4, size):
        rewards = [RIGHT[o] for o in group]
        a = group_advantages(name, rewards, mean_reward(sum(rewards)))
        mean += chance(group, pi) * sum(x * scores[o] for x, o in zip(a, group, strict=True)) / size
    stated = 0.0
    for j in range(size):
        others = math.comb(size - 1, j) * success**j * (1 - success) ** (size - 1 - j)
        with_it = advantage(name, 1, (j + 1) / size, size, mean_reward(j + 1))
        stated += others * (with_it - advantage(name, 0, j / size, size, mean_reward(j)))
    gradient = (pi * RIGHT) @ scores
    np.testing.assert_allclose(mean, stated * gradient, rtol=1e-10)


@pytest.mark.parametrize("name", ["master_theorem", "coupled_omega"])
def test_the_certificates_of_the_master_theorem_are_at_the_sizes_that_it_names(name):
    proof = find(name).derive()
    sizes = [int(re.search(r"G = (\d+)$", c.meaning).group(1)) for c in proof.certificates]
    assert sizes == list(range(2, 2 + len(sizes)))
    if named := re.search(r"at G = ([\d, ]+), every", proof.method):
        assert [int(x) for x in named.group(1).split(", ")] == sizes


def test_the_master_theorem_is_tried_on_every_estimator():
    for _, arguments in find("master_theorem").derive().named:
        assert arguments["names"] == list(estimators.names("two_class"))


@pytest.mark.parametrize("name", ["grpo", "agrae", "raft"])
def test_the_population_objective_rises_with_the_enumerated_slope(name):
    text = find("population_objective:grpo").statement
    assert "is the gradient of F_G(P) = (1/G) sum_j d_j Pr(Bin(G, P) > j)" in text
    d = [at(x, 0.5, 0.5) for x in exact_marginal_values(estimators.get(name), 4)]

    def objective(p):
        more = [sum(math.comb(4, k) * p**k * (1 - p) ** (4 - k) for k in range(j + 1, 5)) for j in range(4)]
        return np.dot(d, more) / 4

    for p in (0.2, 0.7):
        assert (objective(p + 1e-5) - objective(p - 1e-5)) / 2e-5 == pytest.approx(slope(name, 4, p), rel=1e-8)


@pytest.mark.parametrize("name", NAMES)
def test_slopes_of_large_groups_are_gaps_at_the_mean(name):
    form = limit_slope(name)
    for success, w in ((0.2, 0.3), (0.7, 0.8)):
        assert at(form, success, w) == pytest.approx(gap(name, success, w), rel=1e-12)
        # the slope of 400 rollouts is near it, and nearer than that of 100
        far, near = (abs(slope(name, size, success, w) - gap(name, success, w)) for size in (100, 400))
        assert near < max(0.35 * far, 1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_objectives_of_large_groups_rise_with_the_gap(name):
    form, h = limit_objective(name), 1e-5
    for success, w in ((0.2, 0.3), (0.7, 0.8)):
        rise = (at(form, success + h, w) - at(form, success - h, w)) / (2 * h)
        assert rise == pytest.approx(gap(name, success, w), rel=1e-7)


@pytest.mark.parametrize("name", ["agrae_released", "agrae_dr_grpo", "dgpo"])
def test_objectives_that_need_the_whole_basis_rise_with_the_limit_slope(name):
    form, h = limit_objective(name), 1e-5
    for success, w in ((0.2, 0.3), (0.7, 0.8)):
        rise = (at(form, success + h, w) - at(form, success - h, w)) / (2 * h)
        assert rise == pytest.approx(at(limit_slope(name), success, w), rel=1e-7)


def test_an_objective_outside_the_basis_is_none():
    assert limit_objective("maxrl_std") is None


def test_slopes_of_the_basis_are_rational_at_the_sample_points_and_the_differences_of_its_objectives():
    points, h = sample_points(12), 1e-6
    for function, rise in zip(*objectives._basis.__wrapped__(), strict=True):
        assert all(rise.subs(P, x).is_Rational for x in points[:4])
        up, down = (float(function.subs(P, 0.3 + d)) for d in (h, -h))
        assert (up - down) / (2 * h) == pytest.approx(float(rise.subs(P, 0.3)), rel=1e-8)


def test_sample_points_have_rational_roots_on_both_sides():
    points = [Fraction(int(x.p), int(x.q)) for x in sample_points(12)]
    assert len(set(points)) == 12
    for x in (*points, *(1 - x for x in points)):
        assert 0 < x < 1
        assert math.isqrt(x.numerator) ** 2 == x.numerator
        assert math.isqrt(x.denominator) ** 2 == x.denominator


def test_the_limit_of_a_closed_form_is_its_value_in_ever_larger_groups():
    from symtheory.theory.symbols import F, K

    form = sympy.sqrt((K + F) * F) / (K + 2) + omega * (K + 1) / (K + F) + (1 - omega) * F / K
    limit = objectives.at_large_groups(form, P)
    for rate, w in ((0.2, 0.3), (0.9, 0.6)):
        size = 10**7
        near = form.subs({K: rate * size, F: (1 - rate) * size, omega: w})
        assert at(limit, rate, w) == pytest.approx(float(near), rel=1e-5)
    size, right = K + F, sympy.exp(-K / (K + F) ** 2)
    assert objectives.at_large_groups(size * (1 - right), P) == P  # 0 / 0 at 1/G = 0
