"""Functions as people write them: each is called as its author meant, and gets its formula, its name and its laws.

The truth was derived by hand from the code, before it was checked.
"""

from pathlib import Path

import pytest

from symtheory import InputError
from symtheory.testing import as_target, check_estimator, load
from symtheory.testing.calling.refuse import Refusal
from symtheory.testing.conform import compare
from symtheory.testing.fit import fit

HERE = Path(__file__).parent
LAWS = ["zero_sum", "shift", "permutation_of_rollouts", "batch_independence", "duplication"]
GRPO0 = ("group mean", "group std", 0)
GRPO1 = ("group mean", "group std", 1)
CENTRED = ("group mean", "none", None)

# place: layout, (baseline, scale, ddof), eps, clip, factor, a name (None: no known one), laws of LAWS that fail
TRUTH = {
    "wild_lists.py:one_group_population": ("group", GRPO0, 1e-8, None, 1, "grpo(eps=1e-08)", ""),
    "wild_lists.py:one_group_statistics": ("group", GRPO1, 1e-4, None, 1, "trl_grpo_group", "duplication"),
    "wild_lists.py:leave_one_out": (
        "group",
        ("mean of the other rollouts", "none", None),
        0,
        None,
        1,
        "rloo",
        "duplication",
    ),
    "wild_lists.py:flat_samples_per_prompt": ("flat", CENTRED, 0, None, 1, "dr_grpo", ""),
    "wild_lists.py:flat_with_ids": ("ids", GRPO1, 1e-4, None, 1, "trl_grpo_group", "duplication"),
    "wild_lists.py:ignores_its_ids": ("ids", CENTRED, 0, None, 1, "dr_grpo", "permutation_of_rollouts"),
    "wild_lists.py:nested": ("matrix", CENTRED, 0, None, 1, "dr_grpo", ""),
    "wild_lists.py:one_by_one": ("matrix", CENTRED, 0, None, 1, "dr_grpo", ""),
    "wild_lists.py:awaited": ("group", CENTRED, 0, None, 2, "2.00 x dr_grpo", ""),
    "wild_lists.py:by_prompt": ("lists", CENTRED, 0, None, 1, "dr_grpo", ""),
    "wild_lists.py:sets_advantages": ("group", CENTRED, 0, None, 1, "dr_grpo", ""),
    "wild_lists.py:normalised_episodes": ("ids", GRPO0, 1e-4, None, 1, "grpo(eps=0.0001)", ""),
    "wild_lists.py:normaliser.run": ("flat", GRPO0, 1e-6, None, 1, "grpo(eps=1e-06)", ""),
    "wild_lists.py:Normaliser.run": ("flat", GRPO0, 1e-6, None, 1, "grpo(eps=1e-06)", ""),
    "wild_lists.py:Tracker.update": ("ids", GRPO0, 1e-4, None, 1, "grpo(eps=0.0001)", ""),
    "wild_lists.py:tracker.update": ("ids", GRPO0, 1e-4, None, 1, "grpo(eps=0.0001)", ""),
    "wild_lists.py:from_responses": ("responses", GRPO1, 1e-6, None, 1, "verl_grpo", "duplication"),
    "wild_numpy.py:one_group": ("group", GRPO0, 1e-6, None, 1, "grpo(eps=1e-06)", ""),
    "wild_numpy.py:clipped_at_3": ("matrix", GRPO0, 1e-6, (-3, 3), 1, None, "zero_sum"),
    "wild_numpy.py:clipped_at_5": ("group", GRPO1, 1e-6, (-5, 5), 1, None, "zero_sum duplication"),
    "wild_numpy.py:capped": ("group", GRPO0, 1e-8, (float("-inf"), 3), 1, None, "zero_sum"),
    "wild_numpy.py:twice_grpo": ("flat", GRPO1, 1e-6, None, 2, "2.00 x verl_grpo", "duplication"),
    "wild_numpy.py:batch_std": (
        "flat",
        ("group mean", "batch std", 1),
        1e-4,
        None,
        1,
        "trl_grpo_batch",
        "batch_independence duplication",
    ),
    "wild_numpy.py:rloo_over_std": (
        "flat",
        ("mean of the other rollouts", "group std", 1),
        1e-6,
        None,
        1,
        "rloo_std(eps=1e-06)",
        "duplication",
    ),
    "wild_numpy.py:floor_on_the_std": ("flat", GRPO0, 1e-3, None, 1, None, ""),
    "wild_numpy.py:eps_under_the_root": ("group", GRPO0, 1e-5, None, 1, None, ""),
    "wild_numpy.py:two_stage": (
        "matrix",
        ("group mean", "batch std of the centred rewards", 0),
        1e-8,
        None,
        1,
        "nemo_reinforce_plus_plus",
        "batch_independence",
    ),
    "wild_numpy.py:median_baseline": ("group", ("group median", "none", None), 0, None, 1, None, "zero_sum"),
    "wild_numpy.py:unnamed_size": ("flat", CENTRED, 0, None, 1, "dr_grpo", ""),
    "wild_numpy.py:float32_inside": ("matrix", GRPO0, 1e-6, None, 1, "grpo(eps=1e-06)", ""),
    "wild_numpy.py:by_function": ("functions", CENTRED, 0, None, 1, "dr_grpo", ""),
    "wild_numpy.py:sections_of_a_configuration": ("flat", GRPO0, 1e-5, None, 1, "grpo(eps=1e-05)", ""),
    "wild_numpy.py:trainer.compute_advantages": ("flat", CENTRED, 0, None, 1, "dr_grpo", ""),
    "wild_numpy.py:Trainer.compute_advantages": ("flat", CENTRED, 0, None, 1, "dr_grpo", ""),
    "wild_torch.py:one_group": ("group", GRPO1, 1e-6, None, 1, "verl_grpo", "duplication"),
    "wild_torch.py:no_name_of_the_library": ("matrix", GRPO1, 1e-4, None, 1, "trl_grpo_group", "duplication"),
    "wild_torch.py:flat": ("flat", GRPO1, 1e-4, None, 1, "trl_grpo_group", "duplication"),
    "wild_torch.py:flat_with_index": ("ids", GRPO1, 1e-6, None, 1, "verl_grpo", "duplication"),
    "wild_torch.py:float32_inside": ("matrix", GRPO1, 1e-6, None, 1, "verl_grpo", "duplication"),
    "wild_torch.py:tiny_eps": ("matrix", GRPO1, 1e-8, None, 1, "oat_grpo", "duplication"),
    "wild_torch.py:float32_only": ("group", CENTRED, 0, None, 1, "dr_grpo", ""),
    "wild_torch.py:column_result": ("flat", CENTRED, 0, None, 1, "dr_grpo", ""),
    "wild_torch.py:tokens_with_config": ("tokens", CENTRED, 0, None, 1, "dr_grpo", ""),
    "wild_torch.py:per_rollout_of_tokens": ("tokens", CENTRED, 0, None, 1, "dr_grpo", ""),
    "wild_torch.py:length_weighted": (
        "tokens",
        ("length-weighted group mean", "none", None),
        0,
        None,
        1,
        "verl_opo",
        "",
    ),
    "wild_torch.py:Estimator": ("flat", GRPO1, 1e-4, None, 1, "trl_grpo_group", "duplication"),
    "wild_torch.py:Loss.advantages": ("ids", CENTRED, 0, None, 1, "dr_grpo", ""),
    "wild_jax.py:one_group": ("group", GRPO0, 1e-4, None, 1, "grpo(eps=0.0001)", ""),
}


def target(place, **options):
    if "torch" in place:
        pytest.importorskip("torch")
    return as_target(load(f"{HERE / place}"), name=place, **options)


@pytest.mark.parametrize("place", TRUTH)
def test_a_function_as_people_write_it_gets_its_layout_formula_and_name(place):
    layout, (baseline, scale, ddof), eps, clip, factor, name, _ = TRUTH[place]
    subject = target(place)
    formula = fit(subject)
    assert formula is not None
    assert subject.layout == layout
    assert formula.fits
    assert (formula.baseline, formula.scale, formula.ddof) == (baseline, scale, ddof)
    rough = 1e-2 if subject.dtypes == ("float32",) else 1e-4
    assert formula.eps == pytest.approx(eps, rel=rough)
    assert formula.clip == (None if clip is None else pytest.approx(clip))
    assert formula.factor == pytest.approx(factor, rel=1e-4)
    known = compare(subject)
    names = [c.describe() for c in known if c.equal or (factor != 1 and c.distance < 1e-6)]
    assert name in names if name else not names


ALIKE = [place for place, row in TRUTH.items() if row[-1] in ("", "duplication")]
ALIKE = [place for place in ALIKE if place not in ("wild_lists.py:one_group_population", "wild_torch.py:flat")]


@pytest.mark.parametrize("place", [pytest.param(p, marks=pytest.mark.slow) if p in ALIKE else p for p in TRUTH])
def test_a_function_as_people_write_it_breaks_these_laws_and_no_other(place):
    report = check_estimator(target(place), laws=LAWS, examples=0)
    assert {f.name for f in report.findings if f.holds is False} == set(TRUTH[place][-1].split())


def test_an_ambiguous_function_is_asked_about_with_both_answers():
    with pytest.raises(InputError) as error:
        target("wild_numpy.py:global_baseline")
    text = str(error.value)
    assert "--layout matrix or --layout group" in text
    assert "[[0.5, -0.5, -0.5], [0.5, 0.5, -0.5]] as a matrix" in text
    assert "[[0.667, -0.333, -0.333], [0.333, 0.333, -0.667]] one group at a time" in text
    assert target("wild_numpy.py:global_baseline", layout="matrix").layout == "matrix"
    assert fit(target("wild_numpy.py:global_baseline", layout="group")).baseline == "group mean"


def test_a_wrong_axis_is_judged_as_a_matrix_and_the_other_reading_is_told():
    report = check_estimator(target("wild_numpy.py:column_means"), laws=["zero_sum", "batch_independence"], examples=0)
    assert not report.laws
    assert "else: --layout group" in report.notes[0]


@pytest.mark.parametrize(
    ("place", "where"),
    [
        ("wild_lists.py:tracker.update", "self.history"),
        ("wild_lists.py:Tracker.update", "self.history"),
        ("wild_lists.py:moving_baseline", "running"),
        ("wild_lists.py:raises_at_the_second_call", "a default argument"),
    ],
)
def test_state_across_calls_is_found_and_named(place, where):
    assert target(place).state == where


REFUSED = {  # place: what the user would fill in; what then comes out
    "wild_lists.py:asks_for_a_critic": (["[0.0] * len(rewards)"], "reinforce"),
    "wild_lists.py:WithCritic.advantages": (["0.5", "[0.0] * len(rewards)"], "reinforce"),
    "verl_like.py:remax": (["torch.zeros_like(rewards)"], "reinforce"),
}


@pytest.mark.parametrize("place", REFUSED)
def test_what_rewards_do_not_give_is_refused_with_an_adapter_that_works_once_it_is_filled_in(place, tmp_path):
    filling, name = REFUSED[place]
    if "verl" in place:
        pytest.importorskip("torch")
    with pytest.raises(Refusal, match="asks for") as error:
        target(place)
    text = error.value.adapter
    assert text.count("...,  # fill in") == len(filling)
    for value in filling:
        text = text.replace("...,  # fill in", f"{value},", 1)
    (tmp_path / "adapter.py").write_text(text)
    subject = as_target(load(f"{tmp_path}/adapter.py:advantages"))
    assert subject.layout == "flat"
    assert name in [c.name for c in compare(subject) if c.equal]


def test_options_overrule_what_was_found():
    subject = target("wild_numpy.py:one_group", layout="matrix", dtype="float32")
    assert (subject.layout, subject.dtypes) == ("matrix", ("float32",))
    assert fit(subject).baseline == "batch mean"
