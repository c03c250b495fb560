"""What the base policies of a cell say of every estimator, without any training: the study of `symtheory predict`."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from ... import estimators
from ...dynamics import expected, interference
from ...metrics.passk import pass_at_k
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
        the change of held-out pass@k when training pass@1 has gained `cell.gain`; `entropy_slope` (nats); for each
        trained prompt its `success`, `progress` T and `exchange_rate` rho_k; and `kernel` (seed, watched, trained), the
        mean of kappa over bins of difficulty, nan for an empty bin. nan marks what is undefined: no equal progress.

    Raises:
        InputError: base policies from which nothing can be predicted, see `interference.check`.
    """
    chain_of = [estimators.get(name) for name in names]

    def one(key, params):
        problem = cell.problem(jax.random.fold_in(key, 1), params)
        diagonal = diagonal_of(cell, key, problem, estimators.get("grpo"), group_size)
        return interference.kernel(*problem, diagonal, entropy=cell.has_entropy)

    def read(kernel):
        weight = jnp.stack([expected.slope(e, group_size, kernel.trained) for e in chain_of])
        slopes = [[interference.slope(kernel, weight, k, split) for k in ks] for split in SPLITS]
        rates = [[interference.exchange_rate(kernel, k, split) for k in ks] for split in SPLITS]
        entropy = interference.entropy_slope(kernel, weight) if cell.has_entropy else jnp.full(len(names), jnp.nan)
        return weight, jnp.array(slopes), jnp.array(rates), entropy, interference.progress(kernel)

    def followed(kernel):
        """Success of the watched prompts at the end of linearised training under each estimator, [estimators, H]."""
        paths = [interference.tangent(kernel, e, group_size, gain=cell.gain) for e in chain_of]
        return jnp.stack([path.watched[-1] for path in paths])

    keys = jax.vmap(jax.random.key)(jnp.asarray(seeds))
    params = cell.bases(seeds) if bases is None else bases
    kernels = shard_runs(one, len(seeds), 1)(keys, params)
    weight, slopes, rates, entropy, progress = jax.tree.map(np.asarray, jax.jit(jax.vmap(read))(kernels))
    for i in range(len(seeds)):
        interference.check(jax.tree.map(lambda x, i=i: x[i], kernels), weight[i])
    after = np.asarray(jax.jit(jax.vmap(followed))(kernels), float)
    before = np.asarray(kernels.watched, float)
    passed = [np.asarray(pass_at_k(p[..., None], np.asarray(ks))).mean(-2) for p in (before[:, None], after)]
    gained = passed[1] - passed[0]
    return xr.Dataset(
        {
            "slope": (("split", "k", "seed", "estimator"), np.moveaxis(slopes, 0, 2)),
            "entropy_slope": (("seed", "estimator"), entropy, {"units": "nat"}),
            "tangent": (("seed", "estimator", "k"), gained),
            "success": (("seed", "prompt"), np.asarray(kernels.trained)),
            "progress": (("seed", "prompt"), progress),
            "exchange_rate": (("split", "k", "seed", "prompt"), np.moveaxis(rates, 0, 2)),
            "kernel": (("seed", "watched", "trained"), np.array([by_bin(k) for k in _each(kernels, len(seeds))])),
        },
        {"split": list(SPLITS), "k": list(ks), "seed": list(seeds), "estimator": list(names)},
        {"gain": cell.gain, "cell": cell.name, "edges": list(EDGES)},
    )


SPLITS = ("train", "held_out")


def _each(kernels: interference.Kernel, count: int) -> list[interference.Kernel]:
    return [jax.tree.map(lambda x, i=i: np.asarray(x[i]), kernels) for i in range(count)]


def by_bin(kernel: interference.Kernel, edges: Sequence[float] = EDGES) -> np.ndarray:
    """Mean of kappa over the watched (rows) and trained (columns) prompts of each bin; nan where one is empty."""
    rows, columns = (np.digitize(p, edges[1:-1]) for p in (kernel.watched, kernel.trained))
    bins = range(len(edges) - 1)
    blocks = [[kernel.across[rows == i][:, columns == j] for j in bins] for i in bins]
    return np.array([[block.mean() if block.size else np.nan for block in row] for row in blocks])
