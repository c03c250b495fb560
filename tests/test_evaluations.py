"""Four evaluations of one definition: numpy, jax, torch, and without rounding, for every registered estimator.

Shapes are fixed, so that jax compiles each operation once; Hypothesis draws the rewards.
"""

import subprocess
import sys
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import symtheory
from symtheory import InputError, estimators
from symtheory.estimators.group import two_outcome_batch
from symtheory.ops import numpy_ops
from symtheory.theory.symbols import ROLLOUTS, exact_two_outcomes

SHAPE = (3, 4)
VALUES = {"binary": (0.0, 1.0), "unit": (0.0, 1.0, 0.5, 0.1, 0.7), "real": (0.0, 1.0, 0.5, 0.1, -1.0, 3.0)}


def arguments(name, draw):
    """Rewards `[3, 4]` that an estimator is defined for, and what else it may be given, as numpy arrays."""
    e, cells = estimators.get(name), SHAPE[0] * SHAPE[1]

    def table(values):
        return np.array(draw(st.lists(st.sampled_from(values), min_size=cells, max_size=cells))).reshape(SHAPE)

    mask = np.ones(SHAPE)
    mask[draw(st.integers(0, 2)), :: draw(st.sampled_from([2, 5]))] = 0 if "k" not in e.params else 1
    beside = {"mask": mask, "lengths": table((1.0, 2.0, 7.0))}
    if "logprobs" in e.needs:
        beside["logprobs"] = table((-0.1, -0.5, -2.0))
    if "rates" in e.needs:
        beside["rates"] = np.array([0.25, 0.5, 0.5, 1.0])
    return table(VALUES[e.rewards]), beside, draw(st.sampled_from([None, 0.0, 0.3, 1.0]))


def close(found, expected, tolerance):
    scale = max(1.0, np.abs(expected).max())
    np.testing.assert_allclose(np.asarray(found, float), expected, atol=tolerance * scale, rtol=0)


@pytest.mark.parametrize("name", estimators.names())
def test_torch_is_numpy_and_keeps_dtype_and_device(name):
    torch = pytest.importorskip("torch")

    @given(st.data())
    @settings(max_examples=15)
    def holds(data):
        rewards, beside, omega = arguments(name, data.draw)
        expected = symtheory.advantages(rewards, name, omega=omega, **beside)
        for dtype, tolerance in ((torch.float64, 1e-12), (torch.float32, 2e-4), (torch.bfloat16, 2e-2)):
            given_rewards = torch.tensor(rewards).to(dtype)
            if dtype == torch.bfloat16:  # rounds the rewards themselves, so compare with the same numbers
                expected = symtheory.advantages(given_rewards.double().numpy(), name, omega=omega, **beside)
            tensors = {k: torch.tensor(v) for k, v in beside.items()}
            a = symtheory.advantages(given_rewards, name, omega=omega, **tensors)
            assert (a.dtype, a.device, a.shape) == (dtype, given_rewards.device, given_rewards.shape)
            close(a.double().numpy(), expected, tolerance)

    holds()


@pytest.mark.parametrize("name", estimators.names())
def test_jax_is_numpy(name):
    @given(st.data())
    @settings(max_examples=5)
    def holds(data):
        rewards, beside, omega = arguments(name, data.draw)
        arrays = {k: jnp.asarray(v) for k, v in beside.items()}
        a = symtheory.advantages(jnp.asarray(rewards), name, omega=omega, **arrays)
        close(a, symtheory.advantages(rewards, name, omega=omega, **beside), 1e-12)

    holds()


@pytest.mark.parametrize("name", estimators.names("two_class"))
def test_arrays_are_the_code_run_without_rounding(name):
    e, op, size = estimators.get(name), numpy_ops(), 6
    correct = np.arange(size + 1.0)
    for w in (Fraction(1, 4), Fraction(7, 8)):
        batch = two_outcome_batch(op, np.array(float(ROLLOUTS * w)), np.array(float(ROLLOUTS)))
        arrays = np.stack(e.two_outcomes(correct, np.full(size + 1, float(size)), batch, op), -1)
        exact = [[float(a) for a in exact_two_outcomes(e, k, size, w)] for k in range(size + 1)]
        close(arrays, np.array(exact), 1e-12)


@pytest.mark.parametrize("name", estimators.names())
def test_groups_of_equal_rewards_are_finite_in_every_dtype_and_zero_where_declared(name):
    torch = pytest.importorskip("torch")
    e = estimators.get(name)
    for value in (0.0, 1.0) if e.rewards == "binary" else (0.0, 1.0, 0.1, 0.7):
        rewards, beside = np.full((2, 5), value), {}
        if "logprobs" in e.needs:
            beside = {"logprobs": np.full((2, 5), -0.5)}
        for dtype in (torch.float64, torch.float32, torch.float16, torch.bfloat16):
            tensors = {k: torch.tensor(v).to(dtype) for k, v in beside.items()}
            a = symtheory.advantages(torch.tensor(rewards).to(dtype), name, **tensors)
            assert torch.isfinite(a).all()
            assert "degenerate_zero" not in e.laws or (a.abs() <= 1e-6).all()
        for dtype in (jnp.float32, jnp.float16, jnp.bfloat16):
            a = symtheory.advantages(jnp.asarray(rewards, dtype), name, **beside)
            assert a.dtype == dtype
            assert jnp.isfinite(a).all()


def test_a_mask_a_list_or_another_dtype_beside_a_tensor_is_taken_along():
    torch = pytest.importorskip("torch")
    rewards = torch.tensor([[1.0, 0.0, 0.0, 9.0]])
    for mask in ([[1, 1, 1, 0]], np.array([[True, True, True, False]]), torch.tensor([[1, 1, 1, 0]])):
        a = symtheory.advantages(rewards, "grpo", mask=mask)
        np.testing.assert_allclose(a, [[np.sqrt(2), -np.sqrt(0.5), -np.sqrt(0.5), 0]], rtol=1e-6)
    assert symtheory.advantages(torch.tensor([[1, 0]]), "dr_grpo").dtype == torch.get_default_dtype()


def test_torch_is_not_imported_for_others():
    code = "import sys, symtheory; symtheory.advantages([[1, 0]], 'agrae'); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_several_rewards_are_summed_or_seen_one_by_one_in_every_library():
    torch = pytest.importorskip("torch")
    correct, short = np.array([[1.0, 0, 1, 0], [0, 0, 1, 0]]), np.array([[0.0, np.nan, 1, 0], [0.5, 0.2, 1, 0]])
    for name in ("gdpo", "grpo"):
        expected = symtheory.advantages(None, name, components=[correct, short], weights=[1, 0.5])
        for array in (torch.tensor, jnp.asarray):
            a = symtheory.advantages(None, name, components=[array(correct), array(short)], weights=[1, 0.5])
            close(a, expected, 1e-6)  # the weights come as single precision in torch
    unscored = symtheory.advantages(None, "grpo", components=[[[1.0, 0, np.nan]], [[1.0, np.nan, np.nan]]])
    np.testing.assert_allclose(unscored, [[1, -1, 0]])
    summed = symtheory.advantages(correct + 0.5 * np.nan_to_num(short), "grpo")
    np.testing.assert_allclose(
        symtheory.advantages(None, "grpo", components=[correct, short], weights=[1, 0.5]), summed
    )
    assert np.abs(symtheory.advantages(None, "gdpo", components=[correct, short]) - summed).max() > 0.1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(rewards=[[1, 0]], estimator="unlikeliness"), "'unlikeliness' needs logprobs"),
        (dict(rewards=None, estimator="gdpo"), "rewards must be given, or components"),
        (dict(rewards=[[1, 0]], estimator="gdpo", weights=[1]), "weights are those of the components"),
        (
            dict(rewards=None, estimator="gdpo", components=[[[1, 0]]], weights=[1, 2]),
            "one for each of the 1 components",
        ),
        (dict(rewards=[[1, 0]], estimator="gdpo", components=[[[1, 0, 0]]]), "must have the shape of rewards, (1, 2)"),
        (dict(rewards=[[1, 1j]], estimator="grpo"), "complex numbers have no order"),
        (
            dict(rewards=[[1, 0]], estimator="unlikeliness", logprobs=[-1, -2]),
            "logprobs must have the shape of rewards",
        ),
    ],
)
def test_what_does_not_fit_together_gets_one_sentence(arguments, message):
    with pytest.raises(InputError) as error:
        symtheory.advantages(**arguments)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_clipping_and_factors_compose_with_any_chain():
    from symtheory.estimators.grpo import center, scale_by_std
    from symtheory.estimators.links import clip, multiply, scale_by_floored_std

    rewards = np.array([[1.0] + [0.0] * 63])
    chain = estimators.chain(center, scale_by_std, clip, multiply, limit=5, factor=2)
    assert symtheory.advantages(rewards, chain)[0, 0] == 10
    assert symtheory.advantages(rewards, chain, limit=50)[0, 0] == pytest.approx(2 * np.sqrt(63))
    floored = estimators.chain(center, scale_by_floored_std, floor=0.5)
    np.testing.assert_allclose(symtheory.advantages([[1.0, 0, 0, 0]], floored), [[1.5, -0.5, -0.5, -0.5]])
    traced = jax.jit(lambda r: symtheory.advantages(r, chain))(jnp.asarray(rewards))
    np.testing.assert_allclose(traced[0, 0], 10)
