"""Theorem 1 on small policies: exact updates against automatic differentiation and against finite steps."""

import math
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symtheory import InputError, advantages, estimators
from symtheory.theory.symbols import P
from symtheory.theory.theorems.objectives import slope_polynomial
from symtheory.theory.theorems.trees import leaf_update, node_values, uniform_binary_tree
from symtheory.theory.theorems.updates import log_prob_update, logit_update, success_update, underdrawn_probability

TENTH = Fraction(1, 10)


@settings(deadline=None, max_examples=8)  # each new shape compiles
@given(st.lists(st.integers(1, 9), min_size=3, max_size=5), st.data())
def test_logit_update_is_the_gradient_of_the_reweighted_likelihood(weights, data):
    n = len(weights)
    correct = data.draw(st.lists(st.sampled_from([0, 1]), min_size=n, max_size=n))
    counts = data.draw(st.lists(st.integers(0, 3), min_size=n, max_size=n).filter(lambda c: sum(c) >= 2))
    policy = [Fraction(w, sum(weights)) for w in weights]
    for name in ("grpo", "negative_dominant", "nsr"):
        drawn = [b for b, m in enumerate(counts) for _ in range(m)]
        a = advantages([float(correct[b]) for b in drawn], name)
        logits = jnp.log(jnp.array([float(x) for x in policy]))

        def goal(h, a=a, drawn=drawn):
            return (a * jax.nn.log_softmax(h)[jnp.array(drawn)]).sum()

        exact = [float(x) for x in logit_update(policy, counts, correct, name)]
        np.testing.assert_allclose(jax.grad(goal)(logits), exact, atol=2e-5)  # float32 gradient


def test_updates_of_the_examples_in_the_appendix_discussion():
    """B.5 of the paper: a rare right behaviour loses under GRPO, and more under Negative-Dominant."""
    policy, correct, counts = [Fraction(1, 20), Fraction(9, 10), Fraction(1, 20)], (1, 1, 0), (1, 5, 2)
    moved = log_prob_update(policy, logit_update(policy, counts, correct, "grpo"))
    assert float(moved[0]) == pytest.approx(-13 * math.sqrt(3) / 12)
    policy = [Fraction(3, 5), Fraction(3, 10), TENTH]
    moved = log_prob_update(policy, logit_update(policy, (1, 1, 0), (1, 0, 0), "negative_dominant"))
    assert moved[2] == Fraction(-21, 250)


def test_success_update_of_grpo_and_negative_dominant_can_differ_in_sign():
    policy, correct, counts = [TENTH] * 4 + [Fraction(1, 2), TENTH], (1, 1, 1, 1, 0, 0), (1, 0, 0, 0, 0, 1)
    gains = {}
    for name in ("grpo", "negative_dominant"):
        g = logit_update(policy, counts, correct, name)
        weights = [float(x) * math.exp(float(y)) for x, y in zip(policy, g, strict=True)]
        gains[name] = success_update(policy, correct, g), sum(weights[:4]) / sum(weights)
    assert gains["grpo"][0] == TENTH
    assert gains["negative_dominant"][0] == Fraction(-13, 500)
    assert [round(gains[n][1], 4) for n in gains] == [0.5158, 0.3527]


def test_underdrawn_probability_is_the_enumeration():
    size, success, pi, beta = 4, Fraction(3, 10), Fraction(1, 2), 10
    other = 1 - success - pi
    hit = mixed = Fraction(0)
    for right in range(1, size):
        for n in range(size - right + 1):
            rest = size - right - n
            ways = math.factorial(size) // (math.factorial(right) * math.factorial(n) * math.factorial(rest))
            chance = ways * success**right * pi**n * other**rest
            mixed += chance
            hit += chance if n < (1 - Fraction(1, beta)) * (size - right) * pi else 0
    assert underdrawn_probability(0.3, 0.5, size, beta) == pytest.approx(float(hit / mixed), rel=1e-12)


def test_entanglement_as_numbers():
    scale = {"negative_dominant": 0.1 * 0.8 + 0.2, "positive_dominant": 10 * 0.8 + 0.2}
    base = float(slope_polynomial("grpo", 6).subs(P, 0.2))
    for name, factor in scale.items():
        assert float(slope_polynomial(name, 6).subs(P, 0.2)) == pytest.approx(factor * base)
    assert estimators.get("negative_dominant").params["beta"] == 10


def test_leaf_update_is_the_gradient_of_a_tree_of_softmaxes():
    rng = np.random.default_rng(0)
    logits = {node: rng.normal(size=2) for node in uniform_binary_tree(2)}
    policy = {node: np.exp(h) / np.exp(h).sum() for node, h in logits.items()}
    draws = [((0, 1), 0.7), ((1, 1), -1.2), ((0, 1), 0.7)]

    def log_pi(h, leaf):
        return sum(jax.nn.log_softmax(h[leaf[:d]])[c] for d, c in enumerate(leaf))

    step = jax.grad(lambda h: sum(a * log_pi(h, leaf) for leaf, a in draws))(logits)
    for leaf in ((0, 0), (0, 1), (1, 0)):
        _, moved = jax.jvp(lambda h, leaf=leaf: log_pi(h, leaf), (logits,), (step,))
        assert float(moved) == pytest.approx(float(leaf_update(policy, draws, leaf)), abs=1e-5)


def test_bad_input_gets_one_sentence():
    with pytest.raises(InputError, match="one length, got 2, 1 and 2"):
        logit_update([0.5, 0.5], [1], [1, 0], "grpo")
    with pytest.raises(InputError, match="at least one leaf"):
        node_values({})
