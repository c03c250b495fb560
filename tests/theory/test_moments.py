"""Spread and drift of one group, against enumeration of every group."""

import math

import numpy as np
import pytest

from symtheory import InputError
from symtheory.metrics.slope import advantage_table
from symtheory.theory.moments import expected_update, second_moment, signal_to_noise, undrawn_drift
from symtheory.theory.theorems.objectives import compositions

POLICY, CORRECT = np.array([0.05, 0.25, 0.45, 0.15, 0.10]), np.array([1, 1, 0, 0, 0])
NAMES = ["grpo", "rloo", "psr", "nsr", "negative_dominant", "positive_dominant", "agrae", "passk"]


def groups(size, policy=POLICY):
    """Every group: its probability, its draws and its update g."""
    for counts, ways in compositions(len(policy), size):
        yield ways * math.prod(x**n for x, n in zip(policy, counts, strict=True)), np.array(counts)


def update(name, counts, size):
    plus, minus = advantage_table(name, size)
    right = counts @ CORRECT
    a = np.where(CORRECT == 1, plus[right], minus[right])
    return counts * a - (counts @ a) * POLICY


@pytest.mark.parametrize("name", NAMES)
def test_moments_are_the_sums_over_all_groups(name):
    size = 5
    mean = sum(chance * update(name, counts, size) for chance, counts in groups(size))
    square = sum(chance * (update(name, counts, size) ** 2).sum() for chance, counts in groups(size))
    np.testing.assert_allclose(expected_update(name, size, POLICY, CORRECT), mean, atol=1e-13)
    assert second_moment(name, size, POLICY, CORRECT) == pytest.approx(square, rel=1e-12)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("behaviour", [0, 3])
def test_drift_of_an_undrawn_behaviour_is_the_mean_over_groups_without_it(name, behaviour):
    size = 4
    total = chance_of_none = 0.0
    for chance, counts in groups(size):
        if counts[behaviour] == 0:
            g = update(name, counts, size)
            total += chance * (g[behaviour] - POLICY @ g)
            chance_of_none += chance
    drift = undrawn_drift(name, size, POLICY, CORRECT, behaviour)
    assert drift == pytest.approx(total / chance_of_none, rel=1e-11, abs=1e-13)


def test_grpo_lifts_a_rare_undrawn_right_behaviour_more_than_negative_dominant():
    lift = {n: undrawn_drift(n, 8, POLICY, CORRECT, 0) for n in ("grpo", "negative_dominant")}
    assert lift["grpo"] > lift["negative_dominant"]


def test_signal_to_noise_of_the_usual_estimators():
    expected = {"grpo": 2.27, "positive_dominant": 2.33, "rloo": 2.06, "psr": 1.54, "negative_dominant": 0.834}
    for name, value in {**expected, "nsr": 0.822}.items():
        assert signal_to_noise(name, 6, POLICY, CORRECT) == pytest.approx(value, abs=6e-3)


@pytest.mark.parametrize(
    ("policy", "correct", "message"),
    [([0.5, 0.4], [1, 0], "sum to 1"), ([0.5, 0.5], [1, 1], "right and wrong"), ([0.5, 0.5], [1], "one for each")],
)
def test_bad_policies_get_one_sentence(policy, correct, message):
    with pytest.raises(InputError, match=message):
        second_moment("grpo", 4, policy, correct)
