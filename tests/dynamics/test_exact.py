"""Two roads to every step: all groups enumerated, the closed expectation, and samples judged by standard errors."""

import functools
import itertools
import math
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import symtheory
from symtheory import estimators
from symtheory.dynamics import Update, advantage_of, expected, mean_field, sampled, train
from symtheory.dynamics.sampled import State
from symtheory.estimators.group import two_outcome_batch
from symtheory.ops import numpy_ops
from symtheory.testing.strategies import worlds
from symtheory.worlds import make_bandit
from symtheory.worlds.bandit import Bandit

SIZE = 3


COUNTED = [n for n in estimators.names("two_class") if not estimators.get(n).needs]
"""Estimators that see no more of the batch than the number of correct rollouts: their expectations are exact."""


def estimator(name):
    e = estimators.get(name)
    return e.with_params(k=2) if "k" in e.params else e


CHAINS = [estimator(name) for name in COUNTED]


@functools.cache
def world():
    """Two prompts with four trajectories each, so that every batch of two groups can be enumerated."""
    return Bandit(jax.random.normal(jax.random.key(0), (2, 4), float), jnp.array([1, 2]))


@functools.cache
def all_batches():
    groups = list(itertools.product(range(4), repeat=SIZE))
    return np.array([[a, b] for a in groups for b in groups])


def expectations(w, size):
    """The expected gradient of every estimator at the base policy, by name, in one program."""
    gradients = jax.jit(lambda w: [expected.gradient(w.init(), w, e, size, batch="exact") for e in CHAINS])(w)
    return dict(zip(COUNTED, gradients, strict=True))


@functools.cache
def gradients():
    """Name -> the exact expected gradient, and the one of each batch, weighed by its chance."""
    w, batches = world(), all_batches()
    policy = np.asarray(w.policy(w.init()))
    chance = np.prod([policy[q][batches[:, q]].prod(-1) for q in range(2)], axis=0)

    @jax.jit
    def enumerated(index):
        def gradient(rollouts):
            a = advantage_of(CHAINS, index)(w.reward(rollouts))
            return w.policy_gradient(w.init(), rollouts, a / SIZE)

        return jnp.tensordot(chance, jax.vmap(gradient)(jnp.asarray(batches)), axes=1)

    return {name: (exact, enumerated(i)) for i, (name, exact) in enumerate(expectations(w, SIZE).items())}


@pytest.mark.parametrize("name", COUNTED)
def test_expected_gradient_is_the_sum_over_all_batches(name):
    """E[g] = F'_G(P) grad P, also for estimators that couple prompts through omega."""
    expectation, enumerated = gradients()[name]
    np.testing.assert_allclose(expectation, enumerated, atol=1e-13)


@functools.cache
def steps():
    """(index of an estimator -> the changes of 20,000 sampled steps in 32 bits), and the exact mean changes by name."""
    made = jax.jit(lambda key: make_bandit(key, [0.15, 0.6], trajectories=32, correct=5))
    w, size = made(jax.random.key(1)), 8
    optimizer = optax.sgd(1.0)
    state = State(w.init(), optimizer.init(w.init()))

    @jax.jit
    def changes(index):
        def change(key):
            after, _ = sampled.step(key, state, w, advantage_of(CHAINS, index), optimizer, Update(size))
            return after.params - state.params

        return jax.vmap(change)(jax.random.split(jax.random.key(2), 20_000))

    with jax.enable_x64(True):
        exact_world = replace(w, logits=jnp.asarray(np.asarray(w.logits), float))
        return changes, expectations(exact_world, size)


@pytest.mark.parametrize("name", COUNTED)
def test_sampled_steps_average_to_the_expected_step(name, single_precision):
    """20,000 sampled steps of the simulators' own code, each coordinate within 5 standard errors of the exact mean."""
    sample, exact_by_name = steps()
    changes = np.asarray(sample(COUNTED.index(name)), dtype=np.float64)
    exact = np.asarray(exact_by_name[name])
    error = changes.std(0) / math.sqrt(len(changes))
    z = (changes.mean(0) - exact) / np.maximum(error, 1e-9)
    assert np.abs(z).max() < 5
    assert np.sqrt((z**2).mean()) < 1.6  # coordinates are correlated, so there is no lower bound to ask for


@pytest.mark.parametrize(("draws", "p"), [(0, [1.0, 0, 0]), (1, [0.0, 0.5, 0.5])])
def test_draws_never_land_on_a_trajectory_of_probability_zero(draws, p, single_precision):
    from symtheory.worlds.bandit import draw

    u = np.array([0.0, 1e-7, 0.5, 1 - 6e-8, 1.0 - 1e-7], np.float32)
    index = np.asarray(jax.jit(draw)(np.array(p, np.float32), u))
    assert (np.asarray(p)[index] > 0).all()


def test_draws_follow_the_policy_for_any_number_of_trajectories(single_precision):
    from scipy.stats import chisquare

    from symtheory.worlds.bandit import draw

    for n in (2, 15, 16, 17, 100):
        p = np.random.default_rng(n).dirichlet(np.full(n, 2.0)).astype(np.float32)
        drawn = jax.jit(lambda key, p=p: draw(p, jax.random.uniform(key, (100_000,))))(jax.random.key(5))
        counts = np.bincount(np.asarray(drawn), minlength=n)
        assert chisquare(counts, np.asarray(p, float) / np.asarray(p, float).sum() * counts.sum()).pvalue > 1e-4


@pytest.mark.parametrize("name", ["reinforce_pp_baseline", "two_stage"])
def test_whitening_is_expected_with_the_mean_spread_of_a_large_batch(name):
    """E[A (r - P)] = F' P (1 - P) over 1500 sampled batches of 64 prompts; the spread itself varies by O(1 / (P G))."""
    rng, size, success = np.random.default_rng(0), 8, np.linspace(0.05, 0.95, 64)
    rewards = (rng.random((1500, 64, size)) < success[:, None]).astype(float)
    a = np.stack([symtheory.advantages(r, name) for r in rewards])
    gain = (a * (rewards - success[:, None])).mean(-1) / (success * (1 - success))
    slopes = np.asarray(jax.jit(lambda p: expected.slope(estimators.get(name), size, p))(success))
    error = gain.std(0) / math.sqrt(len(gain))
    assert (np.abs(gain.mean(0) - slopes) < 5 * error + 0.01 * slopes).all()


def test_without_noise_every_estimator_moves_one_prompt_along_the_same_orbit():
    """Theory 3.1: for one prompt the expected flow has one curve in policy space, and only the clock differs.

    dh/dt = F'_G(P) grad P is integrated for every estimator from its own slopes, until P = 0.9; that takes times that
    differ by factors, and ends in one policy.
    """
    start = np.array([0.05, 0.25, 0.45, 0.15, 0.10])
    w, size = Bandit(jnp.log(jnp.asarray(start))[None], jnp.array([2])), 8
    gaps = jnp.stack([bernstein_coefficients(name, size) for name in estimators.names("two_class")])

    def slope(gap, h):
        return expected.binomial(size - 1, w.success(h)[0]) @ gap

    def advance(gap, h, dt):
        def flow(h):
            return slope(gap, h) * jax.grad(lambda h: w.success(h)[0])(h)

        a = flow(h)
        b = flow(h + dt / 2 * a)
        c = flow(h + dt / 2 * b)
        d = flow(h + dt * c)
        return h + dt / 6 * (a + 2 * b + 2 * c + d)

    def run(gap):
        def further(state):
            h, _, time = state
            dt = 0.02 / slope(gap, h)
            return advance(gap, h, dt), (h, dt), time + dt

        _, (h, dt), time = jax.lax.while_loop(
            lambda state: w.success(state[0])[0] < 0.9, further, (w.init(), (w.init(), jnp.asarray(0.0)), 0.0)
        )

        def halve(_, bracket):  # the last step overshot: find the level inside it
            middle = (bracket[0] + bracket[1]) / 2
            below = w.success(advance(gap, h, middle))[0] < 0.9
            return jnp.where(below, jnp.array([middle, bracket[1]]), jnp.array([bracket[0], middle]))

        low, _ = jax.lax.fori_loop(0, 50, halve, jnp.array([0.0, 1.0]) * dt)
        return w.policy(advance(gap, h, low))[0], time

    finals, times = jax.jit(lambda gaps: jax.lax.map(run, gaps))(gaps)
    np.testing.assert_allclose(finals[0], [0.0231217, 0.8768783, 0.0462374, 0.0300080, 0.0237546], atol=2e-7)
    np.testing.assert_allclose(finals, jnp.broadcast_to(finals[0], finals.shape), atol=1e-8)
    assert times.max() / times.min() > 5, "the clocks must differ, or this test says nothing"


def bernstein_coefficients(name, size):
    """A+(j+1) - A-(j) for j = 0..G-1, from the estimator's code on groups of a single-prompt batch."""
    op, e = numpy_ops(), estimators.get(name)
    j = np.arange(float(size))

    def two_outcomes(correct):
        batch = two_outcome_batch(op, correct[:, None], float(size))
        return e.two_outcomes(correct, np.full(size, float(size)), batch, op)

    return jnp.asarray(two_outcomes(j + 1)[0] - two_outcomes(j)[1])


def test_entropy_paths_of_different_estimators_coincide_at_equal_success_for_small_steps():
    """The null test on the running code: in the mean field of one prompt, entropy is a function of pass@1 alone."""
    w = jax.jit(lambda key: make_bandit(key, [0.1], trajectories=16, correct=3))(jax.random.key(0))
    paths = {}
    rates = {"grpo": 0.01, "positive_dominant": 0.002, "negative_dominant": 0.03, "hard_focused": 0.01}
    for name, rate in rates.items():
        _, path = mean_field(
            w,
            estimators.get(name),
            optax.sgd(rate),
            8,
            observe=lambda params: (w.success(params)[0], w.entropy(params)[0]),
            steps=3000,
        )
        paths[name] = np.asarray(path)
    grid = np.linspace(0.11, 0.5, 20)
    curves = {name: np.interp(grid, *path) for name, path in paths.items()}
    for name, curve in curves.items():
        np.testing.assert_allclose(curve, curves["grpo"], atol=2e-3, err_msg=name)  # Euler steps of different size


def two_arm_chain(z0, eta, size, steps, points=4001, low=-12.0, high=12.0):
    """Mean success of GRPO on one right and one wrong arm: an exact Markov chain of the logit gap on a grid.

    A group with K correct moves the gap by 2 eta sqrt(K (G - K)); the density is split linearly between grid points.
    """
    grid = np.linspace(low, high, points)
    p = 1 / (1 + np.exp(-grid))
    k = np.arange(size + 1)
    law = np.array([math.comb(size, j) for j in k]) * p[:, None] ** k * (1 - p[:, None]) ** (size - k)
    density = np.zeros(points)
    at = (z0 - low) / (grid[1] - grid[0])
    density[int(at)], density[int(at) + 1] = 1 - at % 1, at % 1
    moves = 2 * eta * np.sqrt(k * (size - k)) / (grid[1] - grid[0])
    for _ in range(steps):
        new = np.zeros(points)
        for j, move in zip(k, moves, strict=True):
            mass, whole, part = density * law[:, j], int(move), move % 1
            for shift, share in ((whole, 1 - part), (whole + 1, part)):
                new[shift:] += share * mass[: points - shift]
        density = new
    return density @ p


def test_sampled_runs_agree_with_an_exact_markov_chain_of_two_arms(single_precision):
    """An oracle that shares no code with the simulator; the mean field misses it by more than the sampling error."""
    z0, eta, size, steps, runs = -3.0, 0.02, 8, 100, 20_000
    exact = two_arm_chain(z0, eta, size, steps)
    w = Bandit(jnp.tile(jnp.asarray([z0, 0.0], jnp.float32), (runs, 1)), jnp.ones(runs, int))
    optimizer = optax.sgd(eta * size)  # the library's gradient is a mean over the group, the chain's a sum
    advantage = advantage_of([estimators.get("grpo")], 0)
    run = jax.jit(
        lambda key: train(key, w, advantage, optimizer, Update(size), observe=w.success, records=1, stride=steps)[1]
    )
    success = run(jax.random.key(3))
    final = np.asarray(success[-1], np.float64)
    error = final.std() / math.sqrt(runs)
    assert abs(final.mean() - exact) < 4 * error
    _, path = mean_field(
        Bandit(w.logits[:1], w.n_correct[:1]),
        estimators.get("grpo"),
        optimizer,
        size,
        observe=lambda params: jax.nn.sigmoid(params[0, 0] - params[0, 1]),
        steps=steps,
    )
    bias = float(path[-1]) - exact
    assert abs(bias) > 10 * error, "the mean field's bias is real, and this test must be able to see it"
    assert abs(bias) < 0.1


@pytest.mark.parametrize("name", ["grpo", "dr_grpo", "hard_focused", "maxrl"])
def test_zero_sum_estimators_never_lower_success_whatever_is_drawn(name):
    """Theory 4.1: sign-correct and zero-sum means P' >= P for every group and step size, in one tabular prompt."""
    rng = np.random.default_rng(0)
    policies = jnp.asarray(rng.normal(size=(4000, 6)) * 2)
    w = Bandit(policies, jnp.asarray(rng.integers(1, 5, 4000)))
    rollouts = jnp.asarray(rng.integers(0, 6, (4000, 5)))

    @jax.jit
    def gains(w):
        a = advantage_of([estimators.get(name)], 0)(w.reward(rollouts))
        gradient = w.policy_gradient(w.init(), rollouts, a)
        return [w.success(w.init() + eta * gradient) - w.success(w.init()) for eta in (0.1, 1.0, 5.0)]

    for gain in gains(w):
        assert (gain >= -1e-13).all()


@functools.partial(jax.jit, static_argnames="name")
def before_and_after(w, rollouts, name):
    """Success of the only prompt, and what a step on these rollouts makes of it."""
    a = advantage_of([estimators.get(name)], 0)(w.reward(rollouts))
    return w.success(w.init())[0], w.success(w.init() + w.policy_gradient(w.init(), rollouts, a))[0]


@given(worlds(), st.lists(st.integers(0, 4), min_size=4, max_size=4))
@settings(max_examples=60)
def test_no_group_lowers_success_under_grpo_in_any_world(w, group):
    before, after = before_and_after(w, np.array([group]), name="grpo")
    assert after >= before - 1e-12


def test_negative_dominant_can_lower_success():
    """The exact example of theory 4.2: P falls from 0.4 to 0.3527 where GRPO raises it to 0.5158."""
    w, rollouts = Bandit(np.log([[0.1, 0.1, 0.1, 0.1, 0.5, 0.1]]), np.array([4])), np.array([[0, 5]])
    names = ("grpo", "negative_dominant")
    before, after = ({n: float(before_and_after(w, rollouts, name=n)[i]) for n in names} for i in (0, 1))
    assert before["grpo"] == pytest.approx(0.4)
    assert after["grpo"] == pytest.approx(0.5158, abs=5e-5)
    assert after["negative_dominant"] == pytest.approx(0.3527, abs=5e-5)


def test_policy_gradient_is_the_gradient_of_the_weighted_log_probability():
    for features in (0, 7):

        @jax.jit
        def both_roads(key, features=features):
            w = make_bandit(key, [0.2, 0.7, 0.5], trajectories=12, correct=3, features=features)
            params = w.init() + 0.3
            rollouts = w.sample(jax.random.key(1), params, 6)
            weight = jax.random.normal(jax.random.key(2), rollouts.shape)
            by_autodiff = jax.grad(lambda p: (weight * w.log_prob(p, rollouts)).sum())(params)
            return w.policy_gradient(params, rollouts, weight), by_autodiff

        ours, by_autodiff = both_roads(jax.random.key(0))
        np.testing.assert_allclose(ours, by_autodiff, atol=1e-12)


def test_clipped_epochs_follow_the_gradient_of_the_clipped_objective():
    """Several epochs on one batch equal autodiff of min(ratio A, clip(ratio) A), Eq. 1 without KL."""
    optimizer, update = optax.sgd(3.0), Update(group_size=6, epochs=3, clip_low=0.2, clip_high=0.28)
    advantage = advantage_of([estimators.get("grpo")], 0)

    @jax.jit
    def both_roads(key):
        w = make_bandit(jax.random.key(0), [0.3, 0.6], trajectories=12, correct=3)
        after, _ = sampled.step(key, State(w.init(), optimizer.init(w.init())), w, advantage, optimizer, update)
        rollouts = w.sample(key, w.init(), 6)
        a, old = advantage(w.reward(rollouts)), w.log_prob(w.init(), rollouts)

        def ratio(params):
            return jnp.exp(w.log_prob(params, rollouts) - old)

        def objective(params):
            return (jnp.minimum(ratio(params) * a, jnp.clip(ratio(params), 0.8, 1.28) * a)).sum() / 6

        params = w.init()
        for _ in range(3):
            params = params + 3.0 * jax.grad(objective)(params)
        return after.params, params, ratio(params)

    ours, by_autodiff, ratio = both_roads(jax.random.key(4))
    np.testing.assert_allclose(ours, by_autodiff, atol=1e-10)
    assert float(jnp.abs(ratio - 1).max()) > 0.28, "clipping must have acted"


def test_filtering_gives_the_weight_of_dead_groups_to_the_others():
    rewards = np.array([[1.0, 0, 1, 0], [0, 0, 0, 0], [1, 1, 1, 1], [1, 0, 0, 0]])
    plain = jax.jit(advantage_of([estimators.get("dapo")], 0))(rewards)
    filtered = jax.jit(advantage_of([estimators.get("dapo")], 0, True))(rewards)
    np.testing.assert_allclose(filtered, 2 * plain)
