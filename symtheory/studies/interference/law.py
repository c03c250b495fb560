"""What the base policies of a cell say of every estimator, without any training: the study of `symtheory predict`."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from ... import estimators
from ...dynamics import interference
from ...dynamics.devices import quick_jit
from ..transformer.base import shard_runs
from .cells import GROUP, KS, Cell, diagonal_of

EDGES = (0.0, 0.02, 0.2, 0.6, 1.0)
"""Edges of the bins of difficulty, by success under the base policy."""


def law(
    cell: Cell,
    seeds: Sequence[int],
    names: Sequence[str],
    *,
    ks: Sequence[int] = KS,
    group_size: int = GROUP,
    bases: Any = None,
) -> xr.Dataset:
    """What the base policies of `cell` say of every estimator, without any training.

    Args:
        cell: its `gain` is how far the tangent kernel is followed.
        seeds: one base policy and one choice of prompts each.
        names: registered estimators.
        ks: of pass@k.
        group_size: G.
        bases: parameters of given base models with a leading axis of `seeds`, in place of the cell's own.

    Returns:
        Dataset with `slope` (seed, estimator, split, k), d pass@k / d training pass@1; `tangent` (seed, estimator, k),
        the change of held-out pass@k when linearised training has gained `cell.gain`, nan if it never does;
        `entropy_slope` (nats); for each trained prompt its `success`, `progress` T and `exchange_rate` rho_k; and
        `kernel` (seed, watched, trained), the mean of kappa over bins of difficulty, nan for an empty bin. nan marks
        what is undefined: no equal progress.

    Raises:
        InputError: base policies from which nothing can be predicted, see `interference.check`.
    """
    chain_of = [estimators.get(name) for name in names]

    def one(key, params):
        problem = cell.problem(jax.random.fold_in(key, 1), params)
        diagonal = diagonal_of(cell, key, problem, estimators.get("grpo"), group_size)
        return interference.kernel(*problem, diagonal, entropy=cell.has_entropy)

    def read(kernel):
        # a little farther than the gain, so that rounding of the clock does not leave it out
        path, weight = interference.tangents(kernel, chain_of, group_size, gain=1.1 * cell.gain)
        slopes = [[interference.slope(kernel, weight, k, split) for k in ks] for split in SPLITS]
        rates = [[interference.exchange_rate(kernel, k, split) for k in ks] for split in SPLITS]
        entropy = interference.entropy_slope(kernel, weight) if cell.has_entropy else jnp.full(len(names), jnp.nan)
        return path, weight, jnp.array(slopes), jnp.array(rates), entropy

    once = partial(quick_jit, once=True)
    keys = jax.vmap(jax.random.key)(jnp.asarray(seeds))
    params = cell.bases(seeds) if bases is None else bases
    kernels = jax.tree.map(np.asarray, shard_runs(one, len(seeds), 1, once)(keys, params))
    path, weight, slopes, rates, entropy = jax.tree.map(np.asarray, once(partial(jax.lax.map, read))(kernels))
    each = [jax.tree.map(lambda x, i=i: x[i], kernels) for i in range(len(seeds))]
    for own, of_own in zip(each, weight, strict=True):
        interference.check(own, of_own)
    reached = [_at_gain(jax.tree.map(lambda x, i=i: x[i], path), ks, cell.gain) for i in range(len(seeds))]
    return xr.Dataset(
        {
            "slope": (("split", "k", "seed", "estimator"), np.moveaxis(slopes, 0, 2)),
            "entropy_slope": (("seed", "estimator"), entropy, {"units": "nat"}),
            "tangent": (("seed", "estimator", "k"), np.stack(reached)),
            "success": (("seed", "prompt"), np.asarray(kernels.trained)),
            "progress": (("seed", "prompt"), np.stack([interference.progress(own) for own in each])),
            "exchange_rate": (("split", "k", "seed", "prompt"), np.moveaxis(rates, 0, 2)),
            "kernel": (("seed", "watched", "trained"), np.array([by_bin(own) for own in each])),
        },
        {"split": list(SPLITS), "k": list(ks), "seed": list(seeds), "estimator": list(names)},
        {"gain": cell.gain, "cell": cell.name, "edges": list(EDGES)},
    )


SPLITS = ("train", "held_out")


def _at_gain(paths: interference.Path, ks: Sequence[int], gain: float) -> np.ndarray:
    """Changes of held-out pass@k where each of E paths has gained `gain`, [E, ks]."""
    count = paths.trained.shape[1]
    each = [jax.tree.map(lambda x, e=e: x[:, e], paths) for e in range(count)]
    return np.stack([interference.gains(path, tuple(ks), (gain,))[0] for path in each])


def by_bin(kernel: interference.Kernel, edges: Sequence[float] = EDGES) -> np.ndarray:
    """Mean of kappa over the watched (rows) and trained (columns) prompts of each bin; nan where one is empty."""
    rows, columns = (np.digitize(p, edges[1:-1]) for p in (kernel.watched, kernel.trained))
    bins = range(len(edges) - 1)
    blocks = [[kernel.across[rows == i][:, columns == j] for j in bins] for i in bins]
    return np.array([[block.mean() if block.size else np.nan for block in row] for row in blocks])
