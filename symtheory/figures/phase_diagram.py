"""The symmetry plane: where every estimator lies, coloured by what training does there."""

import matplotlib as mpl
import matplotlib.patheffects as effects
import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from .style import RC, look

PANELS = {  # measure: (title, colours, factor); the first is the large panel
    "pass_256_gain": ("pass@256 after training, points above GRPO", "BrBG", 100),
    "pass_1_gain": ("pass@1, points above GRPO", "BrBG", 100),
    "entropy_gain": ("entropy above GRPO (nats)", "PuOr_r", 1),
    "collapsed": ("collapsed prompts, % above GRPO", "BrBG_r", 100),
}
_LABELS = {  # estimator: (label, offset in points from its place, horizontal alignment)
    "grpo": ("GRPO\nDr.GRPO, RLOO", (7, 5), "left"),
    "positive_dominant": ("Positive-\nDominant", (0, 8), "center"),
    "negative_dominant": ("Negative-\nDominant", (0, -25), "center"),
    "hard_focused": ("Hard-Focused", (7, 3), "left"),
    "easy_focused": ("Easy-Focused", (7, -9), "left"),
    "maxrl": ("MaxRL", (7, -3), "left"),
    "passk": ("pass@k training", (7, -4), "left"),
    "raft": ("RAFT", (-7, -3), "right"),
    "psr": ("PSR", (-7, -3), "right"),
    "nsr": ("NSR", (7, -4), "left"),
    "w_reinforce": ("W-REINFORCE", (7, -3), "left"),
    "ngrpo": ("NGRPO", (-6, 3), "right"),
}
_PATHS = {  # estimator: (label, offset of the label from the end at the smallest omega, alignment)
    "agrae": ("A-GRAE", (5, -11), "left"),
    "agrae_released": ("A-GRAE (released)", (2, -13), "left"),
}
_HALO = [effects.withStroke(linewidth=2.2, foreground="white")]


def draw(dataset: xr.Dataset) -> Figure:
    """One large panel with the estimators, three small ones beside it."""
    with mpl.rc_context({**RC, "axes.grid": False}):
        figure = Figure(figsize=(9.0, 5.2), layout="constrained")
        grid = figure.add_gridspec(3, 2, width_ratios=[2.75, 1])
        large = figure.add_subplot(grid[:, 0])
        first, *rest = PANELS
        _colour(figure, large, dataset, first, large=True)
        _axes(large, dataset)
        _estimators(large, dataset)
        large.set_xlabel("← push wrong ones down      group asymmetry  $C\\,/\\,\\Sigma|A|$      push right ones up →")
        large.set_ylabel("← easy prompts lead      difficulty tilt      hard prompts lead →")
        for row, name in enumerate(rest):
            axes = figure.add_subplot(grid[row, 1])
            _colour(figure, axes, dataset, name, large=False)
            _axes(axes, dataset)
            axes.plot(0, 0, "o", ms=4, color="black", mec="white", mew=0.8)
            axes.tick_params(labelsize=7)
    return figure


def _colour(figure: Figure, axes, dataset: xr.Dataset, name: str, large: bool) -> None:
    """Mean over seeds of the difference from GRPO, white where there is none."""
    title, colours, factor = PANELS[name]
    grpo = dataset[name].sel(tilt=0, asymmetry=0, method="nearest")
    mean = factor * (dataset[name] - grpo).mean("seed").transpose("tilt", "asymmetry")
    limit = float(np.quantile(np.abs(mean), 0.995))
    x, y = dataset.asymmetry.values, dataset.tilt.values
    half = (x[1] - x[0]) / 2, (y[1] - y[0]) / 2
    extent = (x[0] - half[0], x[-1] + half[0], y[0] - half[1], y[-1] + half[1])
    image = axes.imshow(
        mean, vmin=-limit, vmax=limit, cmap=colours, extent=extent, origin="lower", aspect="auto",
        interpolation="bicubic", rasterized=True,
    )  # fmt: skip
    bar = figure.colorbar(image, ax=axes, pad=0.02, aspect=28 if large else 12)
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=7, length=2)
    axes.set_title(title, fontsize=11 if large else 8.5)


def _axes(axes, dataset: xr.Dataset) -> None:
    limit = float(dataset.tilt.max())
    axes.axhline(0, color="#888888", lw=0.6, alpha=0.6)
    axes.axvline(0, color="#888888", lw=0.6, alpha=0.6)
    axes.set(xlim=(-1.06, 1.06), ylim=(-1.06 * limit, 1.06 * limit))
    axes.set_xticks([-1, -0.5, 0, 0.5, 1])
    for spine in axes.spines.values():
        spine.set_visible(False)


def _estimators(axes, dataset: xr.Dataset) -> None:
    for name, (label, offset, side) in _PATHS.items():
        x, y = dataset.path.sel(moving=name).transpose("axis", "omega").values
        style = look(name)
        line = dict(color=style["color"], lw=2.2, path_effects=_HALO, zorder=3)
        axes.plot(x, y, linestyle="-" if name == "agrae" else (0, (1.2, 0.8)), **line)
        axes.annotate(
            "", (x[-1], y[-1]), (x[-4], y[-4]), arrowprops=dict(arrowstyle="-|>", color=style["color"], lw=1.5)
        )
        start = int(0.3 * len(x))
        _label(axes, label, (x[start], y[start]), offset, side, style["color"])
    for name, (label, offset, side) in _LABELS.items():
        x, y = dataset.place.sel(estimator=name).values
        colour = look(name)["color"]
        axes.plot(x, y, "o", ms=6.5, color=colour, mec="white", mew=1.1, zorder=4)
        _label(axes, label, (x, y), offset, side, colour)


def _label(axes, text: str, at, offset, side: str, colour: str) -> None:
    axes.annotate(
        text, at, offset, textcoords="offset points", ha=side, fontsize=8.5, color=colour, path_effects=_HALO,
        linespacing=0.95, zorder=5, fontweight="bold",
    )  # fmt: skip
