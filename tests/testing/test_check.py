"""The checker finds what is wrong, says so with few rewards, and survives callables that misbehave."""

import dataclasses
import functools
import time

import numpy as np
import pytest

from symtheory import InputError, estimators
from symtheory.testing import as_target, assert_laws, check_estimator, invariants, load
from symtheory.testing.evidence import as_test
from symtheory.testing.invariants import INVARIANTS
from symtheory.testing.stock import small_batches

from . import callables, wild_jax

FAULTS = {
    callables.mean_with_ddof: {"zero_sum", "shift", "duplication"},
    callables.std_with_ddof_minus_one: {"l2_bound", "l1_bound", "duplication"},
    callables.std_without_eps: {"finite", "degenerate_zero"},
    callables.wrong_axis: {"batch_independence", "zero_sum", "shift"},
    callables.wrong_sign_below_the_mean: {"zero_sum", "sign_correct", "monotone_in_reward"},
    callables.sign_slip: {"sign_correct", "monotone_in_reward"},
    callables.first_rollout_is_the_baseline: {"permutation_of_rollouts", "zero_sum"},
    callables.leaks_the_batch_std: {"batch_independence"},
    callables.first_prompt_leads: {"permutation_of_prompts", "batch_independence"},
    callables.one_pass_variance: {"shift"},
    callables.unguarded_softmax: {"finite"},
    callables.division_by_zero_in_plain_python: {"finite", "degenerate_zero"},
    callables.truncates: {"dtype_stability"},
    callables.always_nan: {"finite", "degenerate_zero"},
}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda f: f.__name__)
def test_a_fault_is_caught_under_its_law_with_at_most_four_rewards(fault):
    report = check_estimator(fault, examples=0)
    for law in FAULTS[fault]:
        counterexample = report[law].counterexample
        assert counterexample is not None, law
        assert counterexample.size <= 4, law
        assert INVARIANTS[law](fault, counterexample) is False


@pytest.mark.parametrize("right", [callables.grpo_numpy, wild_jax.grpo_jax], ids=lambda f: f.__name__)
def test_correct_code_of_any_library_breaks_no_law_that_grpo_with_eps_keeps(right):
    started = time.process_time()
    report = check_estimator(right, examples=30)
    assert time.process_time() - started < 20
    assert set(INVARIANTS) - report.laws == {"positive_scale", "l2_constant"}
    assert not [f.name for f in report.findings if f.holds is False]


def test_hypothesis_finds_and_shrinks_what_no_small_batch_shows():
    def slips_when_rewards_are_far_apart(rewards):
        a = rewards - rewards.mean(1, keepdims=True)
        return a + (np.ptp(rewards, axis=1, keepdims=True) > 1001)

    report = check_estimator(slips_when_rewards_are_far_apart, laws=["zero_sum"], examples=300)
    assert report["zero_sum"].holds is False
    assert report["zero_sum"].counterexample.size <= 4
    assert check_estimator(slips_when_rewards_are_far_apart, laws=["zero_sum"], examples=0)["zero_sum"].holds


def test_the_first_counterexample_is_the_smallest_and_always_the_same():
    first, second = (check_estimator("positive_dominant", examples=0) for _ in range(2))
    assert first["zero_sum"].counterexample.tolist() == [[0.0, 1.0]] == second["zero_sum"].counterexample.tolist()
    sizes = [r.size for r in small_batches()]
    assert max(sizes[: sizes.index(5)]) == 4


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (callables.raises, "raises raised KeyError: 'advantages' on rewards [[1.0, 0.0, 0.0], [1.0, 1.0, 0.0]]"),
        (callables.exits, "exits raised SystemExit: 3"),
        (callables.wrong_shape, "must return advantages of the shape of rewards, (2, 3), got (2,)"),
        (callables.no_numbers, "no_numbers must return an array of numbers, got str 'advantages'"),
        (callables.mutates, "mutates changes its input in place: rewards"),
        (callables.is_random, "is_random is random: two calls on the rewards"),
        (callables.hangs, "hangs did not return within 0.2 s on rewards"),
        (callables.hangs_in_degenerate_groups, "did not return within 0.2 s on rewards [[0.0, 0.0]]"),
        (callables.needs_more, "needs_more must be a function of rewards, but also asks for old_log_probs"),
        ("no_such_estimator", "no estimator 'no_such_estimator'"),
        (3.5, "an estimator must be callable or a registered name, got float 3.5"),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_a_callable_that_cannot_be_checked_gets_one_clear_sentence(broken, message):
    with pytest.raises(InputError) as error:
        check_estimator(broken, time_limit=0.2 if "did not return" in message else 30, examples=0)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_what_raises_on_one_group_only_breaks_finite_and_says_what_it_raised():
    report = check_estimator(callables.division_by_zero_in_plain_python, laws=["finite"])
    assert report["finite"].counterexample.tolist() == [[0.0, 0.0]]
    assert report["finite"].note == "raised ZeroDivisionError: float division by zero"


def test_an_unknown_law_is_refused_by_name():
    with pytest.raises(InputError, match=r"no invariant 'zero_sums'\. Did you mean 'zero_sum'\?"):
        check_estimator("grpo", laws=["zero_sums"])


def test_assert_laws_passes_silently_and_fails_with_a_test_that_runs_and_fails():
    assert_laws(callables.grpo_numpy, "zero_sum degenerate_zero", examples=5)
    with pytest.raises(AssertionError) as error:
        assert_laws("raft", "finite zero_sum l2_bound", examples=0)
    text = str(error.value)
    assert text.startswith("raft breaks zero_sum, l2_bound:")
    scope: dict = {}
    exec(text.partition("\n\n")[2], scope)
    tests = [scope[name] for name in scope if name.startswith("test_")]
    assert len(tests) == 2
    for test in tests:
        with pytest.raises(AssertionError):
            test()


def test_partials_lambdas_methods_and_callable_objects_are_checked_too():
    class Scaled:
        def __call__(self, rewards):
            return self.centred(rewards)

        def centred(self, rewards):
            return rewards - rewards.mean(1, keepdims=True)

    def scaled(rewards, by):
        return by * (rewards - rewards.mean(1, keepdims=True))

    for f in (Scaled(), Scaled().centred, functools.partial(scaled, by=2.0), lambda rewards: scaled(rewards, 3)):
        assert check_estimator(f, laws=["zero_sum"], examples=0)["zero_sum"].holds


def test_a_jitted_function_is_recognised_and_gets_64_bits():
    import jax

    jitted = jax.jit(wild_jax.grpo_jax)
    target = as_target(jitted)
    assert target.unit_roundoff < 1e-15
    np.testing.assert_allclose(target(np.array([[1.0, 0.0]])), [[1, -1]], rtol=1e-5)


def test_a_law_can_be_asked_about_one_group():
    assert invariants.zero_sum("grpo", [1, 0, 0]) is True
    assert invariants.zero_sum(callables.mean_with_ddof, [[1, 0, 0]]) is False
    assert invariants.group_symmetry("grpo", [1, 1]) is None


def test_rewards_outside_the_given_range_are_not_tried():
    def needs_a_success_rate(rewards):
        assert ((rewards >= 0) & (rewards <= 1)).all()
        return np.sqrt(rewards.mean(1, keepdims=True)) * (rewards - rewards.mean(1, keepdims=True))

    assert check_estimator(needs_a_success_rate, laws=["finite"], examples=0)["finite"].holds is False
    assert check_estimator(needs_a_success_rate, laws=["finite"], rewards="unit")["finite"].holds


@pytest.mark.parametrize("name", estimators.names("rewards"))
def test_every_estimator_obeys_exactly_the_laws_it_declares(name):
    assert check_estimator(name, examples=5).laws == estimators.get(name).laws


@pytest.mark.slow
@pytest.mark.parametrize("name", estimators.names("rewards"))
def test_a_long_search_finds_no_declared_law_broken(name):
    assert check_estimator(name, examples=600).laws == estimators.get(name).laws


def test_rules_of_the_theory_tie_the_laws_together():
    """Section 2 and 4 of the theory: surely monotone iff zero-sum (sign-correct ones); flip implies sample symmetry."""
    for laws in (estimators.get(name).laws for name in estimators.names()):
        assert ("sure_monotonicity" in laws) == ("zero_sum" in laws)
        assert "sample_symmetry" in laws or "flip_antisymmetry" not in laws
        assert "degenerate_zero" in laws or "zero_sum" not in laws


def test_files_and_modules_are_loaded_by_name(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text("def centred(rewards):\n    return rewards - rewards.mean(1, keepdims=True)\n")
    target = as_target(load(f"{file}:centred"))
    np.testing.assert_allclose(target(np.array([[1.0, 0.0]])), [[0.5, -0.5]])
    assert load("symtheory.estimators:advantages") is estimators.advantages
    assert load("grpo") == estimators.get("grpo")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("{}/missing.py:f", "no file"),
        ("{}/bad.py:f", "cannot import"),
        ("{}/good.py:g", "has no 'g'; its functions: f"),
        ("no.such.module:f", "cannot import 'no.such.module': ModuleNotFoundError"),
    ],
)
def test_a_target_that_cannot_be_loaded_gets_one_sentence(tmp_path, spec, message):
    (tmp_path / "bad.py").write_text("import no_such_package\n")
    (tmp_path / "good.py").write_text("def f(r):\n    return r\n")
    with pytest.raises(InputError) as error:
        load(spec.format(tmp_path))
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_counterexamples_of_files_are_pasted_with_their_import():
    report = check_estimator("raft", laws=["zero_sum"], examples=0)
    text = as_test(dataclasses.replace(report, estimator="path/to/mine.py:f"), report["zero_sum"])
    assert 'load("path/to/mine.py:f")' in text
    assert "def test_mine_py_f_zero_sum" in text
