"""Sums over the groups of a step, by difficulty: all that an audit keeps of a log, and additive over steps."""

from typing import NamedTuple

import numpy as np

from ..errors import InputError
from ..estimators import Batch as Statistics
from ..estimators import Estimator, batch_of, make_group
from ..ops import numpy_ops
from .rows import Batch

BINS = 12
LABELS = ("0", *(f"({i / 10:g}, {(i + 1) / 10:g}{')' if i == 9 else ']'}" for i in range(10)), "1")
"""Bins of the success rate p of a group; 0 and 1 are bins of their own."""


class Census(NamedTuple):
    """What the rewards of some groups are, whatever the estimator."""

    groups: np.ndarray
    """[BINS]"""
    rollouts: np.ndarray
    """[BINS]"""
    success: np.ndarray
    """[BINS] sum over groups of the success rate p"""
    reward: float
    """sum over rollouts"""
    right: int
    """groups whose rewards are all equal, with p = 1"""
    wrong: int
    """the same with p = 0"""
    equal: int
    """the same with p in between: graded rewards"""
    alone: int
    """groups of one rollout"""
    outside: int
    """rollouts with a success outside [0, 1]"""
    graded: int
    """rollouts with a success inside (0, 1)"""
    logprob: float
    """sum over the rollouts that have both a log-probability and a length"""
    logprob_tokens: float


class Weight(NamedTuple):
    """What the advantages of some groups add up to, each field [BINS]; groups without advantages do not count."""

    groups: np.ndarray
    rollouts: np.ndarray
    signed: np.ndarray
    """C: sum of A"""
    absolute: np.ndarray
    """sum of |A|"""
    token_signed: np.ndarray
    """sum of length times A: what a token-mean loss makes of C; groups with unknown lengths do not count"""
    token_absolute: np.ndarray
    silent: np.ndarray
    """groups whose advantages are all 0"""
    success_absolute: np.ndarray
    """sum of p |A|"""
    reference: np.ndarray
    """sum of 2 G sqrt(p (1 - p)): GRPO's sum of |A| over the same groups (Theorem 2 of arXiv:2602.05548)"""
    success_reference: np.ndarray


def plus(a, b):
    """Fieldwise sum of two records."""
    return type(a)(*(x + y for x, y in zip(a, b, strict=True)))


def success_rates(batch: Batch) -> np.ndarray:
    """p of every group, [m]: the mean success where it lies in [0, 1], else the share of successes above 0."""
    success = batch.rows["success"]
    if not len(success):
        return np.zeros(0)
    outside = np.logical_or.reduceat((success < 0) | (success > 1), batch.starts)
    mean = np.add.reduceat(success, batch.starts) / batch.sizes
    above = np.add.reduceat((success > 0).astype(float), batch.starts) / batch.sizes
    return np.clip(np.where(outside, above, mean), 0, 1)


def difficulty_bin(p: np.ndarray) -> np.ndarray:
    """Bin of each success rate, 0..BINS-1."""
    inner = np.clip(np.ceil(p * 10 - 1e-9), 1, 10).astype(int)
    return np.where(p <= 0, 0, np.where(p >= 1, BINS - 1, inner))


def census(batch: Batch) -> Census:
    """Count the groups of a batch."""
    rows, p = batch.rows, success_rates(batch)
    bins = difficulty_bin(p)
    reward = rows["reward"]
    equal = np.minimum.reduceat(reward, batch.starts) == np.maximum.reduceat(reward, batch.starts)
    success = rows["success"]
    known = np.isfinite(rows["logprob"]) & (rows["length"] > 0)
    return Census(
        groups=_binned(bins),
        rollouts=_binned(bins, batch.sizes),
        success=_binned(bins, p),
        reward=float(reward.sum()),
        right=int((equal & (p >= 1)).sum()),
        wrong=int((equal & (p <= 0)).sum()),
        equal=int((equal & (p > 0) & (p < 1)).sum()),
        alone=int((batch.sizes == 1).sum()),
        outside=int(((success < 0) | (success > 1)).sum()),
        graded=int(((success > 0) & (success < 1)).sum()),
        logprob=float(rows["logprob"][known].sum()),
        logprob_tokens=float(rows["length"][known].sum()),
    )


def weigh(batch: Batch, advantages: np.ndarray) -> Weight:
    """Add up advantages, [n] as the rows of the batch; groups with a NaN among them do not count."""
    p = success_rates(batch)
    signed = np.add.reduceat(advantages, batch.starts)
    counted = np.isfinite(signed)
    absolute = np.add.reduceat(np.abs(advantages), batch.starts)
    length = batch.rows["length"]
    timed = counted & np.isfinite(np.add.reduceat(length, batch.starts))
    token_signed = np.add.reduceat(np.nan_to_num(length * advantages), batch.starts)
    token_absolute = np.add.reduceat(np.nan_to_num(length * np.abs(advantages)), batch.starts)
    bins = difficulty_bin(p)
    reference = 2 * batch.sizes * np.sqrt(p * (1 - p))
    only = lambda values, chosen=counted: _binned(bins[chosen], values[chosen])  # noqa: E731
    return Weight(
        groups=_binned(bins[counted]),
        rollouts=only(batch.sizes),
        signed=only(signed),
        absolute=only(absolute),
        token_signed=only(token_signed, timed),
        token_absolute=only(token_absolute, timed),
        silent=_binned(bins[counted & (absolute == 0)]),
        success_absolute=only(p * absolute),
        reference=only(reference),
        success_reference=only(p * reference),
    )


def _binned(bins: np.ndarray, values: np.ndarray | None = None) -> np.ndarray:
    return np.bincount(bins, values, minlength=BINS).astype(float)


def statistics(batch: Batch, lengths: np.ndarray) -> Statistics:
    """What an estimator may know of the other prompts of the step (omega, Eq. 11, among others)."""
    op = numpy_ops()
    whole = make_group(op, batch.rows["reward"][None], None, lengths[None])
    means = np.add.reduceat(batch.rows["reward"], batch.starts) / batch.sizes
    return batch_of(op, whole)._replace(omega_prompts=means.mean())


def token_lengths(batch: Batch, unit: str) -> np.ndarray:
    """[n] tokens of each rollout, all 1 where the log does not tell them."""
    length = batch.rows["length"]
    known = unit == "tokens" and np.isfinite(length).all() and (length > 0).all()
    return length if known else np.ones(len(length))


def advantages_under(batch: Batch, estimator: Estimator, lengths: np.ndarray, shared: Statistics) -> np.ndarray:
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
