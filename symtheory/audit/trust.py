"""Can these numbers be trusted? What is wrong with a log itself, before anything is read from it.

Each finding is one sentence with its count. A grave one makes other numbers of the report wrong or meaningless; the
others are things that a reader would want to know.
"""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from .read import Log
from .repeats import distinct_texts
from .rows import Batch, where
from .tally import equal_rewards, moving_groups

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
    silent: int = 0
    """groups of unequal rewards whose advantages are all 0"""
    paired: int = 0
    absolute: float = 0.0
    largest: list[tuple[float, str]] = field(default_factory=list)
    cut_blocks: int = 0
    blocks: int = 0
    texts: int = 0
    repeated: int = 0
    """rollouts whose text came before in their group"""
    truncated: int = 0
    truncated_rewarded: int = 0
    told_truncated: int = 0
    masked: int = 0
    sizes: Counter = field(default_factory=Counter)
    reopened: int = 0

    def add(self, batch: Batch) -> None:
        rows = batch.rows
        self.rollouts += len(rows)
        self.reopened += batch.again
        self.sizes.update(batch.sizes.tolist())
        paired = batch.sizes > 1
        self.paired += int(paired.sum())
        self._advantages(batch, paired)
        if self.log.block is not None and rows["prompt"].all():
            mixed = np.maximum.reduceat(rows["prompt"], batch.starts) != np.minimum.reduceat(rows["prompt"], batch.starts)
            self.cut_blocks += int(mixed.sum())
            self.blocks += len(mixed)
        if rows["text"].all() and paired.any():
            self.texts += int(batch.sizes[paired].sum())
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
        whole = np.isfinite(np.add.reduceat(rows["advantage"], batch.starts))
        total = np.add.reduceat(size, batch.starts)
        self.silent += int((paired & whole & (total == 0) & ~equal_rewards(batch)).sum())
        self.absolute += float(size.sum())
        top = np.argsort(size)[-1:]
        self.largest = sorted([*self.largest, *((float(size[i]), self._place(rows[i : i + 1])) for i in top)])[-LARGEST:]

    def _place(self, rows: np.ndarray) -> str:
        i = int(np.lexsort((rows["line"], rows["file"]))[0])
        return where(rows[i : i + 1], self.log.files)[0]

    def findings(self, nearest: dict | None) -> list[dict]:
        """{"key", "grave", "count", "of", "sentence"} of everything found, the gravest first."""
        found = [*self._of_advantages(nearest), *self._of_rows(), *self._of_groups(), *self._of_texts()]
        return sorted(found, key=lambda f: not f["grave"])

    def _of_advantages(self, nearest: dict | None) -> list[dict]:
        found, all_rows = [], self.rollouts
        if self.missing:
            share = "all" if self.missing == all_rows else f"{self.missing} of {all_rows}"
            note = "" if self.logged else ", so those of an estimator are computed from the rewards"
            found.append(
                finding("nan_advantages", True, self.missing, all_rows, f"{share} advantages are NaN or missing, first at {self.missing_at}{note}")
            )
        if self.moving and not (nearest and nearest["equal"]):
            found.append(
                finding(
                    "equal_rewards_with_advantages", True, self.moving, self.paired,
                    f"{self.moving} of {self.paired} groups of equal rewards have advantages, first at {self.moving_at}: the reward "
                    "column or the grouping is not the trained one",
                )
            )  # fmt: skip
        if self.silent and self.absolute and not (nearest and nearest["equal"]):
            found.append(
                finding(
                    "unequal_rewards_without_advantages", self.silent > 0.1 * self.paired, self.silent, self.paired,
                    f"{self.silent} of {self.paired} groups of unequal rewards have advantages of 0: they were filtered, or the reward column or the "
                    "grouping is not the trained one",
                )
            )  # fmt: skip
        if self.largest and self.logged > FEW and self.absolute and self.largest[-1][0] > 0.5 * self.absolute:
            size, place = self.largest[-1]
            share = size / self.absolute
            shown = f"{share:.0%}" if share < 0.995 else "100%" if share > 0.9999 else f"{share:.2%}"
            found.append(
                finding("one_rollout_dominates", True, 1, self.logged, f"1 rollout of {self.logged} carries {shown} of sum |A|, at {place}")
            )
        return found

    def _of_rows(self) -> list[dict]:
        left, found = self.log.left, []
        if left["rewritten"]:
            found.append(
                finding(
                    "steps_written_twice", True, left["rewritten steps"], None,
                    f"{left['rewritten steps']} steps are written twice, as by a resumed run: only the last writing counts, {left['rewritten']} rows are left out",
                )
            )  # fmt: skip
        if left["copies"]:
            steps = f" ({left['copied steps']} steps hold nothing else)" if left["copied steps"] else ""
            found.append(
                finding("copies", True, left["copies"], None, f"{left['copies']} rows are exact copies of earlier groups{steps}: each group counts once")
            )
        if left["evaluation"]:
            column = self.log.columns.get("split", "split")
            found.append(
                finding(
                    "evaluation_mixed_in", True, left["evaluation"], None,
                    f"{left['evaluation']} rows of an evaluation are mixed in (column {column}) and left out; --where {column}=... chooses them",
                )
            )  # fmt: skip
        if left["turns"]:
            found.append(
                finding(
                    "turns", False, left["turns"], None,
                    f"{left['turns']} rows continue the prompt of another row, as later turns of a rollout: each rollout counts once, by its first turn",
                )
            )  # fmt: skip
        if left["outputs"]:
            found.append(
                finding("outputs", False, left["outputs"], None, f"{left['outputs']} rows are earlier outputs of a rollout, of which the last counts")
            )
        if self.log.skipped.total:
            (place, reason), total = self.log.skipped.examples[0], self.log.skipped.total
            found.append(
                finding("skipped", total > 0.05 * (total + self.rollouts), total, None, f"{total} rows were skipped, the first at {place}: {reason}")
            )
        return found

    def _of_groups(self) -> list[dict]:
        found = []
        if self.cut_blocks:
            found.append(
                finding(
                    "blocks_cut_prompts", True, self.cut_blocks, self.blocks,
                    f"{self.cut_blocks} of {self.blocks} blocks of --group-size {self.log.block} mix several prompts: the group size is another, or ranks are interleaved",
                )
            )  # fmt: skip
        singles = self.sizes.get(1, 0)
        if singles and not self.paired:
            found.append(finding("single_rollouts", True, singles, singles, "no group holds two rollouts: there is nothing to compare a rollout with"))
        elif singles:
            found.append(finding("single_rollouts", False, singles, singles + self.paired, f"{singles} groups hold one rollout, which has no group to be compared with; they do not count as dead"))
        sizes = {size: count for size, count in self.sizes.items() if size > 1}
        if len(sizes) > 1:
            most = sorted(sizes.items(), key=lambda item: -item[1])
            listed = ", ".join(f"{count} of {size}" for size, count in most[:6]) + (" ..." if len(sizes) > 6 else "")
            found.append(
                finding("group_sizes_differ", False, len(sizes), None, f"groups differ in size ({listed}): rows are missing, an evaluation is mixed in, or a prompt drawn twice is one group")
            )
        if self.reopened:
            found.append(
                finding("steps_reopened", False, self.reopened, None, f"rows of one step lie far apart ({self.reopened} times), so groups may have been split")
            )
        return found

    def _of_texts(self) -> list[dict]:
        found = []
        if self.repeated > REPEATED * self.texts:
            found.append(
                finding(
                    "duplicate_texts", self.repeated > 0.5 * self.texts, self.repeated, self.texts,
                    f"{self.repeated} of {self.texts} rollouts repeat a text of their group: processes that sample with one seed, or a policy without entropy",
                )
            )  # fmt: skip
        if self.truncated_rewarded:
            found.append(
                finding(
                    "truncated_with_reward", False, self.truncated_rewarded, self.truncated,
                    f"{self.truncated_rewarded} of {self.truncated} truncated rollouts keep a reward for success",
                )
            )  # fmt: skip
        elif self.truncated > 0.1 * max(self.told_truncated, 1):
            found.append(
                finding("truncated", False, self.truncated, self.told_truncated, f"{self.truncated / self.told_truncated:.0%} of rollouts are truncated; none of them succeeds")
            )
        if self.masked:
            found.append(
                finding("masked", False, self.masked, self.rollouts, f"{self.masked} of {self.rollouts} rollouts are masked out of the loss, and count with weight 0")
            )
        return found


def finding(key: str, grave: bool, count: int, of: int | None, sentence: str) -> dict:
    return {"key": key, "grave": bool(grave), "count": int(count), "of": of, "sentence": sentence}
