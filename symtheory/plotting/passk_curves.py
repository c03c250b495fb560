"""Figures 2, 4, 7 and 8: pass@k curves and gains over GRPO, simulated beside published."""

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from .style import figure, look


def draw(dataset: xr.Dataset) -> Figure:
    """Upper row: pass@k of each benchmark. Lower row: gain over GRPO in percentage points."""
    benchmarks, ks = dataset.benchmark.values, dataset.k.values
    fig, axes = figure(2, len(benchmarks), width=11, height=6.4, sharex=True)
    published = dataset.published - dataset.published.sel(estimator="grpo")
    for column, benchmark in enumerate(benchmarks):
        upper, lower = axes[:, column]
        for name in dataset.estimator.values:
            curve(upper, ks, dataset.simulated.sel(estimator=name, benchmark=benchmark), name)
            points(upper, ks, dataset.published.sel(estimator=name, benchmark=benchmark), name)
        lower.axhline(0, color=look("grpo")["color"], lw=1)
        for name in dataset.compared.values[1:]:
            curve(lower, ks, dataset.simulated_gain.sel(compared=name, benchmark=benchmark), name)
            points(lower, ks, published.sel(estimator=name, benchmark=benchmark), name)
        upper.set_title(str(benchmark))
        lower.set_xscale("log", base=2)
        lower.set_xticks([1, 4, 16, 64, 256], ["1", "4", "16", "64", "256"])
        lower.set_xlabel("k")
    axes[0, 0].set_ylabel("pass@k (%)")
    axes[1, 0].set_ylabel("gain over GRPO (points)")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    handles.append(axes[0, 0].plot([], [], "o--", color="#777777", mfc="white", lw=0.8, ms=4)[0])
    fig.legend(handles, [*labels, "published"], loc="outside lower center", ncols=len(labels) + 1)
    return fig


def curve(ax, x, array: xr.DataArray, name: str, scale: float = 100) -> None:
    """Mean with its interval; `array` has a first dimension `statistic`."""
    mean, low, high = (scale * array.sel(statistic=s).values for s in ("mean", "low", "high"))
    ax.plot(x, mean, **look(name))
    ax.fill_between(x, low, high, color=look(name)["color"], alpha=0.2, lw=0)


def points(ax, x, array: xr.DataArray, name: str) -> None:
    """Published values, where there are any."""
    if np.isfinite(array).any():
        ax.plot(x, 100 * array.values, "o--", color=look(name)["color"], mfc="white", lw=0.8, ms=4)
