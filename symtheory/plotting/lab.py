"""Charts of the difficulty lab."""

import xarray as xr

from ..experiments.study import KS
from ..metrics.intervals import bootstrap
from .page import Mark, band, chart, curve, dots, ink
from .style import look

POPULATIONS = {"train": "training prompts", "held_out": "held-out prompts"}


def course(paths: xr.Dataset, population: str, k: int, runs: xr.Dataset | None = None) -> str:
    """pass@k over steps. `paths` is the mean field; `runs` are sampled, drawn as mean and interval over seeds."""
    values = paths.pass_at_k.sel(k=k, population=population)
    marks = _curves(paths.step.values, values)
    if runs is not None:
        marks = _bands(runs.step.values, runs.pass_at_k.sel(k=k, population=population)) + marks
    ends = ", ".join(f"{label(n)} {float(values.sel(estimator=n)[0, -1]):.2f}" for n in paths.estimator.values)
    title = f"pass@{k}, {POPULATIONS[population]}"
    return chart(title, marks, x="step", y_limits=(0, 1), alt=f"{title} over steps; at the end {ends}")


def gains(gain: xr.Dataset, population: str, at: str, runs: xr.Dataset | None = None) -> str:
    """pass@k minus GRPO's over k, in points, from results of `experiments.lab.gain`."""
    values = 100 * gain.pass_at_k.sel(population=population)
    marks = _curves(KS, values)
    if runs is not None:
        marks = _bands(KS, 100 * runs.pass_at_k.sel(population=population)) + marks
    ends = ", ".join(
        f"{label(n)} {float(values.sel(estimator=n, k=1)[0]):+.1f} and {float(values.sel(estimator=n, k=256)[0]):+.1f}"
        for n in gain.estimator.values
    )
    title = f"pass@k minus GRPO's, {at}"
    ticks = [(k, str(k)) for k in KS[::2]]
    alt = f"{title}, in points at k = 1 and 256: {ends}"
    return chart(title, marks, x="k", y="points", log_x=True, x_ticks=ticks, zero=True, alt=alt)


def orbit(paths: xr.Dataset, population: str, runs: xr.Dataset | None = None) -> str:
    """Entropy against pass@1: the way of the policy, without the clock. A dot is where a path ends."""
    at = paths.isel(seed=0).sel(population=population)
    passed, entropy = at.pass_at_k.sel(k=1), at.entropy
    names = list(at.estimator.values)
    marks = [curve(passed.sel(estimator=n), entropy.sel(estimator=n), n) for n in names]
    marks += [dots(passed.sel(estimator=n)[-1], entropy.sel(estimator=n)[-1], ink(n), 5, [label(n)]) for n in names]
    if runs is not None:
        mean = runs.sel(population=population).mean("seed").isel(record=slice(None, None, 10))
        marks += [dots(mean.pass_at_k.sel(k=1, estimator=n), mean.entropy.sel(estimator=n), ink(n), 3) for n in names]
    title = f"the way taken, {POPULATIONS[population]}"
    alt = f"{title}: entropy against pass@1, one curve for each of {len(names)} estimators"
    return chart(title, marks, x="pass@1", y="entropy (nats)", alt=alt)


def label(name: str) -> str:
    """What an estimator is called in charts."""
    return look(name)["label"]


def _curves(x, values: xr.DataArray) -> list[Mark]:
    return [curve(x, values.sel(estimator=n).isel(seed=0), n) for n in values.estimator.values]


def _bands(x, values: xr.DataArray) -> list[Mark]:
    """Mean over seeds as dots, with its interval as a shade once there are two seeds."""
    every, marks = max(1, len(x) // 16), []
    for name in values.estimator.values:
        own = values.sel(estimator=name).transpose("seed", ...).values
        if len(own) > 1:
            interval = bootstrap(own)
            marks.append(band(x, interval.low, interval.high, ink(name)))
        marks.append(dots(x[::every], own.mean(0)[::every], ink(name), 3))
    return marks
