"""Kinds of log that invite a confident wrong number, each with the right one."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import symtheory
from symtheory import InputError
from symtheory.audit import audit, read

from . import shapes
from .logs import write_rows


def report(folder, rows, **options):
    return audit(read(write_rows(folder / "log.jsonl", rows), **options))


def group(prompt, rewards, advantages=None, step=1, **more):
    """Rows of one group."""
    rows = [{"step": step, "prompt_id": prompt, "reward": r, **more} for r in rewards]
    return rows if advantages is None else [r | {"advantage": a} for r, a in zip(rows, advantages, strict=True)]


def said(found, key):
    """The sentence of a finding on trust, empty if it was not made."""
    return next((f["sentence"] for f in found["trust"]["findings"] if f["key"] == key), "")


def trl_file(path, prompts, advantages, **rewards):
    n = len(prompts)
    table = {
        "step": [1] * n,
        "prompt": prompts,
        "completion": [f"c{i} {i * i}" for i in range(n)],
        **rewards,
        "advantage": advantages,
    }
    pq.write_table(pa.table(table), path / "completions_00001.parquet")
    return path


# F1
def test_nemo_rl_groups_are_told_by_conversation_or_prompt_tokens_and_cut_by_a_wrong_group_size(tmp_path):
    for shape in (shapes.nemo_rl, shapes.nemo_rl_text):
        folder = tmp_path / shape.__name__
        folder.mkdir()
        shape(folder, shapes.made())
        assert audit(read(folder))["group_sizes"] == {"8": 12}
        assert audit(read(folder, group_size=8))["trust"]["ok"]
        wrong = audit(read(folder, group_size=16))
        assert "6 of 6 blocks of --group-size 16 mix several prompts" in said(wrong, "blocks_cut_prompts")
        assert "--group-size 8 fits the advantages" in json.dumps(wrong["trust"])


def test_placeholder_prompt_tokens_are_no_group_and_the_group_size_that_fits_is_named(tmp_path):
    rows = shapes.made()
    for r in rows:
        r["q"] = r["q"]
    shapes.lines(
        tmp_path / "train_data_step1.jsonl",
        [shapes.nemo_row(r | {"q": 0}, j, [r["prompt"] + r["text"]]) for j, r in enumerate(rows[:32])],
    )
    with pytest.raises(InputError, match=r"give --group-size \(8 fits the advantages\)"):
        read(tmp_path)


# F2
def test_a_reward_function_that_returned_nothing_counts_as_nothing(tmp_path):
    nan = float("nan")
    a = symtheory.advantages([[1, 0], [1, 0]], "grpo_ddof1", eps=1e-4).ravel()
    found = audit(
        read(trl_file(tmp_path, ["m", "m", "c", "c"], a, math_reward=[1, 0, nan, nan], code_reward=[nan, nan, 1, 0]))
    )
    assert (found["rollouts"], found["skipped_rows"], found["success"]) == (4, 0, 0.5)
    assert found["identification"]["equal"]
    found = audit(read(trl_file(tmp_path, ["m"] * 4, [1.0, -1, 0, 0], judge=[1, 0, nan, nan])))
    assert (found["rollouts"], found["skipped_rows"]) == (2, 2)


# F3
def test_verl_counts_the_last_output_of_a_session_once(tmp_path):
    uids = {"u_0_0": 1.0, "u_1_0": 0.0, "u_1_1": 0.0, "u_1_2": 0.0}
    rows = [
        {"input": "q" * (1 + int(u[-1])), "output": "abc", "score": s, "step": 1, "uid": u} for u, s in uids.items()
    ]
    for order in (rows, rows[::-1]):
        found = audit(read(write_rows(tmp_path / "1.jsonl", order)))
        assert (found["rollouts"], found["success"], found["group_sizes"]) == (2, 0.5, {"2": 1})
        assert "2 rows are earlier outputs" in said(found, "outputs")


# F4
@pytest.mark.parametrize("broken", [float("nan"), float("inf"), None])
def test_advantages_that_are_no_numbers_come_first(tmp_path, broken):
    good = group("a", [1, 0], [1.0, -1.0])
    bad = [row | {"advantage": broken} for row in group("b", [1, 0])] + [
        row | {"advantage": broken} for row in group("b", [1, 1], step=2)
    ]
    found = report(tmp_path, [*good, *bad])
    first = found["trust"]["findings"][0]
    assert first["sentence"] == f"4 of 6 advantages are NaN or missing, first at {tmp_path}/log.jsonl:3"
    assert (first["grave"], found["trust"]["ok"], found["advantages"]) == (True, False, "logged")
    found = report(tmp_path, bad)
    assert "all advantages are NaN or missing" in said(found, "nan_advantages")
    assert not any("the log has no advantages" in w for w in found["warnings"])


# F5
def test_a_masked_rollout_keeps_its_advantage_and_leaves_the_loss(tmp_path):
    rows = shapes.made()
    for r in rows:
        r["mask"] = 0.0 if r["reward"] == 0 and r["i"] % 2 else 1.0
    shapes.nemo_rl(tmp_path, rows)
    found = audit(read(tmp_path))
    a, m = np.array([r["a"] for r in rows]), np.array([r["mask"] for r in rows])
    assert found["group_asymmetry"] == pytest.approx((a * m).sum() / np.abs(a * m).sum(), abs=1e-6)
    assert found["group_asymmetry"] > 0.1
    assert found["sum_with_masked"] == pytest.approx(a.sum(), abs=1e-5)
    assert found["identification"]["equal"]
    assert said(found, "masked").startswith(f"{int((m == 0).sum())} of 96 rollouts are masked out")


# F6
def test_equal_rewards_with_advantages_say_that_the_reward_or_the_grouping_is_another(tmp_path):
    found = report(
        tmp_path,
        [*group("a", [1, 1, 1, 1], [1.5, -0.5, -0.5, -0.5]), *group("b", [1, 0, 0, 0], [1.5, -0.5, -0.5, -0.5])],
    )
    assert "1 group of equal rewards has advantages" in said(found, "equal_rewards_with_advantages")
    assert found["dead_fraction"] == 0
    assert not any("carry no signal" in w for w in found["warnings"])


def test_a_wrong_grouping_shows_in_unequal_advantages_of_equal_rewards(tmp_path):
    rows = [{k: v for k, v in shapes.plain(r).items() if k not in ("prompt_id", "text")} for r in shapes.made()]
    found = report(tmp_path, rows, group_size=16)
    assert "--group-size 8 fits the advantages" in said(found, "unequal_advantages_for_equal_rewards")
    assert report(tmp_path, rows, group_size=8)["trust"]["ok"]


def test_an_estimator_that_moves_dead_groups_is_no_fault_of_the_log(tmp_path):
    rewards = [[1.0, 1, 1, 1], [1, 0, 0, 0], [0, 0, 0, 0]]
    a = symtheory.advantages(rewards, "psr")
    assert a[0].any()
    found = report(
        tmp_path, [row for p, r, x in zip("abc", rewards, a.tolist(), strict=True) for row in group(p, r, x)]
    )
    assert found["identification"]["equal"]
    assert found["trust"]["ok"]


# F7
def test_one_huge_advantage_is_no_factor(tmp_path):
    rows = group("a", [1, 0, 0, 0], [1e6, -0.3333, -0.3333, -0.3333])
    rows += [row for i in range(20) for row in group(f"b{i}", [1, 1, 0, 0], [1.0, 1, -1, -1])]
    found = report(tmp_path, rows)
    assert (found["nearest_estimator"], found["identification"]["proportional"]) == (None, None)
    assert said(found, "one_rollout_dominates") == f"1 rollout of 84 carries 100% of sum |A|, at {tmp_path}/log.jsonl:1"


# F8
def test_a_larger_group_is_not_cut_where_its_pieces_are_not_zero_sum(tmp_path):
    large = symtheory.advantages([[1, 0, 0, 0, 0, 0, 1, 0]], "grpo_ddof1", eps=1e-4)[0]
    pair = symtheory.advantages([[1, 0]], "grpo_ddof1", eps=1e-4)[0]
    a = np.concatenate([large, pair, pair])
    found = audit(
        read(
            trl_file(tmp_path, ["train"] * 8 + ["v"] * 2 + ["w"] * 2, a, acc=[1.0, 0, 0, 0, 0, 0, 1, 0] + [1.0, 0] * 2)
        )
    )
    assert found["group_sizes"] == {"2": 2, "8": 1}
    assert found["identification"]["equal"]


# F9
def test_copies_of_rollouts_are_counted_once_and_visits_are_those_of_generations(tmp_path):
    shapes.repeated(tmp_path, shapes.made())
    found = audit(read(tmp_path))
    assert sum(b["visits"] for b in found["change"]["bins"]) == 8
    assert (found["steps"], found["rollouts"]) == (3, 96)
    assert said(found, "copies").startswith("288 rows are exact copies")


def test_wrong_answers_at_every_step_are_no_copies(tmp_path):
    rows = [row for step in range(6) for q in range(4) for row in group(q, [0] * 8, step=step)]
    found = report(tmp_path, rows)
    assert (found["steps"], found["rollouts"], found["trust"]["findings"]) == (6, 192, [])


def test_a_greedy_evaluation_that_answers_the_same_is_no_copy(tmp_path):
    rows = [{"step": step, "prompt_id": q, "reward": 1, "text": f"answer {q}"} for step in range(3) for q in range(8)]
    assert report(tmp_path, rows)["rollouts"] == 24


def test_a_file_that_was_copied_counts_once(tmp_path):
    rows = [shapes.plain(r) for r in shapes.made()]
    write_rows(tmp_path / "log.jsonl", rows)
    write_rows(tmp_path / "log (copy).jsonl", rows)
    found = audit(read(tmp_path))
    assert (found["rollouts"], said(found, "copies")[:7]) == (96, "96 rows")


# F10
def test_single_rollouts_are_not_dead(tmp_path):
    rows = [*group("a", [1, 0, 1, 0]), *(row for i in range(6) for row in group(f"e{i}", [i % 2]))]
    found = report(tmp_path, rows)
    assert found["dead_fraction"] == 0
    assert "6 groups of one rollout" in said(found, "single_rollouts")
    alone = report(tmp_path, rows[4:])
    assert (alone["dead_fraction"], alone["trust"]["ok"]) == (None, False)


def test_turns_with_their_own_prompts_are_rows_of_one_rollout(tmp_path):
    rows = []
    for q in range(3):
        for i in range(4):
            for turn in range(1 + i % 3):
                asked = f"Sum {q} + {q}?\n" + "".join(f"call {i} {t}\ntool ok\n" for t in range(turn))
                rows.append({"input": asked, "output": f"x{i}{turn}", "score": float(i % 2), "step": 1})
    found = audit(read(write_rows(tmp_path / "1.jsonl", rows)))
    assert (found["group_sizes"], found["rollouts"]) == ({"4": 3}, 12)
    assert "9 rows continue the prompt" in said(found, "turns")


def test_questions_that_begin_alike_are_no_turns(tmp_path):
    rows = [
        {"input": p, "output": f"x{i}", "score": float(i % 2), "step": 1}
        for p in ("What is 1 + 1", "What is 1 + 1 + 12345?")
        for i in range(4)
    ]
    assert audit(read(write_rows(tmp_path / "1.jsonl", rows)))["group_sizes"] == {"4": 2}


# F11
def test_one_rule_tells_success_in_a_whole_log(tmp_path):
    found = report(tmp_path, [*group("a", [1.1] + [0.1] * 7), *group("b", [1.0] + [0.1] * 7)])
    assert found["success"] == 0.125
    assert found["reward"]["success"] == "success is reward above 0.55"


@pytest.mark.parametrize(
    ("rewards", "success"),
    [
        ([-1, 1, 1, 1], 0.75),
        ([0, 10, 0, 10], 0.5),
        ([0, 2, 5, 7, 10], 0.48),
        ([-3, -2, -1, -1], 0.625),
        ([0.2, 0.4, 0.6, 0.9], 0.525),
        ([-1.0, -0.5, -0.5, -1.0], 0.5),
    ],
)
def test_success_of_any_scale_lies_between_0_and_1(tmp_path, rewards, success):
    assert report(tmp_path, group("a", rewards))["success"] == pytest.approx(success)


def test_a_column_of_success_can_be_named(tmp_path):
    rows = [row | {"solved_it": s} for row, s in zip(group("a", [3, 7, 5, 1]), ["no", "yes", "yes", "no"], strict=True)]
    found = report(tmp_path, rows, success="solved_it")
    assert (found["success"], found["reward"]["success"]) == (0.5, "success is solved_it")


# F12
def test_plural_names_and_empty_prompts(tmp_path):
    rows = [
        {
            "step": 1,
            "problem_id": i // 4,
            "prompt": "",
            "rewards": float(i % 4 == 0),
            "advantages": 0.75 if i % 4 == 0 else -0.25,
        }
        for i in range(8)
    ]
    found = report(tmp_path, rows)
    assert (found["groups"], found["advantages"], found["nearest_estimator"]) == (2, "logged", "dr_grpo")


# F13
@pytest.mark.parametrize("noise", [0.1 + 0.2, 0.3 * (1 + 1e-7)])
def test_rewards_that_differ_by_rounding_are_equal(tmp_path, noise):
    found = report(tmp_path, group("a", [noise, 0.3, 0.3, 0.3]))
    assert (found["dead_fraction"], found["group_asymmetry"]) == (1, None)


# F14
def test_what_is_no_log_is_left_out_of_a_folder_and_named(tmp_path):
    shapes.with_other_files(tmp_path, shapes.made())
    found = audit(read(tmp_path))
    assert found["files"] == 1
    assert any("2 files are left out" in note and "gpu.jsonl" in note for note in found["notes"])


def test_a_constant_factor_is_called_constant(tmp_path):
    """ms-swift's rloo is the centred reward times G / (G - 1)."""
    rewards = [[1.0, 0, 0, 0, 0, 0, 0, 0], [1, 1, 1, 0, 0, 0, 0, 0]]
    a = symtheory.advantages(rewards, "dr_grpo") * 64 / 49
    found = report(tmp_path, [row for p, r, x in zip("ab", rewards, a.tolist(), strict=True) for row in group(p, r, x)])
    (sentence,) = [w for w in found["warnings"] if "times" in w]
    assert "times a constant, " in sentence
    assert "(8/7)" in sentence or "(64/49)" in sentence


def test_a_resumed_run_counts_the_last_writing_of_its_steps(tmp_path):
    rows = [
        row
        for step in (1, 2, 3, 4, 3, 4, 5)
        for q in range(4)
        for row in group(q, [float(step > 2)] * 3 + [0.0], step=step)
    ]
    found = report(tmp_path, rows)
    assert (found["steps"], found["rollouts"], found["group_sizes"]) == (5, 80, {"4": 20})
    assert said(found, "steps_written_twice").startswith("2 steps were written twice")


def test_steps_that_overlap_in_an_asynchronous_run_are_not_written_twice(tmp_path):
    rng = np.random.default_rng(0)
    rows = [row for step in range(8) for q in range(8) for row in group(f"{step}-{q}", [0, 1], step=step)]
    order = np.argsort(np.arange(len(rows)) + rng.uniform(0, 12, len(rows)))
    found = report(tmp_path, [rows[i] for i in order])
    assert (found["rollouts"], said(found, "steps_written_twice")) == (128, "")


def test_the_same_completions_on_every_process_are_said(tmp_path):
    rows = [
        row | {"completion": f"long answer {i % 2}"} for q in range(6) for i, row in enumerate(group(q, [1, 0] * 4))
    ]
    assert said(report(tmp_path, rows), "duplicate_texts").startswith("36 of 48 rollouts repeat a text of their group")


def test_truncated_rollouts_that_keep_a_reward_are_counted(tmp_path):
    rows = [row | {"finish_reason": "length" if i < 2 else "stop"} for i, row in enumerate(group("a", [1, 0, 1, 0]))]
    assert (
        said(report(tmp_path, rows), "truncated_with_reward") == "1 of 2 truncated rollouts keep a reward for success"
    )


def test_a_curve_of_means_is_no_log_whatever_the_group_size(tmp_path):
    file = write_rows(tmp_path / "metrics.jsonl", [{"step": s, "reward": 0.4, "kl": 0.1} for s in range(20)])
    for size in (None, 4):
        with pytest.raises(InputError, match="one row a step: a curve of means, not rollouts"):
            read(file, group_size=size)


def test_rewards_as_objects_and_lists_of_one_are_numbers(tmp_path):
    assert report(tmp_path, group("a", [[[1.0]], [[0.0]]]))["success"] == 0.5
    assert report(tmp_path, group("a", [{"correct": 1}, {"correct": 0}]))["success"] == 0.5
    both = report(tmp_path, group("a", [{"format": 0.2, "correct": 1}, {"format": 0.0, "correct": 0}]))
    assert (both["reward"]["option"], both["success"], both["mean_reward"]) == (
        "reward.correct+reward.format",
        0.5,
        0.6,
    )
    tokens = [row | {"completion": "a b c"} for row in group("a", [[0, 0, 1.0], [0, 0, 0, 0.0]])]
    assert report(tmp_path, tokens)["success"] == 0.5


def test_named_rewards_of_a_home_made_log_are_weighed_by_the_advantages(tmp_path):
    rows = [
        {"step": r["step"], "prompt": r["prompt"], "completion": r["text"], "advantage": r["a"]}
        | {"rewards": {"format": float(r["i"] % 2), "accuracy": r["reward"]}}
        for r in shapes.made()
    ]
    found = report(tmp_path, rows)
    assert (found["reward"]["option"], found["nearest_estimator"]) == ("rewards.accuracy", "grpo_ddof1")
