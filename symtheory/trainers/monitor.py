"""What a step's groups and advantages look like while a model trains: dead groups, symmetry, omega, expected gain.

The numbers are those of `symtheory audit`, step by step. `Monitor` writes them where the trainer logs, and optionally
one row a rollout in the plain schema that `symtheory audit` reads.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..estimators import Estimator
from ..metrics.plane import difficulty_tilt, group_asymmetry

BANDS = {"hard": (0.0, 1 / 3), "medium": (1 / 3, 2 / 3), "easy": (2 / 3, 1.0)}
"""Success rates of mixed groups that count as hard, medium and easy."""


def measure(rewards: Any, advantages: Any, mask: Any = None, estimator: Estimator | None = None) -> dict[str, float]:
    """Numbers of one step's groups.

    Args:
        rewards: `[P, G]`; a success rate is the mean reward of a group, cut off at 0 and 1.
        advantages: `[P, G]`, what the loss gets.
        mask: `[P, G]`, 1 for a rollout and 0 for padding.
        estimator: with one, also `expected_gain/hard`, `medium` and `easy`: the expected gain of a step on prompts of
            that success rate, 2 F'_G(p) p^2 (1 - p)^2 with the estimator's F'_G (theory of two behaviours of one
            prompt), mean over the step's groups of that band.

    Returns:
        `dead_groups`, `all_correct`, `all_wrong` (shares of the groups), `omega` (mean reward), `group_asymmetry`
        (C / sum |A|), `difficulty_tilt` (against GRPO's weight on the same groups, > 0 leans to hard prompts),
        `effective_groups` ((sum L)^2 / sum L^2 with L = sum |A| of a group), and the gains; what is undefined is left
        out.

    >>> m = measure([[1, 0], [1, 1]], [[1, -1], [0, 0]])
    >>> m["dead_groups"], m["omega"], m["group_asymmetry"], m["effective_groups"]
    (0.5, 0.75, 0.0, 1.0)
    """
    rewards, a = np.atleast_2d(np.asarray(rewards, float)), np.atleast_2d(np.asarray(advantages, float))
    mask = np.ones_like(rewards) if mask is None else np.atleast_2d(np.asarray(mask, float))
    drawn = mask.sum(-1) > 0
    rewards, a, mask = rewards[drawn], a[drawn], mask[drawn]
    if not len(rewards):
        return {}
    size = mask.sum(-1)
    p = np.clip((rewards * mask).sum(-1) / size, 0, 1)
    high, low = (f(np.where(mask > 0, rewards, end), -1) for f, end in ((np.max, -np.inf), (np.min, np.inf)))
    dead = high == low
    signed, weight = (a * mask).sum(-1), (np.abs(a) * mask).sum(-1)
    reference = 2 * size * np.sqrt(p * (1 - p))
    omega = float((rewards * mask).sum() / size.sum())
    found: dict[str, float | None] = {
        "dead_groups": dead.mean(),
        "all_correct": (dead & (p == 1)).mean(),
        "all_wrong": (dead & (p == 0)).mean(),
        "omega": omega,
        "group_asymmetry": group_asymmetry(signed, weight),
    }
    if weight.sum() and reference.sum():
        centre = float((weight * p).sum() / weight.sum())
        found["difficulty_tilt"] = difficulty_tilt(centre, float((reference * p).sum() / reference.sum()))
    if weight.sum():
        found["effective_groups"] = weight.sum() ** 2 / (weight**2).sum()
    if estimator is not None and estimator.two_class:
        found |= _expected_gains(estimator, p, size, min(max(omega, 0.0), 1.0))
    return {name: float(value) for name, value in found.items() if value is not None}


def _expected_gains(estimator: Estimator, p: np.ndarray, size: np.ndarray, omega: float) -> dict[str, float]:
    """2 F'_G(p) p^2 (1 - p)^2, mean over the mixed groups of each band."""
    from ..metrics.slope import expected_slope

    gains = np.full(len(p), np.nan)
    for g in np.unique(size[size >= max(estimator.min_size, estimator.params.get("k", 1))]):
        of_size = size == g
        gains[of_size] = 2 * expected_slope(estimator, int(g), p[of_size], omega) * (p * (1 - p))[of_size] ** 2
    mixed = (p > 0) & (p < 1) & np.isfinite(gains)
    bands = {name: mixed & (p > low) & (p <= high) for name, (low, high) in BANDS.items()}
    return {f"expected_gain/{name}": float(gains[inside].mean()) for name, inside in bands.items() if inside.any()}


class Monitor:
    """Collects what `measure` says of each step, and hands it on.

    Args:
        path: JSONL file in the plain schema of `symtheory audit` to append one row a rollout to; None writes none.
        prefix: of the metrics' names.

    >>> monitor = Monitor()
    >>> monitor.step([[1, 0]], [[1, -1]])["symtheory/omega"]
    0.5
    """

    def __init__(self, path: str | Path | None = None, prefix: str = "symtheory/") -> None:
        self.path, self.prefix = None if path is None else Path(path), prefix
        self.steps = 0
        self.latest: dict[str, float] = {}
        """Metrics of the last step."""

    def step(
        self,
        rewards: Any,
        advantages: Any,
        *,
        mask: Any = None,
        estimator: Estimator | None = None,
        step: int | None = None,
        prompts: Sequence[Any] | None = None,
        beside: Mapping[str, Any] | None = None,
        write: bool = True,
    ) -> dict[str, float]:
        """Metrics of one step, arguments as for `measure`; rows are written if there is a path and `write`.

        `prompts` names the prompt of each group, `beside` holds further columns `[P, G]` (length, logprob).
        """
        found = measure(rewards, advantages, mask, estimator)
        self.latest = {self.prefix + name: value for name, value in found.items()}
        number = self.steps if step is None else step
        if self.path is not None and write:
            columns = {"reward": rewards, "advantage": advantages, **(beside or {})}
            self._write(number, columns, mask, prompts)
        self.steps += 1
        return self.latest

    def _write(self, step: int, columns: Mapping[str, Any], mask: Any, prompts: Sequence[Any] | None) -> None:
        values = {name: np.atleast_2d(np.asarray(x, float)) for name, x in columns.items()}
        shape = values["reward"].shape
        drawn = np.ones(shape, bool) if mask is None else np.atleast_2d(np.asarray(mask)) > 0
        assert self.path is not None
        with self.path.open("a", encoding="utf-8") as file:
            for q, j in zip(*np.nonzero(drawn), strict=True):
                prompt = f"{step}-{self.steps}-{q}" if prompts is None else str(prompts[q])
                row = {"step": step, "prompt_id": prompt, "rollout_id": f"{self.steps}-{q}-{j}"}
                file.write(json.dumps(row | {name: float(x[q, j]) for name, x in values.items()}) + "\n")


def as_numpy(x: Any) -> np.ndarray:
    """Values of a numpy, jax or torch array as float64."""
    if hasattr(x, "detach"):
        return x.detach().cpu().double().numpy()
    return np.asarray(x, float)
