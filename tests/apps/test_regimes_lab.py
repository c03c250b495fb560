"""The regimes lab without a browser."""

import numpy as np
import pytest

from symtheory.apps import regimes as lab
from symtheory.metrics.slope import expected_slope


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
