"""Predictions of a step: against finite differences of softmax policies, and exact where theory says so."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from symtheory import estimators
from symtheory.dynamics import advantage_of
from symtheory.dynamics.sampled import State
from symtheory.dynamics.theorem1 import log_prob_change
from symtheory.transformer import model, predict, task, train
from symtheory.worlds.bandit import Bandit


def test_theorem_1_is_the_policy_gradient_of_the_bandit():
    with jax.enable_x64(True):
        logits = jax.random.normal(jax.random.key(0), (2, 6), jnp.float64)
        world = Bandit(logits, jnp.array([2, 3]))
        rollouts = jnp.array([[0, 0, 3, 5], [1, 4, 4, 4]])
        weight = jnp.array([[1.0, 1.0, -0.4, -2.0], [3.0, -1.0, -1.0, -1.0]])
        pull = jnp.zeros((2, 6)).at[jnp.arange(2)[:, None], rollouts].add(weight)

        @jax.jit
        def both_roads(logits):
            direction = world.policy_gradient(logits, rollouts, weight)
            _, change = jax.jvp(lambda x: jax.nn.log_softmax(x, axis=-1), (logits,), (direction,))
            return log_prob_change(world.policy(logits), pull), change

        np.testing.assert_allclose(*both_roads(logits), atol=1e-12)


def test_the_token_tree_is_one_policy_gradient_step_of_softmax_nodes():
    with jax.enable_x64(True):
        rng = np.random.default_rng(1)
        nodes = [rng.normal(size=(2, 3**t, 3)) for t in range(3)]
        pull = rng.normal(size=(2, 27))

        @jax.jit
        def both_roads(nodes):
            def log_policy(nodes):
                return model.leaves([jax.nn.log_softmax(x, axis=-1) for x in nodes])

            direction = jax.grad(lambda nodes: (pull * log_policy(nodes)).sum())(nodes)
            _, change = jax.jvp(log_policy, (nodes,), (direction,))
            return predict.token_tree([jax.nn.log_softmax(x, axis=-1) for x in nodes], pull), change

        np.testing.assert_allclose(*both_roads(nodes), atol=1e-12)


def test_a_tree_of_one_level_is_theorem_1():
    level = jax.nn.log_softmax(jax.random.normal(jax.random.key(0), (2, 1, 5)), axis=-1)
    pull = jax.random.normal(jax.random.key(1), (2, 5))
    np.testing.assert_allclose(
        predict.token_tree([level], pull), log_prob_change(jnp.exp(level[:, 0]), pull), atol=1e-6
    )


@pytest.fixture(scope="module")
def agreement(tiny):
    asked, config, params = tiny
    updates = [train.Update(batch=2, mini_batches=1, optimizer=name) for name in ("sgd", "adam")]
    state = State(params, [u.make_optimizer().init(params) for u in updates])
    everything = asked.prompts()
    prompts, others = task.pick(everything, slice(2)), task.pick(everything, slice(2, 4))
    advantage = advantage_of([estimators.get("grpo")], jnp.asarray(0))
    rates = jnp.array([[1e-2, 30.0], [1e-4, 0.3]])

    @jax.jit
    def examined(key):
        return predict.one_step(key, state, config, asked, prompts, others, advantage, updates, rates)

    return examined(jax.random.key(5))


def test_the_tangent_kernel_is_exact_for_small_steps_and_not_for_large_ones(agreement):
    kernel = np.asarray(agreement.r2[:, :, predict.PREDICTORS.index("tangent_kernel")])
    assert (kernel[:, 0] > 0.999).all()
    assert (kernel[:, 1, 0] < 0.9).all()


def test_probabilities_still_sum_to_one_after_the_step(agreement):
    assert agreement.total.max() < 1e-6


def test_every_completion_is_in_one_of_the_sets(agreement):
    """Squared changes add up: n rms^2 over all is the sum over sampled correct, sampled wrong and unsampled."""
    assert (agreement.rms > 0).all()
    assert ((agreement.rose >= 0) & (agreement.rose <= 1)).all()
    low, high = agreement.rms[..., 2:].min(-1), agreement.rms[..., 2:].max(-1)
    assert ((agreement.rms[..., 0] >= low - 1e-7) & (agreement.rms[..., 0] <= high + 1e-7)).all()


def test_shared_parameters_move_prompts_outside_the_batch(agreement):
    """Theorem 1 has them stand still."""
    assert (agreement.bystanders > 0.01 * agreement.rms[..., 0]).all()


def test_a_perfect_prediction_explains_everything_and_an_orthogonal_one_nothing():
    change = jnp.array([[1.0, -1.0, 0.0, 0.0]])
    other = jnp.array([[0.0, 0.0, 1.0, 1.0]])
    everything = jnp.ones((5, 1, 4), bool)
    found = predict.compare(change, jnp.stack([3 * change, other]), change / 2, everything, other, jnp.array(0.0))
    np.testing.assert_allclose(found.r2[:, 0], [1, 0, 0.75])
