"""`symtheory audit` from end to end: text, JSON, the page, exit statuses, and names that try to be more than names."""

import json
import re
import subprocess
import sys
from xml.etree import ElementTree

import pytest

from symtheory.audit import audit, read
from symtheory.cli import main
from symtheory.figures.audit import page

from .logs import SAMPLES, run, write_rows


@pytest.fixture
def command(monkeypatch, capsys):
    """Run `symtheory audit` in this process: (status, standard output, standard error)."""

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["symtheory", "audit", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            main()
        return (stop.value.code, *capsys.readouterr())

    return call


def test_json_has_the_keys_that_scripts_rely_on():
    options = ["--format", "json", "--against", "agrae", "hard_focused"]
    arguments = [sys.executable, "-m", "symtheory", "audit", str(SAMPLES / "trl_grpo_binary"), *options]
    found = json.loads(subprocess.run(arguments, capture_output=True, check=True).stdout)
    wanted = {"groups", "rollouts", "skipped_rows", "dead_fraction", "group_asymmetry", "nearest_estimator"}
    assert wanted <= set(found)
    assert (found["groups"], found["rollouts"], found["dead_fraction"]) == (12, 96, 0.5)
    assert list(found["against"]) == ["agrae", "hard_focused"]


def test_text_says_what_was_found_and_what_was_skipped(tmp_path, command):
    file = write_rows(tmp_path / "a.jsonl", [*run("negative_dominant"), {"step": 0, "prompt_id": "q", "reward": None}])
    status, text, _ = command(file)
    assert status == 0
    assert "equal to negative_dominant" in text
    assert "1 rows skipped" in text
    assert "reward is missing" in text
    assert text.startswith("Can these numbers be trusted? yes, knowing this\n* 1 row skipped")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([SAMPLES / "nemo_rl", "--columns", "reward"], "--columns takes name=value"),
        ([SAMPLES / "nemo_rl", "--fail-if", "dread > 0.6"], "--fail-if knows no 'dread'"),
        ([SAMPLES / "nemo_rl", "--last", "0"], "--last must be at least 1"),
        ([SAMPLES / "trl_grpo_binary", "--against", "hard_focussed"], "Did you mean 'hard_focused'"),
        ([SAMPLES / "trl_grpo_binary", "--log-format", "verl"], "is no verl log"),
        ([SAMPLES / "openrlhf_tensorboard"], "TensorBoard curves only"),
        ([SAMPLES / "none"], "no log at"),
        ([SAMPLES / "trl_grpo_binary", "--group-size", "0"], "at least 1"),
    ],
)
def test_bad_input_ends_in_one_line_and_status_2(arguments, message, command):
    status, _, error = command(*arguments)
    assert status == 2
    assert message in error
    assert error.count("\n") == 1


HOSTILE = '<script>alert(1)</script><img src=x onerror="alert(2)">&\x1b[31m$\\alpha$'


def hostile_report(tmp_path):
    folder = tmp_path / "<b>&\x1b[2J"
    folder.mkdir()
    rows = [row | {"prompt_id": HOSTILE + row["prompt_id"]} for row in run("grpo", steps=3)]
    rows[5]["advantage"] = 99.0
    file = write_rows(folder / "<script>.jsonl", [*rows, {"step": 1, "prompt_id": HOSTILE, "reward": HOSTILE}])
    return file, audit(read(file), against=("agrae", "hard_focused", "passk"))


def test_the_page_is_one_file_without_script_and_escapes_what_the_log_says(tmp_path):
    _, report = hostile_report(tmp_path)
    html = page(report)
    assert html.count("<svg") == 2
    assert "<script" not in html
    assert "&lt;script&gt;.jsonl" in html
    assert not re.search(r"<[^>]*\son\w+\s*=", html)
    outside = re.findall(r'(?:src|href)="(?!#)[^"]*"', html)
    assert outside == []
    for svg in re.findall(r"<svg.*?</svg>", html, re.S):
        ElementTree.fromstring(svg)


def test_the_terminal_gets_no_control_characters_from_the_log(tmp_path, command):
    file, _ = hostile_report(tmp_path)
    assert "\x1b" not in command(file)[1]


def test_a_page_is_made_for_every_sample(tmp_path):
    for folder in ("trl_grpo_binary", "verl_v1_rollout_data_dir", "nemo_rl"):
        html = page(audit(read(SAMPLES / folder, group_size=4 if folder == "nemo_rl" else None)))
        assert html.endswith("</body></html>")
    rows = [{"step": 0, "prompt_id": 0, "reward": 1.0}] * 4
    assert "no learning signal" in page(audit(read(write_rows(tmp_path / "dead.jsonl", rows))))
