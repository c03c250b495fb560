"""Findings on tables: what is found in the paper's, what in made ones, and the command line."""

import json
import sys

import numpy as np
import pytest

import symtheory.evidence
from symtheory import InputError
from symtheory.cli import main
from symtheory.evidence import evidence, findings, published, read
from symtheory.evidence.difficulty import Mixture, count_kernel, infer_difficulty
from symtheory.evidence.null import null, simulate
from symtheory.evidence.tables import other_papers, read_table

HEADER = "table,model,dataset,method,k,pass_at_k_percent,plus_minus\n"


def table(tmp_path, *lines):
    file = tmp_path / "table.csv"
    file.write_text(HEADER + "\n".join(lines) + "\n")
    return file


def test_identical_and_conflicting_rows_of_the_paper_are_named():
    found = evidence([r for r in published(dataset="AMC23") if r.table in ("table3", "table7")])
    assert any("Positive-Dominant" in " ".join(s["rows"]) and "GRPO" in " ".join(s["rows"]) for s in found["identical"])
    (conflict,) = [c for c in found["conflicting"] if c["method"] == "GRPO"]
    assert (conflict["k"], conflict["values"]) == (1, pytest.approx({"table3": 0.602, "table7": 0.592}))


def test_granularity_finds_the_least_number_of_averaged_runs(tmp_path):
    file = table(
        tmp_path, "t,m,AMC23,one,8,52.5,", "t,m,AMC23,two,8,53.8,", "t,m,AMC23,none,8,53.0,", "t,m,MATH,big,8,53.8,"
    )
    one, two, none, big = (r["granularity"] for r in evidence(read_table(file))["rows"])
    assert (one["distance"], one["runs"]) == (pytest.approx(0, abs=1e-12), 1)
    assert (two["distance"], two["runs"]) == (pytest.approx(0.012), 2)  # 53.75 is printed as 53.8
    assert none["runs"] == 5  # 53.0 is 106/200
    assert big is None


def test_a_sampled_table_is_consistent_and_a_changed_value_is_not(tmp_path):
    ks = [1, 4, 16, 64]
    row = 100 * count_kernel(64, ks)[np.random.default_rng(0).integers(0, 65, 40)].mean(0)
    lines = [f"t,m,d,right,{k},{v:.1f}," for k, v in zip(ks, row, strict=True)]
    lines += [f"t,m,d,changed,{k},{v - 20 * (k == 4):.1f}," for k, v in zip(ks, row, strict=True)]
    right, changed = evidence(read_table(table(tmp_path, *lines)))["rows"]
    assert right["within_rounding"]
    assert not changed["within_rounding"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("t,m,d,x,1.5,50,", r"table.csv:2: k must be a whole number"),
        ("t,m,d,x,1,150,", r"table.csv:2: pass_at_k_percent must be a number from 0 to 100, got '150'"),
        ("t,m,d,x,1,nan,", "pass_at_k_percent"),
        ("t,m,d,x,1", "pass_at_k_percent must be a number from 0 to 100, got ''"),
        ("t,m,d,x,1,50,\nt,m,d,x,1,51,", r"table.csv:3: k = 1 comes twice"),
        ("", "at least one row"),
    ],
)
def test_bad_tables_name_file_and_line(tmp_path, line, message):
    with pytest.raises(InputError, match=message):
        read_table(table(tmp_path, line))


def test_a_file_of_other_columns_or_bytes_is_refused(tmp_path):
    (tmp_path / "a.csv").write_text("x,y\n1,2\n")
    (tmp_path / "b.csv").write_bytes(bytes(range(256)))
    with pytest.raises(InputError, match="its columns are 'x', 'y'"):
        read_table(tmp_path / "a.csv")
    with pytest.raises(InputError, match="UTF-8"):
        read_table(tmp_path / "b.csv")


def test_the_command_reports_the_paper_by_default(monkeypatch, capsys, paper):
    def of_the_paper(rows, samples, rounding, questions, base):
        assert len(rows) == len(published())
        assert (samples, rounding, questions, base) == (None, None, {}, None)
        return paper

    monkeypatch.setattr(symtheory.evidence, "evidence", of_the_paper)
    monkeypatch.setattr(sys, "argv", ["symtheory", "evidence"])
    with pytest.raises(SystemExit) as stop:
        main()
    text = capsys.readouterr().out
    assert stop.value.code in (0, None)
    assert "43 of 87 rows" in text
    assert "(+0." in text  # success moved from the base model to the others
    assert "Positive-Dominant" in text


def test_the_command_gives_json_and_one_line_for_a_bad_table(tmp_path, monkeypatch, capsys):
    file = table(tmp_path, "t,m,AMC23,one,1,50,", "t,m,AMC23,one,2,40,")
    results = []
    for path in (file, tmp_path / "none.csv", table(tmp_path / "..", "t,m,d,x,1,500,")):
        monkeypatch.setattr(sys, "argv", ["symtheory", "evidence", str(path), "--format", "json"])
        with pytest.raises(SystemExit) as stop:
            main()
        results.append((stop.value.code, *capsys.readouterr()))
    assert json.loads(results[0][1])["farthest"]["distance"] == pytest.approx(0.05, abs=1e-7)
    assert [r[0] for r in results] == [0, 2, 2]
    assert "table must be a file with a pass@k table, got" in results[1][2]
    assert results[1][2].endswith("none.csv': no such file\n")
    assert "from 0 to 100, got '500'" in results[2][2]


WIDE = "method,pass@1,pass@2,pass@4\nBase,10.0,20.0,30.0\nRL,30.0,32.0,33.0\n"


def test_options_that_name_nothing_in_the_table_are_refused(tmp_path):
    rows = read_table(table(tmp_path, "t,m,AMC23,Base,1,50,", "t,m,AMC23,Base,2,60,"))
    with pytest.raises(InputError, match=r"no method in the table for base 'Bas'\. Did you mean 'Base'"):
        evidence(rows, base="Bas")
    with pytest.raises(InputError, match=r"no benchmark in the table for questions 'AMC24'\. Did you mean 'AMC23'"):
        evidence(rows, questions={"AMC24": 40})


def test_the_base_is_found_by_its_name_and_success_is_transported_from_it(tmp_path):
    (tmp_path / "w.csv").write_text(WIDE)
    found = evidence(read_table(tmp_path / "w.csv"))
    assert found["base"] == "Base"
    base, trained = found["rows"]
    assert base["transport"] is None
    assert {p["quantile"]: p["trained"] for p in trained["transport"]}[0.5] == trained["difficulty"]["quantiles"]["0.5"]


def test_a_number_of_questions_reaches_a_table_without_a_name(tmp_path):
    (tmp_path / "w.csv").write_text(WIDE)
    found = evidence(read_table(tmp_path / "w.csv"), questions={"any": 30})
    assert [r["granularity"]["questions"] for r in found["rows"]] == [30, 30]


def test_values_that_are_all_multiples_of_one_question_are_said_to_be(tmp_path):
    """Single draws of k give them; the estimator of the same questions does not."""
    rng, ks = np.random.default_rng(0), np.array([1, 2, 4, 8, 16])
    p = rng.beta(0.5, 1, 40)
    lines = []
    for method, protocol in (("draws", "own draws"), ("estimator", "one set")):
        values = 100 * simulate(rng, protocol, p, ks, 16)
        lines += [f"t,m,AMC23,{method},{k},{v:.2f}," for k, v in zip(ks, values, strict=True)]
    draws, estimator = evidence(read_table(table(tmp_path, *lines)))["rows"]
    assert draws["single_draws"]["questions"] == 40
    assert draws["single_draws"]["chance"] < 1e-6
    assert estimator["single_draws"] is None


def test_rows_of_other_protocols_lie_outside_and_those_of_one_set_never(tmp_path):
    rows = published(table="table3", dataset="AIME 2025")[:3]
    found = {p["protocol"]: p for p in null(rows, 4, seed=1)}
    assert found["one set"]["beyond_rounding"] == 0
    assert found["own draws"]["beyond_rounding"] > 0.9
    assert found["own samples"]["median"] < found["own draws"]["median"]
    assert found["one set"]["simulated"] == 12


@pytest.mark.parametrize("n", [256, 700])
def test_more_samples_the_plug_in_and_averages_over_runs_are_sets_of_samples(n):
    rng, ks = np.random.default_rng(2), np.array([1, 4, 16, 64, 256])
    p = rng.beta(0.5, 1, 50)
    more = simulate(rng, "one set", p, ks, n)
    counts = rng.binomial(300, p)
    plug_in = (1 - (1 - counts[:, None] / 300) ** ks).mean(0)
    for values in (more, plug_in, (more + plug_in) / 2):
        assert infer_difficulty(ks, values, 256).distance < 1e-6


def test_the_best_of_two_checkpoints_for_each_k_can_leave_every_set_of_samples():
    """Six in ten questions solved always, and all of them solved half the time, cross between k = 1 and k = 2."""
    ks, sure, coin = np.array([1, 2, 4]), np.array([0.6, 0.6, 0.6]), np.array([0.5, 0.75, 0.9375])
    assert infer_difficulty(ks, sure, 4).distance < 1e-7
    assert infer_difficulty(ks, coin, 4096).distance < 1e-3
    assert infer_difficulty(ks, np.maximum(sure, coin), 64).distance > 0.01


def test_tables_of_other_papers_are_sixteen_and_their_verdict_is_known(monkeypatch):
    plain = Mixture(np.array([0.5]), np.array([1.0]), 0.0)
    monkeypatch.setattr(findings, "infer_success", lambda ks, values: plain)  # the verdict does not use it
    rows = other_papers()
    found = evidence(rows)
    papers = {row.table for row in rows if not row.table.startswith("report")}
    assert len(papers) == 16
    outside = {r["table"] for r in found["rows"] if r["distance"] is not None and not r["within_rounding"]}
    assert (found["tested"], found["beyond_rounding"], outside) == (78, 3, {"report: MathGPT"})


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("method,pass@1,pass@2\nB,61.39,73.41\n", [61.39, 73.41]),
        ("Method\tPass@1 (%)\tPass@2 (%)\nB\t61.39\t73.41\n", [61.39, 73.41]),
        ("method;pass@1;pass@2\nB;61,39;73,41\n", [61.39, 73.41]),
        ("| Model | pass@1 | pass@2 |\n|---|---:|---:|\n| **B** | 61.39% | **73.41%** |\n", [61.39, 73.41]),
        ("# T\n\nA, b.\n\n|Model|avg@2|pass@1|pass@2|\n|-|-|-|-|\n|B|3|61.39|73.41|\n", [61.39, 73.41]),
        ("Method & P@1 & P@2 \\\\ \\midrule\nB & 61.39$_{\\pm 0.2}$ & \\textbf{73.41} \\\\\n", [61.39, 73.41]),
        ("method,k,pass_at_k_percent\nB,pass@1,61.39%\nB,pass@2,73.41%\n", [61.39, 73.41]),
        ("benchmark,algorithm,k,value\nM,B,1,61.39\nM,B,2,73.41 ± 0.1\n", [61.39, 73.41]),
        ("k,B\n1,61.39\n2,73.41\n", [61.39, 73.41]),
        ("method,k=1,k=2\nB,61.39,73.41\n", [61.39, 73.41]),
        ("method,1,2\nB,61.39,73.41\n", [61.39, 73.41]),
        ("method,pass@1,pass@2\nB,0.6139,0.7341\n", [61.39, 73.41]),
    ],
)  # fmt: skip
def test_tables_are_read_in_the_shapes_that_papers_print(tmp_path, text, values):
    (tmp_path / "t.txt").write_text(text)
    (row,) = read_table(tmp_path / "t.txt")
    assert row.method == "B"
    assert row.ks.tolist() == [1, 2]
    assert (100 * row.values).tolist() == pytest.approx(values)
    assert row.rounding == pytest.approx(0.00005)


def test_benchmarks_come_from_the_header_or_from_a_heading(tmp_path):
    (tmp_path / "h.csv").write_text("method,AIME24 pass@1,AIME24 pass@8,MATH pass@1\nB,10.1,30.2,\nC,12.1,-,60.0\n")
    assert [(r.dataset, r.method, r.ks.tolist()) for r in read_table(tmp_path / "h.csv")] == [
        ("AIME24", "B", [1, 8]),
        ("AIME24", "C", [1]),
        ("MATH", "C", [1]),
    ]
    (tmp_path / "m.md").write_text("|m|pass@1|pass@8|\n|-|-|-|\n|AIME24|||\n|B|1|2|\n|MATH|||\n|B|3|4|\n")
    assert [r.dataset for r in read_table(tmp_path / "m.md")] == ["AIME24", "MATH"]


def test_fractions_are_recognised_with_a_word_or_asked_about(tmp_path):
    (tmp_path / "f.csv").write_text("method,pass@1,pass@2\nB,0.61,0.73\n")
    assert "read as fractions: 0.61 is 61%" in read(tmp_path / "f.csv").notes[0]
    assert read_table(tmp_path / "f.csv", "percent")[0].values.tolist() == pytest.approx([0.0061, 0.0073])
    (tmp_path / "p.csv").write_text("dataset,method,k,pass_at_k_percent\nM,B,1,0.61\nM,B,2,0.73\n")
    with pytest.raises(InputError, match=r"say --unit fraction if 0\.61 means 61%"):
        read(tmp_path / "p.csv")
    assert read_table(tmp_path / "p.csv", "fraction")[0].values.tolist() == pytest.approx([0.61, 0.73])
    (tmp_path / "r.csv").write_text("method,pass@1,pass@2\nB,61,73\nC,0.61,0.73\n")
    assert "all values of C are at most 1" in read(tmp_path / "r.csv").notes[0]
    (tmp_path / "x.csv").write_text("method,pass@1,pass@2\nB,61%,0.73\n")
    with pytest.raises(InputError, match="mixes values with a percent sign"):
        read(tmp_path / "x.csv")
