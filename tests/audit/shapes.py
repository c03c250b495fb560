"""One run in the shapes that trainers and people write: each function writes it below a folder, values made up."""

import bz2
import csv
import gzip
import json
import lzma
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import symtheory

STEPS, PROMPTS, SIZE = 3, 4, 8


def made(seed=5, estimator="grpo_ddof1", graded=False):
    """Rollouts of a run, group after group: plain dicts with every fact that a shape may need."""
    rng = np.random.default_rng(seed)
    p = np.array([0.0, 0.3, 0.6, 1.0])
    rows = []
    for step in range(1, STEPS + 1):
        reward = (rng.random((PROMPTS, SIZE)) < p[:, None]).astype(float)
        a = symtheory.advantages(reward, estimator, **({"eps": 1e-4} if estimator == "grpo_ddof1" else {}))
        for q in range(PROMPTS):
            for i in range(SIZE):
                length = int(rng.integers(3, 9))
                rows.append(
                    dict(
                        step=step,
                        q=q,
                        i=i,
                        reward=float(reward[q, i]),
                        a=float(np.float32(a[q, i])),
                        length=length,
                        prompt=f"user\nWhat is {q} + {q}?\nassistant\n",
                        text=f"try {i} at {q}: {rng.integers(1e9)}",
                        tokens=rng.integers(10, 99, length).tolist(),
                        logprobs=(-rng.random(length)).round(3).tolist(),
                    )
                )
    return rows


def by_step(rows):
    return {step: [r for r in rows if r["step"] == step] for step in dict.fromkeys(r["step"] for r in rows)}


def by_group(rows):
    found = {}
    for r in rows:
        found.setdefault((r["step"], r["q"]), []).append(r)
    return found


def lines(path: Path, rows) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def plain(r, **more):
    return {
        "step": r["step"],
        "prompt_id": f"q{r['q']}",
        "reward": r["reward"],
        "advantage": r["a"],
        "text": r["text"],
        **more,
    }


def chat(r):
    return [{"role": "system", "content": "Be brief."}, {"role": "user", "content": r["prompt"]}]


# trainers -------------------------------------------------------------------------------------------------------------


def trl(folder, rows, functions=None):
    functions = functions or {"accuracy_reward": lambda r: r["reward"]}
    (folder / "completions").mkdir()
    for step, part in by_step(rows).items():
        table = {
            "step": [step] * len(part),
            "prompt": [r["prompt"] for r in part],
            "completion": [r["text"] for r in part],
        }
        table |= {name: [function(r) for r in part] for name, function in functions.items()}
        table["advantage"] = [r["a"] for r in part]
        pq.write_table(pa.table(table), folder / "completions" / f"completions_{step:05d}.parquet")


def trl_rows(folder, rows):
    lines(
        folder / "completions.jsonl",
        [
            {
                "step": str(r["step"]),
                "prompt": chat(r),
                "completion": [{"role": "assistant", "content": r["text"]}],
                "reward_func": r["reward"],
                "advantage": r["a"],
            }
            for r in rows
        ],
    )


def wandb_table(folder, rows):
    (folder / "media" / "table").mkdir(parents=True)
    for step, part in by_step(rows).items():
        data = [[str(step), r["prompt"], r["text"], r["reward"], r["a"]] for r in part]
        table = {"columns": ["step", "prompt", "completion", "accuracy_reward", "advantage"], "data": data}
        (folder / "media" / "table" / f"completions_{step}_ab.table.json").write_text(json.dumps(table))


def swift(folder, rows):
    lines(
        folder / "completions.jsonl",
        [
            {
                "step": [str(step)] * len(part),
                "prompt": [r["prompt"] for r in part],
                "completion": [r["text"] for r in part],
                "MathAccuracy": [r["reward"] for r in part],
                "advantages": [r["a"] for r in part],
                "solution": ["0"] * len(part),
            }
            for step, part in by_step(rows).items()
        ],
    )


def swift_megatron(folder, rows):
    lines(
        folder / "completions.jsonl",
        [
            {
                "gen_step": [step] * len(part),
                "prompt": [chat(r) for r in part],
                "completion": [r["text"] for r in part],
                "Accuracy": [r["reward"] for r in part],
                "advantages": [r["a"] for r in part],
            }
            for step, part in by_step(rows).items()
        ],
    )


def swift_ray(folder, rows):
    lines(
        folder / "completions.jsonl",
        [
            {
                "gen_step": r["step"],
                "prompt": r["prompt"],
                "completion": r["text"],
                "reward": r["reward"],
                "advantages": r["a"],
            }
            for r in rows
        ],
    )


def verl(folder, rows):
    for step, part in by_step(rows).items():
        lines(
            folder / f"{step}.jsonl",
            [
                {
                    "input": r["prompt"],
                    "output": r["text"],
                    "gts": "0",
                    "score": r["reward"],
                    "step": step,
                    "uid": f"u-{step}_{r['q']}_{r['i']}_0",
                }
                for r in part
            ],
        )


def verl_legacy(folder, rows):
    for step, part in by_step(rows).items():
        order = np.random.default_rng(step).permutation(len(part))
        lines(
            folder / "rollout" / f"{step}.jsonl",
            [
                {
                    "input": part[j]["prompt"],
                    "output": part[j]["text"],
                    "score": 2 * part[j]["reward"] - 1,
                    "step": step,
                    "acc": bool(part[j]["reward"]),
                }
                for j in order
            ],
        )
    lines(
        folder / "validation" / "0.jsonl",
        [{"input": f"v{i}", "output": "x", "score": 1.0, "step": 0} for i in range(30)],
    )


def nemo_row(r, place, content):
    n = 4 + r["length"]
    mask = [0] * 4 + [1] * r["length"]
    tokens = [1, 2, 3, 40 + r["q"], *r["tokens"]]
    return {
        "content": content,
        "rewards": [r["reward"]],
        "input_lengths": [n],
        "token_ids": [tokens],
        "token_loss_mask": [mask],
        "sample_loss_mask": [r.get("mask", 1.0)],
        "advantages": [[r["a"]] * n],
        "generation_logprobs": [[0.0] * 4 + r["logprobs"]],
        "idx": place,
    }


def nemo_rl(folder, rows):
    for step, part in by_step(rows).items():
        lines(
            folder / f"train_data_step{step}.jsonl",
            [nemo_row(r, j, [[r["prompt"], r["text"]]]) for j, r in enumerate(part)],
        )


def nemo_rl_text(folder, rows):
    for step, part in by_step(rows).items():
        lines(
            folder / f"train_data_step{step}.jsonl",
            [nemo_row(r, j, [r["prompt"] + r["text"]]) for j, r in enumerate(part)],
        )
    lines(
        folder / "val_data_step1.jsonl",
        [{"content": [[{"role": "user", "content": "v"}]], "rewards": [1.0], "idx": 0}] * 9,
    )


def slime(folder, rows, reward=lambda r: r["reward"]):
    for step, part in by_step(rows).items():
        samples = [
            {
                "group_index": r["q"],
                "index": r["q"] * SIZE + r["i"],
                "prompt": r["prompt"],
                "tokens": [1, 2, *r["tokens"]],
                "response": r["text"],
                "response_length": r["length"],
                "label": "4",
                "reward": reward(r),
                "loss_mask": None,
                "rollout_log_probs": r["logprobs"],
                "remove_sample": False,
                "status": "completed",
                "metadata": {},
            }
            for r in part
        ]
        write_pt(folder / f"rollout_{step}.pt", {"rollout_id": step, "samples": samples})


def write_pt(path, value, protocol=2):
    """A file as torch.save writes it, without torch."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{path.stem}/data.pkl", value if isinstance(value, bytes) else pickle.dumps(value, protocol))
        archive.writestr(f"{path.stem}/version", "3\n")


def prime_rl(folder, rows):
    for step, part in by_step(rows).items():
        for subset in ("all", "effective"):
            lines(
                folder / "rollouts" / f"step_{step}" / "train" / subset / "traces.jsonl",
                [
                    {
                        "id": f"e{r['q']}{r['i']}",
                        "task": {"data": {"prompt": r["prompt"]}, "hash": f"h{r['q']}"},
                        "group": {"id": f"g{step}{r['q']}"},
                        "run": {"type": "train", "work": {"type": "train", "step": step}},
                        "traces": [
                            {
                                "id": "t0",
                                "nodes": [{"message": {"role": "assistant", "content": r["text"]}}],
                                "info": {"advantage": r["a"]},
                                "rewards": {
                                    "correct": {"score": r["reward"], "weight": 1.0},
                                    "format": {"score": 1.0, "weight": 0.1},
                                },
                                "stop_condition": "done",
                            }
                        ],
                    }
                    for r in part
                ],
            )


def prime_rl_samples(folder, rows):
    pq.write_table(
        pa.table(
            {
                "run_id": ["x"] * len(rows),
                "step": [r["step"] for r in rows],
                "tag": [""] * len(rows),
                "problem_id": [r["q"] for r in rows],
                "sample_id": [r["i"] for r in rows],
                "prompt": [""] * len(rows),
                "completion": [r["text"] for r in rows],
                "reward": [r["reward"] for r in rows],
                "advantage": [r["a"] for r in rows],
                "num_output_tokens": [r["length"] for r in rows],
            }
        ),
        folder / "samples.parquet",
    )


def open_instruct(folder, rows):
    lines(folder / "run_metadata.jsonl", [{"run_name": "run", "git_commit": "abc"}])
    lines(
        folder / "run_rollouts_000000.jsonl",
        [
            {
                "step": r["step"],
                "sample_idx": r["q"] * SIZE + r["i"],
                "prompt_idx": r["q"],
                "prompt_tokens": [1, r["q"]],
                "response_tokens": r["tokens"],
                "reward": r["reward"],
                "advantage": r["a"],
                "finish_reason": "stop",
                "dataset": ["math"],
                "logprobs": r["logprobs"],
            }
            for r in rows
        ],
    )


def areal(folder, rows):
    for (step, q), part in by_group(rows).items():
        lines(
            folder / "rollout" / str(step) / f"{step * 9 + q}.jsonl",
            [
                {
                    "task_id": step * 9 + q,
                    "sample_idx": r["i"],
                    "seqlen": 5 + r["length"],
                    "prompt_len": 5,
                    "head_version": step,
                    "tail_version": step,
                    "reward": r["reward"],
                    "prompt": r["prompt"],
                    "completion": r["text"],
                }
                for r in part
            ],
        )


def roll(folder, rows):
    for step, part in by_step(rows).items():
        lines(
            folder / f"rollout_dump_data.step_{step}.jsonl",
            [
                {
                    "global_step": [step] * len(part),
                    "id": [f"q{r['q']}" for r in part],
                    "difficulty": ["3"] * len(part),
                    "prompt": [r["prompt"] for r in part],
                    "responses": [r["text"] for r in part],
                    "scores": [r["reward"] for r in part],
                    "tag": ["math"] * len(part),
                }
            ],
        )


def rllm(folder, rows):
    for r in rows:
        episode = {
            "training_step": r["step"],
            "episode_id": f"{r['q']}:{r['i']}",
            "task": {"question": r["prompt"]},
            "task_hash": f"h{r['q']}",
            "is_correct": bool(r["reward"]),
            "trajectories": [
                {
                    "name": "solver",
                    "uid": f"u{r['i']}",
                    "reward": r["reward"],
                    "steps": [{"reward": r["reward"], "model_response": r["text"]}],
                }
            ],
        }
        path = folder / f"train_step_{r['step']}_epoch_0" / f"episode_hash{r['q']}_id{r['q']}_{r['i']}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(episode, indent=2))


def art(folder, rows):
    for step in by_step(rows):
        groups = [g for (s, _), g in by_group(rows).items() if s == step]
        lines(
            folder / "trajectories" / "train" / f"{step:04d}.jsonl",
            [
                {
                    "trajectories": [
                        {
                            "reward": r["reward"],
                            "metrics": {},
                            "messages_and_choices": [*chat(r), {"role": "assistant", "content": r["text"]}],
                        }
                        for r in g
                    ]
                }
                for g in groups
            ],
        )


def tinker(folder, rows):
    for step, part in by_step(rows).items():
        lines(
            folder / f"iteration_{step:06d}" / "train_rollout_summaries.jsonl",
            [
                {
                    "schema_version": 1,
                    "split": "train",
                    "iteration": step,
                    "group_idx": r["q"],
                    "traj_idx": r["i"],
                    "total_reward": r["reward"],
                    "final_reward": r["reward"],
                    "steps": [{"step_idx": 0, "ac_len": 9, "reward": r["reward"]}],
                }
                for r in part
            ],
        )
    lines(folder / "metrics.jsonl", [{"step": s, "env/all/reward/total": 0.5} for s in range(3)])
    lines(folder / "checkpoints.jsonl", [{"name": "000002", "batch": 2}])


def tunix(folder, rows):
    with open(folder / "trajectory_log.csv", "w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["group_id", "pair_index", "policy_version", "trajectory_reward", "conversation_text"])
        writer.writerows([r["q"], r["i"], r["step"], r["reward"], r["text"] + ',\n"quoted"'] for r in rows)


# home-made ------------------------------------------------------------------------------------------------------------


def other_names(folder, rows):
    lines(
        folder / "log.jsonl",
        [
            {
                "globalStep": r["step"],
                "problemId": r["q"],
                "Score": r["reward"],
                "adv": r["a"],
                "numTokens": r["length"],
            }
            for r in rows
        ],
    )


def nested(folder, rows):
    lines(
        folder / "log.jsonl",
        [
            {
                "meta": {"train_step": r["step"], "run": "x"},
                "task": {"question_id": r["q"]},
                "result": {"reward": [[r["reward"]]], "advantage": r["a"]},
            }
            for r in rows
        ],
    )


def texts(folder, rows):
    lines(
        folder / "log.jsonl",
        [
            {
                "step": f"{r['step']}",
                "prompt_id": f"{r['q']}",
                "reward": "True" if r["reward"] else "False",
                "advantage": f"{r['a']}",
            }
            for r in rows
        ],
    )


def float_steps(folder, rows):
    lines(folder / "log.jsonl", [plain(r) | {"step": float(r["step"]), "reward": bool(r["reward"])} for r in rows])


def group_rows(folder, rows):
    lines(
        folder / "log.jsonl",
        [
            {
                "step": step,
                "question": g[0]["prompt"],
                "rewards": [r["reward"] for r in g],
                "advantages": [r["a"] for r in g],
                "responses": [r["text"] for r in g],
            }
            for (step, _), g in by_group(rows).items()
        ],
    )


def group_rows_parquet(folder, rows):
    pq.write_table(
        pa.Table.from_pylist(
            [
                {
                    "step": step,
                    "prompt": chat(g[0]),
                    "rewards": [r["reward"] for r in g],
                    "advantages": [r["a"] for r in g],
                }
                for (step, _), g in by_group(rows).items()
            ]
        ),
        folder / "log.parquet",
    )


def batch_rows(folder, rows):
    lines(
        folder / "log.jsonl",
        [
            {
                "iteration": step,
                "prompts": [r["prompt"] for r in part],
                "completions": [r["text"] for r in part],
                "rewards": [r["reward"] for r in part],
                "advantages": [r["a"] for r in part],
            }
            for step, part in by_step(rows).items()
        ],
    )


def objects_in_rows(folder, rows):
    lines(
        folder / "log.jsonl",
        [
            {
                "step": step,
                "problem": f"q{q}",
                "rollouts": [{"response": r["text"], "reward": r["reward"], "advantage": r["a"]} for r in g],
            }
            for (step, q), g in by_group(rows).items()
        ],
    )


def json_array(folder, rows):
    (folder / "log.json").write_text(json.dumps([plain(r) for r in rows], indent=1))


def json_columns(folder, rows):
    table = [plain(r) for r in rows]
    (folder / "log.json").write_text(
        json.dumps({name: {str(i): row[name] for i, row in enumerate(table)} for name in table[0]})
    )


def json_split(folder, rows):
    table = [plain(r) for r in rows]
    (folder / "log.json").write_text(
        json.dumps(
            {"columns": list(table[0]), "index": list(range(len(table))), "data": [list(t.values()) for t in table]}
        )
    )


def json_in_object(folder, rows):
    (folder / "log.json").write_text(json.dumps({"config": {"lr": 1e-6}, "rollouts": [plain(r) for r in rows]}))


def steps_in_names(folder, rows):
    for step, part in by_step(rows).items():
        lines(
            folder / f"step_{step}" / "samples.jsonl",
            [{k: v for k, v in plain(r).items() if k != "step"} for r in part],
        )


def csv_table(folder, rows, delimiter=","):
    with open(folder / "log.csv", "w", newline="") as stream:
        writer = csv.DictWriter(stream, list(plain(rows[0])), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(plain(r) for r in rows)


def semicolons(folder, rows):
    csv_table(folder, rows, ";")


def packed(pack, name):
    def shape(folder, rows):
        (folder / name).write_bytes(pack("".join(json.dumps(plain(r)) + "\n" for r in rows).encode()))

    shape.__name__ = name
    return shape


def zstd(data: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(data)
    return sink.getvalue().to_pybytes()


def with_other_files(folder, rows):
    lines(folder / "rollouts.jsonl", [plain(r) for r in rows])
    lines(folder / "gpu.jsonl", [{"time": 1.0, "util": 3}] * 3)
    (folder / "config.json").write_text('{"lr": 1e-6}')
    (folder / "notes.txt").write_text("rewards look fine")
    (folder / "trainer_state.json").write_text(json.dumps({"log_history": [{"step": 1, "reward": 0.5}]}))
    lines(folder / "metrics.jsonl", [{"step": s, "reward": 0.5, "kl": 0.1} for s in range(1, 9)])


def shuffled(folder, rows):
    order = np.random.default_rng(0).permutation(len(rows))
    lines(folder / "log.jsonl", [plain(rows[j]) for j in order])


def per_rank(folder, rows):
    for rank in range(4):
        lines(folder / f"rank{rank}.jsonl", [plain(r) for r in rows if r["i"] % 4 == rank])


def with_evaluation_rows(folder, rows):
    evaluation = [plain(r, split="eval", prompt_id=f"e{r['q']}") for r in rows[: 3 * SIZE]]
    lines(folder / "log.jsonl", [*(plain(r, split="train") for r in rows), *evaluation])


def resumed(folder, rows):
    """The last two steps were written once before the run was resumed, with other rollouts."""
    before = [plain(r) for r in made(seed=6) if r["step"] > 1]
    lines(
        folder / "log.jsonl",
        [*(plain(r) for r in rows if r["step"] == 1), *before, *(plain(r) for r in rows if r["step"] > 1)],
    )


def repeated(folder, rows):
    """Every generation is logged at four optimiser steps, as TRL with steps_per_generation = 4 does."""
    trl(folder, [r | {"step": 4 * r["step"] + k} for step in by_step(rows).values() for k in range(4) for r in step])


WITH_ADVANTAGES = (
    trl,
    trl_rows,
    wandb_table,
    swift,
    swift_megatron,
    swift_ray,
    nemo_rl,
    nemo_rl_text,
    prime_rl,
    prime_rl_samples,
    open_instruct,
    other_names,
    nested,
    texts,
    float_steps,
    group_rows,
    group_rows_parquet,
    batch_rows,
    objects_in_rows,
    json_array,
    json_columns,
    json_split,
    json_in_object,
    steps_in_names,
    csv_table,
    semicolons,
    with_other_files,
    shuffled,
    per_rank,
    with_evaluation_rows,
    resumed,
    repeated,
    packed(gzip.compress, "log.jsonl.gz"),
    packed(zstd, "log.jsonl.zst"),
    packed(bz2.compress, "log.jsonl.bz2"),
    packed(lzma.compress, "log.jsonl.xz"),
    packed(lambda d: d.decode().encode("utf-16"), "log.jsonl"),
    packed(lambda d: b"\xef\xbb\xbf" + d.replace(b"\n", b"\r\n\r\n"), "crlf.jsonl"),
)
REWARDS_ONLY = (verl, verl_legacy, slime, areal, roll, rllm, art, tinker, tunix)
