"""Figures 3, 5, 9 and 10: paths over training, one panel per setting."""

import xarray as xr
from matplotlib.figure import Figure

from .passk_curves import curve
from .style import figure

_AXES = {
    "entropy": "entropy (nats)",
    "correct": "correct rollouts in the batch (%)",
    "unsolved": "prompts without a correct rollout (%)",
    "greedy": "greedy accuracy (%)",
}


def draw(dataset: xr.Dataset) -> Figure:
    """Rows: quantities. Columns: settings of the simulation."""
    names = [n for n in _AXES if n in dataset]
    settings = dataset.setting.values
    width = max(6.0, 3.1 * len(settings) + 0.6)
    fig, axes = figure(len(names), len(settings), width=width, height=2.7 * len(names) + 0.8, sharey="row", sharex=True)
    for row, name in enumerate(names):
        time = dataset[name].dims[-1]
        for column, setting in enumerate(settings):
            ax = axes[row, column]
            for estimator in dataset.estimator.values:
                path = dataset[name].sel(setting=setting, estimator=estimator)
                curve(ax, dataset[time].values, path, estimator, scale=1 if name == "entropy" else 100)
            if row == 0:
                ax.set_title(str(setting))
            if "collapsed" in dataset:
                _count(ax, dataset.collapsed.sel(setting=setting), dataset.attrs["seeds"])
        axes[row, 0].set_ylabel(_AXES[name])
    for ax in axes[-1]:
        ax.set_xlabel("training step")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    return fig


def _count(ax, collapsed: xr.DataArray, seeds: int) -> None:
    text = "collapsed: " + ", ".join(f"{int(n)}/{seeds}" for n in collapsed.values)
    ax.text(0.97, 0.95, text, transform=ax.transAxes, ha="right", va="top", fontsize=8)
