"""Records of one file become rollouts: columns by the plan, values as numbers, what cannot be used with its place."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..files import documents, parquet
from ..files.sources import kind, records
from ..rows import Skipped, row_type
from .arranging import arranged
from .mapping import Plan
from .opening import Shape, dig, opened, unnested
from .turns import Turns
from .values import LIMIT, TINY, Coded, Column, combined, described, hashes, mixed, number, numbers, sizes, steps

CHUNK = 8192
RUNS = 64
"""Values of the column that names runs that are remembered."""
EVALUATION = {"eval", "evaluation", "val", "valid", "validation", "test", "dev", "heldout", "held_out", "holdout"}
CUT = {"length", "truncated", "max_tokens", "max_length", "max_new_tokens", "aborted", "max_response_length_exceeded"}


class Part(NamedTuple):
    """Some rollouts, column by column."""

    columns: dict[str, Column]
    lines: np.ndarray
    """[n] line or record of each, from 1"""
    places: np.ndarray
    """[n] position of each among the rollouts of the file, from 0; damaged lines take their place"""


def read_rows(
    path: Path, file: int, plan: Plan, keep_evaluation: bool, skipped: Skipped, left: Counter, runs: dict[int, str]
) -> Iterator[np.ndarray]:
    """Chunks of `rows.row_type` records of a file; what is left out on purpose is counted in `left`.

    `runs` is filled with hashes and values of the column that names the run of a row.
    """
    turns = Turns()
    parts = (
        _parquet_parts if _is_flat_parquet(path, plan) else _line_parts if _is_flat_lines(path, plan) else _record_parts
    )
    for part in parts(path, plan, skipped):
        yield _assemble(part, path, file, plan, keep_evaluation, turns, skipped, left, runs)


def _is_flat_parquet(path: Path, plan: Plan) -> bool:
    if kind(path) != "parquet" or plan.shape != Shape() or any(plan.order):
        return False
    kinds = parquet.schema(path)
    return all(c in kinds and parquet.is_flat(kinds[c]) for c in plan.columns if c != "#")


def _parquet_parts(path: Path, plan: Plan, skipped: Skipped) -> Iterator[Part]:
    start = 0
    for columns in parquet.columns(path, [c for c in plan.columns if c != "#"], skipped):
        size = columns.pop("")
        places = start + np.arange(size)
        yield Part({**columns, "#": places.astype(float)}, places + 1, places)
        start += size


def _is_flat_lines(path: Path, plan: Plan) -> bool:
    """Whether a file has an object a line, with all that is needed in its top-level keys."""
    if kind(path) != "json" or plan.shape != Shape() or any(plan.order) or any("." in c for c in plan.columns):
        return False
    return documents.is_by_line(path)


def _line_parts(path: Path, plan: Plan, skipped: Skipped) -> Iterator[Part]:
    names = [c for c in plan.columns if c != "#"]
    for values, lines, places in documents.columns_by_line(path, names, skipped, CHUNK):
        columns = {name: list(column) for name, column in zip(names, values, strict=True)}
        yield Part({**columns, "#": places}, np.array(lines), np.array(places))


def _record_parts(path: Path, plan: Plan, skipped: Skipped) -> Iterator[Part]:
    names = plan.columns
    held: dict[str, list] = {name: [] for name in names}
    lines: list[int] = []
    places: list[int] = []
    record_of: list[int] = []
    simple = plan.shape == Shape()
    place = -1
    for number_, line, record in _unnested(_ordered(path, plan, skipped), plan.shape):
        if simple:
            place = number_
            for name in names:
                held[name].append(record.get(name) if name in record else dig(record, name))
            lines.append(line)
            places.append(place)
        else:
            try:
                found = opened(record, names, plan.shape)
            except ValueError as reason:
                skipped.add(f"{path}:{line}", str(reason))
                continue
            size = len(found[names[0]])
            if not size:
                skipped.add(f"{path}:{line}", "a list of no rollouts")
            for name in names:
                held[name] += found[name]
            lines += [line] * size
            places += range(place + 1, place + 1 + size)
            record_of += [number_] * size
            place += size
        if len(lines) >= CHUNK:
            yield _part(held, lines, places, record_of)
            held, lines, places, record_of = {name: [] for name in names}, [], [], []
    if lines:
        yield _part(held, lines, places, record_of)


def _part(held: dict[str, list], lines: list[int], places: list[int], record_of: list[int]) -> Part:
    return Part({**held, "#": record_of or places}, np.array(lines), np.array(places))


def _unnested(found: Iterator[tuple[int, int, dict]], form: Shape) -> Iterator[tuple[int, int, dict]]:
    if not (form.outer or form.across):
        yield from found
        return
    records_ = ((line, inner) for _, line, record in found for inner in unnested(record, form))
    for place, (line, inner) in enumerate(records_):
        yield place, line, inner


def _ordered(path: Path, plan: Plan, skipped: Skipped) -> Iterator[tuple[int, int, dict]]:
    """(place, line, record) with what the plan puts in order."""
    found = _numbered(path, plan, skipped)
    return ((place, line, arranged(r, plan.order)) for place, line, r in found) if any(plan.order) else found


def _numbered(path: Path, plan: Plan, skipped: Skipped) -> Iterator[tuple[int, int, dict]]:
    """(place, line, record); places count damaged lines too, so that blocks of rows stay what they are."""
    if kind(path) == "parquet":
        start = 0
        names = list(dict.fromkeys(_top(path, c) for c in plan.columns if c != "#"))
        names = list(parquet.schema(path)) if any(plan.order) else names
        for columns in parquet.columns(path, names, skipped, 512):
            size = columns.pop("")
            values = {n: c.plain() if isinstance(c, Coded) else list(c) for n, c in columns.items()}
            for i in range(size):
                yield start + i, start + i + 1, {n: v[i] for n, v in values.items()}
            start += size
        return
    keys = None if any(plan.order) else list(dict.fromkeys([c.partition(".")[0] for c in plan.columns] + plan.columns))
    before = skipped.total
    for place, (line, record) in enumerate(records(path, skipped, keys)):
        yield place + skipped.total - before, line, record


def _top(path: Path, column: str) -> str:
    kinds = parquet.schema(path)
    return column if column in kinds else column.partition(".")[0]


def _assemble(
    part: Part, path, file: int, plan: Plan, keep_evaluation: bool, turns: Turns, skipped, left, runs
) -> np.ndarray:
    fields = _by_field(part, plan)
    n = len(part.lines)
    rows = np.zeros(n, row_type(len(plan.parts)))
    rows["file"], rows["line"] = file, part.lines
    good = _chosen(part, plan, fields, keep_evaluation, left)
    need = _Needs(good, rows["line"], path, skipped)
    step = steps(fields["step"]) if "step" in fields else np.full(n, float(plan.step))
    need(np.isfinite(step), lambda i: f"step is {described(_at(fields['step'], i))}, not a whole number")
    rows["step"] = np.where(np.isfinite(step), step, 0)
    epoch = steps(fields["epoch"]) if "epoch" in fields else np.full(n, -1.0)
    rows["epoch"] = np.where((epoch >= 0) & (epoch < 2**31), epoch, -1)
    if "run" in fields:
        rows["run"] = hashes(fields["run"])
        _remember(runs, rows["run"], fields["run"])
    _rewards(rows, fields, part, plan, need)
    _measures(rows, fields)
    group, prompt = _groups(fields, part, plan, file, n)
    told = plan.fields.get("group", plan.fields.get("prompt", "prompt"))
    need(group != 0, lambda i: f"{told} is missing or names no group")
    if turns.applies(plan, fields, prompt):
        continued = turns.continued(fields["prompt"], rows["step"])
        left["turns"] += int((continued & good).sum())
        good &= ~continued
    rows["group"], rows["prompt"] = group, prompt
    if "id" in fields:
        rows["id"] = combined([group, hashes(fields["id"])])
    if "turn" in fields:
        rows["turn"] = np.nan_to_num(numbers(fields["turn"]), posinf=0, neginf=0).clip(-(2**30), 2**30)
    return rows[good]


def _remember(runs: dict[int, str], found: np.ndarray, column: Column) -> None:
    """Note the text of the first few different values of the column that names runs."""
    values, first = np.unique(found, return_index=True)
    for value, i in zip(values.tolist(), first.tolist(), strict=True):
        if len(runs) < RUNS:
            runs.setdefault(value, str(_at(column, i))[:60])


def _by_field(part: Part, plan: Plan) -> dict[str, Column]:
    fields: dict[str, Column] = {}
    for field, column in plan.fields.items():
        names = column.split("+")
        if len(names) == 1:
            fields[field] = part.columns[column]
        else:
            fields[field] = [repr(values) for values in zip(*(_list(part.columns[n]) for n in names), strict=True)]
    if plan.format.derive is None:
        return fields
    prefix = f"{plan.shape.rows}." if plan.shape.rows else ""
    also = {
        name.removeprefix(prefix): part.columns.get(f"{prefix}{name}", part.columns.get(name))
        for name in plan.format.also
    }
    also = {name: column for name, column in also.items() if column is not None}
    found = plan.format.derive(
        {k: _list(v) for k, v in {**fields, "reward": part.columns[plan.parts[0]], **also}.items()}
    )
    if "reward" in found:
        part.columns[plan.parts[0]] = found.pop("reward")
    return {field: column for field, column in found.items() if field not in also}


def _list(column: Any) -> list:
    if isinstance(column, Coded):
        return column.plain()
    return column if isinstance(column, list) else [None if x != x else x for x in column.tolist()]


def _at(column: Any, i: int) -> Any:
    return column.values[column.indices[i]] if isinstance(column, Coded) else column[i]


class _Needs:
    """Marks the rows that lack something, each with its first reason."""

    def __init__(self, good: np.ndarray, lines: np.ndarray, path: Path, skipped: Skipped) -> None:
        self.good, self.lines, self.path, self.skipped = good, lines, path, skipped

    def __call__(self, ok: Any, reason) -> None:
        for i in np.flatnonzero(self.good & ~ok):
            self.skipped.add(f"{self.path}:{self.lines[i]}", reason(i))
        self.good &= ok


def _chosen(part: Part, plan: Plan, fields: dict[str, Column], keep_evaluation: bool, left: Counter) -> np.ndarray:
    """Rows that `--where` chooses, without those that a split column calls evaluation."""
    good = np.ones(len(part.lines), bool)
    for column, wanted in plan.where.items():
        alike = set(hashes([wanted, number(wanted), {"true": True, "false": False}.get(wanted.lower())]).tolist())
        good &= np.isin(hashes(part.columns[column]), list(alike - {0}))
    left["where"] += int((~good).sum())
    if "split" in fields and not keep_evaluation and plan.fields["split"] not in plan.where:
        flag = plan.fields["split"].rpartition(".")[2]
        evaluation = np.array([is_evaluation_value(v, flag) for v in _list(fields["split"])])
        left["evaluation"] += int((good & evaluation).sum())
        good &= ~evaluation
    return good


def is_evaluation_value(value: Any, column: str) -> bool:
    """Whether a value of a split column says that the row is of an evaluation."""
    if column in ("is_eval", "is_train"):
        return number(value) == (1.0 if column == "is_eval" else 0.0)
    return isinstance(value, str) and re.split("[/_ -]", value.lower())[0] in EVALUATION


def _rewards(rows: np.ndarray, fields: dict[str, Column], part: Part, plan: Plan, need: _Needs) -> None:
    columns = [_reduced(part.columns[name], None, np.sum) for name in plan.parts]
    parts = np.stack(columns, -1)
    used = [plan.parts.index(name) for name in plan.terms.columns]
    own = parts[:, used]
    first = part.columns[plan.terms.columns[0]]
    usable = (np.abs(np.nan_to_num(own, posinf=np.inf, neginf=-np.inf)) <= LIMIT).all(1) & ~np.isnan(own).all(1)
    need(usable, lambda i: f"{plan.terms.columns[0]} is {described(_at(first, i))}")
    rows["parts"] = _finite(parts)
    rows["success"] = np.nan
    if "success" in fields:
        success = _reduced(fields["success"], None, np.sum)
        rows["success"] = _finite(success)


def _measures(rows: np.ndarray, fields: dict[str, Column]) -> None:
    """Advantage, length, log-probability, text, and whether a rollout was cut or masked."""
    mask = _list(fields["token_mask"]) if "token_mask" in fields else None
    for name in ("advantage", "logprob", "length"):
        rows[name] = np.nan
    if "advantage" in fields:
        rows["advantage"] = _finite(_reduced(fields["advantage"], mask, np.mean))
    if "logprob" in fields:
        rows["logprob"] = _finite(_reduced(fields["logprob"], mask, np.sum))
    if "length" in fields:
        rows["length"] = _lengths(fields["length"], mask)
    elif "logprob" in fields and not isinstance(fields["logprob"], np.ndarray | Coded):
        rows["length"] = [
            len(v) if isinstance(v, list) and v and not isinstance(v[0], list) else np.nan for v in fields["logprob"]
        ]
    rows["mask"] = 1.0
    if "mask" in fields:
        rows["mask"] = np.nan_to_num(numbers(fields["mask"]), nan=1.0).clip(0, 1)
    if mask is not None:
        rows["mask"] *= [0.0 if isinstance(m, list) and m and not any(_inner(m)) else 1.0 for m in mask]
    if "text" in fields:
        rows["text"] = hashes(fields["text"])
        if np.isnan(rows["length"]).all():
            rows["length"] = _finite(sizes(fields["text"]))
    rows["length"][~(rows["length"] >= 0)] = np.nan
    rows["cut"] = -1
    if "cut" in fields:
        column = fields["cut"]
        rows["cut"] = column.each(_cuts) if isinstance(column, Coded) else _cuts(column)


def _cuts(column: Any) -> np.ndarray:
    def cut(value: Any) -> int:
        if isinstance(value, str):
            return int(value.strip().lower() in CUT or value.strip().lower() == "true")
        return -1 if value is None or value != value else int(bool(value) and not isinstance(value, list | dict))

    return np.array([cut(v) for v in column], "i1")


def _finite(values: np.ndarray) -> np.ndarray:
    """Numbers whose squares are finite, NaN for others; those whose squares would vanish are 0."""
    size = np.abs(values)
    return np.where(size <= LIMIT, np.where(size < TINY, 0.0, values), np.nan)


def _inner(value: list) -> list:
    return value[0] if len(value) == 1 and isinstance(value[0], list) else value


def _reduced(column: Column, mask: list | None, reduce) -> np.ndarray:
    """Numbers of a column in which lists hold one value a token: their sum or mean over the tokens of the mask."""
    if isinstance(column, Coded | np.ndarray) or not any(
        isinstance(v, list) and (len(v) > 1 or (v and isinstance(v[0], list))) for v in column
    ):
        return numbers(column)
    found = np.full(len(column), np.nan)
    for i, value in enumerate(column):
        if not isinstance(value, list) or not value:
            found[i] = number(value)
            continue
        tokens = numbers(_inner(value))
        over = numbers(_inner(mask[i])) if mask is not None and isinstance(mask[i], list) else None
        if over is not None and len(over) == len(tokens):
            tokens = tokens[over > 0]
        found[i] = reduce(tokens) if len(tokens) else np.nan
    return found


def _lengths(column: Column, mask: list | None) -> np.ndarray:
    """Tokens of each completion: a number, or the tokens of a list that the mask keeps."""
    if isinstance(column, Coded | np.ndarray) or not any(isinstance(v, list) for v in column):
        return _finite(numbers(column))
    found = sizes([_inner(v) if isinstance(v, list) else v for v in column])
    for i, value in enumerate(column):
        if not isinstance(value, list):
            found[i] = number(value)
        elif mask is not None and isinstance(mask[i], list) and len(_inner(mask[i])) == found[i]:
            found[i] = np.nansum(numbers(_inner(mask[i])) > 0)
    return found


def _groups(fields: dict[str, Column], part: Part, plan: Plan, file: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    """(group, prompt) of each row, 0 where unknown."""
    record = mixed(np.array(part.columns["#"], np.float64).astype(np.uint64) * np.uint64(4096) + np.uint64(file + 1))
    prompt = hashes(_asked(fields["prompt"])) if "prompt" in fields else np.zeros(n, np.uint64)
    if plan.block is not None:
        place = part.places
        if plan.format.one and "id" in fields:
            known = numbers(fields["id"])
            place = np.where(np.isfinite(known), np.nan_to_num(known), place).astype(np.int64)
        return mixed((place // plan.block).astype(np.uint64) * np.uint64(4096) + np.uint64(file + 1)), prompt
    if "group" in fields:
        own = record if plan.fields.get("group") == "#" else hashes(fields["group"])
        return own, np.where(prompt != 0, prompt, 0 if plan.fields.get("group") == "#" else own) if prompt.any() else (
            np.zeros(n, np.uint64) if plan.fields.get("group") == "#" else own
        )
    inside = f"{plan.shape.rows}." if plan.shape.rows else None
    column = plan.fields.get("prompt", "")
    alone = column not in plan.shape.spread and not (inside and column.startswith(inside))
    if (plan.shape != Shape()) and ("prompt" not in fields or alone):
        return record, prompt
    return prompt, prompt


def _asked(column: Column) -> Column:
    """Conversations without the answers at their end."""
    from ..formats.base import asked

    if isinstance(column, Coded | np.ndarray) or not any(
        isinstance(v, list) and v and isinstance(v[0], dict) for v in column
    ):
        return column
    return [asked(v) for v in column]
