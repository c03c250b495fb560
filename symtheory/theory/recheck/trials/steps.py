"""One step of a tabular policy, rollout by rollout: how logits and success move, and lengths as weights."""

import itertools
import math
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from .... import estimators
from ....estimators.group import make_group, two_outcome_batch
from ....ops import numpy_ops
from ...exact import ROLLOUTS, exact_advantages
from ...surds import Surd, surd
from ..groups import resolve
from .base import FLOAT, POINTS, TO_N, Answer, trial


@trial(POINTS)
def length_weights(seed: int) -> Iterator[Answer]:
    """What each aggregation does to the coefficients of grad log pi(o_i), on random lengths and rewards."""
    rng = np.random.default_rng(seed)
    for _ in range(200):
        size = int(rng.integers(2, 9))
        lengths = [Fraction(int(x)) for x in rng.integers(1, 12, size)]
        rewards = rng.integers(0, 2, size).tolist()
        a = exact_advantages(estimators.get("grpo"), rewards)
        tokens = sum(lengths)
        inverse = [1 / x for x in lengths]
        yield sum((x / tokens for x in a), surd(0)) == 0 or f"token-mean: rewards {rewards}, A = {a}"
        for weight in (inverse, lengths):
            total = sum((x * y for x, y in zip(a, weight, strict=True)), surd(0))
            yield total == size * covariance(weight, a) or f"weights {weight}: rewards {rewards}, A = {a}"


def covariance(x: Sequence[Any], y: Sequence[Any]) -> Any:
    """Mean of x y minus product of the means, over a group."""
    n = len(x)
    both = sum((a * b for a, b in zip(y, x, strict=True)), surd(0))
    return both / n - sum(y, surd(0)) * sum(x, Fraction(0)) / n**2


def logit_step(policy: Sequence[Any], counts: Sequence[int], correct: Sequence[int], name: str, omega: Any) -> list:
    """g_b = sum over the rollouts of A_i (1[o_i = b] - pi_b), rollout by rollout, with the code's A_i."""
    draws = [b for b, n in enumerate(counts) for _ in range(n)]
    a = exact_advantages(resolve(name), [correct[b] for b in draws], omega=omega)
    return [
        sum((x * ((draw == b) - pi) for x, draw in zip(a, draws, strict=True)), surd(0)) for b, pi in enumerate(policy)
    ]


def log_prob_step(policy: Sequence[Any], g: Sequence[Any]) -> list[Surd]:
    mean = sum((pi * x for pi, x in zip(policy, g, strict=True)), surd(0))
    return [x - mean for x in g]


def finite_step(policy: Sequence[Any], g: Sequence[Any], eta: float) -> np.ndarray:
    """The softmax policy after a step `eta` along g."""
    weights = np.array([float(x) for x in policy]) * np.exp(eta * np.array([float(x) for x in g]))
    return weights / weights.sum()


@trial(POINTS, shows="fails")
def step_moves(
    seed: int, estimator: str, policy: Sequence[str], correct: Sequence[int], counts: Sequence[int], who: str, way: str
) -> Iterator[Answer]:
    """In this step some behaviour of kind `who` moves the `way` (up, down, any), exactly and in a finite step."""
    pi = [Fraction(x) for x in policy]
    yield (sum(pi) == 1 and all(x > 0 for x in pi)) or f"{pi} is no policy"
    g = logit_step(pi, counts, correct, estimator, Fraction(1, 3))
    moved = log_prob_step(pi, g)
    kinds = {
        "correct drawn": lambda f, n: f and n,
        "wrong drawn": lambda f, n: not f and n,
        "undrawn": lambda f, n: not n,
    }
    ways = {"up": lambda d: d > 0, "down": lambda d: d < 0, "any": lambda d: d != 0}
    mine = [i for i, (f, n) in enumerate(zip(correct, counts, strict=True)) if kinds[who](f, n)]
    yield any(ways[way](moved[i]) for i in mine) or f"{estimator}: no {who} behaviour moves {way}: {moved}"
    after = finite_step(pi, g, 1e-6)
    slopes = [(math.log(x) - math.log(y)) / 1e-6 for x, y in zip(after, map(float, pi), strict=True)]
    agrees = all(abs(slope - float(d)) < 1e-4 for slope, d in zip(slopes, moved, strict=True))
    yield agrees or f"{estimator}: a finite step moves {slopes}, to first order {moved}"


@trial(POINTS, shows="fails")
def success_falls(
    seed: int, estimator: str, policy: Sequence[str], correct: Sequence[int], counts: Sequence[int], omega: str = "1/3"
) -> Iterator[Answer]:
    """This group lowers the success of this tabular policy, to first order and in a small step."""
    pi = [Fraction(x) for x in policy]
    yield (sum(pi) == 1 and all(x > 0 for x in pi)) or f"{pi} is no policy"
    g = logit_step(pi, counts, correct, estimator, Fraction(omega))
    moved = log_prob_step(pi, g)
    slope = sum((x * d for x, d, f in zip(pi, moved, correct, strict=True) if f), surd(0))
    yield slope < 0 or f"{estimator}: dP / eta is {slope}"
    before = float(sum(x for x, f in zip(pi, correct, strict=True) if f))
    after = float(finite_step(pi, g, 1e-4)[np.array(correct) == 1].sum())
    yield after < before or f"{estimator}: P goes from {before} to {after}"


@trial(POINTS)
def success_moves(
    seed: int, policy: Sequence[str], correct: Sequence[int], counts: Sequence[int], rates: dict[str, str]
) -> Iterator[Answer]:
    """dP / eta of this group under each named estimator is the stated number."""
    pi = [Fraction(x) for x in policy]
    for name, value in rates.items():
        moved = log_prob_step(pi, logit_step(pi, counts, correct, name, Fraction(1, 3)))
        slope = sum((x * d for x, d, f in zip(pi, moved, correct, strict=True) if f), surd(0))
        yield slope == Fraction(value) or f"{name}: dP / eta is {slope}, stated {value}"


@trial(POINTS)
def logits_of_a_wrong_behaviour(seed: int, values: Sequence[str]) -> Iterator[Answer]:
    """dh of a wrong b with pi_b = 1/2, drawn 1..4 times of 8 with 4 correct, under Negative-Dominant."""
    quarter, half = Fraction(1, 4), Fraction(1, 2)
    for n, value in enumerate(values, 1):
        g = logit_step([quarter, half, quarter], [4, n, 4 - n], [1, 0, 0], "negative_dominant", Fraction(1, 3))
        yield g[1] == Fraction(value) or f"drawn {n} times it moves by {g[1]}, stated {value}"


def small_steps(arms: int, largest: int, denominator: int) -> Iterator[tuple]:
    """(policy, correct, counts) of mixed groups by growing G, then denominator of the policy."""
    for size in range(2, largest + 1):
        for d in range(arms, denominator + 1):
            for weights in itertools.product(range(1, d), repeat=arms - 1):
                if sum(weights) < d:
                    policy = [Fraction(x, d) for x in (*weights, d - sum(weights))]
                    for right_arms in range(1, arms):
                        correct = (1,) * right_arms + (0,) * (arms - right_arms)
                        for counts in itertools.product(range(size + 1), repeat=arms):
                            right = sum(n * f for n, f in zip(counts, correct, strict=True))
                            if sum(counts) == size and 0 < right < size:
                                yield policy, correct, counts


@trial(TO_N)
def logits_of_small_groups(seed: int) -> Iterator[Answer]:
    """Under GRPO drawn correct logits rise, drawn wrong ones fall, undrawn ones stay: every small step."""
    for policy, correct, counts in small_steps(arms=3, largest=4, denominator=5):
        g = logit_step(policy, counts, correct, "grpo", Fraction(1, 3))
        agrees = all((x > 0 if f else x < 0) if n else x == 0 for x, f, n in zip(g, correct, counts, strict=True))
        yield agrees or f"policy {policy}, correct {correct}, drawn {counts}: the logits move by {g}"


@trial(FLOAT)
def random_steps(seed: int, estimator: str, tries: int = 4000) -> Iterator[Answer]:
    """P' >= P in finite steps of random tabular policies, groups (G to 40) and step sizes (0.001 to 100)."""
    rng = np.random.default_rng(seed)
    code, op = resolve(estimator), numpy_ops()
    smallest = max(2, code.min_size, code.params.get("k", 1))
    for _ in range(tries // 50):
        arms, size = int(rng.integers(2, 9)), int(rng.integers(smallest, 41))
        pi = rng.dirichlet(np.full(arms, rng.choice([0.2, 1.0, 5.0])), 50).clip(1e-12)
        pi /= pi.sum(1, keepdims=True)
        correct = rng.permuted(np.arange(arms)[None] < rng.integers(1, arms, (50, 1)), axis=1)
        draws = np.stack([rng.choice(arms, size, p=p) for p in pi])
        rewards = np.take_along_axis(correct, draws, 1).astype(float)
        omega = np.where(rng.random(50) < 0.1, 0.0, np.where(rng.random(50) < 0.1, 1.0, rng.random(50)))[:, None]
        with np.errstate(all="ignore"):
            batch = two_outcome_batch(op, ROLLOUTS * omega, np.array(float(ROLLOUTS)))
            a = code(make_group(op, rewards, batch=batch), op)
        counts = np.zeros_like(pi)
        for row in range(50):
            np.add.at(counts[row], draws[row], a[row])
        h = counts - a.sum(1, keepdims=True) * pi
        eta = 10 ** rng.uniform(-3, 2, (50, 1))
        weights = np.log(pi) + eta * h
        weights = np.exp(weights - weights.max(1, keepdims=True))
        new = weights / weights.sum(1, keepdims=True)
        fallen = (new * correct).sum(1) < (pi * correct).sum(1) - 1e-9
        yield not fallen.any() or f"{estimator} at G = {size}: P falls from policy {pi[fallen][0]}"


@trial(POINTS)
def bonus_on_small_policies(seed: int) -> Iterator[Answer]:
    """Cov_pi(log pi, pi) >= 0 on a grid of three behaviours and on random policies."""
    rng = np.random.default_rng(seed)
    for pi in [*rng.dirichlet([1, 1, 1], 200), *rng.dirichlet([0.2] * 6, 200).clip(1e-12)]:
        pi = pi / pi.sum()
        yield float(pi @ ((pi - pi @ pi) * np.log(pi))) >= -1e-12 or f"policy {pi}"


@trial(POINTS)
def set_and_multiset(seed: int) -> Iterator[Answer]:
    """One correct b, one wrong b' drawn twice: sum A over the set is not 0, over the group it is."""
    a = exact_advantages(estimators.get("grpo"), [1, 0, 0])
    yield (a[0] + a[1] != 0 and a[0] + a[1] + a[2] == 0) or f"GRPO gives {a}"
