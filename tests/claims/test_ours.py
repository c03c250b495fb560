"""Claims of this project: settled by theorems as recorded, and by the committed test of the law as computed."""

import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from symtheory.claims import ours
from symtheory.studies.interference.judge import QUANTITIES

SAVED = json.loads((Path(__file__).parents[2] / "paper/results/theorems.json").read_text())


def test_recorded_verdicts_are_those_of_the_theorems():
    verdicts = {row["id"]: row["verdict"] for row in SAVED}
    for claim in ours.our_claims():
        assert {verdicts[id] for id in claim.proof} == {claim.verdict}, claim.id


def test_every_theorem_of_the_law_is_claimed():
    from symtheory.theory.theorems import theorems

    law = {id for id, t in theorems().items() if t.derive.__module__.endswith("theorems.interference")}
    assert law == {id for claim in ours.our_claims() for id in claim.proof}


def outcome(predicted: float) -> xr.Dataset:
    """Two cells in which everything is measured as 1 to 2 and predicted as a multiple of that."""
    measured = np.array([[1.0, 1.5], [1.2, 2.0]])
    values = np.stack([measured, predicted * measured])[..., None, None]  # predictor, cell, estimator, mark, k
    dims = ("predictor", "cell", "estimator", "mark", "k")
    coords = {"predictor": ["runs", "mean field"], "cell": ["bandit, a", "tree, b"], "mark": [1.0], "k": [4]}
    gain = xr.DataArray(values, coords, dims).expand_dims(statistic=["mean", "low", "high"])
    parts = {q: gain if q == "beside" else gain.isel(estimator=0) for q in QUANTITIES}
    return xr.Dataset(parts)


@pytest.mark.parametrize(
    ("predicted", "signs", "size"), [(1.0, "met", "met"), (0.1, "met", "missed"), (-1, "missed", "missed")]
)
def test_the_verdict_of_a_target_follows_the_runs(predicted, signs, size):
    found = {
        t.id: ours.outcome_of(t, outcome(predicted)).verdict
        for t in ours.targets()
        if t.id in ("law_order", "law_size")
    }
    assert found == {"law_order": signs, "law_size": size}


def test_without_runs_a_target_is_open():
    row = ours.target_row(ours.targets()[0], None)
    assert (row.verdict, row.pending) == ("open", True)
