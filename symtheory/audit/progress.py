"""How the success of prompts that come back has changed, by difficulty, without mistaking noise for learning."""

from dataclasses import dataclass, field

import numpy as np

from .rows import Batch
from .tally import BINS, difficulty_bin

CAPACITY = 1 << 15
"""Prompts followed; beyond it a fixed share of all prompts, chosen by their hash, is followed."""


@dataclass
class Progress:
    """Changes of success between visits of a prompt.

    Binning by a measured success rate makes rates of 0 rise and rates of 1 fall by noise alone. So the rollouts of a
    visit are divided: every second one chooses the bin, the others give the rate from which the change is taken.
    """

    share: int = (1 << 64) - 1
    last: dict[int, tuple[int, int, float]] = field(default_factory=dict)
    """prompt -> (step, bin, success rate of the other half)"""
    count: np.ndarray = field(default_factory=lambda: np.zeros(BINS))
    before: np.ndarray = field(default_factory=lambda: np.zeros(BINS))
    change: np.ndarray = field(default_factory=lambda: np.zeros(BINS))
    square: np.ndarray = field(default_factory=lambda: np.zeros(BINS))

    def add(self, batch: Batch) -> None:
        """Follow the prompts of one batch; groups of one rollout and logs without prompts teach nothing."""
        for _, rows in batch.by_size():
            prompts = batch.rows["prompt"][rows[:, 0]]
            chosen = (prompts != 0) & (prompts <= self.share)
            if rows.shape[1] < 2 or not chosen.any():
                continue
            success = np.clip(batch.rows["success"][rows[chosen]], 0, 1)
            bins = difficulty_bin(success[:, ::2].mean(1)).tolist()
            other, whole = success[:, 1::2].mean(1).tolist(), success.mean(1).tolist()
            for visit in zip(prompts[chosen].tolist(), bins, other, whole, strict=True):
                self._visit(batch.step, *visit)
        while len(self.last) > CAPACITY:
            self.share //= 2
            self.last = {prompt: seen for prompt, seen in self.last.items() if prompt <= self.share}

    def _visit(self, step: int, prompt: int, chosen_bin: int, other: float, whole: float) -> None:
        seen = self.last.get(prompt)
        if seen is not None and seen[0] >= step:
            return
        if seen is not None:
            _, bin_before, before = seen
            self.count[bin_before] += 1
            self.before[bin_before] += before
            self.change[bin_before] += whole - before
            self.square[bin_before] += (whole - before) ** 2
        self.last[prompt] = (step, chosen_bin, other)

    def result(self) -> dict | None:
        """Means with standard errors by bin, [BINS] each; None if no prompt came back."""
        if not self.count.sum():
            return None
        n = np.maximum(self.count, 1)
        mean = self.change / n
        variance = np.maximum(self.square / n - mean**2, 0) * n / np.maximum(n - 1, 1)
        return {
            "visits": self.count,
            "before": self.before / n,
            "change": mean,
            "error": np.where(self.count > 1, np.sqrt(variance / n), np.nan),
        }
