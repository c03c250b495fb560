"""The scale table: exponents are fitted to what was measured, points resume, and every point makes a program."""

import doctest
import json
from pathlib import Path

import jax
import pytest


@pytest.fixture
def growth(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[1])
    return pytest.importorskip("benchmarks.growth")


def test_the_exponent_is_that_of_the_larger_sizes_and_the_linear_range_is_found(growth):
    sizes = [1, 10, 100, 1000]
    assert growth.fitted(sizes, [7.0, 7.0, 70.0, 700.0]) == (1.0, "10 to 1000")
    assert growth.fitted(sizes, [x**2 for x in sizes]) == (2.0, "nowhere")
    assert growth.fitted(sizes, [1.0, 10.0, 100.0, 10000.0])[1] == "1 to 100"


def test_the_numbers_of_the_table_are_those_of_its_doctests(growth):
    assert doctest.testmod(growth).failed == 0


def test_points_that_are_kept_are_not_measured_again(growth, tmp_path, monkeypatch, capsys):
    asked = []

    def measure(axis, size):
        asked.append((axis, size))
        return {"step": float(size), "compile": 1.0, "mib": 2.0 * size}

    monkeypatch.setattr(growth, "measure", measure)
    monkeypatch.setattr(growth, "AXES", {"G": [2, 4, 8]})
    file = tmp_path / "growth.json"
    growth.main(["--out", str(file)])
    growth.main(["--out", str(file)])
    assert asked == [("G", 2), ("G", 4), ("G", 8)]
    assert "| G | 2, 4, 8 | 2000, 4000, 8000 | 1.0 | 2 to 8 |" in capsys.readouterr().out
    growth.main(["--out", str(file), "--again", "G=4"])
    assert "G=4: step 4 then, 4 now, 1.00 times" in capsys.readouterr().out


def test_a_point_is_a_program_with_steps(growth, single_precision):
    program, arguments, steps = growth.point("nodes of a tree (b=2)", 7)
    assert steps == growth.STEPS
    assert jax.tree.leaves(jax.eval_shape(program, *arguments))


def test_the_committed_table_has_every_point(growth):
    points = json.loads(growth.FILE.read_text())["points"]
    assert set(points) == {f"{axis}={size:g}" for axis, sizes in growth.AXES.items() for size in sizes}
