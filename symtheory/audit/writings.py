"""Steps that come back: with a new epoch, by a run that was resumed, or since two runs lie in one log."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from os.path import abspath, commonpath
from pathlib import Path

import numpy as np

RANK = re.compile(r"(rank|worker|node|gpu|shard|part|proc|process|dp|tp|host|replica|chunk)[_.=-]?\d", re.IGNORECASE)
RUN = re.compile(r"(seed|run|exp|experiment|trial|job|attempt)[_.=-]?\d+", re.IGNORECASE)
EPOCHS = 10_000


class Epochs:
    """Counts steps on where they begin again with every epoch: the epoch goes up where the step goes down."""

    def __init__(self) -> None:
        self.offset: dict[int, int] = {}
        """epoch -> what is added to its steps"""
        self.top, self.last, self.epoch = -(2**62), -(2**62), -1

    def counted_on(self, chunks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """The same rows, with steps that do not come back."""
        for chunk in chunks:
            if len(chunk) and (chunk["epoch"] >= 0).all():
                self._count_on(chunk)
            yield chunk

    def _count_on(self, chunk: np.ndarray) -> None:
        step, epoch = chunk["step"].copy(), chunk["epoch"]
        for i in np.sort(np.unique(epoch, return_index=True)[1]).tolist():
            new = int(epoch[i])
            if new in self.offset or len(self.offset) > EPOCHS:
                continue
            before, last = (int(epoch[i - 1]), int(step[i - 1])) if i else (self.epoch, self.last)
            known = self.offset.get(before, 0)
            top = max(self.top, int(self._counted(step[:i], epoch[:i]).max(initial=-(2**62))))
            again = 0 <= before < new and int(step[i]) < last
            self.offset[new] = top + 1 - int(step[i]) if again else known
        chunk["step"] = self._counted(step, epoch)
        self.top, self.last, self.epoch = max(self.top, int(chunk["step"].max())), int(step[-1]), int(epoch[-1])

    def _counted(self, step: np.ndarray, epoch: np.ndarray) -> np.ndarray:
        if not len(step):
            return step
        values, inverse = np.unique(epoch, return_inverse=True)
        return step + np.array([self.offset.get(e, 0) for e in values.tolist()])[inverse]


class Writings:
    """Steps that were written twice, as a run that was resumed from an older checkpoint writes them.

    Rows are numbered by how often the step has gone back. Two writings of a step count as such where each has about
    as many rows as a step usually has; the last one is the run, and the others are left out.
    """

    def __init__(self) -> None:
        self.writing, self.last, self.file, self.lowest = 0, -(2**62), -1, 2**62
        self.run = 0
        self.usual: list[int] = []

    def number(self, chunk: np.ndarray) -> None:
        """Fill in the field `writing` of rows in reading order."""
        if not len(chunk):
            return
        steps, files = chunk["step"], chunk["file"]
        runs = chunk["run"]
        back = np.append(steps[0] < self.last, steps[1:] < steps[:-1])
        fresh = np.append(files[0] != self.file, files[1:] != files[:-1])
        lowest = np.minimum(np.minimum.accumulate(steps), self.lowest)
        back &= ~(fresh & (steps <= lowest))  # another file from the first step on: another rank, or another part
        back &= ~np.append(runs[0] != self.run, runs[1:] != runs[:-1])  # another run
        chunk["writing"] = self.writing + np.cumsum(back)
        self.writing, self.last, self.file = int(chunk["writing"][-1]), int(steps[-1]), int(files[-1])
        self.lowest, self.run = int(lowest[-1]), int(runs[-1])

    def last_of(self, rows: np.ndarray, left: Counter) -> np.ndarray:
        """The rows of a step that count: its last writing where it has several whole ones, else all."""
        writings, counts = np.unique(rows["writing"], return_counts=True)
        if len(writings) == 1:
            self.usual = [*self.usual[-63:], int(counts[0])]
            return rows
        usual = float(np.median(self.usual)) if self.usual else float(counts.max())
        if len(writings) > 8 or (counts < 0.8 * usual).any():
            return rows  # steps that overlap, as in asynchronous training, or rows in any order
        left["rewritten"] += int(counts[:-1].sum())
        left["rewritten steps"] += 1
        return rows[rows["writing"] == writings[-1]]


@dataclass
class Runs:
    """Whether a log holds two runs, which the audit takes together: seeds in one folder, or in one file."""

    files: Sequence[str]
    names: Mapping[int, str]
    """hash -> value of the column that names the run of a row"""
    column: str
    by_column: Counter = field(default_factory=Counter)
    """runs that share steps -> steps"""
    by_file: Counter = field(default_factory=Counter)
    shared: int = 0
    """groups with two rollouts or more of two families of files each"""

    def __post_init__(self) -> None:
        self.families = families(self.files)
        self.numbers = np.unique(np.array(self.families), return_inverse=True)[1] if self.families else np.zeros(0, int)

    def add(self, rows: np.ndarray, sizes: np.ndarray) -> None:
        """Take in the rows of one step, sorted by group."""
        group = np.repeat(np.arange(len(sizes)), sizes)
        if rows["run"].all() and (rows["run"] != rows["run"][0]).any():
            runs, label = np.unique(rows["run"], return_inverse=True)
            if len(runs) <= 16 and self._in_groups(group, label).min() > 1:  # else it names single rollouts
                self.by_column[tuple(sorted(self.names.get(r, "?") for r in runs.tolist()))] += 1
        elif (rows["file"] != rows["file"][0]).any():
            label = self.numbers[rows["file"]]
            found = np.unique(label)
            if len(found) < 2 or len(found) > 16:
                return
            counts = self._in_groups(group, label)
            held = np.unique(group * len(self.files) + label)[counts > 1] // len(self.files)
            self.shared += int((np.unique(held, return_counts=True)[1] > 1).sum())
            named = dict(zip(self.numbers.tolist(), self.families, strict=True))
            self.by_file[tuple(sorted(named[f] for f in found.tolist()))] += 1

    def _in_groups(self, group: np.ndarray, label: np.ndarray) -> np.ndarray:
        """Rollouts of each pair of a group and a label that occurs."""
        return np.unique(group * max(len(self.files), 1 << 16) + label, return_counts=True)[1]

    def sentence(self) -> tuple[bool, int, str] | None:
        """(grave, steps, what was found and what to do), None if the log is one run."""
        if self.by_column:
            runs, steps = self.by_column.most_common(1)[0]
            text = (
                f"{len(runs)} runs are taken together (column {self.column}: {_listed(runs)} share {_steps(steps)}): "
                f"audit one at a time with --where {self.column}={runs[0]}"
            )
            return True, steps, text
        if self.by_file:
            found, steps = self.by_file.most_common(1)[0]
            told = sum(bool(RUN.search(name)) for name in found) > 1
            if not (told or self.shared or all("/" in name for name in found)):
                return None
            why = ", which hold the same prompts" if self.shared and not told else ""
            text = (
                f"{_steps(steps)} are in {_listed(found)}{why}, as two runs or seeds leave them, and are taken "
                "together: audit one at a time by its PATH, or with --where"
            )
            return told or bool(self.shared), steps, text
        return None


def _listed(names: Sequence[str]) -> str:
    shown = ["".join(c if c.isprintable() else "?" for c in name)[:60] for name in names[:4]]
    return " and ".join(shown) + (" ..." if len(names) > 4 else "")


def _steps(count: int) -> str:
    return f"{count} step{'s' * (count != 1)}"


def families(files: Sequence[str]) -> list[str]:
    """What may tell runs apart in the path of each file: the folder below all, or the name, without numbers of files.

    >>> families(["r/seed1/c_1.jsonl", "r/seed1/c_2.jsonl", "r/seed2/c_1.jsonl"])
    ['seed1/', 'seed1/', 'seed2/']
    >>> families(["r/rank0.jsonl", "r/rank1.jsonl"]), families(["r/step_1/a.jsonl", "r/step_2/a.jsonl"])
    (['', ''], ['step_/', 'step_/'])
    """
    if len(files) < 2:
        return [""] * len(files)
    files = [abspath(file) for file in files]  # paths from here and from the root may be mixed
    root = commonpath(files)
    found = []
    for file in files:
        first, *inside = Path(file).relative_to(root).parts
        name = f"{first}/" if inside else first.partition(".")[0]
        if RANK.search(name):
            found.append("")
        elif match := RUN.search(name):
            found.append(match[0] + "/" * bool(inside))
        else:
            found.append(re.sub(r"[_.-]?\d+$", "", name) if not inside else re.sub(r"\d+", "", name))
    return found
