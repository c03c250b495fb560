"""`symtheory plan` from end to end."""

import json
import re
import subprocess
import sys

import pytest

from symtheory.cli import main


def run(monkeypatch, capsys, *arguments):
    """Status, output and errors of a command."""
    monkeypatch.setattr(sys, "argv", ["symtheory", "plan", *map(str, arguments)])
    with pytest.raises(SystemExit) as stop:
        main()
    return stop.value.code, *capsys.readouterr()


def test_the_answer_comes_first_and_says_what_json_says(monkeypatch, capsys):
    options = ["--success", 0.02, 0.4, 0.9, "--group-sizes", 8, 16, "--estimators", "grpo", "dr_grpo"]
    status, text, _ = run(monkeypatch, capsys, *options)
    assert status == 0
    report = json.loads(run(monkeypatch, capsys, *options, "--format", "json")[1])
    now, larger = (g["live"] for g in report["group_sizes"] if g["group_size"] in (8, 16))
    flat = " ".join(text.split())
    assert f"G = 16: {100 * larger:.0f}% of the groups live instead of {100 * now:.0f}% at G = 8" in flat
    lost = report["group_sizes"][0]["estimators"]["grpo"]["filter"]["gain_lost"]
    assert f"costs {100 * lost:.0f}% of the gain of grpo." in flat
    assert text.index("G = 16") < text.index("questions  live")


def test_options_reach_the_plan(monkeypatch, capsys):
    options = ["--group-size", 4, "--group-sizes", 4, 12, "--rollouts", 480, "--estimators", "rloo", "agrae"]
    options += ["--filter", 0.1, 0.5, "--ks", 1, 8, "--samples", 32, "--questions", 90, "--difference", 5]
    report = json.loads(run(monkeypatch, capsys, "--success", 0.2, 0.7, *options, "--format", "json")[1])
    assert [(g["group_size"], g["groups"]) for g in report["group_sizes"]] == [(4, 120), (12, 40)]
    assert list(report["group_sizes"][0]["estimators"]) == ["rloo", "agrae"]
    assert report["filter"] == [0.1, 0.5]
    power = report["power"]
    assert (power["size"], power["questions"], power["samples"]) == (0.05, 90, 32)
    assert [d["k"] for d in power["differences"]] == [1, 8]


def test_a_table_compares_its_rows_and_draws_a_picture(monkeypatch, capsys, tmp_path):
    table = tmp_path / "t.csv"
    table.write_text("method,pass@1,pass@8,pass@64\nBase,30.1,60.2,80.0\nRL,50.3,61.0,70.0\n")
    options = ["--group-sizes", 8, 16, "--estimators", "grpo", "dr_grpo", "--out", tmp_path / "p.png"]
    status, text, _ = run(monkeypatch, capsys, table, *options)
    assert status == 0
    assert "the curves cross between k = 8 and 64" in " ".join(text.split())
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("values", [["0"], ["1", "1"], ["0", "1"], ["0.5"], ["1e-12"]])
def test_questions_without_signal_are_no_fault(monkeypatch, capsys, values):
    status, text, errors = run(monkeypatch, capsys, "--success", *values)
    assert (status, errors) == (0, "")
    assert not re.search(r"\b(nan|inf)\b", text)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "source must be one of a file and --success"),
        (["x.csv", "--success", "0.5"], "source must be one of a file and --success"),
        (["x.csv"], "no such file"),
        (["--success", "1.5"], "from 0 to 1, got 1.5"),
        (["--success", "nan"], "from 0 to 1, got nan"),
        (["--success", "0.5", "--group-size", "1"], "group size must be from 2 to 512 rollouts, got 1"),
        (["--success", "0.5", "--rollouts", "4"], "rollouts must be at least the group size 8"),
        (["--success", "0.5", "--filter", "0.8", "0.2"], "filter must be two success rates"),
        (["--success", "0.5", "--estimators", "grpp"], "no estimator 'grpp'"),
        (["--success", "0.5", "--samples", "4"], "samples must be at least the largest k, 256"),
        (["--success", "0.5", "--ks", "0"], "ks must be numbers of attempts"),
        (["--success", "0.5", "--difference", "0"], "difference must be"),
        (["--success", "0.5", "--questions", "-3"], "questions must be at least 1, got -3"),
        (["--success", "0.5", "--last", "0"], "last must be at least 1"),
        (["--success", "0.5", "--out", "p.txt"], "out must end in .png"),
    ],
)
def test_bad_arguments_get_one_sentence(monkeypatch, capsys, arguments, message):
    status, _, errors = run(monkeypatch, capsys, *arguments)
    assert status == 2
    assert message in errors
    assert errors.count("\n") == 1


def test_a_plan_needs_no_jax_and_no_plotting():
    code = """
import sys
sys.argv = ["symtheory", "plan", "--success", "0.3"]
from symtheory.cli import main
try:
    main()
except SystemExit:
    print(sorted({"jax", "matplotlib", "sympy", "scipy"} & set(sys.modules)))
"""
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert output.splitlines()[-1] == "[]"
