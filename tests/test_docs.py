"""The documentation is true: its code runs and prints what it says, its links lead somewhere, and it builds offline."""

import contextlib
import functools
import graphlib
import io
import itertools
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import pytest

from symtheory.cli import main

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"```(python|console)\n(.*?)```(?:\n\n```text\n(.*?)```)?", re.DOTALL)
GENERATED = re.compile(
    r"^(?:api/.*|theory/.*|commands|claims|cite|contributing|figures/.*)\.md$|^symmetry-plane\.html$|^paper\.html$"
)
"""Pages that docs/hooks.py writes while the site is built; `mkdocs build --strict` follows links to them."""


RUN = ("tutorial", "regimes", "index", "questions", "which", "sharp-bits", "interference")
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


def test_blocks_about_trainers_that_need_no_trainer_run():
    pytest.importorskip("torch")
    own = [
        code for kind, code, _ in blocks("trainers") if kind == "python" and not re.search("trl|tunix|Trainer", code)
    ]
    assert len(own) == 2
    namespace = {}
    assert run_python(own[0], namespace).startswith("tensor([[")
    run_python(own[1], namespace)
    assert namespace["symtheory"].advantages([[1.0, 0, 0, 0]], namespace["clipped"]).shape == (1, 4)


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

    pages = hooks.theory_pages({})
    claims = load_claims()
    assert {*THEOREMS, *FAMILIES} == {p[7:-3] for p in pages if not p.startswith(("theory/claim-", "theory/index"))}
    picture = pages["theory/index.md"]
    for claim in claims:
        assert f'href="claim-{claim.id}.html"' in picture
        for id in claim.proof + claim.refuted_by:
            assert f"]({id.partition(':')[0]}.md)" in pages[f"theory/claim-{claim.id}.md"]
            assert f"claim-{claim.id}.md" in pages[f"theory/{id.partition(':')[0]}.md"]


def test_every_theorem_is_drawn_and_none_uses_itself(hooks):
    from symtheory.claims.ledger import committed_figures

    uses, figures = hooks.graph.declared()["uses"], hooks.graph.declared()["figures"]
    pages = hooks.theory_pages({})
    known = {p[7:-3] for p in pages if not p.startswith(("theory/claim-", "theory/index"))}
    assert {*uses, *itertools.chain(*uses.values()), *figures} <= known
    assert set(figures.values()) <= set(committed_figures())
    list(graphlib.TopologicalSorter(uses).static_order())  # raises on a circle
    drawn = hooks.graph.draw_theorems(dict.fromkeys(known, "exact"))
    for id in known:
        assert drawn.count(f'href="{id}.html"') == 1, id
    assert drawn.count("<path") == sum(map(len, uses.values()))
    assert "[entanglement](entanglement.md)" in pages["theory/master_theorem.md"]
    assert "[master_theorem](master_theorem.md)" in pages["theory/entanglement.md"]


def test_a_theorems_page_shows_the_certificate_that_is_re_checked(hooks):
    from symtheory.theory.proofs import record
    from symtheory.theory.theorems import find

    theorem = find("magnitude_bound")
    page = hooks.theory_pages({theorem.id: record(theorem, theorem.derive())})["theory/magnitude_bound.md"]
    assert "(2*f**3*k**2)/((f*k)**1*(f)**1)\n  = (f**2 + k**2)" in page


def test_the_article_on_the_site_is_the_articles(hooks):
    text = hooks.article.plain(ROOT / "paper")
    assert not re.findall(r"\\(?:val|cmd|prove|gentable|resultfigure|setval|input)\b", text)
    assert "pandoc" in hooks.article.page(ROOT / "paper") or "<math" in hooks.article.page(ROOT / "paper")


def test_the_citation_names_the_authors_of_the_paper(hooks):
    assert "Yu, Z. and Chen, Z. and Liu, M. and Zhang, H. and Qu, L." in hooks.cite_page()


def test_a_page_that_the_navigation_does_not_name_becomes_a_how_to(hooks):
    class Config:
        nav = [{"Home": "index.md"}, {"How to": ["how-to.md"]}]  # noqa: RUF012

    (section,) = (part["How to"] for part in hooks.on_config(Config()).nav if "How to" in part)
    assert section[0] == "how-to.md"
    assert "scale.md" in section


def test_a_folder_becomes_the_branch_pages_of_a_remote_and_nothing_else_changes(tmp_path, monkeypatch):
    for name in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{name}_NAME", "a")
        monkeypatch.setenv(f"GIT_{name}_EMAIL", "a@localhost")

    def git(*arguments, cwd=tmp_path / "repository"):
        return subprocess.run(["git", *arguments], cwd=cwd, check=True, capture_output=True, text=True).stdout

    (tmp_path / "repository" / "docs").mkdir(parents=True)
    shutil.copy(ROOT / "docs" / "push.sh", tmp_path / "repository" / "docs")
    git("init", "-q", "--bare", str(tmp_path / "remote"), cwd=tmp_path)
    git("init", "-q")
    git("add", "-A")
    git("commit", "-qm", "sources")
    site = tmp_path / "site"
    for words in ("old", "new"):
        (site / "_assets").mkdir(parents=True, exist_ok=True)
        (site / "_assets" / f"{words}.html").write_text(words)
        subprocess.run(["bash", "docs/push.sh", site, tmp_path / "remote"], cwd=tmp_path / "repository", check=True)
        (site / "_assets" / "old.html").unlink(missing_ok=True)
    remote = {"cwd": tmp_path / "remote"}
    assert git("ls-tree", "-r", "--name-only", "pages", **remote).split() == [".nojekyll", "_assets/new.html"]
    assert git("rev-list", "--count", "pages", **remote).strip() == "1"
    assert git("status", "--porcelain") == ""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site, built in strict mode."""
    pytest.importorskip("mkdocs")
    folder = tmp_path_factory.mktemp("built") / "site"
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-q", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return folder


QUESTIONS = {
    "Which estimator for my run?": "start with GRPO or Dr.GRPO",
    "Is mine symmetric?": "check_estimator(mine",
    "Why did pass@256 fall?": "A fall needs something that these assumptions exclude",
    "What is omega?": "mean reward of all rollouts of a batch",
    "How do I cite it?": "@software{symtheory",
}


@pytest.mark.slow
@pytest.mark.parametrize(("width", "scheme"), [(1300, "light"), (390, "dark")])
def test_a_newcomers_questions_are_answered_one_click_from_the_first_screen(site, chromium, width, scheme):
    page = chromium.new_page(viewport={"width": width, "height": 844}, color_scheme=scheme)
    outside = []
    page.on("request", lambda r: outside.append(r.url) if not r.url.startswith(("file:", "data:", "blob:")) else None)
    for question, answer in QUESTIONS.items():
        page.goto((site / "index.html").as_uri())
        link = page.locator("article").get_by_role("link", name=question, exact=True)
        assert link.bounding_box()["y"] < 844, "not on the first screen"
        link.click()
        page.locator("article").get_by_text(answer).first.wait_for(timeout=20_000)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, question
    assert not outside


@pytest.mark.slow
def test_site_builds_without_a_warning_loads_nothing_and_every_link_leads_somewhere(site):
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


def test_every_verdict_has_a_mark_of_its_own_in_the_graph(hooks):
    from symtheory.claims.judge import VERDICTS

    for verdict in (*VERDICTS, "exact", "holds when", "fails", "not established"):
        assert hooks.graph.kind(verdict) != "other", verdict
    assert hooks.graph.kind("supported where testable") == "supported"
    assert hooks.graph.kind("depends on the world") == "other"
