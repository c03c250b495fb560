"""How much a group moves the policy, again: sums over groups, peaks by search, the numbers of statements."""

import itertools
import math
import re

import numpy as np
import pytest
import sympy
from scipy.optimize import minimize_scalar
from textbook import value

import symtheory
from symtheory import estimators
from symtheory.metrics.plane import all_groups
from symtheory.metrics.slope import advantage_table
from symtheory.theory import derivation
from symtheory.theory.symbols import omega
from symtheory.theory.theorems import difficulty, find

TWO_CLASS = estimators.names("two_class")


def said(id, pattern):
    """What the statement of a theorem says where the pattern has its group."""
    statement = find(id).statement
    match = re.search(pattern, statement)
    assert match, f"{pattern!r} does not stand in {statement!r}"
    return match[1]


def sees_the_batch(name):
    """Whether more of the other groups than their mean reward matters."""
    a, b = (
        symtheory.advantages([[1.0, 0, 0, 0], *more], name, omega=0.5)[0] for more in ([[1, 1, 0, 0]], [[1] * 4] * 5)
    )
    return not np.allclose(a, b, rtol=1e-12)


@pytest.mark.parametrize("name", [n for n in TWO_CLASS if not sees_the_batch(n)])
def test_magnitude_and_imbalance_are_sums_over_the_group(name):
    for options in ({}, {"omega": 0.3}):
        sums = difficulty.magnitude(name, 5, **options), difficulty.imbalance(name, 5, **options)
        a = symtheory.advantages(all_groups(5), name, omega=options.get("omega", 0.5))
        np.testing.assert_allclose(sums, [np.abs(a).sum(1), a.sum(1)], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("function", [difficulty.magnitude, difficulty.imbalance])
def test_omega_is_a_half_where_it_is_not_given(function):
    assert function("agrae", 3).tolist() == function("agrae", 3, 0.5).tolist()
    assert difficulty.numeric_peak("ddas") == difficulty.numeric_peak("ddas", 0.5)


def ddas_height_at(p, w):
    """sum |A| / G by Eq. 12: w / (2 sqrt p) and (1 - w) / (2 sqrt(1 - p)) times GRPO's 2 sqrt(p (1 - p))."""
    return (w / (2 * math.sqrt(p)) + (1 - w) / (2 * math.sqrt(1 - p))) * 2 * math.sqrt(p * (1 - p))


@pytest.mark.parametrize("w", [0.1, 0.5, 0.7])
def test_ddas_moves_most_where_a_search_finds_it(w):
    found = minimize_scalar(lambda p: -ddas_height_at(p, w), bounds=(1e-6, 1 - 1e-6), options={"xatol": 1e-12})
    id = "ddas_peak_and_height"
    assert difficulty.ddas_peak(w) == pytest.approx(found.x, abs=1e-6)
    assert difficulty.ddas_height(w) == pytest.approx(-found.fun, abs=1e-9)
    assert value(said(id, r"p\* = (.*?), where"), w=w) == pytest.approx(found.x, abs=1e-6)
    assert value(said(id, r"it is G (sqrt\(.*?\)), a number"), w=w) == pytest.approx(-found.fun, abs=1e-9)
    low, high = (value(end, G=1) for end in said(id, r"a number in \[(.*?)\]").split(", "))
    assert low - 1e-12 <= -found.fun <= high


def test_ddas_peaks_at_the_ends_and_refuses_what_is_no_mean_reward():
    assert (difficulty.ddas_peak(0), difficulty.ddas_peak(1)) == (1, 0)
    assert (difficulty.ddas_height(0), difficulty.ddas_height(1)) == (1, 1)
    low, high = (value(end, G=1) for end in said("ddas_peak_and_height", r"a number in \[(.*?)\]").split(", "))
    assert (low, high) == (pytest.approx(difficulty.ddas_height(0.5)), 1)  # both ends are met
    for w in (-0.01, 1.01):
        with pytest.raises(symtheory.InputError):
            difficulty.ddas_peak(w)


def heights(name, w, size):
    """sum |A| / G of groups of one large size, by the code."""
    plus, minus = advantage_table(name, size, w)
    p = np.arange(size + 1) / size
    return p, p * np.abs(plus) + (1 - p) * np.abs(minus)


PEAKS = ["grpo", "easy_focused", "ddas"]
WITHOUT_ONE_FORM = ["raft", "prpo", "grpo_lead"]
"""Without a peak, with one that jumps with omega, with one that is no root of a quadratic."""


@pytest.mark.parametrize("name", [*PEAKS, *WITHOUT_ONE_FORM])
def test_the_peak_in_large_groups_is_where_sums_of_the_code_are_largest(name):
    closed = difficulty.peak_difficulty(name)
    assert (closed is None) == (name in WITHOUT_ONE_FORM)
    for w in (0.3, 0.8):
        p, height = heights(name, w, 4000)
        numeric = difficulty.numeric_peak(name, w)
        if name == "raft":
            assert np.ptp(height[1:]) < 1e-12
            assert math.isnan(numeric)
            continue
        assert numeric == pytest.approx(p[np.argmax(height)], abs=2e-3)
        if closed is not None:
            assert float(sympy.sympify(closed).subs(omega, w)) == pytest.approx(numeric, abs=1e-9)


def test_without_guards_only_what_guards_a_division_is_zero():
    released = estimators.get("agrae_released")
    params = difficulty.unguarded(released).params
    assert (params["eps"], params["guard"]) == (0, 0)
    assert {**params, "eps": 0, "guard": 0} == {**released.params, "eps": 0, "guard": 0}


def test_a_peak_that_jumps_with_omega_is_printed_on_both_sides():
    """sum |A| of PRPO is proportional to omega (1 - p) + (1 - omega) p."""
    assert derivation._peak(estimators.get("prpo")) == "p -> 1 at omega = 1/3, p -> 0 at omega = 2/3"
    assert derivation._peak(estimators.get("raft")) == "none: sum|A| does not depend on p"


def test_a_peak_that_is_the_root_of_a_cubic_has_no_closed_form():
    assert difficulty.peak_difficulty("agrae_dr_grpo") is None


def grpo(k, size, ddof=0):
    """(A+, A-) by Eq. 3."""
    p = k / size
    std = math.sqrt(size * p * (1 - p) / (size - ddof))
    return (1 - p) / std, -p / std


def test_the_sample_std_shrinks_the_magnitude_by_the_stated_factor():
    factor = said("update_magnitude_ddof", r"only multiplies it by (.*)\.")
    for size in (2, 5, 9):
        for k in range(1, size):
            one, other = (k * a - (size - k) * b for a, b in (grpo(k, size, 1), grpo(k, size)))
            assert one / other == pytest.approx(value(factor, G=size))


def test_the_focused_methods_have_the_stated_sums_at_gamma_one_half():
    for size, k in itertools.combinations(range(2, 9), 2):
        k, size, p = min(k, size), max(k, size), min(k, size) / max(k, size)
        plus, minus = grpo(k, size)
        total = 0.5 * (k * plus - (size - k) * minus)
        hard, easy = (said(f"table1_{n}_focused", r"which is (.*) at gamma = 1/2") for n in ("hard", "easy"))
        assert total / math.sqrt(p) == pytest.approx(value(hard, G=size, p=p))
        assert total / math.sqrt(1 - p) == pytest.approx(value(easy, G=size, p=p))


def test_the_focused_methods_reach_only_what_is_stated():
    text = said("focus_maximum_is_not_attained", r"mixed group reaches is (.*), at K = 1 for")
    for size in range(2, 12):
        for name, at in (("hard_focused", 1), ("easy_focused", size - 1)):
            sums = np.abs(symtheory.advantages(all_groups(size), name)).sum(1)
            assert sums.max() == pytest.approx(value(text, G=size))
            assert int(sums.argmax()) == at or size == 2
    found = find("focus_maximum_is_not_attained").derive().counterexample
    a = symtheory.advantages([[1.0, 0.0]], "grpo"), symtheory.advantages([[1.0, 0.0]], "hard_focused")
    stated = [found[key] for key in ("GRPO's largest sum |A|", "Hard-Focused's largest sum |A|")]
    assert [float(x) for x in stated] == pytest.approx([float(np.abs(x).sum()) for x in a])
    assert found["G"] == 2


def test_equality_in_the_bound_is_exactly_at_as_many_correct_as_wrong():
    for size in range(2, 30):
        sums = np.abs(symtheory.advantages(all_groups(size), "grpo")).sum(1)
        assert sums.max() <= size + 1e-12
        assert [k for k in range(size + 1) if abs(sums[k] - size) < 1e-9] == ([size // 2] if size % 2 == 0 else [])


def test_the_released_easy_factor_is_larger_by_the_stated_root():
    text = said("released_easy_factor", r"larger by the factor (.*)\.\)$")
    for p in (0.1, 0.5, 7 / 8):
        ratio = (1 / (1 - math.sqrt(p))) / (1 / math.sqrt(1 - p))
        assert value(text, p=p) == pytest.approx(ratio)
    found = find("released_easy_factor").derive().counterexample
    assert (found["K"], found["G"]) == (7, 8)
    assert float(found["released / paper"]) == pytest.approx(ratio)


def test_signed_rewards_have_the_published_sums():
    found = find("success_rate_of_signed_rewards").derive().counterexample
    rewards = np.array(found["rewards"], float)
    assert sorted(rewards) == [-1, 1]
    p = np.abs(rewards).sum() / len(rewards)
    assert found["p"] == p == 1
    assert found["2 G sqrt(p(1-p))"] == 2 * len(rewards) * math.sqrt(p * (1 - p))
    assert found["sum |A|"] == np.abs((rewards - rewards.mean()) / rewards.std()).sum()
