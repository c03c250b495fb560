"""What the README shows is what happens."""

import contextlib
import io
import re
import sys
from pathlib import Path

import pytest

from symtheory.cli import main

README = Path(__file__).parent.parent / "README.md"


def test_the_first_example_prints_what_the_readme_says():
    blocks = re.findall(r"```(\w*)\n(.*?)```", README.read_text(), re.DOTALL)
    (kind, code), (plain, output) = blocks[:2]
    assert (kind, plain) == ("python", "")
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, "README.md", "exec"), {})
    assert printed.getvalue() == output


def test_every_picture_the_readme_shows_is_in_the_repository():
    pictures = re.findall(r"!\[.*?\]\((.*?)\)", README.read_text())
    assert pictures
    for picture in pictures:
        assert (README.parent / picture).is_file(), picture


def test_every_generated_table_is_the_one_that_its_command_prints(capsys, monkeypatch):
    blocks = re.findall(r"<!-- (\w+): (symtheory [^>]*) -->\n(.*?)\n<!-- \1: \2 -->", README.read_text(), re.DOTALL)
    assert "verdicts" in {name for name, _, _ in blocks}
    for _, command, shown in blocks:
        monkeypatch.setattr(sys, "argv", command.split())
        with pytest.raises(SystemExit) as stop:
            main()
        assert stop.value.code == 0
        assert capsys.readouterr().out.strip() == shown.strip(), command


def test_every_verdict_says_where_to_see_it():
    from symtheory.theory.ledger import load_claims, load_findings
    from symtheory.theory.report import experiments_table

    rows = experiments_table(load_claims(), load_findings()).splitlines()[2:]
    assert len(rows) == sum(bool(claim.experiment) for claim in load_claims())
    for row in rows:
        name, path = re.search(r"\[(\w+)\]\((.*?)\) \|$", row).groups()
        caption = (README.parent / path).read_text()
        assert f"--only {name}`" in caption
