"""What a rollout log is made of once read: rows of numbers, batches of one step, and the rows that were skipped."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from .writings import Writings


def row_type(parts: int) -> np.dtype:
    """Record of one rollout, with `parts` reward columns."""
    return np.dtype([*FIELDS, ("parts", "f8", (parts,))])


FIELDS = [
    ("step", "i8"),
    ("group", "u8"),  # rollouts of one draw of a prompt have one value within a step
    ("prompt", "u8"),  # one value for a prompt in the whole log; 0 where the log does not tell
    ("id", "u8"),  # one value per rollout within a step; 0 where the log does not tell
    ("turn", "i4"),  # of several rows of one id the one with the highest turn counts
    ("reward", "f8"),
    ("success", "f8"),  # how well a rollout solved its task, in [0, 1]
    ("advantage", "f8"),  # NaN where not logged or not finite, as for length and logprob
    ("length", "f8"),
    ("logprob", "f8"),
    ("mask", "f4"),  # weight in the loss: 0 for a rollout that is masked out
    ("text", "u8"),  # one value for a text of the completion; 0 where not logged
    ("cut", "i1"),  # 1 truncated, 0 not, -1 not logged
    ("epoch", "i4"),  # -1 where not logged
    ("run", "u8"),  # one value for each run that a column names; 0 where none does
    ("writing", "i4"),  # which time a step is being written, counted by the steps that come back
    ("file", "i8"),  # position in the list of files
    ("line", "i8"),  # line or record of the file, from 1
]
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
    chunks: Iterable[np.ndarray],
    skip: Callable[[np.ndarray, str], None],
    left: Counter,
    split: bool,
    pending: int = PENDING,
) -> Iterator[Batch]:
    """Gather chunks of rows into one batch per step, holding at most about `pending` rows.

    While the rows held are few all steps stay open, so a short log may be in any order. Beyond that the step that was
    touched least recently is closed; should it come back, its rows form another batch marked `again`. A step with
    more rows than `pending` is handed out in parts, cut between groups.

    Args:
        chunks: arrays of `row_type` in reading order.
        skip: called with repeated rows (the same id twice in a batch) and the reason.
        left: counts rows left out on purpose: further outputs of one rollout, the first writing of a step.
        split: whether rows are written group after group, so that a group of twice the size is a prompt drawn twice.
        pending: rows to hold.
    """
    open_steps: dict[int, list[np.ndarray]] = {}
    closed: set[int] = set()
    held = 0
    writings = Writings()

    def close(step: int, rows: np.ndarray) -> Batch:
        again = step in closed
        if len(closed) < 1_000_000:
            closed.add(step)
        return _batch(step, writings.last_of(rows, left), skip, left, split, again)

    for chunk in chunks:
        writings.number(chunk)
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


def _batch(step: int, rows: np.ndarray, skip, left: Counter, split: bool, again: bool) -> Batch:
    rows = _without_repeats(_without_copied_files(rows, left), skip, left)
    rows = rows[np.argsort(rows["group"], kind="stable")]
    starts = np.flatnonzero(np.append(True, np.diff(rows["group"]) != 0))
    sizes = np.diff(np.append(starts, len(rows)))
    if split:
        starts, sizes = drawn_twice(rows, starts, sizes)
    return Batch(step, rows, starts, sizes, again)


def drawn_twice(rows: np.ndarray, starts: np.ndarray, sizes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cut groups of a multiple of the usual size, unless their advantages say that they are one group.

    A group stays whole where one of its pieces is not zero-sum and the whole is.
    """
    usual = int(np.bincount(sizes).argmax())
    found: list[int] = []
    for start, size in zip(starts.tolist(), sizes.tolist(), strict=True):
        pieces = size // usual
        if usual < 2 or pieces < 2 or size % usual:
            found.append(size)
            continue
        advantages = rows["advantage"][start : start + size]
        sums = np.abs(advantages.reshape(pieces, usual).sum(1))
        limit = 1e-3 * np.abs(advantages).max()
        whole = np.isfinite(sums).all() and limit > 0 and (sums > limit).any() and abs(advantages.sum()) <= limit
        dead = limit == 0 and size > usual * int((sizes == usual).sum())
        found += [size] if whole or dead else [usual] * pieces
    cut = np.array(found)
    return np.append(0, np.cumsum(cut)[:-1]).astype(np.int64), cut


def _without_copied_files(rows: np.ndarray, left: Counter) -> np.ndarray:
    """Rows of a step without those of a file that repeats another row by row."""
    files = np.unique(rows["file"])
    if len(files) < 2 or len(files) > 1024:
        return rows
    seen: set[bytes] = set()
    for file in files:
        own = rows["file"] == file
        part = rows[own]
        telling = len(part) >= 8 and len(np.unique(part["parts"][:, 0])) > 1
        content = b"".join(np.ascontiguousarray(part[name]).tobytes() for name in COPIED)
        if telling and content in seen:
            left["copies"] += int(own.sum())
            rows = rows[~own]
        seen.add(content)
    return rows


COPIED = ("group", "prompt", "parts", "advantage", "length", "logprob", "text", "turn")
"""Fields that two files share if one is a copy of the other."""


def _without_repeats(rows: np.ndarray, skip, left: Counter) -> np.ndarray:
    """Rows without those whose id came before; of the outputs of one rollout the last, with the length of all."""
    named = np.flatnonzero(rows["id"])
    if not len(named):
        return rows
    if rows["turn"].any():
        keys = np.stack([rows["id"][named], rows["turn"][named].astype(np.uint64)])
        first = np.sort(np.unique(keys, axis=1, return_index=True)[1])
        repeats, named = np.delete(named, first), named[first]
        order = np.lexsort((rows["turn"][named], rows["id"][named]))
        ids = rows["id"][named][order]
        final = np.append(ids[1:] != ids[:-1], True)
        begin = np.flatnonzero(np.append(True, ids[1:] != ids[:-1]))
        rows["prompt"][named[order[final]]] = rows["prompt"][named[order[begin]]]
        rows["length"][named[order[final]]] = np.add.reduceat(rows["length"][named[order]], begin)
        earlier = named[order[~final]]
        left["outputs"] += len(earlier)
        drop = np.concatenate([repeats, earlier])
    else:
        first = np.unique(rows["id"][named], return_index=True)[1]
        drop = repeats = np.delete(named, first)
    if len(repeats):
        skip(rows[np.sort(repeats)], "this rollout id came before in the same step")
    return np.delete(rows, drop) if len(drop) else rows


def where(rows: np.ndarray, files: Sequence[str]) -> list[str]:
    """file:line of each row."""
    return [f"{files[f]}:{n}" for f, n in zip(rows["file"].tolist(), rows["line"].tolist(), strict=True)]
