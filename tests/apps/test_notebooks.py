"""Notebooks as scripts and as HTML, the command that serves them, and the wheel that carries them."""

import importlib.util
import re
import shutil
import subprocess
import sys

import pytest

from symtheory import paths

NOTEBOOKS = sorted(paths.notebooks().glob("*.py"))
pytest.importorskip("marimo", reason="the extra `explore` is not installed")


def symtheory(*arguments, **options):
    return subprocess.run([sys.executable, "-m", "symtheory", *arguments], capture_output=True, text=True, **options)


def test_the_command_offers_every_notebook():
    from typing import get_args

    from symtheory.cli.explore import Name

    assert set(get_args(Name)) == {"index", *(path.stem for path in NOTEBOOKS)}


SLOW = ("difficulty", "estimator", "plane")
"""Notebooks that compile for some seconds."""


@pytest.mark.parametrize(
    "path", [pytest.param(p, marks=[pytest.mark.slow] * (p.stem in SLOW), id=p.stem) for p in NOTEBOOKS]
)
def test_a_notebook_runs_as_a_script_and_measures_itself(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where there is no replay to open
    spec = importlib.util.spec_from_file_location(f"notebook_{path.stem}", path)
    notebook = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(notebook)
    outputs, defined = notebook.app.run()
    if path.stem == "replay":
        assert defined["result"] is None
    else:
        assert 0 < defined["seconds"] < 10
        assert any("svg" in str(getattr(o, "text", "")) for o in outputs)


@pytest.mark.slow
def test_a_notebook_exports_to_html_with_its_charts(tmp_path):
    for name in ("one_step.py", "explore.css"):  # marimo keeps a session beside what it exports
        shutil.copy(paths.notebooks() / name, tmp_path)
    path = tmp_path / "one_step.py"
    command = [
        sys.executable,
        "-m",
        "marimo",
        "export",
        "html",
        str(path),
        "-o",
        str(tmp_path / "page.html"),
        "--no-sandbox",
    ]
    exported = subprocess.run(command, capture_output=True, text=True)
    assert exported.returncode == 0, exported.stderr
    page = (tmp_path / "page.html").read_text()
    assert page.count("advantage of each rollout") >= 1
    assert "Traceback" not in page


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["plane", "--port", "0"], "port must be between 1 and 65535, got 0"), (["plan"], "plane")],
)
def test_bad_arguments_end_in_a_sentence(arguments, message):
    run = symtheory("explore", *arguments)
    assert run.returncode == 2
    assert message in run.stderr + run.stdout
    assert "Traceback" not in run.stderr


def test_without_marimo_the_command_says_what_to_install(tmp_path):
    code = "import sys; sys.modules['marimo'] = None; sys.argv = ['symtheory', 'explore']; from symtheory import cli"
    code += "; cli.main()"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode == 2
    assert run.stderr == 'symtheory: explore needs marimo; install it with: pip install "symtheory[explore]"\n'


def test_the_wheel_is_told_to_carry_the_notebooks():
    import tomllib

    project = paths.notebooks().parent / "pyproject.toml"
    included = tomllib.loads(project.read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    assert included["notebooks"] == "symtheory/notebooks"


def test_every_app_says_what_to_try_and_shows_its_latency():
    for path in NOTEBOOKS:
        text = path.read_text()
        assert re.search(r"\*\*Try this\.\*\*|^    1\. ", text, re.MULTILINE), path.name
        assert "Slider to picture" in text, path.name
