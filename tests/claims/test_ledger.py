"""One test per claim of the paper, whether it agrees or not; and the ledger itself."""

import json

import pytest

from symtheory import InputError
from symtheory.claims.effects import CLAIMS as TRAINING_CLAIMS
from symtheory.claims.ledger import claim_row, load_claims, load_findings, theorem_row
from symtheory.figures.transformer_captions import STEP_CLAIMS
from symtheory.theory.proofs import check
from symtheory.theory.theorems import find

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
    assert claim.verdict == "open"
    assert claim_row(claim, {}, {}).verdict == "open"
    assert claim_row(claim, {}, {}).pending


def test_failing_claims_about_single_groups_carry_exact_counterexamples():
    row = row_of("case_c_of_probabilities")
    assert row.counterexample["pi"] == "(1/4, 1/4, 1/2)"
    assert row_of("released_easy_factor").counterexample["released / paper"] == "2*sqrt(2) + sqrt(7)"


def test_ledger_holds_every_empirical_claim_and_names_an_existing_test_for_each():
    expected = """fig2_grpo_below_base fig2_negative_best_at_256 fig2_positive_worst_at_256 fig2_grpo_raises_pass1
    fig3_positive_entropy_falls_fastest fig3_negative_entropy_grows fig5_easy_fastest_early fig5_hard_best_late
    fig4_no_focus_best_everywhere fig9_negative_collapses fig9_attenuation_prevents_collapse
    fig10_agrae_entropy_plateau table3_agrae_beats_grpo_pass1 table3_agrae_beats_grpo_pass256
    fig10_agrae_entropy_above_grpo fig10_agrae_greedy_above_grpo
    table6_both_halves_needed table7_ddas_beats_foci_pass1 table7_ass_matches_negative_at_256
    theorem1_predicts_sampled theorem1_predicts_all theorem1_unsampled_stay"""
    assert {c.id for c in EMPIRICAL} == set(expected.split())
    assert {c.id for c in EMPIRICAL} == {c.id for c in (*TRAINING_CLAIMS, *STEP_CLAIMS)}
    for claim in CLAIMS:
        path, _, name = claim.test.partition("::")
        assert name.removesuffix(f"[{claim.id}]") in globals()
        assert path == "tests/claims/test_ledger.py"


def finding(**changes):
    entry = {"verdict": "contradicted", "effect": 0.03, "interval": [0.01, 0.05], "unit": "pass@256", "seeds": 20}
    return entry | {"command": "symtheory figures", "note": ""} | changes


def test_verdict_of_an_experiment_reaches_the_ledger(tmp_path):
    for world, verdict in (("bandit", "contradicted"), ("tree", "found")):
        content = {"fig2_grpo_below_base": finding(verdict=verdict), "fig2_grpo_raises_pass1": finding(verdict="found")}
        (tmp_path / f"{world}.json").write_text(json.dumps(content))
    findings = load_findings(tmp_path)
    claims = {c.id: c for c in CLAIMS}
    row = claim_row(claims["fig2_grpo_raises_pass1"], {}, findings)
    assert (row.verdict, row.rechecked, row.pending) == ("found", True, False)
    assert "[0.01, 0.05]" in row.method
    assert claim_row(claims["fig2_grpo_below_base"], {}, findings).verdict == "depends on the world"


def test_effect_outside_its_own_interval_is_not_accepted(tmp_path):
    (tmp_path / "bandit.json").write_text(json.dumps({"fig2_grpo_below_base": finding(effect=0.2)}))
    claim = next(c for c in CLAIMS if c.id == "fig2_grpo_below_base")
    assert not claim_row(claim, {}, load_findings(tmp_path)).rechecked


def test_recorded_verdict_that_the_proofs_do_not_give_is_caught():
    from dataclasses import replace

    claim = replace(next(c for c in CLAIMS if c.id == "eq13_ass"), verdict="fails")
    assert not claim_row(claim, {id: row_of(id) for id in claim.proof}, {}).rechecked


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[claim", "not valid TOML"),
        ('[[claim]]\nid = "a"', "claim 'a': missing"),
        ('[[claim]]\nid = "a"\nsource=""\npaper=""\nstatement=""\nverdict=""\ntest=""', "either theorems"),
    ],
)
def test_malformed_ledger_gets_one_sentence(tmp_path, text, message):
    (tmp_path / "claims.toml").write_text(text)
    with pytest.raises(InputError, match=message):
        load_claims(tmp_path / "claims.toml")


@pytest.mark.parametrize("content", ["{", '{"fig": {"verdict": "found"}}', "[1]", '{"fig": 3}'])
def test_malformed_verdicts_get_one_sentence(tmp_path, content):
    (tmp_path / "tree.json").write_text(content)
    with pytest.raises(InputError, match="tree world"):
        load_findings(tmp_path)


def test_ids_of_claims_and_theorems_do_not_collide():
    from symtheory.theory.theorems import theorems

    assert not {c.id for c in CLAIMS} & set(theorems())
    assert {id for c in CLAIMS for id in c.proof + c.refuted_by} <= set(theorems())
