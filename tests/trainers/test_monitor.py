"""The monitor's numbers are those of the audit of the same rollouts; no trainer is needed for it."""

import subprocess
import sys

import numpy as np
import pytest

import symtheory
from symtheory import estimators
from symtheory.audit import audit, read
from symtheory.trainers.monitor import Monitor, measure
from symtheory.trainers.rollouts import Rates, by_id, in_a_row


@pytest.mark.parametrize("name", ["agrae", "hard_focused", "grpo"])
def test_the_numbers_of_a_step_are_those_of_the_audit(tmp_path, name):
    rng = np.random.default_rng(0)
    rewards = (rng.random((24, 8)) < rng.beta(0.5, 0.5, 24)[:, None]).astype(float)
    a = symtheory.advantages(rewards, name)
    monitor = Monitor(tmp_path / "rows.jsonl")
    found = monitor.step(rewards, a, step=7, beside={"length": np.full(rewards.shape, 5)})
    report = audit(read(tmp_path / "rows.jsonl"))
    assert report["nearest_estimator"] == name
    assert found["symtheory/dead_groups"] == pytest.approx(report["dead_fraction"])
    assert found["symtheory/all_wrong"] == pytest.approx(report["dead"]["all_wrong"])
    assert found["symtheory/group_asymmetry"] == pytest.approx(report["group_asymmetry"], abs=1e-12)
    assert found["symtheory/difficulty_tilt"] == pytest.approx(report["difficulty_tilt"], abs=1e-12)
    assert found["symtheory/omega"] == pytest.approx(report["per_step"][0]["omega"])
    assert report["per_step"][0]["step"] == 7


def test_expected_gain_is_the_gain_of_one_small_step_of_two_behaviours():
    """Two roads: the theory's 2 F'(p) p^2 q^2, and the success of a two-armed softmax moved by the mean update."""
    size, eta, correct = 8, 1e-6, 2
    rewards = np.array([[1.0] * correct + [0.0] * (size - correct)])
    e = estimators.get("agrae")
    found = measure(rewards, symtheory.advantages(rewards, e), estimator=e)["expected_gain/hard"]
    from symtheory.metrics.slope import expected_slope

    p = correct / size
    gap = np.log(p / (1 - p)) + 2 * eta * float(expected_slope(e, size, p, p)) * p * (1 - p)
    gain = (1 / (1 + np.exp(-gap)) - p) / eta
    assert found == pytest.approx(gain, rel=1e-4)


def test_groups_without_signal_and_padding_are_told_apart():
    rewards, mask = [[1, 1, 0], [1, 0, 0], [0.5, 0.5, 0.9]], [[1, 1, 0], [1, 1, 1], [1, 1, 0]]
    found = measure(rewards, [[0, 0, 0], [2, -1, -1], [0, 0, 0]], mask)
    assert (found["dead_groups"], found["all_correct"], found["all_wrong"]) == (pytest.approx(2 / 3), 1 / 3, 0)
    assert found["effective_groups"] == 1
    assert measure([[1, 1]], [[0, 0]]).keys() == {"dead_groups", "all_correct", "all_wrong", "omega"}


def test_rollouts_of_interleaved_and_unequal_groups_come_back_in_their_places():
    layout = by_id(["a", "b", "a", "c", "b", "a"])
    values = np.arange(6.0)
    assert layout.group(values)[layout.mask].tolist() == [0, 2, 5, 1, 4, 3]
    np.testing.assert_array_equal(layout.flat(layout.group(values)), values)
    np.testing.assert_array_equal(in_a_row(6, 3).group(values), values.reshape(2, 3))


def test_the_window_of_rates_forgets_and_leaves_out_groups_without_signal():
    rates = Rates(window=2)
    assert rates.given() == {}
    for success in (0.25, 0.5, 0.75):
        rates.add(np.array([[success] * 2, [1.0] * 2, [0.0] * 2]), np.ones((3, 2)))
    assert rates.given()["rates"].tolist() == [0.5, 0.75]


def test_no_trainer_and_no_torch_is_imported_until_asked_for():
    code = (
        "import sys, numpy, symtheory, symtheory.trainers, symtheory.trainers.monitor, symtheory.trainers.rollouts; "
        "symtheory.advantages(numpy.array([[1.0, 0.0]]), 'agrae'); "
        "assert not {'torch', 'trl', 'verl', 'tunix', 'jax'} & set(sys.modules), sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
