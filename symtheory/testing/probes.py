"""Batches on which estimators are told apart: spreads from 1 to 2^-18 (for epsilons), groups up to 64 (for clips)."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..errors import InputError
from .target import Target

SIXTEENTHS = np.array([[0, 5, 16, 9], [2, 3, 16, 0], [1, 12, 0, 7]]) / 16
EIGHT = np.array([[0, 1, 2, 3, 5, 8, 13, 16], [0, 0, 16, 0, 0, 16, 0, 0], [16, 16, 16, 4, 16, 16, 12, 16]]) / 16


@dataclass(frozen=True)
class Probe:
    """One batch that an estimator is asked about."""

    rewards: np.ndarray
    lengths: np.ndarray | None = None

    @cached_property
    def range(self) -> str:
        """The narrowest range that its rewards lie in."""
        if ((self.rewards == 0) | (self.rewards == 1)).all():
            return "binary"
        return "unit" if ((self.rewards >= 0) & (self.rewards <= 1)).all() else "real"

    @cached_property
    def gap(self) -> float:
        """The smallest difference of two rewards of a group, at most 1."""
        gaps = np.diff(np.sort(self.rewards, axis=-1), axis=-1)
        return float(gaps[gaps > 0].min(initial=1.0))


def probes(rewards: str, lengths: bool = False) -> list[Probe]:
    """Batches within a range of rewards; with `lengths`, some of rollouts of unequal lengths."""
    one_correct = [np.eye(1, size) for size in (2, 3, 16, 32, 64)]
    binary = [*one_correct, *(1 - r for r in one_correct), np.array([[0.0, 1, 1, 0], [1, 0, 0, 0], [1, 1, 1, 0]])]
    binary += [np.array([[1.0, 0, 0, 0, 0, 0, 0, 0], [1, 1, 1, 1, 1, 0, 0, 0]]), np.zeros((1, 4)), np.ones((1, 4))]
    found = binary if rewards == "binary" else [*binary, SIXTEENTHS, EIGHT, SIXTEENTHS[:, :3], SIXTEENTHS[:1]]
    if rewards != "binary":
        found += [EIGHT * 2.0**-k for k in (6, 10, 14, 18)] + [SIXTEENTHS[:, :3] * 2.0**-k for k in (4, 12)]
    if rewards == "real":
        found += [np.array([[-1.0, 2.0, 0.5, 7.0], [3.0, 5.0, 3.0, 4.0]]), 8 * SIXTEENTHS - 3]
    made = [Probe(r) for r in found]
    if lengths:
        made += [Probe(r, 1 + (np.arange(r.size) * 3 % 5).reshape(r.shape)) for r in found if r.shape[-1] in (4, 8)]
    return made


def answers(target: Target, asked: list[Probe]) -> list[np.ndarray | None]:
    """What a target gives on each probe; None where it is not defined, raises, or gives what is not finite.

    Float16 and bfloat16 are asked only about rewards that lie 1/16 apart.
    """
    found: list[np.ndarray | None] = []
    for probe in asked:
        try:
            seen = target.admits(probe.rewards) and (target.unit_roundoff < 1e-5 or probe.gap >= 1 / 16)
            a = target(probe.rewards, lengths=probe.lengths) if seen else None
        except InputError:
            a = None
        found.append(a if a is not None and np.isfinite(a).all() else None)
    return found
