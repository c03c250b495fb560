"""Our estimators against what eleven published implementations returned for the same rewards.

The values lie in `symtheory/testing/golden` (equal groups) and in `data` beside this file (unequal groups, token
lengths, negative rewards); each file names repository, commit, function and parameters.
"""

import json
from pathlib import Path

import numpy as np
import pytest

import symtheory
from symtheory import InputError, estimators
from symtheory.testing.conform import COUNTERPARTS, agree, conform, equal_groups, frameworks, golden, values

OURS = COUNTERPARTS
WITHOUT_COUNTERPART = {
    "nemo_reinforce_plus_plus": "group mean, then batch whitening",
    "trl_grpo_batch": "std of the batch",
    "trl_rloo_normalized": "leave-one-out, then batch normalisation",
    "verl_grpo_passk_nonorm": "without the std",
    "verl_reinforce_plus_plus_baseline": "group mean, then batch whitening",
}
"""Not in our registry: these need batch statistics of the centred rewards."""

RAGGED = {
    "agrae_released_ragged": ("agrae_released", {}),
    "skyrl_reinforce_pp": ("reinforce_pp", {}),
    "verl_dr_grpo_ragged": ("dr_grpo", {}),
    "verl_gpg_ragged": ("gpg", {}),
    "verl_grpo_ragged": ("grpo_ddof1", {}),
    "verl_opo_ragged": ("opo", {}),
    "verl_rloo_ragged": ("rloo", {}),
}


def data(name):
    return json.loads((Path(__file__).parent / "data" / f"{name}.json").read_text())


def test_every_golden_file_is_compared_or_says_why_not():
    token_level = {"verl_reinforce_plus_plus"}
    assert set(golden()) == set(OURS) | set(WITHOUT_COUNTERPART) | token_level


@pytest.mark.parametrize("name", OURS)
def test_our_estimator_equals_the_published_one(name):
    estimator, params = OURS[name]
    file = golden()[name]
    allowed = {"real": (-np.inf, np.inf), "unit": (0, 1), "binary": (0, 1)}[estimators.get(estimator).rewards]
    compared = 0
    for rewards, theirs in map(values, equal_groups(file)):
        binary_only = estimators.get(estimator).rewards == "binary" and not np.isin(rewards, (0, 1)).all()
        inside = (rewards >= allowed[0]) & (rewards <= allowed[1])
        if binary_only or not inside.all() or np.isnan(rewards).any():
            continue
        ours = symtheory.advantages(rewards, estimator, **params)
        assert agree(theirs, ours, file).all()
        compared += 1
    assert compared >= 5


@pytest.mark.parametrize("name", ["trl_grpo_group", "trl_grpo_none"])
def test_rollouts_that_no_reward_function_scored_count_as_padding(name):
    estimator, params = OURS[name]
    cases = [c for c in golden()[name]["cases"] if np.isnan(values(c)[0]).any()]
    assert cases
    for rewards, theirs in map(values, cases):
        scored = ~np.isnan(rewards)
        enough = scored.sum(-1) >= 2
        ours = symtheory.advantages(np.where(scored, rewards, 0)[enough], estimator, mask=scored[enough], **params)
        np.testing.assert_allclose(ours, np.nan_to_num(theirs[enough]), rtol=1e-6, atol=1e-6)


def padded(case):
    """A flat case with group ids as rewards, mask, lengths and advantages `[P, G_max]`, in order of group id."""
    group = np.array(case["group"])
    rows = [np.flatnonzero(group == g) for g in np.unique(group)]
    width = max(map(len, rows))
    lengths = np.array(case["lengths"])
    tokens = np.array(case["advantages_tokens"], dtype=float)
    flat = {
        "rewards": np.array(case["rewards"], dtype=float),
        "mask": np.ones(len(group)),
        "lengths": lengths,
        "advantages": tokens[np.arange(len(group)), lengths - 1],
    }
    fill = {"lengths": 1}
    return {k: np.array([np.append(v[r], [fill.get(k, 0)] * (width - len(r))) for r in rows]) for k, v in flat.items()}


@pytest.mark.parametrize("name", RAGGED)
def test_unequal_groups_and_lengths_agree_through_the_mask(name):
    estimator, params = RAGGED[name]
    e, file, compared = estimators.get(estimator), data(name), 0
    for case in file["cases"]:
        batch = padded(case)
        several = batch["mask"].sum(-1) >= e.min_size
        binary = np.isin(batch["rewards"], (0, 1)).all()
        coupled = "batch_independence" not in e.laws and not several.all()
        if coupled or (e.rewards == "binary" and not binary):
            continue
        rows = {k: v[several] for k, v in batch.items()}
        ours = symtheory.advantages(rows["rewards"], e, mask=rows["mask"], lengths=rows["lengths"], **params)
        assert agree(rows["advantages"], ours, file).all()
        compared += 1
    assert compared


def test_equal_lengths_of_three_tokens_give_verls_reinforce_plus_plus():
    file = golden()["verl_reinforce_plus_plus"]
    for rewards, theirs in map(values, file["cases"]):
        ours = symtheory.advantages(rewards, "reinforce_pp", lengths=np.full(rewards.shape, 3))
        assert agree(theirs, ours, file).all()


def test_openrlhf_reinforce_is_reinforce_pp_with_the_population_variance():
    file = data("openrlhf_reinforce")
    for case in file["cases"]:
        rewards, theirs = values(case)
        ours = symtheory.advantages(rewards, "reinforce_pp", lengths=case["lengths"], ddof=0, eps=0)
        spread = np.ptp(rewards) > 0
        assert agree(theirs, ours, file).all() or not spread


def test_trl_sums_weighted_rewards_before_it_normalises_them():
    for case in data("trl_grpo_multi_reward")["cases"]:
        if case["multi_objective_aggregation"] != "sum_then_normalize":
            continue
        rewards = np.array(case["rewards_per_func"]) @ case["reward_weights"]
        ours = symtheory.advantages(rewards.reshape(-1, case["num_generations"]), "grpo", ddof=1, eps=1e-4)
        np.testing.assert_allclose(ours.ravel(), case["advantages_flat"], rtol=1e-6, atol=1e-6)


def test_the_release_gives_nan_for_negative_means_where_we_refuse():
    cases = data("agrae_released_signed")["cases"]
    assert any(np.isnan(values(c)[1]).any() for c in cases)
    for rewards, _ in map(values, cases):
        if (rewards < 0).any():
            with pytest.raises(InputError, match=r"rewards must be in \[0, 1\]"):
                symtheory.advantages(rewards, "agrae_released")


def test_equal_float32_rewards_leave_residues_in_the_field_and_none_here():
    """The published functions give up to 0.96 on groups of equal float32 rewards; ours exactly 0 on all 693 of them."""
    worst = {name: r["max_abs_advantage"] for name, r in data("float32_constant_groups")["results"].items()}
    assert max(worst.values()) > 0.9
    for size in (4, 5, 6, 7, 8, 12, 16):
        for hundredths in range(1, 100):
            rewards = np.full((1, size), hundredths / 100, dtype=np.float32)
            assert (symtheory.advantages(rewards, "grpo", ddof=1, eps=1e-9) == 0).all()


def test_conform_names_equal_functions_and_where_the_nearest_parts():
    assert {c.name for c in conform("rloo", "openrlhf") if c.equal} == {"openrlhf_rloo"}
    assert {c.name for c in conform("agrae_released", "agrae-release") if c.equal} == {"agrae_released"}
    assert not any(c.equal for c in conform("agrae", "agrae-release"))
    nearest = conform("grpo", "verl")[0]
    assert not nearest.equal
    assert nearest.rewards is not None
    assert nearest.theirs != nearest.ours


def test_an_unknown_framework_is_refused_with_the_known_ones():
    with pytest.raises(InputError, match=r"no framework 'vrl'\. Did you mean 'verl'"):
        conform("grpo", "vrl")
    assert {"trl", "verl", "openrlhf", "agrae", "nemo", "skyrl", "primerl", "lead", "rlvr", "oat"} == set(frameworks())
