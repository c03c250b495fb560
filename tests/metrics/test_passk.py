"""pass@k: exact values, both forms of it, numpy and jax."""

from fractions import Fraction
from math import comb

import hypothesis.strategies as st
import jax
import numpy as np
import pytest
from hypothesis import given

from symtheory import InputError
from symtheory.metrics.passk import pass_at_k, unbiased_pass_at_k

counts = st.integers(1, 300).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(1, n)))


@given(counts)
def test_unbiased_pass_at_k_is_the_exact_ratio_of_binomials(case):
    n, c, k = case
    exact = 1 - Fraction(comb(n - c, k), comb(n, k))
    assert unbiased_pass_at_k(n, c, k) == pytest.approx(float(exact), rel=1e-12)  # 300 roundings in a sum of logs


def test_unbiased_pass_at_k_broadcasts_over_counts_and_ks():
    table = unbiased_pass_at_k(8, np.arange(9)[:, None], np.array([1, 2, 8]))
    assert table.shape == (9, 3)
    np.testing.assert_allclose(table[:, 0], np.arange(9) / 8, rtol=1e-14)
    assert table[:, 2].tolist() == [0.0] + [1.0] * 8


@given(st.floats(0, 1), st.integers(1, 6))
def test_the_unbiased_estimate_has_expectation_pass_at_k(p, k):
    n = 6
    law = np.array([comb(n, c) * p**c * (1 - p) ** (n - c) for c in range(n + 1)])
    assert law @ unbiased_pass_at_k(n, np.arange(n + 1), k) == pytest.approx(pass_at_k(p, k), abs=1e-14)


def test_pass_at_k_keeps_tiny_probabilities_and_sure_ones():
    assert pass_at_k(1e-300, 3) == pytest.approx(3e-300, rel=1e-15)
    assert pass_at_k(1.0, 5) == 1.0
    assert pass_at_k(0.0, 5) == 0.0


def test_jax_gives_the_values_of_numpy_in_float32():
    p, c = np.linspace(0, 1, 11), np.arange(257)
    both = jax.jit(lambda p, c: (pass_at_k(p, 16), unbiased_pass_at_k(256, c, 64)))
    exact, unbiased = both(p.astype(np.float32), c)
    np.testing.assert_allclose(exact, pass_at_k(p, 16), rtol=2e-6)
    np.testing.assert_allclose(unbiased, unbiased_pass_at_k(256, c, 64), rtol=2e-5)


@pytest.mark.parametrize(
    ("n", "c", "k", "word"), [(4, 5, 1, "0..n"), (4, -1, 1, "0..n"), (4, 1, 5, "1..n"), (4, 1, 0, "1..n")]
)
def test_impossible_counts_are_refused(n, c, k, word):
    with pytest.raises(InputError, match=word):
        unbiased_pass_at_k(n, c, k)
