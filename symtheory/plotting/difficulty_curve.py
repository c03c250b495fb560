"""Figure 6 and Table 1: total advantage against difficulty."""

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from .style import figure, look


def draw(dataset: xr.Dataset) -> Figure:
    return _closed_forms(dataset) if "formula" in dataset else _every_estimator(dataset)


def _every_estimator(dataset: xr.Dataset) -> Figure:
    """One panel per estimator, GRPO in grey behind each."""
    names = dataset.estimator.values
    columns = 6
    fig, axes = figure(-(-len(names) // columns), columns, width=12, height=1.75 * -(-len(names) // columns) + 0.5)
    p = dataset.success.values
    reference = dataset.magnitude.sel(estimator="grpo").isel(omega=0)
    for ax, name in zip(axes.flat, names, strict=False):
        curves = dataset.magnitude.sel(estimator=name)
        ax.plot(p, reference, color="#BBBBBB", lw=3, zorder=1)
        moving = bool(np.ptp(curves.values, axis=0).max() > 1e-9)
        for i in range(dataset.sizes["omega"] if moving else 1):
            alpha = (0.4, 0.7, 1.0)[i] if moving else 1.0
            ax.plot(p, curves.isel(omega=i), "o-", ms=3, color=look(name)["color"], alpha=alpha, lw=1.4)
        ax.set_title(look(name)["label"], fontsize=9)
        ax.set_xlim(0, 1)
        ax.set_ylim(0, max(1.25, 1.08 * float(curves.max())))
        ax.tick_params(labelsize=8)
    for ax in axes.flat[len(names) :]:
        ax.set_visible(False)
    fig.supxlabel("success rate p of the group")
    fig.supylabel(r"$\sum|A|\,/\,G$")
    return fig


def _closed_forms(dataset: xr.Dataset) -> Figure:
    """Points from code on the paper's formulas."""
    fig, axes = figure(1, 2, width=9, height=3.6)
    p = dataset.success.values
    for ax, names in zip(axes[0], (dataset.estimator.values[:3], dataset.estimator.values[[0, 3, 4]]), strict=True):
        for name in names:
            row = dataset.sel(estimator=name)
            ax.plot(p, row.formula, **look(name))
            ax.plot(p, row.computed, "o", color=look(name)["color"], ms=5)
        ax.set_xlabel("success rate p of the group")
        ax.legend()
    axes[0, 0].set_yscale("log")
    axes[0, 0].set_ylabel(r"$\sum|A|\,/\,G$")
    axes[0, 0].set_title("I: weight on right or wrong rollouts")
    axes[0, 1].set_title("II: weight on hard or easy prompts")
    return fig
