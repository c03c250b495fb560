"""Figure 6 and Table 1: how much each estimator moves a prompt of difficulty p, exactly, for every estimator."""

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from .. import estimators
from ..errors import InputError
from ..estimators.group import two_outcome_batch
from ..ops import numpy_ops
from .base import Runs, describe, figure
from .style import look, panels

SIZE = 8
OMEGAS = (0.25, 0.5, 0.75)


def magnitudes(name: str, size: int = SIZE, omegas: tuple[float, ...] = OMEGAS) -> tuple[np.ndarray, np.ndarray]:
    """sum |A| / G and C / G of mixed groups, each [omega, K = 1..G-1], from the estimator's own code.

    >>> magnitudes("grpo")[0][0].round(4)
    array([0.6614, 0.866 , 0.9682, 1.    , 0.9682, 0.866 , 0.6614])
    """
    op = numpy_ops()
    correct = np.arange(1.0, size)
    estimator = estimators.get(name)
    sums = []
    for omega in omegas:
        batch = two_outcome_batch(op, np.array(omega * 1e6), np.array(1e6))
        plus, minus = estimator.two_outcomes(correct, np.array(float(size)), batch, op)
        sums.append((correct * plus, (size - correct) * minus))
    right, wrong = np.moveaxis(np.array(sums), 1, 0)
    return (np.abs(right) + np.abs(wrong)) / size, (right + wrong) / size


@figure("fig6", "Total advantage against difficulty (Figure 6)", study=False)
def fig6(runs: Runs) -> xr.Dataset:
    names = []
    magnitude, imbalance = [], []
    for name in estimators.names("two_class"):
        try:
            absolute, signed = magnitudes(name)
        except InputError:  # an estimator that wants parameters or larger groups has no curve at G = 8
            continue
        names.append(name)
        magnitude.append(absolute)
        imbalance.append(signed)
    dims = ["estimator", "omega", "success"]
    dataset = xr.Dataset(
        {"magnitude": (dims, np.array(magnitude)), "imbalance": (dims, np.array(imbalance))},
        {"estimator": names, "omega": list(OMEGAS), "success": np.arange(1, SIZE) / SIZE},
        {"group_size": SIZE},
    )
    text = (
        "sum |A| / G of a mixed group with K of G = 8 correct, exact, for every registered estimator (colour), with "
        "GRPO in grey; three curves where the estimator depends on the batch's success omega = 0.25, 0.5, 0.75 (light "
        "to dark). GRPO is symmetric about p = 1/2 with its peak there (Theorem 2, Eq. 10). The released A-GRAE is "
        "not the published one: its curve still rises with p at omega = 0.75."
    )
    return describe(dataset, text, runs)


@figure("table1", "The controlled experiments' sums of |A| (Table 1)", study=False)
def table1(runs: Runs) -> xr.Dataset:
    names = ["grpo", "positive_dominant", "negative_dominant", "hard_focused", "easy_focused"]
    computed = np.array([magnitudes(n)[0][0] for n in names])
    p = np.arange(1, SIZE) / SIZE
    fine = np.linspace(0, 1, 201)
    dataset = xr.Dataset(
        {"computed": (("estimator", "success"), computed), "formula": (("estimator", "fine"), _table1_forms(fine))},
        {"estimator": names, "success": p, "fine": fine},
    )
    gap = float(np.abs(computed - _table1_forms(p)).max())
    text = (
        "sum |A| / G at G = 8: points from the estimators' code, lines from the closed forms of Eq. 10 and Table 1 "
        f"(beta = 10, gamma = 1/2). Largest difference {gap:.1e}. A point off its line would refute the identity."
    )
    return describe(dataset, text, runs)


def _table1_forms(p):
    """sum |A| / G of GRPO, Positive- and Negative-Dominant (beta = 10), Hard- and Easy-Focused (gamma = 1/2)."""
    root = np.sqrt(p * (1 - p))
    return np.array([2 * root, 11 * root, 1.1 * root, np.sqrt(1 - p), np.sqrt(p)])


def draw(dataset: xr.Dataset) -> Figure:
    return _closed_forms(dataset) if "formula" in dataset else _every_estimator(dataset)


def _every_estimator(dataset: xr.Dataset) -> Figure:
    """One panel per estimator, GRPO in grey behind each."""
    names = dataset.estimator.values
    columns = 6
    fig, axes = panels(-(-len(names) // columns), columns, width=12, height=1.75 * -(-len(names) // columns) + 0.5)
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
    fig, axes = panels(1, 2, width=9, height=3.6)
    p = dataset.success.values
    for ax, names in zip(axes[0], (dataset.estimator.values[:3], dataset.estimator.values[[0, 3, 4]]), strict=True):
        for name in names:
            row = dataset.sel(estimator=name)
            ax.plot(dataset.fine.values, row.formula, **look(name))
            ax.plot(p, row.computed, "o", color=look(name)["color"], ms=5)
        ax.set_xlabel("success rate p of the group")
        ax.legend(frameon=False)
    axes[0, 0].set_yscale("log")
    axes[0, 0].set_yticks([0.3, 1, 3], ["0.3", "1", "3"], minor=False)
    axes[0, 0].minorticks_off()
    axes[0, 0].set_ylabel(r"$\sum|A|\,/\,G$")
    axes[0, 0].set_title("I: weight on right or wrong rollouts")
    axes[0, 1].set_title("II: weight on hard or easy prompts")
    return fig
