"""Inference of difficulty from pass@k: rows of known populations come back, impossible rows show their distance."""

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from symtheory import InputError
from symtheory.evidence import infer_success, published, success_probabilities
from symtheory.evidence.difficulty import Mixture, count_kernel, infer_difficulty, transport
from symtheory.metrics.passk import pass_at_k

KS = 2 ** np.arange(9)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 256), min_size=1, max_size=30))
def test_every_set_of_samples_is_at_distance_zero(counts):
    row = count_kernel(256, KS)[counts].mean(0)
    assert infer_difficulty(KS, row).distance < 1e-7  # HiGHS keeps constraints to 1e-7


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 64), min_size=1, max_size=10), st.integers(0, 6), st.floats(0.001, 0.2))
def test_the_distance_is_at_most_what_was_added_to_a_row(counts, where, shift):
    row = count_kernel(64, KS[:7])[counts].mean(0)
    row[where] = min(1, row[where] + shift)
    assert infer_difficulty(KS[:7], row, 64).distance <= shift + 1e-7


def test_a_falling_row_is_half_its_fall_away():
    assert infer_difficulty([1, 2], [0.6, 0.5], 8).distance == pytest.approx(0.05, abs=1e-7)


def test_a_row_that_outgrows_its_bound_is_found():
    """By Jensen pass@2 <= 1 - (1 - pass@1)^2 in the limit of many samples, so 0.1 and 0.5 are t apart from it:
    0.5 - t = 1 - (0.9 - t)^2."""
    t = 1.4 - np.sqrt(1.4**2 - 0.31)
    assert infer_difficulty([1, 2], [0.1, 0.5], 4096).distance == pytest.approx(t, abs=1e-4)


def test_43_of_the_87_rows_of_the_paper_are_farther_than_rounding(paper):
    pairs = [(row, found) for row, found in zip(published(), paper["rows"], strict=True) if len(row.ks) > 1]
    rows, distance = [row for row, _ in pairs], [found["distance"] for _, found in pairs]
    assert (len(rows), sum(d > 0.0005 + 1e-9 for d in distance)) == (87, 43)
    far = int(np.argmax(distance))
    assert rows[far][:4] == ("table3", "qwen2.5-math-7b", "AIME 2025", "Dr.GRPO + A-GRAE")
    assert distance[far] == pytest.approx(0.00916, abs=1e-5)


@settings(max_examples=10, deadline=None)
@given(st.floats(0.3, 3), st.floats(0.3, 3), st.integers(0, 2**31))
def test_a_beta_population_is_recovered_in_pass_at_k_and_in_distribution(a, b, seed):
    p = np.random.default_rng(seed).beta(a, b, 4000)
    row = pass_at_k(p[:, None], KS).mean(0)
    mixture = infer_success(KS, row)
    assert mixture.distance <= 0.0005 + 1e-6
    inferred = success_probabilities(mixture, 4000)
    assert np.abs(np.sort(inferred) - np.sort(p)).mean() < 0.05  # earth mover's distance; the row has nine numbers


def test_never_solved_questions_become_the_atom_at_zero():
    row = 0.6 * pass_at_k(0.3, KS)
    mixture = infer_success(KS, row)
    assert mixture.weight[0] == pytest.approx(0.4, abs=0.01)


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=2, max_size=20), st.integers(1, 200))
def test_quantiles_reproduce_the_row_to_half_a_prompt(p, prompts):
    weight = np.random.default_rng(0).dirichlet(np.ones(len(p)))
    mixture = Mixture(np.sort(p), weight, 0.0)
    drawn = success_probabilities(mixture, prompts)
    exact = weight @ pass_at_k(mixture.success[:, None], KS)
    assert (np.abs(pass_at_k(drawn[:, None], KS).mean(0) - exact) <= 0.5 / prompts + 1e-9).all()


def test_transport_is_monotone_and_the_identity_on_itself():
    (base,) = published("table3", "MATH", "Base Model")
    (trained,) = published("table3", "MATH", "GRPO")
    m, t = infer_success(base.ks, base.values), infer_success(trained.ks, trained.values)
    q = np.linspace(0.01, 0.99, 50)
    assert (transport(m, m, q)[:, 0] == transport(m, m, q)[:, 1]).all()
    assert (np.diff(transport(m, t, q), axis=0) >= 0).all()


@pytest.mark.parametrize(
    ("ks", "values", "message"),
    [
        ([1, 2], [0.5], "one length"),
        ([1, 2], [50, 60], "fractions"),
        ([0, 2], [0.5, 0.6], ">= 1"),
        ([1, 512], [0.5, 0.6], "largest k"),
        ([1, 2], [0.5, float("nan")], "fractions"),
    ],
)
def test_bad_rows_get_one_sentence(ks, values, message):
    with pytest.raises(InputError, match=message):
        infer_difficulty(ks, values)
