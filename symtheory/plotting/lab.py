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
    last = values.isel(seed=0, record=-1)
    ends = ", ".join(f"{label(n)} {v:.2f}" for n, v in zip(last.estimator.values, last.values, strict=True))
    title = f"pass@{k}, {POPULATIONS[population]}"
    return chart(title, marks, x="step", y_limits=(0, 1), alt=f"{title} over steps; at the end {ends}")


def gains(gain: xr.Dataset, population: str, at: str, runs: xr.Dataset | None = None) -> str:
    """pass@k minus GRPO's over k, in points, from results of `experiments.lab.gain`."""
    values = 100 * gain.pass_at_k.sel(population=population)
    marks = _curves(KS, values)
    if runs is not None:
        marks = _bands(KS, 100 * runs.pass_at_k.sel(population=population)) + marks
    two = values.isel(seed=0).sel(k=[1, 256]).transpose("estimator", "k")
    ends = ", ".join(
        f"{label(n)} {a:+.1f} and {b:+.1f}" for n, (a, b) in zip(two.estimator.values, two.values, strict=True)
    )
    title = f"pass@k minus GRPO's, {at}"
    ticks = [(k, str(k)) for k in KS[::2]]
    alt = f"{title}, in points at k = 1 and 256: {ends}"
    return chart(title, marks, x="k", y="points", log_x=True, x_ticks=ticks, zero=True, alt=alt)


def orbit(paths: xr.Dataset, population: str, runs: xr.Dataset | None = None) -> str:
    """Entropy against pass@1: the way of the policy, without the clock. A dot is where a path ends."""
    at = paths.isel(seed=0).sel(population=population)
    names = list(at.estimator.values)
    ways = list(zip(names, at.pass_at_k.sel(k=1).values, at.entropy.values, strict=True))
    marks = [curve(x, y, name) for name, x, y in ways]
    marks += [dots(x[-1], y[-1], ink(name), 5, [label(name)]) for name, x, y in ways]
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
    one = values.isel(seed=0).transpose("estimator", ...)
    return [curve(x, y, name) for name, y in zip(one.estimator.values, one.values, strict=True)]


def _bands(x, values: xr.DataArray) -> list[Mark]:
    """Mean over seeds as dots, with its interval as a shade once there are two seeds."""
    kept, marks = slice(None, None, max(1, len(x) // 16)), []  # intervals of all steps would cost a second
    x = x[kept]
    for name in values.estimator.values:
        own = values.sel(estimator=name).transpose("seed", ...).values[:, kept]
        if len(own) > 1:
            interval = bootstrap(own)
            marks.append(band(x, interval.low, interval.high, ink(name)))
        marks.append(dots(x, own.mean(0), ink(name), 3))
    return marks
