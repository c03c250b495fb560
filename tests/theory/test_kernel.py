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
    for text in (SYMMETRY, GROUPS):
        assert not re.search(r"\b(Admitted|admit|Axiom|Parameter)\b", text)


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
    (tmp_path / "paper").mkdir()
    (tmp_path / "proofs").mkdir()
    for name in ("Groups", "Symmetry"):
        text = (PROOFS / f"{name}.v").read_text().replace("= -4/125.", "= -3/125.")
        (tmp_path / "proofs" / f"{name}.v").write_text(text)
    monkeypatch.setattr(kernel.paths, "checkout", lambda: tmp_path)
    assert run(kernel=True) == 1
