"""Every estimator at two small groups against its equation, with the numbers put in by hand.

The groups have 1 and 2 right rollouts of 4, so p is 1/4 and 1/2, and omega is 3/8. Equations are those of the sources
that `symtheory list` names; no value comes from our code.
"""

from math import comb, exp, sqrt

import numpy as np
import pytest

import symtheory
from symtheory import estimators
from symtheory.estimators.batch import standardise_each
from symtheory.estimators.group import two_outcome_batch
from symtheory.estimators.grpo import center, scale_by_std
from symtheory.estimators.links import clip, multiply, scale_by_floored_std, scale_by_mad
from symtheory.estimators.plane import PLANE
from symtheory.ops import numpy_ops

REWARDS = np.array([[1.0, 0, 0, 0], [1, 0, 1, 0]])
P, OMEGA = (1 / 4, 1 / 2), 3 / 8
CENTRED = [(1 - p, -p) for p in P]
GRPO = [(sqrt((1 - p) / p), -sqrt(p / (1 - p))) for p in P]
HARD = [(a / (2 * sqrt(p)), b / (2 * sqrt(p))) for p, (a, b) in zip(P, GRPO, strict=True)]
EASY = [(a / (2 * sqrt(1 - p)), b / (2 * sqrt(1 - p))) for p, (a, b) in zip(P, GRPO, strict=True)]
SAMPLE = [sqrt(4 * p * (1 - p) / 3) for p in P]
"""Standard deviations with ddof 1."""


def scaled(pairs, right, wrong=None):
    """Pairs (A+, A-) with each group's A+ times `right`, and A- times `wrong` or the same."""
    wrong = right if wrong is None else wrong
    return [(a * f, b * g) for (a, b), f, g in zip(pairs, right, wrong, strict=True)]


def mixed(hard, easy):
    """omega hard + (1 - omega) easy, Eq. 12."""
    return [
        (OMEGA * a + (1 - OMEGA) * c, OMEGA * b + (1 - OMEGA) * d) for (a, b), (c, d) in zip(hard, easy, strict=True)
    ]


def logistic(x):
    return 0.4 + 1.1 / (1 + exp(10 * (x - 0.75)))


STANDARD = scaled(CENTRED, [1 / (s + 1e-6) for s in SAMPLE])
RELEASED_ROOTS = [(1 / (2 * (sqrt(p) + 1e-6)), 1 / (2 * (1 - sqrt(p) + 1e-6))) for p in P]
RELEASED = [OMEGA * h + (1 - OMEGA) * e for h, e in RELEASED_ROOTS]
DR_GRPO_HARD = scaled(CENTRED, [1 / (2 * sqrt(p)) for p in P])
DR_GRPO_EASY = scaled(CENTRED, [1 / (2 * sqrt(1 - p)) for p in P])
BATCH = sqrt(OMEGA * (1 - OMEGA))
VIRTUAL = [(1 - m, -m) for m in (2 / 5, 3 / 5)]
"""NGRPO's deviations from the mean of the group and one more reward of 1."""
DAMPED = [OMEGA, OMEGA], [1, 1]
EQUATIONS = {
    "grpo": GRPO,
    "dapo": GRPO,
    "dr_grpo": CENTRED,
    "opo": CENTRED,
    "grpo_ddof1": STANDARD,
    "hard_focused": HARD,
    "easy_focused": EASY,
    "ddas": mixed(HARD, EASY),
    "ass": scaled(GRPO, *DAMPED),
    "agrae": scaled(mixed(HARD, EASY), *DAMPED),
    "agrae_dr_grpo": scaled(mixed(DR_GRPO_HARD, DR_GRPO_EASY), *DAMPED),
    "agrae_released": scaled(scaled(STANDARD, RELEASED), *DAMPED),
    "agrae_released_dr_grpo": scaled(scaled(CENTRED, RELEASED), *DAMPED),
    "positive_dominant": scaled(GRPO, [10, 10], [1, 1]),
    "negative_dominant": scaled(GRPO, [1 / 10, 1 / 10], [1, 1]),
    "f_grpo": scaled(GRPO, [sqrt(1 - p) for p in P]),
    "grpo_lead": scaled(STANDARD, [logistic(p) for p in P], [logistic(1 - p) for p in P]),
    "dgpo": scaled(CENTRED, [4 / (8 * p * (1 - p) + 1e-4) for p in P]),
    "rloo": scaled(CENTRED, [4 / 3, 4 / 3]),
    "rloo_std": scaled(CENTRED, [4 / 3 / (s + 1e-4) for s in SAMPLE]),
    "reinforce": [(1, 0), (1, 0)],
    "psr": [(1, 0), (1, 0)],
    "nsr": [(0, -1), (0, -1)],
    "w_reinforce": [(0.1, -1), (0.1, -1)],
    "reinforce_rej": [(1, -1), (1, -1)],
    "raft": [(1 / p, 0) for p in P],
    "maxrl": scaled(CENTRED, [1 / p for p in P]),
    "maxrl_std": scaled(CENTRED, [1 / (sqrt(p * (1 - p)) + 1e-6) / (p + 1e-6) for p in P]),
    "asymre": [(1 - p + 0.1, -p + 0.1) for p in P],
    "ngrpo": scaled(VIRTUAL, [1 / sqrt(2 / 5 * 3 / 5)] * 2),
    "gpg": scaled(CENTRED, [1 / OMEGA] * 2),
    "grpo_passk": [(1 / (SAMPLE[0] + 1e-6), 0), (0, 0)],
    "prpo": [((1 - OMEGA) / (BATCH + 1e-6), -OMEGA / (BATCH + 1e-6))] * 2,
    "grpo_batch_std": scaled(CENTRED, [1 / (BATCH * sqrt(8 / 7) + 1e-4)] * 2),
    "reinforce_pp": [tuple(x / sqrt(BATCH**2 * 8 / 7 + 1e-8) for x in (1 - OMEGA, -OMEGA))] * 2,
    "reinforce_pp_baseline": scaled(CENTRED, [1 / sqrt((4 * 3 / 16 + 1) / 7 + 1e-8)] * 2),
    "nemo_grpo": [(1, -1 / 3 / (sqrt(1 / 3) + 1e-6)), (2 / 3 / (sqrt(1 / 3) + 1e-6), -2 / 3 / (sqrt(1 / 3) + 1e-6))],
}
"""A+ and A- of the two groups."""


@pytest.mark.parametrize("name", EQUATIONS)
def test_estimator_is_its_equation(name):
    plus, minus = np.array(EQUATIONS[name], dtype=float).T
    expected = np.where(REWARDS > 0, plus[:, None], minus[:, None])
    np.testing.assert_allclose(symtheory.advantages(REWARDS, name), expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("right", [1, 2, 3, 4])
def test_pass_at_k_estimators_are_their_binomials(right):
    """arXiv:2508.10751, Eq. for the analytic advantages, and arXiv:2505.15201, with k = 4 of G = 8."""
    wrong, rewards = 8 - right, (np.arange(8) < right).astype(float)
    failing, beside = comb(wrong, 4) / comb(8, 4), comb(wrong - 1, 3) / comb(7, 3)
    spread = sqrt(failing * (1 - failing))
    expected = np.where(rewards > 0, failing / spread, (failing - beside) / spread)
    np.testing.assert_allclose(symtheory.advantages(rewards, "passk"), expected, rtol=1e-12)
    score = rewards * comb(wrong, 3) / comb(7, 3)
    others = (score.sum() - score) / 7
    np.testing.assert_allclose(symtheory.advantages(rewards, "pkpo"), score - others, rtol=1e-12)


@pytest.mark.parametrize(
    ("links", "params", "factors"),
    [
        ((clip,), dict(limit=1.5), None),
        ((multiply,), dict(factor=3), [3, 3]),
        ((multiply,), {}, [1, 1]),
    ],
)
def test_links_change_grpo_as_they_say(links, params, factors):
    chain = estimators.chain(center, scale_by_std, *links, **params)
    pairs = scaled(GRPO, factors) if factors else np.clip(GRPO, -1.5, 1.5)
    plus, minus = np.array(pairs).T
    ours = symtheory.advantages(REWARDS, chain)
    np.testing.assert_allclose(ours, np.where(REWARDS > 0, plus[:, None], minus[:, None]), rtol=1e-12)


def test_clip_has_the_limit_five_unless_told():
    rewards = np.array([1.0] + [0.0] * 48)  # A+ = sqrt(48), A- = -1 / sqrt(48)
    ours = symtheory.advantages(np.array([rewards, 1 - rewards]), estimators.chain(center, scale_by_std, clip))
    assert ours[0, 0] == 5
    assert ours[1, 0] == -5
    np.testing.assert_allclose(ours[0, 1:], -1 / sqrt(48), rtol=1e-12)


def test_floored_std_and_absolute_deviation_are_as_their_formulas():
    rewards = np.array([1.0, 0, 0, 0])
    floored = estimators.chain(center, scale_by_floored_std, floor=0.45)
    np.testing.assert_allclose(symtheory.advantages(rewards, floored)[:2], [0.75 / 0.45, -0.25 / 0.45], rtol=1e-12)
    free = estimators.chain(center, scale_by_floored_std)
    np.testing.assert_allclose(symtheory.advantages(rewards, free)[:2], GRPO[0], rtol=1e-12)
    sample = estimators.chain(center, scale_by_floored_std, ddof=1)
    np.testing.assert_allclose(symtheory.advantages(rewards, sample)[:2], [1.5, -0.5], rtol=1e-12)
    nearly = symtheory.advantages([1e-8, 0, 0, 0], free)  # the std lies below the floor of 1e-6
    np.testing.assert_allclose(nearly[:2], [0.75e-2, -0.25e-2], rtol=1e-6)
    absolute = estimators.chain(center, scale_by_mad, eps=0.5)
    np.testing.assert_allclose(symtheory.advantages(rewards, absolute)[:2], [1.5, -0.5], rtol=1e-12)


@pytest.mark.parametrize(("tilt", "expected"), [(1, HARD), (-1, EASY), (2, None), (0, GRPO)])
def test_plane_is_grpo_moved_by_tilt_and_asymmetry(tilt, expected):
    pairs = expected or scaled(GRPO, [1 / (4 * p) for p in P])
    for asymmetry in (0, 0.25):
        params = dict(tilt=tilt) | (dict(asymmetry=asymmetry) if asymmetry else {})
        plus, minus = np.array(scaled(pairs, [1 + asymmetry] * 2, [1 - asymmetry] * 2)).T
        ours = symtheory.advantages(REWARDS, PLANE, **params)
        np.testing.assert_allclose(ours, np.where(REWARDS > 0, plus[:, None], minus[:, None]), rtol=1e-12)
    np.testing.assert_allclose(symtheory.advantages(REWARDS, PLANE), symtheory.advantages(REWARDS, "grpo"), rtol=1e-12)


@pytest.mark.parametrize("value", [0.1, 0.7, 1 / 3])
def test_batch_of_equal_rewards_gives_prpo_exact_zeros(value):
    assert (symtheory.advantages(np.full((3, 7), value), "prpo") == 0).all()


def test_pass_at_one_is_grpo_and_pkpo_of_one_is_rloo():
    for name, same in (("passk", "grpo"), ("pkpo", "rloo")):
        ours = symtheory.advantages(REWARDS, name, k=1)
        np.testing.assert_allclose(ours, symtheory.advantages(REWARDS, same), rtol=1e-12)


def test_ngrpo_with_ddof_one_divides_by_the_number_of_its_own_rollouts():
    ours = symtheory.advantages(REWARDS[0], "ngrpo", ddof=1)  # squares of 1, 0, 0, 0 and the virtual 1 sum to 1.2
    np.testing.assert_allclose(ours[:2], [0.6 / sqrt(0.3), -0.4 / sqrt(0.3)], rtol=1e-12)


def test_reinforce_rej_drops_groups_of_one_outcome():
    assert (symtheory.advantages([[1, 1, 1], [0, 0, 0]], "reinforce_rej") == 0).all()


def test_unlikely_right_rollouts_gain_by_their_rank_and_padding_has_none():
    changed = np.array([1 - 0.25 * 3 / 4, 0, 1 - 0.25 * 1 / 4, 0])  # 3 and 1 rollouts are less likely
    expected = (changed - changed.mean()) / (changed.std(ddof=1) + 1e-6)
    given = dict(mask=[1, 1, 1, 1, 0], logprobs=[-1.0, -2, -3, -4, -9])
    ours = symtheory.advantages([1.0, 0, 1, 0, 1], "unlikeliness", **given)
    np.testing.assert_allclose(ours, [*expected, 0], rtol=1e-12)


def test_curverl_weighs_by_a_histogram_of_one_bin_more_than_the_group_has_rollouts():
    """Five bins: 1/4 and the rates 0.3, 0.35 lie in the second, 1/2 and 0.45, 0.55 in the third, below 0.9."""
    plus, minus = np.array(scaled(CENTRED, [2 / 2, 2 / 4])).T
    ours = symtheory.advantages(REWARDS, "curverl", rates=[0.3, 0.35, 0.45, 0.55, 0.9])
    np.testing.assert_allclose(ours, np.where(REWARDS > 0, plus[:, None], minus[:, None]), rtol=1e-12)


@pytest.mark.parametrize("name", ["two_stage", "gdpo", "reinforce_pp_baseline"])
def test_centred_advantages_that_are_whitened_sum_to_zero_in_the_theory(name):
    op, size = numpy_ops(), np.array(8.0)
    plus, minus = estimators.get(name).two_outcomes(
        np.array(3.0), size, two_outcome_batch(op, np.array(30.0), np.array(80.0)), op
    )
    assert plus > 0
    np.testing.assert_allclose(3 * plus + 5 * minus, 0, atol=1e-12)


def test_alpha_of_one_half_attenuates_right_rollouts_by_twice_omega():
    for name, undamped in (("agrae_released", scaled(STANDARD, RELEASED)), ("agrae", mixed(HARD, EASY))):
        plus, minus = np.array(scaled(undamped, [2 * OMEGA] * 2, [1, 1])).T
        ours = symtheory.advantages(REWARDS, name, alpha=0.5)
        np.testing.assert_allclose(ours, np.where(REWARDS > 0, plus[:, None], minus[:, None]), rtol=1e-12)


def test_parts_of_an_estimator_are_where_its_links_say():
    assert estimators.get("two_stage").before_whitening.links == (center, scale_by_std)
    assert estimators.get("grpo").before_whitening is None
    assert estimators.Estimator("bare", (center,), {}, "").min_size == 2  # the least that has a mean to differ from


ALONE = {
    "reinforce": (1, 0),
    "psr": (1, 0),
    "nsr": (0, -1),
    "w_reinforce": (0.1, -1),
    "raft": (1, 0),
    "asymre": (0.1, 0.1),
    "ngrpo": (0, -1),
    "prpo": (0.5 / (0.5 + 1e-6), -0.5 / (0.5 + 1e-6)),
    "reinforce_pp": (0.5 / sqrt(0.5 + 1e-8), -0.5 / sqrt(0.5 + 1e-8)),
}
"""Two groups of one rollout, a right and a wrong one: the estimators that need no second rollout."""


def test_estimators_without_a_group_baseline_take_groups_of_one_rollout():
    assert set(ALONE) == {name for name in estimators.names() if estimators.get(name).min_size == 1}
    for name, expected in ALONE.items():
        np.testing.assert_allclose(symtheory.advantages([[1.0], [0.0]], name).ravel(), expected, rtol=1e-12)


def test_each_reward_of_a_rollout_is_standardised_by_itself_and_weighed_once():
    chain = estimators.chain(standardise_each)
    plus, minus = np.array(STANDARD).T
    ours = symtheory.advantages(REWARDS, chain)
    np.testing.assert_allclose(ours, np.where(REWARDS > 0, plus[:, None], minus[:, None]), rtol=1e-12)
    given = [[[1.0, 0, 0, 0]], [[0, 1, np.nan, np.nan]]]  # the second reward was given to two rollouts only
    first, second = plus[0], 0.5 / (sqrt(0.5) + 1e-6)
    expected = [first - 3 * second, minus[0] + 3 * second, minus[0], minus[0]]
    ours = symtheory.advantages(None, chain, components=given, weights=[1, 3])
    np.testing.assert_allclose(ours[0], expected, rtol=1e-12)


def test_rollout_that_got_no_reward_is_no_member_of_its_group():
    expected = symtheory.advantages([1.0, 0, 1], "dr_grpo").tolist()  # which a factor of the rewards would change
    one = symtheory.advantages(None, "dr_grpo", components=[[1.0, 0, np.nan, 1]])
    np.testing.assert_allclose(one, [*expected[:2], 0, expected[2]], rtol=1e-12)
    two = symtheory.advantages(None, "dr_grpo", components=[[1.0, 0, np.nan, np.nan], [np.nan, 0, np.nan, 1]])
    np.testing.assert_allclose(two, one, rtol=1e-12)  # weights are 1 unless given, and one reward makes a member
