"""The numbers behind the apps: what their texts claim is what the charts show."""

import jax
import numpy as np
import pytest

from symtheory.apps import difficulty, one_step
from symtheory.apps import plane as point
from symtheory.errors import InputError
from symtheory.metrics.plane import Position

NAMES = ("grpo", "positive_dominant", "negative_dominant", "easy_focused", "hard_focused")
PARAMS = {"beta": 10.0, "alpha": 1.0}


@pytest.fixture(autouse=True)
def apps_run_in_single_precision(single_precision):
    """As the apps do."""


def run(sharing, prompts, shift=0.0, names=NAMES, world=0):
    setting = difficulty.Setting(sharing, "sgd")
    success = difficulty.population(prompts, shift, setting.prompts)
    return difficulty.expected(setting, success, names, difficulty.RATES[sharing, "sgd"], PARAMS, world)


def passed(paths, population="train", k=1):
    return paths.pass_at_k.sel(population=population, k=k).isel(seed=0)


def points(paths, at, name, k, population):
    return 100 * float(difficulty.gain(paths, at).pass_at_k.sel(estimator=name, k=k, population=population)[0])


def test_hard_prompts_put_hard_focused_first_and_easy_ones_easy_focused():
    hard, easy = (passed(run("independent", difficulty.ONE, shift)).isel(record=40) for shift in (-3, 3))
    order = ["hard_focused", "grpo", "easy_focused"]
    assert (np.diff(hard.sel(estimator=order)) < 0).all()
    assert (np.diff(easy.sel(estimator=order)) > 0).all()


def test_one_difficulty_is_one_orbit_and_a_mixture_is_not():
    assert difficulty.orbit_distance(run("independent", difficulty.ONE, -2)) < 0.01
    assert difficulty.orbit_distance(run("independent", "MATH, Qwen2.5-Math-7B")) > 0.1


def test_training_raises_success_on_the_training_prompts():
    """Also a check that populations are not swapped: jax sorts the keys of a dict."""
    paths = passed(run("shared", "MATH, Qwen2.5-Math-7B", names=("grpo",)))
    assert float(paths.sel(estimator="grpo")[-1] - paths.sel(estimator="grpo")[0]) > 0.1


def test_most_of_what_asymmetry_does_to_math_is_speed():
    paths = run("independent", "MATH, Qwen2.5-Math-7B")
    assert points(paths, "equal steps", "positive_dominant", 1, "train") > 1
    assert -9 < points(paths, "equal steps", "negative_dominant", 1, "train") < -6
    left = [points(paths, "equal progress", "negative_dominant", k, "train") for k in (1, 4, 16, 256)]
    assert -3 < min(left) < -1


def test_shared_parameters_overtrain_and_the_slower_estimator_gains_at_equal_steps_only():
    names = ("grpo", "negative_dominant")
    worlds = [run("shared", "MATH, Qwen2.5-Math-7B", names=names, world=w) for w in range(8)]
    first = passed(worlds[0], "held_out").sel(estimator="grpo")
    assert float(first.max()) > float(first[0]) + 0.01
    assert float(first[-1]) < float(first.max()) - 0.03
    far = passed(worlds[0], "held_out", 256).sel(estimator="grpo")
    assert float(far[-1]) < float(far[0])
    at_steps = [points(w, "equal steps", "negative_dominant", 1, "held_out") for w in worlds]
    at_progress = [points(w, "equal progress", "negative_dominant", 16, "held_out") for w in worlds]
    assert at_steps[0] > 0
    assert sum(x > 0 for x in at_steps) >= 6
    assert sum(x < 0 for x in at_progress) >= 6


@pytest.mark.slow
def test_the_mean_of_sampled_runs_is_near_the_mean_field_where_steps_are_small():
    setting = difficulty.Setting("independent", "sgd", prompts=8, steps=40)
    success = difficulty.population(difficulty.ONE, 0.0, setting.prompts)
    field = passed(difficulty.expected(setting, success, ("grpo",), 0.05, PARAMS)).isel(estimator=0)
    sampled = difficulty.sampled(setting, success, ("grpo",), 0.05, PARAMS, seeds=range(8))
    runs = [passed(one).isel(estimator=0) for one in sampled]
    mean, error = np.mean(runs, axis=0), np.std(runs, axis=0) / np.sqrt(len(runs))
    assert (abs(mean - field) < 5 * error + 0.01).all()
    assert (error[1:] > 0).all()


def test_an_unknown_population_is_named_with_the_nearest():
    with pytest.raises(InputError, match=r"Did you mean 'MATH, Qwen2\.5-Math-7B'"):
        difficulty.population("MATH, Qwen2.5-Math", 0.0, 4)


@pytest.mark.parametrize(
    ("asymmetry", "success", "helps"), [(-0.8, 0.1, 0), (-0.8, 0.8, 1), (0.8, 0.1, 1), (0.8, 0.8, 0)]
)
def test_asymmetry_helps_on_one_side_of_one_half_and_hurts_on_the_other(asymmetry, success, helps):
    paths = point.training(Position(asymmetry, 0.0), success, 8)
    end = passed(paths).isel(record=20)
    assert (float(end.sel(estimator="plane")) > float(end.sel(estimator="grpo"))) == bool(helps)


def test_on_the_axis_of_asymmetry_the_expected_step_is_grpos_times_one_plus_a_of_one_minus_two_p():
    from symtheory import estimators
    from symtheory.dynamics.expected import slope
    from symtheory.estimators.plane import PLANE

    p = np.array([0.1, 0.5, 0.8])
    member, grpo = PLANE.with_params(asymmetry=-0.6), estimators.get("grpo")
    ratio = jax.jit(lambda p: slope(member, 8, p) / slope(grpo, 8, p))(p)
    np.testing.assert_allclose(ratio, 1 - 0.6 * (1 - 2 * p), rtol=1e-5)


def test_the_member_of_the_plane_lies_where_it_is_asked_to():
    from symtheory.estimators.plane import PLANE
    from symtheory.metrics.plane import place

    here = place(PLANE, 8, **point.member(Position(-0.4, 0.2), 8))
    np.testing.assert_allclose(here, (-0.4, 0.2), atol=1e-3)


RIGHT = np.isin(np.arange(12), (1, 4, 7, 8))


def step(estimator, eta=0.2, concentration=0.8, seed=2):
    policy = one_step.policy(12, concentration)
    return one_step.step(policy, RIGHT, one_step.draw(seed, policy, 8), estimator, eta)


@pytest.mark.parametrize("estimator", ["grpo", "negative_dominant", "raft", "agrae"])
@pytest.mark.parametrize("eta", [0.02, 2.0])
def test_theorem_1_with_multiplicities_is_the_gradient_step_at_any_size(estimator, eta):
    result = step(estimator, eta)
    assert int(result["count"].max()) > 1  # a behaviour drawn twice is where the printed indicator form fails
    np.testing.assert_allclose(result.logit_measured, result.logit_predicted, atol=2e-6 * max(1, eta))


def test_the_first_order_of_log_probabilities_fails_for_large_steps_only():
    gap = [
        float(abs(r.log_prob_measured - r.log_prob_predicted).max()) for r in (step("grpo", 0.02), step("grpo", 2.0))
    ]
    assert gap[0] < 0.003
    assert gap[1] > 0.3


def test_grpo_moves_undrawn_probabilities_by_one_factor_and_their_logits_not_at_all():
    result = step("grpo")
    unseen = result["count"].values == 0
    np.testing.assert_allclose(result.logit_measured.values[unseen], 0, atol=1e-6)
    moved = result.log_prob_measured.values[unseen]
    assert np.ptp(moved) < 1e-6 < abs(moved[0])


def test_negative_dominant_raises_undrawn_logits_most_where_they_are_likely():
    result = step("negative_dominant")
    unseen = result["count"].values == 0
    logits = result.logit_measured.values[unseen]
    assert (logits > 0).all()
    assert (np.diff(logits) < 0).all()  # behaviours are ordered by their probability


@pytest.mark.parametrize("seed", range(2, 7))
def test_with_a_likely_right_answer_negative_dominant_lowers_rare_undrawn_probabilities_and_raises_their_logits(seed):
    right, policy = RIGHT | (np.arange(12) == 0), one_step.policy(12, 0.8)
    result = one_step.step(policy, right, one_step.draw(seed, policy, 8), "negative_dominant", 0.2)
    rare = (result["count"].values == 0) & (np.arange(12) >= 6)
    assert rare.any()
    assert (result.logit_measured.values[rare] > 0).all()
    assert (result.log_prob_measured.values[rare] < 0).all()


def test_a_group_of_one_is_refused():
    with pytest.raises(InputError, match="at least two behaviours"):
        one_step.step(one_step.policy(3, 0), RIGHT[:3], np.array([1]), "grpo", 0.1)
