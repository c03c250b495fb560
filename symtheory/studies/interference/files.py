"""Files of predictions and of the runs that judge them (JSON)."""

import json
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from ...errors import InputError
from ...storage import store
from . import design
from .cells import AXES, ESTIMATORS, KS, MARKS, Cell
from .predictions import noisy_predictions, predictions
from .runs import measurements


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
    known, done = design.cells(), read_predictions(path) if path.exists() else {}
    for name in only or known:
        if name not in known:
            raise InputError(f"cell must be one of the design ({'; '.join(known)}), got {name!r}")
        cell, before = known[name], done.get(name)
        seeds = range(design.FIRST_SEED, design.FIRST_SEED + design.SEEDS[type(cell).__name__])
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
    known, rows = design.cells(), {row["cell"]: row for row in read(path)["cells"]} if path.exists() else {}
    by_name = read_predictions(predictions)
    for name in only or by_name:
        _check_cell(name, known, by_name, predictions)
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
    content = read(path)
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
    known, rows = design.cells(), {row["cell"]: row for row in read(path)["cells"]} if path.exists() else {}
    predicted_by_name = read_predictions(predictions)
    for name in only or predicted_by_name:
        _check_cell(name, known, predicted_by_name, predictions)
        predicted, row = predicted_by_name[name], rows.get(name, {"cell": name, "seeds": []})
        missing = [s for s in predicted.seed.values.tolist() if s not in row["seeds"]]
        if missing:
            cell, new = replace(known[name], steps=slower * known[name].steps), predicted.sel(seed=missing)
            rows[name] = _with_runs(row, measurements(cell, new.assign(rate=new.rate / slower), folder))
            _write(path, "The runs that judge the predictions of the interference law.", rows.values())
        report(name)


def _check_cell(name: str, known: Container[str], predicted: Container[str], path: Path) -> None:
    if name not in known or name not in predicted:
        raise InputError(f"cell must be one of the design and of {path}, got {name!r}")


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


def read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text())
        assert all(key in content for key in ("cells", "estimators", "marks", "ks"))
        return content
    except FileNotFoundError:
        raise InputError(f"{path} is not a file of `symtheory predict`: there is no such file") from None
    except (OSError, ValueError, AssertionError) as error:
        raise InputError(f"{path} is not a file of `symtheory predict` ({error})") from None


def read_runs(path: Path) -> dict[str, xr.Dataset]:
    """The runs in a file of `write_runs`, by the names of their cells; entropy is nan where it was not followed."""
    content = read(path)
    found = {}
    for row in content["cells"]:
        gain = np.array(row["gain"], float)
        entropy = np.array(row.get("entropy", np.full(gain.shape[:-1], np.nan)), float)
        axes = (row["seeds"], content["estimators"], content["marks"], content["ks"])
        found[row["cell"]] = xr.Dataset(
            {"gain": (AXES, gain), "entropy": (AXES[:-1], entropy)}, dict(zip(AXES, axes, strict=True))
        )
    return found
