"""Torch code with verl's signature, or over rewards, is checked as it stands; without torch these are skipped."""

import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("torch")

from symtheory import InputError
from symtheory.testing import as_target, check_estimator
from symtheory.testing.conform import conform

from . import verl_like


def test_verl_code_is_checked_unchanged_and_breaks_only_what_ddof_and_eps_break():
    report = check_estimator(verl_like.grpo, examples=20)
    broken = {f.name for f in report.findings if f.holds is False}
    assert broken == {"finite", "duplication"}  # the std of a group of one is not a number
    assert {f.name for f in report.findings if f.verdict == "holds to epsilon"} == {"positive_scale", "l2_constant"}
    assert report["duplication"].counterexample.tolist() == [[0.0, 1.0]]


def test_verl_code_equals_verl_and_not_trl():
    assert {c.name for c in conform(verl_like.grpo, "verl") if c.equal} == {"verl_grpo", "verl_grpo_vectorized"}
    nearest = conform(verl_like.grpo, "trl")[0]
    assert not nearest.equal
    assert nearest.name == "trl_grpo_group"
    assert nearest.rewards == [[1.0, 0.0]]


def test_a_verl_function_that_forgets_its_groups_is_caught_with_four_rewards():
    report = check_estimator(verl_like.grpo_forgets_the_groups, examples=0)
    for law in ("batch_independence", "zero_sum", "degenerate_zero"):
        assert report[law].counterexample.size <= 4


@pytest.mark.parametrize("f", [verl_like.rewards_only, verl_like.untyped], ids=lambda f: f.__name__)
def test_a_torch_function_of_rewards_is_recognised(f):
    np.testing.assert_allclose(as_target(f)(np.array([[1.0, 0.0]])), [[0.5, -0.5]])


def test_what_rewards_do_not_give_is_asked_for_by_name():
    with pytest.raises(InputError, match=r"remax .* asks for reward_baselines, which rewards alone do not give"):
        as_target(verl_like.remax)


def test_what_only_bfloat16_breaks_is_told_apart():
    report = check_estimator(verl_like.sums_one_by_one, laws=["degenerate_zero", "zero_sum"], examples=0)
    assert report["degenerate_zero"].holds
    found = next(f for f in report.bfloat16 if f.name == "degenerate_zero")
    assert (found.verdict, found.dtype) == ("fails", "bfloat16")
    assert "in bfloat16 these fail besides: degenerate_zero" in report.notes[-1]
    right = check_estimator(verl_like.rewards_only, laws=["degenerate_zero", "zero_sum"], examples=0)
    assert [f.holds for f in right.bfloat16] == [True, True]
    assert right.notes[-1] == "in bfloat16 no further law fails"


def test_torch_is_not_imported_unless_the_callable_needs_it():
    code = (
        "import sys, numpy; from symtheory.testing import check_estimator; "
        "check_estimator(lambda r: r - r.mean(1, keepdims=True), examples=3); check_estimator('grpo', examples=3); "
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
