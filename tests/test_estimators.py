"""The estimators as the public function computes them: exact values, degenerate groups, bad input, one definition."""

import functools
from fractions import Fraction

import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given

import symtheory
from symtheory import InputError, estimators
from symtheory.estimators.base import _registry
from symtheory.estimators.group import make_group, two_outcome_batch
from symtheory.ops import jax_ops, numpy_ops

ALL = [estimators.get(n) for n in estimators.names("rewards")]
ZERO_ON_EQUAL = [e.name for e in ALL if e.links[0].__name__ == "center" and "degenerate_zero" in e.laws]
ZERO_ON_EQUAL = [n for n in ZERO_ON_EQUAL if estimators.get(n).rewards != "binary"]
COUNTED = [n for n in estimators.names("two_class") if not estimators.get(n).needs]
"""Estimators whose A+ and A- follow from counts of correct rollouts alone, those of the batch among them."""
graded = st.lists(st.floats(0, 1, width=32), min_size=2, max_size=8)
binary = st.lists(st.sampled_from([0.0, 1.0]), min_size=2, max_size=9)


def test_registry_holds_every_estimator_of_the_paper_and_its_relatives():
    expected = """grpo grpo_ddof1 dr_grpo dapo rloo reinforce reinforce_pp psr nsr w_reinforce positive_dominant
    negative_dominant hard_focused easy_focused ddas ass agrae agrae_dr_grpo agrae_released maxrl raft reinforce_rej
    passk ngrpo grpo_lead opo"""
    assert set(expected.split()) <= set(estimators.names())


@given(binary)
def test_grpo_squared_is_the_exact_ratio_of_counts(rewards):
    k = int(sum(rewards))
    a = symtheory.advantages(rewards, "grpo")
    if 0 < k < len(rewards):
        exact = [Fraction(len(rewards) - k, k) if r else Fraction(k, len(rewards) - k) for r in rewards]
        np.testing.assert_allclose(a**2, [float(x) for x in exact], rtol=1e-14)
        assert ((a > 0) == (np.array(rewards) == 1)).all()
    else:
        assert (a == 0).all()


@pytest.mark.parametrize("name", ZERO_ON_EQUAL)
@pytest.mark.parametrize("value", [0.1, 0.7, 1 / 3, 0.0, 1.0])
def test_equal_rewards_give_exact_zeros_even_if_floats_cannot_hold_them(name, value):
    size = 3 if name != "grpo" else 16
    assert (symtheory.advantages([[value] * size], name) == 0).all()
    assert (np.asarray(symtheory.advantages(jnp.full((1, size), value, jnp.float32), name)) == 0).all()


@pytest.mark.parametrize("name", COUNTED)
def test_weighted_two_outcomes_are_the_rollouts_of_every_group(name):
    op, size, prompts = numpy_ops(), 8, 5
    e = estimators.get(name)
    for correct in range(size + 1):
        rest = np.resize([1.0, 0, 0, 1, 0], (prompts - 1, size))
        group = np.concatenate([np.arange(size)[None] < correct, rest]).astype(float)
        a = symtheory.advantages(group, name)[0]
        batch = two_outcome_batch(op, np.array(group.sum()), np.array(float(group.size)))
        batch = batch._replace(omega_prompts=np.array(group.mean()))
        plus, minus = e.two_outcomes(np.array(float(correct)), np.array(float(size)), batch, op)
        np.testing.assert_allclose(a, np.where(group[0] > 0, plus, minus), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", estimators.names("rewards"))
def test_padding_does_not_change_a_group(name):
    rewards = np.array([[1.0, 0, 1, 0, 0], [0.0, 1, 1, 1, 0]])
    padded = np.concatenate([np.full((2, 2), 0.9 if name not in ("psr",) else 1.0), rewards], axis=1)
    mask = np.concatenate([np.zeros((2, 2)), np.ones((2, 5))], axis=1)
    if estimators.get(name).rewards == "binary":
        padded[:, :2] = 1
    a = symtheory.advantages(padded, name, mask=mask)
    np.testing.assert_allclose(a[:, 2:], symtheory.advantages(rewards, name), rtol=1e-12)
    assert (a[:, :2] == 0).all()


def test_jax_and_numpy_agree_and_keep_their_kind():
    rewards = np.array([[1.0, 0, 1, 0], [0.5, 0.25, 1, 0]])
    for name in estimators.names("rewards"):
        if estimators.get(name).rewards == "binary":
            continue
        a = symtheory.advantages(jnp.asarray(rewards, jnp.float32), name)
        assert a.dtype == jnp.float32
        np.testing.assert_allclose(np.asarray(a), symtheory.advantages(rewards, name), rtol=2e-5, atol=1e-6)


def test_omega_can_be_given_and_moves_agrae_from_easy_to_hard():
    hard, easy = [1.0, 0, 0, 0, 0, 0, 0, 0], [1.0, 1, 1, 1, 1, 1, 1, 0]
    ratio = {}
    for omega in (0.1, 0.9):
        a = np.abs(symtheory.advantages([hard, easy], "ddas", omega=omega)).sum(-1)
        ratio[omega] = a[0] / a[1]
    assert ratio[0.1] < 1 < ratio[0.9]
    assert ratio[0.1] * ratio[0.9] == pytest.approx(1)
    assert not symtheory.advantages([[0.0, 0]], "ddas", omega=0.3).any()  # the batch's own omega is 0 here


@given(graded)
def test_dapo_is_grpo_and_opo_is_dr_grpo_for_equal_lengths(rewards):
    np.testing.assert_array_equal(symtheory.advantages(rewards, "dapo"), symtheory.advantages(rewards, "grpo"))
    np.testing.assert_allclose(
        symtheory.advantages(rewards, "opo"), symtheory.advantages(rewards, "dr_grpo"), atol=1e-15
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(rewards=[1, 0], estimator="hard_focussed"), "Did you mean 'hard_focused'"),
        (dict(rewards=[[1, float("nan")]], estimator="grpo"), "rewards must be finite for estimator 'grpo', got nan"),
        (dict(rewards=[[1], [0]], estimator="grpo"), "G >= 2"),
        (dict(rewards=1.0, estimator="grpo"), "shape [..., G]"),
        (dict(rewards=[[1, 0], [1]], estimator="grpo"), "rectangular"),
        (dict(rewards=[["a", 0]], estimator="grpo"), "array [..., G]: could not convert string to float"),
        (
            dict(rewards=None, estimator="grpo", components=[1.0, 0]),
            "shape [J, ..., G] and not be empty, got shape (2,)",
        ),
        (dict(rewards=[[1.5, 0]], estimator="agrae"), "in [0, 1] for estimator 'agrae', got 1.5"),
        (dict(rewards=[[1, 0.5]], estimator="psr"), "0 or 1"),
        (dict(rewards=[[1, -1]], estimator="hard_focused"), "in [0, 1]"),
        (dict(rewards=[[1, 0]], estimator="grpo", beta=3), "takes no parameter 'beta'"),
        (dict(rewards=[[1, 0]], estimator="grpo", eps=float("inf")), "'eps' of estimator 'grpo' must be finite"),
        (dict(rewards=[[1, 0]], estimator="agrae", omega=2), "omega must be a mean reward"),
        (dict(rewards=[[1, 0]], estimator="grpo", mask=[[1, 2]]), "mask must hold 0 and 1"),
        (dict(rewards=[[1, 0]], estimator="opo", lengths=[[1, 0]]), "lengths must be positive"),
        (dict(rewards=[[1, 0]], estimator="opo", lengths=[1, 2, 3]), "shape of rewards"),
        (dict(rewards=[[1, 0]], estimator="passk", k=1.5), "whole number"),
        (dict(rewards=[[1, 0]], estimator="passk", k=3), "at most the group size"),
    ],
)
def test_bad_input_gets_one_sentence_that_names_it(arguments, message):
    with pytest.raises(InputError) as error:
        symtheory.advantages(**arguments)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_new_estimator_needs_one_registration_and_a_second_one_is_refused():
    def halve(a, g, op):
        """a / 2."""
        return a / 2

    estimators.register("half", halve)
    try:
        assert symtheory.advantages([[1, 0]], "half").tolist() == [[0.5, 0.0]]
        with pytest.raises(InputError, match="registered already"):
            estimators.register("half", halve)
    finally:
        _registry.pop("half")


@functools.cache
def under_jit():
    """Rewards, and the advantages of every estimator by name from one compiled program."""
    rewards, names = np.array([[1.0, 0, 1, 0], [0, 0, 0, 0]]), estimators.names("rewards")
    return rewards, jax.jit(lambda r: {name: symtheory.advantages(r, name) for name in names})(jnp.asarray(rewards))


@pytest.mark.parametrize("name", estimators.names("rewards"))
def test_every_estimator_runs_under_jit(name):
    rewards, traced = under_jit()
    np.testing.assert_allclose(traced[name], symtheory.advantages(rewards, name), rtol=1e-5, atol=1e-6)


def test_a_group_may_be_an_argument_of_a_jax_program():
    op, rewards = jax_ops(), jnp.array([[1.0, 0.0, 0.0, 1.0], [1.0, 1.0, 1.0, 0.0]])
    for name in ("agrae", "reinforce_pp", "two_stage"):  # each asks for statistics of the batch
        chain = estimators.get(name)
        inside = jax.jit(lambda group, chain=chain: chain(group, op))(make_group(op, rewards))
        np.testing.assert_allclose(inside, chain(make_group(op, rewards), op), rtol=1e-6)
