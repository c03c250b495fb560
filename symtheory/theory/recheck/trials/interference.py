"""The interference law: steps of random policies with shared parameters, and the weights of the estimators' code."""

import itertools
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

from ....metrics.passk import pass_weight
from ...surds import Surd, surd
from .base import POINTS, TO_N, Answer, trial
from .tables import bernstein, exact_table

SIZE = 8
"""Group size of the trials at one size."""
RIGHT = (1, 1, 0, 0)
"""Rewards of the four trajectories of a random prompt."""
MARKS = range(1, 10)
"""Whole numbers that random policies and features are made of."""
Prompt = tuple[Fraction, tuple[Fraction, ...]]
"""Success and its gradient."""


def exact_slope(estimator: str, size: int, success: Fraction) -> Surd:
    """F'_G(P) of an estimator's code at a rational P, without rounding (omega = 1/3).

    >>> exact_slope("rloo", 4, Fraction(1, 3))
    1
    """
    return bernstein(_marginal_values(estimator, size), success)


def _marginal_values(estimator: str, size: int) -> list[Surd]:
    table = exact_table(estimator, size, Fraction(1, 3))
    return [after[0] - before[1] for before, after in itertools.pairwise(table)]


def gradient_of_success(policy: Sequence[Fraction], features: Sequence[Sequence[int]]) -> Prompt:
    """P and grad P = sum_o pi(o) (r(o) - P) features(o) of a prompt whose logits are linear in the parameters."""
    rate = _dot(policy, RIGHT)
    pulls = [chance * (r - rate) for chance, r in zip(policy, RIGHT, strict=True)]
    return rate, tuple(_dot(pulls, column) for column in zip(*features, strict=True))


def _dot(a: Iterable[Any], b: Iterable[Any]) -> Any:
    return sum(x * y for x, y in zip(a, b, strict=True))


def _random_prompts(rng: random.Random, prompts: int, parameters: int) -> list[Prompt]:
    """Prompts with softmax policies of rational chances that share parameters."""
    found = []
    for _ in range(prompts):
        marks = rng.choices(MARKS, k=len(RIGHT))
        features = [rng.choices(MARKS, k=parameters) for _ in RIGHT]
        found.append(gradient_of_success([Fraction(m, sum(marks)) for m in marks], features))
    return found


@trial(POINTS)
def steps_by_exchange_rates(seed: int, names: Sequence[str]) -> Iterator[Answer]:
    """The step of each estimator on random prompts moves success by the sum of F' T, pass@k by that of F' T rho."""
    rng = random.Random(seed)
    for name, k in itertools.product(names, range(1, 4)):
        trained, watched = _random_prompts(rng, 3, 2), _random_prompts(rng, 2, 2)
        gradients, others = [g for _, g in trained], [g for _, g in watched]
        weight = [exact_slope(name, SIZE, p) for p, _ in trained]
        marginal = [pass_weight(p, k) for p, _ in watched]
        step = [_dot(weight, column) for column in zip(*gradients, strict=True)]
        progress = [sum(_dot(g, other) for other in gradients) for g in gradients]
        if not all(progress):  # then there is no rate of exchange
            continue
        rates = [_dot(marginal, [_dot(g, x) for x in others]) / t for g, t in zip(gradients, progress, strict=True)]
        weighted = [w * t for w, t in zip(weight, progress, strict=True)]
        where = f"{name}, k = {k}, prompts {trained}"
        yield sum(weighted) == sum(_dot(step, g) for g in gradients) or f"{where}: the progress"
        yield _dot(weighted, rates) == _dot(marginal, [_dot(step, x) for x in others]) or f"{where}: pass@k"


def _slope(weight: Sequence[Any], t: Sequence[Any], rho: Sequence[Any]) -> Fraction:
    """sum w T rho / sum w T."""
    weighted = [Fraction(w * x) for w, x in zip(weight, t, strict=True)]
    return _dot(weighted, rho) / sum(weighted)


@trial(POINTS)
def monotone_rates(seed: int, dropped: Mapping[str, Mapping[str, Sequence[str]]]) -> Iterator[Answer]:
    """With every premise true the harder focus keeps at least as much, or at most if rho rises: all cases of three
    prompts with T, F'_B in {1, 2} and ratio, rho in {1, 2, 3}. With one premise dropped it loses in the cases given:
    prompts in order of P, v the weights of the harder focus, w those of the other.
    """
    few, falling = range(1, 3), list(itertools.combinations_with_replacement((3, 2, 1), 3))
    pairs = itertools.product(itertools.product(few, repeat=3), itertools.product(few, repeat=3))
    for (t, w), ratio, rho in itertools.product(pairs, falling, falling):
        v = [r * x for r, x in zip(ratio, w, strict=True)]
        where = f"T = {t}, weights {v} and {w}"
        yield _slope(v, t, rho) >= _slope(w, t, rho) or f"{where}, rates {rho}"
        yield _slope(v, t, rho[::-1]) <= _slope(w, t, rho[::-1]) or f"{where}, rates {rho[::-1]}"
    for name, rows in dropped.items():
        case = {key: [Fraction(x) for x in row] for key, row in rows.items()}
        yield _slope(case["v"], case["T"], case["rho"]) < _slope(case["w"], case["T"], case["rho"]) or name


@trial(TO_N)
def focus_order(seed: int, pairs: Sequence[Sequence[str]], largest: int = 16) -> Iterator[Answer]:
    """The marginal values of the first of each pair over those of the second fall with j, G = 4 to `largest`."""
    for size, (harder, easier) in itertools.product(range(4, largest + 1), pairs):
        a, b = (_marginal_values(name, size) for name in (harder, easier))
        yield min(*a, *b) > surd(0) or f"{harder} and {easier} at G = {size}: {a} and {b}"
        ratio = [x / y for x, y in zip(a, b, strict=True)]
        yield all(x >= y for x, y in itertools.pairwise(ratio)) or f"{harder} over {easier} at G = {size}: {ratio}"


@trial(POINTS)
def tilted_on_what_is_trained(seed: int) -> Iterator[Answer]:
    """Tilting REINFORCE by w on random prompts moves the slope by what is stated, and never down."""
    rng = random.Random(seed)
    for k in range(2, 6):
        prompts = _random_prompts(rng, 4, 3)
        watched = [pass_weight(p, k) for p, _ in prompts]
        kernel = [[_dot(g, other) for _, other in prompts] for _, g in prompts]
        gain, progress = ([_dot(row, x) for row in kernel] for x in (watched, [1] * len(prompts)))  # K w, K 1
        a, b, c = sum(progress), sum(gain), _dot(watched, gain)  # 1'K1, 1'Kw, w'Kw
        if not a or not a + b:  # then there is no slope
            continue
        tilted = [1 + w for w in watched]
        moved = _dot(tilted, gain) / _dot(tilted, progress) - b / a
        yield moved == (a * c - b**2) / (a * (a + b)) or f"k = {k}, prompts {prompts}: the slope moves by {moved}"
        yield a * c >= b**2 or f"k = {k}, prompts {prompts}: {a} {c} < {b}^2"


@trial(POINTS)
def own_directions(seed: int, example: Mapping[str, str]) -> Iterator[Answer]:
    """One hard prompt and one easy with directions of their own: the exchange rate of the hard one is lower."""
    v_h, v_e, c, s = (Fraction(example[name]) for name in ("V_H", "V_E", "c", "s"))
    pull_h, pull_e = v_h**2, v_h * v_e * c  # what training on H and on E does to a watched hard prompt
    rho_h, rho_e = pull_h / (pull_h + v_h**2 * s + pull_e), pull_e / (v_e**2 + v_e**2 * s + pull_e)
    yield rho_h < rho_e or f"rho is {rho_h} of the hard prompt, {rho_e} of the easy one"


@trial(POINTS)
def below_the_base(seed: int, names: Sequence[str], hh: str, he: str, ratio: str) -> Iterator[Answer]:
    """F' at P = 1/10 over that at 9/10 falls along `names`, is the stated ratio under GRPO, which then falls."""
    found = {n: exact_slope(n, SIZE, Fraction(1, 10)) / exact_slope(n, SIZE, Fraction(9, 10)) for n in names}
    for (a, x), (b, y) in itertools.pairwise(found.items()):  # the harder in focus stands more interference
        yield x >= y or f"{a} has {x}, {b} {y}"
    yield found["grpo"] == Fraction(ratio) or f"GRPO has {found['grpo']}, stated {ratio}"
    change = found["grpo"] * Fraction(hh) + Fraction(he)
    yield change < surd(0) or f"pass@k changes by {change}"
