"""One test per claim of the paper, whether it agrees or not; and the ledger itself."""

import json
from dataclasses import replace

import numpy as np
import pytest

from symtheory import InputError
from symtheory.claims.ledger import MEASURED, claim_row, load_claims, load_findings, theorem_row
from symtheory.evidence import published
from symtheory.theory.proofs import check
from symtheory.theory.theorems import find, theorems

CLAIMS = load_claims()
PROVED = [c for c in CLAIMS if not c.experiment]
EMPIRICAL = [c for c in CLAIMS if c.experiment]
_rows: dict = {}


def row_of(id):
    """Each theorem is checked once, however many claims cite it."""
    if id not in _rows:
        _rows[id] = theorem_row(check(find(id)))
    return _rows[id]


@pytest.mark.parametrize("claim", PROVED, ids=[c.id for c in PROVED])
def test_claim_verdict_is_derived_again(claim):
    row = claim_row(claim, {id: row_of(id) for id in claim.proof + claim.refuted_by}, {})
    assert row.rechecked, row.method
    assert row.verdict == claim.verdict
    if claim.verdict == "holds when":
        assert claim.when


@pytest.mark.parametrize("claim", EMPIRICAL, ids=[c.id for c in EMPIRICAL])
def test_empirical_claims_stay_open_until_an_experiment_reports(claim):
    assert claim_row(claim, {}, {}).verdict == "open"
    assert claim_row(claim, {}, {}).pending


def test_failing_claims_about_single_groups_carry_exact_counterexamples():
    row = row_of("case_c_of_probabilities")
    assert row.counterexample["pi"] == "(1/4, 1/4, 1/2)"
    assert row_of("released_easy_factor").counterexample["released / paper"] == "2*sqrt(2) + sqrt(7)"


def test_ledger_and_measures_are_about_the_same_claims():
    assert {c.id for c in EMPIRICAL} == set(MEASURED)
    for claim in EMPIRICAL:
        assert claim.margin > 0
        expected = 1.0 if claim.unit == "points" else None
        if claim.published and claim.unit == "points":
            expected = min(1.0, claim.published / 2)
        assert claim.why or claim.margin == pytest.approx(expected), claim.id


@pytest.mark.parametrize(
    ("claim", "tables", "k"),
    [
        ("fig2_grpo_raises_pass1", ("table3", "GRPO", "Base Model"), 1),
        ("fig2_grpo_below_base", ("table3", "Base Model", "GRPO"), 256),
        ("fig2_negative_best_at_256", ("table7", "Negative-Dominant", "GRPO"), 256),
        ("fig2_positive_worst_at_256", ("table7", "GRPO", "Positive-Dominant"), 256),
        ("fig4_easy_leads_on_easy_prompts", ("table7", "Easy-Focused", "Hard-Focused"), 1),
        ("fig4_hard_leads_on_hard_prompts", ("table7", "Hard-Focused", "Easy-Focused"), 1),
        ("table3_agrae_beats_grpo_pass1", ("table3", "GRPO + A-GRAE", "GRPO"), 1),
        ("table3_agrae_beats_grpo_pass256", ("table3", "GRPO + A-GRAE", "GRPO"), 256),
        ("table6_both_halves_needed", ("table6", "GRPO + A-GRAE (full)", "GRPO + A-GRAE (sample level)"), 1),
        ("table7_ddas_beats_foci_pass1", ("table7", "GRPO + DDAS (sample level)", "Hard-Focused"), 1),
        ("table7_ass_matches_negative_at_256", ("table7", "GRPO + ASS (group level)", "Negative-Dominant"), 256),
    ],
)
def test_published_effect_is_the_mean_over_the_benchmarks_whose_questions_are_counted(claim, tables, k):
    sizes = {"MATH": 500, "AMC23": 40, "AIME 2025": 30}
    entry = next(c for c in CLAIMS if c.id == claim)
    table, ours, theirs = tables
    benchmarks = [name for name, n in sizes.items() if n in (entry.questions or sizes.values())]

    def mean(method):
        rows = [published(table=table, dataset=d, method=method)[0] for d in benchmarks]
        return 100 * np.mean([row.values[list(row.ks).index(k)] for row in rows])

    assert entry.published == pytest.approx(mean(ours) - mean(theirs), abs=0.051)


def effects_of(mean, seeds=40, parts=1):
    rng = np.random.default_rng(0)
    values = rng.normal(0, 1, (seeds, parts))
    return (values - values.mean(0) + mean).tolist()


def world(tmp_path, name, **claims):
    setting = {"seeds": list(range(40)), "claims": claims}
    content = {"command": "symtheory reproduce", "settings": {"first": setting}}
    (tmp_path / f"{name}.json").write_text(json.dumps(content))


def test_verdicts_are_computed_from_the_effects_of_seeds(tmp_path):
    world(tmp_path, "bandit", fig2_grpo_below_base={"over the path": effects_of(4.0)})
    world(tmp_path, "tree", fig2_grpo_below_base={"over the path": effects_of(-4.0)})
    findings = load_findings(tmp_path)
    claim = next(c for c in CLAIMS if c.id == "fig2_grpo_below_base")
    assert [f.verdict for f in findings[claim.id]] == ["supported", "reversed"]
    row = claim_row(claim, {}, findings)
    assert (row.verdict, row.rechecked, row.pending) == ("depends on the world", True, False)
    assert "40 seeds" in row.method
    assert "points" in row.method


def test_two_readings_have_two_verdicts(tmp_path):
    cells = {"equal step": effects_of(4.0), "matched budget": effects_of(-4.0)}
    world(tmp_path, "replay", fig2_negative_best_at_256=cells)
    (finding,) = load_findings(tmp_path)["fig2_negative_best_at_256"]
    assert (finding.equal_step.verdict, finding.matched.verdict) == ("supported", "reversed")


def test_a_setting_that_another_command_ran_names_that_command(tmp_path):
    world(tmp_path, "replay", fig2_grpo_below_base={"over the path": effects_of(4.0)})
    content = json.loads((tmp_path / "replay.json").read_text())
    steps = {"theorem1_predicts_all_of_one": {"over the path": effects_of(-0.4)}}
    content["settings"]["single steps"] = {"seeds": list(range(40)), "claims": steps, "command": "symtheory replay"}
    (tmp_path / "replay.json").write_text(json.dumps(content))
    found = load_findings(tmp_path)
    assert found["fig2_grpo_below_base"][0].command == "symtheory reproduce"
    assert found["theorem1_predicts_all_of_one"][0].command == "symtheory replay"


def test_what_the_design_set_or_nothing_shows_is_not_testable(tmp_path):
    cells = {
        "fig2_grpo_raises_pass1": {"over the path": effects_of(9.0)},
        "fig9_negative_collapses": {"over the path": [[0.0]] * 40},
        "fig9_attenuation_prevents_collapse": {"over the path": [[0.0]] * 40},
        "fig2_negative_best_at_256": {"equal step": effects_of(0.0)},
        "table7_ass_matches_negative_at_256": {"equal step": effects_of(0.0)},
    }
    world(tmp_path, "bandit", **cells)
    verdicts = {id: f[0].verdict for id, f in load_findings(tmp_path).items()}
    assert verdicts["fig2_grpo_raises_pass1"] == "not testable"
    assert verdicts["fig9_attenuation_prevents_collapse"] == "not testable"
    assert verdicts["table7_ass_matches_negative_at_256"] == "not testable"
    assert verdicts["fig9_negative_collapses"] == "no effect"


def test_recorded_verdict_that_the_proofs_do_not_give_is_caught():
    claim = replace(next(c for c in CLAIMS if c.id == "eq13_ass"), verdict="fails")
    assert not claim_row(claim, {id: row_of(id) for id in claim.proof}, {}).rechecked


def test_formula_of_a_claim_must_be_a_formula_of_its_theorems():
    claim = next(c for c in CLAIMS if c.id == "theorem2_peak")
    rows = {id: row_of(id) for id in claim.proof}
    wrong = replace(claim, statement=claim.statement.replace("<= G", "<= 2 G"))
    assert claim_row(claim, rows, {}).rechecked
    assert not claim_row(wrong, rows, {}).rechecked


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[claim", "not valid TOML"),
        ('[[claim]]\nid = "a"', "claim 'a': missing"),
        ('[[claim]]\nid = "a"\nsource=""\npaper=""\nstatement=""\nverdict=""', "either theorems"),
        ('[[claim]]\nid = "a"\nsource=""\npaper=""\nstatement=""\nexperiment=["tree"]', "a unit and a margin"),
    ],
)
def test_malformed_ledger_gets_one_sentence(tmp_path, text, message):
    (tmp_path / "claims.toml").write_text(text)
    with pytest.raises(InputError, match=message):
        load_claims(tmp_path / "claims.toml")


@pytest.mark.parametrize("content", ["{", '{"settings": {"a": 3}}', "[1]", '{"command": 1}'])
def test_malformed_effects_get_one_sentence(tmp_path, content):
    (tmp_path / "tree.json").write_text(content)
    with pytest.raises(InputError, match="tree world"):
        load_findings(tmp_path)


def test_ids_of_claims_and_theorems_do_not_collide():
    assert not {c.id for c in CLAIMS} & set(theorems())
    assert {id for c in CLAIMS for id in c.proof + c.refuted_by} <= set(theorems())
