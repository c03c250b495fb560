"""Slopes, objectives and places, again: over every group of rewards, and by quadrature."""

import itertools
import math

import numpy as np
import pytest
from scipy.integrate import quad

import symtheory
from symtheory import InputError, estimators
from symtheory.metrics import plane, slope
from symtheory.metrics.passk import pass_at_k, unbiased_pass_at_k

NAMES = ["grpo", "negative_dominant", "agrae", "nsr", "maxrl", "raft"]


def by_groups(name, size, P, omega):
    """E[(1/G) sum_i A_i d log pi(o_i) / dP] over every vector of rewards, through the public function."""
    total = 0.0
    for rewards in itertools.product((0.0, 1.0), repeat=size):
        chance = math.prod(P if r else 1 - P for r in rewards)
        a = symtheory.advantages(rewards, name, omega=omega)
        total += chance * sum(x * (1 / P if r else -1 / (1 - P)) for x, r in zip(a, rewards, strict=True)) / size
    return total


@pytest.mark.parametrize("name", NAMES)
def test_slopes_are_means_over_every_group(name):
    for size, omega in ((2, 0.3), (4, 0.8)):
        for P in (0.2, 0.7):
            found = slope.expected_slope(name, size, P, omega)
            assert float(found) == pytest.approx(by_groups(name, size, P, omega), rel=1e-12)
            mixed = 1 - P**size - (1 - P) ** size
            assert float(slope.kept_group_slope(name, size, P, omega)) == pytest.approx(float(found) / mixed)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("size", "P"), [(2, 0.3), (3, 0.9)])
def test_objectives_are_integrals_of_the_mean_over_groups(name, size, P):
    area = quad(lambda x: by_groups(name, size, x, 0.4), 1e-12, P, limit=5)[0]
    assert float(slope.objective(name, size, P, 0.4)) == pytest.approx(area, abs=1e-8)


@pytest.mark.parametrize("function", [slope.expected_slope, slope.objective, slope.kept_group_slope])
def test_omega_is_a_half_where_it_is_not_given(function):
    assert function("agrae", 3, 0.3) == function("agrae", 3, 0.3, 0.5)
    for table in (slope.advantage_table, slope.marginal_values):
        np.testing.assert_array_equal(table("agrae", 3), table("agrae", 3, 0.5))


def test_places_are_at_eight_rollouts_and_omega_a_half_where_nothing_is_said():
    assert plane.place("agrae") == plane.place("agrae", 8, 0.5)
    assert plane.place("agrae") != plane.place("agrae", 9, 0.5)
    assert plane.difficulty_tilt(0.4) == plane.difficulty_tilt(0.4, 0.5)


def test_a_table_holds_the_advantages_of_each_class():
    for name, size in (("grpo", 5), ("rloo", 2), ("nsr", 1)):
        plus, minus = slope.advantage_table(name, size)
        assert plus.shape == minus.shape == (size + 1,)
        for k, rewards in enumerate(plane.all_groups(size)):
            a = symtheory.advantages(rewards, name, omega=0.5)
            assert plus[k] == pytest.approx(a[0] if k else 0)
            assert minus[k] == pytest.approx(a[-1] if k < size else 0)
    for name in ("agrae", "grpo"):  # one sees omega
        assert slope.advantage_table(name, 4, [[0.2, 0.5, 0.9]])[0].shape == (1, 3, 5)


def test_a_table_is_made_for_a_batch_of_1024_rollouts():
    """REINFORCE++ divides by the sample variance over the batch, which knows the number of rollouts."""
    w, eps = 0.3, estimators.get("reinforce_pp").params["eps"]
    plus, minus = slope.advantage_table("reinforce_pp", 4, w)
    spread = math.sqrt(w * (1 - w) * 1024 / 1023 + eps)
    assert plus[1] == pytest.approx((1 - w) / spread, rel=1e-7)
    assert minus[1] == pytest.approx(-w / spread, rel=1e-7)
    assert slope.ROLLOUTS == 1024


@pytest.mark.parametrize("P", [0.0, 1.0])
def test_both_ends_are_success_probabilities(P):
    assert slope.probability(P) == P
    assert float(slope.expected_slope("rloo", 4, P)) == 1
    for outside in (-0.01, 1.01):
        with pytest.raises(InputError):
            slope.probability(outside)


@pytest.mark.parametrize("omega", [0.0, 1.0])
def test_both_ends_are_mean_rewards(omega):
    assert slope.advantage_table("grpo", 2, omega)[0][1] == pytest.approx(1)
    for outside in (-0.01, 1.01):
        with pytest.raises(InputError):
            slope.advantage_table("grpo", 2, outside)


@pytest.mark.parametrize("name", ["grpo", "psr", "hard_focused", "ngrpo"])
def test_a_place_is_a_ratio_of_sums_over_all_groups(name):
    size, signed, sizes, centre = 6, 0.0, 0.0, 0.0
    for k, rewards in enumerate(plane.all_groups(size)):
        assert rewards.tolist() == [1.0] * k + [0.0] * (size - k)
        a = symtheory.advantages(rewards, name, omega=0.5)
        signed, sizes, centre = signed + a.sum(), sizes + np.abs(a).sum(), centre + np.abs(a).sum() * k / size
    found = plane.place(name, size)
    assert found.asymmetry == pytest.approx(signed / sizes, abs=1e-12)
    assert found.tilt == pytest.approx(2 * (0.5 - centre / sizes), abs=1e-12)
    assert plane.group_asymmetry([signed], [sizes]) == pytest.approx(signed / sizes, abs=1e-12)
    assert plane.group_asymmetry([0.0], [0.0]) is None


def test_pass_at_k_without_replacement_is_the_share_of_subsets_with_a_correct_sample():
    for n in (1, 2, 5):
        for c, k in itertools.product(range(n + 1), range(1, n + 1)):
            subsets = list(itertools.combinations(range(n), k))
            share = sum(min(s) < c for s in subsets) / len(subsets)
            found = unbiased_pass_at_k(n, c, k)
            assert found == pytest.approx(share, abs=1e-15)
            assert math.copysign(1, found) == 1  # no -0.0


def test_pass_at_k_is_the_chance_of_a_correct_one_among_k():
    for k, p in itertools.product((1, 2, 4), (0.0, 0.3, 1.0)):
        some = sum(
            math.prod(p if hit else 1 - p for hit in hits) for hits in itertools.product((0, 1), repeat=k) if any(hits)
        )
        assert pass_at_k(p, k) == pytest.approx(some, abs=1e-15)
