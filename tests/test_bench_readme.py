"""The tables of benchmarks/README.md are those of the kept records."""

from pathlib import Path

import pytest

from symtheory.cli import bench

ROOT = Path(__file__).parents[1]


@pytest.fixture
def readme(monkeypatch):
    monkeypatch.syspath_prepend(ROOT)
    return pytest.importorskip("benchmarks.readme")


def test_the_readme_shows_the_newest_record_and_the_growth_table(readme):
    text = (ROOT / "benchmarks" / "README.md").read_text()
    assert readme.made(text) == text, "run: python -m benchmarks.readme"


def test_a_readme_without_its_marks_is_refused(readme):
    with pytest.raises(ValueError, match="section figures"):
        readme.made("nothing here")


def test_every_benchmark_is_explained_in_the_readme():
    text = (ROOT / "benchmarks" / "README.md").read_text()
    for name in bench.benchmarks_in(ROOT / "benchmarks"):
        assert f"| `{name}` |" in text
