"""The regimes lab without a browser."""

from dataclasses import replace

import jax
import numpy as np
import optax
import pytest

from symtheory import estimators
from symtheory.apps import regimes as lab
from symtheory.dynamics import Stale, Update, mean_field
from symtheory.metrics.slope import expected_slope
from symtheory.worlds import make_bandit


@pytest.fixture(scope="module")
def shown():
    setting = lab.Setting(false_positive=0.1, false_negative=0.2, lag=5, kl=0.1)
    curves = lab.curves(setting)
    return setting, curves, lab.path(setting, curves, steps=50)


def test_curves_are_the_weight_of_the_theory(shown):
    _, curves, _ = shown
    plain, own = curves.weight.values
    np.testing.assert_allclose(plain, expected_slope("grpo", 8, lab.SUCCESS), rtol=1e-6)
    np.testing.assert_allclose(own, 0.7 * expected_slope("grpo", 8, 0.1 + 0.7 * lab.SUCCESS), rtol=1e-6)


def test_the_path_is_the_mean_field_of_two_behaviours_with_lag_clipping_and_kl():
    setting = lab.Setting(
        false_positive=0.1, false_negative=0.2, lag=3, clip_low=0.02, clip_high=0.02, kl=0.1, entropy=0.05
    )
    regime = replace(setting.regime, stale=Stale(3), kl=0.1, entropy=0.05)
    world = make_bandit(jax.random.key(0), [setting.start], trajectories=2, correct=1)
    update = Update(8, clip_low=0.02, clip_high=0.02)
    _, seen = mean_field(
        world, estimators.get("grpo"), optax.sgd(0.05), update, observe=world.success, steps=40, regime=regime
    )
    ours = lab.path(setting, lab.curves(setting), steps=40).success.sel(case="regime")
    np.testing.assert_allclose(ours, np.asarray(seen)[:, 0], atol=2e-3)  # ours interpolates F'
    free = lab.path(setting._replace(clip_low=1.0, clip_high=10.0), lab.curves(setting), steps=40).success.sel(
        case="regime"
    )
    assert abs(float(free[-1] - ours[-1])) > 0.02  # and clipping acts


def test_a_band_stops_what_leaves_it():
    setting = lab.Setting(start=0.3, band=(0.2, 0.5))
    curves = lab.curves(setting)
    own = curves.sel(case="regime")
    inside = (curves.success >= 0.2) & (curves.success <= 0.5)
    assert ((own.weight != 0) == inside).all()
    assert ((own.rollouts != 0) == inside).all()
    path = lab.path(setting, curves, steps=200)
    assert 0.5 < float(path.success.sel(case="regime")[-1]) < 0.53
    assert float(path.spent.sel(case="regime")[-1]) < float(path.spent.sel(case="plain")[-1])


def test_a_prompt_outside_the_band_is_said_to_stay_where_it_is():
    setting = lab.Setting(start=0.1, band=[0.2, 0.8])
    curves = lab.curves(setting)
    path = lab.path(setting, curves, steps=20)
    assert float(path.success.sel(case="regime")[-1]) == pytest.approx(0.1)
    assert "0.1 lies outside the band 0.2 to 0.8" in lab.summary(setting, curves, path)
    assert "outside" not in lab.summary(setting._replace(start=0.3), curves, path)


def test_charts_have_both_lines_and_the_summary_says_j(shown):
    setting, curves, path = shown
    for drawn in (lab.weight_chart(setting, curves), lab.cost_chart(setting, curves), lab.path_chart(setting, path)):
        assert drawn.count("<polyline") == 2
    assert lab.summary(setting, curves, path).startswith("J = 0.70.")


def test_a_placebo_stays_where_it_was():
    setting = lab.Setting(false_positive=0.5, false_negative=0.5)
    path = lab.path(setting, lab.curves(setting), steps=50)
    np.testing.assert_allclose(path.success.sel(case="regime"), setting.start, atol=1e-6)


def test_sampled_groups_lie_on_the_exact_curve(shown):
    setting, curves, _ = shown
    dotted = lab.sample(setting, groups=500)
    exact = np.interp(lab.DOTS, lab.SUCCESS, curves.weight.sel(case="regime"))
    assert (np.abs(dotted.weight - exact) < 5 * dotted.error).all()
    assert lab.weight_chart(setting, curves, dotted).count("<circle") == len(lab.DOTS)
