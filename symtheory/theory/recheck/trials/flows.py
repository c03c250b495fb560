"""Training as a flow: orbits, conserved quantities, fixed points."""

import math
from collections.abc import Iterator, Sequence

import numpy as np

from .... import estimators
from ....estimators.group import two_outcome_batch
from ....ops import numpy_ops
from ..groups import resolve
from .base import FLOAT, POINTS, Answer, trial
from .objectives import value_of
from .tables import table


def _softmax(h: np.ndarray) -> np.ndarray:
    weights = np.exp(h - h.max())
    return weights / weights.sum()


@trial(FLOAT)
def one_orbit(seed: int, names: Sequence[str]) -> Iterator[Answer]:
    """The flow of each estimator, integrated in its own time, passes through one policy at P = 0.9."""
    from scipy.integrate import solve_ivp
    from scipy.stats import binom

    start, f = np.array([0.05, 0.25, 0.45, 0.15, 0.10]), np.array([1, 1, 0, 0, 0.0])

    def by_success(_: float, h: np.ndarray) -> np.ndarray:
        pi = _softmax(h)
        force = pi * (f - pi @ f)
        return force / (force @ force)

    end = _softmax(solve_ivp(by_success, (start @ f, 0.9), np.log(start), rtol=1e-11, atol=1e-12).y[:, -1])
    for name in names:
        plus, minus = table(name, 8, 0.5)
        d = plus[1:] - minus[:-1]

        def field(_: float, h: np.ndarray, d: np.ndarray = d) -> np.ndarray:
            pi = _softmax(h)
            return (binom.pmf(np.arange(8), 7, min(1.0, pi @ f)) @ d) * pi * (f - pi @ f)

        def reached(_: float, h: np.ndarray, d: np.ndarray = d) -> float:
            return float(_softmax(h) @ f) - 0.9

        reached.terminal = True  # type: ignore[attr-defined]
        path = solve_ivp(field, (0, 1e4), np.log(start), events=reached, rtol=1e-9, atol=1e-11)
        gap = np.abs(_softmax(path.y[:, -1]) - end).max()
        yield gap < 1e-6 or f"{name} ends {gap:.2g} beside the orbit"


@trial(POINTS)
def some_weight_vanishes(seed: int, names: Sequence[str]) -> Iterator[Answer]:
    """Marginal values d_j >= 0 of every registered estimator at G = 8, and some 0 for these: F' is not positive."""
    for name in estimators.names("two_class"):
        plus, minus = table(name, 8, 0.5)
        d = plus[1:] - minus[:-1]
        yield (d >= -1e-12).all() or f"{name} has a marginal value of {d.min():.3g}"
        if name in names:
            yield (np.abs(d) < 1e-12).any() or f"{name} has no marginal value of 0"


@trial(FLOAT)
def conserved(seed: int) -> Iterator[Answer]:
    """exp(-h_b) - exp(-h_c) of two correct, and of two wrong, behaviours along the integrated orbit."""
    from scipy.integrate import solve_ivp

    f = np.array([1, 1, 0, 0, 0.0])

    def field(_: float, h: np.ndarray) -> np.ndarray:
        pi = _softmax(h)
        return pi * (f - pi @ f)

    h0 = np.log([0.05, 0.25, 0.45, 0.15, 0.10])
    h1 = solve_ivp(field, (0, 30), h0, rtol=1e-11, atol=1e-13).y[:, -1]
    for b, c in ((0, 1), (2, 3), (3, 4)):
        before, after = (math.exp(-h[b]) - math.exp(-h[c]) for h in (h0, h1))
        yield abs(before - after) < 1e-7 * (1 + abs(before)) or f"behaviours {b} and {c}: {before} becomes {after}"


@trial(FLOAT)
def focus_crossings(seed: int) -> Iterator[Answer]:
    """Large groups: Easy-Focused is faster than GRPO at P just above 3/4 and slower below; Hard-Focused mirrored."""
    size = 4 * 10**6
    for name, P, faster in (("easy_focused", 0.76, True), ("easy_focused", 0.74, False)):
        for focus, rate in ((name, P), ("hard_focused", 1 - P)):
            slopes = []
            for e in (focus, "grpo"):
                batch = two_outcome_batch(numpy_ops(), np.array(512.0), np.array(1024.0))
                plus, minus = resolve(e).two_outcomes(
                    np.array(round(rate * size) * 1.0), np.array(size * 1.0), batch, numpy_ops()
                )
                slopes.append(float(plus - minus))
            yield (
                slopes[0] > slopes[1]
            ) == faster or f"{focus} at P = {rate:.2f} has {slopes[0]:.6g}, GRPO {slopes[1]:.6g}"


@trial(FLOAT)
def recursion(seed: int, slopes: dict[str, str]) -> Iterator[Answer]:
    """p <- sigmoid(logit p_ref + F'(p)/beta) from p_ref: no fixed point up to p_ref, and GRPO's slope."""
    for name, text in slopes.items():

        def rate(P: float, text: str = text) -> float:
            return value_of(text, {"P": P, "Q": 1 - P, "w": 0.5})

        for ref, beta in ((0.2, 2.0), (0.2, 1.0), (0.6, 3.0), (0.01, 5.0)):
            base = math.log(ref / (1 - ref))
            root = lambda z, base=base, beta=beta, rate=rate: z - base - rate(1 / (1 + math.exp(-z))) / beta  # noqa: E731
            # the residual is negative up to p_ref itself, so every fixed point lies above it
            yield (
                all(root(z) < 0 for z in np.linspace(base - 5, base, 50))
                or f"{name}: a fixed point below p_ref = {ref}"
            )
    P, h = 0.408732720588, 1e-6
    weight = lambda x: 1 / math.sqrt(x * (1 - x)) / 2.0  # noqa: E731
    step = lambda x: 1 / (1 + math.exp(-(math.log(0.25) + weight(x))))  # noqa: E731
    closed = -(1 - 2 * P) / (4 * math.sqrt(P * (1 - P)))
    slope = (step(P + h) - step(P - h)) / (2 * h)
    yield (abs(step(P) - P) < 1e-9 and abs(slope - closed) < 1e-6) or f"GRPO's slope at {P} is {slope}, stated {closed}"
