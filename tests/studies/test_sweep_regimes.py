"""Sweeps with regimes as a dimension."""

import pytest

from symtheory.errors import InputError
from symtheory.storage import tiles
from symtheory.studies import sweep, sweep_file

SMALL = {
    "estimators": ["grpo"],
    "difficulties": [0.3],
    "learning_rates": [0.5],
    "seeds": 4,
    "tile": 4,
    "steps": 4,
    "stride": 2,
    "ks": [1],
    "bandit": {"trajectories": 8, "correct": 2},
}
NOISY = {"plain": {}, "noisy": {"verifier": {"false_positive": 0.5, "false_negative": 0.5}}}


def test_regimes_are_a_dimension_and_the_plain_one_is_the_sweep_without_them(tmp_path):
    def swept(given):
        parsed = sweep_file.parse(given)
        return sweep.gather(parsed, tiles.run(sweep.plan(parsed), tmp_path, sweep.NAME))

    without, both = swept(SMALL), swept({**SMALL, "regimes": NOISY})
    assert "regime" not in without.dims
    assert both.regime.values.tolist() == ["plain", "noisy"]
    assert (both.pass_at_k.sel(regime="plain") == without.pass_at_k).all()
    assert (both.pass_at_k.sel(regime="noisy") != without.pass_at_k).any()


def test_a_regime_that_does_not_fit_is_refused_before_anything_runs():
    with pytest.raises(InputError, match="copies must divide"):
        sweep_file.parse({**SMALL, "regimes": {"twins": {"group": {"copies": 3}}}})
    with pytest.raises(InputError, match="no key of a regime"):
        sweep_file.parse({**SMALL, "regimes": {"x": {"verifer": {}}}})
