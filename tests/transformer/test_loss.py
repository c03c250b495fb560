"""The loss against recorded values and gradients of six trainers, and against its own definition."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from symtheory import InputError
from symtheory.transformer import loss

GOLDEN = Path(__file__).parent.parent / "golden" / "losses"
MODES = {
    "token-mean": "token-mean",
    "seq-mean-token-mean": "sequence-mean",
    "seq-mean-token-sum": "sequence-sum",
    "seq-mean-token-sum-norm": "dr-grpo",
    "dapo": "token-mean",
    "bnpo": "token-mean",
    "grpo": "sequence-mean",
    "dr_grpo": "dr-grpo",
}


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


def cases(name, **wanted):
    """Recorded cases whose options, nested or not, are among those `wanted`; the others are other losses than ours."""
    recorded = json.loads((GOLDEN / f"{name}.json").read_text())
    return [
        pytest.param(case, recorded["rtol"], id=f"{name}-{case['case']}")
        for case in recorded["cases"]
        if all({**case, **case.get("config", {})}[key] in values for key, values in wanted.items())
    ]


def check(case, rtol, mode, scale=1.0, longest=None, **options):
    """Value and gradient of our loss, `scale` times, against the recorded ones."""
    mask, log_prob, old, a = (
        jnp.array(case[key]) for key in ("mask", "log_prob", "old_log_prob", "advantages_per_rollout")
    )

    def value(log_prob):
        return scale * loss.policy_loss(log_prob, old, a, loss.token_weights(mask, mode, longest), **options)

    ours, gradient = jax.value_and_grad(value)(log_prob)
    np.testing.assert_allclose(ours, case["loss"], rtol=rtol, atol=rtol)
    np.testing.assert_allclose(gradient, np.array(case["grad_log_prob"]), rtol=rtol, atol=rtol)


TRL = {"loss_type": MODES, "importance_sampling_level": ["token"], "delta": [None]}


@pytest.mark.parametrize(("case", "rtol"), cases("loss_trl_grpo", **TRL))
def test_loss_is_trls(case, rtol):
    config = case["config"]
    clips = {"clip_low": config["epsilon"], "clip_high": config["epsilon_high"]}
    check(case, rtol, MODES[case["loss_type"]], longest=config["max_completion_length"], **clips)


@pytest.mark.parametrize(("case", "rtol"), cases("loss_verl_policy", policy_loss=["vanilla"]))
def test_loss_is_verls(case, rtol):
    config = case["config"]
    low, high = (config[key] or config["clip_ratio"] for key in ("clip_ratio_low", "clip_ratio_high"))
    mode = MODES[case["loss_agg_mode"]]
    check(case, rtol, mode, clip_low=low, clip_high=high, dual_clip=config["clip_ratio_c"])


@pytest.mark.parametrize(("case", "rtol"), cases("loss_openrlhf_policy", policy_loss_type=["ppo"]))
def test_loss_is_openrlhfs(case, rtol):
    config = case["config"]
    mode = "token-mean" if config["token_level_loss"] else "sequence-mean"
    clips = {"clip_low": config["clip_eps_low"], "clip_high": config["clip_eps_high"]}
    check(case, rtol, mode, dual_clip=config["dual_clip"], **clips)


@pytest.mark.parametrize(("case", "rtol"), cases("loss_agrae_policy"))
def test_loss_is_that_of_the_agrae_release(case, rtol):
    """Its Dr.GRPO aggregation sums over rollouts where ours takes the mean."""
    low, high = (case[key] or case["cliprange"] for key in ("cliprange_low", "cliprange_high"))
    mode = MODES[case["loss_agg_mode"]]
    scale = len(case["mask"]) if mode == "dr-grpo" else 1
    check(case, rtol, mode, scale, clip_low=low, clip_high=high, dual_clip=case["clip_ratio_c"])


@pytest.mark.parametrize(("case", "rtol"), cases("loss_rlvr_policy"))
def test_loss_is_that_of_the_rlvr_release_once_its_advantages_are_weighted(case, rtol):
    weight = case["positive_learning_weight"]
    a = [x * weight if x > 0 and weight else x for x in case["advantages_per_rollout"]]
    check(
        case | {"advantages_per_rollout": a},
        rtol,
        "token-mean",
        clip_low=case["cliprange"],
        clip_high=case["cliprange"],
    )


@pytest.mark.parametrize(
    ("case", "rtol"), cases("loss_verl_agg_loss", loss_agg_mode=MODES) + cases("loss_agrae_agg_loss")
)
def test_aggregation_is_a_weight_for_each_token(case, rtol, request):
    """The A-GRAE release counts rollouts without a token, is nan on their mean, and sums in its Dr.GRPO rule."""
    released, mode = "agrae" in request.node.callspec.id, case["loss_agg_mode"]
    mask, values = jnp.array(case["mask"]), jnp.array(case["loss_mat"])
    full = (mask.sum(-1) > 0).sum()
    ours = (loss.token_weights(mask, MODES[mode]) * values).sum()
    if released and mode == "seq-mean-token-mean" and full < len(mask):
        assert case["loss"] == "nan"
        return
    if released:
        ours = ours * {"seq-mean-token-sum": full / len(mask), "seq-mean-token-sum-norm": full}.get(mode, 1)
    np.testing.assert_allclose(ours, case["loss"], rtol=max(rtol, 1e-7))


SKYRL = {"token_mean": "token-mean", "sequence_mean": "sequence-mean", "seq_mean_token_sum_norm": "dr-grpo"}


@pytest.mark.parametrize(("case", "rtol"), cases("loss_skyrl_reduction", loss_reduction=SKYRL))
def test_aggregation_is_skyrls(case, rtol):
    mask = jnp.array(case["mask"])
    weights = loss.token_weights(mask, SKYRL[case["loss_reduction"]], case["max_seq_len"])
    np.testing.assert_allclose(
        weights * jnp.array(case["advantages_tokens_in"]), np.array(case["advantages_tokens_out"]), rtol=rtol
    )


def test_mean_of_k3_under_the_policy_is_the_kl_divergence():
    rng = np.random.default_rng(0)
    log_p, log_q = (jax.nn.log_softmax(jnp.array(rng.normal(size=7))) for _ in range(2))
    p = jnp.exp(log_p)
    np.testing.assert_allclose((p * loss.k3(log_p, log_q)).sum(), (p * (log_p - log_q)).sum(), rtol=1e-12)
    assert (loss.k3(log_p, log_q) > 0).all()


def test_k3_and_its_gradient_vanish_where_the_policies_agree():
    at = jnp.array(-1.3)
    assert loss.k3(at, at) == 0
    assert jax.grad(loss.k3)(at, at) == 0


def test_kl_term_enters_with_its_weight():
    mask, advantage = jnp.ones((2, 3)), jnp.array([1.0, -1.0])
    log_prob = -jnp.arange(1.0, 7).reshape(2, 3)
    weight = loss.token_weights(mask, "token-mean")
    plain = loss.policy_loss(log_prob, log_prob, advantage, weight)
    with_kl = loss.policy_loss(log_prob, log_prob, advantage, weight, reference=log_prob - 0.5, kl=0.1)
    np.testing.assert_allclose(with_kl - plain, 0.1 * (np.exp(-0.5) + 0.5 - 1), rtol=1e-12)


def test_masked_tokens_may_hold_anything():
    mask = jnp.array([[1.0, 0.0]])
    log_prob = jnp.array([[-1.0, -jnp.inf]])
    value = loss.policy_loss(log_prob, jnp.array([[-1.0, 0.0]]), jnp.ones(1), loss.token_weights(mask, "token-mean"))
    assert value == -1


def test_unknown_aggregation_is_named():
    with pytest.raises(InputError, match=r"no aggregation 'token_mean'. Did you mean 'token-mean'"):
        loss.token_weights(jnp.ones((1, 1)), "token_mean")
