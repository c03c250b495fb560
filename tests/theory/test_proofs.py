"""Theorems about the registered estimators, and what the proofs say about a wrong one."""

from fractions import Fraction

import pytest

from symtheory import InputError, estimators
from symtheory.cli.prove import run
from symtheory.estimators.base import _registry
from symtheory.estimators.grpo import center, scale_by_std
from symtheory.theory import proofs
from symtheory.theory.proofs import check
from symtheory.theory.recheck import trials
from symtheory.theory.recheck.trials.base import disagreement
from symtheory.theory.symbols import exact_advantages, exact_two_outcomes
from symtheory.theory.theorems import about, families, find, theorems

TELLING = ("grpo", "easy_focused", "negative_dominant", "ass", "nsr", "maxrl", "ngrpo")


@pytest.mark.parametrize("family", ["closed_form", "zero_sum", "sure_improvement", "population_objective"])
@pytest.mark.parametrize("name", TELLING)
def test_every_family_is_proved_for_telling_estimators(family, name):
    checked = check(find(f"{family}:{name}"))
    assert checked.rechecked, checked.proof.method


@pytest.mark.slow
@pytest.mark.parametrize("id", theorems())
def test_every_theorem_rechecks(id):
    checked = check(find(id))
    assert checked.rechecked, checked.proof.method


def test_passk_is_zero_sum_for_every_k_in_small_groups():
    assert not any(map(disagreement, trials.get("passk_is_zero_sum").run(seed=0, largest=5)))


def test_each_estimator_of_the_registry_has_its_theorems():
    ids = set(theorems())
    assert {f"{family}:{name}" for family in families() for name in estimators.names("two_class")} <= ids
    assert "zero_sum:agrae_released" in ids


@pytest.mark.parametrize("name", estimators.names("two_class"))
def test_sure_improvement_is_the_same_as_zero_sum_for_every_estimator(name):
    verdicts = {family: check(find(f"{family}:{name}")).proof.verdict for family in ("zero_sum", "sure_improvement")}
    assert verdicts["zero_sum"] == verdicts["sure_improvement"] in ("exact", "fails")


def released_easy(a, g, op, *, gamma=0.5):
    """gamma a / (1 - sqrt p), the slip of the released code."""
    return op.div(gamma * a, 1 - op.sqrt(g.mean))


@pytest.fixture
def wrong_easy_focused(monkeypatch):
    wrong = estimators.chain(center, scale_by_std, released_easy, name="easy_focused", rewards="unit")
    monkeypatch.setitem(_registry, "easy_focused", wrong)


@pytest.mark.usefixtures("wrong_easy_focused")
@pytest.mark.parametrize(
    "id",
    ["table1_easy_focused", "flip_duality", "focus_maximum_is_not_attained", "two_arm_clocks", "stability_indices"],
)
def test_released_easy_factor_under_the_name_of_the_paper_is_caught(id):
    assert not check(find(id)).rechecked


@pytest.mark.usefixtures("wrong_easy_focused")
def test_command_reports_the_wrong_estimator_by_its_exit_status(capsys):
    assert run(("table1b_sums",)) == 1
    assert "not proved" in capsys.readouterr().out


def test_command_succeeds_with_the_right_estimator(capsys):
    assert run(("table1b_sums", "zero_sum:hard_focused", "fig2_grpo_below_base")) == 0
    assert "3 of 3 re-checked, 0 open" in capsys.readouterr().out


def test_zero_sum_that_fails_in_one_group_only_is_found():
    def spoil(a, g, op):
        """Adds K (K-1) (F-1) / G^9: zero at K = 1 and F = 1."""
        correct = op.sum(g.weight * g.rewards)
        return a + correct * (correct - 1) * (g.size - correct - 1) / g.size**9

    e = estimators.chain(center, scale_by_std, spoil, name="spoiled")
    proof = check(about("zero_sum", e)).proof
    assert proof.verdict == "fails"
    assert (proof.counterexample["K"], proof.counterexample["G"]) == (2, 4)
    assert proof.counterexample["C"] == Fraction(2, 4**8)


def test_exact_advantages_of_rollouts_and_of_weighted_outcomes_are_one():
    for name in estimators.names("two_class"):
        e = estimators.get(name)
        for correct in range(6):
            plus, minus = exact_two_outcomes(e, correct, 5)
            rollouts = exact_advantages(e, [1] * correct + [0] * (5 - correct))
            expected = [plus] * correct + [minus] * (5 - correct)
            assert all(proofs.same(a, b) for a, b in zip(rollouts, expected, strict=True)), name


def test_exact_advantages_agree_with_the_public_function():
    import symtheory

    rewards = [1, 0, 0, 1, 0, 1, 1]
    for name in ("grpo", "agrae", "grpo_lead", "passk", "opo", "agrae_released"):
        exact = [float(a) for a in exact_advantages(estimators.get(name), rewards, omega=Fraction(4, 7))]
        assert symtheory.advantages(rewards, name) == pytest.approx(exact, abs=1e-12)


def test_unknown_theorem_suggests_the_nearest():
    with pytest.raises(InputError, match="Did you mean 'zero_sum:grpo'"):
        find("zero_sum:grpoo")
