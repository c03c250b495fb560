"""Means over every group without rounding: the power series of a step in eta, and sums over the law of K."""

import itertools
import math
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from ...exact import exact_advantages
from .. import groups
from ..groups import resolve
from .base import TO_N, Answer, trial
from .regimes import POLICY
from .tables import compositions, exact_table, table


def second_order(policy: Sequence[Any], g: Sequence[Any]) -> tuple[list, list]:
    """Coefficients of eta and eta^2 of softmax(log pi + eta g), each [behaviours], by dividing power series."""
    first = [p * x for p, x in zip(policy, g, strict=True)]
    second = [p * x * x / 2 for p, x in zip(policy, g, strict=True)]
    below = sum(first), sum(second)
    one = [n - p * below[0] for n, p in zip(first, policy, strict=True)]
    two = [n - c * below[0] - p * below[1] for n, c, p in zip(second, one, policy, strict=True)]
    return one, two


@trial(TO_N)
def master_by_the_law_of_success(seed: int, names: Sequence[str], coupled: bool = False) -> Iterator[Answer]:
    """The master theorem by the law of K, at every G to 12 and at three to 200: E[K A+]/P - E[C] is G F'(P) (1 - P).

    Exact: the code's float64 advantages are fractions, and P is one. For b correct E[n_b | K] = K pi_b / P, so the
    left side is the mean of g_b over pi_b; for b wrong it follows, as both means add up to 0.
    """
    rng = np.random.default_rng(seed)
    for name in names:
        least = max(2, resolve(name).min_size, resolve(name).params.get("k", 1))
        for size in (*range(least, 13), *rng.integers(13, groups.LARGEST + 1, 3).tolist()):
            a, b = int(rng.integers(1, 50)), 50  # P = a / b
            k = np.arange(size + 1)
            plus, minus = ([_whole(x) for x in t] for t in table(name, size, (k + 1) / (size + 4) if coupled else 0.3))
            law = [math.comb(size, j) * a**j * (b - a) ** (size - j) for j in range(size + 1)]  # over b^G
            up = sum(w * j * x for j, (w, x) in enumerate(zip(law, plus, strict=True)))
            total = up + sum(w * (size - j) * x for j, (w, x) in enumerate(zip(law, minus, strict=True)))
            slope = sum(
                math.comb(size - 1, j) * a**j * (b - a) ** (size - 1 - j) * (plus[j + 1] - minus[j])
                for j in range(size)
            )
            agrees = up * b - total * a == size * slope * a * (b - a)
            yield agrees or f"{name} at G = {size}, P = {a}/{b}"


def _whole(x: float) -> int:
    """x 2^1074, which is a whole number for every float64."""
    above, below = float(x).as_integer_ratio()
    return above * ((1 << 1074) // below)


@trial(TO_N)
def placebo_at_second_order(seed: int) -> Iterator[Answer]:
    """Every group of 2 and of 3 behaviours and every outcome apart from them, under GRPO: E of the step is 0 at order
    eta, and the stated drift at order eta^2.
    """
    rate = Fraction(2, 5)
    s2, s3 = (sum(p**n for p in POLICY) for n in (2, 3))
    for size in (2, 3):
        first = second = [Fraction(0)] * len(POLICY)
        v = Fraction(0)
        for rewards in itertools.product((0, 1), repeat=size):
            a = exact_advantages(resolve("grpo"), rewards)
            chance = rate ** sum(rewards) * (1 - rate) ** (size - sum(rewards))
            v = v + sum(x * x for x in a) * chance / size**2
            for drawn in itertools.product(range(len(POLICY)), repeat=size):
                likely = chance * math.prod(POLICY[b] for b in drawn)
                g = [
                    sum(x * ((b == d) - p) for x, d in zip(a, drawn, strict=True)) / size for b, p in enumerate(POLICY)
                ]
                one, two = second_order(POLICY, g)
                first = [t + x * likely for t, x in zip(first, one, strict=True)]
                second = [t + x * likely for t, x in zip(second, two, strict=True)]
        yield all(x == 0 for x in first) or f"GRPO at G = {size}: at order eta it moves by {first}"
        stated = [v * p * ((1 + 2 * s2) * (p - s2) - 3 * (p**2 - s3)) / 2 for p in POLICY]
        agrees = all(x == y for x, y in zip(second, stated, strict=True))
        yield agrees or f"GRPO at G = {size}: at order eta^2 it moves by {second}, stated {stated}"


@trial(TO_N)
def nsr_at_second_order(seed: int) -> Iterator[Answer]:
    """NSR at every G to 5: all-wrong groups, met at P -> 0, change P by 0 eta - (G Q / 2) eta^2 times P, and the mean
    over all groups at P = 1/7 gains G P^2 (1 - P)^2 (1 + s2) eta: both cancel at P = eta Q / (2 (1 + s2)) for small P.
    """
    rho = [Fraction(n, 10) for n in (4, 3, 2, 1)]
    s2, s3 = (sum(x**n for x in rho) for n in (2, 3))
    cost = s2 + 2 * s2**2 - 3 * s3
    P = Fraction(1, 7)
    policy = [P, *((1 - P) * x for x in rho)]
    for size in range(1, 6):
        a = exact_table("nsr", size, Fraction(1, 2))
        one, two = _mean_series([Fraction(0), *rho], a, size, lambda g, pi: _relative(g[0], pi, g))
        yield one == 0 or f"NSR at G = {size}: P -> 0 moves by {one} eta"
        yield two == -size * cost / 2 or f"NSR at G = {size}: P -> 0 moves by {two} eta^2, stated {-size * cost / 2}"
        gain, _ = _mean_series(policy, a, size, lambda g, pi: tuple(x[0] for x in second_order(pi, g)))
        yield gain == size * P**2 * (1 - P) ** 2 * (1 + s2) or f"NSR at G = {size}: the mean gain at 1/7 is {gain}"


def _relative(x: Any, policy: Sequence[Any], g: Sequence[Any]) -> tuple[Any, Any]:
    """Coefficients of eta and eta^2 of exp(eta x) / sum_c pi_c exp(eta g_c): how a behaviour of no mass would grow."""
    below = (
        sum(p * y for p, y in zip(policy, g, strict=True)),
        sum(p * y * y / 2 for p, y in zip(policy, g, strict=True)),
    )
    one = x - below[0]
    return one, x * x / 2 - one * below[0] - below[1]


def _mean_series(policy: Sequence[Any], table: Sequence[tuple], size: int, of: Any) -> tuple[Any, Any]:
    """Mean over every group of two coefficients; behaviour 0 is the correct one."""
    total: tuple[Any, Any] = Fraction(0), Fraction(0)
    for counts, ways in compositions(len(policy), size):
        chance = ways * math.prod(p**n for p, n in zip(policy, counts, strict=True))
        if chance:
            plus, minus = table[counts[0]]
            c = counts[0] * plus + (size - counts[0]) * minus
            g = [n * (minus if b else plus) - c * p for b, (n, p) in enumerate(zip(counts, policy, strict=True))]
            total = tuple(t + x * chance for t, x in zip(total, of(g, policy), strict=True))  # type: ignore[assignment]
    return total
