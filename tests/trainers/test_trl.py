"""TRL's GRPOTrainer, run for three steps on CPU: the advantages that it logs and trains on are the estimator's."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("trl", reason="runs where TRL is installed, see docs/trainers.md")

import pyarrow.parquet as pq
import tiny
import torch
from trl import GRPOTrainer

import symtheory
from symtheory import InputError
from symtheory.audit import audit, read
from symtheory.trainers.monitor import Monitor
from symtheory.trainers.trl import with_estimator


def logged(folder, step):
    """Columns of the completions that TRL wrote at a step, groups of four as rows."""
    table = pq.read_table(Path(folder) / "completions" / f"completions_{step:05}.parquet").to_pydict()
    numbers = {k: v for k, v in table.items() if k not in ("step", "prompt", "completion")}
    return {k: np.array([np.nan if x is None else x for x in v], float).reshape(-1, 4) for k, v in numbers.items()}


@pytest.mark.parametrize("name", ["agrae", "grpo_batch_std", "rloo"])
def test_logged_and_trained_advantages_are_those_of_the_estimator(tmp_path, name):
    params = {"alpha": 1.0} if name == "agrae" else {}
    trainer = tiny.train(with_estimator(GRPOTrainer, name, **params), tmp_path, [tiny.even])
    steps = [logged(tmp_path, step) for step in (1, 2, 3)]
    for columns, seen in zip(steps, trainer.seen, strict=True):
        expected = symtheory.advantages(columns["even"], name, **params)
        np.testing.assert_allclose(columns["advantage"], expected, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(np.sort(seen.ravel()), np.sort(expected.ravel()), rtol=1e-5, atol=1e-6)
    assert any(np.abs(columns["advantage"]).sum() > 0 for columns in steps)
    history = trainer.state.log_history[0]
    assert history["symtheory/omega"] == pytest.approx(steps[0]["even"].mean())
    assert "symtheory/dead_groups" in history


def test_grpo_with_trls_constants_is_trls_own_training(tmp_path):
    theirs = tiny.train(GRPOTrainer, tmp_path / "theirs", [tiny.even])
    ours = tiny.train(with_estimator(GRPOTrainer, "grpo_ddof1", eps=1e-4), tmp_path / "ours", [tiny.even])
    for a, b in zip(theirs.seen, ours.seen, strict=True):
        torch.testing.assert_close(a, b)
    losses = [[h["loss"] for h in t.state.log_history if "loss" in h] for t in (theirs, ours)]
    np.testing.assert_allclose(*losses, rtol=1e-5, atol=1e-7)
    assert np.abs(losses).max() > 0
    for step in (1, 2, 3):
        a, b = (logged(tmp_path / who, step)["advantage"] for who in ("theirs", "ours"))
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("aggregation", "name", "params"),
    [
        ({"scale_rewards": "batch"}, "grpo_batch_std", {}),
        ({"scale_rewards": "none"}, "dr_grpo", {}),
        ({"scale_rewards": "group"}, "grpo_ddof1", {"eps": 1e-4}),
    ],
    ids=lambda x: x if isinstance(x, str) else "",
)
def test_two_rewards_one_of_them_sometimes_none_are_summed_as_trl_does(tmp_path, aggregation, name, params):
    """Weights 1 and 0.5; TRL's own advantages with and without the estimator's class, on the same samples."""
    options = dict(reward_weights=[1.0, 0.5], max_steps=1, learning_rate=0.0)
    rewards = [tiny.shy, tiny.low]
    tiny.train(GRPOTrainer, tmp_path / "theirs", rewards, **options, **aggregation)
    tiny.train(with_estimator(GRPOTrainer, name, **params), tmp_path / "ours", rewards, **options)
    theirs, ours = logged(tmp_path / "theirs", 1), logged(tmp_path / "ours", 1)
    np.testing.assert_array_equal(theirs["low"], ours["low"])
    unscored = np.isnan(ours["shy"]) & np.isnan(ours["low"])
    assert unscored.any()
    assert (ours["advantage"][unscored] == 0).all()
    np.testing.assert_allclose(ours["advantage"], theirs["advantage"], rtol=1e-5, atol=1e-6)


def test_gdpo_sees_the_rewards_one_by_one(tmp_path):
    options = dict(reward_weights=[1.0, 0.5], max_steps=1, num_iterations=2)
    tiny.train(with_estimator(GRPOTrainer, "gdpo"), tmp_path, [tiny.even, tiny.low], **options)
    columns = logged(tmp_path, 1)
    assert np.isnan(columns["low"]).any()
    sum_then = symtheory.advantages(columns["even"] + 0.5 * np.nan_to_num(columns["low"]), "gdpo")
    several = dict(components=[columns["even"], columns["low"]], weights=[1.0, 0.5])
    alike = symtheory.advantages(None, "gdpo", **several)
    # TRL's rollouts differ in length, over which gdpo whitens; ratios within a batch do not depend on it
    slope = np.polyfit(alike.ravel(), columns["advantage"].ravel(), 1, full=True)
    assert slope[1] < 1e-8
    assert np.abs(sum_then - alike).max() > 1e-2


@pytest.mark.parametrize(("name", "params"), [("grpo_ddof1", {"eps": 1e-4}), ("negative_dominant", {"beta": 5})])
def test_audit_names_the_estimator_of_the_completions(tmp_path, name, params):
    tiny.train(with_estimator(GRPOTrainer, name, **params), tmp_path, [tiny.even])
    found = audit(read(tmp_path / "completions", group_size=4))
    assert found["identification"]["equal"]
    assert found["nearest_estimator"] == name
    assert params.items() <= found["identification"]["params"].items()


def test_the_monitor_writes_rows_that_audit_reads(tmp_path):
    path = tmp_path / "rollouts.jsonl"
    chosen = with_estimator(GRPOTrainer, "agrae", monitor=Monitor(path))
    tiny.train(chosen, tmp_path, [tiny.even])
    found = audit(read(path))
    assert found["rollouts"] == 36
    assert "agrae" in [found["nearest_estimator"], *found["identification"]["also_equal"]]


def test_evaluation_has_groups_of_another_size(tmp_path):
    options = dict(num_generations_eval=2, per_device_eval_batch_size=4, eval_strategy="steps", eval_steps=1)
    trainer = tiny.train(with_estimator(GRPOTrainer, "rloo"), tmp_path, [tiny.even], max_steps=1, **options)
    assert any("eval_symtheory/omega" in entry for entry in trainer.state.log_history)


@pytest.mark.parametrize("name", ["unlikeliness", "differential_smoothing", "curverl", "reinforce_pp_baseline"])
def test_log_probabilities_lengths_and_the_window_of_rates_come_from_the_trainer(tmp_path, name):
    trainer = tiny.train(with_estimator(GRPOTrainer, name), tmp_path, [tiny.even])
    assert all(torch.isfinite(a).all() for a in trainer.seen)
    assert sum(float(a.abs().sum()) for a in trainer.seen) > 0


def test_differential_smoothing_uses_the_policys_mean_log_probability(tmp_path):
    """Without training (learning rate 0) the log-probabilities are those of the first model."""
    path = tmp_path / "rollouts.jsonl"
    options = dict(max_steps=1, learning_rate=0.0)
    chosen = with_estimator(GRPOTrainer, "differential_smoothing", monitor=Monitor(path))
    tiny.train(chosen, tmp_path, [tiny.even], **options)
    columns = logged(tmp_path, 1)
    plain = symtheory.advantages(columns["even"], "grpo", eps=1e-6)
    implied = np.where(columns["even"] > 0, plain - columns["advantage"], columns["advantage"] - plain) / 0.05
    assert (implied < 0).all()
    assert abs(implied.mean() + np.log(len(tiny.CHARACTERS))) < 0.3  # an untrained model is nearly uniform


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: with_estimator(GRPOTrainer, "agra"), "Did you mean 'agrae'"),
        (lambda: with_estimator(GRPOTrainer, "agrae", alfa=1), "takes no parameter 'alfa'"),
        (lambda: with_estimator(dict, "agrae"), "dict has no _calculate_rewards"),
    ],
)
def test_what_cannot_work_is_refused_when_the_class_is_made(make, message):
    with pytest.raises(InputError, match=message):
        make()


@pytest.mark.parametrize(
    ("name", "options", "reward", "message"),
    [
        ("pkpo", dict(num_generations=2), tiny.even, "needs at least 4 rollouts a prompt, got 2"),
        ("agrae", {}, lambda completions, **_: [2.0] * len(completions), r"rewards must be in \[0, 1\]"),
        ("grpo", {}, lambda completions, **_: [float("inf")] * len(completions), "rewards must be finite"),
    ],
)
def test_wrong_groups_and_rewards_get_one_sentence_before_the_first_step(tmp_path, name, options, reward, message):
    with pytest.raises(InputError, match=message) as error:
        tiny.train(with_estimator(GRPOTrainer, name), tmp_path, [reward], **options)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "checkpoint-1").exists()


def test_groups_that_two_processes_share_are_put_together(tmp_path):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    script = Path(__file__).parent / "two_processes.py"
    subprocess.run([*command, str(script), str(tmp_path)], check=True, timeout=240, capture_output=True)
    seen = [torch.load(tmp_path / f"seen-{rank}.pt") for rank in (0, 1)]
    for step in (1, 2):
        columns = logged(tmp_path, step)
        expected = symtheory.advantages(columns["even"].reshape(-1, 8), "agrae").ravel()
        np.testing.assert_allclose(columns["advantage"].ravel(), expected, rtol=1e-5, atol=1e-6)
        trained = np.concatenate([np.asarray(s[step - 1]).ravel() for s in seen])
        np.testing.assert_allclose(np.sort(trained), np.sort(expected), rtol=1e-5, atol=1e-6)
