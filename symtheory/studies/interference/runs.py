"""The runs that judge predictions, as trainers make them: sampled groups, mini-batches, clipping, Adam's memory."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from ...dynamics import advantage_of, interference
from ...storage import store
from .cells import AXES, KS, MARKS, Cell, config_of, coordinates, entropy_change, observer_of, over_runs, switched


def measurements(cell: Cell, predicted: xr.Dataset, folder: Path) -> xr.Dataset:
    """The sampled runs that judge `predicted`, with its seeds, estimators and learning rates; kept in `folder`.

    `gain` and `entropy` are read at the marks, nan where a run does not reach one; `passed` is training
    pass@1 at every record.
    """
    seeds, names = predicted.seed.values.tolist(), predicted.estimator.values.tolist()
    config = {
        **config_of(cell, seeds, names, measurements),
        "rates": np.nan_to_num(predicted.rate.values).round(12).tolist(),
    }
    return store.cached(folder, "interference-runs", config, lambda: _measurements(cell, predicted, folder))


def _measurements(cell: Cell, predicted: xr.Dataset, folder: Path) -> xr.Dataset:
    seeds, names = predicted.seed.values.tolist(), predicted.estimator.values.tolist()
    stride = cell.steps // cell.records

    def one(key, params, index, rate):
        problem = cell.problem(jax.random.fold_in(key, 1), params)
        advantage = advantage_of([switched(names, index)], 0)
        observe = observer_of(cell, problem)

        def one_step(state, t):
            return cell.step(jax.random.fold_in(jax.random.fold_in(key, 2), t), state, problem, advantage, rate), None

        def one_record(state, first):
            return jax.lax.scan(one_step, state, first + jnp.arange(stride))[0], observe(state.params)

        state, path = jax.lax.scan(one_record, cell.start(problem.params), stride * jnp.arange(cell.records))
        return jax.tree.map(lambda a, b: jnp.concatenate([a, b[None]]), path, observe(state.params))

    found = over_runs(one, cell, seeds, names, folder, np.nan_to_num(predicted.rate.values))
    marks, sizes = tuple(mark * cell.gain for mark in MARKS), (len(seeds), len(names))
    found = jax.tree.map(lambda x: np.asarray(x, float), found)
    paths = [jax.tree.map(lambda x, i=i: x[i], found) for i in range(len(seeds) * len(names))]
    gain, entropy = (
        [read(path) for path in paths]
        for read in (lambda path: interference.gains(path, KS, marks), lambda path: entropy_change(path, marks))
    )
    return xr.Dataset(
        {
            "gain": (AXES, np.reshape(gain, (*sizes, len(MARKS), len(KS)))),
            "entropy": (AXES[:-1], np.reshape(entropy, (*sizes, len(MARKS)))),
            "passed": (("seed", "estimator", "record"), found.trained.mean(-1).reshape(*sizes, -1)),
        },
        coordinates(seeds, names),
    )
