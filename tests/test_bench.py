"""`symtheory bench`: rows come from processes of their own, and what cannot run says so."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from symtheory import InputError
from symtheory.cli import bench

FAKE = """
import json, os, sys
name = sys.argv[1]
rows = None
if name == "broken":
    raise RuntimeError("no such instruction")
print("chatter of a library")
print(json.dumps({"name": name, "ratio": 2.0, "low": 1.5, "high": 3.0, "against": "NumPy", "unit": "times as fast",
                  "core": os.environ.get("OPENBLAS_CORETYPE")}))
"""


@pytest.fixture
def checkout(tmp_path):
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks" / "__init__.py").write_text("")
    (tmp_path / "benchmarks" / "__main__.py").write_text(FAKE)
    (tmp_path / "benchmarks" / "some.py").write_text("import x\n\n\ndef rows(rounds):\n    pass\n")
    (tmp_path / "benchmarks" / "helper.py").write_text("def other():\n    pass\n")
    return tmp_path


def test_a_module_with_rows_is_a_benchmark_and_a_helper_is_not(checkout):
    assert bench.benchmarks_in(checkout / "benchmarks") == ["some"]
    assert bench.benchmarks_in(checkout / "nowhere") == []


def test_rows_are_measured_without_settings_for_another_processor(checkout, monkeypatch):
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    (row,) = bench.rows_of("some", checkout, 2)
    assert (row["ratio"], row["core"]) == (2.0, None)


def test_a_broken_benchmark_is_a_row_that_says_why_and_not_an_end(checkout):
    (row,) = bench.rows_of("broken", checkout, 2)
    assert row["ratio"] is None
    assert "no such instruction" in row["failed"]
    text = bench.table({"rows": [row], "machine": bench.machine()})
    assert "failed: RuntimeError" in text


def test_the_machine_is_described_without_its_name_or_paths():
    import platform

    facts = json.dumps(bench.machine())
    assert '"cores"' in facts
    assert '"jax"' in facts
    assert "/" not in facts
    assert platform.node() not in facts


def test_unknown_benchmarks_and_too_few_rounds_get_one_sentence():
    with pytest.raises(InputError, match="bandit"):
        bench.run(("bandits",))
    with pytest.raises(InputError, match="rounds"):
        bench.run(("memory",), rounds=1)


@pytest.mark.slow
def test_json_has_rows_with_ratios():
    command = [sys.executable, "-m", "symtheory", "bench", "memory", "--format", "json", "--rounds", "2"]
    run = subprocess.run(command, capture_output=True, text=True)
    rows = json.loads(run.stdout)["rows"]
    assert {"name", "ratio", "against"} <= set(rows[0])
    grown = {row["name"]: row["ratio"] for row in rows}
    assert grown["64 times the steps and the stride"] < 1.05, "memory must not grow with the steps if few are read"
    assert grown["64 times the steps"] > 2


def bench_row(name, ratio, low, high, **more):
    return {
        "name": name,
        "against": "C",
        "unit": "times as fast",
        "ratio": ratio,
        "low": low,
        "high": high,
        **more,
    }


def test_a_later_run_is_worse_only_where_the_ranges_do_not_touch():
    before = [
        bench_row("a", 2, 1.8, 2.2),
        bench_row("b", 2, 1.8, 2.2),
        bench_row("c", 2, 1.8, 2.2),
        bench_row("gone", 1, 1, 1),
    ]
    now = [
        bench_row("a", 1.7, 1.6, 1.9),
        bench_row("b", 1.5, 1.4, 1.7),
        bench_row("c", 3, 2.5, 3.5),
        bench_row("new", 1, 1, 1),
    ]
    compared = bench.compare(before, now)
    assert {row["name"]: row["verdict"] for row in compared} == {"a": "within noise", "b": "worse", "c": "better"}
    assert "| b | C | 2 (1.8 to 2.2) | 1.5 (1.4 to 1.7) | 0.75 | worse |" in bench.comparison_table(compared, {}, True)


def test_ratios_by_cpu_time_are_compared_where_there_are_some():
    before = [bench_row("a", 2, 1.8, 2.2, cpu_ratio=1.0)]
    now = [bench_row("a", 1, 0.9, 1.1, cpu_ratio=1.4, cpu_low=1.3, cpu_high=1.5)]
    assert [row["verdict"] for row in bench.compare(before, now)] == ["better"]


def test_more_memory_or_time_is_worse():
    before, now = [bench_row("a", 2, 1.9, 2.1) | {"unit": "times the memory"}], [bench_row("a", 3, 2.9, 3.1)]
    assert bench.compare(before, [now[0] | {"unit": "times the memory"}])[0]["verdict"] == "worse"


def test_a_row_that_was_skipped_is_compared_with_nothing():
    assert bench.compare([bench_row("a", None, None, None)], [bench_row("a", 2, 1, 3)]) == []


def test_against_compares_with_a_kept_record_and_its_exit_status_says_worse(checkout, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(bench, "benchmarks_in", lambda folder: ["some"])
    record = {"rows": [bench_row("some", 5, 4, 6)], "machine": bench.machine()}
    (tmp_path / "before.json").write_text(json.dumps(record))
    for ratio, status in ((2, 1), (5, 0)):
        monkeypatch.setattr(bench, "rows_of", lambda *a, r=ratio: [bench_row("some", r, r - 0.5, r + 0.5)])
        assert bench.run(("some",), against=tmp_path / "before.json") == status
    record["machine"]["cpu"] = "an old one"
    (tmp_path / "before.json").write_text(json.dumps(record))
    monkeypatch.setattr(bench, "rows_of", lambda *a: [bench_row("some", 2, 1.5, 2.5)])
    assert bench.run(("some",), against=tmp_path / "before.json") == 0
    out = capsys.readouterr().out
    assert "| worse |" in out
    assert "Then: cpu an old one" in out
    assert "another processor" in out
    (tmp_path / "before.json").write_text("[1]")
    with pytest.raises(InputError, match="against must be a file"):
        bench.run(("some",), against=tmp_path / "before.json")


def test_the_kept_history_can_be_compared_with():
    for path in (Path(__file__).parents[1] / "benchmarks" / "history").glob("*.json"):
        record = bench.read(path)
        assert all(row["verdict"] == "within noise" for row in bench.compare(record["rows"], record["rows"]))
