"""Figure: how single steps agree with three predictions of them, and how far what was not sampled moves."""

import numpy as np
import xarray as xr
from matplotlib.ticker import LogLocator, NullFormatter

from ...claims.effects import STEP_MEASURES
from ...claims.judge import Cell
from ...claims.ledger import judge_study, sentence
from ...claims.report import markdown_table
from ...metrics.intervals import Interval, bootstrap
from ..captions import one_line
from ..style import panels

PREDICTORS = {
    "theorem_1": ("Theorem 1, whole completions", "#D55E00"),
    "token_tree": ("Theorem 1 at every token", "#0072B2"),
    "tangent_kernel": ("empirical tangent kernel", "#009E73"),
}


def draw(result: xr.Dataset):
    """Share of the change explained by each prediction, how far what was not sampled moves, and both by model size."""
    optimizers, batches = list(result.optimizer.values), list(result.batch.values)
    columns = [(o, b) for o in optimizers for b in batches]
    sizes = result.sizes["size"] > 1
    fig, axes = panels(
        3 if sizes else 2, len(columns), width=3.6 * len(columns), height=10 if sizes else 7, sharey="row"
    )
    rates = result.learning_rate
    rates = rates.isel({d: 0 for d in rates.dims if d not in ("optimizer", "rate")})
    for column, (optimizer, batch) in enumerate(columns):
        x = rates.sel(optimizer=optimizer).values
        at = result.sel(optimizer=optimizer, batch=batch)
        agreement(axes[0, column], x, at)
        spill(axes[1, column], x, at)
        axes[0, column].set_title(f"{optimizer}, {batch} prompt{'s' if batch > 1 else ''} in the step")
        axes[1, column].set_xlabel("learning rate")
        if sizes:
            by_size(axes[2, column], result, optimizer, batch)
    if sizes:
        axes[2, 0].set_ylabel("at the smallest rate, by pretraining")
        axes[2, 0].set_ylim(bottom=0)
        axes[2, 0].legend(loc="upper left", fontsize=8)
    axes[0, 0].set_ylabel("share of squared change explained")
    axes[1, 0].set_ylabel("rms change of log pi / sampled correct")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside lower center", ncols=3)
    axes[1, 0].legend(loc="upper left", fontsize=8)
    fig.suptitle("One GRPO step on the transformer: prediction and measurement, 95% intervals over base models")
    return fig


def agreement(ax, x, at: xr.Dataset) -> None:
    for name, (label, color) in PREDICTORS.items():
        for subset, line in (("all", "-"), ("sampled", "--")):
            interval = over_models(at.r2.sel(predictor=name, subset=subset))
            ax.plot(x, interval.mean, color=color, linestyle=line, label=f"{label}: {subset}")
            ax.fill_between(x, interval.low, interval.high, color=color, alpha=0.15, linewidth=0)
    ax.set_xscale("log")
    ax.set_ylim(-0.25, 1.05)


def spill(ax, x, at: xr.Dataset) -> None:
    reference = at.rms.sel(subset="sampled_correct")
    for label, rms, color in (
        ("sampled wrong", at.rms.sel(subset="sampled_wrong"), "#D55E00"),
        ("unsampled", at.rms.sel(subset="unsampled"), "#0072B2"),
        ("prompts outside the step", at.bystanders, "#555555"),
    ):
        interval = over_models(rms / reference)
        ax.plot(x, interval.mean, color=color, label=label)
        ax.fill_between(x, interval.low, interval.high, color=color, alpha=0.15, linewidth=0)
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.yaxis.set_major_formatter("{x:g}")
    ax.yaxis.set_minor_formatter(NullFormatter())


def by_size(ax, result: xr.Dataset, optimizer: str, batch: int) -> None:
    """What Theorem 1 explains of sampled completions, and how far unsampled ones move, against the model's size."""
    cells = [(at, i) for at, i in regime(result) if (at["optimizer"], at["batch"]) == (optimizer, batch)]
    for quantity, label, color in (
        ("T1 sampled", "explained of sampled", "#D55E00"),
        ("spill", "unsampled / sampled correct", "#0072B2"),
    ):
        for depth, line in zip(result.depth.values, ("--", "-", ":"), strict=False):
            own = [(at["size"], i[quantity]) for at, i in cells if at["depth"] == depth]
            x = [size for size, _ in own]
            mean, low, high = (np.array([getattr(i, end) for _, i in own]) for end in Interval._fields)
            ax.plot(x, mean, color=color, linestyle=line, marker="o", markersize=3, label=f"{label}, {depth} steps")
            ax.fill_between(x, low, high, color=color, alpha=0.15, linewidth=0)
    ax.set_xscale("log")
    ax.set_xticks(result["size"].values, [f"{size / 1000:.0f}k" for size in result["size"].values])
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set_xlabel("parameters")


def over_models(values: xr.DataArray) -> Interval:
    """Interval over seeds of the mean over everything else but the rate.

    Steps in which nothing moved (all draws right, or all wrong) have nan and are left out, and so are ratios to a
    change too small for float32; with fewer than two seeds left there is no interval to draw.
    """
    others = [d for d in values.dims if d not in ("seed", "rate")]
    kept = values.where(np.isfinite(values)).mean(others, skipna=True).transpose("seed", "rate").dropna("seed")
    if kept.sizes["seed"] >= 2:
        return bootstrap(kept.values)
    mean = kept.mean("seed").values
    return Interval(mean, mean, mean)


def verdicts(steps: xr.Dataset) -> dict[str, dict[str, Cell]]:
    """Cells of the claims about single steps, from a result of `one_step`."""
    return judge_study(steps, "replay", STEP_MEASURES)


REGIME_HEADER = (
    "parameters",
    "pretraining",
    "optimizer",
    "prompts",
    "T1 sampled",
    "T1 all",
    "tree all",
    "kernel all",
    "spill",
)


def regime(steps: xr.Dataset) -> list[tuple[dict, dict[str, Interval]]]:
    """For each size, depth, optimiser and batch: its coordinates, and intervals over seeds at the smallest rate.

    The intervals are of the last columns of `REGIME_HEADER`. T1, tree and kernel: shares of the squared change of
    log-probability that Theorem 1, the token tree and the tangent kernel explain, of sampled or of all completions.
    Spill: root mean square change of unsampled completions over that of sampled correct ones. GRPO; mean over
    histories and draws that moved something.
    """
    at = steps.sel(estimator="grpo").isel(rate=0).mean(["history", "draw"], skipna=True)
    theorem, tree, kernel = (at.r2.sel(predictor=p) for p in ("theorem_1", "token_tree", "tangent_kernel"))
    quantities = (
        theorem.sel(subset="sampled"),
        theorem.sel(subset="all"),
        tree.sel(subset="all"),
        kernel.sel(subset="all"),
        at.rms.sel(subset="unsampled") / at.rms.sel(subset="sampled_correct"),
    )
    cells = []
    for index in np.ndindex(*(at.sizes[d] for d in ("size", "depth", "optimizer", "batch"))):
        where = dict(zip(("size", "depth", "optimizer", "batch"), index, strict=True))
        own = [q.isel(where) for q in quantities]
        values = [bootstrap(x.where(np.isfinite(x)).dropna("seed").values) for x in own]  # a change may round to zero
        labels = {name: at[name].values[i] for name, i in where.items()}
        cells.append((labels, dict(zip(REGIME_HEADER[4:], values, strict=True))))
    return cells


def regime_rows(steps: xr.Dataset) -> list[list[str]]:
    """`regime` as rows of text under `REGIME_HEADER`."""
    return [
        [f"{labels['size']:,}", *(str(labels[n]) for n in ("depth", "optimizer", "batch"))]
        + [f"{i.mean:.2f} [{i.low:.2f}, {i.high:.2f}]" for i in intervals.values()]
        for labels, intervals in regime(steps)
    ]


def usable(steps: xr.Dataset, share: float = 0.5) -> str:
    """Where Theorem 1 explains more than `share` of the squared change, as sentences made from `regime`."""
    cells = regime(steps)

    def where(column):
        return [labels for labels, intervals in cells if intervals[column].low > share]

    sampled, everything = where("T1 sampled"), where("T1 all")
    kinds = sorted({(str(c["optimizer"]), int(c["batch"])) for c in sampled})
    words = ", ".join(
        f"{sum((c['optimizer'], c['batch']) == kind for c in sampled)} of "
        f"{sum((labels['optimizer'], labels['batch']) == kind for labels, _ in cells)} with {kind[0]} and "
        f"{kind[1]} prompt{'s' * (kind[1] > 1)}"
        for kind in kinds
    )
    return (
        f"Theorem 1 explains more than {share:.0%} of the squared change (lower end of the interval) of sampled "
        f"completions in {len(sampled)} of {len(cells)} combinations of model size, pretraining, optimiser and batch"
        + (f" ({words})" if words else "")
        + f", and of all completions in {len(everything)}."
    )


def caption(steps: xr.Dataset) -> str:
    """What single steps show, with the regime in which Theorem 1 is usable and the verdicts."""
    what = f"""One step on a transformer whose 4,096 completions are enumerated: share of the squared change of
    log-probability that each prediction explains (Theorem 1 and its token form with the step size fitted, the tangent
    kernel as it is), against the learning rate, and how far completions move that were not sampled.
    {steps.sizes["seed"]} base models, 95% bootstrap intervals."""
    table_note = """At the smallest learning rate, GRPO (T1: Theorem 1; spill: root mean square change of unsampled
    completions over that of sampled correct ones):"""
    rows = markdown_table(REGIME_HEADER, regime_rows(steps))
    sentences = "\n".join(f"- {sentence(id, cells)}" for id, cells in verdicts(steps).items())
    return f"{one_line(what)}\n\n{usable(steps)} {one_line(table_note)}\n\n{rows}\n\n{sentences}"
