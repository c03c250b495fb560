"""What the simulators predict for a replay: the transformer's base policies as a bandit and as a tree.

In the bandit every completion of a prompt has a logit of its own (Theorem 1), in the tree every token after every
prefix has one, so that completions share their prefixes; prompts share nothing in either.
"""

from collections.abc import Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import xarray as xr

from ... import estimators
from ...dynamics import Update, advantage_of, train
from ...storage import store
from ...transformer import model
from ...transformer import task as tasks
from ...worlds.bandit import Bandit
from ...worlds.tree import Tree
from .base import Report, base_models, keys_of, settings_of, shard_runs
from .training import Training

RATE = 0.3
"""Learning rate of the logits; the path through (pass@1, pass@256) hardly depends on it, the speed does."""


def as_bandit(log_policy: Sequence[jax.Array], correct: jax.Array) -> Bandit:
    """A policy over completions as a bandit over whole completions, the correct ones first.

    Args:
        log_policy: log pi of the next token at every node, `model.conditionals`.
        correct: [P, completions] True for correct completions.
    """
    order = jnp.argsort(~correct, axis=-1, stable=True)
    leaves = model.leaves(list(log_policy))
    return Bandit(jnp.take_along_axis(leaves, order, axis=-1), correct.sum(-1))


def as_tree(log_policy: Sequence[jax.Array], correct: jax.Array) -> Tree:
    """The same policy as a tree of tokens; arguments as of `as_bandit`."""
    return Tree(jnp.concatenate(list(log_policy), axis=1), correct, jnp.full(correct.shape, len(log_policy)))


WORLDS = {"bandit": as_bandit, "tree": as_tree}


def simulated(config: Training, folder: Path, report: Report, *, runs_at_once: int = 1) -> xr.Dataset:
    """The predictions for `replay.training`: success and entropy of the training prompts in both `WORLDS`.

    The base policies are those of the transformer, and groups are sampled as `symtheory.dynamics` does and trained on
    by SGD. Time is not comparable, the path is. Dims (world, estimator, seed, step, prompt).
    """
    seeds = {"seeds": config.all_seeds, "rate": RATE, "at_once": runs_at_once}
    parts = []
    for i, (name, as_world) in enumerate(WORLDS.items()):
        only = {**settings_of(config, simulated), **seeds, "world": name}
        made = store.cached(
            folder, "replay-world", only, lambda as_world=as_world: _simulated(config, as_world, runs_at_once)
        )
        parts.append(made.expand_dims(world=[name]))
        report("simulators", i + 1, len(WORLDS), 0)
    return xr.concat(parts, "world", combine_attrs="drop")  # type: ignore[return-value]


def _simulated(config: Training, as_world, runs_at_once: int) -> xr.Dataset:
    asked, model_config = config.base.make_task(), config.base.model_config()
    everything = asked.prompts()
    chain = [estimators.get(name) for name in config.estimators]
    seeds = config.all_seeds
    optimizer, update = optax.sgd(RATE), Update(config.update.group_size)

    def path(key_prompts, key, params):
        order = jax.random.permutation(key_prompts, everything.tokens.shape[0])[: config.prompts]
        prompts = tasks.pick(everything, order)
        world = as_world(
            model.conditionals(params, model_config, prompts.tokens, asked.length),
            tasks.correct_completions(asked, prompts.facts),
        )

        def of(index):
            observe = lambda params: (world.success(params), world.entropy(params))  # noqa: E731
            advantage, records = advantage_of(chain, index), config.steps // config.stride
            return train(
                key, world, advantage, optimizer, update, observe=observe, records=records, stride=config.stride
            )[1]

        return jax.lax.map(of, jnp.arange(len(chain)))

    base = base_models(config.base, len(seeds), runs_at_once)(keys_of(seeds, 0))
    success, entropy = shard_runs(path, len(seeds), runs_at_once)(keys_of(seeds, 1), keys_of(seeds, 2), base)
    dims = ("seed", "estimator", "step", "prompt")
    coords = {
        "seed": seeds,
        "estimator": list(config.estimators),
        "step": np.arange(0, config.steps + 1, config.stride),
    }
    return xr.Dataset({"success": (dims, np.asarray(success)), "entropy": (dims, np.asarray(entropy))}, coords)
