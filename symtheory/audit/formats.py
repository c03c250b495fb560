"""The log formats: which columns each trainer writes, and what makes a group in it.

| format | written by | group |
| --- | --- | --- |
| trl | TRL, `log_completions=True`: `completions_*.parquet` | prompt within a step, `--group-size` consecutive rows |
| verl | verl, `trainer.rollout_data_dir`: `{step}.jsonl` with uid | uid without its last two parts |
| verl_legacy | the same without uid, and validation files | input within a step (a question drawn twice merges) |
| nemo_rl | NeMo-RL: `train_data_step{n}.jsonl` | `--group-size` consecutive rows; validation: the question |
| plain | anyone: JSONL or parquet with the columns of `PLAIN` | prompt_id within a step, else `--group-size` |
"""

import re
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from ..errors import InputError
from .jsonl import import_msgspec

LIMIT = 1e100
"""Largest magnitude of a number in a log, so that no sum of squares overflows."""
HASH = (1 << 64) - 1
PLAIN = {
    "step": ("step",),
    "prompt": ("prompt_id", "prompt"),
    "id": ("rollout_id",),
    "reward": ("reward",),
    "advantage": ("advantage",),
    "length": ("length",),
    "logprob": ("logprob", "log_prob"),
}
"""The plain schema: names of each column. step (whole number), reward and prompt_id (text or whole number; not needed
with `--group-size`) are required; rollout_id, advantage, length (tokens) and logprob (sum over tokens) are not."""
SIGNS: dict[str, tuple[str, ...]] = {
    "nemo_rl": ("content", "rewards", "idx"),
    "verl": ("input", "output", "score", "step", "uid"),
    "verl_legacy": ("input", "output", "score", "step"),
    "trl": ("step", "prompt", "completion", "advantage"),
}
PARQUET = ("trl", "plain")
JSONL = ("nemo_rl", "verl", "verl_legacy", "plain")


class Layout(NamedTuple):
    """How the rows of a JSONL format become numbers."""

    type: Any
    """msgspec type of a row: only the fields that are needed, each with its type"""
    values: Callable[[Any, int], tuple]
    """(row, its position in the file) -> values of the fields of `ROW` before file and line; ValueError: unusable"""


class Terms(NamedTuple):
    """A reward as a weighted sum of columns; the first column says how well a rollout solved its task."""

    columns: tuple[str, ...]
    weights: tuple[float, ...]


def recognise(columns: set[str], parquet: bool) -> str | None:
    """Name of the format that has these columns, None if it is none of them."""
    for name in PARQUET if parquet else JSONL:
        if name in SIGNS and set(SIGNS[name]) <= columns:
            return name
    return "plain" if {"step", "reward"} <= columns or ("step" in columns and _has(columns, "prompt")) else None


def reward_terms(text: str, columns: Collection[str]) -> Terms:
    """Read `correct`, `correct+brevity` or `correct+0.2*brevity`, given the columns that there are.

    >>> reward_terms("correct+0.2*brevity", ["correct", "brevity"])
    Terms(columns=('correct', 'brevity'), weights=(1.0, 0.2))
    """
    if text in columns:
        return Terms((text,), (1.0,))
    parts = [re.fullmatch(r"\s*(?:([-+.\deE]+)\s*\*\s*)?(.+?)\s*", part) for part in text.split("+")]
    try:
        found = [(float(m[1] or 1), m[2]) for m in parts if m]
    except ValueError:
        found = []
    if len(found) != len(parts):
        raise InputError(f"reward must be a column, or a sum such as correct+0.2*brevity, got {text!r}")
    for _, column in found:
        if column not in columns:
            raise InputError(
                f"the log has no column {column!r} for the reward; its columns: {', '.join(sorted(columns))}"
            )
    return Terms(tuple(column for _, column in found), tuple(weight for weight, _ in found))


def layout(name: str, columns: set[str], path: Path, group_size: int | None, reward: str | None) -> Layout:
    """The `Layout` of a JSONL file of format `name` whose rows have these columns."""
    return {"nemo_rl": _nemo_rl, "verl": _verl, "verl_legacy": _verl, "plain": _plain}[name](
        columns, path, group_size, reward
    )


def plain_columns(columns: set[str], group_size: int | None, path: Path) -> dict[str, str]:
    """Field of `ROW` -> column, for the fields of the plain schema that a file has."""
    found = {field: next(n for n in names if n in columns) for field, names in PLAIN.items() if _has(columns, field)}
    if "step" not in found:
        raise InputError(f"{path} has no column step; the plain schema needs step, reward and prompt_id")
    if "prompt" not in found and group_size is None:
        raise InputError(
            f"{path} does not say which rollouts form a group: add a column prompt_id, or give --group-size"
        )
    return found


def _has(columns: set[str], field: str) -> bool:
    return any(n in columns for n in PLAIN[field])


def _number(low: float = -LIMIT) -> Any:
    return Annotated[float, import_msgspec().Meta(ge=low, le=LIMIT)]


def _whole() -> Any:
    return Annotated[int, import_msgspec().Meta(ge=-(2**53), le=2**53)]


def _row_type(fields: Mapping[str, tuple[Any, str]], terms: Terms, reward_type: Any, optional: Mapping) -> Any:
    """A msgspec type with `fields` (name -> type, column), `optional` ones, and rewards r0, r1 ..."""
    rewards = {f"r{i}": (reward_type, column) for i, column in enumerate(terms.columns)}
    columns = {name: column for name, (_, column) in {**fields, **rewards, **optional}.items()}
    if len(set(columns.values())) < len(columns):
        raise InputError(f"reward must be a column of its own, got {'+'.join(terms.columns)!r}")
    spec = [(name, kind) for name, (kind, _) in {**fields, **rewards}.items()]
    spec += [(name, kind | None, None) for name, (kind, _) in optional.items()]
    return import_msgspec().defstruct("Row", spec, rename=columns)


def _weigh(terms: Terms) -> Callable[[Any], tuple[float, float]]:
    """Row -> (reward, success)."""
    if len(terms.columns) == 1 and terms.weights == (1.0,):
        return lambda row: (row.r0, row.r0)
    return lambda row: (sum(w * getattr(row, f"r{i}") for i, w in enumerate(terms.weights)), row.r0)


def stable_hash(value: Any) -> int:
    """A number other than 0 for a value, the same for a number and its text, and throughout this process."""
    return hash(str(value)) & HASH or 1


def _verl(columns: set[str], path: Path, group_size: int | None, reward: str | None) -> Layout:
    terms = reward_terms(reward or "score", columns)
    number = _number() if terms.columns == ("score",) else _number() | bool  # reward_extra_info holds truth values
    fields = {"step": (_whole(), "step"), "input": (str, "input")}
    if "uid" in columns:
        fields["uid"] = (str, "uid")
    weigh = _weigh(terms)

    def values(row, position):
        length = len(row.output) if row.output is not None else None
        prompt = stable_hash(row.input)
        group, rollout = prompt, 0
        if "uid" in columns:
            parts = row.uid.rsplit("_", 2)
            if len(parts) < 3:
                raise ValueError("uid is not {uuid}_{session}_{index}")
            group, rollout = stable_hash(parts[0]), stable_hash(row.uid)
        return (row.step, group, prompt, rollout, *weigh(row), None, length, None)

    return Layout(_row_type(fields, terms, number, {"output": (str, "output")}), values)


def _plain(columns: set[str], path: Path, group_size: int | None, reward: str | None) -> Layout:
    names = plain_columns(columns, group_size, path)
    terms = reward_terms(reward or "reward", columns)
    fields = {"step": (_whole(), names["step"])}
    if "prompt" in names:
        fields["prompt"] = (str | int, names["prompt"])
    kinds = {"advantage": _number(), "length": _number(0), "logprob": _number(), "id": str | int}
    optional = {field: (kind, names.get(field, PLAIN[field][0])) for field, kind in kinds.items()}
    by_prompt = "prompt" in names
    weigh = _weigh(terms)

    def values(row, position):
        group = prompt = stable_hash(row.prompt) if by_prompt else 0
        if not by_prompt:
            group = position // (group_size or 1)
        rollout = 0 if row.id is None else stable_hash(f"{prompt}/{row.id}")
        return (row.step, group, prompt, rollout, *weigh(row), row.advantage, row.length, row.logprob)

    return Layout(_row_type(fields, terms, _number(), optional), values)


def _nemo_rl(columns: set[str], path: Path, group_size: int | None, reward: str | None) -> Layout:
    """Every value is a list of length 1 (a micro-batch of one); tokens of a rollout are those with loss mask 1."""
    step = re.search(r"step(\d+)", path.name)
    step = int(step[1]) if step else 0
    chat = "token_ids" not in columns
    if not chat and group_size is None:
        raise InputError(f"{path}: NeMo-RL training logs do not say the group size: give --group-size")
    terms = reward_terms(reward or ("filtered_rewards" if "filtered_rewards" in columns else "rewards"), columns)
    tokens = list[list[_number()]]
    optional = {
        "mask": (tokens, "token_loss_mask"),
        "advantages": (tokens, "advantages"),
        "logprobs": (tokens, "generation_logprobs"),
        "idx": (_whole(), "idx"),
        "content": (list[list[dict[str, Any]]] if chat else list[str], "content"),
    }
    weigh = _weigh(terms)

    def values(row, position):
        for i in range(len(terms.columns)):
            setattr(row, f"r{i}", _only(getattr(row, f"r{i}"), "rewards"))
        place = position if row.idx is None else row.idx
        prompt = stable_hash(_question(_only(row.content, "content"))) if chat else 0
        advantage, length, logprob = _over_tokens(row)
        rollout = 0 if row.idx is None else stable_hash(f"{path}/{row.idx}")
        group = place // group_size if group_size else prompt
        return (step, group & HASH, prompt, rollout, *weigh(row), advantage, length, logprob)

    return Layout(_row_type({}, terms, list[_number()], optional), values)


def _only(values: list | None, name: str) -> Any:
    if values is None or len(values) != 1:
        raise ValueError(f"{name} is not a list of length 1")
    return values[0]


def _over_tokens(row) -> tuple[float | None, float | None, float | None]:
    """Mean advantage, number and summed log-probability of the tokens of a rollout."""
    if row.mask is None:
        return None, None, None
    mask = [t > 0 for t in _only(row.mask, "token_loss_mask")]
    length = sum(mask)

    def chosen(values, name):
        values = None if values is None else _only(values, name)
        if values is not None and len(values) != len(mask):
            raise ValueError(f"{name} and token_loss_mask differ in length")
        return None if values is None else [v for v, m in zip(values, mask, strict=True) if m]

    advantages, logprobs = chosen(row.advantages, "advantages"), chosen(row.logprobs, "generation_logprobs")
    return (
        sum(advantages) / length if advantages else None,
        float(length),
        None if logprobs is None else sum(logprobs),
    )


def _question(messages: list[dict[str, Any]]) -> str:
    return "\n".join(str(m.get("content")) for m in messages if m.get("role") != "assistant")
