"""Readers: every format with its traps, and every way in which a line can be damaged."""

import gzip
import json
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from symtheory import InputError
from symtheory.audit import read
from symtheory.audit.files import streams

from .logs import SAMPLES, run, write_rows

EXPECTED = json.loads((SAMPLES / "expected.json").read_text())


def groups(path, **options):
    """(log, [rewards of each group], [advantages of each group])"""
    log = read(path, **options)
    rewards, advantages = [], []
    for batch in log.batches:
        for start, size in zip(batch.starts, batch.sizes, strict=True):
            rewards.append(batch.rows["reward"][start : start + size])
            advantages.append(batch.rows["advantage"][start : start + size])
    return log, rewards, advantages


@pytest.mark.parametrize("name", EXPECTED)
def test_every_sample_has_the_facts_its_trainer_would_report(name):
    facts = EXPECTED[name]
    size = 4 if name.startswith("nemo_rl/train") else None
    # the facts of the two rewards are those of one; the advantages are those of their weighted sum
    log, rewards, advantages = groups(SAMPLES / name, group_size=size, reward=facts.get("reward_column_used"))
    assert log.skipped.total == 0
    assert sum(map(len, rewards)) == facts["rows"]
    if "groups" not in facts:
        return
    assert len(rewards) == facts["groups"]
    assert sorted({len(r) for r in rewards}) == facts["group_sizes"]
    assert sum(np.ptp(r) == 0 for r in rewards) == facts["zero_variance_groups"]
    np.testing.assert_allclose(sorted(r.mean() for r in rewards), facts["group_mean_rewards_sorted"], atol=1e-6)
    assert np.concatenate(rewards).mean() == pytest.approx(facts["mean_reward"], abs=1e-6)
    if "sum_abs_advantages_by_group" in facts:
        found = sorted(np.abs(a).sum() for a in advantages)
        np.testing.assert_allclose(found, sorted(facts["sum_abs_advantages_by_group"]), atol=1e-5)
    if "sum_of_rollout_advantages_by_group" in facts:
        found = sorted(a.sum() for a in advantages)
        np.testing.assert_allclose(found, sorted(facts["sum_of_rollout_advantages_by_group"]), atol=1e-5)


@pytest.mark.parametrize(
    ("folder", "name", "files"),
    [
        ("trl_grpo_binary", "trl", 2),
        ("verl_v1_rollout_data_dir", "verl", 2),
        ("verl_legacy_rollout_data_dir", "verl_legacy", 2),
        ("verl_legacy_validation_data_dir", "verl_legacy", 1),
    ],
)
def test_formats_are_recognised_in_a_folder(folder, name, files):
    log = read(SAMPLES / folder)
    assert (log.format, len(log.files)) == (name, files)


def test_files_are_read_in_the_order_of_their_numbers(tmp_path):
    for step in (10, 2, 1):
        write_rows(tmp_path / f"{step}.jsonl", [{"step": step, "prompt_id": 0, "reward": 1}])
    assert [batch.step for batch in read(tmp_path).batches] == [1, 2, 10]


def test_nemo_rl_leaves_validation_out_of_a_folder():
    log, rewards, _ = groups(SAMPLES / "nemo_rl", group_size=4)
    assert len(rewards) == 4
    assert (log.left["evaluation files"], log.evaluation_file[-19:]) == (1, "val_data_step1.jsonl"[-19:])


def test_dynamic_sampling_of_nemo_rl_reads_the_rewards_of_the_rows(tmp_path):
    rows = [
        {"content": ["x"], "rewards": [0.5], "filtered_rewards": [float(i % 2)], "token_ids": [[1]], "idx": i}
        for i in range(4)
    ]
    _, rewards, _ = groups(write_rows(tmp_path / "train_data_step3.jsonl", rows), group_size=2)
    assert [r.tolist() for r in rewards] == [[0, 1], [0, 1]]


def test_a_verl_group_is_the_uid_without_its_last_two_parts(tmp_path):
    row = {"input": "q", "output": "a", "gts": None, "score": 1.0, "step": 1}
    rows = [row | {"uid": f"with_underscore_{g}_{i}_0"} for g in "ab" for i in range(3)] + [row | {"uid": "broken"}]
    log, rewards, _ = groups(write_rows(tmp_path / "1.jsonl", rows))
    assert [len(r) for r in rewards] == [3, 3]
    assert log.skipped.examples == [(f"{tmp_path}/1.jsonl:7", "uid is missing or names no group")]


def test_a_prompt_that_trl_drew_twice_is_two_groups(tmp_path):
    prompts = [name for name in "aabc" for _ in range(4)]
    table = {
        "step": [1] * 16,
        "prompt": prompts,
        "completion": ["x"] * 16,
        "correct": [1.0, 0, 0, 0] * 4,
        "advantage": [0.0] * 16,
    }
    pq.write_table(pa.table(table), tmp_path / "completions_00001.parquet")
    assert [len(r) for r in groups(tmp_path)[1]] == [4] * 4
    assert [len(r) for r in groups(tmp_path, group_size=2)[1]] == [2] * 8


def test_trl_steps_may_be_text_and_unscored_completions_are_located(tmp_path):
    table = {
        "step": ["7", "7", "x", "7"],
        "prompt": ["a"] * 4,
        "completion": ["x", "xy", None, "z"],
        "correct": [1.0, None, 0.0, float("nan")],
        "advantage": [0.5, 0.0, 0.0, 0.0],
    }
    pq.write_table(pa.table(table), tmp_path / "t.parquet")
    log, rewards, _ = groups(tmp_path / "t.parquet")
    assert [r.tolist() for r in rewards] == [[1.0]]
    assert log.skipped.counts == {"correct is NaN": 2, "step is no number but str, not a whole number": 1}
    assert {place.rpartition(":")[2] for place, _ in log.skipped.examples} == {"2", "3", "4"}


def test_a_sum_of_reward_columns_can_be_chosen():
    folder = SAMPLES / "trl_grpo_two_rewards_batch"
    one, both = groups(folder, reward="correct")[1], groups(folder, reward="correct+0.2*brevity")[1]
    table = pq.read_table(next(folder.rglob("*.parquet")))
    total = table["correct"].to_numpy() + 0.2 * table["brevity"].to_numpy()
    np.testing.assert_allclose(sorted(np.concatenate(both)), sorted(total), rtol=1e-12)
    assert set(np.concatenate(one)) == {0.0, 1.0}
    log, found, _ = groups(folder)
    assert (log.score.option, log.score.terms.weights) == ("correct+0.2*brevity", (1.0, 0.2))  # by the advantages
    np.testing.assert_allclose(sorted(np.concatenate(found)), sorted(total), rtol=1e-12)


def test_the_plain_schema_reads_the_same_from_jsonl_and_parquet(tmp_path):
    rows = run(steps=2, prompts=3)
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    a = groups(write_rows(tmp_path / "a.jsonl", rows))
    b = groups(tmp_path / "a.parquet")
    for x, y in zip(a[1:], b[1:], strict=True):
        assert sorted(g.tolist() for g in x) == sorted(g.tolist() for g in y)


def test_the_order_of_rows_does_not_matter(tmp_path):
    rows = run(steps=4, prompts=5)
    shuffled = [rows[i] for i in np.random.default_rng(1).permutation(len(rows))]
    a, b = (groups(write_rows(tmp_path / n, r))[1] for n, r in (("a.jsonl", rows), ("b.jsonl", shuffled)))
    assert sorted(sorted(g.tolist()) for g in a) == sorted(sorted(g.tolist()) for g in b)


def test_blocks_of_rows_form_groups_where_prompts_are_not_logged(tmp_path):
    rows = [{"step": 0, "reward": i % 3 == 0} for i in range(6)]
    rows = [row | {"reward": float(row["reward"])} for row in rows]
    lines = [json.dumps(row) for row in rows]
    lines[1] = "damaged"  # it still takes its place in the first block
    file = tmp_path / "a.jsonl"
    file.write_text("\n".join(lines))
    assert [r.tolist() for r in groups(file, group_size=3)[1]] == [[1, 0], [1, 0, 0]]
    with pytest.raises(InputError, match=r"--columns prompt=\.\.\., or give --group-size"):
        groups(file)


GOOD = b'{"step":1,"prompt_id":"q","reward":1.0}'
DAMAGE = {
    b'{"step":1,"prompt_id":"q","reward":NaN}': "reward is NaN",
    b'{"step":1,"prompt_id":"q","reward":-Infinity}': "reward is -inf",
    b'{"step":1,"prompt_id":"q","reward":1e999}': "reward is inf",
    b'{"step":1,"prompt_id":"q","reward":1e101}': "reward is out of range",
    b'{"step":1,"prompt_id":"q","reward":null}': "reward is missing",
    b'{"step":1.5,"prompt_id":"q","reward":1}': "step is 1.5, not a whole number",
    b'{"step":' + b"9" * 400 + b',"prompt_id":"q","reward":1}': "",
    b'{"prompt_id":"q","reward":1}': "step is missing, not a whole number",
    b'{"step":1,"prompt_id":"\xff\xfe","reward":1}': "not UTF-8",
    b'{"step":1,"prompt_id":"q","reward":1,"x":' + b"[" * 200_000 + b"]" * 200_000 + b"}": "nested too deeply",
    b'{"step":1,"prompt_id":"q","rew': "not JSON",
    b'{"step":1,"prompt_id":"q","reward":"one"}': "reward is no number but str",
    b'{"step":1,"prompt_id":{},"reward":"one"}': "reward is no number but str",
    b'{"step":1,"prompt_id":null,"reward":1}': "prompt_id is missing or names no group",
    b"[1, 2]": "expected object, got array",
    b"\x00\x01\x02 rubbish": "not JSON",
    b"cos\nsystem\n(S'true'\ntR.": "not JSON",
}


@pytest.mark.parametrize("damage", DAMAGE, ids=lambda d: d[:40].decode("ascii", "replace"))
def test_a_damaged_line_is_located_and_costs_only_itself(tmp_path, damage):
    file = tmp_path / "a.jsonl"
    file.write_bytes(GOOD + b"\n" + damage + b"\n" + GOOD + b"\n")
    log, rewards, _ = groups(file)
    assert [r.tolist() for r in rewards] == [[1.0, 1.0]]
    places = [place for place, _ in log.skipped.examples]
    assert places == [f"{file}:{2 + i}" for i in range(len(damage.split(b"\n")))]
    assert DAMAGE[damage] in log.skipped.examples[0][1]


def test_a_log_that_stops_in_the_middle_of_a_line_loses_that_line(tmp_path):
    file = tmp_path / "a.jsonl"
    file.write_bytes(GOOD + b"\n" + GOOD[:-8])
    log, rewards, _ = groups(file)
    assert [len(r) for r in rewards] == [1]
    assert log.skipped.examples == [(f"{file}:2", "the line is cut short")]


def test_nan_in_a_field_that_is_not_needed_costs_nothing(tmp_path):
    file = tmp_path / "a.jsonl"
    file.write_bytes(GOOD + b'\n{"step":1,"prompt_id":"q","reward":0,"kl":NaN}\n')
    log, rewards, _ = groups(file)
    assert [r.tolist() for r in rewards] == [[1.0, 0.0]]
    assert log.skipped.total == 0


def test_bom_crlf_blank_lines_and_a_missing_last_newline_are_no_damage(tmp_path):
    file = tmp_path / "a.jsonl"
    file.write_bytes(b"\xef\xbb\xbf" + GOOD + b"\r\n\r\n  \r\n" + GOOD)
    log, rewards, _ = groups(file)
    assert [r.tolist() for r in rewards] == [[1.0, 1.0]]
    assert log.skipped.total == 0


def test_a_line_of_100_mb_is_skipped_without_being_held(tmp_path):
    file = tmp_path / "a.jsonl"
    with open(file, "wb") as stream:
        stream.write(GOOD + b'\n{"x":"')
        for _ in range(100):
            stream.write(b"x" * (1 << 20))
        stream.write(b'"}\n' + GOOD + b"\n")
    log, rewards, _ = groups(file)
    assert [len(r) for r in rewards] == [2]
    assert log.skipped.examples == [(f"{file}:2", "longer than 24 MB")]


def test_gzip_is_read_cut_gzip_is_located_and_a_bomb_is_refused(tmp_path, monkeypatch):
    packed = gzip.compress(b"\n".join([GOOD] * 1000))
    (tmp_path / "a.jsonl.gz").write_bytes(packed)
    assert [len(r) for r in groups(tmp_path / "a.jsonl.gz")[1]] == [1000]
    rng = np.random.default_rng(0)
    noisy = b"\n".join(b'{"step":1,"prompt_id":"%d","reward":1.0}' % i for i in rng.integers(0, 10**9, 4000))
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(noisy)[:-2000])
    log, rewards, _ = groups(tmp_path / "b.jsonl.gz")
    assert len(rewards) > 1000
    assert "cut or damaged" in log.skipped.examples[-1][1]
    monkeypatch.setattr(streams, "UNPACKED", 1 << 20)
    (tmp_path / "c.jsonl.gz").write_bytes(gzip.compress(GOOD + b"\n" + bytes(40 << 20)))
    log, rewards, _ = groups(tmp_path / "c.jsonl.gz")
    assert [len(r) for r in rewards] == [1]
    assert "inflates more than 200 times" in log.skipped.examples[-1][1]


def test_a_repeated_rollout_id_is_counted_and_located(tmp_path):
    rows = [{"step": 0, "prompt_id": "q", "rollout_id": i, "reward": 1.0} for i in (0, 1, 1, 2)]
    file = write_rows(tmp_path / "a.jsonl", rows)
    log, rewards, _ = groups(file)
    assert [len(r) for r in rewards] == [3]
    assert log.skipped.examples == [(f"{file}:3", "this rollout id came before in the same step")]


def test_prompts_named_by_numbers_stay_apart(tmp_path):
    rows = [{"step": 0, "prompt_id": i, "reward": 1.0} for i in (-1, -2, 2**70, 0)]
    assert [len(r) for r in groups(write_rows(tmp_path / "a.jsonl", rows))[1]] == [1] * 4


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: (p / "a.jsonl").write_bytes(b""), "holds no row that is a JSON object"),
        (lambda p: (p / "a.jsonl").write_bytes(bytes(range(256)) * 50), "holds no row that is a JSON object"),
        (lambda p: (p / "a.parquet").write_bytes(b"PAR1" + bytes(100)), "cannot be read as parquet"),
        (lambda p: (p / "a.parquet").write_bytes(b""), "cannot be read as parquet"),
        (lambda p: (p / "a.pkl").write_bytes(b"cos\nsystem\n"), "holds no file that ends in"),
        (lambda p: write_rows(p / "a.jsonl", [{"x": 1}]), r"no reward of each rollout was found; its columns: x"),
        (lambda p: write_rows(p / "a.jsonl", [{"step": 1, "reward": 1}]), "--group-size"),
        (lambda p: shutil.copytree(SAMPLES / "openrlhf_tensorboard", p / "t"), "OpenRLHF leaves no rollouts"),
        (
            lambda p: pq.write_table(pa.table({"step": [1], "prompt": [1], "reward": ["a"]}), p / "a.parquet"),
            "numbers",
        ),
    ],
)
def test_what_is_no_log_gets_one_sentence(tmp_path, make, message):
    make(tmp_path)
    with pytest.raises(InputError, match=message) as error:
        groups(tmp_path)
    assert "\n" not in str(error.value)


def test_unknown_formats_columns_and_mixed_folders_are_refused(tmp_path):
    with pytest.raises(InputError, match="Did you mean 'verl'"):
        read(SAMPLES, log_format="verll")
    with pytest.raises(InputError, match="several formats"):
        shutil.copytree(SAMPLES / "verl_v1_rollout_data_dir", tmp_path / "a")
        shutil.copytree(SAMPLES / "trl_grpo_binary", tmp_path / "b")
        read(tmp_path)
    with pytest.raises(InputError, match="no column 'brevitty'"):
        groups(SAMPLES / "trl_grpo_binary", reward="brevitty")
    with pytest.raises(InputError, match="no column 'x'"):
        groups(SAMPLES / "verl_v1_rollout_data_dir", reward="score+0.5*x")
    with pytest.raises(InputError, match="no log at"):
        read(tmp_path / "none")


def test_truth_values_of_the_verl_reward_columns_can_be_chosen():
    _, acc, _ = groups(SAMPLES / "verl_legacy_rollout_data_dir", reward="acc")
    _, score, _ = groups(SAMPLES / "verl_legacy_rollout_data_dir")
    assert sorted(r.mean() for r in acc) == sorted(r.mean() for r in score)
