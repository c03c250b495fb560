"""How the records of a file become rollouts: its format, its columns, and where in a record the rollouts are."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .. import formats
from ..formats import Format
from ..formats.base import only
from ..grouping import fitting_size, uneven
from .arranging import Arrangement, arranged, arrangement
from .fields import Refusal, Sample, Wishes, choose, seen
from .opening import Shape, dig, flatten, opened, shape, unnested
from .rewards import Terms, choose_reward
from .values import hashes, number, numbers, steps

LIMIT = 512
"""Rollouts of a record looked at"""


class Plan(NamedTuple):
    """How the records of one file become rollouts."""

    format: Format
    fields: Mapping[str, str]
    """Field -> column; "a+b" joins two"""
    parts: tuple[str, ...]
    """Columns that the reward may be a sum of, the default first"""
    terms: Terms
    """The reward, unless a fit finds another"""
    free: bool
    """Whether the reward may be fitted: the user did not choose it"""
    shape: Shape
    """Where the rollouts of a record are"""
    block: int | None
    """Rows of a group, where --group-size counts them"""
    step: int
    """Step of a file without a step column"""
    where: Mapping[str, str]
    order: Arrangement = Arrangement()
    """What is put in order in a record before it is opened"""

    @property
    def columns(self) -> list[str]:
        """Every column that is read."""
        names = [c for column in self.fields.values() for c in column.split("+")]
        prefix = f"{self.shape.rows}." if self.shape.rows else ""
        also = [f"{prefix}{name}" if prefix and not name.startswith(prefix) else name for name in self.format.also]
        return list(dict.fromkeys([*names, *self.parts, *also, *self.where]))


def plan(path: Path, records: Sequence[dict], wishes: Wishes, inside: str) -> Plan:
    """Decide how a file is read, from its first records.

    Args:
        path: the file; `inside` is its path within the log, in which a step may stand.
        records: its first records.
        wishes: what the user says.

    Raises:
        Refusal: no reward, or no groups, or not the format asked for; the sentence names the columns.
    """
    if not records:
        raise Refusal(f"{path} holds no row that is a JSON object: not a rollout log, or damaged from the start")
    told = wishes.columns.get("reward") or (wishes.reward or "").split("+")[0]
    order = arrangement(records, told)
    records = [arranged(record, order) for record in records] if any(order) else records
    own = shape(records, told)
    sample = _sample(records, own)
    form = _recognise(path, sample, wishes.log_format)
    if form.rows and own != Shape(form.rows):
        own = Shape(form.rows)
        sample = _sample(records, own)
    elif form.one and own.spread:
        own = Shape()
        sample = _sample(records, own)
    fields = choose(path, form, sample, wishes)
    parts, terms, free = choose_reward(path, form, sample, fields, wishes)
    several = bool(own.rows or own.spread)
    _must_be_rollouts(path, form, sample, fields, several)
    block = wishes.group_size
    if block is not None and not (form.ordered or form.one) and {"group", "prompt"} & set(fields):
        block = None
    if not ({"group", "prompt"} & set(fields) or several or form.derive is not None) and block is None:
        raise Refusal(
            f"{path} does not say which rollouts form a group: name the column with --columns prompt=..., or give "
            f"--group-size; {seen(sample)}"
        )
    if form.one and block is None:
        _must_fit(path, form, sample, fields, parts)
    return Plan(form, fields, parts, terms, free, own, block, _step_in(inside), wishes.where, order)


def _must_fit(path: Path, form: Format, sample: Sample, fields: Mapping[str, str], parts: Sequence[str]) -> None:
    """Refuse groups told from prompt tokens that the advantages contradict, as where these are placeholders."""
    derive = form.derive or (lambda columns: columns)
    columns = {f: sample[c] for f, c in fields.items()} | {c: sample[c] for c in form.also if c in sample}
    prompt = hashes(derive({**columns, "reward": sample[parts[0]]})["prompt"])
    reward = numbers(sample[parts[0]])
    each = [only(v) for v in sample[fields["advantage"]]] if "advantage" in fields else [None] * len(reward)
    advantage = np.array([v[-1] if isinstance(v, list) and v else number(v) for v in each], float)
    fits = prompt.all() and not len(uneven(prompt, reward, advantage))
    if not fits:
        size = fitting_size(reward, advantage)
        hint = f" ({size} fits the advantages)" if size else ""
        raise Refusal(f"{path}: this log of {form.name} does not say the group size: give --group-size{hint}")


def _sample(records: Sequence[dict], form: Shape) -> Sample:
    flat: list[dict[str, Any]] = []
    for record in (inner for outer in records for inner in unnested(outer, form)[:LIMIT]):
        parent = flatten(record)
        if form.rows:
            elements = [e for e in dig(record, form.rows) or () if isinstance(e, dict)][:LIMIT]
            parent.pop(form.rows, None)
            flat += [parent | flatten(e, f"{form.rows}.") for e in elements]
        elif form.spread:
            try:
                columns = opened(record, list(parent), form)
            except ValueError:
                continue
            flat += [
                {c: v[i] for c, v in columns.items()} for i in range(min(len(next(iter(columns.values()))), LIMIT))
            ]
        else:
            flat.append(parent)
        if len(flat) > 4 * LIMIT:
            break
    names = dict.fromkeys(name for row in flat for name in row)
    return {name: [row.get(name) for row in flat] for name in names}


def _recognise(path: Path, sample: Sample, wanted: str | None) -> Format:
    found = [f for f in formats.formats() if all(_has(sample, sign) for sign in f.signs)]
    if wanted is None:
        return found[0]
    form = formats.get(wanted)
    missing = [s for s in form.signs if not _has(sample, s)]
    if missing:
        raise Refusal(f"{path} is no {wanted} log: it has no column {missing[0]}; {seen(sample)}")
    return form


def _has(sample: Sample, column: str) -> bool:
    if column in sample:
        return True
    name, _, inner = column.partition(".")  # "trajectories.reward", before the list is opened
    lists = [v for v in sample.get(name, ()) if isinstance(v, list) and v]
    return bool(inner and lists) and all(isinstance(e[0], dict) and dig(e[0], inner) is not None for e in lists[:4])


def _must_be_rollouts(path: Path, form: Format, sample: Sample, fields: Mapping[str, str], several: bool) -> None:
    """Refuse a curve: one row a step, without anything that a rollout has."""
    if form.name != "plain" or several or {"group", "prompt", "text", "id", "advantage"} & set(fields):
        return
    if "step" in fields:
        at = steps(sample[fields["step"]])
        if len(at) > 2 and len(np.unique(at)) == len(at):
            raise Refusal(f"{path} holds one row a step: a curve of means, not rollouts; an audit needs every reward")


def _step_in(inside: str) -> int:
    """The step that the name of a file or of its folder tells, 0 if none does."""
    found = re.findall(r"(?:step|iteration|iter|version|rollout|update|batch|round)s?[_.=-]?(\d{1,15})", inside, re.I)
    if found:
        return int(found[-1])
    stem = Path(inside).name.split(".")[0]
    return int(stem) if stem.isdecimal() and len(stem) < 16 else 0
