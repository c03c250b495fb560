"""One look for all figures: a colour and a line for each estimator, readable from afar and without colour vision."""

from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from .. import estimators

_LOOKS = {  # colours after Okabe and Ito, darkened where they vanish on white
    "base": ("Base policy", "#555555", ":"),
    "grpo": ("GRPO", "#000000", "-"),
    "positive_dominant": ("Positive-Dominant", "#D55E00", "-"),
    "negative_dominant": ("Negative-Dominant", "#0072B2", "-"),
    "easy_focused": ("Easy-Focused", "#E69F00", "-"),
    "hard_focused": ("Hard-Focused", "#B07AE0", "-"),
    "ddas": ("DDAS", "#CC79A7", "--"),
    "ass": ("ASS", "#56B4E9", "--"),
    "agrae": ("A-GRAE", "#009E73", "-"),
    "agrae_released": ("A-GRAE (released)", "#009E73", ":"),
    "dapo": ("DAPO", "#8C564B", "-"),
    "dapo_agrae": ("DAPO + A-GRAE", "#8C564B", "--"),
    "dr_grpo": ("Dr.GRPO", "#7F7F7F", "-"),
    "agrae_dr_grpo": ("Dr.GRPO + A-GRAE", "#7F7F7F", "--"),
    "w_reinforce": ("W-REINFORCE", "#A6761D", "-."),
    "grpo_lead": ("GRPO-LEAD", "#666600", "-."),
    "plane": ("Your estimator", "#E3007F", "-"),
}
_OTHERS = ["#1B9E77", "#D95F02", "#7570B3", "#E7298A", "#66A61E", "#B8860B", "#3B528B", "#B5367A"]

MARKERS = {"-": "o", "--": "s", ":": "^", "-.": "D"}
"""Markers of estimators by the style of their line, since some share a colour."""

RC: dict[Any, Any] = {
    "figure.dpi": 110,
    "savefig.dpi": 150,
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.8,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "svg.hashsalt": "symtheory",
    "figure.constrained_layout.use": True,
}


def look(name: str) -> dict[str, str]:
    """`color`, `linestyle` and `label` of an estimator (or of "base"), the same in every figure.

    >>> look("grpo")["label"]
    'GRPO'
    """
    if name in _LOOKS:
        label, color, line = _LOOKS[name]
    else:
        rest = [n for n in estimators.names() if n not in _LOOKS]
        place = rest.index(name) if name in rest else sum(map(ord, name))
        label, color, line = name, _OTHERS[place % len(_OTHERS)], ("--", "-.", ":")[place // len(_OTHERS) % 3]
    return {"label": label, "color": color, "linestyle": line}


def panels(rows: int = 1, columns: int = 1, width: float = 10.0, height: float = 3.6, **options):
    """A styled figure without pyplot's global state: (Figure, array of axes [rows, columns])."""
    with mpl.rc_context(RC):
        fig = Figure(figsize=(width, height), layout="constrained")
        axes = fig.subplots(rows, columns, squeeze=False, **options)
    return fig, axes


def mosaic(layout: str, width: float, height: float):
    """The same with panels of unequal size: (Figure, letter -> axes), `layout` as in `Figure.subplot_mosaic`."""
    with mpl.rc_context(RC):
        fig = Figure(figsize=(width, height), layout="constrained")
        axes = fig.subplot_mosaic(layout)
    return fig, axes


def legend_below(fig: Figure, handles, labels, columns: int | None = None) -> None:
    """One legend for all panels, under them."""
    fig.legend(handles, labels, loc="outside lower center", ncols=columns or len(labels), frameon=False)


def write(fig: Figure, path, **options) -> None:
    """Save reproducibly: the same result gives the same bytes."""
    metadata = {"Software": None} if str(path).endswith(".png") else {"CreationDate": None, "Producer": None}
    with mpl.rc_context(RC):
        fig.savefig(path, metadata=metadata, **options)
