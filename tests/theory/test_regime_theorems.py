"""Theorems about regimes, re-checked by enumeration, and against the simulators' own exact steps."""

import jax.numpy as jnp
import numpy as np
import pytest

from symtheory import estimators
from symtheory.dynamics import Group, Redraw, Regime, Verifier, expected_regime
from symtheory.metrics.slope import expected_slope
from symtheory.theory.proofs import check
from symtheory.theory.recheck.trials import regimes
from symtheory.theory.recheck.trials.base import disagreement
from symtheory.theory.theorems import find

NAMES = (
    "noisy_verifier",
    "placebo_has_no_drift_but_noise",
    "placebo_drifts_at_second_order",
    "redrawing_costs_what_it_gains",
    "copies_shrink_the_group",
    "kl_penalty_of_grpo_is_the_forward_one",
)


@pytest.mark.parametrize("name", NAMES)
def test_a_theorem_about_a_regime_rechecks(name):
    checked = check(find(name))
    assert checked.rechecked, checked.outcome


def test_enumeration_refutes_an_estimator_that_copies_do_change():
    assert all(disagreement(answer).startswith("rloo, ") for answer in regimes.copies_by_enumeration(0, ["rloo"]))


def test_the_formulas_are_what_the_dynamics_compute():
    p, grpo = np.linspace(0.05, 0.95, 7), estimators.get("grpo")
    noisy = expected_regime.slope(grpo, 8, jnp.asarray(p), Regime(Verifier(0.1, 0.2)))
    np.testing.assert_allclose(noisy, 0.7 * expected_slope("grpo", 8, 0.1 + 0.7 * p), rtol=1e-12)
    redrawn = expected_regime.slope(grpo, 8, jnp.asarray(p), Regime(redraw=Redraw(tries=4)))
    dead = p**8 + (1 - p) ** 8
    np.testing.assert_allclose(redrawn, expected_slope("grpo", 8, p) * (1 - dead**4) / (1 - dead), rtol=1e-12)
    copied = expected_regime.slope(grpo, 8, jnp.asarray(p), Regime(group=Group(copies=4)))
    np.testing.assert_allclose(copied, expected_slope("grpo", 2, p), rtol=1e-12)
