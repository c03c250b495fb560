"""Read the rollout log of a training run: find its files, tell their columns, and hand out one batch per step.

Reading streams: at most a few hundred thousand rows are held, whatever the size of the log. A row that cannot be used
is counted and located, never dropped in silence; nothing in a log is executed.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..errors import InputError
from . import formats
from .columns.fields import Wishes
from .columns.mapping import Plan, plan
from .columns.opening import dig
from .columns.rewards import MAX_PARTS, Terms
from .columns.rollouts import is_evaluation_value, read_rows
from .files.parquet import first_line
from .files.sources import find, is_evaluation, sample
from .repeats import without_copies
from .rows import FIELDS, Batch, Skipped, batches, row_type
from .rows import where as places
from .scoring import Score, scored
from .writings import Epochs


@dataclass
class Log:
    """A rollout log that is ready to be read, once."""

    format: str
    files: list[str]
    notes: list[str]
    """What the reader chose or left out, one sentence each"""
    length_unit: str
    """"tokens" or "characters"; logs without token counts give the length of the text"""
    batches: Iterator[Batch]
    """One batch per step, in the order of the log"""
    score: Score
    """What the reward and the success of a rollout are; settled when the first batch is taken"""
    columns: Mapping[str, str]
    """Field -> column of the first file"""
    block: int | None
    """Rows of a group, where --group-size counts them"""
    ordered: bool = False
    """Whether rows are written group after group, so that --group-size could count them"""
    evaluation_file: str = ""
    """A file that was left out as part of an evaluation"""
    skipped: Skipped = field(default_factory=Skipped)
    """Filled while `batches` is consumed"""
    left: Counter = field(default_factory=Counter)
    """Rows left out on purpose, by reason; filled while `batches` is consumed"""
    runs: dict[int, str] = field(default_factory=dict)
    """Hash -> value of the column that names the run of a row; filled while `batches` is consumed"""

    @property
    def has_advantages(self) -> bool:
        return "advantage" in self.columns


def read(
    path: str | Path | Sequence[str | Path],
    log_format: str | None = None,
    group_size: int | None = None,
    reward: str | None = None,
    *,
    success: str | None = None,
    columns: Mapping[str, str] | None = None,
    where: Mapping[str, str] | None = None,
    first_step: int | None = None,
) -> Log:
    """Open a rollout log: files, folders and globs.

    Args:
        path: one or several; parquet, JSON in any arrangement, CSV, or slime's .pt, packed or not. Folders are read
            in the order of the numbers in the names.
        log_format: one of `formats.named()`, recognised from the columns if not given.
        group_size: rollouts per prompt, where the log does not tell.
        reward: column of the reward, or a weighted sum such as correct+0.2*brevity.
        success: column that says whether a rollout solved its task.
        columns: field (`formats.FIELDS`) -> dotted path of its column, where the usual names do not find it.
        where: column -> value; only rows with these values are read.
        first_step: earlier steps are not read.

    Returns:
        The `Log`; nothing but the first records of each file is read before its batches are taken.

    Raises:
        InputError: nothing to read, a format that cannot be told, a column or group size that is missing.
    """
    if log_format is not None:
        formats.get(log_format)
    if group_size is not None and group_size < 1:
        raise InputError(f"group_size must be at least 1, got {group_size}")
    if group_size is not None and group_size > 1 << 20:
        raise InputError(f"group_size must be at most {1 << 20}, got {group_size}")
    paths = [path] if isinstance(path, str | Path) else list(path)
    wishes = Wishes(log_format, group_size, reward, success, dict(columns or {}), dict(where or {}))
    files, notes = find(paths)
    skipped, left, runs = Skipped(), Counter(), {}
    plans = _plans(files, wishes, notes, left)
    names = [str(f) for f, _ in plans]
    first = plans[0][1]
    if group_size is not None and first.block is None:
        notes.append("--group-size is not used: the log tells which rollouts form a group")
    parts = tuple(dict.fromkeys(c for _, p in plans for c in p.parts))[:MAX_PARTS]
    keep_evaluation = _only_evaluation(plans[0])
    chunks = (
        _widened(chunk, p.parts, parts)
        for i, (file, p) in enumerate(plans)
        for chunk in read_rows(file, i, p, keep_evaluation, skipped, left, runs)
    )
    chunks = Epochs().counted_on(chunks)
    if first_step is not None:
        chunks = (chunk[chunk["step"] >= first_step] for chunk in chunks)

    def skip(rows: np.ndarray, reason: str) -> None:
        for place in places(rows, names):
            skipped.add(place, reason)

    terms = _terms(plans, parts)
    score = Score(parts, terms, first.free)
    asked = success is not None or "success" in wishes.columns
    ordered = first.format.ordered and "group" not in first.fields
    stream = batches(chunks, skip, left, split=ordered and first.block is None)
    stream = without_copies(scored(stream, score, first.fields.get("success"), asked), left)
    in_tokens = {"length", "token_mask", "logprob"} & set(first.fields)
    unit = "tokens" if in_tokens else "characters"
    aside = next((str(f) for f, inside in files if is_evaluation(inside)), "")
    return Log(
        first.format.name,
        names,
        notes,
        unit,
        stream,
        score,
        first.fields,
        first.block,
        ordered,
        aside,
        skipped,
        left,
        runs,
    )


def _terms(plans: Sequence[tuple[Path, Plan]], parts: tuple[str, ...]) -> Terms:
    """The reward of the whole log: that of the first file, and where reward functions add up, those of all files."""
    first = plans[0][1]
    if first.free and first.format.functions and len(first.terms.columns) == len(first.parts):
        return Terms(parts, (1.0,) * len(parts))
    return first.terms


def _widened(chunk: np.ndarray, own: Sequence[str], parts: Sequence[str]) -> np.ndarray:
    """The same rows with the reward columns of the whole log."""
    if tuple(own) == tuple(parts):
        return chunk
    wide = np.zeros(len(chunk), row_type(len(parts)))
    for name, *_ in FIELDS:
        wide[name] = chunk[name]
    wide["parts"] = np.nan
    for i, name in enumerate(own):
        if name in parts:
            wide["parts"][:, parts.index(name)] = chunk["parts"][:, i]
    return wide


def _plans(
    files: Sequence[tuple[Path, str]], wishes: Wishes, notes: list[str], left: Counter
) -> list[tuple[Path, Plan]]:
    """The files that are rollout logs of one format, with their plans; what was left out goes to `notes` and `left`."""
    training = [(f, inside) for f, inside in files if not is_evaluation(inside)]
    aside = len(files) - len(training)
    found, refused = _readable(training, wishes, single=len(files) == 1)
    if aside and found:
        left["evaluation files"] = aside
    elif aside:
        found, refused = _readable(files, wishes, single=len(files) == 1)
    if not found:
        raise next(iter(refused.values()), InputError("no file of a rollout log was found"))
    kinds = Counter(p.format.name for _, p in found)
    if len(kinds) > 1:
        places = ", ".join(f"{n} ({next(f for f, p in found if p.format.name == n)})" for n in kinds)
        raise InputError(f"the log holds files of several formats: {places}; audit them one at a time")
    if refused:
        file, reason = next(iter(refused.items()))
        shown = str(reason).removeprefix(f"{file} ").split(";")[0][:160]
        notes.append(f"{len(refused)} files are left out, such as {file}: {shown}")
    form = found[0][1].format
    if form.leave_out and (kept := [(f, p) for f, p in found if not re.search(form.leave_out, str(f))]):
        if len(kept) < len(found):
            notes.append(
                f"{len(found) - len(kept)} files repeat others and are left out ({form.name}: {form.leave_out})"
            )
        found = kept
    return found


def _readable(
    files: Sequence[tuple[Path, str]], wishes: Wishes, single: bool
) -> tuple[list[tuple[Path, Plan]], dict[Path, Exception]]:
    """The files that hold rollouts, with their plans, and why the others do not; a single file is raised for."""
    found: list[tuple[Path, Plan]] = []
    refused: dict[Path, Exception] = {}
    for file, inside in files:
        try:
            found.append((file, plan(file, sample(file), wishes, inside)))
        except InputError as reason:
            if single:
                raise
            refused[file] = reason
        except (OSError, ValueError, RecursionError, MemoryError, TypeError) as error:
            refused[file] = InputError(f"{file} cannot be read: {first_line(error)}")
    return found, refused


def _only_evaluation(plan_of: tuple[Path, Plan]) -> bool:
    """Whether the first rows are all of an evaluation, so that it is what the audit is asked about."""
    file, own = plan_of
    column = own.fields.get("split")
    if column is None:
        return True
    flag, values = column.rpartition(".")[2], [dig(record, column) for record in sample(file)]
    return all(is_evaluation_value(value, flag) for value in values)
