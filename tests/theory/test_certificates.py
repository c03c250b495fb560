"""Proof objects: exact numbers, polynomial certificates, and what happens when one is tampered with."""

import math
from dataclasses import asdict, replace
from fractions import Fraction

import hypothesis.strategies as st
import pytest
import sympy
from hypothesis import given

from symtheory.theory.algebra import NotProved, certify
from symtheory.theory.certificates import (
    Certificate,
    evaluate,
    exponents,
    multiply,
    parse,
    refuted_by_z3,
    substitute,
)
from symtheory.theory.proofs import Proof, Theorem, recheck, record
from symtheory.theory.recheck import program
from symtheory.theory.recheck.calculus import derivative_is
from symtheory.theory.recheck.formulas import formulas, python
from symtheory.theory.recheck.groups import holds_exactly, holds_on
from symtheory.theory.recheck.ratios import Unsigned, polynomial_sign
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
    expanded = sum(c * math.prod(point[name] ** e for name, e in exponents(m).items()) for m, c in polynomial.items())
    assert expanded == evaluate(text, point)


def test_an_exponent_never_runs_into_that_of_the_next_variable():
    parse("x + y")  # neighbours within a monomial
    square = parse("x**16384")
    with pytest.raises(ValueError, match="32768"):
        multiply(square, square)
    assert substitute(parse("x**5 + y"), "x", parse("y**2 - 1"), step=2) == parse("x*(y**2 - 1)**2 + y")


def test_certificate_of_a_true_identity_holds_and_of_a_false_one_does_not_exist():
    certificate = certify(K * sympy.sqrt(F / K) - sympy.sqrt(K * F))
    assert certificate.holds()
    with pytest.raises(NotProved):
        certify(K * sympy.sqrt(F / K) - sympy.sqrt(K + F))


def test_certificate_is_written_before_it_is_simplified():
    certificate = certify((K + F) ** 2 - K**2 - 2 * K * F - F**2)
    assert not certificate.empty()
    assert certificate.holds()
    assert certify(sympy.Integer(0)).empty()


@pytest.mark.parametrize("id", ["master_theorem", "nsr_noise_coefficient", "ddas_peak_and_height", "entanglement"])
def test_tampered_certificate_fails(id):
    theorem = find(id)
    entry = record(theorem, theorem.derive())
    assert program.check({**entry, "trials": []}).rechecked
    for i, certificate in enumerate(entry["certificates"][:2]):
        for change in tampered(Certificate(**certificate)):
            forged = [*entry["certificates"]]
            forged[i] = asdict(change)
            assert not program.check({**entry, "trials": [], "certificates": forged}).rechecked


def tampered(c: Certificate):
    """The claim, each cofactor and the square, each moved a little; and a cofactor left out."""
    yield replace(c, claim=f"({c.claim}) + K/1000")
    yield replace(c, square=f"({c.square}) + 1")
    for i, q in enumerate(c.cofactors):
        yield replace(c, cofactors=(*c.cofactors[:i], f"({q}) + 1", *c.cofactors[i + 1 :]))
        yield replace(c, cofactors=c.cofactors[:i] + c.cofactors[i + 1 :])


def test_proof_without_formula_certificate_or_trial_proves_nothing():
    theorem = find("every_reward_vector")
    entry = record(theorem, Proof("exact"))
    assert not recheck(theorem, Proof("exact"), entry).rechecked


def test_certificates_are_text_that_needs_no_sympy():
    for certificate in find("master_theorem").derive().certificates:
        assert all(isinstance(text, str) for text in (certificate.claim, *certificate.cofactors))
        assert certificate.meaning
        point = {name: Fraction(3, 7) for name in certificate.variables()}
        assert certificate.residual_at(point) == 0
    with pytest.raises(ValueError, match="not a polynomial"):
        parse("__import__('os')")


@pytest.mark.parametrize("id", ["ddas_peak_and_height", "largest_advantage", "medium_difficulty_has_least_weight"])
def test_z3_finds_no_counterexample_to_a_certificate_and_one_to_a_false_claim(id):
    pytest.importorskip("z3")
    for certificate in find(id).derive().certificates:
        assert refuted_by_z3(certificate) is False
        if certificate.square == "0" and certificate.hypotheses:
            assert refuted_by_z3(replace(certificate, claim=f"({certificate.claim}) + 1")) is True


def test_formulas_read_plain_mathematics():
    chain = formulas("grpo[ddof, eps]: A+ >= 0 >= A- for K >= 2")
    assert [(f.left, f.relation, f.right, f.least) for f in chain] == [
        ("Aplus", ">=", "0", (2, 1)),
        ("0", ">=", "Aminus", (2, 1)),
    ]
    assert chain[0].estimator == "grpo[ddof,eps]"
    assert python("2 G sqrt(p (1 - p)) - sum |A|^2") == "2*G*sqrt(p*(1-p))-L1**2"
    assert python("-beta negative_dominant[beta].A+") == "-beta*negative_dominant[beta].Aplus"


@pytest.mark.parametrize(
    ("text", "sign"),
    [("k**2 + f**2 - 1", 1), ("w - 1", -1), ("k**2 - 2*k*f + f**2", 1), ("g - k", 1), ("f*w + k - k*w", 1), ("k*f", 1)],
)
def test_sign_of_a_polynomial_shows_in_its_coefficients(text, sign):
    assert polynomial_sign(parse(text)) == sign


def test_sign_that_is_not_one_is_not_claimed():
    for text in ("k - f", "w - v", "20 - k**2 - f**2"):
        with pytest.raises(Unsigned):
            polynomial_sign(parse(text))


def test_false_formula_is_found_false_by_groups_and_by_algebra():
    (formula,) = formulas("grpo: sum |A| = 3 G sqrt(p (1 - p))")
    for found in (holds_on(formula, "numpy", 0), holds_on(formula, "jax", 0), holds_exactly(formula)):
        assert "K = 1" in found[1]
    with pytest.raises(NotProved):
        record(Theorem("x", f"`{formula.text}`", "", lambda: Proof("exact")), Proof("exact"))


@pytest.mark.parametrize(
    ("objective", "slope", "same"),
    [
        ("2 asin(sqrt(P))", "1/sqrt(P*Q)", True),
        ("log(P)", "1/P", True),
        ("-atanh(sqrt(Q))", "1/(2*P*sqrt(Q))", True),
        ("s*asin(sqrt(P)) + (s - 1)*sqrt(P*Q)", "1/P", False),
    ],
)
def test_objectives_are_differentiated_by_rule(objective, slope, same):
    assert derivative_is(objective, slope) is same


def test_a_quotient_is_refused_at_once_where_a_polynomial_is_certified():
    x, y = sympy.symbols("x y")
    with pytest.raises(NotProved, match="a quotient is no polynomial"):
        certify(x / y - x, "a quotient", {y: 1 - x})
