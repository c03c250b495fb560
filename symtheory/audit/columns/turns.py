"""Turns of a conversation that were logged as rows of their own, each with its whole history as the prompt.

Without a session id such rows become groups of one. A row whose prompt continues another prompt of the same step is a
later turn of a rollout that the log already counts.
"""

from collections import Counter

import numpy as np

from .mapping import Plan
from .opening import Shape
from .values import Coded, Column

MORE = 8
"""Characters by which a later turn's prompt is longer, at least."""
SHARE = 0.1
"""Share of rows that continue another prompt from which a log counts as one of turns."""
LENGTHS = 256


class Turns:
    """Follows the prompts of the last steps of one file."""

    def __init__(self) -> None:
        self.roots: dict[int, tuple[dict[int, int], set[int]]] = {}
        """step -> (length -> how many, hashes) of the prompts that continue no other"""
        self.on: bool | None = None

    def applies(self, plan: Plan, fields: dict[str, Column], prompt: np.ndarray) -> bool:
        """Whether this file logs turns; decided on its first rows."""
        if "prompt" not in fields or "group" in fields or plan.block or plan.shape != Shape():
            return False
        if self.on is None:
            texts = _texts(fields["prompt"])
            self.on = texts is not None and self._looks_so(texts[:4096])
        return self.on

    @staticmethod
    def _looks_so(texts: list) -> bool:
        counts = Counter(t for t in texts if isinstance(t, str) and t)
        ordered = sorted(counts)
        root, later, first = "", Counter(), Counter()
        for text in ordered:  # in this order a text follows what it continues
            if root and text.startswith(root) and len(text) >= len(root) + MORE:
                later[text] += counts[text]
                first[root] = counts[root]
            else:
                root = text
        # questions that differ in their last characters come back as often as those they seem to continue
        often = sum(first.values()) / max(len(first), 1) > 1.5 * sum(later.values()) / max(len(later), 1)
        return sum(later.values()) > SHARE * len(texts) and often

    def continued(self, prompts: Column, steps: np.ndarray) -> np.ndarray:
        """[n] whether the prompt of a row continues another prompt of its step."""
        texts = _texts(prompts) or []
        found = np.zeros(len(steps), bool)
        for i in sorted(range(len(texts)), key=lambda i: len(texts[i] or "")):
            text = texts[i]
            if not isinstance(text, str) or not text:
                continue
            step = int(steps[i])
            if step not in self.roots:
                self.roots[step] = ({}, set())
                while len(self.roots) > 8:
                    del self.roots[next(iter(self.roots))]
            lengths, known = self.roots[step]
            if hash(text) in known:
                continue
            if any(hash(text[:n]) in known for n in lengths if n + MORE <= len(text)):
                found[i] = True
            elif len(lengths) < LENGTHS or len(text) in lengths:
                lengths[len(text)] = 1
                known.add(hash(text))
        return found


def _texts(column: Column) -> list | None:
    values = column.plain() if isinstance(column, Coded) else column
    return values if isinstance(values, list) and any(isinstance(v, str) for v in values) else None
