"""What a rollout log is made of once read: rows of numbers, batches of one step, and the rows that were skipped."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

ROW = np.dtype(
    [
        ("step", "i8"),
        ("group", "u8"),  # rollouts of one draw of a prompt have one value within a step
        ("prompt", "u8"),  # one value for a prompt in the whole log; 0 where the log does not tell
        ("id", "u8"),  # one value per rollout within a step; 0 where the log does not tell
        ("reward", "f8"),
        ("success", "f8"),  # the reward that says how well a rollout solved its task
        ("advantage", "f8"),  # NaN where not logged, as for length and logprob
        ("length", "f8"),
        ("logprob", "f8"),
        ("file", "i8"),  # position in the list of files
        ("line", "i8"),  # line of a JSONL file, row of a parquet file, both from 1
    ]
)
PENDING = 1 << 18
"""Rows held back for steps that are still open (23 MB): what makes the memory of an audit flat."""
EXAMPLES, REASONS = 20, 50


@dataclass
class Skipped:
    """Rows that could not be used: how many for each reason, and where the first ones are."""

    counts: Counter = field(default_factory=Counter)
    examples: list[tuple[str, str]] = field(default_factory=list)
    """(file:line, reason) of the first rows, in reading order"""

    def add(self, where: str, reason: str) -> None:
        known = reason in self.counts or len(self.counts) < REASONS
        self.counts[reason if known else "other reasons"] += 1
        if len(self.examples) < EXAMPLES:
            self.examples.append((where, reason))

    @property
    def total(self) -> int:
        return sum(self.counts.values())


class Batch(NamedTuple):
    """Rollouts of one step, sorted by group."""

    step: int
    rows: np.ndarray
    """[n] records of type `ROW`"""
    starts: np.ndarray
    """[m] index of the first row of each group"""
    sizes: np.ndarray
    """[m] rollouts in each group"""
    again: bool
    """whether rows of this step were handed out before, so that groups may be split"""

    def by_size(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """For each group size G: numbers of its groups [g], and indices of their rows [g, G]."""
        for size in np.unique(self.sizes):
            groups = np.flatnonzero(self.sizes == size)
            yield groups, self.starts[groups, None] + np.arange(size)


def batches(
    chunks: Iterable[np.ndarray], skip: Callable[[np.ndarray, str], None], split: bool, pending: int = PENDING
) -> Iterator[Batch]:
    """Gather chunks of rows into one batch per step, holding at most about `pending` rows.

    While the rows held are few all steps stay open, so a short log may be in any order. Beyond that the step that was
    touched least recently is closed; should it come back, its rows form another batch marked `again`. A step with
    more rows than `pending` is handed out in parts, cut between groups.

    Args:
        chunks: arrays of `ROW` in reading order.
        skip: called with repeated rows (the same id twice in a batch) and the reason.
        split: whether rows are written group after group, so that a group of twice the size is a prompt drawn twice.
        pending: rows to hold.
    """
    open_steps: dict[int, list[np.ndarray]] = {}
    closed: set[int] = set()
    held = 0

    def close(step: int, rows: np.ndarray) -> Batch:
        again = step in closed
        if len(closed) < 1_000_000:
            closed.add(step)
        return _batch(step, rows, skip, split, again)

    for chunk in chunks:
        for step, rows in _by_step(chunk):
            open_steps[step] = [*open_steps.pop(step, ()), rows]  # to the end: touched last
        held += len(chunk)
        while held > pending and len(open_steps) > 1:
            step = next(iter(open_steps))
            rows = np.concatenate(open_steps.pop(step))
            held -= len(rows)
            yield close(step, rows)
        if held > pending:
            (step,) = open_steps
            rows = np.concatenate(open_steps[step])
            last = rows["group"] == rows["group"][-1]
            if last.all():  # one group beyond all bounds
                last[:] = False
            open_steps[step], held = [rows[last]], int(last.sum())
            yield close(step, rows[~last])
    for step, parts in open_steps.items():
        rows = np.concatenate(parts)
        if len(rows):
            yield close(step, rows)


def _by_step(chunk: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    steps = chunk["step"]
    if not len(steps):
        return
    if (steps == steps[0]).all():
        yield int(steps[0]), chunk
        return
    order = np.argsort(steps, kind="stable")
    cuts = np.flatnonzero(np.diff(steps[order])) + 1
    for part in np.split(order, cuts):
        yield int(steps[part[0]]), chunk[part]


def _batch(step: int, rows: np.ndarray, skip, split: bool, again: bool) -> Batch:
    rows = _without_repeats(rows, skip)
    rows = rows[np.argsort(rows["group"], kind="stable")]
    starts = np.flatnonzero(np.append(True, np.diff(rows["group"]) != 0))
    sizes = np.diff(np.append(starts, len(rows)))
    if split:
        usual = int(np.bincount(sizes).argmax())
        twice = (sizes > usual) & (sizes % usual == 0)
        pieces = np.where(twice, sizes // usual, 1)
        sizes = np.repeat(np.where(twice, usual, sizes), pieces)
        starts = np.append(0, np.cumsum(sizes)[:-1])
    return Batch(step, rows, starts, sizes, again)


def _without_repeats(rows: np.ndarray, skip) -> np.ndarray:
    """Rows without those whose id came before in the batch."""
    named = np.flatnonzero(rows["id"])
    first = np.unique(rows["id"][named], return_index=True)[1]
    if len(first) == len(named):
        return rows
    repeats = np.delete(named, first)
    skip(rows[repeats], "this rollout id came before in the same step")
    return np.delete(rows, repeats)


def where(rows: np.ndarray, files: Sequence[str]) -> list[str]:
    """file:line of each row."""
    return [f"{files[f]}:{n}" for f, n in zip(rows["file"].tolist(), rows["line"].tolist(), strict=True)]
