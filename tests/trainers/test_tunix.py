"""Tunix's function registry holds every estimator, over jax arrays."""

import pytest

pytest.importorskip("tunix", reason="runs where Tunix is installed, see docs/trainers.md")

import jax
import jax.numpy as jnp
import numpy as np
from tunix.rl import algo_core, function_registry
from tunix.rl.grpo.grpo_learner import GRPOConfig

import symtheory
import symtheory.trainers.tunix as ours
from symtheory import InputError, estimators
from symtheory.trainers.monitor import Monitor

REWARDS = np.array([1.0, 0, 0, 1, 0, 0, 0, 1, 1, 1, 1, 1], np.float32)
assert algo_core


def test_importing_the_module_registers_every_estimator():
    known = function_registry.default_registry.list_functions("advantage_estimator")
    assert {f"symtheory/{name}" for name in estimators.names()} <= set(known)


@pytest.mark.parametrize(("name", "theirs"), [("grpo_ddof1", "grpo"), ("rloo", "rloo"), ("dr_grpo", "drgrpo")])
def test_ours_equals_tunixs_own_function(name, theirs):
    expected = function_registry.get_advantage_estimator(theirs)(rewards=REWARDS, num_generations=4)
    found = function_registry.get_advantage_estimator(f"symtheory/{name}")(rewards=REWARDS, num_generations=4)
    assert isinstance(found, jax.Array)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", estimators.names("rewards"))
def test_every_estimator_gives_its_advantages(name):
    f = function_registry.get_advantage_estimator(f"symtheory/{name}")
    found = f(rewards=jnp.asarray(REWARDS), num_generations=4)
    expected = symtheory.advantages(REWARDS.reshape(-1, 4), name).ravel()
    np.testing.assert_allclose(found, expected, rtol=2e-5, atol=1e-5)


def test_a_config_takes_the_name_and_parameters_take_a_name_of_their_own():
    config = GRPOConfig(num_generations=4, advantage_estimator="symtheory/agrae")
    assert function_registry.get_advantage_estimator(config.advantage_estimator)
    half = ours.register("agrae_half", "agrae", alpha=0.5)
    assert function_registry.get_advantage_estimator("agrae_half") is half
    expected = symtheory.advantages(REWARDS.reshape(-1, 4), "agrae", alpha=0.5).ravel()
    np.testing.assert_allclose(half(REWARDS, 4), expected, rtol=2e-5, atol=1e-5)


def test_the_monitor_is_one_of_the_learners_metric_functions():
    observe = ours.metrics(Monitor(), 4, "rloo")
    a = function_registry.get_advantage_estimator("symtheory/rloo")(REWARDS, 4)
    found = observe(prompts=["x"] * 12, completions=["y"] * 12, rewards=REWARDS, advantages=a)
    value, reduce = found["symtheory/dead_groups"]
    assert value == pytest.approx(1 / 3)
    assert reduce is np.mean


@pytest.mark.parametrize(
    ("rewards", "size", "message"),
    [
        (REWARDS, 5, "12 rollouts do not form groups of 5"),
        (REWARDS, 1, "needs at least 2 rollouts a prompt"),
        (REWARDS.astype(int), 4, "flat array of floats, got int"),
    ],
)
def test_what_it_cannot_use_gets_one_sentence(rewards, size, message):
    with pytest.raises(InputError, match=message):
        function_registry.get_advantage_estimator("symtheory/agrae")(rewards=rewards, num_generations=size)


def test_an_unknown_name_is_refused_when_it_is_registered():
    with pytest.raises(InputError, match="Did you mean 'agrae'"):
        ours.register("mine", "agra")
