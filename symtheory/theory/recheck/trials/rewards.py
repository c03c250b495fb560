"""Groups of rewards through the code: all of them up to a size, and random ones up to another."""

import itertools
import math
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from .... import estimators
from ....estimators import Estimator, advantages
from ....estimators.group import make_group
from ....ops import jax_ops, numpy_ops
from ...exact import exact_advantages, exact_two_outcomes
from ...surds import sqrt, surd
from .. import groups
from .base import POINTS, TO_N, Answer, trial
from .tables import table


@trial(TO_N)
def every_reward_vector(seed: int, largest: int = 12) -> Iterator[Answer]:
    """All 2^G vectors of 0/1 rewards through GRPO's code: sum A = 0, (sum |A|)^2 = 4 K (G - K), sum A^2 = G."""
    code, op = estimators.get("grpo"), numpy_ops()
    for size in range(2, largest + 1):
        bits = (np.arange(2**size)[:, None] >> np.arange(size)) & 1
        a = code(make_group(op, bits.astype(float)), op)
        k = bits.sum(1)
        mixed = (k > 0) & (k < size)
        yield np.all(a[~mixed] == 0) or f"GRPO at G = {size} gives equal rewards {a[~mixed]}"
        a, k = a[mixed], k[mixed]
        square = np.abs(a).sum(1) ** 2
        yield np.all(np.abs(a.sum(1)) < 1e-12 * size) or f"sum A of GRPO at G = {size}"
        yield np.all(np.abs(square - 4 * k * (size - k)) < 1e-10 * size**2) or f"sum |A| of GRPO at G = {size}"
        yield np.all(np.abs((a**2).sum(1) - size) < 1e-10 * size) or f"sum A^2 of GRPO at G = {size}"
        if size <= 5:
            for row in bits[mixed]:
                exact = exact_advantages(code, row.tolist())
                correct = int(row.sum())
                where = f"GRPO gives {row} the advantages {exact}"
                yield (sum(exact, surd(0)) == 0 and sum((x * x for x in exact), surd(0)) == size) or where
                yield sum((abs(x) for x in exact), surd(0)) ** 2 == 4 * correct * (size - correct) or where


@trial(POINTS)
def real_rewards(seed: int, specs: Sequence[str]) -> Iterator[Answer]:
    """Rewards of two values to many, from millionths to millions, through the code: A (std + eps) = r - mean and
    sum A = 0, exactly up to G = 7, in numpy and jax to G = 200.
    """
    rng = np.random.default_rng(seed)
    for spec, values in itertools.product(specs, groups.parameters(seed)):
        code = groups.with_values(spec, values, exact=True)
        for size in range(2, 8):
            rewards = [Fraction(int(x), 10) for x in _few_values(rng, (size,))]
            a, mean = exact_advantages(code, rewards), sum(rewards) / size
            spread = sqrt(sum((r - mean) ** 2 for r in rewards) / (size - int(code.params["ddof"])))
            scale, where = spread + surd(code.params["eps"]), f"{spec} gives {[str(r) for r in rewards]} {a}"
            yield sum(a, surd(0)) == 0 or where
            yield all(x * scale == r - mean for x, r in zip(a, rewards, strict=True)) or where
        code = groups.with_values(spec, values, exact=False)
        for size in (*range(2, 30), *rng.integers(30, groups.LARGEST, 20).tolist(), groups.LARGEST):
            drawn = _few_values(rng, (3, size)) * 10.0 ** rng.integers(-7, 6)
            yield _standardised(code, drawn, numpy_ops())
        import jax

        with jax.enable_x64(True):
            yield _standardised(code, _few_values(rng, (3, 23)) / 10, jax_ops())


def _few_values(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Rewards drawn from two to a dozen whole numbers, often the same."""
    return rng.choice(rng.integers(-30, 90, rng.integers(2, 13)), shape)


def _standardised(code: Estimator, rewards: np.ndarray, op: Any) -> Answer:
    """Advantages [n, G] are (r - mean) / (std + eps), and sum to zero."""
    a = np.asarray(code(make_group(op, op.xp.asarray(rewards)), op))
    spread = rewards.std(1, ddof=int(code.params["ddof"]), keepdims=True) + float(code.params["eps"])
    largest = np.abs(rewards).max()
    close = np.abs(a * spread - (rewards - rewards.mean(1, keepdims=True))) <= 1e-10 * largest
    zero = np.abs(a.sum(1)) <= 1e-10 * rewards.shape[1] * np.abs(a).max()
    return (close.all() and zero.all()) or f"{code.name} at G = {rewards.shape[1]}, rewards {rewards[0]}"


@trial(POINTS)
def largest_advantage_of_real_rewards(seed: int) -> Iterator[Answer]:
    """|A_i| <= sqrt(G - 1) under GRPO for real rewards, with equality if all others are equal."""
    rng = np.random.default_rng(seed)
    for size in (*range(2, 12), *rng.integers(12, groups.LARGEST + 1, 20).tolist()):
        rewards = rng.integers(-9, 9, (40, size)).astype(float)
        largest = float(np.abs(advantages(rewards, "grpo")).max())
        yield largest <= math.sqrt(size - 1) * (1 + 1e-12) or f"GRPO at G = {size} has |A| = {largest}"
        alone = np.full(size, 0.25)
        alone[size // 2] = 2.0
        largest = float(np.abs(advantages(alone, "grpo")).max())
        yield math.isclose(largest, math.sqrt(size - 1), rel_tol=1e-12) or f"one apart at G = {size}: |A| = {largest}"


@trial(TO_N)
def focus_maximum(seed: int, names: Sequence[str]) -> Iterator[Answer]:
    """The largest sum |A| over K is sqrt(G (G - 1)), below G, for every G to 200."""
    for name, size in itertools.product(names, range(2, groups.LARGEST + 1)):
        plus, minus = table(name, size, 0.5)
        k = np.arange(size + 1)
        largest = (k * np.abs(plus) + (size - k) * np.abs(minus))[1:size].max()
        agrees = math.isclose(largest, math.sqrt(size * (size - 1)), rel_tol=1e-12)
        yield agrees or f"{name} at G = {size}: the largest sum |A| is {largest}"


@trial(POINTS)
def ddas_peak(seed: int) -> Iterator[Answer]:
    """sum |A| of DDAS is largest at K/G = (1-w)^2 / ((1-w)^2 + w^2), in groups that have this K."""
    for a, b in ((1, 1), (1, 2), (2, 1), (1, 3), (3, 1), (2, 3)):
        w, size, peak = Fraction(a, a + b), a**2 + b**2, b**2
        values = {}
        for k in range(1, size):
            plus, minus = exact_two_outcomes(estimators.get("ddas"), k, size, w)
            values[k] = k * plus - (size - k) * minus
        where = f"DDAS at w = {w}, G = {size}: sum |A| is {values}"
        yield all(values[peak] > v for k, v in values.items() if k != peak) or where
        yield values[peak] ** 2 == size**2 * (w**2 + (1 - w) ** 2) or where


@trial(POINTS, shows="fails")
def signed_rewards(seed: int, rewards: Sequence[int]) -> Iterator[Answer]:
    """With p = mean |r| Theorem 2's formula gives 0 in a group of -1 and 1 in which sum |A| is not 0."""
    p = Fraction(sum(abs(r) for r in rewards), len(rewards))
    total = sum((abs(x) for x in exact_advantages(estimators.get("grpo"), rewards)), surd(0))
    yield (p * (1 - p) == 0 and total == len(rewards)) or f"p = {p}, sum |A| = {total}"


@trial(TO_N)
def passk_is_zero_sum(seed: int, largest: int = 30) -> Iterator[Answer]:
    """sum A = 0 of pass@k training for all k <= G, degenerate groups included: exact to G = 7, numpy to `largest`."""
    for size in range(2, largest + 1):
        for k in range(1, size + 1):
            if size <= 7:
                for correct in range(size + 1):
                    plus, minus = exact_two_outcomes(estimators.get("passk", k=k), correct, size)
                    total = correct * plus + (size - correct) * minus
                    yield total == 0 or f"pass@{k} at K = {correct}, G = {size}: sum A is {total}"
            if size > 7 and k % 3 != size % 3:
                continue
            plus, minus = table("passk", size, 0.5, k=k)
            count = np.arange(size + 1)
            total = np.abs(count * plus + (size - count) * minus)
            yield np.all(total < 1e-9 * size) or f"pass@{k} at G = {size}: sum A is {total.max():.3g}"
