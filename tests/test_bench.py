"""`symtheory bench`: rows come from processes of their own, and what cannot run says so."""

import json
import subprocess
import sys

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
    thinned, not_thinned = rows[0]["ratio"], rows[1]["ratio"]
    assert thinned < 1.05, "memory must not grow with the steps when the reading is thinned"
    assert not_thinned > 2
