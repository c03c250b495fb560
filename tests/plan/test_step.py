"""A planned step against enumeration, against the theory, and against sampled steps of the bandit."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from symtheory import InputError, estimators
from symtheory.dynamics import expected
from symtheory.dynamics.sampled import advantage_of
from symtheory.metrics import expected_slope
from symtheory.plan import exact_population
from symtheory.plan.population import binomial
from symtheory.plan.report import plan
from symtheory.plan.step import live, slope, step
from symtheory.theory.moments import second_moment
from symtheory.worlds.bandit import Bandit

TWO = exact_population([0.2, 0.7])
COUNTED = [e for e in map(estimators.get, estimators.names("two_class")) if not e.needs]
NAMES = [e.name for e in COUNTED if e.min_size <= 2 and "k" not in e.params]


def every_step(name, population, size, groups, mixed=False):
    """Chance, step along the logit and sum of squares of every outcome of a step, by writing all of them out."""
    p, w = population.success, population.weight
    for bits in itertools.product((0.0, 1.0), repeat=size * groups):
        r = np.reshape(bits, (groups, size))
        if mixed and (np.ptp(r, axis=1) == 0).any():
            continue
        a = estimators.advantages(r, name)
        for questions in itertools.product(range(len(p)), repeat=groups):
            q = p[list(questions)]
            chance = np.prod(w[list(questions)]) * np.prod(np.where(r > 0, q[:, None], 1 - q[:, None]))
            yield chance, float((a * (r - q[:, None])).mean()), float((a**2).sum()) / r.size**2


@pytest.mark.parametrize("name", NAMES)
def test_a_step_is_the_sum_over_all_its_outcomes(name):
    chance, value, squares = np.array(list(every_step(name, TWO, 3, 2))).T
    found = step(estimators.get(name), 3, TWO, 2)
    assert chance.sum() == pytest.approx(1)
    assert found.mean == pytest.approx(chance @ value, abs=1e-12)
    assert found.variance == pytest.approx(chance @ value**2 - (chance @ value) ** 2, abs=1e-12)
    assert found.own == pytest.approx(chance @ squares, abs=1e-12)


@pytest.mark.parametrize("name", ["grpo", "agrae", "reinforce"])
def test_a_step_of_live_groups_is_the_conditional_law(name):
    chance, value, squares = np.array(list(every_step(name, TWO, 3, 2, mixed=True))).T
    found = step(estimators.get(name), 3, TWO, 2, keep=np.array([0, 1, 1, 0]))
    assert found.kept == pytest.approx(chance.sum() ** 0.5)  # two groups, each live on its own
    chance = chance / chance.sum()
    assert found.mean == pytest.approx(chance @ value, abs=1e-12)
    assert found.variance == pytest.approx(chance @ value**2 - (chance @ value) ** 2, abs=1e-12)
    assert found.own == pytest.approx(chance @ squares, abs=1e-12)


@pytest.mark.parametrize("name", ["grpo", "rloo", "hard_focused", "negative_dominant", "maxrl"])
@pytest.mark.parametrize("size", [2, 8, 64])
def test_the_slope_is_that_of_the_master_theorem(name, size):
    p = np.array([0.0, 1e-6, 0.1, 0.5, 0.9, 1.0])
    found = slope(estimators.get(name), size, p, TWO, 4)
    assert found == pytest.approx(expected_slope(name, size, p), rel=1e-11)


def test_the_slope_of_a_coupled_estimator_is_that_of_the_exact_batch():
    population, agrae = exact_population([0.3]), estimators.get("agrae")
    exact = jax.jit(lambda p: expected.slope(agrae, 4, p, batch="exact"))(jnp.full(3, 0.3))
    found = slope(agrae, 4, np.array([0.3]), population, 3)
    assert found[0] == pytest.approx(float(exact[0]), rel=1e-5)  # jax in single precision


def test_the_noise_of_a_step_is_that_of_a_policy_whose_answers_all_differ():
    """For N equally likely answers a class the second moment of the master policy is G^2 own, up to order G / N."""
    half = 4000
    policy, correct = np.repeat([0.3 / half, 0.7 / half], half), np.repeat([1, 0], half)
    for name in ("grpo", "rloo"):
        exact = second_moment(name, 8, policy, correct) / 64
        assert step(estimators.get(name), 8, exact_population([0.3]), 1).own == pytest.approx(exact, rel=3e-3)


def test_the_bandit_moves_as_planned():
    """Steps of a bandit whose questions share one logit, sampled: live groups, mean, variance and noise of a step."""
    size, groups, runs = 8, 16, 8_000
    population = exact_population([0.02, 0.1, 0.5, 0.9])
    features = jnp.broadcast_to(jnp.array([[1.0], [0.0]]), (groups, 2, 1))
    advantage = advantage_of([estimators.get("grpo")], 0)

    def one(key):
        key_question, key_rollouts = jax.random.split(key)
        p = jax.random.choice(key_question, jnp.asarray(population.success, jnp.float32), (groups,))
        world = Bandit(jnp.log(jnp.stack([p, 1 - p], -1)), jnp.ones(groups, int), features)
        rollouts = world.sample(key_rollouts, world.init(), size)
        rewards = world.reward(rollouts)
        a = advantage(rewards)
        moved = world.policy_gradient(world.init(), rollouts, a * world.prompt_weight / size)[0]
        mixed = (rewards.max(-1) != rewards.min(-1)).mean()
        return jnp.array([mixed, moved, (a**2).sum() / (size * groups) ** 2])

    drawn = np.asarray(jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(3), runs)), float)
    mean, error = drawn.mean(0), drawn.std(0) / runs**0.5
    found = step(estimators.get("grpo"), size, population, groups)
    planned = np.array([population.mean(live(size, population.success)), found.mean, found.own])
    assert (np.abs(mean - planned) < 4 * error).all()
    assert found.variance == pytest.approx(drawn[:, 1].var(), rel=4 * (2 / runs) ** 0.5)


def test_gain_is_what_a_question_with_its_own_logit_gains():
    """To first order a bandit of two answers gains eta F'(P) |grad P|^2, and |grad P|^2 = 2 P^2 (1 - P)^2."""
    p = np.array([0.1, 0.6])
    world = Bandit(jnp.log(jnp.stack([p, 1 - p], -1)), jnp.ones(2, int))
    logits = world.init()

    @jax.jit
    def gained(logits):
        moved = expected.gradient(logits, world, estimators.get("grpo"), 8)
        return jax.jvp(world.success, (logits,), (moved,))[1]

    gains = gained(logits)
    report = plan(exact_population(p), group_sizes=(8,), estimators=("grpo",))
    assert report["group_sizes"][0]["estimators"]["grpo"]["gain"] == pytest.approx(float(gains.mean()) / 2, rel=1e-5)


def test_dynamic_sampling_changes_no_signal_to_noise_for_the_same_rollouts():
    report = plan(exact_population([0.01, 0.3, 0.9]), estimators=("grpo", "rloo", "reinforce"))
    for size in report["group_sizes"]:
        for name in ("grpo", "rloo"):
            found = size["estimators"][name]["dynamic_sampling"]
            assert found["signal_to_noise_ratio_for_the_same_rollouts"] == pytest.approx(1, abs=1e-9)
            assert found["rollouts_ratio"] == pytest.approx(1 / size["live"])


def test_a_filter_that_keeps_all_changes_nothing_and_one_that_keeps_no_signal_says_so():
    everything = plan(exact_population([0.1, 0.6]), keep=(0, 1), group_sizes=(2,))["group_sizes"][0]["estimators"][
        "grpo"
    ]["filter"]
    assert everything == pytest.approx(
        {"gain_lost": 0, "gain_lost_range": None, "gain_ratio": 1, "signal_to_noise_ratio": 1}
    )
    nothing = plan(exact_population([0.05, 0.95]), group_sizes=(2,))["group_sizes"][0]["estimators"]["grpo"]["filter"]
    assert (nothing["gain_lost"], nothing["gain_ratio"]) == (pytest.approx(1), None)


def test_without_normalisation_the_noise_is_least_for_large_groups():
    """sum |A|^2 of Dr.GRPO is (G-1) p (1-p) in the mean, so that signal to noise is B (1 - 1/G) E p (1-p)."""
    population = exact_population([0.05, 0.4, 0.8])
    spread = population.mean(population.success * (1 - population.success))
    for size in (2, 16, 64):
        found = step(estimators.get("dr_grpo"), size, population, 1024 // size)
        assert found.signal_to_noise == pytest.approx(1024 * (1 - 1 / size) * spread, rel=1e-10)


def test_binomial_probabilities_sum_to_one_and_are_exact_at_the_ends():
    p = np.array([0.0, 1e-12, 0.5, 1 - 1e-12, 1.0])
    law = binomial(300, p)
    assert law.sum(-1) == pytest.approx(1)
    assert law[0, 0] == law[-1, -1] == 1
    assert law @ np.arange(301) == pytest.approx(300 * p, abs=1e-9)


def test_a_group_too_small_for_an_estimator_is_named():
    with pytest.raises(InputError, match="at least 4 for estimator 'passk', got 2"):
        step(estimators.get("passk"), 2, TWO, 4)
    undefined = plan(TWO, group_sizes=(2,), estimators=("grpo", "passk"))["group_sizes"][0]["estimators"]["passk"]
    assert "at least 4" in undefined["undefined"]


def sampled_steps(name, size, groups, success, accepted, times, seed):
    """[times, 4] step along the shared logit, gain, noise and rollouts drawn, of sampled steps of accepted groups."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(times):
        p, r, drawn = np.zeros(0), np.zeros((0, size)), 0
        while len(p) < groups:  # group after group, as dynamic sampling draws them
            q = rng.choice(success)
            rewards = (rng.random(size) < q).astype(float)
            drawn += size
            if accepted(rewards.mean()):
                p, r = np.append(p, q), np.vstack([r, rewards])
        a = estimators.advantages(r, name)
        h = (a * (r - p[:, None])).mean(1)
        found.append((h.mean(), (h * p * (1 - p)).mean(), (a**2).sum() / r.size**2, drawn))
    return np.array(found)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["grpo", "dr_grpo", "hard_focused", "agrae"])
@pytest.mark.parametrize("size", [4, 8])
def test_every_number_of_a_plan_is_that_of_sampled_steps(name, size):
    """Each within 4.5 standard errors; a ratio within those of its two parts."""
    success, low, high, groups, times = np.array([0.05, 0.3, 0.6, 0.9]), 0.2, 0.8, 12, 4000
    report = plan(
        exact_population(success), group_size=size, group_sizes=(size,), rollouts=size * groups, estimators=(name,)
    )
    at = report["group_sizes"][0]
    planned = at["estimators"][name]
    inside = success[(success >= low) & (success <= high)]

    def sample(questions, accepted, seed):
        steps = sampled_steps(name, size, groups, questions, accepted, times, seed)
        return steps.mean(0), steps.std(0, ddof=1) / times**0.5, steps

    def close(value, mean, error):
        assert abs(value - mean) < 4.5 * error + 1e-12, (value, mean, error)

    def close_ratio(value, over, under, column):
        ratio = over[0][column] / under[0][column]
        errors = [x[1][column] / x[0][column] for x in (over, under)]
        close(value, ratio, abs(ratio) * float(np.hypot(*errors)))

    def signal_to_noise(found):
        (step_, _, noise, _), (step_error, _, noise_error, _), _ = found
        return step_**2 / noise, float(np.hypot(2 * step_error / step_, noise_error / noise))

    def close_quality(value, over, under):
        (a, ea), (b, eb) = signal_to_noise(over), signal_to_noise(under)
        close(value, a / b, a / b * float(np.hypot(ea, eb)))

    now = sample(success, lambda rate: True, 1)
    close(planned["signal"], now[0][0], now[1][0])
    close(planned["gain"], now[0][1], now[1][1])
    value, relative = signal_to_noise(now)
    close(planned["signal_to_noise"], value, value * relative)
    variance = now[2][:, 0].var(ddof=1)
    close(planned["variance"], variance, variance * (3 / times) ** 0.5)
    live_only = sample(success, lambda rate: 0 < rate < 1, 2)
    close(at["rollouts_for_a_full_step"], live_only[0][3], live_only[1][3])
    close(1 / at["live"], live_only[0][3] / (size * groups), live_only[1][3] / (size * groups))
    close(at["wasted_rollouts"], 1 - at["live"], 0)
    sampling = planned["dynamic_sampling"]
    close_ratio(sampling["step_ratio"], live_only, now, 0)
    close_quality(sampling["signal_to_noise_ratio"], live_only, now)
    kept = sample(inside, lambda rate: True, 3)
    close_ratio(planned["filter"]["gain_ratio"], kept, now, 1)
    close_quality(planned["filter"]["signal_to_noise_ratio"], kept, now)
    rated = sample(success, lambda rate: low <= rate <= high, 4)
    close(1 / at["kept_by_filter"]["groups"], rated[0][3] / (size * groups), rated[1][3] / (size * groups))
    close_ratio(planned["filter_on_group"]["step_ratio"], rated, now, 0)
    close_quality(planned["filter_on_group"]["signal_to_noise_ratio"], rated, now)
