"""Hypothesis strategies for groups and batches of rewards; they shrink to few rewards, and those to 0 and 1.

Group sizes come from a few telling values, because every new shape compiles again in jax.
"""

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from ..estimators.base import Rewards

SIZES = (2, 3, 4, 8)
"""G: two, odd, even, and the paper's 8."""

_TELLING = (0.0, 1.0, 0.5, 0.25, 0.1, 0.7, 1 / 3)


def binary_rewards() -> SearchStrategy[float]:
    """0 or 1."""
    return st.sampled_from([0.0, 1.0])


def graded_rewards() -> SearchStrategy[float]:
    """Numbers in [0, 1]: telling ones first (0.1 and 1/3 have no exact float mean), then any."""
    return st.one_of(st.sampled_from(_TELLING), st.floats(0, 1, width=32))


def real_rewards() -> SearchStrategy[float]:
    """Graded rewards, signed ones, and a few of large magnitude."""
    return st.one_of(graded_rewards(), st.sampled_from([-1.0, 2.0, 1000.0]), st.floats(-1e4, 1e4, width=32))


def _groups(rewards: SearchStrategy[float], size: int | None) -> SearchStrategy[np.ndarray]:
    sizes = st.sampled_from(SIZES) if size is None else st.just(size)
    return sizes.flatmap(lambda n: st.lists(rewards, min_size=n, max_size=n)).map(np.array)


def binary_groups(size: int | None = None) -> SearchStrategy[np.ndarray]:
    """Groups `[G]` of rewards 0 and 1.

    >>> from hypothesis import find
    >>> find(binary_groups(), lambda r: r.sum() == 1).tolist()
    [0.0, 1.0]
    """
    return _groups(binary_rewards(), size)


def graded_groups(size: int | None = None) -> SearchStrategy[np.ndarray]:
    """Groups `[G]` of rewards in [0, 1]."""
    return _groups(graded_rewards(), size)


def real_groups(size: int | None = None) -> SearchStrategy[np.ndarray]:
    """Groups `[G]` of finite rewards of ordinary magnitude, signed."""
    return _groups(real_rewards(), size)


def degenerate_groups(size: int | None = None) -> SearchStrategy[np.ndarray]:
    """Groups `[G]` of equal rewards in [0, 1]."""
    sizes = st.sampled_from(SIZES) if size is None else st.just(size)
    return st.builds(lambda n, value: np.full(n, value), sizes, graded_rewards())


def near_degenerate_groups(size: int | None = None) -> SearchStrategy[np.ndarray]:
    """Groups `[G]` of equal rewards in (0, 1) but for the first, which is larger by 1e-12 to 1e-3."""

    def raise_first(group: np.ndarray, exponent: int) -> np.ndarray:
        group = 0.9 * group
        group[0] += 10.0**-exponent
        return group

    return st.builds(raise_first, degenerate_groups(size), st.integers(3, 12))


def duplicated_groups(size: int | None = None) -> SearchStrategy[np.ndarray]:
    """Groups `[G]`, G even, in which every reward occurs twice."""
    half = st.sampled_from((2, 4)) if size is None else st.just(size // 2)
    return half.flatmap(lambda n: graded_groups(n)).map(lambda r: np.concatenate([r, r]))


def extreme_groups(size: int | None = None) -> SearchStrategy[np.ndarray]:
    """Groups `[G]` of real rewards times 10^-15 to 10^11: the squares still fit into float32."""
    return st.builds(lambda r, exponent: r * 10.0**exponent, real_groups(size), st.integers(-15, 11))


def groups(rewards: Rewards = "real", size: int | None = None) -> SearchStrategy[np.ndarray]:
    """Groups `[G]` of every kind that an estimator defined for `rewards` must bear; simple ones first."""
    if rewards == "binary":
        return binary_groups(size)
    kinds = [binary_groups(size), graded_groups(size), degenerate_groups(size), near_degenerate_groups(size)]
    if size is None or size % 2 == 0:
        kinds.append(duplicated_groups(size))
    if rewards == "real":
        kinds += [real_groups(size), extreme_groups(size)]
    return st.one_of(*kinds)


def batches(rewards: Rewards = "real", prompts: int | None = None) -> SearchStrategy[np.ndarray]:
    """Batches `[P, G]` of mixed difficulty: each prompt's group is drawn by itself."""
    rows = st.sampled_from((1, 2)) if prompts is None else st.just(prompts)

    def of_size(size: int) -> SearchStrategy[np.ndarray]:
        group = groups(rewards, size)
        return rows.flatmap(lambda n: st.lists(group, min_size=n, max_size=n)).map(np.stack)

    return st.sampled_from(SIZES).flatmap(of_size)


def logits(arms: int = 5) -> SearchStrategy[np.ndarray]:
    """Logits `[arms]` of a tabular policy, from uniform to nearly deterministic."""
    return st.lists(st.floats(-12, 12, width=32), min_size=arms, max_size=arms).map(np.array)


def worlds(arms: int = 5) -> SearchStrategy:
    """Bandits of one prompt with `arms` trajectories, 1 to `arms` - 1 of them correct.

    >>> from hypothesis import find
    >>> find(worlds(arms=3), lambda world: True).n_correct.tolist()
    [1]
    """

    def build(drawn):
        import jax.numpy as jnp

        from ..worlds.bandit import Bandit

        values, correct = drawn
        return Bandit(jnp.asarray(values)[None], jnp.array([correct]))

    return st.tuples(logits(arms), st.integers(1, arms - 1)).map(build)
