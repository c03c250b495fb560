"""The tasks: verifiers against plain arithmetic, teachers against verifiers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from symtheory import InputError
from symtheory.transformer import task


@pytest.mark.parametrize("name", ["congruence", "addition"])
def test_teachers_without_slips_are_always_right(name):
    asked = task.TASKS[name]()
    prompts = asked.prompts()
    shown = jax.jit(asked.demonstrate)(jax.random.key(0), prompts.facts)
    assert shown.shape == (len(prompts.facts), asked.length)
    assert (asked.reward(prompts.facts, shown) == 1).all()


def test_the_teacher_of_expressions_is_as_competent_as_stated():
    asked = task.Expression()
    facts = np.repeat(asked.prompts().facts, 20, axis=0)
    right = jax.jit(lambda key: asked.reward(facts, asked.demonstrate(key, facts)))(jax.random.key(0))
    right = np.asarray(right)
    for form, competence in enumerate(asked.competence):
        mine = right[np.asarray(facts[:, 0]) == form]
        assert abs(mine.mean() - competence) < 5 * np.sqrt(competence * (1 - competence) / mine.size)


def test_expressions_are_verified_by_arithmetic():
    asked = task.Expression()
    completions = task.all_completions(asked)
    formulas = [
        lambda x, y, z: x + y + z,
        lambda x, y, z: x * y + z,
        lambda x, y, z: (x + y) * z,
        lambda x, y, z: x * y - z,
    ]
    for row, correct in zip(
        np.asarray(asked.prompts().facts),
        np.asarray(task.correct_completions(asked, asked.prompts().facts)),
        strict=True,
    ):
        assert correct.sum() > 0
        for j in (0, 137, 456, 999):
            assert correct[j] == (formulas[row[0]](*completions[j]) == row[1])


def test_sums_are_verified_by_arithmetic_and_may_carry():
    asked = task.Addition(digits=3)
    for a, b in [(0, 0), (7, 5), (999, 999), (120, 80)]:
        facts = jnp.array([[a, b]])
        digits = [int(c) for c in reversed(str(a + b))]
        padded = [*digits, 10, 3, 3, 3][: asked.length]  # what follows the end token does not matter
        assert asked.reward(facts, jnp.array([padded]))[0] == 1
        wrong = [*digits[:-1], (digits[-1] + 1) % 10, 10, 3, 3, 3][: asked.length]
        assert asked.reward(facts, jnp.array([wrong]))[0] == 0


def test_prompts_differ_and_mix_difficulties():
    for make in task.TASKS.values():
        prompts = make().prompts()
        assert len(np.unique(prompts.difficulty)) >= 3
        assert len(np.unique(np.column_stack([prompts.tokens, prompts.difficulty]), axis=0)) > 0.5 * len(prompts.tokens)


def test_the_mask_ends_with_the_end_token():
    assert task.mask_after_end(jnp.array([[1, 9, 2, 9]]), 9).tolist() == [[1, 1, 0, 0]]


def test_tasks_of_several_lengths_are_not_enumerated():
    with pytest.raises(InputError, match="not enumerated"):
        task.all_completions(task.Addition())
