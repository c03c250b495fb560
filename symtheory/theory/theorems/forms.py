"""The code against itself: one estimator is one function, however its groups are written.

The formulas of other theorems are tried on groups of up to 200 rewards of 0 and 1 in float64. Here the same code meets
what training gives it: single precision, torch, padding, larger groups, and many prompts at once.
"""

import importlib.util
import secrets
from collections.abc import Iterator

import numpy as np

from ... import estimators
from ...estimators import Estimator, advantages
from ...estimators.group import two_outcome_batch
from ...ops import numpy_ops
from ..proofs import Proof, theorem
from ..recheck.trials.base import FLOAT

SIZES = (256, 512, 1024)
PROMPTS = 96
SINGLE, DOUBLE = 2e-3, 1e-9
"""Tolerances relative to 1 and to the largest advantage of a group: of sums of float32 and of float64."""


@theorem("the code of every estimator whose input is rewards")
def one_function_in_every_form() -> Proof:
    """An advantage is the same in float32 as in float64, in torch as in numpy, with padding as without, where prompts
    do not touch each other also alone and for any one length of the rollouts, and, written out in groups of 256, 512,
    1,024 and of a random size, as by counts; for every estimator that rewards suffice for."""
    return Proof("exact", "every form of the input, by the estimator's own code", trials=_all_forms, rests_on=FLOAT)


def _all_forms() -> Iterator[bool]:
    seed = secrets.randbelow(10**6)
    for name in estimators.names("rewards"):
        yield from forms_of(estimators.get(name), seed)


def forms_of(estimator: Estimator, seed: int) -> Iterator[bool]:
    """Whether each form of the same groups gives the same advantages."""
    rng = np.random.default_rng(seed)
    rewards = (rng.random((PROMPTS, 8)) < rng.random((PROMPTS, 1))).astype(float)
    expected = advantages(rewards, estimator)
    yield close(advantages(rewards.astype(np.float32), estimator), expected, SINGLE)
    padding = (rng.random((PROMPTS, 3)) < 0.5).astype(float)
    mask = np.concatenate([np.ones_like(rewards), np.zeros_like(padding)], axis=1)
    padded = advantages(np.concatenate([rewards, padding], axis=1), estimator, mask=mask)
    yield close(padded[:, :8], expected, DOUBLE) and not padded[:, 8:].any()
    if "batch_independence" in estimator.laws:
        mixed = (rewards.mean(1) > 0) & (rewards.mean(1) < 1)  # groups of equal rewards would show nothing
        yield close(advantages(rewards[mixed][:1], estimator), expected[mixed][:1], DOUBLE)
        yield close(advantages(rewards, estimator, lengths=np.full(rewards.shape, 3)), expected, DOUBLE)
    if importlib.util.find_spec("torch"):
        import torch

        yield close(advantages(torch.tensor(rewards), estimator).numpy(), expected, DOUBLE)
    if estimator.two_class and not estimator.needs:
        for size in (*SIZES, int(rng.integers(201, 1024))):
            yield by_counts(estimator, size, rng)


def by_counts(estimator: Estimator, size: int, rng: np.random.Generator) -> bool:
    """Whether groups of `size` rewards, written out, have the advantages that their numbers of correct ones give."""
    correct = np.array([1, size - 1, *rng.integers(1, size, 3)])
    rewards = rng.permuted((np.arange(size) < correct[:, None]).astype(float), axis=1)
    op = numpy_ops()
    batch = two_outcome_batch(op, rewards.sum(), np.array(float(rewards.size)))
    plus, minus = estimator.two_outcomes(correct.astype(float), np.full(len(correct), float(size)), batch, op)
    return close(advantages(rewards, estimator), np.where(rewards > 0, plus[:, None], minus[:, None]), DOUBLE)


def close(found: np.ndarray, expected: np.ndarray, tolerance: float) -> bool:
    slack = tolerance * (1 + np.abs(expected).max(axis=-1, keepdims=True))
    return bool((np.abs(found - expected) <= slack).all())
