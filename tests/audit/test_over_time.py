"""A run over time: fifths, sparklines, conditions, the last steps, a log that grows, and why the entropy moved."""

import json
import subprocess
import sys
import time

import numpy as np
import pytest

import symtheory
from symtheory import InputError
from symtheory.audit import audit, pass_rates, read
from symtheory.audit.trend import failing, sparkline

from . import shapes
from .logs import run, write_rows


def learning(steps=20, prompts=12, size=8):
    """Success grows from 0.2 to 0.9 over the steps."""
    rng = np.random.default_rng(1)
    for step in range(steps):
        reward = (rng.random((prompts, size)) < 0.2 + 0.7 * step / (steps - 1)).astype(float)
        a = symtheory.advantages(reward, "grpo")
        for q in range(prompts):
            for i in range(size):
                yield {
                    "step": step,
                    "prompt_id": f"{step}-{q}",
                    "reward": reward[q, i],
                    "advantage": float(np.float32(a[q, i])),
                }


@pytest.fixture(scope="module")
def learnt(tmp_path_factory):
    return audit(read(write_rows(tmp_path_factory.mktemp("log") / "a.jsonl", learning())))


def test_first_and_last_fifth_are_those_of_the_steps(tmp_path):
    rows = list(learning())
    found = audit(read(write_rows(tmp_path / "a.jsonl", rows)))["fifths"]
    for name, chosen in (("first", range(4)), ("last", range(16, 20))):
        part = audit(read(write_rows(tmp_path / "b.jsonl", [r for r in rows if r["step"] in chosen])))
        for key in ("success", "dead_fraction", "group_asymmetry", "difficulty_tilt"):
            assert found[name][key] == pytest.approx(part[key], abs=1e-12)
    assert found["steps"] == 4


def test_a_sparkline_shows_gaps_means_and_flat_lines():
    assert sparkline([0, 1, None, 0.5]) == "▁█ ▅"
    assert sparkline([1e-9, 0, 2e-9]) == "▁▁▁"
    assert len(sparkline(list(range(1000)))) == 40
    assert sparkline([None]) == ""


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ("dead > 0.9", False),
        ("dead<=0.9", True),
        ("success >= 40%", True),
        ("nan_advantages > 0", False),
        ("runs_mixed > 0", False),
        ("entropy > 0", False),
        ("rollouts == 1920", True),
    ],
)
def test_conditions_hold_or_not(learnt, condition, holds):
    assert failing([condition], learnt) == ([condition] if holds else [])


@pytest.mark.parametrize("condition", ["dead", "dead > x", "dread > 1", "> 3", "import os"])
def test_what_is_no_condition_is_refused(learnt, condition):
    with pytest.raises(InputError, match="--fail-if"):
        failing([condition], learnt)


def command(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "symtheory", "audit", *map(str, arguments)], capture_output=True, text=True
    )


def test_the_command_reads_several_paths_columns_where_last_and_fails_on_a_condition(tmp_path):
    rows = [
        {"it": r["step"], "q": r["prompt_id"], "gain": r["reward"], "part": "a" if r["step"] % 2 else "b"}
        for r in learning()
    ]
    write_rows(tmp_path / "0.jsonl", rows[:960])
    write_rows(tmp_path / "1.jsonl", rows[960:])
    refused = command(tmp_path)
    assert refused.returncode == 2
    assert "--columns reward=gain" in refused.stderr
    options = [
        "--columns",
        "reward=gain",
        "step=it",
        "prompt=q",
        "--where",
        "part=a",
        "--last",
        "3",
        "--format",
        "json",
    ]
    found = command(tmp_path / "0.jsonl", tmp_path / "1.jsonl", *options, "--fail-if", "success > 0.5", "dead > 0.99")
    assert (found.returncode, found.stderr) == (1, "symtheory: success > 0.5\n")
    report = json.loads(found.stdout)
    assert (report["steps"], report["step_range"], report["rollouts"]) == (3, [15, 19], 288)
    globbed = json.loads(command(tmp_path / "[01].jsonl", *options[:6], "--format", "json").stdout)
    assert (globbed["files"], globbed["steps"]) == (2, 10)


def test_a_log_that_grows_is_followed_until_a_condition_holds(tmp_path):
    rows = list(learning())
    file = write_rows(tmp_path / "a.jsonl", rows[:192])
    arguments = [sys.executable, "-m", "symtheory", "audit", str(tmp_path), "--follow", "--fail-if", "success > 0.4"]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert "trusted? yes" in process.stdout.readline()
        assert process.stdout.readline().startswith("step 1: ")
        with open(file, "a") as stream:
            stream.writelines(json.dumps(row) + "\n" for row in rows[192:])
        begin = time.monotonic()
        assert process.stdout.readline().startswith("step 19: ")
        assert process.wait(timeout=60) == 1
        assert time.monotonic() - begin < 60


def test_a_small_log_needs_no_jax_pandas_or_matplotlib(tmp_path):
    shapes.trl(tmp_path, shapes.made())
    script = (
        "import sys; sys.argv[1:] = ['audit', sys.argv[1]]\nfrom symtheory.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n"
        "    print(sorted({'jax', 'pandas', 'scipy', 'sympy', 'matplotlib'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=True)
    assert run.stdout.endswith("[]\n")


def test_the_gain_without_jax_is_the_slope_of_the_theory():
    """Of the master theorem; of the dynamics, in single precision, where an estimator looks at the whole batch."""
    import jax

    from symtheory import estimators
    from symtheory.audit.gain import slope
    from symtheory.dynamics import expected
    from symtheory.metrics import expected_slope
    from symtheory.plan.step import sees_batch

    success = np.array([0.0, 0.05, 0.3, 0.5, 0.9, 1.0])
    chains = [estimators.get(name) for name in estimators.names("two_class")]
    chains = [e for e in chains if "spread" not in e.needs]  # which depends on the other prompts' spread
    coupled = [e for e in chains if sees_batch(e)]
    of_dynamics = jax.jit(lambda p: {e.name: expected.slope(e, 8, p) for e in coupled})(success)
    for estimator in chains:
        found = slope(estimator, 8, success)
        if estimator in coupled:
            theirs = np.asarray(of_dynamics[estimator.name])
            np.testing.assert_allclose(found, theirs, rtol=2e-4, atol=2e-5, err_msg=estimator.name)
        else:
            theirs = expected_slope(estimator, 8, success)
            np.testing.assert_allclose(found, theirs, rtol=1e-9, atol=1e-12, err_msg=estimator.name)


def softmax_run(steps=25, prompts=32, size=16, eta=0.06, push=1.0, seed=0):
    """A tabular softmax policy under natural-gradient steps, logged as it samples."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 1.2, (prompts, 12))
    reward_of = (np.arange(12) < 4).astype(float)
    for step in range(steps):
        p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        for q in range(prompts):
            arms = rng.choice(12, size, p=p[q])
            a = push * symtheory.advantages(reward_of[arms], "grpo")
            for arm, x in zip(arms, a, strict=True):
                yield {
                    "step": step,
                    "prompt_id": q,
                    "reward": reward_of[arm],
                    "advantage": x,
                    "logprob": float(np.log(p[q, arm])),
                    "length": 1,
                }
        success = np.clip(p @ reward_of, 1e-3, 1 - 1e-3)
        logits += eta * push * (reward_of - success[:, None]) / np.sqrt(success * (1 - success))[:, None]


def test_the_change_of_entropy_is_attributed_to_its_first_order_terms(tmp_path):
    found = audit(read(write_rows(tmp_path / "a.jsonl", softmax_run())))["entropy"]
    assert found["change"] < -0.1
    assert found["explained"] == pytest.approx(found["change"], rel=0.15)
    assert found["rest"] == pytest.approx(found["change"] - found["explained"])
    assert sum(t["wrong"] + t["correct"] for t in found["terms"]) == pytest.approx(found["explained"])
    assert found["r2"] > 0.8


def test_a_change_of_entropy_that_advantages_do_not_make_is_left_unexplained(tmp_path):
    """A run that does not learn while the temperature falls: no first-order term goes with it."""
    rng = np.random.default_rng(0)
    rows = [
        row | {"length": 10, "logprob": -10 * (2 - row["step"] / 30) + rng.normal()} for row in run(steps=30, prompts=4)
    ]
    found = audit(read(write_rows(tmp_path / "a.jsonl", rows)))["entropy"]
    assert found["change"] == pytest.approx(-0.8, abs=0.1)
    assert abs(found["explained"]) < 0.5 * abs(found["change"])


def test_pass_rates_of_prompts_are_counted_over_the_last_steps(tmp_path):
    shapes.trl(tmp_path, shapes.made())
    rates = pass_rates(read(tmp_path))
    assert (len(rates.rates), rates.rollouts.tolist(), rates.group_size) == (4, [24.0] * 4, 8)
    assert (rates.rates.min(), rates.rates.max()) == (0, 1)
    assert pass_rates(read(tmp_path), last_steps=1).rollouts.tolist() == [8.0] * 4
