"""What probes cost and how far they are off: exchange rates from counted rollouts against the exact kernel."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from ... import estimators
from ...dynamics import Update, advantage_of, interference, probes, sampled
from ...dynamics.sampled import State
from ...errors import InputError
from .cells import GROUP, SimulatedCell

CELL = SimulatedCell("bandit", (0.5, 2.0), "sgd", 0.1)
EDGES = (0.1, 0.4)
"""Success that separates the bins."""
SORTING = 32
"""Rollouts of each prompt that sort it into a bin, and serve for nothing else."""
STEPS = 10
KS = (4, 16)


class Trial(NamedTuple):
    """One simulated use of probes."""

    rate: np.ndarray
    """[B, K] estimated exchange rate of each bin"""
    error: np.ndarray
    """[B, K] its standard error"""
    exact: np.ndarray
    """[B, K] the exchange rate of the bin from the kernel at the base policy"""
    rollouts: int
    """all that were counted"""


def trials(seeds: Sequence[int], rollouts: Sequence[int], change: float = 0.03) -> dict[int, list[Trial | None]]:
    """Probes of `STEPS` sampled RLOO steps on each bin of a bandit, as long as changes pass@1 by about `change`.

    Returns:
        For each n of `rollouts`, one trial for each seed, None where the counts show a probe without progress.
    """
    advantage = advantage_of([estimators.get("rloo")], 0)

    @jax.jit
    def probed(key, mask, length):
        problem = CELL.problem(jax.random.fold_in(key, 1), jnp.asarray(CELL.mix))
        optimizer = optax.sgd(length / STEPS)

        def only_bin(rewards):
            return advantage(rewards) * mask[:, None]

        def one(state, t):
            key_step = jax.random.fold_in(key, t)
            return sampled.step(key_step, state, problem.trained, only_bin, optimizer, Update(GROUP))[0], None

        state, _ = jax.lax.scan(one, State(problem.params, optimizer.init(problem.params)), jnp.arange(STEPS))
        return problem.trained.success(state.params), problem.watched.success(state.params)

    @jax.jit
    def kernel_of(key):
        return interference.kernel(*CELL.problem(jax.random.fold_in(key, 1), jnp.asarray(CELL.mix)))

    found: dict[int, list[Trial | None]] = {n: [] for n in rollouts}
    for seed in seeds:
        key, rng = jax.random.key(seed), np.random.default_rng(seed)
        kernel = jax.tree.map(lambda x: np.asarray(x, float), kernel_of(key))
        bins, watched_bins = (
            np.digitize(rng.binomial(SORTING, p) / SORTING, EDGES) for p in (kernel.trained, kernel.watched)
        )
        gain, count = np.asarray(interference.progress(kernel)), len(EDGES) + 1
        own = np.array([bins == i for i in range(count)])
        # an update divides by the number of all prompts
        after = [probed(key, jnp.asarray(m, float), change / gain[m].sum() * m.size) for m in own]
        rows = [np.array([base, *ends]) for base, ends in zip(kernel[:2], zip(*after, strict=True), strict=True)]
        pulled = [np.asarray(interference.pull(kernel, k)) for k in KS]
        exact = np.array([[pull[m].sum() / gain[m].sum() for pull in pulled] for m in own])
        for n in rollouts:
            counted = [rng.binomial(n, np.clip(p, 0, 1)) for p in rows]
            found[n].append(_trial(probes.Counts(counted[0], counted[1], n, bins, watched_bins), exact))
    return found


def _trial(counts: probes.Counts, exact: np.ndarray) -> Trial | None:
    try:
        found = probes.exchange_rates(counts, KS)
    except InputError:
        return None
    return Trial(found.rate, found.rate_error, exact, counts.trained.size * counts.rollouts * 2)
