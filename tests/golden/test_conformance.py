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
from symtheory.estimators.batch import whiten
from symtheory.estimators.grpo import center
from symtheory.estimators.reinforce import leave_one_out
from symtheory.testing.conform import COUNTERPARTS, agree, conform, equal_groups, frameworks, golden, values

OURS = COUNTERPARTS
BY_TOKENS = {
    "nemo_reinforce_plus_plus": ("reinforce_pp_baseline", {"batch_ddof": 0}),
    "verl_reinforce_plus_plus": ("reinforce_pp", {}),
    "verl_reinforce_plus_plus_baseline": ("reinforce_pp_baseline", {}),
}
"""Whitened over tokens, of which these files have three in each rollout."""
WITHOUT_COUNTERPART = {
    "trl_rloo_normalized": "leave-one-out, then batch normalisation",
    "verl_grpo_passk_nonorm": "without the std",
}
"""Not in our registry; the first is a chain of our links."""

RAGGED = {
    "agrae_released_ragged": ("agrae_released", {}),
    "skyrl_reinforce_pp": ("reinforce_pp", {}),
    "verl_dr_grpo_ragged": ("dr_grpo", {}),
    "verl_gpg_ragged": ("gpg", {}),
    "verl_gdpo_fallback": ("gdpo", {}),
    "verl_grpo_ragged": ("grpo_ddof1", {}),
    "verl_opo_ragged": ("opo", {}),
    "verl_reinforce_plus_plus_baseline_ragged": ("reinforce_pp_baseline", {}),
    "verl_rloo_ragged": ("rloo", {}),
}


def data(name):
    return json.loads((Path(__file__).parent / "data" / f"{name}.json").read_text())


def test_every_golden_file_is_compared_or_says_why_not():
    assert set(golden()) == set(OURS) | set(WITHOUT_COUNTERPART) | set(BY_TOKENS)


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


@pytest.mark.parametrize("name", BY_TOKENS)
def test_equal_lengths_of_three_tokens_are_whitened_as_published(name):
    (estimator, params), file = BY_TOKENS[name], golden()[name]
    for rewards, theirs in map(values, equal_groups(file)):
        ours = symtheory.advantages(rewards, estimator, lengths=np.full(rewards.shape, 3), **params)
        assert agree(theirs, ours, file).all()


def test_links_compose_to_what_has_no_name_of_its_own():
    chain = estimators.chain(center, leave_one_out, whiten, batch_eps=1e-4, batch_var_eps=0)
    file = golden()["trl_rloo_normalized"]
    for rewards, theirs in map(values, file["cases"]):
        assert agree(theirs, symtheory.advantages(rewards, chain), file).all()


def test_openrlhf_reinforce_is_reinforce_pp_with_the_population_variance():
    file = data("openrlhf_reinforce")
    for case in file["cases"]:
        rewards, theirs = values(case)
        ours = symtheory.advantages(rewards, "reinforce_pp", lengths=case["lengths"], ddof=0, eps=0)
        spread = np.ptp(rewards) > 0
        assert agree(theirs, ours, file).all() or not spread


def test_openrlhf_reinforce_baseline_is_whitened_with_the_population_variance():
    file = data("openrlhf_reinforce_baseline")
    for case in file["cases"]:
        rewards, theirs = values(case)
        options = dict(batch_ddof=0, batch_var_eps=0)
        ours = symtheory.advantages(rewards, "reinforce_pp_baseline", lengths=case["lengths"], **options)
        assert agree(theirs, ours, file).all() or not np.ptp(rewards) > 0


def test_trl_sums_weighted_rewards_before_or_after_it_normalises_them():
    for case in data("trl_grpo_multi_reward")["cases"]:
        several = np.array(case["rewards_per_func"]).T.reshape(2, -1, case["num_generations"])
        given = dict(components=several, weights=case["reward_weights"])
        if case["multi_objective_aggregation"] == "sum_then_normalize":
            ours = symtheory.advantages(None, "grpo_ddof1", eps=1e-4, **given)
        else:  # TRL's GDPO
            ours = symtheory.advantages(None, "gdpo", eps=1e-4, batch_eps=1e-4, batch_var_eps=0, **given)
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
