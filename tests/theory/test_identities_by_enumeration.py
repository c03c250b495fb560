"""Sums of advantages, again: every vector of rewards, k-subset and pair of lengths; smallest counterexamples."""

import itertools
import math
import re
from fractions import Fraction

import numpy as np
import pytest
from textbook import value

import symtheory
from symtheory import estimators
from symtheory.estimators import chain
from symtheory.estimators.grpo import center
from symtheory.metrics.plane import all_groups
from symtheory.theory.theorems import find
from symtheory.theory.theorems.identities import DUAL, unbalanced_group

TWO_CLASS = estimators.names("two_class")


def standardised(rewards):
    """Eq. 3 on each row."""
    away = rewards - rewards.mean(1, keepdims=True)
    return away / np.sqrt((away**2).mean(1, keepdims=True))


def said(id, pattern):
    """What the statement of a theorem says where the pattern has its groups."""
    [found] = re.findall(pattern, find(id).statement)
    return found


def test_every_vector_of_rewards_has_the_stated_sums():
    least, most = map(int, said("every_reward_vector", r"G = (\d+) to (\d+)"))
    assert (least, most) == (2, 12)
    squared, squares = said("every_reward_vector", r"\(sum \|A\|\)\^2 = (.*), and sum A\^2 = (\w+) where")
    for size in range(least, most + 1):
        rewards = np.array(list(itertools.product((0.0, 1.0), repeat=size)))[1:-1]
        a = symtheory.advantages(rewards, "grpo")
        np.testing.assert_allclose(a, standardised(rewards), atol=1e-12)
        np.testing.assert_allclose(a.sum(1), 0, atol=1e-12)
        np.testing.assert_allclose((a**2).sum(1), value(squares, G=size))
        for k in range(1, size):
            mine = np.abs(a[rewards.sum(1) == k]).sum(1) ** 2
            np.testing.assert_allclose(mine, value(squared, K=k, G=size))


def test_rewards_on_a_grid_have_zero_sum_and_the_stated_largest_advantage():
    bound = said("largest_advantage", r"\|A_i\| <= (.*?) for every rollout")
    for size in (2, 3, 5):
        rewards = np.array(list(itertools.product((-1.0, 0.0, 0.5, 2.0), repeat=size)))
        rewards = rewards[np.ptp(rewards, axis=1) > 0]
        a = symtheory.advantages(rewards, "grpo")
        np.testing.assert_allclose(a.sum(1), 0, atol=1e-12)
        np.testing.assert_allclose(np.abs(a).max(), value(bound, G=size))  # attained, and never passed


@pytest.mark.parametrize("name", [n for n in TWO_CLASS if n not in ("prpo", "reinforce_pp")])  # the batch decides
def test_the_published_unbalanced_group_is_the_smallest(name):
    proof = find(f"zero_sum:{name}").derive()
    code = estimators.get(name)
    smallest = max(2, code.min_size, code.params.get("k", 1))
    w = float(proof.counterexample.get("omega", 2 / 7))
    first = None
    for size in range(smallest, smallest + 4):
        for k, total in enumerate(symtheory.advantages(all_groups(size), name, omega=w).sum(1)):
            if 0 < k < size and abs(total) > 1e-9 and first is None:
                first = {"K": k, "G": size, "C": total}
    if first is None:
        assert proof.verdict == "exact"
        return
    assert proof.verdict == "fails"
    found = {key: float(proof.counterexample[key]) for key in ("K", "G", "C")}
    assert found == pytest.approx(first, rel=1e-9)
    assert proof.counterexample["omega"] == Fraction(2, 7)


def lifted_where(inside, name):
    """GRPO without its std, its correct rollouts twice as large for the omega where `inside(omega)` is positive."""

    def lift(a, g, op):
        return op.where(op.positive(a), op.where(op.positive(inside(g.batch.omega)), 2 * a, a), a)

    return chain(center, lift, name=name, rewards="binary", laws="")


@pytest.mark.parametrize(
    ("inside", "omega"),
    [
        (lambda w: -w + Fraction(1, 10**6), 0),
        (lambda w: w - 1 + Fraction(1, 10**6), 1),
        (lambda w: (20 * w - 17) * (1 - w), Fraction(9, 10)),
        (lambda w: (4 * w - 1) * (3 - 10 * w), Fraction(2, 7)),
    ],
)
def test_an_imbalance_at_some_omega_only_is_found(inside, omega):
    found = unbalanced_group(lifted_where(inside, f"lifted_{len(str(omega))}_{omega}".replace("/", "_")))
    assert found == {"K": 1, "G": 2, "omega": omega, "C": Fraction(1, 2)}


@pytest.mark.parametrize(
    ("id", "edge", "count"),
    [
        ("sure_improvement:passk", " for F >= 4", 2),
        ("sure_improvement:grpo", "", 2),
        ("closed_form:grpo", "", 5),
    ],
)
def test_formulas_of_an_estimator_say_where_they_hold(id, edge, count):
    proof = find(id).derive()
    assert proof.verdict == "exact"
    assert len(proof.formulas) == count
    assert all(text.endswith(edge) and ("for" in text) == bool(edge) for text in proof.formulas)


def test_forms_of_a_rollout_alone_of_its_kind_are_left_out():
    proof = find("closed_form:grpo_passk").derive()
    assert proof.verdict == "holds when"
    assert len(proof.formulas) == 5
    assert all(text.endswith(" for K >= 2, F >= 2") for text in proof.formulas)


def test_duality_has_both_kinds_of_rollouts_of_each_pair():
    assert len(find("flip_duality").derive().formulas) == 2 * len(DUAL)


def covariance(x, y):
    return (x * y).mean() - x.mean() * y.mean()


def test_weights_by_length_have_the_stated_sums():
    assert "sum_i |o_i| A_i = G Cov(|o|, A)" in find("token_mean_keeps_zero_sum").statement
    assert "(They sum to G Cov(1/|o|, A).)" in find("length_mean_breaks_zero_sum").statement
    for size in (2, 3):
        vectors = itertools.product(
            itertools.product((0.0, 1.0), repeat=size), itertools.product((1, 2, 5), repeat=size)
        )
        for rewards, lengths in vectors:
            if 0 < sum(rewards) < size:
                [a], length = standardised(np.array([rewards])), np.array(lengths, float)
                assert (a / length.sum()).sum() == pytest.approx(0, abs=1e-12)
                assert (length * a).sum() == pytest.approx(size * covariance(length, a), abs=1e-12)
                assert (a / length).sum() == pytest.approx(size * covariance(1 / length, a), abs=1e-12)


def test_the_group_in_which_lengths_break_the_zero_sum_is_as_published():
    found = find("length_mean_breaks_zero_sum").derive().counterexample
    assert sorted(found["rewards"]) == [0, 1]
    assert sorted(found["lengths"]) == [1, 2]  # the shortest two that differ
    [a] = standardised(np.array([found["rewards"]], float))
    assert float(found["C"]) == pytest.approx(float((a / np.array(found["lengths"])).sum()))


def by_subsets(rewards, k):
    """Mean over the k-subsets that hold a rollout of their standardised best reward (arXiv:2508.10751)."""
    subsets = list(itertools.combinations(range(len(rewards)), k))
    best = np.array([max(rewards[i] for i in s) for s in subsets], float)
    spread = best.std()
    scores = (best - best.mean()) / spread if spread else 0 * best
    return [scores[[i in s for s in subsets]].mean() for i in range(len(rewards))]


def test_training_for_pass_at_k_is_zero_sum_over_all_subsets():
    for size in range(2, 7):
        for k, right in itertools.product(range(1, size + 1), range(size + 1)):
            rewards = [1.0] * right + [0.0] * (size - right)
            a = by_subsets(rewards, k)
            assert sum(a) == pytest.approx(0, abs=1e-12)
            np.testing.assert_allclose(symtheory.advantages(rewards, "passk", k=k), a, atol=1e-12)
    proof = find("passk_zero_sum").derive()
    largest = int(re.findall(r"k = 1\.\.(\d+) for every G", proof.method)[0])
    assert list(proof.formulas) == [f"passk[k:{k}]: sum A = 0 for F >= {k}" for k in range(1, largest + 1)]
    assert largest == 4


def test_the_identity_behind_pass_at_k_holds_for_small_groups():
    assert "F C(F-1,k-1)/C(G-1,k-1) = G C(F,k)/C(G,k)" in find("passk_zero_sum").statement
    for size in range(1, 12):
        for wrong, k in itertools.product(range(1, size + 1), range(1, size + 1)):
            left = Fraction(wrong * math.comb(wrong - 1, k - 1), math.comb(size - 1, k - 1))
            assert left == Fraction(size * math.comb(wrong, k), math.comb(size, k))
