"""Regimes of training: the expected step with the code's own advantages, by enumerating every group."""

import itertools
import math
from collections.abc import Iterator, Sequence
from fractions import Fraction

import numpy as np

from ...exact import exact_advantages
from ...surds import surd
from ..groups import resolve
from .base import POINTS, TO_N, Answer, trial

POLICY = (Fraction(1, 5), Fraction(1, 10), Fraction(2, 5), Fraction(3, 10))
CORRECT = (1, 1, 0, 0)
RATE = sum(p for p, f in zip(POLICY, CORRECT, strict=True) if f)


def _slope(plus, minus, size, rate):
    return sum(
        (
            math.comb(size - 1, j) * rate**j * (1 - rate) ** (size - 1 - j) * (plus[j + 1] - minus[j])
            for j in range(size)
        ),
        surd(0),
    )


def _advantages(name: str, size: int) -> dict[tuple[int, ...], list]:
    """Advantages of every vector of `size` outcomes, from the code in exact numbers."""
    return {r: exact_advantages(resolve(name), r) for r in itertools.product((0, 1), repeat=size)}


def _classes(by_rewards, size):
    """A+(K) and A-(K), read off the vectors of outcomes."""
    plus, minus = [surd(0)] * (size + 1), [surd(0)] * (size + 1)
    for rewards, a in by_rewards.items():
        for r, x in zip(rewards, a, strict=True):
            (plus if r else minus)[sum(rewards)] = x
    return plus, minus


def _mean_update(outcomes, size, advantages_of):
    """sum over groups of chance * sum_i A_i (1[o_i = b] - pi_b) / G, for outcomes (behaviour, said, chance)."""
    total = [surd(0)] * len(POLICY)
    for drawn in itertools.product(outcomes, repeat=size):
        chance = math.prod((x[2] for x in drawn), start=Fraction(1))
        a = advantages_of(tuple(x[1] for x in drawn))
        for x, (behaviour, _, _) in zip(a, drawn, strict=True):
            for b, p in enumerate(POLICY):
                total[b] = total[b] + x * (chance * ((b == behaviour) - p) / size)
    return total


def _grad_success(b):
    return POLICY[b] * (CORRECT[b] - RATE)


@trial(TO_N)
def noisy_verifier_by_enumeration(seed: int, names: Sequence[str]) -> Iterator[Answer]:
    """Every group of four behaviours and what was said of each, G = 2 and 3: E step = J F'_G(f + J P) grad P."""
    for name, size in itertools.product(names, (2, 3)):
        by_rewards = _advantages(name, size)
        plus, minus = _classes(by_rewards, size)
        for t, f in ((Fraction(9, 10), Fraction(1, 5)), (Fraction(1), Fraction(0)), (Fraction(1, 3), Fraction(1, 2))):
            if size == 3 and f != Fraction(1, 5):
                continue
            accept = [t if c else f for c in CORRECT]
            outcomes = [
                (b, said, p * (accept[b] if said else 1 - accept[b]))
                for b, p in enumerate(POLICY)
                for said in (1, 0)
                if (accept[b] if said else 1 - accept[b])
            ]
            mean = _mean_update(outcomes, size, by_rewards.__getitem__)
            slope = _slope(plus, minus, size, f + (t - f) * RATE) * (t - f)
            agrees = all(mean[b] == slope * _grad_success(b) for b in range(len(POLICY)))
            yield agrees or f"{name} at G = {size}, accepting {t} of right and {f} of wrong: {mean}"


@trial(TO_N)
def placebo_by_enumeration(seed: int, names: Sequence[str]) -> Iterator[Answer]:
    """Outcomes drawn apart from behaviours, G = 2: mean update 0, second moment E[sum A^2] Fisher / G^2."""
    rate, size = Fraction(2, 5), 2
    outcomes = [(b, said, p * (rate if said else 1 - rate)) for b, p in enumerate(POLICY) for said in (1, 0)]
    for name in names:
        by_rewards = _advantages(name, size)
        mean = _mean_update(outcomes, size, by_rewards.__getitem__)
        yield all(x == 0 for x in mean) or f"{name}: the mean update is {mean}"
        squares = sum(
            (
                sum((x * x for x in a), surd(0)) * (rate ** sum(r) * (1 - rate) ** (size - sum(r)))
                for r, a in by_rewards.items()
            ),
            surd(0),
        )
        for b, c in ((0, 0), (0, 2), (2, 3)):
            moment = surd(0)
            for drawn in itertools.product(outcomes, repeat=size):
                chance = math.prod((x[2] for x in drawn), start=Fraction(1))
                a = by_rewards[tuple(x[1] for x in drawn)]
                g = [
                    sum((x * ((k == d[0]) - POLICY[k]) for x, d in zip(a, drawn, strict=True)), surd(0)) for k in (b, c)
                ]
                moment = moment + g[0] * g[1] * (chance / size**2)
            fisher = POLICY[b] * ((b == c) - POLICY[c])
            yield moment == squares * (fisher / size**2) or f"{name}: the moment of {b}, {c} is {moment}"


@trial(TO_N)
def redrawn_by_enumeration(seed: int, names: Sequence[str]) -> Iterator[Answer]:
    """Two draws of groups of 2 and 3 behaviours each: the first mixed one is taken."""
    for name, size in itertools.product(names, (2, 3)):
        by_rewards = _advantages(name, size)
        plus, minus = _classes(by_rewards, size)
        equal = [x for r in ((0,) * size, (1,) * size) for x in by_rewards[r]]
        yield all(x == 0 for x in equal) or f"{name} at G = {size} gives equal rewards {equal}"
        dead = RATE**size + (1 - RATE) ** size
        outcomes = [(b, CORRECT[b], p) for b, p in enumerate(POLICY)]
        total, cost = [surd(0)] * len(POLICY), Fraction(0)
        draws = []
        for drawn in itertools.product(outcomes, repeat=size):
            said = tuple(x[1] for x in drawn)
            chance = math.prod((x[2] for x in drawn), start=Fraction(1))
            a = by_rewards[said]
            update = [
                sum((x * Fraction((b == d[0]) - p) for x, d in zip(a, drawn, strict=True)), surd(0)) / size
                for b, p in enumerate(POLICY)
            ]
            draws.append((0 < sum(said) < size, chance, update))
        again = sum((chance for mixed, chance, _ in draws if not mixed), Fraction(0))
        for mixed, chance, update in draws:
            if mixed:  # as the first draw, or as the second after one that was not
                total = [x + y * (chance * (1 + again)) for x, y in zip(total, update, strict=True)]
        cost = 1 + again
        yield again == dead or f"{again} of the groups are not mixed, stated {dead}"
        slope = _slope(plus, minus, size, RATE)
        where = f"{name} at G = {size}: the mean update is {total}"
        yield all(x == slope * (_grad_success(b) * (1 + dead)) for b, x in enumerate(total)) or where
        yield all(x / cost == slope * _grad_success(b) for b, x in enumerate(total)) or where


@trial(TO_N)
def copies_by_enumeration(seed: int, names: Sequence[str]) -> Iterator[Answer]:
    """Groups of 2 rollouts, copied twice and three times: the update and F' are those of groups of 2."""
    size = 2
    for name, copies in itertools.product(names, (2, 3)):
        whole = {
            r: exact_advantages(resolve(name), tuple(x for x in r for _ in range(copies)))
            for r in itertools.product((0, 1), repeat=size)
        }
        plus, minus = _classes(_advantages(name, size), size)
        outcomes = [(b, CORRECT[b], p) for b, p in enumerate(POLICY)]

        def summed(said, whole=whole, copies=copies):
            a = whole[said]
            return [sum(a[i * copies : (i + 1) * copies], surd(0)) / copies for i in range(size)]

        mean = _mean_update(outcomes, size, summed)
        slope = _slope(plus, minus, size, RATE)
        yield all(x == slope * _grad_success(b) for b, x in enumerate(mean)) or f"{name}, {copies} copies: {mean}"


@trial(POINTS)
def forward_kl(seed: int) -> Iterator[Answer]:
    """E[(1 - r) grad log pi] is pi - pi_base in exact numbers."""
    rng = np.random.default_rng(seed)
    for n in (2, 3, 7):
        pi, base = ([Fraction(int(x), int(sum(w))) for x in w] for w in rng.integers(1, 20, (2, n)))
        for b in range(n):
            mean = sum((p - q) * ((c == b) - pi[b]) for c, (p, q) in enumerate(zip(pi, base, strict=True)))
            yield mean == pi[b] - base[b] or f"behaviour {b} of {pi}, base {base}: {mean}"
