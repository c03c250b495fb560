"""The development in proofs/ and what ties it to the code: the same constants, the same examples, and Coq's kernel."""

import re
import shutil
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from symtheory import InputError, advantages
from symtheory.cli.prove import run
from symtheory.theory import kernel
from symtheory.theory.theorems import find
from symtheory.theory.theorems.updates import BOUNDARY

PROOFS = Path(__file__).parents[2] / "proofs"
SYMMETRY, GROUPS = ((PROOFS / f"{name}.v").read_text() for name in ("Symmetry", "Groups"))


def definition(name: str) -> str:
    """Body of a Coq definition of K and F, as a Python expression."""
    body = re.search(rf"Definition {name} \(K F : R\) : R := (.*?)\.\n", SYMMETRY)
    assert body
    return body[1].replace("sqrt (", "np.sqrt(")


@pytest.mark.parametrize(("name", "outcome"), [("grpo_plus", 1), ("grpo_minus", 0)])
def test_definitions_of_the_assistant_are_the_code(name, outcome):
    for size in (2, 3, 7, 50):
        for K in range(1, size):
            rewards = np.r_[np.ones(K), np.zeros(size - K)]
            of_code = advantages(rewards, "grpo")[rewards == outcome]
            assert of_code == pytest.approx(eval(definition(name), {"np": np, "K": K, "F": size - K}), rel=1e-12)


def test_statement_of_the_assistant_is_the_formula_of_the_ledger():
    assert "= 2 * (K + F) * sqrt (K / (K + F) * (1 - K / (K + F)))." in SYMMETRY
    assert "`grpo: sum |A| = 2 G sqrt(p (1 - p))`" in find("update_magnitude").statement


def test_examples_of_the_assistant_are_those_of_the_ledger():
    tree = BOUNDARY["prefix"]
    assert f"= {tree['dP / eta']}." in SYMMETRY
    assert all(f"{p}" in SYMMETRY for p in tree["policy"][""])
    rates = dict(find("negative_dominant_can_regress").derive().named[0][1]["rates"])
    assert f"= {Fraction(rates['negative_dominant'])}." in SYMMETRY


def test_the_core_is_stated_for_every_group_size():
    for name in ("master", "coupled_omega", "bernstein", "entanglement", "success_share_slope"):
        statement = re.search(rf"(?:Theorem|Corollary) {name} : (.*?)\.\nProof", GROUPS, re.DOTALL)
        assert statement, name
        assert statement[1].startswith("forall n"), name
    assert "Theorem sure_improvement : success h <= success (moved is_correct)." in SYMMETRY
    for hypothesis in ("signs : plus >= 0 /\\ 0 >= minus", "ascent : eta >= 0", "symmetric : imbalance = 0"):
        assert f"Hypothesis {hypothesis}." in SYMMETRY


STATEMENTS = {
    "master": "forall n a, E (S n) (gradient a) = INR (S n) * slope n a * grad_P",
    "bernstein": "forall n (h : nat -> R), E n (fun w => h (correct w)) "
    "= sum_f_R0 (fun j => C n j * P ^ j * Q ^ (n - j) * h j) n",
    "entanglement": "forall n a up down, zero_sum (S n) a -> "
    "slope n (scaled up down a) = slope n a * (up * Q + down * P)",
    "group_symmetry": "forall scale r, r <> [] -> total (advantages scale r) = 0",
    "sure_improvement": "success h <= success (moved is_correct)",
}
DEFINITIONS = (
    "Definition Sum (x : B -> R) : R := fold_right (fun b t => x b + t) 0 all.",
    "Definition P : R := Sum (fun b => pi b * one b).",
    "Definition grad_P : R := Sum (fun b => pi b * s b * one b).",
    "over (fun o => a (f o) (correct w) * s o) w.",
    "E n (fun w => a true (S (correct w)) - a false (correct w)).",
    "Definition success (x : B -> R) : R := mass correct x / (mass correct x + mass wrong x).",
    "h b + eta * (INR (n b) * a - imbalance * policy b).",
)
HYPOTHESES = {
    "pi_one : Sum pi = 1",
    "score : Sum (fun b => pi b * s b) = 0",
    "outcomes_correct : forall b, In b correct -> is_correct b = true",
    "outcomes_wrong : forall b, In b wrong -> is_correct b = false",
    "some_correct : correct <> []",
    "signs : plus >= 0 /\\ 0 >= minus",
    "ascent : eta >= 0",
    "symmetric : imbalance = 0",
}


def test_the_core_says_what_it_should_under_no_more_hypotheses_than_it_should():
    text = " ".join((GROUPS + SYMMETRY).split())
    for name, statement in STATEMENTS.items():
        assert f"Theorem {name} : {statement}. Proof." in text, name
    for definition in DEFINITIONS:
        assert definition in text, definition
    assert set(re.findall(r"Hypothes[ie]s (.*?)\. ", text)) == HYPOTHESES
    assert not re.search(r"\b(Context|Axioms?|Parameters?|Conjecture|Admitted|admit|Unset)\b", text)


def test_lemma_is_the_certificate():
    text = kernel.certificates(("update_magnitude",))
    assert "(* grpo: sum |A| = 2 G sqrt(p (1 - p)) *)" in text
    assert re.search(r"forall f k : R,\s+\(2\*f \^ 3\*k \^ 2\)", text)


def test_without_coq_the_command_says_which_package(monkeypatch):
    monkeypatch.setattr(kernel.shutil, "which", lambda _: None)
    with pytest.raises(InputError, match="apt-get install --no-install-recommends coq"):
        run(kernel=True)


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("coqc"), reason="coqc is not installed")
def test_kernel_checks_the_development_and_refuses_a_false_one(capsys, tmp_path, monkeypatch):
    assert run(kernel=True) == 0
    assert "Groups: checked" in capsys.readouterr().out
    assert run_on({"= -4/125.": "= -3/125."}, tmp_path, monkeypatch) == 1


ATTACKS = {
    "a proof left out": {"Proof. simpl. lra. Qed.": "Proof. Admitted."},
    "an assumption outside of a section": {"(* Sure improvement.": "Variables absurd : False.\n(* Sure improvement."},
    "an axiom in the plural": {"(* Sure improvement.": "Axioms absurd : False.\n(* Sure improvement."},
    "a theorem that says nothing": {
        "Theorem sure_improvement : success h <= success (moved is_correct).\nProof.": "Theorem sure_improvement : "
        "True.\nProof. exact I. Qed.\nTheorem other : success h <= success (moved is_correct).\nProof."
    },
    "one hypothesis more": {"Hypothesis ascent : eta >= 0.": "Hypothesis ascent : eta >= 0. Hypothesis no : 1 = 0."},
}


def run_on(changes, folder, monkeypatch):
    """`prove --kernel` in a checkout whose proofs are changed."""
    shutil.copytree(PROOFS.parent / "paper/results", folder / "paper/results")
    shutil.copytree(PROOFS, folder / "proofs")
    (folder / "figures").mkdir()
    (folder / "figures/committed.txt").write_text("")
    path = folder / "proofs/Symmetry.v"
    text = path.read_text()
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    path.write_text(text)
    monkeypatch.setattr(kernel.paths, "checkout", lambda: folder)
    return run(kernel=True)


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("coqc"), reason="coqc is not installed")
@pytest.mark.parametrize("attack", ATTACKS)
def test_weakened_development_is_refused(attack, capsys, tmp_path, monkeypatch):
    changes = ATTACKS[attack]
    if "absurd" in str(changes):  # and used
        changes = {**changes, "Proof. simpl. lra. Qed.": "Proof. destruct absurd. Qed."}
    assert run_on(changes, tmp_path, monkeypatch) == 1
    told = capsys.readouterr().out
    assert "proofs/Symmetry.v is not the published one" in told
    if attack not in ("a theorem that says nothing", "one hypothesis more"):
        assert "Symmetry: it assumes what it should prove" in told
