"""The test of the interference law: what was predicted from base policies beside what the runs then did."""

import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator

from ...studies.interference.cells import world_of
from ...studies.interference.judge import agreement, failures, leaving_one_out
from ..style import panels

WORLDS = {"transformer": "#0072B2", "bandit": "#D55E00", "tree": "#009E73"}
MARKERS = {4: "o", 16: "s", 64: "^", 256: "D"}


def groups(outcome: xr.Dataset) -> dict[str, xr.Dataset]:
    """The outcome by world, and of all worlds together."""
    names = [world_of(str(c)) for c in outcome.cell.values]
    own = {w: outcome.isel(cell=[i for i, n in enumerate(names) if n == w]) for w in WORLDS if w in names}
    return {"all": outcome, **own}


def draw(outcome: xr.Dataset) -> Figure:
    """Measured against predicted: above the order of hard and easy focus, below every estimator beside GRPO."""
    predictors = [p for p in outcome.predictor.values if p != "runs"]
    fig, axes = panels(2, len(predictors), width=4.4 * len(predictors), height=8.4)
    at = outcome.isel(mark=-1)
    for column, predictor in enumerate(predictors):
        _orders(axes[0, column], at, predictor)
        _differences(axes[1, column], at, predictor)
        axes[0, column].set_title(f"{predictor}: hard minus easy focus")
        axes[1, column].set_title("each estimator minus GRPO")
        axes[1, column].set_xlabel("predicted (points of held-out pass@k)")
    for row in axes:
        row[0].set_ylabel("measured (points)")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside lower center", ncols=8)
    fig.suptitle("Predicted from the base policy before any run, at equal training pass@1")
    return fig


def _orders(ax, at: xr.Dataset, predictor: str) -> None:
    for world, color in WORLDS.items():
        cells = [c for c in at.cell.values if world_of(str(c)) == world]
        for k in at.k.values:
            x = 100 * at.order.sel(cell=cells, k=k, predictor=predictor, statistic="mean").values
            mean, low, high = (
                100 * at.order.sel(cell=cells, k=k, predictor="runs", statistic=s).values
                for s in ("mean", "low", "high")
            )
            bars = dict(fmt=MARKERS[int(k)], color=color, ms=5, alpha=0.8, capsize=1.5, elinewidth=0.8)
            label = world if k == at.k.values[-1] else None
            ax.errorbar(x, mean, [mean - low, high - mean], **bars, label=label)
    _square(ax)


def _differences(ax, at: xr.Dataset, predictor: str) -> None:
    for world, color in WORLDS.items():
        cells = [c for c in at.cell.values if world_of(str(c)) == world]
        for k in at.k.values:
            own = 100 * at.beside.sel(cell=cells, k=k, statistic="mean")
            x, y = (own.sel(predictor=p).values.ravel() for p in (predictor, "runs"))
            ax.plot(x, y, MARKERS[int(k)], color=color, ms=4, alpha=0.6)
    _square(ax)


def _square(ax) -> None:
    ax.axhline(0, color="#555555", lw=0.8)
    ax.axvline(0, color="#555555", lw=0.8)
    ax.axline((0, 0), slope=1, color="#555555", ls=":", lw=1)
    for scale, axis in ((ax.set_xscale, ax.xaxis), (ax.set_yscale, ax.yaxis)):
        scale("symlog", linthresh=0.5)
        axis.set_major_locator(FixedLocator([-10, -3, -1, -0.3, 0, 0.3, 1, 3, 10]))
        axis.set_major_formatter("{x:g}")


def table(outcome: xr.Dataset) -> list[list[str]]:
    """Rows of `agreement` for all cells and for each world, as text, the header first."""
    rows = [["cells", "predictor", "order signs", "level signs", "rank", "explained", "R2", "slope"]]
    for name, group in groups(outcome).items():
        found = agreement(group)
        for predictor in found.predictor.values:
            own = found.sel(predictor=predictor)
            signs = [f"{_text(own[f'{q}_signs'])} of {found.attrs[f'{q}_clear']:.0f}" for q in ("order", "level")]
            rows.append([name, str(predictor), *signs, *(_text(own[q]) for q in ("rank", "explained", "r2", "factor"))])
    return rows


def _text(interval: xr.DataArray) -> str:
    mean, low, high = interval.values
    return "none" if np.isnan(mean) else f"{mean:.2f} [{low:.2f}, {high:.2f}]"


def _usual(outcome: xr.Dataset) -> str:
    """From how many cells the signs are, and what a guess without any predictor would get."""
    about = agreement(outcome).attrs
    told = [
        f"the {about[f'{q}_clear']:.0f} {q} signs are from {about[f'{q}_cells']:.0f} cells, and always guessing "
        f"the more frequent sign is right in {about[f'{q}_usual']:.2f}"
        for q in ("order", "level")
    ]
    return "; ".join(told)


def _left_out(outcome: xr.Dataset, predictor: str = "mean field") -> str:
    """Between which shares the explained variance lies when any one cell is left out, of all cells and by world."""
    told = []
    for name, group in groups(outcome).items():
        shares = leaving_one_out(group, predictor)
        if shares:
            low, high = (choose(shares, key=lambda cell, shares=shares: shares[cell]) for choose in (min, max))
            told.append(f"{name} {shares[low]:.2f} (without {low}) to {shares[high]:.2f} (without {high})")
    return f"Explained by the {predictor} with any one cell left out: {'; '.join(told)}." if told else ""


def table_of(what: str, outcome: xr.Dataset) -> str:
    """An outcome of `judge` of `what` as Markdown, for instance of entropy, in the cells in which it was followed."""
    header, *rows = table(outcome)
    header = [f"{what}, of", *header[1:]]
    lines = [f"| {' | '.join(header)} |", "|" + " --- |" * len(header)]
    return "\n".join(lines + [f"| {what}, {' | '.join(row)} |" for row in rows])


def caption(outcome: xr.Dataset) -> str:
    """What was predicted, how it came out, and every failure, in words."""
    kept = outcome.seeds.isel(mark=-1)
    lines = [
        f"Held-out pass@k in {outcome.sizes['cell']} cells (world, base policy, optimiser), predicted for every seed "
        "from its base policy and then measured in sampled runs, both where training pass@1 has gained as much. "
        "Above: mean of Hard-Focused and Positive-Dominant minus mean of Easy-Focused, Negative-Dominant and A-GRAE, "
        "with 95% bootstrap intervals over seeds. Below: each estimator minus GRPO. Markers: circle k = 4, square 16, "
        f"triangle 64, diamond 256. Seeds that reached the reading: {int(kept.min())} to {int(kept.max())} a cell.",
        "",
        "Signs are judged where the measured interval excludes 0; *explained* takes predictions as they are, *R2* and "
        "*slope* are of measured on predicted; intervals from a bootstrap over cells. The four k of a cell are not "
        f"independent: {_usual(outcome)}.",
        "",
    ]
    header, *rows = table(outcome)
    lines += [f"| {' | '.join(header)} |", "|" + " --- |" * len(header), *(f"| {' | '.join(r)} |" for r in rows), ""]
    lines += [_left_out(outcome), ""]
    wrong = [f for f in failures(outcome) if f["mark"] == float(outcome.mark[-1])]
    lines.append(f"Signs that were wrong at this reading: {len(wrong)}.")
    lines.append("")
    for f in wrong:
        mean, low, high = (100 * x for x in f["measured"])
        lines.append(
            f"- {f['quantity']}, {f['predictor']}, {f['cell']}, pass@{f['k']}: predicted {100 * f['predicted']:+.2f}, "
            f"measured {mean:+.2f} [{low:+.2f}, {high:+.2f}] points"
        )
    return "\n".join(lines)
