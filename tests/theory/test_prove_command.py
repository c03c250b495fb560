"""`symtheory prove` as a user meets it."""

import json
import subprocess
import sys

import pytest

from symtheory import InputError
from symtheory.cli.prove import run
from symtheory.estimators.loading import resolve
from symtheory.theory.derivation import derive

FIELDS = {"id", "statement", "verdict", "source", "method", "rechecked"}


def test_json_is_a_list_of_rows_in_the_order_asked_for(capsys):
    assert run(("b5_unsampled_constant_under_grpo", "update_magnitude"), format="json") == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["id"] for row in rows] == ["b5_unsampled_constant_under_grpo", "update_magnitude"]
    assert all(set(row) >= FIELDS for row in rows)
    assert [(row["verdict"], row["rechecked"]) for row in rows] == [("fails", True), ("exact", True)]
    assert rows[0]["counterexample"]["pi"] == "(1/4, 1/4, 1/2)"


@pytest.mark.parametrize(
    ("format", "sign"), [("md", "| update_magnitude | exact | yes |"), ("latex", r"update\_magnitude & exact")]
)
def test_other_formats_hold_the_same_row(capsys, format, sign):
    assert run(("update_magnitude",), format=format) == 0
    assert sign in capsys.readouterr().out


def test_bad_arguments_end_in_one_sentence_and_status_2():
    command = [sys.executable, "-m", "symtheory", "prove", "update_magnitud"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert "Did you mean 'update_magnitude'" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("no.such.module:thing", "cannot import 'no.such.module': ModuleNotFoundError"),
        ("math:nothing", "'math' has no 'nothing'"),
        ("math:", "'math' has no ''"),
        ("math:pi", "must be an Estimator, a link or a tuple of links, got float"),
        ("grpoo", "Did you mean 'grpo'"),
    ],
)
def test_bad_target_of_a_derivation_gets_one_sentence(target, message):
    with pytest.raises(InputError, match=message):
        resolve(target)


def test_derivation_of_a_registered_estimator_prints_its_closed_forms(capsys):
    assert run(derive="grpo", format="json") == 0
    content = json.loads(capsys.readouterr().out)
    texts = {name: form["text"] for name, form in content["forms"].items()}
    assert texts["A+"] == "sqrt(F/K)"
    assert texts["sum|A|"] == "2*sqrt(F*K)"
    assert texts["F(P), large G"] == "2*asin(sqrt(P))"
    assert texts["peak p of sum|A|"] == "1/2"
    assert content["forms"]["A+"]["latex"] == r"\sqrt{\frac{F}{K}}"
    assert all(row["rechecked"] for row in content["theorems"])


MODULE = '''
from symtheory import estimators
from symtheory.estimators.grpo import center, scale_by_std


def cubed(a, g, op, *, scale=0.5):
    """scale a^3"""
    return scale * a**3


links = (center, scale_by_std, cubed)
whole = estimators.chain(*links, name="cubed_grpo")


def numpy_only(a, g, op):
    import numpy as np

    return np.tanh(a)
'''


@pytest.fixture
def user_module(tmp_path, monkeypatch):
    (tmp_path / "my_estimators.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    yield
    sys.modules.pop("my_estimators", None)


@pytest.mark.usefixtures("user_module")
def test_derivation_of_a_users_estimator(capsys):
    assert run(derive="my_estimators:links", format="md") == 0
    out = capsys.readouterr().out
    assert "(F - K)" in out  # the imbalance changes sign at K = F
    assert "zero_sum" in out
    assert "C = 3/4*sqrt(2)" in out  # G = 3, K = 1: (2^(3/2) - 2 * 2^(-3/2)) / 2


@pytest.mark.usefixtures("user_module")
def test_estimator_and_single_link_are_targets_too():
    assert resolve("my_estimators:whole").name == "cubed_grpo"
    assert resolve("my_estimators:cubed").links[0].__name__ == "cubed"


@pytest.mark.usefixtures("user_module")
def test_link_that_cannot_run_on_symbols_is_explained():
    with pytest.raises(InputError, match="does not run on symbols"):
        derive(resolve("my_estimators:numpy_only"))


def test_atlas_must_name_a_figure(tmp_path):
    with pytest.raises(InputError, match=r"atlas must name a \.png"):
        run(atlas=tmp_path / "atlas.txt")


def test_atlas_is_drawn_with_every_registered_estimator(tmp_path):
    from symtheory import estimators
    from symtheory.figures.atlas import draw
    from symtheory.figures.style import look
    from symtheory.theory.atlas import atlas

    data = atlas()
    assert data.names == estimators.names("two_class")
    assert data.slope.shape == (len(data.names), len(data.P))
    legends = [text.get_text() for ax in draw(data).axes if ax.get_legend() for text in ax.get_legend().get_texts()]
    drawn = {name for text in legends for name in text.split(" = ")}
    assert {look(name)["label"] for name in data.names} <= drawn
    assert run(atlas=tmp_path / "atlas.png") == 0
    assert (tmp_path / "atlas.png").read_bytes().startswith(b"\x89PNG")
