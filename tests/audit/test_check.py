"""The report on logs whose contents are known: its numbers against sums made by hand, and the estimator named."""

import json
from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import symtheory
from symtheory import InputError, estimators
from symtheory.audit import audit, identify, read
from symtheory.audit.identify import tolerance
from symtheory.audit.rows import batches, row_type

from .logs import SAMPLES, run, write_rows

ROW = row_type(1)


def report(tmp_path, rows, **options):
    return audit(read(write_rows(tmp_path / "log.jsonl", rows)), **options)


@pytest.mark.parametrize("name", estimators.names("rewards"))
def test_the_estimator_of_a_run_is_named(tmp_path, name):
    found = report(tmp_path, run(name))
    identified = found["identification"]
    assert identified["equal"], identified
    assert name in [found["nearest_estimator"], *identified["also_equal"]]
    assert identified["first_disagreement"] is None


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("grpo", dict(eps=1e-4)),
        ("grpo_ddof1", dict(eps=1e-4)),
        ("grpo_ddof1", dict(eps=0)),
        ("agrae", dict(alpha=0.5)),
        ("agrae", dict(ddof=1, eps=1e-6)),
        ("negative_dominant", dict(beta=5)),
        ("passk", dict(k=2)),
    ],
)
def test_the_constants_of_an_estimator_are_found(tmp_path, name, params):
    identified = report(tmp_path, run(name, **params))["identification"]
    assert identified["equal"]
    assert estimators.get(identified["name"]).links == estimators.get(name).links
    assert {key: identified["params"][key] for key in params} == params


def test_the_race_between_estimators_keeps_the_right_one_over_many_steps(tmp_path, monkeypatch):
    monkeypatch.setattr(identify, "TRIAL", 8)
    found = report(tmp_path, run("hard_focused", steps=12, prompts=8))
    assert (found["nearest_estimator"], found["identification"]["equal"]) == ("hard_focused", True)
    factor = report(tmp_path, run("hard_focused", steps=12, prompts=8, factor=lambda reward: 1 / (1 + reward.mean())))
    assert factor["nearest_estimator"] == "hard_focused"
    assert factor["identification"]["proportional"]


@pytest.mark.parametrize("decimals", [3, 5])
def test_rounded_advantages_are_still_recognised(tmp_path, decimals):
    rows = [row | {"advantage": round(row["advantage"], decimals)} for row in run("hard_focused")]
    found = report(tmp_path, rows)
    assert (found["nearest_estimator"], found["identification"]["equal"]) == ("hard_focused", True)


def test_the_tolerance_follows_the_precision_of_the_log():
    a = np.random.default_rng(0).normal(size=1000)
    assert tolerance(np.round(a, 4))[0] == pytest.approx(0.51e-4)
    assert tolerance(a.astype(np.float32).astype(float)) == (0, 2e-5)
    assert tolerance(a.astype(np.float16).astype(float)) == (0, 2.0**-11)
    bfloat16 = (a.astype(np.float32).view(np.uint32) & 0xFFFF0000).view(np.float32)
    assert tolerance(bfloat16.astype(float)) == (0, 2.0**-8)


def test_one_changed_advantage_is_the_first_disagreement(tmp_path):
    rows = run("grpo")
    index = next(i for i, row in enumerate(rows) if i > 500 and row["advantage"] > 0)
    rows[index] = rows[index] | {"advantage": rows[index]["advantage"] * 1.01}
    found = report(tmp_path, rows)
    assert found["nearest_estimator"] == "grpo"
    assert not found["identification"]["equal"]
    first = found["identification"]["first_disagreement"]
    assert first["where"] == f"{tmp_path}/log.jsonl:{index + 1}"
    assert first["logged"] == pytest.approx(1.01 * first["expected"], rel=1e-6)


def test_division_by_the_batch_std_is_named(tmp_path):
    identified = report(tmp_path, run("dr_grpo", factor=lambda reward: 1 / reward.std()))["identification"]
    assert (identified["name"], identified["params"], identified["equal"]) == (
        "grpo_batch_std",
        dict(ddof=0, eps=0),
        True,
    )


def test_division_by_another_statistic_of_the_batch_is_recognised_as_a_factor_per_step(tmp_path):
    found = report(tmp_path, run("dr_grpo", factor=lambda reward: 1 / (0.2 + reward.mean())))
    assert found["nearest_estimator"] == "dr_grpo"
    low, high = found["identification"]["proportional"]
    assert 1 / 1.2 < low < high < 1 / 0.2
    assert any("times a factor per step" in w for w in found["warnings"])


def test_trl_is_grpo_with_the_sample_std_and_an_epsilon_of_1e_4():
    identified = audit(read(SAMPLES / "trl_grpo_binary"))["identification"]
    assert (identified["name"], identified["params"], identified["equal"]) == (
        "grpo_ddof1",
        dict(ddof=1, eps=1e-4),
        True,
    )


def test_trl_batch_scaling_of_two_rewards_is_the_centred_sum_over_the_batch_std():
    log = read(SAMPLES / "trl_grpo_two_rewards_batch", reward="correct+0.2*brevity")
    identified = audit(log)["identification"]
    assert (identified["name"], identified["params"], identified["equal"]) == (
        "grpo_batch_std",
        dict(ddof=1, eps=1e-4),
        True,
    )


def two_rewards(tmp_path, advantages_of):
    """A TRL file with two rewards, and advantages made from both."""
    rng = np.random.default_rng(2)
    x = np.stack([rng.random((16, 8)) < 0.5, rng.random((16, 8)) < 0.7]).astype(float)
    a = advantages_of(x).astype(np.float32).astype(float).ravel()
    table = {
        "step": [1] * 128,
        "prompt": [f"q{i // 8}" for i in range(128)],
        "completion": [f"c{i}" for i in range(128)],
    }
    table |= {"accuracy": x[0].ravel(), "format": x[1].ravel(), "length_penalty": rng.random(128), "advantage": a}
    pq.write_table(pa.table(table), tmp_path / "completions_00001.parquet")
    return audit(read(tmp_path))


@pytest.mark.parametrize("weight", [0.2, 0.5, -1.0, 0.0])
def test_the_weights_of_reward_columns_are_found_from_the_advantages(tmp_path, weight):
    found = two_rewards(tmp_path, lambda x: symtheory.advantages(x[0] + weight * x[1], "grpo_ddof1", eps=1e-4))
    weights = found["reward"]["weights"]
    assert weights == pytest.approx({"accuracy": 1.0, "format": weight, "length_penalty": 0.0})
    assert found["identification"]["equal"]
    option = "accuracy" + (f"+{weight:g}*format" if weight else "")
    (sentence,) = [w for w in found["warnings"] if w.startswith("--reward")]
    assert sentence.startswith(f"--reward {option} makes the advantages equal grpo_ddof1(ddof=1, eps=0.0001)")


def test_rewards_that_are_standardised_one_by_one_are_named(tmp_path):
    def gdpo(x):
        centred = x - x.mean(-1, keepdims=True)
        each = centred / (x.std(-1, ddof=1, keepdims=True) + 1e-4)
        total = each[0] + 0.5 * each[1]
        return (total - total.mean()) / (total.std(ddof=1) + 1e-4)

    found = two_rewards(tmp_path, gdpo)
    assert found["nearest_estimator"] is None
    assert found["reward"]["standardised"]["weights"] == pytest.approx((1, 0.5, 0))
    assert any("those of GDPO" in w and "accuracy+0.5*format of them" in w for w in found["warnings"])


def test_the_default_of_nemo_rl_is_named_and_is_not_zero_sum():
    found = audit(read(SAMPLES / "nemo_rl", group_size=4))
    assert found["identification"]["equal"]
    assert found["nearest_estimator"] == "nemo_grpo"
    assert found["sum_of_advantages"] == pytest.approx(-0.73205, abs=1e-5)
    assert found["group_asymmetry"] < -0.1


@pytest.mark.parametrize("name", ["grpo", "negative_dominant", "hard_focused", "agrae"])
def test_counts_and_sums_are_those_made_by_hand(tmp_path, name):
    rows = run(name, steps=5, prompts=16)
    reward = np.array([row["reward"] for row in rows]).reshape(5, 16, 8)
    length = np.array([row["length"] for row in rows]).reshape(5, 16, 8)
    a = np.stack([symtheory.advantages(r, name) for r in reward])
    found = report(tmp_path, rows)
    assert (found["groups"], found["rollouts"], found["skipped_rows"]) == (80, 640, 0)
    p = reward.mean(-1)
    assert found["dead_fraction"] == pytest.approx(((p == 0) | (p == 1)).mean())
    assert found["dead"]["all_wrong"] == pytest.approx((p == 0).mean())
    assert found["success"] == pytest.approx(p.mean())
    asymmetry = a.sum() / np.abs(a).sum()
    assert found["group_asymmetry"] == pytest.approx(asymmetry, abs=1e-6)  # float32 in the log
    tokens = (length * a).sum() / (length * np.abs(a)).sum()
    assert found["length"]["token_asymmetry"] == pytest.approx(tokens, abs=1e-6)
    weight, grpo = np.abs(a).sum(-1), 2 * np.sqrt(p * (1 - p))
    tilt = 2 * ((grpo * p).sum() / grpo.sum() - (weight * p).sum() / weight.sum())
    assert found["difficulty_tilt"] == pytest.approx(tilt, abs=1e-6)
    omega = [s["omega"] for s in found["per_step"]]
    np.testing.assert_allclose(omega, reward.mean((1, 2)))
    by_step = [s["group_asymmetry"] for s in found["per_step"]]
    np.testing.assert_allclose(by_step, a.sum((1, 2)) / np.abs(a).sum((1, 2)), atol=1e-6)
    shares = {d["p"]: d["share"] for d in found["difficulty"]}
    assert shares["(0.4, 0.5]"] == pytest.approx(weight[p == 0.5].sum() / weight.sum(), abs=1e-6)


def test_a_counterfactual_is_the_audit_of_the_run_that_used_that_estimator(tmp_path):
    names = ("agrae", "hard_focused", "positive_dominant")
    imagined = report(tmp_path, run("grpo"), against=names)["against"]
    for name in names:
        real = report(tmp_path, run(name))
        for key in ("group_asymmetry", "difficulty_tilt", "silent_fraction", "sum_of_absolute_advantages"):
            assert imagined[name][key] == pytest.approx(real[key], rel=1e-5, abs=1e-6)
        assert imagined[name]["focus"]["peak"] == pytest.approx(real["focus"]["peak"])


def test_without_advantages_the_assumed_estimator_is_used_and_said(tmp_path):
    found = report(tmp_path, run(advantages=False), estimator="negative_dominant")
    logged = report(tmp_path, run("negative_dominant"))
    assert found["nearest_estimator"] is None
    assert found["advantages"] == "computed"
    assert found["group_asymmetry"] == pytest.approx(logged["group_asymmetry"], abs=1e-6)
    assert any("the log has no advantages: those of negative_dominant" in w for w in found["warnings"])


def test_an_estimator_outside_its_rewards_is_refused_or_said(tmp_path):
    rows = [row | {"reward": 2 * row["reward"] - 1} for row in run(advantages=False)]
    found = report(tmp_path, rows, against=("agrae",))
    assert "rewards in [0, 1]" in found["against"]["agrae"]["undefined"]
    assert found["dead_fraction"] == report(tmp_path, run(advantages=False))["dead_fraction"]
    with pytest.raises(InputError, match="agrae is defined for rewards"):
        report(tmp_path, rows, estimator="agrae")


def test_lengths_that_follow_success_break_the_zero_sum_of_a_mean_over_each_rollout(tmp_path):
    """Correct rollouts twice as long: sum A / l over sum |A| / l is (1/2 - 1) / (1/2 + 1); a token mean keeps C = 0.

    The tokens themselves are pushed up in sum: sum l A over sum l |A| is (2 - 1) / (2 + 1).
    """
    found = report(tmp_path, run("grpo", lengths=lambda reward: (100 * (1 + reward)).astype(int)))
    assert found["group_asymmetry"] == pytest.approx(0, abs=1e-6)
    assert found["length"]["sequence_mean_asymmetry"] == pytest.approx(-1 / 3, abs=1e-6)
    assert found["length"]["token_asymmetry"] == pytest.approx(1 / 3, abs=1e-6)
    assert any("wrong rollouts are shorter; a token mean over the batch leaves it" in w for w in found["warnings"])


def visits(change, steps=8, prompts=200, size=8, seed=3):
    """The same prompts at every step; `change(p, step)` gives their success."""
    rng = np.random.default_rng(seed)
    base = rng.beta(0.7, 0.7, prompts)
    for step in range(steps):
        reward = rng.random((prompts, size)) < change(base, step)[:, None]
        for i in range(prompts):
            for j in range(size):
                yield {"step": step, "prompt_id": i, "reward": float(reward[i, j])}


def test_noise_is_not_read_as_change(tmp_path):
    """A policy that does not move: every bin within four standard errors of 0, though rates of 0 and 1 regress."""
    bins = report(tmp_path, list(visits(lambda p, step: p)))["change"]["bins"]
    assert sum(b["visits"] for b in bins) == 200 * 7
    assert all(abs(b["change"]) < 4 * b["error"] for b in bins)


def test_a_change_of_success_is_measured(tmp_path):
    bins = report(tmp_path, list(visits(lambda p, step: 0.2 + 0.05 * step + 0 * p)))["change"]["bins"]
    mean = np.average([b["change"] for b in bins], weights=[b["visits"] for b in bins])
    assert mean == pytest.approx(0.05, abs=0.02)


def test_a_long_run_is_reported_by_ranges_of_steps_and_loses_nothing(tmp_path):
    rows = [{"step": s, "prompt_id": s, "reward": float(i)} for s in range(1100) for i in (0, 1)]
    found = report(tmp_path, rows)
    assert (found["steps_per_entry"], len(found["per_step"])) == (2, 550)
    assert found["step_range"] == [0, 1099]
    assert sum(s["groups"] for s in found["per_step"]) == found["steps"] == 1100


def test_a_log_longer_than_what_is_held_gives_the_same_batches():
    rng = np.random.default_rng(0)
    rows = np.zeros(4000, ROW)
    rows["step"], rows["line"] = np.repeat(np.arange(20), 200), np.arange(4000)
    rows["group"] = 1 + np.tile(np.repeat(np.arange(25), 8), 20)
    near = np.argsort(rows["step"] + rng.random(4000) * 1.5, kind="stable")  # neighbouring steps interleaved
    chunks = np.array_split(rows[near], 37)
    held = list(batches(chunks, lambda *_: None, Counter(), split=False, pending=700))
    assert [(b.step, len(b.rows), b.again) for b in sorted(held, key=lambda b: b.step)] == [
        (s, 200, False) for s in range(20)
    ]
    assert all((b.sizes == 8).all() for b in held)


def test_one_endless_step_is_handed_out_in_parts_cut_between_groups():
    rows = np.zeros(1000, ROW)
    rows["group"] = np.repeat(np.arange(125), 8)
    parts = list(batches(np.array_split(rows, 13), lambda *_: None, Counter(), split=False, pending=100))
    assert len(parts) > 5
    assert all((b.sizes == 8).all() for b in parts)
    assert [b.again for b in parts] == [False] + [True] * (len(parts) - 1)


def test_one_endless_group_is_handed_out_in_parts():
    parts = list(batches([np.zeros(100, ROW)] * 10, lambda *_: None, Counter(), split=False, pending=150))
    assert [len(b.rows) for b in parts] == [200] * 5


def test_mixed_sizes_single_rollouts_and_repeated_batches_are_said(tmp_path):
    rows = run(steps=1, prompts=3)
    again = [row | {"step": 1, "prompt_id": row["prompt_id"]} for row in rows]
    other = [{"step": 3, "prompt_id": "pair", "reward": float(i)} for i in (0, 1)]
    found = report(tmp_path, [*rows, *again, {"step": 2, "prompt_id": "alone", "reward": 1.0}, *other])
    text = " ".join(f["sentence"] for f in found["trust"]["findings"])
    assert found["group_sizes"] == {"1": 1, "2": 1, "8": 3}
    assert "groups differ in size (3 of 8, 1 of 2)" in text
    assert "1 group of one rollout" in text
    assert "24 rows are exact copies of earlier ones (1 step of nothing else)" in text


def test_the_report_is_plain_json(tmp_path):
    rows = [*run(steps=2), {"step": 9, "prompt_id": "x", "reward": 0.5}]
    json.dumps(report(tmp_path, rows, against=("agrae", "passk")), allow_nan=False)


def test_a_log_of_skipped_rows_only_says_where_the_first_is(tmp_path):
    with pytest.raises(
        InputError, match=r"no usable rollout .* 2 rows were skipped; the first: .*log.jsonl:1: reward is NaN"
    ):
        report(tmp_path, [{"step": 1, "prompt_id": 1, "reward": float("nan")}] * 2)


def test_prompts_that_come_back_under_verl_are_followed_by_their_question():
    """uids differ at every draw; the question does not."""
    assert audit(read(SAMPLES / "verl_v1_rollout_data_dir"))["change"] is None  # no question comes back in the sample


def test_entropy_is_the_mean_negative_log_probability_of_tokens(tmp_path):
    rows = [row | {"logprob": -0.7 * row["length"]} for row in run(steps=2)]
    assert report(tmp_path, rows)["entropy_per_token"] == pytest.approx(0.7)


def test_float_and_text_columns_of_a_parquet_log_are_audited_as_of_jsonl(tmp_path):
    rows = run(steps=2)
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "log.parquet")
    a, b = audit(read(tmp_path / "log.parquet")), report(tmp_path, rows)
    assert a["group_asymmetry"] == b["group_asymmetry"]
    assert a["per_step"] == b["per_step"]
