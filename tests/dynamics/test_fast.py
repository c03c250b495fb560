"""Fast paths give what the plain ones give: thinned reading, devices, the counter key, the control variate."""

import os
import subprocess
import sys
from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy import stats

from symtheory import InputError, estimators
from symtheory.dynamics import Update, advantage_of, train
from symtheory.dynamics.control_variate import control_variate
from symtheory.dynamics.counter import counter_key
from symtheory.dynamics.devices import across_devices
from symtheory.worlds import make_bandit, make_tree
from symtheory.worlds.bandit import Bandit


@partial(jax.jit, static_argnames="stride")
def run(key, world, stride=1):
    """Twenty steps, and success and entropy as they are read."""
    return train(
        key,
        world,
        advantage_of([estimators.get("agrae")], 0),
        optax.sgd(0.5),
        Update(8),
        observe=lambda p: (world.success(p), world.entropy(p)),
        records=20 // stride,
        stride=stride,
    )


@jax.jit
def two_prompts(key):
    return make_bandit(key, [0.1, 0.5], trajectories=16, correct=3)


def test_a_thinned_run_is_read_at_the_steps_of_the_full_one(single_precision):
    w = two_prompts(jax.random.key(0))
    state, (success, _), batches = run(jax.random.key(1), w, stride=5)
    assert success.shape == (5, 2)
    np.testing.assert_allclose(success[0], [0.1, 0.5], rtol=1e-6)
    np.testing.assert_allclose(success[-1], jax.jit(w.success)(state.params), rtol=1e-6)
    assert batches.correct.shape == (4,)
    assert ((batches.correct >= 0) & (batches.correct <= 1)).all()


@pytest.mark.parametrize("width", [np.uint8, np.uint32, np.uint64])
def test_words_of_the_counter_key_are_uniform(width):
    words = np.asarray(jax.random.bits(counter_key(0), (1 << 18,), width))
    bits = (words[:, None] >> np.arange(words.itemsize * 8, dtype=width)) & width(1)
    z = (bits.mean(0) - 0.5) * 2 * np.sqrt(len(words))
    assert np.abs(z).max() < 5
    counts = np.bincount((words >> width(words.itemsize * 8 - 8)).astype(int), minlength=256)
    assert 1e-4 < stats.chisquare(counts).pvalue < 1 - 1e-4


def test_neighbouring_places_keys_and_seeds_are_uncorrelated():
    n = 1 << 17

    @jax.jit
    def drawn():
        uniform = partial(jax.random.uniform, dtype=jnp.float64)
        key = counter_key(5)
        children = jax.vmap(lambda k: uniform(k, (2,)))(jax.random.split(key, n))
        seeds = jax.vmap(lambda s: uniform(counter_key(s)))(jnp.arange(n))
        folds = jax.vmap(lambda s: uniform(jax.random.fold_in(key, s)))(jnp.arange(n))
        return uniform(key, (n,)), children, seeds, folds

    u, children, seeds, folds = (np.asarray(x) - 0.5 for x in drawn())
    rows = {f"lag {lag}": u[lag:] * u[:-lag] for lag in (1, 2, 3, 8, 64, 1024)}
    rows |= {"child": children[1:, 0] * children[:-1, 0], "within child": children[:, 0] * children[:, 1]}
    rows["child and parent"] = children[:, 0] * u
    rows |= {"seed": seeds[1:] * seeds[:-1], "fold": folds[1:] * folds[:-1]}
    for name, product in rows.items():
        assert abs(np.mean(product)) * 12 * np.sqrt(len(product)) < 5, name
    for name, sample in {"words": u, "children": children[:, 0], "seeds": seeds, "folds": folds}.items():
        assert stats.kstest(sample + 0.5, "uniform").pvalue > 1e-4, name


def test_pairs_of_counter_words_fill_the_square_evenly():
    u = np.asarray(jax.random.uniform(counter_key(9), (1 << 18, 2)))
    cells = (u * 32).astype(int)
    counts = np.bincount(cells[:, 0] * 32 + cells[:, 1], minlength=1024)
    assert 1e-4 < stats.chisquare(counts).pvalue < 1 - 1e-4


def test_training_with_the_counter_key_agrees_with_threefry(single_precision):
    w = jax.jit(lambda key: make_bandit(key, np.full(8192, 0.15), trajectories=16, correct=3))(jax.random.key(0))
    ends = [np.asarray(run(key(3), w)[1][0][-1], float) for key in (jax.random.key, counter_key)]
    error = np.sqrt(sum(e.var() / e.size for e in ends))
    assert abs(ends[0].mean() - ends[1].mean()) < 4 * error
    assert 0.9 < ends[0].std() / ends[1].std() < 1.1


def test_prompts_must_divide_among_devices_and_one_device_changes_nothing(single_precision):
    w = two_prompts(jax.random.key(0))
    plain, spread = (run(jax.random.key(1), x)[1][0] for x in (w, across_devices(w)))
    np.testing.assert_array_equal(plain, spread)


@pytest.mark.parametrize(("name", "success", "rate", "gain"), [("grpo", 0.10, 0.04, 20), ("rloo", 0.10, 0.16, 1.2)])
def test_the_control_variate_has_mean_zero_and_lowers_the_variance(name, success, rate, gain):

    @jax.jit
    def small_experiment(key_world, key):
        w = make_bandit(key_world, [success], trajectories=64, correct=8)
        return control_variate(key, w, estimators.get(name), 8, rate, steps=100, runs=2000)

    c = small_experiment(jax.random.key(0), jax.random.key(1))
    assert abs(c.variate.mean()) < 4 * c.variate.std() / np.sqrt(2000)
    assert (c.plain_error / c.error) ** 2 > gain
    assert abs(c.mean - c.plain_mean) < 4 * c.plain_error
    # forty small experiments out of the large one: the error that is stated must be the error there is
    success, variate = (np.asarray(x, float).reshape(40, 50) for x in (c.success, c.variate))
    slopes = [np.cov(v, s)[0, 1] / v.var(ddof=1) for v, s in zip(variate, success, strict=True)]
    means = success.mean(1) - slopes * variate.mean(1)
    assert 0.7 < means.std() / (c.error[0] * np.sqrt(2000 / 50)) < 1.4


@pytest.mark.slow
def test_the_control_variate_lowers_the_variance_on_trees():
    tree = make_tree(jax.random.key(0), [0.1], depth=3, branching=2)
    grpo = estimators.get("grpo")
    c = jax.jit(lambda key: control_variate(key, tree, grpo, 8, 0.05, steps=20, runs=400))(jax.random.key(1))
    assert (c.error < c.plain_error).all()


def test_a_control_variate_refuses_coupled_prompts_and_too_few_runs():
    w = Bandit(np.zeros((1, 4)), np.array([1]))
    shared = replace(w, features=np.zeros((1, 4, 2)))
    with pytest.raises(InputError, match="features"):
        control_variate(jax.random.key(1), shared, estimators.get("grpo"), 8, 0.1, steps=2, runs=4)
    with pytest.raises(InputError, match="agrae"):
        control_variate(jax.random.key(1), w, estimators.get("agrae"), 8, 0.1, steps=2, runs=4)
    with pytest.raises(InputError, match="runs"):
        control_variate(jax.random.key(1), w, estimators.get("grpo"), 8, 0.1, steps=2, runs=2)


FLAGS = os.environ["XLA_FLAGS"]  # of all tests, before one of them changes it
PROGRAM = """
import os
import numpy as np
from symtheory.dynamics import use_all_cores
use_all_cores()
import jax, optax
from symtheory import estimators
from symtheory.dynamics import Update, advantage_of, train
from symtheory.worlds import make_bandit
w = make_bandit(jax.random.key(0), [0.1, 0.5], trajectories=16, correct=3)
run = jax.jit(lambda key: train(key, w, advantage_of([estimators.get("grpo")], 0), optax.sgd(0.2), Update(8),
                                observe=w.success, records=3, stride=5)[1])
print(len(jax.devices()), np.asarray(run(jax.random.key(1))).tobytes().hex(), os.environ["XLA_FLAGS"])
"""


def test_all_cores_are_devices_unless_the_user_chose_and_the_numbers_are_the_same():
    ours = "--xla_cpu_enable_concurrency_optimized_scheduler=false --xla_disable_hlo_passes=cpu-parallel-task-assigner"
    chosen = f"{FLAGS} {ours.replace('false', 'true')} --xla_force_host_platform_device_count=3"
    said = []
    for flags in (FLAGS, chosen):
        environment = {**os.environ, "XLA_FLAGS": flags}
        done = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        said.append(done.stdout.strip().split(" ", 2))
    (own, numbers, flags), (users, same_numbers, users_flags) = said
    assert (own, flags) == (str(len(os.sched_getaffinity(0))), f"{FLAGS} {ours}")
    assert (users, users_flags) == ("3", chosen)
    assert numbers == same_numbers
