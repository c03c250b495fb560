"""Regimes of training, again: every group of small policies, with advantages from the papers' equations."""

import itertools
import math
import re

import numpy as np
import pytest
from textbook import chance, group_advantages, groups, logit_gradient, slope, value

import symtheory
from symtheory.theory.theorems import find

PI = np.array([0.2, 0.1, 0.4, 0.3])
CORRECT = (1, 1, 0, 0)
RATE = 0.3
GRADIENT = PI * (np.array(CORRECT) - RATE)
"""Of the success rate by the logits."""
NAMES = ["grpo", "rloo", "positive_dominant", "negative_dominant", "hard_focused", "maxrl", "nsr"]


def said(id, pattern):
    """What the statement of a theorem says where the pattern has its groups."""
    [found] = re.findall(pattern, find(id).statement)
    return found


def mean_update(size, advantages, weight=lambda group: 1.0):
    """Mean of (1/G) sum_i A_i grad log pi(o_i) over every group of behaviours."""
    return sum(
        chance(group, PI) * weight(group) * logit_gradient(PI, group, advantages(group)) for group in groups(4, size)
    )


def by_verdict(name):
    """Advantages of a group that a verifier without errors judges."""
    return lambda group: group_advantages(name, [CORRECT[b] for b in group])


def test_the_estimators_that_the_certificates_enumerate_are_those_of_this_test():
    from symtheory.theory.theorems import regimes

    assert regimes.TELLING == NAMES


def test_the_sizes_that_a_proof_names_are_those_of_its_certificates():
    proof = find("noisy_verifier").derive()
    [named] = re.findall(r"at G = (.*)", proof.method)
    assert [re.findall(r"G = (\d+)", c.meaning) for c in proof.certificates] == [[n] for n in named.split(", ")]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("t", "f"), [(1, 0), (0.9, 0.2), (0.3, 0.5)])
def test_a_verifier_with_errors_shifts_and_scales_the_slope(name, t, f):
    assert said("noisy_verifier", r"is (J F'_G\(f \+ J P\) grad P) with J = (t - f)") == (
        "J F'_G(f + J P) grad P",
        "t - f",
    )
    for size in (2, 3):
        total = np.zeros(4)
        for said_of in itertools.product((0, 1), repeat=size):
            a = group_advantages(name, said_of)
            accept = [t if c else f for c in CORRECT]

            def of_verdicts(group, said_of=said_of, accept=accept):
                return math.prod(accept[b] if s else 1 - accept[b] for b, s in zip(group, said_of, strict=True))

            total += mean_update(size, lambda group, a=a: a, of_verdicts)
        expected = (t - f) * slope(name, size, f + (t - f) * RATE) * GRADIENT
        np.testing.assert_allclose(total, expected, atol=1e-12)


def moments(name, size, rate):
    """Mean of the update, its second moment, and E[sum A^2], where rewards are drawn apart from behaviours."""
    mean, second, squares = np.zeros(4), np.zeros((4, 4)), 0.0
    for rewards in itertools.product((0, 1), repeat=size):
        a = group_advantages(name, rewards)
        likely = rate ** sum(rewards) * (1 - rate) ** (size - sum(rewards))
        squares += likely * sum(x * x for x in a)
        for group in groups(4, size):
            g = logit_gradient(PI, group, a)
            mean += likely * chance(group, PI) * g
            second += likely * chance(group, PI) * np.outer(g, g)
    return mean, second, squares


@pytest.mark.parametrize("name", NAMES)
def test_a_placebo_has_no_drift_and_the_stated_second_moment(name):
    id = "placebo_has_no_drift_but_noise"
    factor = said(id, r"is \((.*?)\) E\[sum A\^2\] times the Fisher matrix")
    of_grpo = said(id, r"GRPO has E\[sum A\^2\] = (.*?), as")
    fisher = np.diag(PI) - np.outer(PI, PI)
    for size in (2, 3):
        mean, second, squares = moments(name, size, 0.4)
        np.testing.assert_allclose(mean, 0, atol=1e-14)
        np.testing.assert_allclose(second, value(factor, G=size) * squares * fisher, atol=1e-14)
        if name == "grpo":
            assert squares == pytest.approx(value(of_grpo, G=size, P=0.4, Q=0.6))


def drift(pi, size, rate, eta):
    """E[pi' - pi] over eta^2 of a step along GRPO's update with a placebo, odd orders taken out."""
    total = np.zeros(len(pi))
    for rewards in itertools.product((0, 1), repeat=size):
        a = group_advantages("grpo", rewards)
        likely = rate ** sum(rewards) * (1 - rate) ** (size - sum(rewards))
        for group in groups(len(pi), size):
            for sign in (1, -1):
                moved = pi * np.exp(sign * eta * logit_gradient(pi, group, a))
                total += likely * chance(group, pi) * (moved / moved.sum() - pi) / 2
    return total / eta**2


@pytest.mark.parametrize("pi", [(0.5, 0.3, 0.2), (0.05, 0.15, 0.8), (0.7, 0.3)])
def test_a_placebo_drifts_at_second_order_as_stated(pi):
    id = "placebo_drifts_at_second_order"
    front, bracket = said(id, r"E\[d pi_b\] = \((.*?)\) pi_b \[(.*?)\] \+ O\(eta\^3\)")
    pi, size, rate = np.array(pi), 2, 0.4
    v = value(said(id, r"v = E\[sum A\^2\] / (G\^2)"), G=size)
    v = size * (1 - rate**size - (1 - rate) ** size) / v  # E[sum A^2] of GRPO, by the test above
    sums = {f"s{n}": float((pi**n).sum()) for n in (2, 3)}
    stated = [x * value(front, eta=1, v=v) * value(bracket.replace("pi_b", "x"), x=x, **sums) for x in pi]
    # the next even order is eta^4
    np.testing.assert_allclose(drift(pi, size, rate, 1e-2), stated, atol=1e-6)
    assert np.abs(stated).max() > 1e-3
    if len(pi) == 2:
        text = said(id, r"pi_b \[\.\.\.\] is (.*?)\. Where").replace("pi", "x")
        np.testing.assert_allclose(stated, [v / 2 * value(text, x=x) for x in pi], atol=1e-15)


@pytest.mark.parametrize("name", ["grpo", "rloo", "maxrl"])
@pytest.mark.parametrize("tries", [1, 2, 5])
def test_groups_drawn_again_until_mixed_gain_what_they_cost(name, tries):
    series = said("redrawing_costs_what_it_gains", r"times 1 \+ d \+ \.\.\. \+ d\^\((.*?)\) with d")
    dead = said("redrawing_costs_what_it_gains", r"with d = (.*?), and the mean")
    size = 3
    d = value(dead, P=RATE, Q=1 - RATE, G=size)
    factor = sum(d**i for i in range(int(value(series, T=tries)) + 1))
    once = mean_update(size, by_verdict(name))
    mixed = sum(chance(g, PI) for g in groups(4, size) if 0 < sum(CORRECT[b] for b in g) < size)
    update, cost, still = np.zeros(4), 0.0, 1.0
    for _ in range(tries):  # a draw happens if all before were not mixed
        update, cost, still = update + still * once, cost + still, still * (1 - mixed)
    np.testing.assert_allclose(update, factor * slope(name, size, RATE) * GRADIENT, atol=1e-12)
    assert cost == pytest.approx(factor)


@pytest.mark.parametrize("name", ["grpo", "dr_grpo", "positive_dominant", "hard_focused", "maxrl"])
def test_copies_of_rollouts_leave_the_update_of_the_distinct_ones(name):
    for distinct, copies in itertools.product((2, 3), (2, 3)):

        def summed(group, copies=copies):
            rewards = np.repeat([float(CORRECT[b]) for b in group], copies)
            return symtheory.advantages(rewards, name).reshape(-1, copies).mean(1)

        expected = slope(name, distinct, RATE) * GRADIENT
        np.testing.assert_allclose(mean_update(distinct, summed), expected, atol=1e-12)


@pytest.mark.parametrize("arms", [2, 3, 6])
def test_the_mean_gradient_of_k3_is_that_of_the_forward_kl(arms):
    assert said("kl_penalty_of_grpo_is_the_forward_one", r"mean is (pi - pi_base)\.") == "pi - pi_base"
    rng = np.random.default_rng(arms)
    pi, base = rng.dirichlet(np.ones(arms), 2)

    def log_pi(h):
        return h - np.log(np.exp(h).sum())

    def derivative(function):
        return np.array([function(np.log(pi) + 1e-30j * e).imag / 1e-30 for e in np.eye(arms)])

    def k3(h, b):  # of one sample b
        log_r = np.log(base[b]) - log_pi(h)[b]
        return np.exp(log_r) - log_r - 1

    mean = sum(pi[b] * derivative(lambda h, b=b: k3(h, b)) for b in range(arms))
    np.testing.assert_allclose(mean, pi - base, atol=1e-14)
    forward = derivative(lambda h: (base * (np.log(base) - log_pi(h))).sum())
    backward = derivative(lambda h: (np.exp(log_pi(h)) * (log_pi(h) - np.log(base))).sum())
    np.testing.assert_allclose(mean, forward, atol=1e-14)
    assert np.abs(mean - backward).max() > 1e-3
