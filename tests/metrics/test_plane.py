"""The symmetry plane: known points land where theory puts them, and the family covers it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

import symtheory
from symtheory import InputError, estimators
from symtheory.estimators.plane import PLANE
from symtheory.metrics.plane import Position, all_groups, place, position
from symtheory.studies.phase_diagram import tilt_parameters


@pytest.mark.parametrize("name", ["grpo", "grpo_ddof1", "dr_grpo", "dapo", "rloo", "opo"])
@pytest.mark.parametrize("size", [2, 5, 8, 64])
def test_symmetric_estimators_are_at_the_origin(name, size):
    np.testing.assert_allclose(place(name, size), (0, 0), atol=1e-12)


@pytest.mark.parametrize("beta", [1.5, 4, 10])
@pytest.mark.parametrize("size", [4, 8, 33])
def test_controlled_asymmetry_is_beta_minus_one_over_beta_plus_one(beta, size):
    expected = (beta - 1) / (beta + 1)
    np.testing.assert_allclose(place("positive_dominant", size, beta=beta), (expected, 0), atol=1e-12)
    np.testing.assert_allclose(place("negative_dominant", size, beta=beta), (-expected, 0), atol=1e-12)


def test_psr_and_nsr_are_the_corners_that_push_one_way_only():
    assert place("psr").asymmetry == 1
    assert place("nsr").asymmetry == -1
    assert place("nsr").tilt == pytest.approx(-place("psr").tilt)
    assert place("nsr").tilt > 0


@pytest.mark.parametrize("omega", [0.1, 0.3, 0.5, 0.9])
def test_agrae_moves_on_its_closed_form(omega):
    """Asymmetry is exact at every G; the tilt is that of the limit up to O(1/sqrt G)."""
    at = place("agrae", 1024, omega=omega)
    assert at.asymmetry == pytest.approx((omega - 1) / (omega + 1), abs=1e-12)
    assert at.tilt == pytest.approx((2 * omega - 1) / 5, abs=2e-3)


WEIGHTS = {
    "hard_focused": lambda p: np.sqrt(1 - p),
    "easy_focused": lambda p: np.sqrt(p),
    "maxrl": lambda p: 2 * (1 - p),
    "psr": lambda p: p,
    "nsr": lambda p: 1 - p,
}


@pytest.mark.parametrize("name", WEIGHTS)
def test_the_tilt_of_large_groups_is_the_integral_over_success_rates(name):
    weight = WEIGHTS[name]
    expected = quad(lambda p: weight(p) * (1 - 2 * p), 0, 1)[0] / quad(weight, 0, 1)[0]
    assert place(name, 1024).tilt == pytest.approx(expected, abs=5e-3)


@given(st.lists(st.floats(-5, 5), min_size=20, max_size=20))
@settings(max_examples=50, deadline=None)
def test_both_numbers_lie_in_one_and_change_sign_when_right_and_wrong_swap(values):
    table = np.array(values).reshape(5, 4)
    if np.abs(table).sum() < 1e-6:
        return
    here, mirrored = position(table), position(-table[::-1, ::-1])
    assert np.abs(here).max() <= 1 + 1e-12
    np.testing.assert_allclose(mirrored, [-here.asymmetry, -here.tilt], atol=1e-9)


def test_the_family_passes_through_the_papers_estimators():
    rewards = all_groups(8)
    for tilt, name in ((0, "grpo"), (1, "hard_focused"), (-1, "easy_focused")):
        ours = symtheory.advantages(rewards, PLANE, tilt=tilt)
        np.testing.assert_allclose(ours, symtheory.advantages(rewards, name), rtol=1e-12)
    beta = 10
    ours = symtheory.advantages(rewards, PLANE, asymmetry=(beta - 1) / (beta + 1))
    theirs = symtheory.advantages(rewards, "positive_dominant", beta=beta)
    np.testing.assert_allclose(ours * (beta + 1) / 2, theirs, rtol=1e-12)


@given(st.floats(-1, 1), st.floats(-0.45, 0.45))
@settings(max_examples=40, deadline=None)
def test_the_family_reaches_every_point_of_the_plane(asymmetry, tilt):
    (parameter,) = tilt_parameters(np.array([tilt]), 8)
    at = place(PLANE, tilt=float(parameter), asymmetry=asymmetry)
    np.testing.assert_allclose(at, (asymmetry, tilt), atol=1e-4)


@pytest.mark.parametrize("name", estimators.names("rewards"))
def test_every_estimator_has_a_place(name):
    at = place(name)
    assert isinstance(at, Position)
    assert np.abs(at).max() <= 1 + 1e-12
    if "group_symmetry" in estimators.get(name).laws:
        assert at.asymmetry == pytest.approx(0, abs=1e-12)
    if "sample_symmetry" in estimators.get(name).laws:
        assert at.tilt == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("table", [np.zeros((3, 2)), np.full((3, 2), np.nan), np.ones((2, 2))])
def test_what_has_no_place_is_refused(table):
    with pytest.raises(InputError):
        position(table)
