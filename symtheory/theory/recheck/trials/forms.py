"""The code against itself: one estimator is one function, however its groups are written.

The formulas of other theorems are tried on groups of 0 and 1 in float64. Here the same code meets what training gives
it: single precision, jax and torch, whole numbers, padding, one prompt, many prompts, and prompts on two axes.
"""

import importlib.util
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from .... import estimators
from ....estimators import Estimator, advantages
from ....estimators.group import two_outcome_batch
from ....ops import numpy_ops
from ..groups import BEYOND, LARGEST
from .base import FLOAT, Answer, trial

PROMPTS, SIZE = 96, 8
SINGLE, DOUBLE = 2e-3, 1e-9
"""Tolerances relative to 1 and to the largest advantage of a group: of sums of float32 and of float64."""


class Form(NamedTuple):
    """The advantages [n, G] of groups in one form, and as numpy gives them in float64."""

    name: str
    found: np.ndarray
    expected: np.ndarray
    tolerance: float = DOUBLE


@trial(FLOAT)
def every_form(seed: int) -> Iterator[Answer]:
    """Each form of the same groups has the same advantages under every estimator that rewards suffice for."""
    for form in forms_of([estimators.get(name) for name in estimators.names("rewards")], seed):
        yield disagreement(form) or True


def forms_of(chosen: Sequence[Estimator], seed: int) -> Iterator[Form]:
    """The forms in which estimators are tried, on groups of 0 and 1 that are mixed or not."""
    import jax.numpy as jnp

    from ....dynamics.devices import quick_jit

    rng = np.random.default_rng(seed)
    rewards = (rng.random((PROMPTS, SIZE)) < rng.random((PROMPTS, 1))).astype(float)
    padding = (rng.random((PROMPTS, 3)) < 0.5).astype(float)
    alone = np.flatnonzero((rewards.mean(1) > 0) & (rewards.mean(1) < 1))[:1]  # one of equal rewards would show nothing
    jitted = quick_jit(lambda r: [advantages(r, e) for e in chosen], once=True)(jnp.asarray(rewards, np.float32))
    for estimator, in_jax in zip(chosen, jitted, strict=True):
        forms = [
            ("jax in float32", np.asarray(in_jax), advantages(rewards, estimator), SINGLE),
            *_of_all(estimator, rewards, padding),
            *_of_one(estimator, rewards, alone),
            *_by_counts(estimator, int(rng.integers(LARGEST + 1, BEYOND[-1])), rng),
        ]
        yield from (Form(f"{estimator.name}, {name}", *rest) for name, *rest in forms)


def _of_all(estimator: Estimator, rewards: np.ndarray, padding: np.ndarray) -> Iterator[tuple]:
    """The whole batch in other arrays and shapes."""
    expected = advantages(rewards, estimator)
    yield "float32", advantages(rewards.astype(np.float32), estimator), expected, SINGLE
    if importlib.util.find_spec("torch"):
        import torch

        yield "torch", advantages(torch.tensor(rewards), estimator).numpy(), expected
    yield "lists of whole numbers", advantages(rewards.astype(int).tolist(), estimator), expected
    yield "prompts on two axes", advantages(rewards.reshape(2, -1, SIZE), estimator).reshape(rewards.shape), expected
    yield "omega given", advantages(rewards, estimator, omega=rewards.mean()), expected
    mask = np.concatenate([np.ones_like(rewards), 0 * padding], axis=1)
    padded = np.concatenate([rewards, padding], axis=1)
    yield "padded", advantages(padded, estimator, mask=mask), np.concatenate([expected, 0 * padding], axis=1)
    if not estimator.name.startswith("agrae_released"):  # whose omega is a mean of the prompts' means
        mask[::2, SIZE:] = 1
        given = advantages(padded, estimator, mask=mask, omega=padded[mask > 0].mean())
        yield "groups of two sizes", advantages(padded, estimator, mask=mask), given


def _of_one(estimator: Estimator, rewards: np.ndarray, alone: np.ndarray) -> Iterator[tuple]:
    """One group by itself, and what does not touch an estimator that looks at one group at a time."""
    one, expected = advantages(rewards[alone], estimator), advantages(rewards, estimator)
    yield "a group without an axis of prompts", advantages(rewards[alone[0]], estimator)[None], one
    if "batch_independence" in estimator.laws:
        yield "one prompt alone", one, expected[alone]
        yield "rollouts of 3 tokens", advantages(rewards, estimator, lengths=np.full(rewards.shape, 3)), expected


def _by_counts(estimator: Estimator, size: int, rng: np.random.Generator) -> Iterator[tuple]:
    """Groups of `size` written out, and as their numbers of correct rollouts give them."""
    if estimator.two_class and not estimator.needs:
        correct = np.array([1, size - 1, int(rng.integers(1, size))])
        rewards = rng.permuted((np.arange(size) < correct[:, None]).astype(float), axis=1)
        op = numpy_ops()
        batch = two_outcome_batch(op, rewards.sum(), np.array(float(rewards.size)))
        plus, minus = estimator.two_outcomes(correct.astype(float), np.full(len(correct), float(size)), batch, op)
        counted = np.where(rewards > 0, plus[:, None], minus[:, None])
        yield f"by counts at G = {size}", counted, advantages(rewards, estimator)


def disagreement(form: Form) -> str:
    """A rollout that has another advantage in this form, or nothing."""
    slack = form.tolerance * (1 + np.abs(form.expected).max(axis=-1, keepdims=True))
    wrong = ~(np.abs(form.found - form.expected) <= slack)
    if not wrong.any():
        return ""
    found, expected = (float(a[wrong][0]) for a in (form.found, form.expected))
    return f"{form.name}: an advantage is {found:.6g}, and {expected:.6g} in numpy and float64"
