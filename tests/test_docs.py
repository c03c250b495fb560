"""The documentation is true: its code runs and prints what it says, its links lead somewhere, and it builds offline."""

import contextlib
import io
import re
import subprocess
import sys
from pathlib import Path

import pytest

from symtheory.cli import main

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"```(python|console)\n(.*?)```(?:\n\n```text\n(.*?)```)?", re.DOTALL)
GENERATED = re.compile(r"^(?:api/.*|commands|claims|figures/.*)\.md$")
"""Pages that docs/hooks.py writes while the site is built; `mkdocs build --strict` follows links to them."""


def blocks():
    return BLOCK.findall((ROOT / "docs" / "tutorial.md").read_text())


def run_python(code, namespace):
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, "tutorial.md", "exec"), namespace)
    return printed.getvalue()


def run_command(line, monkeypatch):
    monkeypatch.setattr(sys, "argv", line.removeprefix("$ ").split())
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("NO_COLOR", "1")
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 0, line
    return "\n".join(text.rstrip() for text in printed.getvalue().splitlines()) + "\n"


def test_tutorial_prints_what_it_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    namespace = {}
    assert len(blocks()) > 10
    for kind, code, expected in blocks():
        assert (
            run_python(code, namespace) if kind == "python" else run_command(code.strip(), monkeypatch)
        ) == expected, code


@pytest.mark.parametrize("page", [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("paper/**/*.md")], ids=str)
def test_relative_links_lead_to_a_file(page):
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text()):
        if not target.startswith(("http://", "https://", "mailto:")) and not GENERATED.match(target):
            assert (page.parent / target).exists(), target


def test_every_public_module_and_command_has_a_page(monkeypatch):
    pytest.importorskip("mkdocs")
    monkeypatch.syspath_prepend(ROOT / "docs")
    import hooks

    from symtheory.cli import commands

    modules = hooks.public_modules()
    assert {"symtheory", "symtheory.estimators.grpo", "symtheory.audit.check", "symtheory.testing"} <= set(modules)
    assert not any("._" in module for module in modules)
    assert re.findall(r"^## symtheory (\S+)$", hooks.commands_page(), re.MULTILINE) == sorted(commands())


@pytest.mark.slow
def test_site_builds_without_a_warning_and_loads_nothing_from_elsewhere(tmp_path):
    pytest.importorskip("mkdocs")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-q", "-d", str(tmp_path / "site")]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    pages = [*(tmp_path / "site").rglob("*.html")]
    assert (tmp_path / "site" / "api" / "estimators" / "grpo" / "index.html") in pages
    for page in pages:
        loaded = re.findall(r'<(?:script|img|iframe)[^>]*\ssrc="([^"]+)|<link[^>]*\shref="([^"]+)', page.read_text())
        assert not [a or b for a, b in loaded if (a or b).startswith(("http", "//"))], page
