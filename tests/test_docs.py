"""The documentation is true: its code runs and prints what it says, its links lead somewhere, and it builds offline."""

import contextlib
import functools
import io
import re
import shlex
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import pytest

from symtheory.cli import main

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"```(python|console)\n(.*?)```(?:\n\n```text\n(.*?)```)?", re.DOTALL)
GENERATED = re.compile(
    r"^(?:api/.*|theory/.*|commands|claims|cite|contributing|figures/.*)\.md$|^symmetry-plane\.html$"
)
"""Pages that docs/hooks.py writes while the site is built; `mkdocs build --strict` follows links to them."""


RUN = ("tutorial", "index", "questions", "which", "sharp-bits")
"""Pages every block of which runs, and prints what stands below it."""


def blocks(page):
    return BLOCK.findall((ROOT / "docs" / f"{page}.md").read_text())


def run_python(code, namespace):
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, "a page of docs/", "exec"), namespace)
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


@pytest.mark.parametrize("page", RUN)
def test_a_page_prints_what_it_says(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    namespace = {}
    assert blocks(page)
    for kind, code, expected in blocks(page):
        assert (
            run_python(code, namespace) if kind == "python" else run_command(code.strip(), monkeypatch)
        ) == expected, code


@pytest.mark.parametrize("page", [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("paper/**/*.md")], ids=str)
def test_relative_links_lead_to_a_file(page):
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text()):
        if not target.startswith(("http://", "https://", "mailto:")) and not GENERATED.match(target):
            assert (page.parent / target).exists(), target


def shell_lines(text):
    """Commands of bash blocks, continued lines joined, and commands in the midst of a sentence."""
    code = "\n".join(re.findall(r"```bash\n(.*?)```", text, re.DOTALL)).replace("\\\n", " ")
    lines = [line.strip() for line in code.splitlines()]
    inline = re.findall(r"`(symtheory [^`]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    inline = [line if line.count(" ") > 1 else f"{line} --help" for line in inline]  # the name of a command
    return [line for line in lines + inline if line.startswith("symtheory ")]


@pytest.mark.parametrize("page", sorted(ROOT.glob("docs/*.md")), ids=lambda p: p.stem)
def test_every_command_on_a_page_has_arguments_that_the_command_takes(page, parse):
    for line in shell_lines(page.read_text()):
        parse(line)


def test_a_command_with_an_argument_that_does_not_exist_is_noticed(parse):
    assert shell_lines("Run `symtheory plane --pionts 3`.") == ["symtheory plane --pionts 3"]
    with pytest.raises(AssertionError):
        parse("symtheory plane --pionts 3")


@pytest.fixture
def parse(monkeypatch, capsys):
    """Let the command line read a line of shell, with commands that do nothing."""
    from symtheory import cli

    def idle(run):
        return functools.wraps(run)(lambda *args, **options: None)

    found = cli.commands()
    monkeypatch.setattr(cli, "commands", lambda: {name: idle(run) for name, run in found.items()})

    def read(line):
        words = shlex.split(line, comments=True)
        monkeypatch.setattr(sys, "argv", words[: words.index(">")] if ">" in words else words)
        with pytest.raises(SystemExit) as stop:
            cli.main()
        assert not stop.value.code, f"{line}: {capsys.readouterr().err}"

    return read


@pytest.fixture
def hooks(monkeypatch):
    pytest.importorskip("mkdocs")
    monkeypatch.syspath_prepend(ROOT / "docs")
    import hooks

    return hooks


def test_every_public_name_and_command_has_a_page(hooks):
    from symtheory.cli import commands

    pages = hooks.api_pages()
    assert "::: symtheory.estimators.base.advantages\n" in pages["api/estimators.md"]
    assert {f"api/{name.rpartition('.')[2]}.md" for name in hooks.public_names()} < set(pages)
    assert re.findall(r"^## symtheory (\S+)$", hooks.commands_page(), re.MULTILINE) == sorted(commands())


def test_every_theorem_and_every_claim_is_a_page_and_what_rests_on_it_is_linked(hooks):
    from symtheory.claims.ledger import load_claims
    from symtheory.theory.proofs import FAMILIES, THEOREMS

    pages = hooks.theory_pages()
    claims = load_claims()
    assert {*THEOREMS, *FAMILIES} == {p[7:-3] for p in pages if not p.startswith(("theory/claim-", "theory/index"))}
    picture = pages["theory/index.md"]
    for claim in claims:
        assert f'href="claim-{claim.id}.html"' in picture
        for id in claim.proof + claim.refuted_by:
            assert f"]({id.partition(':')[0]}.md)" in pages[f"theory/claim-{claim.id}.md"]
            assert f"claim-{claim.id}.md" in pages[f"theory/{id.partition(':')[0]}.md"]


def test_the_citation_names_the_authors_of_the_paper(hooks):
    assert "Yu, Z. and Chen, Z. and Liu, M. and Zhang, H. and Qu, L." in hooks.cite_page()


def test_a_page_that_the_navigation_does_not_name_becomes_a_how_to(hooks):
    class Config:
        nav = [{"Home": "index.md"}, {"How to": ["how-to.md"]}]  # noqa: RUF012

    (section,) = (part["How to"] for part in hooks.on_config(Config()).nav if "How to" in part)
    assert section[0] == "how-to.md"
    assert "scale.md" in section


@pytest.mark.slow
def test_site_builds_without_a_warning_loads_nothing_and_every_link_leads_somewhere(tmp_path):
    pytest.importorskip("mkdocs")
    site = tmp_path / "site"
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-q", "-d", str(site)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    pages = [p for p in site.rglob("*.html") if p.name != "404.html"]
    assert site / "api" / "estimators.html" in pages
    anchors = {p: set(re.findall(r'\s(?:id|name)="?([^"\s>]+)', p.read_text())) for p in pages}
    for page in pages:
        text = page.read_text()
        loaded = re.findall(r'<(?:script|img|iframe)[^>]*\ssrc="([^"]+)|<link[^>]*\shref="([^"]+)', text)
        assert not [a or b for a, b in loaded if (a or b).startswith(("http", "//"))], page
        for target in re.findall(r'<(?:a|img|iframe)\s[^>]*?(?:href|src)="([^"]*)"', text.partition("<script>\n")[0]):
            if not re.match(r"https?:|mailto:|data:", target):
                path, _, anchor = target.partition("#")
                found = (page.parent / unquote(path)).resolve() if path else page
                assert found.is_file(), f"{page.name}: {target}"
                assert not anchor or "=" in anchor or unquote(anchor) in anchors[found] or anchor.startswith("__"), (
                    target
                )
