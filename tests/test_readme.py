"""What the README shows is what happens."""

import contextlib
import io
import re
from pathlib import Path

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


def test_the_table_of_verdicts_is_the_one_that_the_command_prints():
    from symtheory.theory.ledger import load_claims, load_findings
    from symtheory.theory.report import experiments_table

    _, shown, _ = README.read_text().split("<!-- verdicts: symtheory prove --experiments -->")
    assert shown.strip() == experiments_table(load_claims(), load_findings())
