"""Tasks for the small transformer, with the verifiers that decide which answers are correct.

`Congruence` and `Expression` have several correct answers of three tokens, so that every completion can be
enumerated; `Addition` has one answer of variable length that ends with a token of its own. Each mixes difficulties.
A completion is correct only if all of it is, and rewards are 0 or 1.
"""

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from ..errors import InputError
from ..estimators.group import Array
from ..worlds.bandit import draw


class Prompts(NamedTuple):
    """P prompts; an immutable pytree that can be indexed along its first axis with `jax.tree.map`."""

    tokens: Array
    """[P, L] what the transformer reads"""
    facts: Array
    """[P, F] integers that the verifier and the teacher need"""
    difficulty: Array
    """[P] class of difficulty, from 0"""


class Task(Protocol):
    """Prompts, a verifier, and a teacher whose demonstrations the base model is trained on."""

    @property
    def vocab(self) -> int: ...

    @property
    def length(self) -> int:
        """T, tokens of the longest completion"""
        ...

    @property
    def end(self) -> int | None:
        """token that ends a completion, or None if all have T tokens"""
        ...

    def prompts(self) -> Prompts:
        """Every prompt of the task, in a fixed order."""
        ...

    def reward(self, facts: Array, completions: Array) -> Array:
        """1 for a correct completion and 0 otherwise: [..., F] and [..., T] -> [...]."""
        ...

    def demonstrate(self, key: Array, facts: Array) -> Array:
        """One completion for each row of `facts[B, F]`, [B, T]: what the base model learns to write."""
        ...


class OneAnswer(Task, Protocol):
    """A task with an end token, which has one correct completion for each prompt."""

    def written(self, facts: Array) -> Array:
        """The correct completion, [..., T], padded with the end token."""
        ...


def pick(prompts: Prompts, index: Array) -> Prompts:
    """The prompts at `index`."""
    return jax.tree.map(lambda x: x[index], prompts)


def mask_after_end(completions: Array, end: int | None) -> Array:
    """1.0 for tokens up to and including the first `end`, 0.0 after it, [..., T]."""
    if end is None:
        return jnp.ones(completions.shape, jnp.float32)
    ended = jnp.cumsum(completions == end, axis=-1) - (completions == end)
    return (ended == 0).astype(jnp.float32)


def all_completions(task: Task) -> np.ndarray:
    """Every completion of a task without an end token, [V^T, T], in the order of `model.leaves`."""
    if task.end is not None:
        raise InputError(f"{task} has completions of several lengths: they are not enumerated")
    return np.indices((task.vocab,) * task.length).reshape(task.length, -1).T


def correct_completions(task: Task, facts: Array) -> Array:
    """Which of all completions are correct, [P, V^T] of booleans."""
    return task.reward(facts[:, None, :], jnp.asarray(all_completions(task))) > 0


def small_digits_first(task: Task, facts: Array, key: Array, skew: float) -> Array:
    """A correct completion for each row of `facts[B, F]`, with chance proportional to product (1 + digit)^-skew."""
    digits = all_completions(task)
    weight = jnp.asarray(np.prod((1.0 + digits) ** -skew, axis=-1), jnp.float32)
    chosen = draw(jnp.where(correct_completions(task, facts), weight, 0), jax.random.uniform(key, (facts.shape[0], 1)))
    return jnp.asarray(digits)[chosen[:, 0]]


@dataclass(frozen=True)
class Congruence:
    """Given a and d, write three digits x, y, z of `base` with x + 2y + 3z + a = 0 mod d; d is the difficulty.

    A uniform guess is right with probability 1 / d if d divides `base`.

    >>> task = Congruence()
    >>> prompts = task.prompts()
    >>> prompts.tokens.shape, all_completions(task).shape
    ((64, 2), (4096, 3))
    >>> correct_completions(task, prompts.facts).mean(-1)[::16].tolist()
    [0.5, 0.25, 0.125, 0.0625]
    """

    base: int = 16
    moduli: tuple[int, ...] = (2, 4, 8, 16)
    skew: float = 1.0
    length: int = 3
    end: None = None

    @property
    def vocab(self) -> int:
        return self.base

    def prompts(self) -> Prompts:
        which, a = np.indices((len(self.moduli), self.base)).reshape(2, -1)
        facts = np.stack([a, np.array(self.moduli)[which]], axis=-1)
        return Prompts(jnp.asarray(np.stack([a, which], axis=-1)), jnp.asarray(facts), jnp.asarray(which))

    def reward(self, facts: Array, completions: Array) -> Array:
        x, y, z = (completions[..., i] for i in range(3))
        return ((x + 2 * y + 3 * z + facts[..., 0]) % facts[..., 1] == 0).astype(jnp.float32)

    def demonstrate(self, key: Array, facts: Array) -> Array:
        return small_digits_first(self, facts, key, self.skew)


FORMS = ("x + y + z", "x y + z", "(x + y) z", "x y - z")


@dataclass(frozen=True)
class Expression:
    """Given a form and a number n, write decimal digits x, y, z that make it n: countdown with three numbers.

    The forms are those of `FORMS`; a prompt is the index of the form and the two digits of n, and every n below 100
    that has an answer is a prompt. A prompt has between 1 and 109 answers among 1000.

    The teacher is right with probability `competence` of the form; else it solves, just as well, another number of
    the same form, half the list away. So the base model is confidently wrong on hard forms, as language models are,
    and its success ranges from nearly 1 to below 1 in 1000.

    >>> prompts = Expression().prompts()
    >>> prompts.tokens.shape
    (268, 3)
    >>> counts = correct_completions(Expression(), prompts.facts).sum(-1)
    >>> int(counts.min()), int(counts.max())
    (1, 109)
    """

    competence: tuple[float, ...] = (0.8, 0.9, 0.05, 0.3)
    skew: float = 1.0
    length: int = 3
    end: None = None
    vocab: int = 10

    def prompts(self) -> Prompts:
        rows = []
        for form, values in enumerate(self.values(all_completions(self))):
            n = np.unique(values[(values >= 0) & (values < 100)])
            rows.append(np.stack([np.full_like(n, form), n, np.roll(n, n.size // 2)], axis=-1))
        facts = np.concatenate(rows)
        form, n, _ = facts.T
        easier = np.argsort(np.argsort([-c for c in self.competence]))
        tokens = np.stack([form, n // 10, n % 10], axis=-1)
        return Prompts(jnp.asarray(tokens), jnp.asarray(facts), jnp.asarray(easier[form]))

    @staticmethod
    def values(completions: Array) -> list[Array]:
        """The number that each of the four forms makes of `completions[..., 3]`."""
        x, y, z = (completions[..., i] for i in range(3))
        return [x + y + z, x * y + z, (x + y) * z, x * y - z]

    def reward(self, facts: Array, completions: Array) -> Array:
        form, n = facts[..., 0], facts[..., 1]
        made = [(form == i) & (value == n) for i, value in enumerate(self.values(completions))]
        return (made[0] | made[1] | made[2] | made[3]).astype(jnp.float32)

    def demonstrate(self, key: Array, facts: Array) -> Array:
        key_slip, key_answer = jax.random.split(key)
        form, n, other = facts.T
        knows = jax.random.bernoulli(key_slip, jnp.asarray(self.competence)[form])
        meant = jnp.stack([form, jnp.where(knows, n, other), other], axis=-1)
        return small_digits_first(self, meant, key_answer, self.skew)


@dataclass(frozen=True)
class Addition:
    """Given two numbers of up to `digits` digits, write their sum, last digit first, and then the end token.

    The difficulty is the number of digits of the longer one, less 1. There are `count` prompts of each difficulty.

    >>> task = Addition(digits=2)
    >>> task.reward(jnp.array([[17, 5]]), jnp.array([[2, 2, 10, 0], [2, 2, 0, 10], [2, 2, 10, 7]])).tolist()
    [1.0, 0.0, 1.0]
    """

    digits: int = 3
    count: int = 100
    vocab: int = 11
    end: int = 10

    @property
    def length(self) -> int:
        return self.digits + 2

    def prompts(self) -> Prompts:
        rng = np.random.default_rng(0)
        size = np.repeat(np.arange(self.digits), self.count)
        terms = rng.integers(0, 10 ** (size + 1), (2, size.size)).T
        terms[:, 0] = np.maximum(terms[:, 0], 10**size * (size > 0))
        powers = 10 ** np.arange(self.digits)
        tokens = (terms[:, :, None] // powers % 10).reshape(size.size, -1)
        return Prompts(jnp.asarray(tokens), jnp.asarray(terms), jnp.asarray(size))

    def written(self, facts: Array) -> Array:
        """The correct completion, [..., T], padded with the end token."""
        total = facts.sum(-1, keepdims=True)
        powers = jnp.asarray(10 ** np.arange(self.length))
        needed = (total >= powers) | (powers == 1)
        return jnp.where(needed, total // powers % 10, self.end)

    def reward(self, facts: Array, completions: Array) -> Array:
        same = (completions == self.written(facts)) | (mask_after_end(completions, self.end) == 0)
        return same.all(-1).astype(jnp.float32)

    def demonstrate(self, key: Array, facts: Array) -> Array:
        return self.written(facts)


TASKS = {"congruence": Congruence, "expression": Expression, "addition": Addition}
