"""What four predictors say of a cell before any training, for every seed from its base policy.

The kernel at the base policy, the tangent kernel, exact expected steps, and those with what sampling noise costs.
Estimators differ in speed by factors, and under SGD a slow one would never reach the reading. So each run gets a
learning rate of its own: the one with which its mean field gains what is asked for after `ON_TIME` of the steps.
"""

from collections.abc import Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from ...dynamics import expected, interference
from ...metrics.passk import pass_at_k
from ...storage import store
from .cells import (
    AXES,
    DRAWS,
    ESTIMATORS,
    GROUP,
    KS,
    MARKS,
    NOISY,
    ON_TIME,
    PREDICTORS,
    Cell,
    config_of,
    coordinates,
    diagonal_of,
    entropy_change,
    observer_of,
    over_runs,
    switched,
)


def predictions(cell: Cell, seeds: Sequence[int], folder: Path, names: Sequence[str] = ESTIMATORS) -> xr.Dataset:
    """What each predictor says of each estimator and seed, from the base policy alone; kept in `folder`.

    `gain` is held-out pass@k minus the base policy's, dims (predictor, seed, estimator, mark, k); `entropy` the same of
    entropy (nats; nan under the tangent kernel, which does not follow it); `rate` the learning
    rate of the run, `base` the base policy's pass@k and `start` its training pass@1.
    """
    config = config_of(cell, seeds, names, predictions)
    return store.cached(
        folder, "interference-predictions", config, lambda: _predictions(cell, list(seeds), names, folder)
    )


def _predictions(cell: Cell, seeds: list[int], names: Sequence[str], folder: Path) -> xr.Dataset:
    marks = [mark * cell.gain for mark in MARKS]

    def one(key, params, index, gain):
        problem = cell.problem(jax.random.fold_in(key, 1), params)
        estimator = switched(names, index)
        diagonal = diagonal_of(cell, key, problem, estimator)
        kernel = interference.kernel(*problem, diagonal, entropy=cell.has_entropy)
        weight = expected.slope(estimator, GROUP, kernel.trained)
        slopes = jnp.stack([interference.slope(kernel, weight, k) for k in KS])
        of_entropy = interference.entropy_slope(kernel, weight) if cell.has_entropy else jnp.nan * slopes[0]
        # a little farther than the last mark, so that rounding of the clock does not leave it out
        tangent = interference.tangent(kernel, estimator, GROUP, gain=1.1 * gain)
        drift, time = interference.drift(
            problem.params,
            problem.trained,
            problem.watched,
            estimator,
            GROUP,
            gain=1.2 * gain,
            steps=cell.field_steps,
            diagonal=diagonal,
            observer=observer_of(cell, problem),
        )
        return slopes, of_entropy, tangent, drift, time

    found = over_runs(one, cell, seeds, names, folder, jnp.full((len(seeds), len(names)), cell.gain))
    slopes, of_entropy, tangent, drift, time = jax.tree.map(lambda x: np.asarray(x, float), found)
    count = len(seeds) * len(names)
    paths = [[jax.tree.map(lambda x, i=i: x[i], path) for i in range(count)] for path in (tangent, drift)]
    gains = [np.array([[m * s for m in marks] for s in slopes])]
    gains += [np.array([interference.gains(path, KS, tuple(marks)) for path in own]) for own in paths]
    entropies = [of_entropy[:, None] * np.array(marks), np.full((count, len(marks)), np.nan)]
    entropies += [np.array([entropy_change(path, tuple(marks)) for path in paths[1]])]
    passed = drift.trained.mean(-1)
    clock = np.array([interference.at_gain(p, t, cell.gain) for p, t in zip(passed, time, strict=True)])
    sizes = (len(seeds), len(names))
    watched = drift.watched[:, 0].reshape(*sizes, -1)[:, 0]
    return xr.Dataset(
        {
            "gain": (("predictor", *AXES), np.reshape(gains, (3, *sizes, len(MARKS), len(KS)))),
            "entropy": (("predictor", *AXES[:-1]), np.reshape(entropies, (3, *sizes, len(MARKS)))),
            "rate": (("seed", "estimator"), (clock / (ON_TIME * cell.updates)).reshape(sizes)),
            "base": (("seed", "k"), np.mean(pass_at_k(watched[..., None], np.asarray(KS)), axis=1)),
            "start": ("seed", passed[:, 0].reshape(sizes)[:, 0]),
        },
        {"predictor": list(PREDICTORS), **coordinates(seeds, names)},
    )


def noisy_predictions(cell: Cell, predicted: xr.Dataset, folder: Path) -> xr.Dataset:
    """The fourth predictor for the seeds, estimators and learning rates of `predicted`; kept in `folder`.

    Along the path of the mean field, each of the run's steps also changes pass@k, entropy and training pass@1 by the
    noise term of `interference.noise`; these add up. `gain` and `entropy` are read where training pass@1 with its noise
    has gained each mark; nan where it does not on a path that is half as long again.
    """
    seeds, names = predicted.seed.values.tolist(), predicted.estimator.values.tolist()
    rates = np.nan_to_num(predicted.rate.values).round(12)
    config = {**config_of(cell, seeds, names, noisy_predictions), "rates": rates.tolist()}
    return store.cached(folder, "interference-noise", config, lambda: _noisy(cell, seeds, names, rates, folder))


def _noisy(cell: Cell, seeds: list[int], names: list[str], rates: np.ndarray, folder: Path) -> xr.Dataset:
    def one(key, params, index, rate):
        problem = cell.problem(jax.random.fold_in(key, 1), params)
        estimator = switched(names, index)
        diagonal = diagonal_of(cell, key, problem, estimator)
        observer = observer_of(cell, problem)

        def reading(params):
            seen = observer(params)
            passed = jnp.mean(jnp.asarray(pass_at_k(seen.watched[:, None], jnp.asarray(KS))), axis=0)
            return jnp.array([jnp.mean(seen.trained), *passed, jnp.nan if seen.entropy is None else seen.entropy])

        def both(params):
            key_noise = jax.random.fold_in(key, 4)
            how = dict(rate=rate, prompts=cell.prompts_in_a_step, draws=DRAWS, diagonal=diagonal)
            cost = interference.noise(key_noise, params, problem.trained, estimator, GROUP, reading, **how)
            return reading(params), cost

        # steps as long as those of `_predictions`, half as many again
        return interference.drift(
            problem.params,
            problem.trained,
            problem.watched,
            estimator,
            GROUP,
            gain=1.8 * cell.gain,
            steps=cell.field_steps * 3 // 2,
            records=6,
            diagonal=diagonal,
            observer=both,
        )

    found = over_runs(one, cell, seeds, names, folder, rates)
    (seen, cost), time = jax.tree.map(lambda x: np.asarray(x, float), found)
    marks = [mark * cell.gain for mark in MARKS]
    with np.errstate(all="ignore"):  # where the mean field has no learning rate all that follows is nan
        updates = np.diff(time, axis=1) / rates.reshape(-1, 1)
        # the noise of a step between two records is the mean of theirs
        added = np.cumsum(updates[..., None] * (cost[:, 1:] + cost[:, :-1]) / 2, axis=1)
        readings = seen + np.concatenate([np.zeros_like(added[:, :1]), added], axis=1)
        gains = [[interference.at_gain(x[:, 0], x[:, 1:], m) - x[0, 1:] for m in marks] for x in readings]
    shaped = np.reshape(gains, (1, len(seeds), len(names), len(MARKS), len(KS) + 1))
    return xr.Dataset(
        {"gain": (("predictor", *AXES), shaped[..., :-1]), "entropy": (("predictor", *AXES[:-1]), shaped[..., -1])},
        {"predictor": [NOISY], **coordinates(seeds, names)},
    )
