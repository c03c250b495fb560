"""The focus figure: pass@256 beside GRPO's against the expected focus on easy prompts, a panel for each setting."""

import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from .style import MARKERS, figure, legend_below, look


def draw(dataset: xr.Dataset) -> Figure:
    settings, names = dataset.setting.values, dataset.estimator.values
    fig, axes = figure(1, len(settings), width=max(7.5, 5 * len(settings) + 0.5), height=4.9, sharex=True)
    gain = dataset.gain.sel(k=256)
    for ax, setting in zip(axes[0], settings, strict=True):
        at = gain.sel(setting=setting)
        ax.axhline(0, color=look("grpo")["color"], lw=1)
        ax.plot(1, 0, "*", color=look("grpo")["color"], ms=12, label="GRPO")
        for name in names:
            x = float(dataset.focus.sel(setting=setting, estimator=name))
            if not np.isfinite(x):
                continue
            style = look(name)
            color, marker = style["color"], MARKERS[style["linestyle"]]
            of = at.sel(estimator=name)
            mean, low, high = of.sel(reading="equal training pass@1").values
            bars = [[mean - low], [high - mean]]
            ax.errorbar(x, mean, yerr=bars, fmt=marker, color=color, ms=6, capsize=2, label=style["label"])
            ax.plot(x, float(of.sel(reading="equal step", statistic="mean")), marker, mfc="none", mec=color)
        rank = float(dataset.rank_correlation.sel(setting=setting, reading="equal training pass@1"))
        ax.set_title(f"{setting}: rank correlation {rank:+.2f}", fontsize=10)
        ax.set_xscale("log", base=2)
        ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
        ax.xaxis.set_minor_locator(NullLocator())
        ax.set_xlabel("expected focus on easy prompts, F'(0.9) / F'(0.1)")
    axes[0, 0].set_ylabel("held-out pass@256 minus GRPO's (points)")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    legend_below(fig, handles, labels, columns=2 * len(settings) + 1)
    fig.suptitle("Filled: where both have the same training pass@1. Hollow: at equal step")
    return fig
