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
    from symtheory.claims.ledger import committed_figures, load_claims, load_findings
    from symtheory.claims.report import experiments_table

    findings = load_findings()
    judged = [claim for claim in load_claims() if claim.id in findings]
    rows = experiments_table(judged, findings, committed_figures()).splitlines()[2:]
    assert len(rows) == len(judged) > 10
    for row, claim in zip(rows, judged, strict=True):
        paths = re.findall(r"\]\((.*?)\)", row)
        assert paths, claim.id
        captions = [(README.parent / path).read_text() for path in paths]
        assert any("**" in caption for caption in captions), "no caption tells the readings"


def test_links_of_a_verdict_are_the_captions_of_its_figure_and_of_the_transformer():
    from symtheory.claims.ledger import load_claims
    from symtheory.claims.report import experiments_table

    captions = ("full-tree/fig2", "full/fig2", "full/fig3", "replay/one-step-full", "replay/training-full")
    claims = [c for c in load_claims() if c.id == "fig2_grpo_below_base"]
    row = experiments_table(claims, {}, captions).splitlines()[2]
    assert re.findall(r"\[(.*?)\]\((.*?)\)", row) == [
        ("tree", "figures/full-tree/fig2.md"),
        ("fig2", "figures/full/fig2.md"),
        ("transformer", "figures/replay/training-full.md"),
    ]


def test_the_numbers_of_the_law_are_those_of_its_figure():
    table = (README.parent / "figures/interference/test.md").read_text()
    rows = re.findall(r"^\| (\w+) \| ([\w ]+) \| (.*) \|$", table, re.MULTILINE)
    cells = {(group, predictor): rest.split(" | ") for group, predictor, rest in rows}

    def right(predictor, column):
        share, count = re.match(r"([\d.]+) \[.*\] of (\d+)", cells["all", predictor][column]).groups()
        return round(float(share) * int(count)), int(count)

    def explained(group):
        return [round(100 * float(x)) for x in re.findall(r"-?[\d.]+", cells[group, "mean field"][3])]

    (orders, of), (levels, of_levels) = right("mean field", 0), right("mean field", 1)
    text = " ".join(README.read_text().split())
    for sentence in (
        f"right in {orders} of {of} cases",
        f"its base in {levels} of {of_levels};",
        f"base policy alone in {right('base kernel', 0)[0]} and {right('base kernel', 1)[0]}.",
        "{}% (bandit), {}% (tree) and {}% [{}, {}] (transformer)".format(
            explained("bandit")[0], explained("tree")[0], *explained("transformer")
        ),
    ):
        assert sentence in text


def test_the_angles_are_those_of_their_caption():
    caption = (README.parent / "figures/interference/angle.md").read_text()
    numbers = re.findall(r"from (?P<law>[\d.]+) degrees on[^.]*, in the runs from (?P<runs>[\d.]+)\.", caption)
    (turn, turned), (fall, fell) = [[round(float(x)) for x in pair] for pair in numbers]
    text = " ".join(README.read_text().split())
    assert f"hard focus keeps more from {turn} degrees on, and GRPO ends below its own base policy from {fall}" in text
    assert f"In sampled training these angles are {turned} and {fell}" in text
