"""Can these numbers be trusted? What is wrong with a log itself, before anything is read from it.

Each finding is one sentence with its count. A grave one makes other numbers of the report wrong or meaningless; the
others are things that a reader would want to know.
"""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from .grouping import fitting_size, uneven_groups
from .read import Log
from .repeats import distinct_texts
from .rows import Batch, where
from .tally import equal_rewards, moving_groups
from .writings import Runs

FEW = 20
"""Rollouts from which one that carries half of all weight is remarkable."""
LARGEST = 8
REPEATED = 0.25
"""Share of repeated texts within groups from which it is said."""


@dataclass
class Trust:
    """Counts of what should not be in a log, over its batches."""

    log: Log
    rollouts: int = 0
    missing: int = 0
    """rollouts without a finite advantage"""
    missing_at: str = ""
    logged: int = 0
    moving: int = 0
    moving_at: str = ""
    uneven: int = 0
    """groups in which one reward has several advantages"""
    uneven_at: str = ""
    fitting: int | None = None
    """block size that the advantages of the first batch fit"""
    silent: int = 0
    """groups of unequal rewards whose advantages are all 0"""
    paired: int = 0
    absolute: float = 0.0
    largest: list[tuple[float, str]] = field(default_factory=list)
    cut_blocks: int = 0
    blocks: int = 0
    text: int = 0
    varied: bool = False
    """whether there are different texts at all: a placeholder is no text"""
    texts: int = 0
    repeated: int = 0
    """rollouts whose text came before in their group"""
    truncated: int = 0
    truncated_rewarded: int = 0
    told_truncated: int = 0
    masked: int = 0
    sizes: Counter = field(default_factory=Counter)
    reopened: int = 0

    def __post_init__(self) -> None:
        self.runs = Runs(self.log.files, self.log.runs, self.log.columns.get("run", ""))

    def add(self, batch: Batch) -> None:
        rows = batch.rows
        self.rollouts += len(rows)
        self.reopened += batch.again
        self.runs.add(rows, batch.sizes)
        self.sizes.update(batch.sizes.tolist())
        paired = batch.sizes > 1
        self.paired += int(paired.sum())
        self._advantages(batch, paired)
        if self.log.block is not None and rows["prompt"].all():
            mixed = np.maximum.reduceat(rows["prompt"], batch.starts) != np.minimum.reduceat(
                rows["prompt"], batch.starts
            )
            self.cut_blocks += int(mixed.sum())
            self.blocks += len(mixed)
        if rows["text"].all() and paired.any():
            self.texts += int(batch.sizes[paired].sum())
            self.text = self.text or int(rows["text"][0])
            self.varied |= bool((rows["text"] != np.uint64(self.text)).any())
            self.repeated += int((batch.sizes - distinct_texts(batch))[paired].sum())
        told, cut = rows["cut"] >= 0, rows["cut"] == 1
        self.told_truncated += int(told.sum())
        self.truncated += int(cut.sum())
        self.truncated_rewarded += int((cut & (rows["success"] > 0.5)).sum())
        self.masked += int((rows["mask"] == 0).sum())

    def _advantages(self, batch: Batch, paired: np.ndarray) -> None:
        if not self.log.has_advantages:
            return
        rows = batch.rows
        absent = ~np.isfinite(rows["advantage"])
        if absent.any() and not self.missing_at:
            self.missing_at = self._place(rows[absent])
        self.missing += int(absent.sum())
        self.logged += int((~absent).sum())
        size = np.nan_to_num(np.abs(rows["advantage"]))
        moving = moving_groups(batch)
        if moving.any() and not self.moving_at:
            self.moving_at = self._place(rows[batch.starts[moving]])
        self.moving += int(moving.sum())
        uneven = uneven_groups(batch) & ~moving
        if uneven.any() and not self.uneven_at:
            self.uneven_at = self._place(rows[batch.starts[uneven]])
        if (uneven.any() or moving.any()) and (self.log.block or self.log.ordered) and self.fitting is None:
            order = np.lexsort((rows["line"], rows["file"]))
            self.fitting = fitting_size(rows["reward"][order], rows["advantage"][order])
        self.uneven += int(uneven.sum())
        whole = np.isfinite(np.add.reduceat(rows["advantage"], batch.starts))
        total = np.add.reduceat(size, batch.starts)
        self.silent += int((paired & whole & (total == 0) & ~equal_rewards(batch)).sum())
        self.absolute += float(size.sum())
        top = np.argsort(size)[-1:]
        self.largest = sorted([*self.largest, *((float(size[i]), self._place(rows[i : i + 1])) for i in top)])[
            -LARGEST:
        ]

    def _place(self, rows: np.ndarray) -> str:
        i = int(np.lexsort((rows["line"], rows["file"]))[0])
        return where(rows[i : i + 1], self.log.files)[0]

    def findings(self, nearest: dict | None) -> list[dict]:
        """{"key", "grave", "count", "of", "sentence"} of everything found, the gravest first."""
        found = [*self._of_advantages(nearest), *self._of_rows(), *self._of_groups(), *self._of_texts()]
        return sorted(found, key=lambda f: not f["grave"])

    def _of_advantages(self, nearest: dict | None) -> list[dict]:
        explained = bool(nearest and nearest["equal"]) or self.log.score.standardised is not None
        found = []
        if self.missing:
            share = "all" if self.missing == self.rollouts else f"{self.missing} of {self.rollouts}"
            note = "" if self.logged else "; those of an estimator are computed from the rewards"
            text = f"{share} advantages are NaN or missing, first at {self.missing_at}{note}"
            found.append(finding("nan_advantages", True, self.missing, self.rollouts, text))
        trained = "the reward column or the grouping is not the trained one"
        if self.fitting is not None and self.fitting != self.log.block:
            trained += f"; --group-size {self.fitting} fits the advantages"
        if self.moving and not explained:
            text = (
                f"{many(self.moving, 'group')} of equal rewards {has(self.moving)} advantages (of {self.paired} groups)"
                f", first at {self.moving_at}: {trained}"
            )
            found.append(finding("equal_rewards_with_advantages", True, self.moving, self.paired, text))
        if self.uneven and not explained:
            text = (
                f"in {self.uneven} of {self.paired} groups rollouts of one reward have different advantages, first at "
                f"{self.uneven_at}: {trained}"
            )
            grave = self.uneven > 0.05 * self.paired
            found.append(finding("unequal_advantages_for_equal_rewards", grave, self.uneven, self.paired, text))
        if self.silent and self.absolute and not explained:
            text = (
                f"{self.silent} of {self.paired} groups of unequal rewards have advantages of 0: they were filtered, "
                "or the reward column or the grouping is not the trained one"
            )
            grave = self.silent > 0.1 * self.paired
            found.append(finding("unequal_rewards_without_advantages", grave, self.silent, self.paired, text))
        if self.largest and self.logged > FEW and self.largest[-1][0] > 0.5 * self.absolute > 0:
            size, place = self.largest[-1]
            text = f"1 rollout of {self.logged} carries {size / self.absolute:.0%} of sum |A|, at {place}"
            found.append(finding("one_rollout_dominates", True, 1, self.logged, text))
        return found

    def _of_rows(self) -> list[dict]:
        left, found = self.log.left, []

        def say(key: str, grave: bool, text: str, count: int | None = None) -> None:
            found.append(finding(key, grave, left[key] if count is None else count, None, text))

        if left["rewritten"]:
            steps = left["rewritten steps"]
            text = (
                f"{many(steps, 'step')} {was(steps)} written twice, as by a resumed run: only the last writing counts"
            )
            say("steps_written_twice", True, f"{text}, {left['rewritten']} rows are left out", steps)
        if left["copies"]:
            steps = f" ({many(left['copied steps'], 'step')} of nothing else)" if left["copied steps"] else ""
            say(
                "copies", True, f"{left['copies']} rows are exact copies of earlier ones{steps}: each group counts once"
            )
        if told := self.runs.sentence():
            grave, steps, text = told
            say("runs_mixed", grave, text, steps)
        if left["evaluation"]:
            column = self.log.columns.get("split", "split")
            text = f"{left['evaluation']} rows of an evaluation are mixed in (column {column}) and left out"
            say("evaluation_mixed_in", True, f"{text}; --where {column}=... chooses them", left["evaluation"])
        if left["evaluation files"]:
            files, which = left["evaluation files"], self.log.evaluation_file
            text = f"{many(files, 'file')} of an evaluation left out, such as {which}; name one to audit it"
            say("evaluation_files", False, text, files)
        if left["turns"]:
            text = f"{left['turns']} rows continue the prompt of another row, as later turns of a rollout"
            say("turns", False, f"{text}: each rollout counts once, by its first turn")
        if left["outputs"]:
            say("outputs", False, f"{left['outputs']} rows are earlier outputs of a rollout, of which the last counts")
        if total := self.log.skipped.total:
            place, reason = self.log.skipped.examples[0]
            grave = total > 0.05 * (total + self.rollouts)
            say("skipped", grave, f"{many(total, 'row')} skipped, the first at {place}: {reason}", total)
        return found

    def _of_groups(self) -> list[dict]:
        found = []
        if self.cut_blocks:
            text = (
                f"{self.cut_blocks} of {self.blocks} blocks of --group-size {self.log.block} mix several prompts: the "
                "group size is another, or ranks are interleaved"
            )
            found.append(finding("blocks_cut_prompts", True, self.cut_blocks, self.blocks, text))
        singles = self.sizes.get(1, 0)
        if singles and not self.paired:
            text = "no group holds two rollouts: there is nothing to compare a rollout with"
            found.append(finding("single_rollouts", True, singles, singles, text))
        elif singles:
            text = (
                f"{many(singles, 'group')} of one rollout, which has no group to be compared with, not counted as dead"
            )
            found.append(finding("single_rollouts", False, singles, singles + self.paired, text))
        sizes = {size: count for size, count in self.sizes.items() if size > 1}
        if len(sizes) > 1:
            most = sorted(sizes.items(), key=lambda item: -item[1])
            listed = ", ".join(f"{count} of {size}" for size, count in most[:6]) + (" ..." if len(sizes) > 6 else "")
            text = (
                f"groups differ in size ({listed}): rows are missing, an evaluation is mixed in, or a prompt drawn "
                "twice is one group"
            )
            found.append(finding("group_sizes_differ", False, len(sizes), None, text))
        if self.reopened:
            text = f"rows of one step lie far apart ({self.reopened} times), so groups may have been split"
            found.append(finding("steps_reopened", False, self.reopened, None, text))
        return found

    def _of_texts(self) -> list[dict]:
        found = []
        if self.varied and self.repeated > REPEATED * self.texts:
            text = (
                f"{self.repeated} of {self.texts} rollouts repeat a text of their group: processes that sample with "
                "one seed, or a policy without entropy"
            )
            grave = self.repeated > 0.5 * self.texts
            found.append(finding("duplicate_texts", grave, self.repeated, self.texts, text))
        if self.truncated_rewarded:
            text = f"{self.truncated_rewarded} of {self.truncated} truncated rollouts keep a reward for success"
            found.append(finding("truncated_with_reward", False, self.truncated_rewarded, self.truncated, text))
        elif self.truncated > 0.1 * max(self.told_truncated, 1):
            text = f"{self.truncated / self.told_truncated:.0%} of rollouts are truncated, none of which succeeds"
            found.append(finding("truncated", False, self.truncated, self.told_truncated, text))
        if self.masked:
            text = f"{self.masked} of {self.rollouts} rollouts are masked out of the loss, and count with weight 0"
            found.append(finding("masked", False, self.masked, self.rollouts, text))
        return found


def many(count: int, noun: str) -> str:
    """1 group, 2 groups."""
    return f"{count} {noun}{'s' * (count != 1)}"


def was(count: int) -> str:
    return "was" if count == 1 else "were"


def has(count: int) -> str:
    return "has" if count == 1 else "have"


def finding(key: str, grave: bool, count: int, of: int | None, sentence: str) -> dict:
    return {"key": key, "grave": bool(grave), "count": int(count), "of": of, "sentence": sentence}
