"""The design of the test of the interference law, its files, and how predictions are judged. All of it is fixed first.

New ground: seeds from 5000 on, none of which any other study of this package uses; base competences, sizes, tasks,
difficulty mixes and optimisers crossed as far as a small machine affords. Gains were set by GRPO's training pass@1 on
two pilot seeds, in one cell of each kind; no held-out pass@k was looked at.

What counts, for every cell, k and mark, over the seeds that reach the mark under every estimator:

- *order*: held-out pass@k of the estimators that favour hard prompts (Hard-Focused, Positive-Dominant), minus that of
  those that favour easy ones (Easy-Focused, Negative-Dominant, A-GRAE). The sign is judged where the 95% interval over
  seeds of the measured one excludes 0.
- *level*: held-out pass@k under GRPO minus the base policy's, judged in the same way.
- *beside GRPO*: pass@k of each other estimator minus GRPO's, mean over seeds: rank correlation in each cell, and the
  share of the variance over all cells that a prediction explains, taken as it is (no fitted factor) and with one.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from ..errors import InputError
from ..metrics.intervals import Interval, bootstrap
from ..storage import store
from .interference import (
    AXES,
    ESTIMATORS,
    KS,
    MARKS,
    Cell,
    SimulatedCell,
    TransformerCell,
    measurements,
    noisy_predictions,
    predictions,
)
from .transformer.base import Base

FIRST_SEED = 5000
SEEDS = {"SimulatedCell": 14, "TransformerCell": 10}
"""Seeds of a cell of each kind: 10 and 6 in the first test, four more in the second, which also predicts entropy."""
HARD = ("hard_focused", "positive_dominant")
EASY = ("easy_focused", "negative_dominant", "agrae")
MIXES = ((0.5, 2.0), (1.0, 1.0), (2.0, 0.7), (0.4, 0.4))
"""Beta(a, b) of the simulated populations: mostly hard, even, mostly easy, hard or easy."""


def _transformer(task: str, pretraining: int, size: tuple[int, int], optimizer, gain: float, **options) -> Cell:
    layers, width = size
    return TransformerCell(Base(task, layers, width, steps=pretraining), optimizer, gain, **options)


LARGE, SMALL = (2, 64), (1, 32)
SATURATED = (("tree", (2.0, 0.7)), ("tree", (0.4, 0.4)))
"""Populations in which the mean field cannot gain 0.1: read at half of it."""
SIMULATED = tuple(
    SimulatedCell(world, mix, optimizer, 0.05 if (world, mix) in SATURATED else 0.1)
    for world in ("bandit", "tree")
    for optimizer in ("sgd", "adam")
    for mix in MIXES
)
"""All of the factors crossed."""
FINE = {"field_steps": 24}
TRANSFORMER = (
    _transformer("expression", 150, SMALL, "sgd", 0.03),
    _transformer("expression", 800, SMALL, "sgd", 0.08, **FINE),
    _transformer("addition", 60, SMALL, "adam", 0.08, **FINE),
    _transformer("expression", 300, SMALL, "adam", 0.08, **FINE),
    _transformer("congruence", 100, SMALL, "sgd", 0.08, field_steps=48),
    _transformer("congruence", 300, SMALL, "sgd", 0.05, **FINE),
    _transformer("expression", 1600, SMALL, "adam", 0.08),
    _transformer("addition", 60, LARGE, "sgd", 0.08),
    _transformer("expression", 300, LARGE, "sgd", 0.08, field_steps=16),
    # added for the second test
    _transformer("expression", 300, SMALL, "sgd", 0.08, **FINE),
    _transformer("addition", 120, SMALL, "sgd", 0.08, **FINE),
    _transformer("expression", 150, SMALL, "adam", 0.03),
    _transformer("congruence", 300, SMALL, "adam", 0.05, **FINE),
    _transformer("expression", 1600, SMALL, "sgd", 0.08, **FINE),
    _transformer("expression", 150, LARGE, "adam", 0.03, field_steps=16),
    _transformer("expression", 800, LARGE, "sgd", 0.08, **FINE),
)
"""A fraction of task x competence x size x optimiser: the small size more often, since it costs a quarter."""


def cells() -> dict[str, Cell]:
    """Every cell of the test by name, the cheap ones first."""
    return {cell.name: cell for cell in (*SIMULATED, *TRANSFORMER)}


def as_json(cell: Cell, predicted: xr.Dataset) -> dict[str, Any]:
    """The predictions of one cell as plain data, six digits."""
    by_predictor = {
        name: {str(p): _rounded(predicted[of].sel(predictor=p)) for p in predicted.predictor.values}
        for name, of in (("prediction", "gain"), ("entropy", "entropy"))
    }
    return {
        "cell": cell.name,
        "kind": type(cell).__name__,
        **asdict(cell),
        "seeds": predicted.seed.values.tolist(),
        "start": _rounded(predicted.start),
        "base": _rounded(predicted.base),
        "rate": _rounded(predicted.rate, 12),
        **by_predictor,
    }


def _rounded(values, digits: int = 6) -> list:
    """As nested lists, with None for nan."""
    rounded = np.round(np.asarray(values, float), digits)
    plain = rounded.astype(object)
    plain[~np.isfinite(rounded)] = None
    return plain.tolist()


def write_predictions(
    path: Path, folder: Path, report: Callable[[str], None] = lambda name: None, only: Sequence[str] = ()
) -> None:
    """Predict what `path` (JSON) lacks of the design, or of `only` these cells, and write it after each cell.

    What lies in the file is never predicted again: cells that it lacks are added, and to the others the seeds that it
    lacks. Finished parts lie in `folder`.
    """
    known, done = cells(), read_predictions(path) if path.exists() else {}
    for name in only or known:
        cell, before = known[name], done.get(name)
        seeds = range(FIRST_SEED, FIRST_SEED + SEEDS[type(cell).__name__])
        missing = [s for s in seeds if before is None or s not in before.seed.values]
        if missing:
            new = predictions(cell, missing, folder)
            done[name] = new if before is None else xr.concat([before, new], "seed")
            rows = [as_json(known[n], dataset) for n, dataset in done.items()]
            _write(path, "Predictions of the interference law, written before the runs that judge them.", rows)
        report(name)


def write_noise(
    predictions: Path,
    path: Path,
    folder: Path,
    report: Callable[[str], None] = lambda name: None,
    only: Sequence[str] = (),
) -> None:
    """Write what the fourth predictor says of the cells (all, or `only` these) of a file of predictions.

    Cells that lie in `path` (JSON) are not predicted again.
    """
    known, rows = cells(), {row["cell"]: row for row in _read(path)["cells"]} if path.exists() else {}
    by_name = read_predictions(predictions)
    for name in only or by_name:
        predicted = by_name[name]
        if name not in rows:
            noisy = noisy_predictions(known[name], predicted, folder)
            rows[name] = as_json(known[name], predicted.drop_dims("predictor").merge(noisy))
            _write(path, "What sampling noise adds to the mean field, written before it was compared.", rows.values())
        report(name)


def _write(path: Path, about: str, rows: Iterable[Mapping[str, Any]]) -> None:
    content = {
        "about": about,
        "axes": "prediction or gain: change of held-out pass@k by seed, estimator, mark, k; entropy: change in nats by "
        "seed, estimator, mark; base: pass@k; passed: training pass@1 by seed, estimator, record",
        "estimators": list(ESTIMATORS),
        "marks": list(MARKS),
        "ks": list(KS),
        "cells": list(rows),
    }
    with store.replacing(path) as partial:
        partial.write_text(json.dumps(content, separators=(",", ":")).replace('{"cell"', '\n{"cell"') + "\n")


def read_predictions(path: Path) -> dict[str, xr.Dataset]:
    """The predictions in a file of `write_predictions` or `write_noise`, by the names of their cells."""
    content = _read(path)
    names, marks, ks = content["estimators"], content["marks"], content["ks"]
    try:
        return {row["cell"]: _dataset(row, names, marks, ks) for row in content["cells"]}
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path} is not a file of predictions ({error}); `symtheory predict write` makes one"
        ) from None


def _dataset(row: Mapping[str, Any], names, marks, ks) -> xr.Dataset:
    predictors = list(row["prediction"])
    gain = np.array([row["prediction"][name] for name in predictors], float)
    nothing = np.full(gain.shape[1:-1], np.nan)  # of the first test, which did not follow entropy
    entropy = np.array([row.get("entropy", {}).get(name, nothing) for name in predictors], float)
    return xr.Dataset(
        {
            "gain": (("predictor", *AXES), gain),
            "entropy": (("predictor", *AXES[:-1]), entropy),
            "rate": (("seed", "estimator"), np.array(row["rate"], float)),
            "base": (("seed", "k"), np.array(row["base"], float)),
            "start": ("seed", np.array(row["start"], float)),
        },
        {"predictor": predictors, "seed": row["seeds"], "estimator": names, "mark": marks, "k": ks},
    )


def judged(predicted: xr.Dataset, measured: xr.Dataset) -> xr.Dataset:
    """Prediction and measurement of one cell side by side; `predictor` gains the row "runs".

    Seeds in which an estimator does not reach a mark are left out there, for all estimators; `seeds` says how many
    are left. `order`, `level` and `beside` are those of the module's docstring, on a first dimension `statistic`.
    """
    runs = measured.gain.expand_dims(predictor=["runs"])
    gain = xr.concat([predicted.gain, runs], "predictor")
    kept = gain.notnull().all(dim=("predictor", "estimator", "k"))
    gain = gain.where(kept)
    order = gain.sel(estimator=list(HARD)).mean("estimator") - gain.sel(estimator=list(EASY)).mean("estimator")
    level = gain.sel(estimator="grpo", drop=True)
    beside = (gain - level).drop_sel(estimator="grpo")
    values = {"order": order, "level": level, "beside": beside}
    return xr.Dataset({**{key: _over_seeds(x) for key, x in values.items()}, "seeds": kept.sum("seed")})


def _over_seeds(values: xr.DataArray) -> xr.DataArray:
    """Mean and 95% bootstrap interval over the seeds that are not nan, marks being taken one by one."""

    def one(x):
        x = x.dropna("seed").transpose("seed", ...)
        nothing = x.isel(seed=0, drop=True).values * np.nan if x.sizes["seed"] else np.full(x.shape[1:], np.nan)
        found = bootstrap(x.values) if x.sizes["seed"] > 1 else Interval(nothing, nothing, nothing)
        coords = {dim: x[dim] for dim in x.dims[1:]}
        return xr.DataArray(np.array(found), dims=("statistic", *x.dims[1:]), coords=coords)

    parts = [one(values.sel(mark=mark)) for mark in values.mark.values]
    return xr.concat(parts, values.mark).assign_coords(statistic=list(Interval._fields))


def write_runs(
    predictions: Path,
    path: Path,
    folder: Path,
    report: Callable[[str], None] = lambda name: None,
    *,
    only: Sequence[str] = (),
    slower: int = 1,
) -> None:
    """Make the runs that judge a file of predictions and write `path` (JSON) after each cell.

    Seeds that lie in `path` are not run again; delete it to have them all made anew.

    Args:
        predictions, path: files.
        folder: where finished parts are kept.
        report: called with the name of each cell when it is done.
        only: names of cells; all of them if none is named.
        slower: factor by which learning rates are divided and steps multiplied. With it the same way is gone with less
            sampling noise, which is all that it changes in the mean field.
    """
    known, rows = cells(), {row["cell"]: row for row in _read(path)["cells"]} if path.exists() else {}
    predicted_by_name = read_predictions(predictions)
    for name in only or predicted_by_name:
        if name not in known or name not in predicted_by_name:
            raise InputError(f"cell must be one of the design and of {predictions}, got {name!r}")
        predicted, row = predicted_by_name[name], rows.get(name, {"cell": name, "seeds": []})
        missing = [s for s in predicted.seed.values.tolist() if s not in row["seeds"]]
        if missing:
            cell, new = replace(known[name], steps=slower * known[name].steps), predicted.sel(seed=missing)
            rows[name] = _with_runs(row, measurements(cell, new.assign(rate=new.rate / slower), folder))
            _write(path, "The runs that judge the predictions of the interference law.", rows.values())
        report(name)


def _with_runs(row: Mapping[str, Any], measured: xr.Dataset) -> dict[str, Any]:
    """The runs of one cell with those of more seeds; entropy of the first test is not known."""
    unknown = _rounded(np.full((len(row["seeds"]), *measured.entropy.shape[1:]), np.nan))
    return {
        "cell": row["cell"],
        "seeds": row["seeds"] + measured.seed.values.tolist(),
        "gain": row.get("gain", []) + _rounded(measured.gain),
        "entropy": row.get("entropy", unknown) + _rounded(measured.entropy),
        "passed": row.get("passed", []) + _rounded(measured.passed, 4),
    }


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text())
        assert all(key in content for key in ("cells", "estimators", "marks", "ks"))
        return content
    except (OSError, ValueError, AssertionError) as error:
        raise InputError(f"{path} is not a file of `symtheory predict` ({error})") from None


def judge(predictions: Path, runs: Path) -> xr.Dataset:
    """Hold the runs in a file of `write_runs` against a file of predictions, by cell; see `judged`."""
    content, predicted = _read(runs), read_predictions(predictions)
    dims = {"seed": None, "estimator": content["estimators"], "mark": content["marks"], "k": content["ks"]}
    parts = {}
    for row in content["cells"]:
        gain = xr.DataArray(np.array(row["gain"], float), {**dims, "seed": row["seeds"]}, list(dims))
        parts[row["cell"]] = judged(predicted[row["cell"]], xr.Dataset({"gain": gain}))
    return xr.concat(list(parts.values()), xr.DataArray(list(parts), dims="cell", name="cell"))  # type: ignore[return-value]


QUANTITIES = ("order", "level", "beside")


def agreement(outcome: xr.Dataset, mark: float = MARKS[-1]) -> xr.Dataset:
    """How well each predictor did over the cells of `judge`, with 95% intervals from a bootstrap over cells.

    Dims (statistic, predictor): `order_signs` and `level_signs`, share of signs right where the measured one is clear
    of zero, at `mark` and over all k; `rank`, mean over cells and k of the rank correlation of the six estimators;
    `explained`, 1 - sum (m - p)^2 / sum (m - mean m)^2 of the differences from GRPO as they are predicted; `r2` and
    `factor`, squared correlation and slope of measured on predicted. `clear` has the number of signs judged.
    """
    at = outcome.sel(mark=mark)
    runs = at.sel(predictor="runs")
    found = {}
    for predictor in (p for p in outcome.predictor.values if p != "runs"):
        own = at.sel(predictor=predictor)
        per_cell = [_cell_sums(runs.isel(cell=i), own.isel(cell=i)) for i in range(at.sizes["cell"])]
        sums = {key: np.array([cell[key] for cell in per_cell]) for key in per_cell[0]}
        draws = np.random.default_rng(0).integers(len(per_cell), size=(2000, len(per_cell)))
        resampled = _readings({key: x[draws].sum(1) for key, x in sums.items()})
        whole = _readings({key: x.sum(0) for key, x in sums.items()})
        found[predictor] = {key: [float(whole[key]), *np.nanquantile(resampled[key], [0.025, 0.975])] for key in whole}
    clear = {f"{q}_clear": float(sum(c[f"{q}_clear"] for c in per_cell)) for q in ("order", "level")}
    names = list(found)
    variables = {key: (("predictor", "statistic"), [found[n][key] for n in names]) for key in found[names[0]]}
    return xr.Dataset(variables, {"predictor": names, "statistic": list(Interval._fields)}, clear)


def _cell_sums(runs: xr.Dataset, own: xr.Dataset) -> dict[str, float]:
    """What the readings of `agreement` are made of, summed over k and estimators of one cell."""
    sums: dict[str, float] = {}
    for quantity in ("order", "level"):
        mean, low, high = (runs[quantity].sel(statistic=s).values for s in Interval._fields)
        clear = (low > 0) | (high < 0)
        right = np.sign(own[quantity].sel(statistic="mean").values) == np.sign(mean)
        sums |= {f"{quantity}_clear": float(clear.sum()), f"{quantity}_right": float((clear & right).sum())}
    m, p = (x.beside.sel(statistic="mean").transpose("k", "estimator").values for x in (runs, own))
    ranks = [_rank(a, b) for a, b in zip(m, p, strict=True)]
    ranks = [r for r in ranks if np.isfinite(r)]
    sums |= {"rank": float(sum(ranks)), "ranks": float(len(ranks))}
    m, p = (x[np.isfinite(m) & np.isfinite(p)] for x in (m, p))
    moments = {"n": m.size, "m": m.sum(), "p": p.sum(), "mm": (m**2).sum(), "pp": (p**2).sum(), "mp": (m * p).sum()}
    return sums | {key: float(x) for key, x in moments.items()}


def _rank(measured: np.ndarray, predicted: np.ndarray) -> float:
    """Rank correlation over the estimators, GRPO (no difference from itself) included; nan if nothing differs."""
    from scipy.stats import spearmanr

    both = np.append(measured, 0), np.append(predicted, 0)
    if not np.isfinite(both).all() or np.ptp(both[0]) == 0 or np.ptp(both[1]) == 0:
        return np.nan
    return float(np.asarray(spearmanr(*both)[0]))


def _readings(s: Mapping[str, Any]) -> dict[str, Any]:
    with np.errstate(all="ignore"):
        variance, spread = s["mm"] - s["m"] ** 2 / s["n"], s["pp"] - s["p"] ** 2 / s["n"]
        shared = s["mp"] - s["m"] * s["p"] / s["n"]
        return {
            "order_signs": s["order_right"] / s["order_clear"],
            "level_signs": s["level_right"] / s["level_clear"],
            "rank": s["rank"] / s["ranks"],
            "explained": 1 - (s["mm"] - 2 * s["mp"] + s["pp"]) / variance,
            "r2": shared**2 / (variance * spread),
            "factor": shared / spread,
        }


def failures(outcome: xr.Dataset) -> list[dict[str, Any]]:
    """Every sign that a predictor had wrong where the runs' 95% interval excludes 0, as plain rows."""
    rows = []
    for quantity in ("order", "level"):
        x = outcome[quantity].stack(place=("cell", "mark", "k"))
        mean, low, high = (x.sel(statistic=s, predictor="runs") for s in Interval._fields)
        clear = ((low > 0) | (high < 0)).values
        for predictor in (p for p in outcome.predictor.values if p != "runs"):
            guess = x.sel(statistic="mean", predictor=predictor)
            wrong = clear & (np.sign(guess.values) != np.sign(mean.values))
            rows += [
                {
                    "quantity": quantity,
                    "predictor": str(predictor),
                    **dict(zip(("cell", "mark", "k"), x.place.values[i], strict=True)),
                    "predicted": float(guess[i]),
                    "measured": [float(v[i]) for v in (mean, low, high)],
                }
                for i in np.flatnonzero(wrong)
            ]
    return rows
