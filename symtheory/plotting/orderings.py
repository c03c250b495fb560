"""Tables 3 to 7 as pictures: published beside simulated gains over GRPO."""

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from .style import figure, look


def draw(dataset: xr.Dataset) -> Figure:
    return _gains(dataset) if "simulated" in dataset else _published_only(dataset)


def _gains(dataset: xr.Dataset) -> Figure:
    """Rows: k. Columns: benchmarks. Methods from top to bottom."""
    names, benchmarks, ks = (dataset[d].values for d in ("estimator", "benchmark", "k"))
    height = len(ks) * (0.28 * len(names) + 0.55) + 0.8
    fig, axes = figure(len(ks), len(benchmarks), width=11, height=height, sharey=True, sharex="row")
    place = np.arange(len(names))[::-1]
    for row, k in enumerate(ks):
        for column, benchmark in enumerate(benchmarks):
            ax, cell = axes[row, column], 100 * dataset.sel(k=k, benchmark=benchmark)
            ax.axvline(0, color="black", lw=1)
            for y, name in zip(place, names, strict=True):
                one = cell.sel(estimator=name)
                mean, low, high = one.simulated.values
                color = look(name)["color"]
                ax.errorbar(mean, y + 0.14, xerr=[[mean - low], [high - mean]], fmt="o", ms=5, color=color, capsize=2)
                ax.plot(one.published, y - 0.14, "D", ms=5, mfc="white", color=color)
            rho = float(dataset.rank_correlation.sel(k=k, benchmark=benchmark))
            ax.set_title(f"{benchmark}, pass@{k}" + (f"   (rho = {rho:+.2f})" if np.isfinite(rho) else ""), fontsize=9)
            ax.set_yticks(place, [look(n)["label"] for n in names])
    for ax in axes[-1]:
        ax.set_xlabel("gain over GRPO (points)")
    handles = [
        axes[0, 0].plot([], [], "o", color="#555555", ms=5)[0],
        axes[0, 0].plot([], [], "D", color="#555555", mfc="white", ms=5)[0],
    ]
    fig.legend(handles, ["simulated, 95% interval", "published"], loc="outside lower center", ncols=2)
    return fig


def _published_only(dataset: xr.Dataset) -> Figure:
    fig, axes = figure(1, 1, width=9, height=3.8)
    ax = axes[0, 0]
    rows = dataset.row.values
    for i, row in enumerate(rows):
        color = f"{0.15 + 0.7 * (1 - i / len(rows)):.2f}"
        x = np.arange(dataset.sizes["benchmark"]) + 0.8 * (i / len(rows) - 0.45)
        ax.bar(x, 100 * dataset.published.sel(row=row), width=0.8 / len(rows), color=color, label=str(row))
    ax.set_xticks(range(dataset.sizes["benchmark"]), dataset.benchmark.values)
    ax.set_ylabel("pass@1 (%)")
    ax.grid(axis="x", visible=False)
    fig.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return fig
