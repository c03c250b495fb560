"""Logs as trainers and people write them beyond the usual shapes, each with the values that are right for it."""

import csv
import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import symtheory
from symtheory.audit import audit, read

from . import shapes
from .shapes import by_group, by_step, lines

RUN = shapes.made()
"""12 groups of 8; shapes number its prompts 0 to 3 in every step."""
P = [np.mean([r["reward"] for r in g]) for g in by_group(RUN).values()]
RIGHT = {"groups": 12, "sizes": {"8": 12}, "success": pytest.approx(np.mean(P)), "skipped": 0}
GRPO = {**RIGHT, "estimator": "grpo_ddof1"}


def understood(report):
    """What the reader took a log for."""
    nearest = report["identification"]
    return {
        "groups": report["groups"],
        "sizes": report["group_sizes"],
        "success": report["success"],
        "skipped": report["skipped_rows"],
        "estimator": nearest["name"] if nearest and nearest["equal"] else None,
    }


def row(r, *without, **more):
    """One rollout under plain names."""
    made = {"step": r["step"], "prompt_id": f"{r['step']}-{r['q']}", "reward": r["reward"], "advantage": r["a"]}
    return {k: v for k, v in (made | {"completion": r["text"]} | more).items() if k not in without}


def wandb(folder, step, rows):
    folder.mkdir(parents=True, exist_ok=True)
    columns = ["step", "prompt", "completion", "accuracy", "advantage"]
    data = [[str(r["step"]), f"{r['step']} {r['q']}", r["text"], r["reward"], r["a"]] for r in rows]
    (folder / f"completions_{step}_ab.table.json").write_text(json.dumps({"columns": columns, "data": data}))


def table(path, rows, delimiter=",", encoding="utf-8"):
    stream = io.StringIO()
    csv.writer(stream, delimiter=delimiter).writerows(rows)
    path.write_bytes(stream.getvalue().encode(encoding))


def tables_that_grow(folder):
    """wandb tables, each with all steps so far."""
    for step in by_step(RUN):
        wandb(folder / "media" / "table", step, [r for r in RUN if r["step"] <= step])


def other_numbers_beside_rewards(folder):
    """TRL, with numbers logged by a reward function through log_extra."""
    functions = {
        "answer_length": lambda r: float(r["length"]),
        "accuracy_reward": lambda r: r["reward"],
        "domain": lambda r: "math",
        "difficulty": lambda r: r["q"],
    }
    shapes.trl(folder, [r | {"prompt": f"{r['step']} {r['q']}"} for r in RUN], functions)


def swift_of_three_rewards(folder):
    """ms-swift with weights 1, 0.5 and 1."""
    form = np.random.default_rng(0).integers(0, 2, len(RUN))
    late = [-float(r["length"] > 7) for r in RUN]
    total = np.array([r["reward"] for r in RUN]) + 0.5 * form + late
    a = symtheory.advantages(total.reshape(-1, 8), "grpo_ddof1", eps=1e-4).ravel()
    rows = [r | {"f": float(f), "l": l, "a": float(x)} for r, f, l, x in zip(RUN, form, late, a, strict=True)]
    columns = {"MathAccuracy": "reward", "Format": "f", "SoftOverlong": "l", "completion": "text", "advantages": "a"}
    lines(
        folder / "completions.jsonl",
        [
            {"step": [str(s)] * len(part), "prompt": [f"{s} {r['q']}" for r in part]}
            | {name: [r[key] for r in part] for name, key in columns.items()}
            for s, part in by_step(rows).items()
        ],
    )


def group_ids_that_repeat(folder):
    lines(folder / "log.jsonl", [row(r, "prompt_id", group_id=r["q"]) for r in RUN])


def steps_that_restart_with_every_epoch(folder):
    lines(folder / "log.jsonl", [row(r, step=0 if r["step"] == 3 else r["step"], epoch=r["step"] // 3) for r in RUN])


def reward_with_its_total(folder):
    rows = [row(r, reward={"accuracy": r["reward"], "format": 0.1, "total": r["reward"] + 0.1}) for r in RUN]
    lines(folder / "log.jsonl", rows)


def slime_with_named_rewards(folder):
    shapes.slime(folder, RUN, lambda r: {"score": 2 * r["reward"] - 1, "acc": bool(r["reward"]), "pred": "4"})


def reward_inside_another_object(folder):
    rows = [
        {"iteration": r["step"], "sample": {"problem": f"{r['step']} {r['q']}"}, "info": {"reward": r["reward"]}}
        for r in RUN
    ]
    lines(folder / "log.jsonl", rows)


def yes_and_no(folder):
    rows = [row(r, "reward", "advantage", correct="Yes" if r["reward"] else "No") for r in RUN]
    lines(folder / "log.jsonl", rows)


def spelled_names(folder):
    head = ["Step", "Prompt ID", "Completion", "Total Reward", "Advantage"]
    cells = [[r["step"], f"{r['step']}-{r['q']}", r["text"], r["reward"], r["a"]] for r in RUN]
    table(folder / "Rollouts.csv", [head, *cells])


def camel_names(folder):
    rows = [
        {"globalStep": r["step"], "promptId": f"{r['step']}-{r['q']}", "totalReward": r["reward"], "advantage": r["a"]}
        for r in RUN
    ]
    lines(folder / "log.jsonl", rows)


def utf16_tabs(folder):
    names = list(row(RUN[0]))
    table(folder / "log.csv", [names, *([row(r)[n] for n in names] for r in RUN)], "\t", "utf-16")


def padded_token_advantages(folder):
    rows = []
    for r in RUN:
        n = r["length"]
        advantage = {"advantages": [r["a"]] * n + [0.0] * (9 - n), "response_mask": [1] * n + [0] * (9 - n)}
        rows.append(row(r, "advantage", **advantage))
    lines(folder / "log.jsonl", rows)


def steps_as_keys(folder):
    record = {str(step): [row(r, "step") for r in part] for step, part in by_step(RUN).items()}
    (folder / "log.json").write_text(json.dumps(record))


def named_steps_as_keys(folder):
    record = {f"step_{step}": [row(r, "step") for r in part] for step, part in by_step(RUN).items()}
    (folder / "log.json").write_text(json.dumps(record, indent=1))


def groups_of(part, rollouts):
    return [{"prompt": f"{g[0]['step']} {g[0]['q']}"} | rollouts(g) for g in by_group(part).values()]


def as_lists(g):
    return {"rewards": [r["reward"] for r in g], "advantages": [r["a"] for r in g], "texts": [r["text"] for r in g]}


def as_objects(g):
    return {"rollouts": [{"reward": r["reward"], "advantage": r["a"], "text": r["text"]} for r in g]}


def groups_of_lists_in_steps(folder):
    lines(folder / "log.jsonl", [{"step": s, "groups": groups_of(part, as_lists)} for s, part in by_step(RUN).items()])


def groups_of_objects_in_steps(folder):
    lines(
        folder / "log.jsonl", [{"step": s, "groups": groups_of(part, as_objects)} for s, part in by_step(RUN).items()]
    )


def everything_in_one_object(folder):
    steps = [{"step": s, "groups": groups_of(part, as_objects)} for s, part in by_step(RUN).items()]
    (folder / "run.json").write_text(json.dumps({"config": {"lr": 1e-6}, "steps": steps}))


def a_matrix_of_rewards_a_step(folder):
    rows = []
    for step, part in by_step(RUN).items():
        groups = groups_of(part, as_lists)
        rows.append(
            {"step": step, "prompts": [g["prompt"] for g in groups], "rewards": [g["rewards"] for g in groups]}
            | {"advantages": [g["advantages"] for g in groups]}
        )
    lines(folder / "log.jsonl", rows)


def percentages(folder):
    lines(folder / "log.jsonl", [row(r, "advantage", reward=100 * r["reward"]) for r in RUN])


def zero_and_minus_one(folder):
    lines(folder / "log.jsonl", [row(r, "advantage", reward=r["reward"] - 1) for r in RUN])


def a_seed_for_each_rollout(folder):
    lines(folder / "log.jsonl", [row(r, seed=100 + r["i"]) for r in RUN])


def open_instruct_in_shards(folder):
    shapes.open_instruct(folder, RUN)
    (whole,) = folder.glob("*rollouts_*.jsonl")
    text = whole.read_text().splitlines(keepends=True)
    for i in range(3):  # a shard ends in the middle of a group
        (folder / f"run_rollouts_{i:06d}.jsonl").write_text("".join(text[37 * i : 37 * (i + 1)]))
    if whole.name not in {f"run_rollouts_{i:06d}.jsonl" for i in range(3)}:
        whole.unlink()


def events_with_a_record_inside(folder):
    lines(folder / "log.jsonl", [{"level": "INFO", "event": "rollout", "data": row(r)} for r in RUN])


def intellect_parquet(folder):
    """Rows as INTELLECT-2 published them: plural names, group ids of one step, a sampling seed a rollout."""
    for step, part in by_step(RUN).items():
        columns = {
            "input_tokens": [[1, step, r["q"]] for r in part],
            "rewards": [r["reward"] for r in part],
            "task_rewards": [r["reward"] for r in part],
            "length_penalties": [0.0] * len(part),
            "advantages": [r["a"] for r in part],
            "step": [step] * len(part),
            "group_id": [str(r["q"]) for r in part],
            "problem_id": [f"p{step}{r['q']}" for r in part],
            "seed": [100 * step + r["i"] for r in part],
        }
        pq.write_table(pa.table(columns), folder / f"file{step}.parquet")


def agents_by_the_name(folder):
    """ROLL's agentic pipeline."""
    rows = [
        {"global_step": r["step"], "traj_group_id": f"{r['step']}_{r['q']}", "traj_id": r["text"]}
        | {"episode_scores": r["reward"], "prompts": "play", "responses": r["text"]}
        for r in RUN
    ]
    lines(folder / "rollout.jsonl", rows)


def one_prompt_with_two_draws(folder):
    """TRL's columns and an id of the draw, since a text alone does not tell the draws apart."""
    lines(folder / "log.jsonl", [row(r, "prompt_id", uid=f"{r['step']}{r['q']}", prompt="same") for r in RUN])


def names_with_slashes(folder):
    rows = [
        {"_step": r["step"], "_timestamp": 1.7e9, "rollout/prompt": f"{r['step']} {r['q']}"}
        | {"rollout/reward": r["reward"], "rollout/advantage": r["a"]}
        for r in RUN
    ]
    lines(folder / "log.jsonl", rows)


def printed_tensors(folder):
    rows = [row(r, reward=f"tensor({r['reward']:g}., device='cuda:0')", advantage=f"np.float64({r['a']})") for r in RUN]
    lines(folder / "log.jsonl", rows)


def decimal_commas(folder):
    cells = [f"{r['step']};{r['step']}-{r['q']};{r['reward']};{r['a']}".replace(".", ",") for r in RUN]
    (folder / "log.csv").write_text("\n".join(["sep=;", "step;prompt_id;reward;advantage", *cells]))


def a_comment_above_the_header(folder):
    cells = [f"{r['step']},{r['step']}-{r['q']},{r['reward']},{r['a']}" for r in RUN]
    (folder / "log.csv").write_text("\n".join(["# run 3", "step,prompt_id,reward,advantage", *cells]))


@pytest.mark.parametrize(
    ("shape", "right"),
    [
        (tables_that_grow, GRPO),
        (other_numbers_beside_rewards, GRPO),
        (swift_of_three_rewards, GRPO),
        (group_ids_that_repeat, GRPO),
        (steps_that_restart_with_every_epoch, GRPO),
        (reward_with_its_total, GRPO),
        (slime_with_named_rewards, RIGHT),
        (reward_inside_another_object, RIGHT),
        (yes_and_no, RIGHT),
        (spelled_names, GRPO),
        (camel_names, GRPO),
        (utf16_tabs, GRPO),
        (padded_token_advantages, GRPO),
        (steps_as_keys, GRPO),
        (named_steps_as_keys, GRPO),
        (groups_of_lists_in_steps, GRPO),
        (groups_of_objects_in_steps, GRPO),
        (everything_in_one_object, GRPO),
        (a_matrix_of_rewards_a_step, GRPO),
        (percentages, RIGHT),
        (zero_and_minus_one, RIGHT),
        (a_seed_for_each_rollout, GRPO),
        (open_instruct_in_shards, GRPO),
        (events_with_a_record_inside, GRPO),
        (intellect_parquet, GRPO),
        (agents_by_the_name, RIGHT),
        (one_prompt_with_two_draws, GRPO),
        (names_with_slashes, GRPO),
        (printed_tensors, GRPO),
        (decimal_commas, GRPO),
        (a_comment_above_the_header, GRPO),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_it_is_read_as_it_was_meant(tmp_path, shape, right):
    shape(tmp_path)
    report = audit(read(tmp_path))
    assert understood(report) == {"estimator": None} | right


def other_seed():
    return [r | {"text": r["text"] + "'"} for r in shapes.made(seed=6)]


def mixed(found):
    return next((f for f in found["trust"]["findings"] if f["key"] == "runs_mixed"), None)


@pytest.mark.parametrize("names", [("seed1/c", "seed2/c"), ("seed1", "seed2"), ("a/c", "b/c"), ("base", "new")])
def test_two_runs_in_one_folder_are_said_with_what_to_do(tmp_path, names):
    for name, rows in zip(names, (RUN, other_seed()), strict=True):
        lines(tmp_path / f"{name}.jsonl", [row(r) for r in rows])
    found = mixed(audit(read(tmp_path)))
    assert found
    assert (found["grave"], found["count"]) == (True, 3)
    assert names[0].split("/")[0] in found["sentence"]
    assert "one at a time by its PATH" in found["sentence"]


def test_two_runs_in_one_file_are_told_by_their_column(tmp_path):
    """One after the other, or step by step; the first is not taken for a writing that was replaced."""
    one, two = ([row(r, run_id=name) for r in rows] for name, rows in (("x", RUN), ("y", other_seed())))
    for rows in (one + two, sorted(one + two, key=lambda r: r["step"])):
        lines(tmp_path / "log.jsonl", rows)
        found = audit(read(tmp_path / "log.jsonl"))
        assert (found["rollouts"], mixed(found)["count"]) == (192, 3)
        assert "(column run_id: x and y share 3 steps): audit one at a time with --where run_id=x" in str(
            found["trust"]
        )
        chosen = audit(read(tmp_path / "log.jsonl", where={"run_id": "x"}))
        assert (chosen["rollouts"], mixed(chosen)) == (96, None)


def test_files_of_ranks_and_of_steps_are_one_run(tmp_path):
    shapes.per_rank(tmp_path, RUN)
    assert mixed(audit(read(tmp_path))) is None
    for step, part in by_step(RUN).items():
        lines(tmp_path / "steps" / f"step_{step}" / "train.jsonl", [row(r) for r in part])
    assert mixed(audit(read(tmp_path / "steps"))) is None
