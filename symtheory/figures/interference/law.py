"""Figure: what the interference law says about every estimator, at a base policy."""

import itertools
from collections.abc import Sequence

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from ...metrics.intervals import Interval, bootstrap
from ..style import look, mosaic

ROUNDING = 1e-5
"""Slopes this near to each other are equal, to rounding in 32 bits."""


def over_seeds(values: xr.DataArray) -> Interval:
    """Mean over the seeds with its interval; with one seed the three are equal."""
    x = values.transpose("seed", ...).values
    return bootstrap(x) if len(x) > 1 else Interval(x[0], x[0], x[0])


def draw(dataset: xr.Dataset) -> Figure:
    """The kernel by difficulty, the exchange rate against success, and the slope of every estimator; largest k."""
    k = int(dataset.k.values[-1])
    ordered = sorted_by_slope(dataset, k)
    fig, axes = mosaic("KS;RS", width=11, height=max(8.0, 0.2 * len(ordered) + 1.2))
    _kernel(axes["K"], dataset)
    _rates(axes["R"], dataset, k)
    _slopes(axes["S"], dataset, ordered, k)
    fig.suptitle(f"What the base policy says: {dataset.attrs['cell']}")
    return fig


def sorted_by_slope(dataset: xr.Dataset, k: int) -> list[str]:
    """Estimators from the one that keeps most held-out pass@k per unit of training pass@1 to the one that keeps least.

    Those without a slope in some seed, because they make no progress there, come last. Equal ones stay in the order in
    which they are registered.
    """
    mean = dataset.slope.sel(split="held_out", k=k).mean("seed", skipna=False)
    falling = -np.nan_to_num((mean.values / ROUNDING).round(), nan=-np.inf)
    return [str(n) for n in mean.estimator.values[np.argsort(falling, kind="stable")]]


def bin_names(edges: Sequence[float]) -> list[str]:
    """
    >>> bin_names([0, 0.2, 0.6, 1])
    ['< 0.2', '0.2-0.6', '> 0.6']
    """
    inner = [f"{low:g}-{high:g}" for low, high in itertools.pairwise(edges[1:-1])]
    return [f"< {edges[1]:g}", *inner, f"> {edges[-2]:g}"]


def _kernel(ax, dataset: xr.Dataset) -> None:
    names = bin_names(dataset.attrs["edges"])
    values = dataset.kernel.mean("seed", skipna=True).values
    bound = np.nanmax(np.abs(values)) or 1.0
    # a cube root, since easy prompts' own entries are hundreds of times the others
    ax.imshow(np.cbrt(values / bound), cmap="RdBu", vmin=-1, vmax=1)
    for (i, j), value in np.ndenumerate(values):
        text = "none" if np.isnan(value) else f"{1000 * value / bound:+.0f}"
        ax.text(j, i, text, ha="center", va="center", color="white" if abs(value) > 0.3 * bound else "black")
    ax.set_xticks(range(len(names)), names)
    ax.set_yticks(range(len(names)), names)
    ax.grid(False)
    ax.set_xlabel("trained prompts, by base success")
    ax.set_ylabel("held-out prompts, by base success")
    ax.set_title("mean interference (largest = 1000)")


def _rates(ax, dataset: xr.Dataset, k: int) -> None:
    p, rho = dataset.success.values.ravel(), dataset.exchange_rate.sel(split="held_out", k=k).values.ravel()
    known = np.isfinite(rho)
    p, rho = p[known], rho[known]
    ax.axhline(0, color=look("base")["color"], lw=1)
    ax.plot(p, rho, ".", color="#0072B2", alpha=0.5, markeredgewidth=0)
    order = np.argsort(p)
    for some in np.array_split(order, min(8, max(1, len(order) // 4))):
        low, middle, high = np.quantile(rho[some], [0.25, 0.5, 0.75])
        ax.errorbar(np.median(p[some]), middle, [[middle - low], [high - middle]], fmt="o", color="black", capsize=2)
    if np.abs(rho).max(initial=0) > 10:  # rates of hard prompts may be hundreds of times the others
        ax.set_yscale("symlog", linthresh=1)
        ax.yaxis.set_major_formatter("{x:g}")
    ax.set_xscale("symlog", linthresh=0.01)
    ax.set_xticks(*zip(*((x, f"{x:g}") for x in (0, 0.01, 0.1, 1)), strict=True))
    ax.set_xlabel("base success of the trained prompt")
    ax.set_title(f"held-out pass@{k} gained per training pass@1")


def _slopes(ax, dataset: xr.Dataset, ordered: list[str], k: int) -> None:
    """Paired differences from GRPO, since base policies differ more than estimators do."""
    slopes = dataset.slope.sel(split="held_out", k=k)
    grpo = slopes.sel(estimator="grpo")
    ax.axvline(0, color=look("grpo")["color"], lw=1)
    for row, name in enumerate(reversed(ordered)):
        mean, low, high = (float(x) for x in over_seeds(slopes.sel(estimator=name) - grpo))
        color = look(name)["color"]
        ax.errorbar(mean, row, xerr=[[mean - low], [high - mean]], fmt="o", color=color, capsize=2, ms=5)
    labels = [look(n)["label"] for n in reversed(ordered)]
    ax.set_yticks(range(len(ordered)), labels, fontsize=8 if len(ordered) > 12 else 9)
    mean, low, high = (float(x) for x in over_seeds(grpo))
    ax.set_title(f"d pass@{k} held out / d training pass@1,\nminus GRPO's {mean:+.3f} [{low:+.3f}, {high:+.3f}]")


def sentence(dataset: xr.Dataset, k: int) -> str:
    """The law's answer for one k, in one sentence."""
    at = dataset.slope.sel(split="held_out", k=k)
    difference = at.sel(estimator="hard_focused") - at.sel(estimator="easy_focused")
    interval, grpo = over_seeds(difference), float(at.sel(estimator="grpo").mean())
    leader, one_seed = "hard" if interval.mean > 0 else "easy", dataset.sizes["seed"] == 1
    if abs(interval.mean) < ROUNDING:
        order = f"both foci keep as much pass@{k}"
    elif one_seed:
        order = f"{leader} focus keeps more pass@{k} in this one seed, which has no interval"
    elif bool(interval.excludes_zero()):
        order = f"{leader} focus keeps more pass@{k} here"
    else:
        order = f"no focus keeps clearly more pass@{k} here"
    moved = "hardly moves it"
    if abs(grpo) >= 0.005:
        verb = "gains" if grpo > 0 else "loses"
        moved = f"{verb} about {float(f'{abs(grpo):.2g}'):g} points of it per point of training pass@1"
    return f"At equal pass@1, {order}; GRPO {moved}."


def caption(dataset: xr.Dataset) -> str:
    """What the figure shows, in words."""
    k, seeds = int(dataset.k.values[-1]), dataset.sizes["seed"]
    return (
        f"{sentence(dataset, k)}\n\nNothing was trained. Above left: interference kernel, mean over {seeds} base "
        "policies of what a step on prompts of one difficulty (columns) does to the success of held-out prompts "
        "(rows), in thousandths of the largest entry. Below: exchange rate of each training prompt, with medians and "
        "quartiles. Right: slope of every estimator at the base policy minus GRPO's, with 95% bootstrap intervals over "
        "base policies. It would be refuted by runs that, at equal training pass@1, order the estimators otherwise."
    )
