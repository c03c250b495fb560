"""What the reward and the success of a rollout are: one rule for a whole log, settled on its first batches."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from .columns.rewards import Terms
from .rows import Batch
from .weights import EXACT, Fit, Standardised, fit, fit_standardised

FIRST = 1 << 15
"""Rollouts of the first batches on which the rule is settled."""


@dataclass
class Rule:
    """Success from a value: "as it is", "above" a threshold, or "rescaled" from its range to [0, 1]."""

    kind: str = "as it is"
    low: float = 0.0
    high: float = 1.0
    column: str = "reward"

    def __call__(self, values: np.ndarray) -> np.ndarray:
        if self.kind == "above":
            return np.where(np.isnan(values), np.nan, (values > self.low).astype(float))
        if self.kind == "rescaled":
            return np.clip((values - self.low) / (self.high - self.low), 0, 1)
        return np.clip(values, 0, 1)

    def __str__(self) -> str:
        if self.kind == "above":
            return f"success is {self.column} above {self.low:.4g}"
        if self.kind == "rescaled":
            return f"success is {self.column} rescaled from its range, {self.low:.4g} to {self.high:.4g}, to 0 to 1"
        return f"success is {self.column}"


@dataclass
class Score:
    """Reward columns with their weights, and the rule for success; filled in when the first batches are seen."""

    columns: Sequence[str]
    terms: Terms
    free: bool
    """Whether other weights may be found: the user did not choose"""
    success_given: bool = False
    """Whether a column of its own tells the success"""
    weights: np.ndarray = field(default_factory=lambda: np.zeros(0))
    fit: Fit | None = None
    """What the advantages tell of the weights, None without advantages or choice"""
    standardised: Standardised | None = None
    """Weights of rewards that were standardised one by one, where the advantages are such a sum"""
    default: Terms | None = None
    """The terms before a fit found others"""
    rule: Rule = field(default_factory=Rule)
    graded: bool = False
    """Whether success takes values between 0 and 1"""

    @property
    def option(self) -> str:
        """The reward as `--reward` takes it."""
        return str(self.terms)


def scored(batches: Iterator[Batch], score: Score, success_column: str | None, asked: bool) -> Iterator[Batch]:
    """The batches with `reward` and `success` filled in, by one rule that the first of them settle."""
    first: list[Batch] = []
    held = 0
    for batch in batches:
        first.append(batch)
        held += len(batch.rows)
        if held >= FIRST:
            break
    _settle(first, score, success_column, asked)
    for batch in first:
        yield _fill(batch, score)
    for batch in batches:
        yield _fill(batch, score)


def success_rule(values: np.ndarray, column: str) -> Rule:
    """The rule for the success of rewards like these.

    Rewards 0 and 1 are successes as they are. Rewards in two clusters, with a gap of more than half their range
    between, succeed in the upper one: 0 and 10, -1 and 1, a correct answer with and without a bonus for its format.
    Others in [0, 1] are graded successes as they are, and the rest is rescaled from its range.

    >>> success_rule(np.array([0.1, 1.0, 1.1]), "reward").low
    0.55
    >>> success_rule(np.array([0.0, 2.0, 5.0, 9.0, 10.0]), "reward").kind
    'rescaled'
    """
    levels = np.unique(values[np.isfinite(values)])
    if not len(levels) or np.isin(levels, (0, 1)).all():
        return Rule(column=column)
    low, high = float(levels[0]), float(levels[-1])
    inside = low >= 0 and high <= 1
    if len(levels) == 1:
        return Rule(column=column) if inside else Rule("above", 0.0, column=column)
    gaps = np.diff(levels)
    widest = int(gaps.argmax())
    second = float(np.delete(gaps, widest).max(initial=0.0))
    split = gaps[widest] >= 0.5 * (high - low) and second < 0.999 * gaps[widest]
    if split and not (inside and high <= 0.5):
        return Rule("above", float(levels[widest] + levels[widest + 1]) / 2, column=column)
    return Rule(column=column) if inside else Rule("rescaled", low, high, column)


def _settle(first: Sequence[Batch], score: Score, success_column: str | None, asked: bool) -> None:
    index = {name: i for i, name in enumerate(score.columns)}
    weights = np.zeros(len(score.columns))
    for name, weight in zip(score.terms.columns, score.terms.weights, strict=True):
        weights[index[name]] = weight
    logged = any(np.isfinite(b.rows["advantage"]).any() for b in first)
    if score.free and len(score.columns) > 1 and logged:
        score.fit = fit(first, weights)
        if score.fit is not None and tuple(weights.tolist()) != score.fit.weights and score.fit.unexplained < EXACT:
            score.default = score.terms
            weights = np.array(score.fit.weights)
            used = np.flatnonzero(weights)
            order = sorted(used.tolist(), key=lambda i: -abs(weights[i]))
            score.terms = Terms(tuple(score.columns[i] for i in order), tuple(float(weights[i]) for i in order))
        if score.fit is not None and score.fit.unexplained >= EXACT:
            score.standardised = fit_standardised(first, len(score.columns))
    score.weights = weights
    rows = [b.rows for b in first]
    base = np.concatenate([_base(r, score, index) for r in rows]) if rows else np.zeros(0)
    rule = success_rule(base, score.terms.columns[0] if len(score.terms.columns) else "reward")
    if success_column is not None and rows:
        given = np.concatenate([r["success"] for r in rows])
        own = success_rule(given, success_column)
        binary = own.kind == "above" or np.isin(given[np.isfinite(given)], (0, 1)).all()
        score.success_given = asked or bool(
            np.isfinite(given).mean() > 0.99 and binary and not np.isin(base, (0, 1)).all()
        )
        rule = own if score.success_given else rule
    else:
        score.success_given = False
    score.rule = rule


def _base(rows: np.ndarray, score: Score, index: dict[str, int]) -> np.ndarray:
    """The value that tells success where no column of its own does: the first term of the reward that is known."""
    found = np.full(len(rows), np.nan)
    for name in score.terms.columns:
        part = rows["parts"][:, index[name]]
        found = np.where(np.isnan(found), part, found)
    return found


def _fill(batch: Batch, score: Score) -> Batch:
    rows = batch.rows
    index = {name: i for i, name in enumerate(score.columns)}
    own = score.rule(rows["success"]) if score.success_given else np.full(len(rows), np.nan)
    base = score.rule(_base(rows, score, index)) if not score.success_given else own
    rows["success"] = np.nan_to_num(base)
    reward = np.nan_to_num(rows["parts"]) @ score.weights if len(rows) else np.zeros(0)
    rows["reward"] = _settled(reward, batch)
    score.graded |= bool(((rows["success"] > 0) & (rows["success"] < 1)).any())
    return batch


def _settled(reward: np.ndarray, batch: Batch) -> np.ndarray:
    """Rewards, those of a group made one number where they differ by rounding only: 0.1 + 0.2 and 0.3 are equal."""
    if not len(reward):
        return reward
    low = np.minimum.reduceat(reward, batch.starts)
    high = np.maximum.reduceat(reward, batch.starts)
    equal = (high > low) & (high - low <= EQUAL * np.maximum(np.abs(low), np.abs(high)))
    if not equal.any():
        return reward
    return np.where(np.repeat(equal, batch.sizes), np.repeat(low, batch.sizes), reward)


EQUAL = 1e-6
"""Relative difference below which rewards are equal: float32 sums of the same terms differ by 1e-7."""
