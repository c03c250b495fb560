"""verl's registry holds every estimator; its functions see token-level rewards, masks and interleaved uids."""

import numpy as np
import pytest

pytest.importorskip("verl", reason="runs where verl is installed, see docs/trainers.md")

import torch
from verl.trainer.ppo.core_algos import ADV_ESTIMATOR_REGISTRY, get_adv_estimator_fn

import symtheory
import symtheory.trainers.verl as ours
from symtheory import InputError, estimators
from symtheory.trainers.monitor import Monitor


def batch(sizes=(4, 4, 4), seed=0, dtype=torch.float32):
    """verl's arguments: uids in random order, rewards on the last valid token of right-padded responses."""
    rng = np.random.default_rng(seed)
    index = rng.permutation(np.repeat([f"uid-{i}" for i in range(len(sizes))], sizes)).astype(object)
    count, width = len(index), 7
    lengths = rng.integers(1, width + 1, count)
    mask = torch.tensor(np.arange(width) < lengths[:, None]).to(dtype)
    rewards = torch.zeros(count, width, dtype=dtype)
    rewards[torch.arange(count), torch.tensor(lengths) - 1] = torch.tensor(rng.integers(0, 2, count), dtype=dtype)
    return dict(token_level_rewards=rewards, response_mask=mask, index=index)


def rows(given, values):
    """Values of the groups, one list for each uid in order of first appearance."""
    uids = list(dict.fromkeys(given["index"].tolist()))
    return [np.asarray(values)[given["index"] == u] for u in uids]


def test_importing_the_module_registers_every_estimator():
    assert {f"symtheory/{name}" for name in estimators.names()} <= set(ADV_ESTIMATOR_REGISTRY)


@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("grpo_ddof1", "grpo"),
        ("rloo", "rloo"),
        ("opo", "opo"),
        ("reinforce_pp_baseline", "reinforce_plus_plus_baseline"),
        ("reinforce_pp", "reinforce_plus_plus"),
        ("gpg", "gpg"),
        ("gdpo", "gdpo"),
    ],
)
def test_ours_equals_verls_own_function(name, theirs):
    for sizes in ((4, 4, 4), (3, 5, 2, 4)):
        given = batch(sizes)
        config = {"config": {"gamma": 1.0, "norm_adv_by_std_in_grpo": True}} if theirs != "grpo" else {}
        if theirs == "reinforce_plus_plus":
            from types import SimpleNamespace

            expected = get_adv_estimator_fn(theirs)(
                given["token_level_rewards"], given["response_mask"], SimpleNamespace(gamma=1.0)
            )[0]
        else:
            expected = get_adv_estimator_fn(theirs)(**given, **({} if theirs in ("grpo", "gdpo") else config))[0]
        advantages, returns = get_adv_estimator_fn(f"symtheory/{name}")(**given, config={})
        torch.testing.assert_close(advantages, expected * given["response_mask"], rtol=1e-5, atol=1e-5)
        assert returns.shape == advantages.shape


@pytest.mark.parametrize("name", estimators.names("rewards"))
def test_every_token_of_a_rollout_gets_the_advantage_of_its_group(name):
    given = batch()
    advantages, _ = get_adv_estimator_fn(f"symtheory/{name}")(**given, config=None)
    assert advantages.dtype == torch.float32
    lengths = given["response_mask"].sum(-1)
    expected = symtheory.advantages(
        np.stack(rows(given, given["token_level_rewards"].sum(-1))), name, lengths=np.stack(rows(given, lengths))
    )
    np.testing.assert_allclose(np.stack(rows(given, advantages[:, 0])), expected, rtol=2e-5, atol=1e-5)
    torch.testing.assert_close(advantages, advantages[:, :1] * given["response_mask"])


def test_parameters_come_from_the_config_and_several_rewards_by_their_keys():
    given = batch()
    config = {"symtheory": {"alpha": 0.5}}
    half, _ = get_adv_estimator_fn("symtheory/agrae")(**given, config=config)
    one, _ = get_adv_estimator_fn("symtheory/agrae")(**given, config={})
    assert not torch.allclose(half, one)
    scores = given["token_level_rewards"].sum(-1).numpy()
    shape = np.linspace(0, 1, len(scores))
    keys = {"gdpo_reward_keys": ["a", "b"], "gdpo_reward_weights": [1.0, 0.5]}
    several = dict(
        config=keys,
        non_tensor_batch={"a": scores, "b": shape},
        batch={
            "prompts": torch.zeros(len(scores), 1),
            "attention_mask": torch.cat([torch.ones(len(scores), 1), given["response_mask"]], 1).long(),
        },
    )
    expected = get_adv_estimator_fn("gdpo")(**given, **several)[0]
    advantages, _ = get_adv_estimator_fn("symtheory/gdpo")(**given, **several)
    torch.testing.assert_close(advantages, expected, rtol=1e-4, atol=1e-5)


def test_verls_own_trainer_code_calls_it():
    ray_trainer = pytest.importorskip("verl.trainer.ppo.ray_trainer")
    from verl import DataProto

    given = batch()
    index = given.pop("index")
    data = DataProto.from_single_dict({**given, "uid": index})
    done = ray_trainer.compute_advantage(data, "symtheory/agrae", config={"symtheory": {"alpha": 1.0}})
    expected, _ = ours.advantage_function("agrae")(**given, index=index)
    torch.testing.assert_close(done.batch["advantages"], expected)


def test_log_probabilities_are_used_where_given_and_asked_for_where_not():
    given = batch()
    logprobs = -torch.rand(given["response_mask"].shape)
    advantages, _ = get_adv_estimator_fn("symtheory/differential_smoothing")(**given, old_log_probs=logprobs)
    assert torch.isfinite(advantages).all()
    with pytest.raises(InputError, match="needs logprobs"):
        get_adv_estimator_fn("symtheory/differential_smoothing")(**given)


def test_the_window_of_rates_is_that_of_earlier_steps():
    f = ours.advantage_function("curverl")
    one = dict(token_level_rewards=torch.tensor([[1.0], [1], [0], [0]]), response_mask=torch.ones(4, 1))
    two = dict(token_level_rewards=torch.tensor([[1.0], [0], [0], [0]]), response_mask=torch.ones(4, 1))
    assert f(**one, index=["a"] * 4)[0].abs().sum() > 0
    assert f(**two, index=["b"] * 4)[0].abs().sum() == 0  # the only rate of the window lies above this one


def test_a_monitor_sees_every_step():
    monitor = ours.watch(Monitor())
    try:
        get_adv_estimator_fn("symtheory/agrae")(**batch())
        assert monitor.steps == 1
        assert 0 <= monitor.latest["symtheory/omega"] <= 1
    finally:
        ours._monitors.remove(monitor)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(token_level_rewards=torch.ones(12, 7, dtype=torch.int64)), "must be floating point"),
        (dict(response_mask=torch.ones(12, 6)), "must both have shape"),
        (dict(index=None), "index must name the group of each of the 12 rollouts"),
        (dict(index=np.arange(12)), "got a group of 1"),
        (dict(config={"symtheory": {"alfa": 1}}), "takes no parameter 'alfa'"),
        (dict(config={"gdpo_reward_keys": ["a"]}), "verl hands them to the name gdpo only"),
    ],
)
def test_what_it_cannot_use_gets_one_sentence(change, message):
    with pytest.raises(InputError, match=message) as error:
        get_adv_estimator_fn("symtheory/agrae")(**{**batch(), **change})
    assert "\n" not in str(error.value)
