"""Findings on tables: what is found in the paper's, what in made ones, and the command line."""

import json
import subprocess
import sys

import numpy as np
import pytest

from symtheory import InputError
from symtheory.cli import main
from symtheory.evidence import count_kernel, evidence, published, read_table

HEADER = "table,model,dataset,method,k,pass_at_k_percent,plus_minus\n"


def table(tmp_path, *lines):
    file = tmp_path / "table.csv"
    file.write_text(HEADER + "\n".join(lines) + "\n")
    return file


def test_identical_and_conflicting_rows_of_the_paper_are_named():
    found = evidence([r for r in published(dataset="AMC23") if r.table in ("table3", "table7")])
    assert any("Positive-Dominant" in " ".join(s["rows"]) and "GRPO" in " ".join(s["rows"]) for s in found["identical"])
    (conflict,) = [c for c in found["conflicting"] if c["method"] == "GRPO"]
    assert (conflict["k"], conflict["values"]) == (1, pytest.approx({"table3": 0.602, "table7": 0.592}))


def test_granularity_finds_the_least_number_of_averaged_runs(tmp_path):
    file = table(
        tmp_path, "t,m,AMC23,one,8,52.5,", "t,m,AMC23,two,8,53.8,", "t,m,AMC23,none,8,53.0,", "t,m,MATH,big,8,53.8,"
    )
    one, two, none, big = (r["granularity"] for r in evidence(read_table(file))["rows"])
    assert (one["distance"], one["runs"]) == (pytest.approx(0, abs=1e-12), 1)
    assert (two["distance"], two["runs"]) == (pytest.approx(0.012), 2)  # 53.75 is printed as 53.8
    assert none["runs"] == 5  # 53.0 is 106/200
    assert big is None


def test_a_sampled_table_is_consistent_and_a_changed_value_is_not(tmp_path):
    ks = [1, 4, 16, 64]
    row = 100 * count_kernel(64, ks)[np.random.default_rng(0).integers(0, 65, 40)].mean(0)
    lines = [f"t,m,d,right,{k},{v:.1f}," for k, v in zip(ks, row, strict=True)]
    lines += [f"t,m,d,changed,{k},{v - 20 * (k == 4):.1f}," for k, v in zip(ks, row, strict=True)]
    right, changed = evidence(read_table(table(tmp_path, *lines)))["rows"]
    assert right["within_rounding"]
    assert not changed["within_rounding"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("t,m,d,x,1.5,50,", r"table.csv:2: k must be a whole number"),
        ("t,m,d,x,1,150,", r"table.csv:2: pass_at_k_percent must be a number from 0 to 100, got '150'"),
        ("t,m,d,x,1,nan,", "pass_at_k_percent"),
        ("t,m,d,x,1", "pass_at_k_percent must be a number from 0 to 100, got None"),
        ("t,m,d,x,1,50,\nt,m,d,x,1,51,", r"table.csv:3: k = 1 comes twice"),
        ("", "at least one row"),
    ],
)
def test_bad_tables_name_file_and_line(tmp_path, line, message):
    with pytest.raises(InputError, match=message):
        read_table(table(tmp_path, line))


def test_a_file_of_other_columns_or_bytes_is_refused(tmp_path):
    (tmp_path / "a.csv").write_text("x,y\n1,2\n")
    (tmp_path / "b.csv").write_bytes(bytes(range(256)))
    with pytest.raises(InputError, match="lacks dataset"):
        read_table(tmp_path / "a.csv")
    with pytest.raises(InputError, match="UTF-8"):
        read_table(tmp_path / "b.csv")


def test_the_command_reports_the_paper_by_default():
    command = [sys.executable, "-m", "symtheory", "evidence"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "43 of 87 rows" in text
    assert "Positive-Dominant" in text


def test_the_command_gives_json_and_one_line_for_a_bad_table(tmp_path, monkeypatch, capsys):
    file = table(tmp_path, "t,m,AMC23,one,1,50,", "t,m,AMC23,one,2,40,")
    results = []
    for path in (file, tmp_path / "none.csv", table(tmp_path / "..", "t,m,d,x,1,500,")):
        monkeypatch.setattr(sys, "argv", ["symtheory", "evidence", str(path), "--format", "json"])
        with pytest.raises(SystemExit) as stop:
            main()
        results.append((stop.value.code, *capsys.readouterr()))
    assert json.loads(results[0][1])["farthest"]["distance"] == pytest.approx(0.05, abs=1e-7)
    assert [r[0] for r in results] == [0, 1, 2]
    assert "No such file" in results[1][2]
    assert "from 0 to 100, got '500'" in results[2][2]
