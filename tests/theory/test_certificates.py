"""Proof objects: exact numbers, polynomial certificates, and what happens when one is tampered with."""

from dataclasses import replace
from fractions import Fraction

import hypothesis.strategies as st
import pytest
import sympy
from hypothesis import given

from symtheory.theory.algebra import NotProved, certify
from symtheory.theory.certificates import Certificate, evaluate, parse, refuted_by_z3
from symtheory.theory.proofs import check, recheck
from symtheory.theory.surds import exp, sqrt, surd
from symtheory.theory.symbols import F, K
from symtheory.theory.theorems import find

numbers = st.fractions(min_value=-5, max_value=5, max_denominator=9)
surds = st.builds(lambda a, b, c, n: a + b * sqrt(n) + c * sqrt(3), numbers, numbers, numbers, st.integers(2, 12))


@given(surds, surds)
def test_surds_are_a_field(x, y):
    assert (x + y) - y == x
    assert x * y == y * x
    if x != 0:
        assert (y / x) * x == y
        assert x.inverse() * x == 1


@given(surds, surds)
def test_surds_agree_with_floats_and_their_order_is_exact(x, y):
    assert float(x * y) == pytest.approx(float(x) * float(y), abs=1e-12)
    assert (x < y) == ((y - x).sign() > 0)
    assert x.sign() * (-x).sign() in (0, -1)


def test_powers_are_exact_where_they_can_be():
    x = surd(Fraction(9, 4))
    assert x ** Fraction(2) == x * x
    assert x ** Fraction(-1, 2) == Fraction(2, 3)
    assert (1 + sqrt(2)) ** Fraction(-2) * (1 + sqrt(2)) ** 2 == 1
    with pytest.raises(ValueError, match="whole or half"):
        x ** Fraction(1, 3)


def test_square_root_of_a_fraction_is_exact():
    assert sqrt(Fraction(18, 49)) ** 2 == Fraction(18, 49)
    assert repr(1 / (1 + sqrt(2))) == "-1 + sqrt(2)"
    assert sqrt(2) * sqrt(3) == sqrt(6)
    with pytest.raises(ValueError, match="no exact square root"):
        sqrt(-1)
    with pytest.raises(ValueError, match="no exact square root"):
        sqrt(1 + sqrt(2))


def test_exp_has_eighty_digits():
    assert abs((exp(1) * exp(-1) - 1).rational()) < Fraction(1, 10**78)
    assert surd(0.1) == Fraction(1, 10)  # a float stands for the decimal it prints as


@given(st.integers(-4, 4), st.integers(-4, 4))
def test_polynomials_expand_as_they_evaluate(x, y):
    text = "(x - 2*y)**3 - x**2*(y - 1)/4 + -(x - 3) - 7"
    polynomial = parse(text)
    point = {"x": Fraction(x), "y": Fraction(y)}
    expanded = sum(
        c * point["x"] ** dict(m).get("x", 0) * point["y"] ** dict(m).get("y", 0) for m, c in polynomial.items()
    )
    assert expanded == evaluate(text, point)


def test_certificate_of_a_true_identity_holds_and_of_a_false_one_does_not_exist():
    certificate = certify(K * sympy.sqrt(F / K) - sympy.sqrt(K * F))
    assert certificate.holds()
    with pytest.raises(NotProved):
        certify(K * sympy.sqrt(F / K) - sympy.sqrt(K + F))


TAMPERED = ["update_magnitude", "group_symmetry", "ddas_peak_and_height", "agrae_imbalance", "master_theorem"]


@pytest.mark.parametrize("id", TAMPERED)
def test_tampered_certificate_fails(id):
    proof = replace(check(find(id)).proof, trials=tuple)  # the certificates alone must notice
    assert recheck(proof)[0]
    for i, certificate in enumerate(proof.certificates):
        for change in tampered(certificate):
            forged = (*proof.certificates[:i], change, *proof.certificates[i + 1 :])
            assert not recheck(replace(proof, certificates=forged))[0]


def tampered(c: Certificate):
    """The claim, each cofactor and the square, each moved a little; and a cofactor left out."""
    yield replace(c, claim=f"({c.claim}) + K/1000")
    yield replace(c, square=f"({c.square}) + 1")
    for i, q in enumerate(c.cofactors):
        yield replace(c, cofactors=(*c.cofactors[:i], f"({q}) + 1", *c.cofactors[i + 1 :]))
        yield replace(c, cofactors=c.cofactors[:i] + c.cofactors[i + 1 :])


def test_proof_without_certificate_or_trial_proves_nothing():
    proof = check(find("update_magnitude")).proof
    assert not recheck(replace(proof, certificates=(), trials=tuple))[0]


def test_certificates_are_text_that_needs_no_sympy():
    for certificate in check(find("agrae_imbalance")).proof.certificates:
        assert all(isinstance(text, str) for text in (certificate.claim, *certificate.cofactors))
        assert certificate.meaning
        point = {name: Fraction(3, 7) for name in certificate.variables()}
        assert certificate.residual_at(point) == 0
    with pytest.raises(ValueError, match="not a polynomial"):
        parse("__import__('os')")


@pytest.mark.parametrize(
    "id", ["update_magnitude", "magnitude_bound", "ddas_peak_and_height", "ngrpo_imbalance", "zero_sum:hard_focused"]
)
def test_z3_finds_no_counterexample_to_a_certificate_and_one_to_a_false_claim(id):
    pytest.importorskip("z3")
    for certificate in check(find(id)).proof.certificates:
        assert refuted_by_z3(certificate) is False
        if certificate.square == "0" and certificate.hypotheses:
            assert refuted_by_z3(replace(certificate, claim=f"({certificate.claim}) + 1")) is True
