"""Logs that tell rollouts, or rewards, apart by the names of columns and objects."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from symtheory.audit import audit, read
from symtheory.errors import InputError

from .shapes import by_group, by_step, lines
from .test_wild import GRPO, RIGHT, RUN, row, table, understood

GROUPS = by_group(RUN)


def wide(form, *fields, first=0):
    """One record a group, with a column for each field and rollout."""
    return [
        {"step": step, "prompt_id": f"{step}-{q}"}
        | {form.format(f=f, i=i): r[{"advantage": "a", "completion": "text"}.get(f, "reward")]
           for i, r in enumerate(rows, first) for f in fields}
        for (step, q), rows in GROUPS.items()
    ]  # fmt: skip


def a_column_a_rollout(folder):
    lines(folder / "log.jsonl", wide("{f}_{i}", "reward", "advantage", "completion"))


def counted_from_one_in_a_table(folder):
    records = wide("{f}_{i}", "score", first=1)
    table(folder / "log.csv", [list(records[0]), *(list(r.values()) for r in records)])


def names_with_dots_in_a_table(folder):
    records = wide("{f}.{i}", "rewards", "advantage")
    table(folder / "log.csv", [list(records[0]), *(list(r.values()) for r in records)])


def brackets_in_parquet(folder):
    pq.write_table(pa.Table.from_pylist(wide("{f}[{i}]", "reward", "advantage")), folder / "log.parquet")


def the_number_in_the_middle(folder):
    lines(folder / "log.jsonl", wide("rollout_{i}_{f}", "reward", "advantage", "completion"))


def prompts_with_fewer_rollouts(folder):
    """A table as wide as its largest group: an empty cell is no rollout."""
    records = wide("{f}_{i}", "reward")
    for record in records[:4]:
        record["reward_6"] = record["reward_7"] = None
    table(folder / "log.csv", [list(records[0]), *(list(r.values()) for r in records)])


def samples_by_number(folder):
    lines(
        folder / "log.jsonl",
        [
            {"step": step, "prompt": f"{step} {q}"}
            | {f"sample_{i}": row(r, "step", "prompt_id") for i, r in enumerate(rows)}
            for (step, q), rows in GROUPS.items()
        ],
    )


def samples_by_number_inside(folder):
    lines(
        folder / "log.jsonl",
        [
            {"step": step, "prompt": f"{step} {q}"}
            | {"samples": {str(i): row(r, "step", "prompt_id") for i, r in enumerate(rows)}}
            for (step, q), rows in GROUPS.items()
        ],
    )


def rewards_by_number_inside(folder):
    lines(
        folder / "log.jsonl",
        [
            {"step": step, "prompt": f"{step} {q}", "rewards": {str(i): r["reward"] for i, r in enumerate(rows)}}
            for (step, q), rows in GROUPS.items()
        ],
    )


def a_file_of_all_samples(folder):
    (folder / "log.json").write_text(json.dumps({f"sample_{i}": row(r) for i, r in enumerate(RUN)}, indent=1))


def steps_prompts_and_samples_by_number(folder):
    steps = {
        f"step_{step}": {
            f"prompt_{q}": {f"sample_{i}": row(r, "step", "prompt_id") for i, r in enumerate(GROUPS[step, q])}
            for q in dict.fromkeys(r["q"] for r in rows)
        }
        for step, rows in by_step(RUN).items()
    }
    (folder / "log.json").write_text(json.dumps(steps))


def listed(r, name, value, **more):
    return [{name: "accuracy", value: r["reward"], **more}, {name: "format", value: 0.5, **more}]


def named_values(folder):
    lines(folder / "log.jsonl", [row(r, "reward", rewards=listed(r, "name", "value")) for r in RUN])


def named_scores_of_samples(folder):
    lines(
        folder / "log.jsonl",
        [
            {"step": step, "prompt": f"{step} {q}"}
            | {"samples": [{"completion": r["text"], "rewards": listed(r, "name", "score")} for r in rows]}
            for (step, q), rows in GROUPS.items()
        ],
    )


def weighted_values(folder):
    lines(
        folder / "log.jsonl",
        [row(r, "reward", reward_components=listed(r, "function", "value", weight=2)) for r in RUN],
    )


@pytest.mark.parametrize(
    ("shape", "right"),
    [
        (a_column_a_rollout, GRPO),
        (counted_from_one_in_a_table, RIGHT),
        (names_with_dots_in_a_table, GRPO),
        (brackets_in_parquet, GRPO),
        (the_number_in_the_middle, GRPO),
        (prompts_with_fewer_rollouts, {"sizes": {"6": 4, "8": 8}, "skipped": 0, "groups": 12}),
        (samples_by_number, GRPO),
        (samples_by_number_inside, GRPO),
        (rewards_by_number_inside, RIGHT),
        (a_file_of_all_samples, GRPO),
        (steps_prompts_and_samples_by_number, GRPO),
        (named_values, GRPO),
        (named_scores_of_samples, RIGHT),
        (weighted_values, RIGHT),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_numbers_and_names_are_put_in_order(tmp_path, shape, right):
    shape(tmp_path)
    report = audit(read(tmp_path))
    found = understood(report)
    assert {key: found[key] for key in right} == right
    assert {r["step"] for r in report["per_step"]} == set(by_step(RUN))


def test_named_values_add_up_with_their_weights(tmp_path):
    mean = sum(r["reward"] for r in RUN) / len(RUN)
    for more, right in (({}, mean + 0.5), ({"weight": 2}, 2 * (mean + 0.5))):
        rows = [row(r, "reward", "advantage", rewards=listed(r, "name", "value", **more)) for r in RUN]
        lines(tmp_path / "log.jsonl", rows)
        assert audit(read(tmp_path))["mean_reward"] == pytest.approx(right)


@pytest.mark.parametrize("more", [{}, {"advantage": 0.0}])
def test_numbered_rewards_of_one_rollout_are_reward_functions(tmp_path, more):
    """A row that is one rollout says so: by its text, its advantage, or a prompt that comes back."""
    rows = [{"step": r["step"], "prompt_id": r["q"], "reward_1": r["reward"], "reward_2": 0.5, **more} for r in RUN]
    for name, extra in (("rows", {}), ("texts", {"completion": "x"})):
        lines(tmp_path / name / "log.jsonl", [r | extra for r in rows])
        report = audit(read(tmp_path / name))
        assert (report["rollouts"], report["group_sizes"]) == (len(RUN), {"8": 12})
        assert report["mean_reward"] == pytest.approx(sum(r["reward"] for r in RUN) / len(RUN) + 0.5)


def test_the_user_may_name_one_of_numbered_rewards(tmp_path):
    a_column_a_rollout(tmp_path)
    report = audit(read(tmp_path, reward="reward_0", group_size=4, columns={"prompt": "step"}))
    assert report["rollouts"] == 12


def test_numbered_curves_are_no_rollouts(tmp_path):
    rows = [{"step": s, "accuracy_1": 0.3, "accuracy_2": 0.4, "pass_1": 0.3, "pass_2": 0.5} for s in range(10)]
    lines(tmp_path / "log.jsonl", rows)
    with pytest.raises(InputError, match="no reward of each rollout was found"):
        read(tmp_path)
