"""`symtheory check` from end to end."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from symtheory import InputError
from symtheory.cli.check import run
from symtheory.testing import invariants, load
from symtheory.testing.invariants import INVARIANTS

HERE = Path(__file__).parent
CALLABLES = f"{HERE / 'callables.py'}:"


def check(*arguments):
    command = [sys.executable, "-m", "symtheory", "check", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def test_json_names_every_law_and_a_failing_required_one_gives_status_1(capsys):
    assert run(CALLABLES + "std_without_eps", format="json", require=("zero_sum", "degenerate_zero")) == 1
    report = json.loads(capsys.readouterr().out)
    assert report["estimator"].endswith("callables.py:std_without_eps")
    found = {i["name"]: i for i in report["invariants"]}
    assert set(found) == set(INVARIANTS)
    assert found["degenerate_zero"]["holds"] is False
    assert found["degenerate_zero"]["verdict"] == "fails"
    assert found["degenerate_zero"]["counterexample"] == [[0.0, 0.0]]
    assert found["shift"]["holds"] is True
    assert found["shift"]["counterexample"] is None


def test_a_required_law_that_holds_gives_status_0_and_noise_on_stdout_stays_out_of_the_json():
    done = check(CALLABLES + "prints", "--format", "json", "--require", "zero_sum,shift")
    assert done.returncode == 0, done.stderr
    json.loads(done.stdout)


def test_the_table_ends_in_tests_to_paste(capsys):
    assert run(CALLABLES + "sign_slip", require=("sign_correct",), conform="verl") == 1
    printed = capsys.readouterr().out
    assert "assert invariants.sign_correct(load(" in printed
    assert "required but broken: sign_correct" in printed
    assert "equals none of" in printed


def test_a_registered_name_is_compared_with_the_published_ones(capsys):
    assert run("dr_grpo", conform="openrlhf") == 0
    assert "equals openrlhf_dr_grpo: " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([CALLABLES + "raises"], "raised KeyError"),
        ([CALLABLES + "no_such_function"], "has no 'no_such_function'"),
        ([], "check needs a TARGET"),
    ],
    ids=["raises", "missing", "nothing"],
)
def test_bad_input_is_refused_in_one_sentence(arguments, message):
    with pytest.raises(InputError) as error:
        run(*arguments)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(require=("zero_summ",)), "no invariant 'zero_summ'. Did you mean 'zero_sum'?"),
        (dict(conform="vrl"), "no framework 'vrl'"),
    ],
)
def test_unknown_names_are_refused_with_the_nearest_one(options, message):
    with pytest.raises(InputError) as error:
        run("grpo", **options)
    assert message in str(error.value)


def test_bad_input_ends_in_one_line_and_status_2():
    done = check(CALLABLES + "hangs", "--time-limit", "0.2")
    assert done.returncode == 2
    assert "did not return within 0.2 s" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not done.stdout


@pytest.mark.slow
def test_the_table_of_all_estimators_agrees_with_their_declarations(capsys):
    from symtheory.cli.check import _check_all

    assert _check_all("table") == 0
    rows = {line.split()[0]: line.split()[1:] for line in capsys.readouterr().out.splitlines() if line[:1].isalpha()}
    assert rows["dr_grpo"][2] == "Y"
    assert rows["positive_dominant"][2] == "."
    assert len(rows["grpo"]) == len(INVARIANTS)


def test_a_pasted_counterexample_fails_as_the_table_said():
    assert invariants.sign_correct(load(CALLABLES + "sign_slip"), [[0.0, 1.0]]) is False
