"""Where a plan reads from: every shape gives the same population, and bad input one sentence."""

import json
import os

import numpy as np
import pytest

from symtheory import InputError
from symtheory.plan.source import from_file, from_success

RATES = [0.0, 0.25, 0.5, 1.0]


def written(tmp_path, name, text):
    file = tmp_path / name
    file.write_text(text)
    return file


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("rates.txt", "0\n0.25\n0.5\n1\n"),
        ("rates.txt", "0 0.25 0.5 1"),
        ("rates.csv", "0,0.25,0.5,1\n"),
        ("rates.txt", "# pass rates\n0%\n25%\n50%\n100%\n"),
        ("rates.csv", "prompt,pass_rate\na,0\nb,0.25\nc,0.5\nd,1\n"),
        ("rates.csv", '"id";"Solve Rate"\n"a,b";0\nb;25%\nc;50%\nd;100%\n'),
        ("rates.tsv", "id\tllama8b_solve_rate\na\t0\nb\t0.25\nc\t0.5\nd\t1\n"),
        ("rates.json", "[0, 0.25, 0.5, 1]"),
        ("rates.json", '{"a": 0, "b": 0.25, "c": 0.5, "d": 1}'),
        ("rates.json", '{"success": [0, 0.25, 0.5, 1]}'),
        ("rates.json", '[{"success": 0}, {"success": 0.25}, {"success": 0.5}, {"success": 1}]'),
        ("rates.jsonl", '{"success_rate": 0}\n{"success_rate": 0.25}\n{"success_rate": 0.5}\n{"success_rate": 1}\n'),
        ("rates.jsonl", "0\n0.25\n0.5\n1\n"),
    ],
)
def test_pass_rates_are_read_in_many_shapes(tmp_path, name, text):
    population = from_file(written(tmp_path, name, text)).population
    assert population.exact
    assert population.success.tolist() == RATES


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("counts.csv", "id,correct,total\na,0,4\nb,1,4\nc,2,4\nd,4,4\n"),
        ("counts.csv", "id,n_correct,n_samples\na,0,4\nb,1,4\nc,2,4\nd,4,4\n"),
        ("counts.csv", "id,pass_rate,samples\na,0,4\nb,0.25,4\nc,0.5,4\nd,1,4\n"),
        ("counts.json", "[[0,0,0,0],[0,1,0,0],[1,0,1,0],[1,1,1,1]]"),
        ("counts.json", '{"a": [0,0,0,0], "b": [false,true,false,false], "c": [1,0,1,0], "d": [1,1,1,1]}'),
        ("counts.jsonl", "".join(f'{{"correct": {c}, "total": 4}}\n' for c in (0, 1, 2, 4))),
    ],
)
def test_counts_of_tries_are_measurements(tmp_path, name, text):
    source = from_file(written(tmp_path, name, text))
    assert not source.population.exact
    assert source.population.questions == 4
    assert source.population.share == pytest.approx([0.25, 0.25, 0.25, 0, 0.25])


def test_rates_of_few_tries_are_said_to_be_and_taken_as_measured_when_told(tmp_path):
    file = written(tmp_path, "rates.txt", "\n".join(["0"] * 6 + ["0.125"] * 3 + ["0.875"] * 3))
    assert "multiples of 1/8" in from_file(file).notes[0]
    measured = from_file(file, measured=8)
    assert measured.population.share[[0, 1, 7]] == pytest.approx([0.5, 0.25, 0.25])
    with pytest.raises(InputError, match="measured must be the tries behind each pass rate, got 5"):
        from_file(file, measured=5)


def test_a_row_of_a_table_is_chosen_by_name(tmp_path):
    file = written(
        tmp_path, "t.md", "| Model | pass@1 | pass@8 |\n|---|---|---|\n| Base | 30.1 | 60.2 |\n| RL | 50.3 | 61.0 |\n"
    )
    source = from_file(file)
    assert source.text == "pass@k of Base"
    assert [row.method for row, _ in source.others] == ["RL"]
    trained = from_file(file, method="RL").population
    assert trained.mean(trained.success) == pytest.approx(0.503, abs=1e-3)
    with pytest.raises(InputError, match=r"no method in .*t\.md 'RK'\. Did you mean 'RL'"):
        from_file(file, method="RK")


def test_a_rollout_log_gives_its_groups(tmp_path):
    rng = np.random.default_rng(0)
    lines = [
        json.dumps({"step": s, "prompt_id": f"{s}-{q}", "reward": float(rng.random() < p)})
        for s in range(3)
        for q, p in enumerate([0.1, 0.5, 0.9, 0.5])
        for _ in range(8)
    ]
    source = from_file(written(tmp_path, "log.jsonl", "\n".join(lines)))
    assert (source.group_size, source.rollouts, source.population.questions) == (8, 32, 12)
    assert from_file(tmp_path / "log.jsonl", last=1).population.questions == 4


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.txt", "", "empty"),
        ("a.txt", "0.5\nabc\n", "a.txt:2: pass rate must be a number from 0 to 1, or with a percent sign, got 'abc'"),
        ("a.txt", "50\n60\n", "from 0 to 1, or with a percent sign, got '50'"),
        ("a.txt", "nan\n0.5\n", "columns? .*'nan'|got 'nan'"),
        ("a.csv", "x,y\n1,2\n", "its columns are 'x', 'y'"),
        ("a.csv", "correct,total\n3,2\n", "a.csv:2: correct and total must be whole numbers"),
        ("a.json", "{", "not JSON"),
        ("a.json", "[]", "list of pass rates"),
        ("a.json", "[[0, 2]]", "list of 0 and 1"),
        ("a.json", '[0.5, "x"]', r"\[1\]: pass rate must be a number"),
        ("a.jsonl", '{"step": 0, "prompt_id": 1, "reward": 0.5}\n' * 4, "correct and wrong rollouts, got a reward of"),
        ("a.csv", "method,pass@1\nB,50\n", "two values of k or more"),
    ],
)
def test_bad_sources_get_one_sentence(tmp_path, name, text, message):
    with pytest.raises(InputError, match=message):
        from_file(written(tmp_path, name, text))


def test_missing_files_and_bytes_get_one_sentence(tmp_path):
    with pytest.raises(InputError, match=r"source must be a file or a folder, got .*no such file"):
        from_file(tmp_path / "none.csv")
    (tmp_path / "b.csv").write_bytes(bytes(range(256)))
    with pytest.raises(InputError, match="UTF-8"):
        from_file(tmp_path / "b.csv")
    with pytest.raises(InputError, match="success must be probabilities from 0 to 1, got 2"):
        from_success([0.5, 2])


def test_a_rollout_log_is_one_in_csv_and_json_too(tmp_path):
    rows = [{"step": 1, "prompt_id": i // 8, "success": int(i % 8 < i // 8)} for i in range(64)]
    (tmp_path / "log.json").write_text(json.dumps(rows))
    cells = [",".join(rows[0]), *(",".join(map(str, row.values())) for row in rows)]
    (tmp_path / "log.csv").write_text("\n".join(cells))
    for name in ("log.json", "log.csv"):
        source = from_file(tmp_path / name)
        assert "8 groups" in source.text
        assert source.group_size == 8


def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "rates.txt")
    with pytest.raises(InputError, match="got a pipe, socket or device"):
        from_file(tmp_path / "rates.txt")
