"""How predictions are judged by runs.

What counts, for every cell, k and mark, over the seeds that reach the mark under every estimator:

- *order*: held-out pass@k of the estimators that favour hard prompts (Hard-Focused, Positive-Dominant), minus that of
  those that favour easy ones (Easy-Focused, Negative-Dominant, A-GRAE). The sign is judged where the 95% interval over
  seeds of the measured one excludes 0.
- *level*: held-out pass@k under GRPO minus the base policy's, judged in the same way.
- *beside GRPO*: pass@k of each other estimator minus GRPO's, mean over seeds: rank correlation in each cell, and the
  share of the variance over all cells that a prediction explains, taken as it is (no fitted factor) and with one.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import xarray as xr

from ...metrics.intervals import Interval, bootstrap
from .cells import MARKS
from .files import read_predictions, read_runs

HARD = ("hard_focused", "positive_dominant")
EASY = ("easy_focused", "negative_dominant", "agrae")


def judged(predicted: xr.Dataset, measured: xr.Dataset) -> xr.Dataset:
    """Prediction and measurement of one cell side by side; `predictor` gains the row "runs".

    Seeds in which an estimator does not reach a mark are left out there, for all estimators; `seeds` says how many
    are left. `order`, `level` and `beside` are those of the module's docstring, on a first dimension `statistic`.
    """
    runs = measured.gain.expand_dims(predictor=["runs"])
    gain = xr.concat([predicted.gain, runs], "predictor", join="inner")
    kept = gain.notnull().all(dim=("predictor", "estimator", "k"))
    gain = gain.where(kept)
    order = gain.sel(estimator=list(HARD)).mean("estimator") - gain.sel(estimator=list(EASY)).mean("estimator")
    level = gain.sel(estimator="grpo", drop=True)
    beside = (gain - level).drop_sel(estimator="grpo")
    values = {"order": order, "level": level, "beside": beside}
    return xr.Dataset({**{key: _over_seeds(x) for key, x in values.items()}, "seeds": kept.sum("seed")})


def _over_seeds(values: xr.DataArray) -> xr.DataArray:
    """Mean over the seeds that are not nan, marks being taken one by one, and a 95% bootstrap interval for the runs."""

    def one(x):
        x = x.dropna("seed").transpose("seed", "predictor", ...)
        mean, low, high = np.full((3, *x.shape[1:]), np.nan)
        runs = x.indexes["predictor"].get_loc("runs")
        if x.sizes["seed"] > 1:
            mean[:] = x.mean("seed")
            _, low[runs], high[runs] = bootstrap(x.values[:, runs])
        return xr.DataArray(
            np.stack([mean, low, high]),
            dims=("statistic", *x.dims[1:]),
            coords={dim: x[dim] for dim in x.dims[1:]},
        )

    parts = [one(values.sel(mark=mark)) for mark in values.mark.values]
    return xr.concat(parts, values.mark).assign_coords(statistic=list(Interval._fields))


def judge(
    predictions: Path, runs: Path, *, noise: Path | None = None, of: Literal["gain", "entropy"] = "gain"
) -> xr.Dataset:
    """Hold the runs in a file of `write_runs` against a file of predictions, by cell; see `judged`.

    Args:
        predictions, runs: the files.
        noise: a file of `write_noise`; its predictor is judged beside the others, in the cells and seeds that it has.
        of: held-out pass@k, or the entropy of the held-out prompts (nats; dimension k is then one dummy), in the seeds
            and cells where it was followed, by the predictors that follow it.
    """
    predicted, measured = read_predictions(predictions), read_runs(runs)
    more = {} if noise is None else read_predictions(noise)
    parts = {}
    for name, own in measured.items():
        told = predicted[name]
        if noise is not None:
            if name not in more:
                continue
            told = xr.concat([told[VALUES], more[name][VALUES]], "predictor", join="inner")
        told, own = xr.align(told[VALUES], own[VALUES], join="inner", exclude=("predictor",))
        if of == "entropy":
            told, own = (_as_gain(x.entropy).dropna("seed", how="all") for x in (told, own))
            told = told.dropna("predictor", how="all")
        if told.sizes["seed"] and own.sizes["seed"]:
            parts[name] = judged(told, own)
    return xr.concat(list(parts.values()), xr.DataArray(list(parts), dims="cell", name="cell"))  # type: ignore[return-value]


VALUES = ["gain", "entropy"]


def _as_gain(entropy: xr.DataArray) -> xr.Dataset:
    """Changes of entropy in the place of gains of pass@k."""
    return entropy.expand_dims(k=[0], axis=entropy.ndim).to_dataset(name="gain")


QUANTITIES = ("order", "level", "beside")


def agreement(outcome: xr.Dataset, mark: float = MARKS[-1]) -> xr.Dataset:
    """How well each predictor did over the cells of `judge`, with 95% intervals from a bootstrap over cells.

    Dims (statistic, predictor): `order_signs` and `level_signs`, share of signs right where the measured one is clear
    of zero, at `mark` and over all k; `rank`, mean over cells and k of the rank correlation of the six estimators;
    `explained`, 1 - sum (m - p)^2 / sum (m - mean m)^2 of the differences from GRPO as they are predicted; `r2` and
    `factor`, squared correlation and slope of measured on predicted. Attributes: `order_clear` has the number of signs
    judged, `order_cells` that of cells they are from, and `order_usual` the share that is right if the commoner sign is
    guessed everywhere; `level_...` likewise.
    """
    found, by_predictor = {}, _sums_by_cell(outcome, mark)
    for predictor, sums in by_predictor.items():
        draws = np.random.default_rng(0).integers(outcome.sizes["cell"], size=(2000, outcome.sizes["cell"]))
        resampled = _readings({key: x[draws].sum(1) for key, x in sums.items()})
        whole = _readings({key: x.sum(0) for key, x in sums.items()})
        found[predictor] = {key: [float(whole[key]), *np.nanquantile(resampled[key], [0.025, 0.975])] for key in whole}
    sums = next(iter(by_predictor.values()))
    clear = {}
    for q in ("order", "level"):
        clear[f"{q}_clear"] = count = float(sums[f"{q}_clear"].sum())
        clear[f"{q}_cells"] = float((sums[f"{q}_clear"] > 0).sum())
        up = float(sums[f"{q}_up"].sum())
        clear[f"{q}_usual"] = max(up, count - up) / count if count else np.nan
    names = list(found)
    variables = {key: (("predictor", "statistic"), [found[n][key] for n in names]) for key in found[names[0]]}
    return xr.Dataset(variables, {"predictor": names, "statistic": list(Interval._fields)}, clear)


def leaving_one_out(outcome: xr.Dataset, predictor: str, mark: float = MARKS[-1]) -> dict[str, float]:
    """Variance of the differences from GRPO that `predictor` explains in the other cells, by the cell left out.

    Cells in which no difference could be read are not left out; nothing with fewer than two others.
    """
    sums = _sums_by_cell(outcome, mark)[predictor]
    read = np.flatnonzero(sums["n"])
    if len(read) < 3:
        return {}
    rest = _readings({key: x[read].sum() - x[read] for key, x in sums.items()})
    return dict(zip(map(str, outcome.cell.values[read]), rest["explained"].tolist(), strict=True))


def _sums_by_cell(outcome: xr.Dataset, mark: float) -> dict[str, dict[str, np.ndarray]]:
    """`_cell_sums` of each predictor, [cells]."""
    at = outcome.sel(mark=mark, statistic=list(Interval._fields)).transpose("cell", "statistic", "k", ...)
    values = {p: {q: at[q].sel(predictor=p).values for q in QUANTITIES} for p in at.predictor.values}
    runs, found = values.pop("runs"), {}
    for predictor, own in values.items():
        cells = ([{q: x[i] for q, x in one.items()} for one in (runs, own)] for i in range(at.sizes["cell"]))
        per_cell = [_cell_sums(*both) for both in cells]
        found[predictor] = {key: np.array([cell[key] for cell in per_cell]) for key in per_cell[0]}
    return found


def _cell_sums(runs: Mapping[str, np.ndarray], own: Mapping[str, np.ndarray]) -> dict[str, float]:
    """What the readings of `agreement` are made of, summed over k and estimators of one cell.

    Quantities of the runs and of a predictor: [statistic, k], that beside GRPO [statistic, k, estimator].
    """
    sums: dict[str, float] = {}
    for quantity in ("order", "level"):
        mean, low, high = runs[quantity]
        clear = (low > 0) | (high < 0)
        right = np.sign(own[quantity][0]) == np.sign(mean)
        counts = {"clear": clear, "right": clear & right, "up": clear & (mean > 0)}
        sums |= {f"{quantity}_{key}": float(x.sum()) for key, x in counts.items()}
    m, p = (x["beside"][0] for x in (runs, own))
    ranks = [_rank(a, b) for a, b in zip(m, p, strict=True)]
    ranks = [r for r in ranks if np.isfinite(r)]
    sums |= {"rank": float(sum(ranks)), "ranks": float(len(ranks))}
    m, p = (x[np.isfinite(m) & np.isfinite(p)] for x in (m, p))
    moments = {"n": m.size, "m": m.sum(), "p": p.sum(), "mm": (m**2).sum(), "pp": (p**2).sum(), "mp": (m * p).sum()}
    return sums | {key: float(x) for key, x in moments.items()}


def _rank(measured: np.ndarray, predicted: np.ndarray) -> float:
    """Rank correlation over the estimators, GRPO (no difference from itself) included; nan if nothing differs."""
    from scipy.stats import rankdata

    both = np.append(measured, 0), np.append(predicted, 0)
    if not np.isfinite(both).all() or np.ptp(both[0]) == 0 or np.ptp(both[1]) == 0:
        return np.nan
    return float(np.corrcoef(*map(rankdata, both))[0, 1])


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
