"""Steps outside the hypotheses of sure improvement, and what trees do."""

import itertools
import math
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from .... import estimators
from ...exact import exact_advantages
from ...surds import surd
from .base import POINTS, Answer, trial
from .steps import finite_step, log_prob_step


@trial(POINTS)
def boundary(seed: int, example: dict[str, Any]) -> Iterator[Answer]:
    """A step outside the hypotheses of sure improvement lowers P, to first order exactly and in a finite step."""
    kind = example["kind"]
    if kind == "prefix":
        yield from _prefix_falls(example)
        return
    pi = [Fraction(x) for x in example["policy"]]
    correct, draws = example["correct"], example["draws"]
    a = exact_advantages(estimators.get("grpo"), [correct[b] for b in draws]) if draws else []
    weights = [Fraction(x) for x in example.get("weights", ["1"] * len(draws))]
    g = [
        sum((m * x * ((d == b) - p) for m, x, d in zip(weights, a, draws, strict=True)), surd(0))
        for b, p in enumerate(pi)
    ]
    if kind == "KL":  # minus grad KL(pi || ref): pi_b (KL - log(pi_b / ref_b))
        ref = [float(Fraction(x)) for x in example["reference"]]
        own = [float(x) for x in pi]
        total = sum(p * math.log(p / r) for p, r in zip(own, ref, strict=True))
        step = [p * (total - math.log(p / r)) for p, r in zip(own, ref, strict=True)]
    elif kind == "entropy":  # grad H: -pi_b (log pi_b + H)
        own = [float(x) for x in pi]
        h = -sum(p * math.log(p) for p in own)
        step = [-p * (math.log(p) + h) for p in own]
    else:
        moved = log_prob_step(pi, g)
        slope = sum((p * d for p, d, f in zip(pi, moved, correct, strict=True) if f), surd(0))
        yield slope < 0 or f"{kind}: dP / eta is {slope}"
        step = [float(x) for x in g]
    before = float(sum(p for p, f in zip(pi, correct, strict=True) if f))
    after = sum(x for x, f in zip(finite_step(pi, step, 1e-3), correct, strict=True) if f)
    yield after < before - 1e-9 or f"{kind}: P goes from {before} to {after}"


@trial(POINTS, shows="fails")
def boundary_falls(seed: int, example: dict[str, Any]) -> Iterator[Answer]:
    """The same, for a statement that says P never falls."""
    yield from boundary(seed, example)


def tree_success(weights: dict[tuple, list[float]], correct: Sequence[tuple]) -> float:
    total = 0.0
    for leaf in correct:
        total += math.prod(weights[leaf[:d]][leaf[d]] for d in range(len(leaf)))
    return total


def _prefix_falls(example: dict[str, Any]) -> Iterator[Answer]:
    """GRPO on one prompt with a softmax at each node of a binary tree of depth 2: the derivative, and a finite step."""
    nodes = {tuple(map(int, key)): [Fraction(x) for x in value] for key, value in example["policy"].items()}
    correct = [tuple(map(int, leaf)) for leaf in example["correct"]]
    draws = [tuple(map(int, leaf)) for leaf in example["draws"]]
    a = exact_advantages(estimators.get("grpo"), [int(leaf in correct) for leaf in draws])
    yield sum(a, surd(0)) == 0 or f"GRPO gives {a}, whose sum is not 0"
    g = {
        node: [
            sum(
                (
                    x * ((leaf[len(node)] == c) - p)
                    for x, leaf in zip(a, draws, strict=True)
                    if leaf[: len(node)] == node
                ),
                surd(0),
            )
            for c, p in enumerate(pi)
        ]
        for node, pi in nodes.items()
    }
    slope = surd(0)
    for leaf in correct:
        chance = math.prod((nodes[leaf[:d]][leaf[d]] for d in range(2)), start=Fraction(1))
        for d in range(2):
            pi, step = nodes[leaf[:d]], g[leaf[:d]]
            mean = sum((p * x for p, x in zip(pi, step, strict=True)), surd(0))
            slope = slope + chance * (step[leaf[d]] - mean)
    yield slope == Fraction(example["dP / eta"]) or f"dP / eta is {slope}, stated {example['dP / eta']}"
    yield slope < 0 or f"dP / eta is {slope}"
    floats = {node: [float(p) for p in pi] for node, pi in nodes.items()}
    moved = {node: finite_step(pi, g[node], 0.01).tolist() for node, pi in nodes.items()}
    before, after = tree_success(floats, correct), tree_success(moved, correct)
    yield after < before or f"P goes from {before} to {after}"


@trial(POINTS, shows="fails")
def undrawn_leaves_move(seed: int) -> Iterator[Answer]:
    """Uniform binary tree of depth 2, leaves 00 (A = 1) and 11 (A = -1) drawn: 01 and 10 move by 1/2 and -1/2."""
    moved = {}
    for leaf in itertools.product((0, 1), repeat=2):
        total = Fraction(0)
        for depth in range(2):
            node = leaf[:depth]
            through = [Fraction(0), Fraction(0)]
            for path, a in (((0, 0), 1), ((1, 1), -1)):
                if path[:depth] == node:
                    through[path[depth]] += a
            f = [n - sum(through) / 2 for n in through]
            total += f[leaf[depth]] - sum(f) / 2
        moved[leaf] = total
    yield (moved[0, 1], moved[1, 0]) == (
        Fraction(1, 2),
        Fraction(-1, 2),
    ) or f"they move by {moved[0, 1]}, {moved[1, 0]}"


@trial(POINTS)
def random_trees(seed: int) -> Iterator[Answer]:
    """Node values of random trees: zero-sum at every node, telescoping along every path."""
    rng = np.random.default_rng(seed)
    for _ in range(30):
        leaves = {tuple(int(x) for x in rng.integers(0, 3, 3)): int(rng.integers(0, 2)) for _ in range(8)}
        nodes = {leaf[:d] for leaf in leaves for d in range(4)}
        below = {n: [Fraction(r) for leaf, r in leaves.items() if leaf[: len(n)] == n] for n in nodes}
        value = {n: sum(rs) / len(rs) for n, rs in below.items()}
        for node in nodes:
            children = [c for c in nodes if len(c) == len(node) + 1 and c[:-1] == node]
            total = sum(len(below[c]) * (value[c] - value[node]) for c in children)
            yield total == 0 or f"at node {node} of {leaves} the sum is {total}"
        for leaf, reward in leaves.items():
            total = sum(value[leaf[: d + 1]] - value[leaf[:d]] for d in range(3))
            yield total == reward - value[()] or f"along {leaf} of {leaves} the sum is {total}"
