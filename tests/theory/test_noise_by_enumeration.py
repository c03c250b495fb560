"""What finite steps cost, from every group of a small policy: two derivatives of E[P] by the step, exactly."""

import itertools
import math
import re
from fractions import Fraction

import numpy as np
import pytest
from scipy.optimize import brentq
from textbook import chance, group_advantages, groups, value

from symtheory import InputError
from symtheory.theory.theorems import find, flow

RHO = [Fraction(n, 10) for n in (5, 3, 2)]
"""Conditional law of three wrong behaviours; behaviour 0 is the right one."""
TINY = Fraction(1, 10**9)
"""A success rate so small that only the leading order in it is left."""


def two_derivatives(policy, size, advantages):
    """d E[P] / d eta and d^2 E[P] / d eta^2 at eta = 0 of a step h + eta sum_i A_i grad log pi(o_i), over all groups.

    Under a softmax they are the covariance of f, the indicator of behaviour 0, with g, and that of f with (g - mean)^2.
    """
    first = second = Fraction(0)
    for group in groups(len(policy), size):
        a = advantages(group)
        g = [sum(x * ((o == b) - pi) for x, o in zip(a, group, strict=True)) for b, pi in enumerate(policy)]
        mean = sum(pi * x for pi, x in zip(policy, g, strict=True))
        spread = sum(pi * (x - mean) ** 2 for pi, x in zip(policy, g, strict=True))
        first += chance(group, policy) * policy[0] * (g[0] - mean)
        second += chance(group, policy) * policy[0] * ((g[0] - mean) ** 2 - spread)
    return first, second


def nsr(weight):
    return lambda group: [Fraction(weight) if o == 0 else Fraction(-1) for o in group]


@pytest.mark.parametrize("weight", [0, Fraction(1, 10), 1])
@pytest.mark.parametrize("size", [2, 3])
def test_the_threshold_of_nsr_is_where_the_two_orders_of_the_enumerated_gain_cancel(weight, size):
    first, second = two_derivatives([TINY, *((1 - TINY) * x for x in RHO)], size, nsr(weight))
    # first is of order P^2 and second of order P: E[dP] = eta first + eta^2 second / 2 is 0 where P is this times eta
    ratio = float(-second / TINY / 2 / (first / TINY**2))
    assert flow.nsr_collapse_threshold(1.0, RHO, float(weight)) == pytest.approx(ratio, rel=1e-6)
    assert flow.nsr_collapse_threshold(0.3, RHO, float(weight)) == pytest.approx(0.3 * ratio, rel=1e-6)
    assert flow.nsr_critical_step(0.002, RHO, float(weight)) == pytest.approx(0.002 / ratio, rel=1e-6)


def test_the_threshold_of_nsr_is_that_without_a_weight():
    assert flow.nsr_collapse_threshold(0.3, RHO) == flow.nsr_collapse_threshold(0.3, RHO, 0.0)
    assert flow.nsr_critical_step(0.01, RHO) == flow.nsr_critical_step(0.01, RHO, 0.0)


def exact_gain(eta, policy, size, advantages):
    """E[P' - P] of one step of size eta, by all groups, no expansion."""
    total, pi = 0.0, np.array([float(x) for x in policy])
    for group in groups(len(policy), size):
        a = np.array([float(x) for x in advantages(group)])
        g = np.array([a[np.array(group) == b].sum() for b in range(len(pi))]) - a.sum() * pi
        weights = pi * np.exp(eta * g)
        total += float(chance(group, pi)) * (weights[0] / weights.sum() - pi[0])
    return total


@pytest.mark.parametrize("weight", [0, 1])
def test_the_threshold_of_nsr_is_reached_by_exact_steps_as_they_shrink(weight):
    """To first order in eta: the distance from the formula halves when eta does."""
    gaps = []
    for eta in (0.04, 0.02):
        gain = lambda p, eta=eta: exact_gain(eta, [p, *((1 - p) * x for x in map(float, RHO))], 2, nsr(weight))  # noqa: E731
        threshold = brentq(gain, 1e-5, 0.5)
        gaps.append(threshold / flow.nsr_collapse_threshold(eta, RHO, weight) - 1)
    assert abs(gaps[1]) < 0.01
    assert gaps[0] / gaps[1] == pytest.approx(2, abs=0.1)


def test_one_wrong_behaviour_leaves_no_threshold():
    first, second = two_derivatives([TINY, 1 - TINY], 3, nsr(0))
    assert first > 0
    assert second / TINY == pytest.approx(0, abs=1e-6)
    assert flow.nsr_collapse_threshold(0.3, [1.0]) == 0
    assert flow.nsr_critical_step(0.3, [1.0]) == math.inf
    assert flow.negative_dominant_critical_beta(5, [1.0]) == math.inf


def negative_dominant(beta):
    """G - 1 wrong rollouts of G = 5 have std sqrt(G - 1) / G: the right one has (1 - 1/G) / std, over beta."""
    return lambda group: group_advantages_exact(group, beta)


def group_advantages_exact(group, beta):
    right = [o == 0 for o in group]
    a = [Fraction(round(x * 2), 2) for x in group_advantages("grpo", right)]  # at G = 5 and K = 1: 2 and -1/2
    return [x / beta if ok else x for x, ok in zip(a, right, strict=True)]


def only_one_right(beta):
    """Groups of five with more than one right rollout are of a higher order in P."""
    inner = negative_dominant(beta)
    return lambda group: inner(group) if group.count(0) == 1 else [Fraction(0)] * len(group)


@pytest.mark.parametrize("beta", [8, 100])
def test_the_critical_step_of_negative_dominant_cancels_the_two_orders_of_the_enumerated_gain(beta):
    rho = [Fraction(3, 5), Fraction(2, 5)]
    first, second = two_derivatives([TINY, *((1 - TINY) * x for x in rho)], 5, only_one_right(beta))
    assert flow.negative_dominant_critical_step(5, beta, rho) == pytest.approx(float(-2 * first / second), rel=1e-6)
    critical = flow.negative_dominant_critical_beta(5, rho)
    for factor, falls in ((Fraction(101, 100), True), (Fraction(99, 100), False)):
        near = Fraction(critical) * factor
        _, second = two_derivatives([TINY, *((1 - TINY) * x for x in rho)], 5, only_one_right(near))
        assert (second < 0) == falls == (flow.negative_dominant_critical_step(5, float(near), rho) < math.inf)


def test_large_steps_of_negative_dominant_lower_success_only_where_the_critical_step_is_small():
    """The numbers of the docstring, without an expansion: groups with one right rollout as P goes to 0."""
    rho = np.array([0.4, 0.3, 0.2, 0.1])

    def gain(eta, beta):
        total = 0.0
        for group in itertools.product(range(4), repeat=4):
            g = -0.5 * np.bincount(group, minlength=4) - (2 / beta - 2) * rho
            total += rho[list(group)].prod() * (math.exp(eta * 2 / beta) / (rho @ np.exp(eta * g)) - 1)
        return total

    text = flow.negative_dominant_critical_step.__doc__
    stated, beta, never = re.search(r"exactly, ([\d.]+) here at beta = (\d+), and at beta = (\d+)", text).groups()
    assert f"{brentq(lambda eta: gain(eta, int(beta)), 0.05, 1):.3f}" == stated
    assert flow.negative_dominant_critical_step(5, int(never), rho) < 5  # the expansion says that a step of 5 falls
    assert all(gain(eta, int(never)) > 0 for eta in np.geomspace(0.01, 100, 40))


@pytest.mark.parametrize("rho", [[0.5, 0.4], [0.5, 0.5, 1e-6], [1.2, -0.2]])
def test_what_is_no_law_of_wrong_behaviours_is_refused(rho):
    with pytest.raises(InputError, match="rho must be probabilities"):
        flow.nsr_collapse_threshold(0.1, rho)


def test_a_law_may_give_a_wrong_behaviour_no_chance():
    assert flow.nsr_collapse_threshold(0.1, [0.6, 0.4, 0.0]) == flow.nsr_collapse_threshold(0.1, [0.6, 0.4])


def test_the_stated_cost_of_groups_without_a_right_rollout_is_the_enumerated_one():
    text = find("nsr_noise_coefficient").statement
    said = re.search(r"Q = (.+?)\. To leading .* lower P by (.+) in expectation .* P_crit = (.+)\.$", text)
    q, cost, threshold = said.groups()
    s2, s3 = (sum(x**n for x in RHO) for n in (2, 3))
    noise = value(q, s2=s2, s3=s3)
    for size in (1, 2, 3, 4):
        second = Fraction(0)  # of (P' - P) / P as P goes to 0, over groups of wrong rollouts
        for group in groups(3, size):
            g = [size * x - group.count(b) for b, x in enumerate(RHO)]
            mean = sum(x * y for x, y in zip(RHO, g, strict=True))
            second += chance(group, RHO) * (2 * mean**2 - sum(x * y**2 for x, y in zip(RHO, g, strict=True)))
        assert value(cost, eta=0.1, G=size, Q=noise, P=0.01) == pytest.approx(-0.01 * 0.1**2 / 2 * float(second))
    assert value(threshold, eta=0.3, Q=noise, s2=s2) == pytest.approx(flow.nsr_collapse_threshold(0.3, RHO))


def test_the_certificates_of_the_noise_are_at_the_sizes_that_the_theorem_names():
    proof = find("nsr_noise_coefficient").derive()
    named = re.search(r"at G = ([\d, ]+)$", proof.method).group(1).split(", ")
    assert [re.search(r"G = (\d+)$", c.meaning).group(1) for c in proof.certificates] == named


@pytest.mark.parametrize(("size", "mass", "tail"), [(3, Fraction(2, 5), Fraction(1, 20)), (5, Fraction(1, 2), 0)])
def test_missing_the_tail_is_as_likely_as_the_enumerated_groups_are(size, mass, tail):
    law, total = (tail, mass - tail, 1 - mass), 0  # the tail, other right ones, wrong ones
    for group in groups(3, size):
        total += chance(group, law) if {1, 2} == set(group) else 0
    assert flow.tail_miss_probability(size, mass, tail) == total
