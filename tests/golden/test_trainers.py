"""Our estimators against the trainers' own functions, on values that `make_trainers.py` made with them.

`data/trainers.json` holds, for each function, package or repository, its version, and what it returned for batches of
equal groups. It grew from packages of PyPI (verl, google-tunix, ms-swift) and from checkouts; see the script.
"""

import json
from pathlib import Path

import numpy as np
import pytest

import symtheory
from symtheory import estimators

ENTRIES = json.loads((Path(__file__).parent / "data" / "trainers.json").read_text())


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda e: f"{e['repository']}:{e['estimator']}")
@pytest.mark.parametrize("kind", ["numpy", "torch"])
def test_our_estimator_equals_the_trainers_function(entry, kind):
    array = np.array if kind == "numpy" else pytest.importorskip("torch").tensor
    for case in entry["cases"]:
        theirs = np.array(case["advantages"])
        given = {name: array(values) for name, values in case.items() if name != "advantages"}
        ours = symtheory.advantages(given.pop("rewards"), entry["estimator"], **given, **entry["params"])
        np.testing.assert_allclose(np.asarray(ours), theirs, rtol=1e-5, atol=2e-6)  # several compute in float32


def test_every_estimator_that_a_trainer_gave_values_for_has_a_case_that_no_other_estimator_fits():
    """A wrong constant would show: leaving the estimator's place to a neighbour breaks its values."""
    for entry, neighbour in (("gdpo", "two_stage"), ("pkpo", "dr_grpo"), ("dgpo", "grpo"), ("rloo_std", "grpo_ddof1")):
        case = next(e for e in ENTRIES if e["estimator"] == entry)["cases"][-1]
        ours = symtheory.advantages(case["rewards"], neighbour)
        assert not np.allclose(ours, case["advantages"], rtol=1e-3)


def test_the_registry_holds_what_trainers_ship():
    names = """grpo_batch_std reinforce_pp_baseline two_stage prpo rloo_std gdpo pkpo f_grpo dgpo asymre unlikeliness
    differential_smoothing curverl maxrl maxrl_std"""
    assert set(names.split()) <= set(estimators.names())
