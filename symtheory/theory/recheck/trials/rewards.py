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
from .base import POINTS, TO_N, trial
from .tables import table


@trial(TO_N)
def every_reward_vector(seed: int, largest: int = 12) -> Iterator[bool]:
    """All 2^G vectors of 0/1 rewards through GRPO's code: sum A = 0, (sum |A|)^2 = 4 K (G - K), sum A^2 = G."""
    code, op = estimators.get("grpo"), numpy_ops()
    for size in range(2, largest + 1):
        bits = (np.arange(2**size)[:, None] >> np.arange(size)) & 1
        a = code(make_group(op, bits.astype(float)), op)
        k = bits.sum(1)
        mixed = (k > 0) & (k < size)
        yield bool(np.all(a[~mixed] == 0))
        a, k = a[mixed], k[mixed]
        yield bool(np.all(np.abs(a.sum(1)) < 1e-12 * size))
        yield bool(np.all(np.abs(np.abs(a).sum(1) ** 2 - 4 * k * (size - k)) < 1e-10 * size**2))
        yield bool(np.all(np.abs((a**2).sum(1) - size) < 1e-10 * size))
        if size <= 5:
            for row in bits[mixed]:
                exact = exact_advantages(code, row.tolist())
                correct = int(row.sum())
                yield sum(exact, surd(0)) == 0 and sum((x * x for x in exact), surd(0)) == size
                yield sum((abs(x) for x in exact), surd(0)) ** 2 == 4 * correct * (size - correct)


@trial(POINTS)
def real_rewards(seed: int, specs: Sequence[str]) -> Iterator[bool]:
    """Rational rewards through the code: A (std + eps) = r - mean and sum A = 0, exactly up to G = 7, in numpy and jax
    to G = 200.
    """
    rng = np.random.default_rng(seed)
    for spec, values in itertools.product(specs, groups.PARAMETERS):
        filled = {**values, "guard": values["eps"]}
        code = groups.with_values(spec, filled, exact=True)
        for size in range(2, 8):
            rewards = [Fraction(int(x), 10) for x in rng.integers(-4, 12, size)]
            a, mean = exact_advantages(code, rewards), sum(rewards) / size
            spread = sqrt(sum((r - mean) ** 2 for r in rewards) / (size - int(code.params["ddof"])))
            yield sum(a, surd(0)) == 0
            yield all(x * (spread + surd(code.params["eps"])) == r - mean for x, r in zip(a, rewards, strict=True))
        code = groups.with_values(spec, filled, exact=False)
        drawn = [rng.integers(-30, 90, (3, n)) / 10 for n in (*rng.integers(2, groups.LARGEST + 1, 40), groups.LARGEST)]
        yield from (_standardised(code, r, numpy_ops()) for r in drawn)
        import jax

        with jax.enable_x64(True):
            yield _standardised(code, np.random.default_rng(seed + 1).integers(-30, 90, (3, 23)) / 10, jax_ops())


def _standardised(code: Estimator, rewards: np.ndarray, op: Any) -> bool:
    """Whether advantages [n, G] are (r - mean) / (std + eps), and sum to zero."""
    a = np.asarray(code(make_group(op, op.xp.asarray(rewards)), op))
    spread = rewards.std(1, ddof=int(code.params["ddof"]), keepdims=True) + float(code.params["eps"])
    close = np.abs(a * spread - (rewards - rewards.mean(1, keepdims=True))) < 1e-10 * (1 + np.abs(rewards))
    return bool(close.all() and np.all(np.abs(a.sum(1)) < 1e-10 * rewards.shape[1] * (1 + np.abs(a).max())))


@trial(POINTS)
def largest_advantage_of_real_rewards(seed: int) -> Iterator[bool]:
    """|A_i| <= sqrt(G - 1) under GRPO for real rewards, with equality if all others are equal."""
    rng = np.random.default_rng(seed)
    for size in (*range(2, 12), *rng.integers(12, groups.LARGEST + 1, 20).tolist()):
        rewards = rng.integers(-9, 9, (40, size)).astype(float)
        yield bool(np.all(np.abs(advantages(rewards, "grpo")) <= math.sqrt(size - 1) * (1 + 1e-12)))
        alone = np.full(size, 0.25)
        alone[size // 2] = 2.0
        yield math.isclose(float(np.abs(advantages(alone, "grpo")).max()), math.sqrt(size - 1), rel_tol=1e-12)


@trial(TO_N)
def focus_maximum(seed: int, names: Sequence[str]) -> Iterator[bool]:
    """The largest sum |A| over K is sqrt(G (G - 1)), below G, for every G to 200."""
    for name, size in itertools.product(names, range(2, groups.LARGEST + 1)):
        plus, minus = table(name, size, 0.5)
        k = np.arange(size + 1)
        largest = (k * np.abs(plus) + (size - k) * np.abs(minus))[1:size].max()
        yield math.isclose(largest, math.sqrt(size * (size - 1)), rel_tol=1e-12)


@trial(POINTS)
def ddas_peak(seed: int) -> Iterator[bool]:
    """sum |A| of DDAS is largest at K/G = (1-w)^2 / ((1-w)^2 + w^2), in groups that have this K."""
    for a, b in ((1, 1), (1, 2), (2, 1), (1, 3), (3, 1), (2, 3)):
        w, size, peak = Fraction(a, a + b), a**2 + b**2, b**2
        values = {}
        for k in range(1, size):
            plus, minus = exact_two_outcomes(estimators.get("ddas"), k, size, w)
            values[k] = k * plus - (size - k) * minus
        yield all(values[peak] > v for k, v in values.items() if k != peak)
        yield values[peak] ** 2 == size**2 * (w**2 + (1 - w) ** 2)


@trial(POINTS, shows="fails")
def signed_rewards(seed: int, rewards: Sequence[int]) -> Iterator[bool]:
    """With p = mean |r| Theorem 2's formula gives 0 in a group of -1 and 1 in which sum |A| is not 0."""
    p = Fraction(sum(abs(r) for r in rewards), len(rewards))
    total = sum((abs(x) for x in exact_advantages(estimators.get("grpo"), rewards)), surd(0))
    yield p * (1 - p) == 0 and total == len(rewards)


@trial(TO_N)
def passk_is_zero_sum(seed: int, largest: int = 30) -> Iterator[bool]:
    """sum A = 0 of pass@k training for all k <= G, degenerate groups included: exact to G = 7, numpy to `largest`."""
    for size in range(2, largest + 1):
        for k in range(1, size + 1):
            if size <= 7:
                for correct in range(size + 1):
                    plus, minus = exact_two_outcomes(estimators.get("passk", k=k), correct, size)
                    yield correct * plus + (size - correct) * minus == 0
            if size > 7 and k % 3 != size % 3:
                continue
            plus, minus = table("passk", size, 0.5, k=k)
            count = np.arange(size + 1)
            yield bool(np.all(np.abs(count * plus + (size - count) * minus) < 1e-9 * size))
