"""The article in `paper/` is current, asks only for what exists, and types no result by hand."""

import re
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from paper.tools import build, source
from paper.tools.results import load
from paper.tools.tables import TABLES
from paper.tools.tex import prose
from paper.tools.values import values
from symtheory import InputError, paths
from symtheory.claims import ours
from symtheory.claims.ledger import WORLDS
from symtheory.cli import commands, main
from symtheory.theory.proofs import check
from symtheory.theory.theorems import find, theorems

REPOSITORY = Path(__file__).parents[2]
PAPER = REPOSITORY / "paper"


@pytest.fixture(scope="module")
def results():
    return load(REPOSITORY)


@pytest.fixture(scope="module")
def files(results):
    return build.inputs(source.read(PAPER), results)


def test_article_is_current_and_honest(files):
    assert build.complaints(PAPER, files) == []


def test_a_changed_verdict_makes_the_committed_inputs_stale(results, files):
    claim, (first, *rest) = next((id, fs) for id, fs in results.findings.items() if id == "fig2_grpo_below_base")
    other = "supported" if first.verdict != "supported" else "reversed"
    cells = {reading: replace(cell, verdict=other) for reading, cell in first.cells.items()}
    changed = replace(results, findings={**results.findings, claim: (replace(first, cells=cells), *rest)})
    vars(changed).update({name: value for name, value in vars(results).items() if name not in vars(changed)})  # seconds
    complaints = build.complaints(PAPER, build.inputs(source.read(PAPER), changed))
    assert any("verdicts.tex is stale" in c for c in complaints)
    assert any("values.tex is stale" in c for c in complaints)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (r"\val{bandit.fig2_grpo_below_bas}", "no value .*Did you mean"),
        (r"\val{no {such} key}", "no value"),
        (r"\gentable{verdict}", "no table 'verdict'. Did you mean 'verdicts'"),
        (r"\resultfigure{full/fig22}{A}", "no figure"),
        (r"\prove{master_theorm}", "no theorem or claim .*'master_theorem'"),
    ],
)
def test_asking_for_what_no_result_gives_is_an_error(results, text, message):
    with pytest.raises(InputError, match=message):
        build.inputs({"main.tex": text}, results)


def test_only_what_is_asked_for_is_written(results):
    files = build.inputs({"main.tex": r"\val{theorems}, \val{theorems} \gentable{farthest}"}, results)
    assert set(files) == {"values.tex", "farthest.tex"}
    assert re.findall(r"\\setval\{(.*?)\}", files["values.tex"]) == ["theorems"]


def test_generated_file_that_nothing_asks_for_is_a_complaint(tmp_path):
    (tmp_path / "generated").mkdir()
    (tmp_path / "main.tex").write_text("No numbers.")
    (tmp_path / "generated" / "old.tex").write_text("1")
    (tmp_path / "generated" / "values.tex").write_text("a")
    assert build.complaints(tmp_path, {"values.tex": "b"}) == [
        "generated/old.tex is asked for by no source",
        "generated/values.tex is stale: - a",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "GRPO gains 13 points.",
        "It wins in $19$ of the seeds.",
        "The effect is $-0.0035$.",
        r"a share of 43\% of rows",
        "Nineteen of twenty seeds agree.",
        "forty-three rows",
        r"\emph{It falls by 2.5 points}",
        "at $P = 0.95$",
        r"$\tfrac{13}{500}$",
        "\\begin{equation}x = 0.5\\end{equation}",
        "Table~3, 43 of the rows",
        r"\section{Gains of 5 points}",
        r"\footnote{It was 7.}",
    ],
)
def test_number_typed_by_hand_is_found(text):
    assert list(source.typed_numbers(text))


@pytest.mark.parametrize(
    "text",
    [
        r"Tables~3,~5,~6~and~7 and Fig.~2, Eq.~(5), pass@256, pass@$k$ at $k = 256$, AIME 2025, Qwen2.5-Math-7B, AMC23",
        r"\val{bandit.found} of \val{claims.empirical} \cmd{symtheory reproduce --only fig2}",
        r"$\sum_i |A_i| = 2G\sqrt{p(1-p)}$, $4 \le G \le 12$, $\gamma = 1/2$",
        r"arXiv:2602.05548, in 2026, B.5, the paper's 7B runs",
        r"\begin{tabular}{L{4.2cm}r} \includegraphics[width=0.9\linewidth]{fig2} \cite{yu2026unveiling}",
        "one prompt, two worlds, three evaluations",
    ],
)
def test_names_references_and_formulas_are_no_results(text):
    assert list(source.typed_numbers(text)) == []


def test_place_of_a_typed_number_is_its_line():
    text = "\\title{1999}\n\\begin{document}\nfine\n\n43 rows\n\\end{document}"
    assert list(source.typed_numbers(text)) == [(5, "43")]


def test_value_without_its_command_is_found():
    assert list(source.without_command("fine\n\nit is \\val{a}\nand more\n\n\\gentable{b} \\cmd{x}")) == [
        (3, "it is \\val{a}\nand more")
    ]


def test_every_command_the_article_names_exists(results):
    known = {*theorems(), *(claim.id for claim in (*results.claims, *ours.targets()))}
    for command in source.asked(source.read(PAPER), "cmd"):
        program, name, *options = command.split()
        assert program == "symtheory"
        assert name in commands(), command
        signature = commands()[name].__doc__ + " ".join(commands()[name].__annotations__)
        for option in (o for o in options if o.startswith("--")):
            assert option[2:].replace("-", "_") in signature.replace("-", "_"), command
        if name == "prove":
            ids = [b for a, b in zip([name, *options], options, strict=False) if not (a + b).count("--")]
            assert set(ids) <= known, command


def test_every_claim_of_the_ledger_reaches_the_article(results):
    text = TABLES["verdicts"](results) + TABLES["claims"](results)
    for claim in results.claims:
        assert prose(claim.paper) in text


def test_effects_table_has_a_row_for_every_verdict(results):
    table = TABLES["effects"](results)
    cells = sum(len(f.cells) for c in results.empirical for f in results.findings.get(c.id, ()) if f.world in WORLDS)
    verdicts = r" & \\(?:supported|reversed|noeffect|inconclusive|nottestable)\{\}"
    assert len(re.findall(verdicts, table)) == cells


def test_saved_theorems_are_all_theorems_with_their_present_statements(results):
    assert set(results.theorems) == set(theorems())
    for id, theorem in theorems().items():
        assert results.theorems[id]["statement"].startswith(theorem.statement)


@pytest.mark.parametrize(
    "id",
    ["group_symmetry", "entanglement", "negative_dominant_can_regress", "zero_sum:nemo_grpo", "undrawn_leaves_stay"],
)
def test_saved_verdict_of_a_theorem_is_the_one_that_its_proof_gives(results, id):
    from symtheory.claims.ledger import theorem_row

    row, saved = theorem_row(check(find(id))), results.theorems[id]
    assert (row.verdict, row.rechecked, dict(row.counterexample)) == (
        saved["verdict"],
        saved["rechecked"],
        saved["counterexample"],
    )


@pytest.mark.slow
def test_every_saved_theorem_is_derived_again(results):
    from symtheory.cli.prove import check_all

    for id, row in check_all(list(theorems())).items():
        saved = results.theorems[id]
        assert (row.verdict, row.rechecked, row.method) == (saved["verdict"], saved["rechecked"], saved["method"])


def test_values_are_balanced_latex(results):
    for key, text in values(results).items():
        assert text.count("$") % 2 == 0, key
        assert text.count("{") - text.count(r"\{") == text.count("}") - text.count(r"\}"), key


def test_bibliography_has_every_cited_work_and_no_other():
    sources = " ".join(source.read(PAPER).values())
    cited = {key.strip() for keys in re.findall(r"\\cite[pt]?\{([^}]*)\}", sources) for key in keys.split(",")}
    assert cited == set(re.findall(r"@\w+\{([^,]+),", (PAPER / "references.bib").read_text()))


def test_every_reference_of_the_article_has_its_label():
    text = " ".join([*source.read(PAPER).values(), *(p.read_text() for p in (PAPER / "generated").glob("*.tex"))])
    labels = set(re.findall(r"\\label\{([^}#]*)\}", text))
    labels |= {f"fig:{name}" for name in re.findall(r"\\resultfigure\{([^}#]*)\}", text)}
    assert set(re.findall(r"\\ref\{([^}]*)\}", text)) <= labels


def run(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["symtheory", "paper", *arguments])
    with pytest.raises(SystemExit) as stop:
        main()
    return stop.value.code


def test_check_of_the_command_line_fails_where_an_input_is_stale(monkeypatch, capsys, tmp_path, files):
    copy = tmp_path / "paper"
    shutil.copytree(PAPER, copy, ignore=shutil.ignore_patterns("*.pdf"))
    shutil.copytree(PAPER.parent / "figures", tmp_path / "figures", ignore=shutil.ignore_patterns("*.png"))
    (copy / "generated" / "values.tex").write_text("old")
    monkeypatch.setattr(paths, "checkout", lambda: tmp_path)
    monkeypatch.setattr(build, "current_inputs", lambda folder: files)
    assert run(monkeypatch, "--check") == 1
    assert "generated/values.tex is stale" in capsys.readouterr().out
    assert (copy / "generated" / "values.tex").read_text() == "old"


def test_without_tex_the_inputs_are_written_and_the_packages_named(monkeypatch, capsys, tmp_path, files):
    copy = tmp_path / "paper"
    shutil.copytree(PAPER, copy, ignore=shutil.ignore_patterns("generated", "*.pdf"))
    shutil.copytree(PAPER.parent / "figures", tmp_path / "figures", ignore=shutil.ignore_patterns("*.png"))
    monkeypatch.setattr(paths, "checkout", lambda: tmp_path)
    monkeypatch.setattr(build, "current_inputs", lambda folder: files)
    monkeypatch.setattr(shutil, "which", lambda program: None)
    assert run(monkeypatch) == 0
    assert "texlive-latex-recommended" in capsys.readouterr().out
    assert {p.name for p in (copy / "generated").iterdir()} == set(files)
    assert not (copy / "main.pdf").exists()


def test_an_installed_package_says_that_it_has_no_article(monkeypatch, capsys):
    monkeypatch.setattr(paths, "checkout", lambda: None)
    assert run(monkeypatch, "--check") == 2
    assert "clone of the repository" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.skipif(not build.has_tex(), reason="LaTeX is not installed")
def test_pdf_has_the_same_bytes_twice():
    first = build.pdf(PAPER)
    assert first.startswith(b"%PDF")
    assert build.pdf(PAPER) == first


def test_verdicts_below_the_committed_pictures_are_those_of_the_effects(results):
    from paper.tools import captions

    assert build.stale_captions(PAPER.parent) == []
    texts = captions.current(PAPER.parent, results)
    assert len(texts) == 20
    for path, text in texts.items():
        assert text.count("**") >= 2, path
