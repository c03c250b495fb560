"""The interference kernel against finite differences of training, in every world, and what is predicted from it."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from symtheory import InputError, estimators
from symtheory.dynamics import Update, advantage_of, expected, interference, mean_field, sampled
from symtheory.dynamics.sampled import State
from symtheory.metrics.passk import pass_at_k
from symtheory.transformer import model, task
from symtheory.transformer.world import TransformerWorld
from symtheory.worlds import make_bandit, make_tree

SUCCESS = np.array([0.02, 0.2, 0.5, 0.9])
SIZE = 8


@jax.jit
def bandits(key):
    return make_bandit(key, SUCCESS, trajectories=12, correct=3, features=5)


@jax.jit
def trees(key):
    return make_tree(key, SUCCESS, depth=3, branching=2, density=0.3, features=5)


def transformers():
    """Two disjoint sets of prompts of one small model in 64 bits."""
    asked = task.Congruence(base=4, moduli=(2, 4))
    everything = asked.prompts()
    config = model.ModelConfig(asked.vocab, everything.tokens.shape[1] + asked.length, 1, 8, 2, "float64")
    base = jax.tree.map(lambda x: 2 * x.astype(float), model.init(jax.random.key(0), config))
    return [TransformerWorld(base, task.pick(everything, jnp.arange(start, 8, 2)), config, asked) for start in (0, 1)]


kernel_of = jax.jit(interference.kernel, static_argnames=("entropy", "numbers"))
WORLDS = {
    "bandit": lambda: [bandits(jax.random.key(i)) for i in (0, 1)],
    "tree": lambda: [trees(jax.random.key(i)) for i in (0, 1)],
    "transformer": transformers,
}


@pytest.mark.parametrize("name", ["bandit", "tree", pytest.param("transformer", marks=pytest.mark.slow)])
def test_slopes_are_the_finite_differences_of_a_step_of_training(name):
    """Of a step with a fixed preconditioner, and of plain SGD, for which it is all ones."""
    trained, watched = WORLDS[name]()
    params, estimator = trained.init(), estimators.get("agrae")
    leaves, tree = jax.tree.flatten(params)
    uneven = tree.unflatten([np.exp(np.sin(np.arange(float(x.size)))).reshape(x.shape) for x in leaves])

    @jax.jit
    def step(rate, diagonal):
        use = interference.preconditioned(diagonal, rate)
        after = expected.step(State(params, use.init(params)), trained, estimator, use, SIZE).params
        passed = pass_at_k(watched.success(after)[:, None], jnp.array([1, 16])).mean(0)
        seen = jnp.array([*passed, watched.entropy(after).mean()])
        return seen, trained.success(after).mean(), jnp.concatenate([w.success(after) for w in (trained, watched)])

    @jax.jit
    def predicted(diagonal):
        kernel = interference.kernel(params, trained, watched, diagonal, entropy=True)
        weight = expected.slope(estimator, SIZE, kernel.trained)
        slopes = [interference.slope(kernel, weight, k) for k in (1, 16)] + [interference.entropy_slope(kernel, weight)]
        return slopes, jnp.concatenate([kernel.within, kernel.across]) @ (weight * trained.prompt_weight)

    for diagonal in (jax.tree.map(jnp.ones_like, params), uneven):
        (up, gain_up, high), (down, gain_down, low) = step(1e-5, diagonal), step(-1e-5, diagonal)
        measured = (up - down) / (gain_up - gain_down)
        slopes, moved = predicted(diagonal)
        assert np.allclose(slopes, measured, rtol=1e-6, atol=1e-6)
        assert np.allclose(moved, (high - low) / 2e-5, rtol=1e-6, atol=1e-6 * np.abs(moved).max())


def test_without_a_preconditioner_the_kernel_is_that_of_ones():
    trained, watched = WORLDS["tree"]()
    params = trained.init()
    plain = kernel_of(params, trained, watched)
    ones = kernel_of(params, trained, watched, jnp.ones_like(params))
    assert np.allclose(plain.across, ones.across, rtol=1e-12)


def test_block_by_block_the_kernel_is_the_same():
    trained, watched = WORLDS["bandit"]()
    whole = kernel_of(trained.init(), trained, watched, entropy=True)
    blocks = kernel_of(trained.init(), trained, watched, entropy=True, numbers=30)  # three prompts at a time
    assert all(np.allclose(a, b, atol=1e-15) for a, b in zip(whole, blocks, strict=True))


def test_the_kernel_of_one_population_is_symmetric_and_positive():
    world = bandits(jax.random.key(0))
    kernel = kernel_of(world.init(), world, world)
    assert np.allclose(kernel.within, kernel.within.T)
    assert np.allclose(kernel.within, kernel.across)
    assert np.linalg.eigvalsh(kernel.within).min() > -1e-12


def test_the_slope_is_the_mean_of_exchange_rates_weighted_by_focus():
    trained, watched = WORLDS["tree"]()

    @jax.jit
    def rates_and_slope(params):
        kernel = interference.kernel(params, trained, watched)
        weight = expected.slope(estimators.get("grpo"), SIZE, kernel.trained)
        share = weight * interference.progress(kernel)
        return interference.exchange_rate(kernel, 16), share, interference.slope(kernel, weight, 16)

    rho, share, slope = rates_and_slope(trained.init())
    assert np.isclose(np.average(rho, weights=share), slope)


@pytest.mark.slow
def test_the_transformer_runs_expected_steps_that_are_the_mean_of_sampled_ones():
    trained, watched = transformers()
    params, optimizer, runs = trained.init(), optax.sgd(0.001), 400
    advantage = advantage_of([estimators.get("grpo")], 0)

    @jax.jit
    @jax.vmap
    def run(key):
        state = State(params, optimizer.init(params))
        for each in jax.random.split(key, 3):
            state, _ = sampled.step(each, state, trained, advantage, optimizer, Update(SIZE))
        return jnp.concatenate([w.success(state.params) for w in (trained, watched)])

    success = np.asarray(run(jax.random.split(jax.random.key(1), runs)))
    both = lambda p: jnp.concatenate([w.success(p) for w in (trained, watched)])  # noqa: E731
    path = mean_field(trained, estimators.get("grpo"), optimizer, SIZE, observe=both, steps=3)[1]
    error = success.std(0, ddof=1) / np.sqrt(runs)
    assert (np.abs(success.mean(0) - path[-1]) < 4.5 * error).all()
    assert (np.abs(path[-1] - path[0]) > 10 * error).any()  # and the steps are large enough for that to say something


@pytest.mark.slow
def test_small_steps_of_the_mean_field_and_of_the_tangent_kernel_have_the_predicted_slope():
    trained, watched = WORLDS["bandit"]()
    params, estimator = trained.init(), estimators.get("hard_focused")
    kernel = interference.kernel(params, trained, watched)
    slope = float(interference.slope(kernel, expected.slope(estimator, SIZE, kernel.trained), 16))
    drift, _ = interference.drift(params, trained, watched, estimator, SIZE, gain=2e-5, steps=4)
    tangent = interference.tangent(kernel, estimator, SIZE, gain=2e-5, steps=4)
    for path in (drift, tangent):
        assert np.isclose(interference.gains(path, (16,), (1e-5,))[0, 0] / 1e-5, slope, rtol=1e-3)


@pytest.mark.slow
def test_the_clock_of_the_mean_field_is_training_progress_at_any_speed():
    trained, watched = WORLDS["tree"]()
    for name in ("positive_dominant", "negative_dominant"):
        path, time = interference.drift(trained.init(), trained, watched, estimators.get(name), SIZE, gain=0.1)
        assert abs(float(path.trained[-1].mean() - path.trained[0].mean()) - 0.1) < 0.02
        assert (np.diff(time) > 0).all()


@pytest.mark.slow
def test_adam_s_diagonal_is_the_inverse_root_of_the_second_moment():
    world = bandits(jax.random.key(0))
    params, advantage = world.init(), advantage_of([estimators.get("rloo")], 0)
    diagonal = interference.adam_diagonal(jax.random.key(1), world, params, advantage, SIZE, prompts=4, draws=4000)

    @jax.vmap
    def gradient(key):
        rollouts = world.sample(key, params, SIZE)
        return world.policy_gradient(params, rollouts, advantage(world.reward(rollouts)) / (4 * SIZE))

    second = (gradient(jax.random.split(jax.random.key(2), 4000)) ** 2).mean(0)
    assert np.allclose(diagonal, 1 / np.sqrt(second), rtol=0.1)


def test_the_noise_term_is_what_sampled_steps_change_beyond_the_mean_field():
    """Pass@16 of held-out prompts after one step; what is linear in a step's noise has mean 0 and is left out."""
    trained, watched = WORLDS["bandit"]()
    params, estimator, rate, draws = trained.init(), estimators.get("rloo"), 0.02, 2000
    advantage = advantage_of([estimator], 0)

    def passed(params):
        return pass_at_k(watched.success(params), 16)

    @jax.jit
    def changes(key, key_noise):
        mean = expected.gradient(params, trained, estimator, SIZE)
        after = params + rate * mean

        def beyond(key):
            drawn = interference.sampled_gradient(key, trained, params, advantage, SIZE, prompts=4)
            now, linear = jax.jvp(passed, (after,), (rate * (drawn - mean),))
            return passed(params + rate * drawn) - now - linear

        how = dict(rate=rate, prompts=4, draws=draws)
        noise = interference.noise(key_noise, params, trained, estimator, SIZE, passed, **how)
        return jax.lax.map(beyond, jax.random.split(key, draws), batch_size=500), noise

    beyond, noise = (np.asarray(x) for x in changes(jax.random.key(0), jax.random.key(1)))
    error = beyond.std(0, ddof=1) * np.sqrt(2 / draws)
    assert (np.abs(beyond.mean(0) - noise) < 4 * error + 0.05 * np.abs(noise)).all()
    assert (np.abs(noise) > 10 * error)[:2].all()  # and there is something to predict


def test_what_cannot_be_predicted_is_refused_in_one_sentence():
    trained, watched = WORLDS["bandit"]()
    kernel = kernel_of(trained.init(), trained, watched)
    nobody = kernel._replace(watched=kernel.watched[:0], across=kernel.across[:0])
    solved = kernel._replace(trained=jnp.ones(4), within=jnp.zeros((4, 4)))
    conflict = kernel._replace(within=-jnp.abs(kernel.within))
    for bad, words in ((nobody, "held-out prompt"), (solved, "not solved yet"), (conflict, "T(q) <= 0")):
        with pytest.raises(InputError, match=words.replace("(", r"\(").replace(")", r"\)")):
            interference.check(bad)
    with pytest.raises(InputError, match="the law needs a held-out prompt"):
        interference.kernel(trained.init(), trained, watched.take(jnp.arange(0)))
    with pytest.raises(InputError, match="entropy=True"):
        interference.entropy_slope(kernel, jnp.ones(4))
    assert np.isnan(interference.exchange_rate(conflict, 16)).all()


def test_a_path_that_stays_below_the_mark_has_no_gain_there():
    passed = np.array([0.1, 0.12, 0.11])
    assert np.isnan(interference.at_gain(passed, passed, 0.1))
    assert interference.at_gain(passed, np.array([0.0, 1.0, 2.0]), 0.01) == pytest.approx(0.5)
