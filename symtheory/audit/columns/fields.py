"""Which column of a file holds which field: by the format's table, by the usual names, or as the user says."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ...errors import InputError, no_such
from ..formats import FIELDS, Format
from ..formats.plain import SYNONYMS
from .opening import leaf, usual
from .values import hashes, number, steps

Sample = dict[str, list]
"""Column -> values of the first rollouts, None where a record lacks it."""


class Refusal(InputError):
    """A file that holds no rollouts which can be read: left out of a folder, an error alone."""


class Wishes(NamedTuple):
    """What the user says about the columns."""

    log_format: str | None = None
    group_size: int | None = None
    reward: str | None = None
    success: str | None = None
    columns: Mapping[str, str] = {}
    where: Mapping[str, str] = {}


def choose(path: Path, form: Format, sample: Sample, wishes: Wishes) -> dict[str, str]:
    for field in wishes.columns:
        if field not in FIELDS:
            raise no_such("field", field, FIELDS)
    chosen = {f: column_of(path, sample, c) for f, c in wishes.columns.items() if f != "reward"}
    if wishes.success:
        chosen["success"] = column_of(path, sample, wishes.success)
    for name in wishes.where:
        column_of(path, sample, name)
    by_name: dict[str, str] = {}
    for column in sorted(sample, key=lambda c: c.count(".")):
        by_name.setdefault(usual(column), column)
    for column in sorted(sample, key=lambda c: c.count(".")):
        by_name.setdefault(leaf(column), column)
    for field in FIELDS:
        if field in chosen or field in ("reward", "success"):
            continue
        own = form.fields.get(field)
        names = SYNONYMS.get(field, ()) if own is None else own
        found = [n if "+" in n or n == "#" else (n if n in sample else by_name.get(n, "")) for n in names]
        found = [
            c for c in found if c and all(p in sample or p == "#" for p in c.split("+")) and _fits(field, c, sample)
        ]
        if field in ("group", "prompt"):
            found = _groups(found, sample, chosen.get("step"), strict=own is None)
        if found:
            chosen[field] = found[0]
    for field in ("group", "prompt"):
        if field in wishes.columns and field == "prompt":
            chosen.pop("group", None) if "group" not in wishes.columns else None
    if "id" in chosen and "id" not in wishes.columns and not _tells_apart(chosen, sample):
        del chosen["id"]
    taken = {c for f, c in chosen.items() if f in ("group", "prompt", "step")}
    for field in ("id", "epoch", "run"):
        if chosen.get(field) in taken:
            del chosen[field]
    return chosen


def column_of(path: Path, sample: Sample, name: str) -> str:
    """A column by its dotted path, or by its last part if that is the only one."""
    if name in sample:
        return name
    ends = [c for c in sample if c.rpartition(".")[2] == name]
    if len(ends) == 1:
        return ends[0]
    near = no_such("column", name, sample)
    raise Refusal(
        f"{path}: {near}" if "Did you mean" in str(near) else f"{path} has no column {name!r}; {seen(sample)}"
    )


def seen(sample: Sample) -> str:
    names = [c for c in sample if not isinstance(next((v for v in sample[c] if v is not None), None), dict)]
    shown = ", ".join(safe(n) for n in names[:24])
    return f"its columns: {shown}{' ...' if len(names) > 24 else ''}"


def safe(name: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in name)[:60]


def _fits(field: str, column: str, sample: Sample) -> bool:
    """Whether the values of a column are of the kind that a field needs."""
    if "+" in column or column == "#":
        return True
    values = [v for v in sample[column] if v is not None]
    if not values:
        return field == "advantage"
    if field == "step":
        return bool(np.isfinite(steps(values)).mean() > 0.5)
    if field in ("advantage", "length", "logprob", "mask", "turn"):
        return is_numeric(values) or all(isinstance(v, list) for v in values)
    if field in ("reward", "success"):
        return is_numeric(values)
    if field == "token_mask":
        return any(isinstance(v, list) for v in values)
    if field == "text":
        return any(isinstance(v, str | list | dict) for v in values)
    if field == "id":
        return not any(isinstance(v, list | dict) and len(v) > 1 for v in values)
    if field in ("group", "prompt"):
        return any(v != "" for v in values)
    if field == "epoch":
        return bool(np.isfinite(steps(values)).all())
    if field == "run":
        return not any(isinstance(v, list | dict) for v in values)
    return True


def is_numeric(values: Sequence[Any]) -> bool:
    """Whether most values are numbers, or lists of numbers."""
    flat = [v[0] if isinstance(v, list) and v else v for v in values]
    found = [number(v) for v in flat]
    plain = sum(n == n or isinstance(v, float) for n, v in zip(found, flat, strict=True))
    return plain > 0.5 * len(values)


def _groups(columns: Sequence[str], sample: Sample, step: str | None, strict: bool) -> list[str]:
    """Candidates for what rollouts share, best first: one that makes groups goes before one that makes none."""
    if not columns:
        return []
    at = np.zeros(len(next(iter(sample.values())))) if step is None else np.nan_to_num(steps(sample[step]))

    def rank(column: str) -> int:
        if column == "#":
            return 0
        joined = [tuple(map(repr, v)) for v in zip(*(sample[c] for c in column.split("+")), strict=True)]
        keys = hashes([repr(v) for v in joined]) if "+" in column else hashes(sample[column])
        if not keys.all() and not keys.any():
            return 3
        pairs = np.unique(np.stack([at.view(np.uint64), keys]), axis=1, return_counts=True)[1]
        if len(keys) >= 8 and (pairs == 1).all():
            return 2
        if len(keys) > 64 and len(np.unique(keys)) == 1:
            return 1
        return 0

    ranked = [(rank(c), c) for c in columns]
    best = sorted((r, i) for i, (r, _) in enumerate(ranked))
    kept = [columns[i] for r, i in best if r < 3]
    if strict and kept and ranked[columns.index(kept[0])][0] == 2 and usual(kept[0]) in ("id", "idx", "index", "uid"):
        return []
    return kept


def _tells_apart(fields: Mapping[str, str], sample: Sample) -> bool:
    """Whether the rollout ids of most rows are the only ones of their kind within a step and group."""
    names = [fields[f] for f in ("step", "group", "prompt", "id") if f in fields]
    keys = list(zip(*(map(repr, sample[c]) for name in names for c in name.split("+") if c in sample), strict=True))
    return len(set(keys)) > 0.5 * len(keys)
