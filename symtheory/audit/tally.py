"""Sums over the groups of a step, by difficulty: all that an audit keeps of a log, and additive over steps."""

from typing import NamedTuple

import numpy as np

from ..errors import InputError
from ..estimators import Estimator
from ..estimators.group import BatchStats, make_group
from ..ops import numpy_ops
from .rows import Batch

BINS = 12
LABELS = ("0", *(f"({i / 10:g}, {(i + 1) / 10:g}{')' if i == 9 else ']'}" for i in range(10)), "1")
"""Bins of the success rate p of a group; 0 and 1 are bins of their own."""


class Census(NamedTuple):
    """What the rewards of some groups are, whatever the estimator; a group of one has no group to be compared with."""

    groups: np.ndarray
    """[BINS]"""
    rollouts: np.ndarray
    """[BINS]"""
    success: np.ndarray
    """[BINS] sum over groups of the success rate p"""
    reward: float
    """sum over rollouts"""
    paired: int
    """groups of two and more"""
    right: int
    """of these, groups whose rewards are all equal and whose advantages are 0 or not logged, with p = 1"""
    wrong: int
    """the same with p = 0"""
    equal: int
    """the same with p in between: graded rewards"""
    moving: int
    """groups of equal rewards that have advantages"""
    alone: int
    """groups of one rollout"""
    logprob: float
    """sum over the rollouts that have both a log-probability and a length"""
    logprob_tokens: float


class Weight(NamedTuple):
    """What the advantages of some groups add up to, each field [BINS] if not said otherwise.

    Groups without advantages do not count.
    A rollout that is masked out of the loss counts with 0.
    """

    groups: np.ndarray
    rollouts: np.ndarray
    signed: np.ndarray
    """C: sum of A"""
    absolute: np.ndarray
    """sum of |A|"""
    unmasked: np.ndarray
    """sum of A with the masked rollouts"""
    inverse_signed: np.ndarray
    """sum of A / length: C of a loss that divides each rollout by its length; groups without lengths do not count"""
    inverse_absolute: np.ndarray
    token_signed: np.ndarray
    """sum of length times A: the sum of the advantages of the tokens"""
    token_absolute: np.ndarray
    silent: np.ndarray
    """groups whose advantages are all 0"""
    success_absolute: np.ndarray
    """sum of p |A|"""
    reference: np.ndarray
    """sum of 2 G sqrt(p (1 - p)): GRPO's sum of |A| over the same groups (Theorem 2 of arXiv:2602.05548)"""
    success_reference: np.ndarray
    pull: np.ndarray
    """[BINS, 2] sum over wrong and correct rollouts of A (l - mean l of the group), l = log-probability per token"""
    pulled: np.ndarray
    """[BINS] rollouts in that sum"""


def plus(a, b):
    """Fieldwise sum of two records."""
    return type(a)(*(x + y for x, y in zip(a, b, strict=True)))


def success_rates(batch: Batch) -> np.ndarray:
    """p of every group, [m]: its mean success."""
    success = batch.rows["success"]
    if not len(success):
        return np.zeros(0)
    return np.clip(np.add.reduceat(success, batch.starts) / batch.sizes, 0, 1)


def difficulty_bin(p: np.ndarray) -> np.ndarray:
    """Bin of each success rate, 0..BINS-1."""
    inner = np.clip(np.ceil(p * 10 - 1e-9), 1, 10).astype(int)
    return np.where(p <= 0, 0, np.where(p >= 1, BINS - 1, inner))


def equal_rewards(batch: Batch) -> np.ndarray:
    """[m] whether the rewards of a group are all equal."""
    reward = batch.rows["reward"]
    return np.minimum.reduceat(reward, batch.starts) == np.maximum.reduceat(reward, batch.starts)


def moving_groups(batch: Batch) -> np.ndarray:
    """[m] whether a group of two and more has equal rewards, and advantages that are not 0."""
    advantage = np.abs(np.nan_to_num(batch.rows["advantage"]))
    alive = advantage[advantage > 0]
    if not len(alive):
        return np.zeros(len(batch.starts), bool)
    # a rounding error over the epsilon of a standard deviation is no advantage
    largest = np.maximum.reduceat(advantage, batch.starts)
    return (batch.sizes > 1) & equal_rewards(batch) & (largest > NOISE * float(np.median(alive)))


NOISE = 1e-3
"""Share of the usual advantage below which one is taken for rounding."""


def census(batch: Batch) -> Census:
    """Count the groups of a batch."""
    rows, p = batch.rows, success_rates(batch)
    bins = difficulty_bin(p)
    paired, moving = batch.sizes > 1, moving_groups(batch)
    dead = paired & equal_rewards(batch) & ~moving
    known = np.isfinite(rows["logprob"]) & (rows["length"] > 0)
    return Census(
        groups=_binned(bins),
        rollouts=_binned(bins, batch.sizes),
        success=_binned(bins, p),
        reward=float(rows["reward"].sum()),
        paired=int(paired.sum()),
        right=int((dead & (p >= 1)).sum()),
        wrong=int((dead & (p <= 0)).sum()),
        equal=int((dead & (p > 0) & (p < 1)).sum()),
        moving=int(moving.sum()),
        alone=int((~paired).sum()),
        logprob=float(rows["logprob"][known].sum()),
        logprob_tokens=float(rows["length"][known].sum()),
    )


def weigh(batch: Batch, advantages: np.ndarray) -> Weight:
    """Add up advantages, [n] as the rows of the batch; groups with a NaN among them do not count."""
    p = success_rates(batch)
    unmasked = np.add.reduceat(advantages, batch.starts)
    counted = np.isfinite(unmasked)
    effective = advantages * batch.rows["mask"]
    signed = np.add.reduceat(effective, batch.starts)
    absolute = np.add.reduceat(np.abs(effective), batch.starts)
    length = batch.rows["length"]
    timed = counted & (np.minimum.reduceat(np.nan_to_num(length), batch.starts) > 0)
    inverse = np.divide(1.0, length, out=np.zeros_like(length), where=length > 0)
    by_length = lambda factor, values: np.add.reduceat(np.nan_to_num(factor * values), batch.starts)  # noqa: E731
    bins = difficulty_bin(p)
    reference = 2 * batch.sizes * np.sqrt(p * (1 - p))
    only = lambda values, chosen=counted: _binned(bins[chosen], values[chosen])  # noqa: E731
    return Weight(
        groups=_binned(bins[counted]),
        rollouts=only(batch.sizes),
        signed=only(signed),
        absolute=only(absolute),
        unmasked=only(unmasked),
        inverse_signed=only(by_length(inverse, effective), timed),
        inverse_absolute=only(by_length(inverse, np.abs(effective)), timed),
        token_signed=only(by_length(length, effective), timed),
        token_absolute=only(by_length(length, np.abs(effective)), timed),
        silent=_binned(bins[counted & (absolute == 0)]),
        success_absolute=only(p * absolute),
        reference=only(reference),
        success_reference=only(p * reference),
        **_pull(batch, effective, counted, bins),
    )


def _pull(batch: Batch, advantages: np.ndarray, counted: np.ndarray, bins: np.ndarray) -> dict[str, np.ndarray]:
    """The terms of the first-order change of entropy, -eta Cov(l, A) within each group."""
    rows = batch.rows
    per_token = np.divide(rows["logprob"], rows["length"], out=np.full(len(rows), np.nan), where=rows["length"] > 0)
    mean = np.add.reduceat(per_token, batch.starts) / batch.sizes
    known = np.repeat(counted & np.isfinite(mean), batch.sizes)
    if not known.any():
        return {"pull": np.zeros((BINS, 2)), "pulled": np.zeros(BINS)}
    each = np.where(known, advantages * (per_token - np.repeat(mean, batch.sizes)), 0.0)
    cell = 2 * np.repeat(bins, batch.sizes) + (rows["success"] > 0.5)
    pull = np.bincount(cell, np.nan_to_num(each), minlength=2 * BINS).reshape(BINS, 2)
    return {"pull": pull, "pulled": _binned(np.repeat(bins, batch.sizes)[known])}


def _binned(bins: np.ndarray, values: np.ndarray | None = None) -> np.ndarray:
    return np.bincount(bins, values, minlength=BINS).astype(float)


def statistics(batch: Batch, lengths: np.ndarray) -> BatchStats:
    """What an estimator may know of the other prompts of the step (omega, Eq. 11, among others)."""
    op = numpy_ops()
    whole = make_group(op, batch.rows["reward"][None], None, lengths[None])
    means = np.add.reduceat(batch.rows["reward"], batch.starts) / batch.sizes
    return whole.batch._replace(omega_prompts=means.mean())


def token_lengths(batch: Batch, unit: str) -> np.ndarray:
    """[n] tokens of each rollout, all 1 where the log does not tell them."""
    length = batch.rows["length"]
    known = unit == "tokens" and np.isfinite(length).all() and (length > 0).all()
    return length if known else np.ones(len(length))


def advantages_under(batch: Batch, estimator: Estimator, lengths: np.ndarray, shared: BatchStats) -> np.ndarray:
    """Advantages that an estimator gives the rollouts of a batch, [n]; NaN in groups that are too small for it.

    Raises `InputError` if its rewards are not those the estimator is defined for.
    """
    rewards = batch.rows["reward"]
    if estimator.rewards != "real" and not ((rewards >= 0) & (rewards <= 1)).all():
        raise InputError(f"{estimator.name} is defined for rewards in [0, 1]")
    if estimator.rewards == "binary" and not ((rewards == 0) | (rewards == 1)).all():
        raise InputError(f"{estimator.name} is defined for rewards 0 and 1")
    op = numpy_ops()
    found = np.full(len(rewards), np.nan)
    with np.errstate(all="ignore"):
        for _, rows in batch.by_size():
            if rows.shape[1] >= max(estimator.min_size, estimator.params.get("k", 1)):
                group = make_group(op, rewards[rows], None, lengths[rows], batch=shared)
                found[rows] = estimator(group, op)
    found[~np.isfinite(found)] = np.nan
    return found
