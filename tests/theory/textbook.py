"""Advantages, groups and steps written out from the papers' equations: what the theorems are compared with.

Nothing here calls the package, so that a theorem and its check share no line of code.
"""

import itertools
import math
from collections.abc import Iterator, Sequence

import numpy as np
import sympy
from sympy.parsing import sympy_parser


def advantage(name: str, r: int, p: float, size: float = math.inf, omega: float = 0.5) -> float:
    """Advantage of a rollout of reward r (0 or 1) in a group of mean p; `size` infinite for the limit."""
    std = math.sqrt(p * (1 - p))
    grpo = (r - p) / std if std else 0.0  # Eq. 3 of arXiv:2602.05548
    hard, easy = (grpo / (2 * math.sqrt(x)) if x else 0.0 for x in (p, 1 - p))  # its Table 1b
    ddas = omega * hard + (1 - omega) * easy  # its Eq. 12
    return {
        "grpo": grpo,
        "dr_grpo": r - p,
        "rloo": (r - p) if math.isinf(size) else r - (p * size - r) / (size - 1),  # the mean of the others
        "reinforce": r,
        "psr": r,
        "nsr": r - 1,
        "w_reinforce": 0.1 if r else -1.0,
        "reinforce_rej": (2 * r - 1) * bool(std),
        "raft": r / p if p else 0.0,
        "maxrl": (r - p) / p if p else 0.0,
        "positive_dominant": 10 * grpo if r else grpo,  # beta = 10
        "negative_dominant": grpo / 10 if r else grpo,
        "hard_focused": hard,
        "easy_focused": easy,
        "f_grpo": math.sqrt(1 - p) * grpo,
        "ddas": ddas,
        "ass": omega * grpo if r else grpo,  # Eq. 13 at alpha = 1
        "agrae": omega * ddas if r else ddas,
    }[name]


def gap(name: str, p: float, omega: float = 0.5) -> float:
    """A+ - A- in a large group of mean p."""
    return advantage(name, 1, p, omega=omega) - advantage(name, 0, p, omega=omega)


def slope(name: str, size: int, success: float, omega: float = 0.5) -> float:
    """E[(1/G) sum_i A_i d log pi(o_i) / dP], over every number K of correct rollouts of two behaviours."""
    total = 0.0
    for k in range(size + 1):
        chance = math.comb(size, k) * success**k * (1 - success) ** (size - k)
        right, wrong = (advantage(name, r, k / size, size, omega) for r in (1, 0))
        total += chance * (k * right / success - (size - k) * wrong / (1 - success)) / size
    return total


def groups(arms: int, size: int) -> Iterator[tuple[int, ...]]:
    """Every group of rollouts, in order of draw."""
    return itertools.product(range(arms), repeat=size)


def chance(group: Sequence[int], policy: Sequence | np.ndarray) -> float:
    """Probability of drawing this group."""
    return math.prod(policy[b] for b in group)


def logit_gradient(policy: np.ndarray, group: Sequence[int], advantages: Sequence[float]) -> np.ndarray:
    """(1/G) sum_i A_i grad log pi(o_i) by the logits of a softmax: (1/G) sum_i A_i (1[b = o_i] - pi_b)."""
    step = -np.sum(advantages) * np.asarray(policy)
    np.add.at(step, list(group), advantages)
    return step / len(group)


def group_advantages(name: str, rewards: Sequence[int], omega: float = 0.5) -> list[float]:
    """Advantages of a group of 0/1 rewards."""
    p = sum(rewards) / len(rewards)
    return [advantage(name, r, p, len(rewards), omega) for r in rewards]


READING = (
    *sympy_parser.standard_transformations,
    sympy_parser.convert_xor,
    sympy_parser.implicit_multiplication_application,
)


def value(formula: str, **names: float) -> float:
    """Value of a formula as a statement writes it (`2 sinh(z/2)`, `eta^2 G Q`), at numbers for its letters."""
    letters = {name: sympy.Symbol(name) for name in names} | {"e": sympy.E}
    read = sympy_parser.parse_expr(formula, local_dict=letters, transformations=READING)
    return float(read.subs({letters[name]: number for name, number in names.items()}))
