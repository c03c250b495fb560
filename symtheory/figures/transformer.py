"""Figures of the replay: what training did under each estimator, and how single steps agree with predictions."""

import numpy as np
import xarray as xr
from matplotlib.ticker import LogLocator, NullFormatter

from ..metrics.intervals import Interval, bootstrap
from ..metrics.passk import pass_at_k
from .style import MARKERS, look, panels
from .transformer_captions import mean_pass_at_k, regime

KS = [1, 2, 4, 8, 16, 32, 64, 128, 256]
PREDICTORS = {
    "theorem_1": ("Theorem 1, whole completions", "#D55E00"),
    "token_tree": ("Theorem 1 at every token", "#0072B2"),
    "tangent_kernel": ("empirical tangent kernel", "#009E73"),
}


def training(result: xr.Dataset):
    """Held-out pass@k against the base model, and the course of success, entropy and greedy accuracy."""
    fig, axes = panels(2, 3, width=13, height=7.4)
    curves(axes[0, 0], result, cut=False)
    axes[0, 0].set_title("held-out pass@k minus base")
    curves(axes[0, 1], result, cut=True)
    axes[0, 1].set_title("the same, sampled at T 0.6, top-p 0.95")
    samples = result.attrs.get("samples", 0)  # without them success is exact
    courses = {
        "held-out pass@256": mean_pass_at_k(result, 256),
        f"{'success' if samples else 'exact success'}, training prompts": mean_pass_at_k(result, 1, "train"),
        "entropy over completions (nat)": result.entropy.sel(split="train").mean("prompt"),
        "greedy accuracy, held-out": result.greedy.sel(split="held_out").mean("prompt"),
    }
    for ax, (title, path) in zip(axes.flat[2:], courses.items(), strict=True):
        course(ax, path - path.isel(step=0))  # base models differ more than estimators do
        ax.set_title(f"{title}, minus base")
        ax.set_xlabel("rollout batches")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside lower center", ncols=4)
    setting, seeds = result.attrs["setting"], result.sizes["seed"]
    fig.suptitle(f"GRPO on a small transformer, {setting}: mean of {seeds} seeds with 95% bootstrap intervals")
    return fig


def curves(ax, result: xr.Dataset, cut: bool) -> None:
    """Final pass@k of every estimator minus that of its own base model."""
    passed = mean_pass_at_k(result, KS, cut=cut)
    ax.axhline(0, color=look("base")["color"], linestyle=look("base")["linestyle"])
    for name in result.estimator.values:
        gain = passed.sel(estimator=name).isel(step=-1) - passed.sel(estimator=name).isel(step=0)
        band(ax, KS, gain.transpose("seed", "k").values, name)
    ax.set_xscale("log", base=2)
    ax.set_xticks(KS, [str(k) for k in KS])
    ax.set_xlabel("k")


def course(ax, path: xr.DataArray) -> None:
    for name in path.estimator.values:
        band(ax, path.step.values, path.sel(estimator=name).transpose("seed", "step").values, name)


def band(ax, x, values: np.ndarray, name: str) -> None:
    """Mean over seeds of `values[seed, x]` with its interval."""
    interval = bootstrap(values)
    style = look(name)
    ax.plot(x, interval.mean, **style)
    ax.fill_between(x, interval.low, interval.high, color=style["color"], alpha=0.12, linewidth=0)


def worlds(result: xr.Dataset, simulated: xr.Dataset):
    """pass@256 and entropy against pass@1 on the training prompts: the transformer, and the same policies simulated."""
    names = list(simulated.world.values)
    fig, axes = panels(len(names), 2, width=11, height=4.2 * len(names), sharex="col", sharey="col")
    trained = result.sel(split="train")
    x, at_256 = (mean_pass_at_k(result, k, "train").mean("seed") for k in (1, 256))
    entropy = trained.entropy.mean(("seed", "prompt"))
    p = simulated.success.astype(float)
    for (left, right), world in zip(axes, names, strict=True):
        own = p.sel(world=world)
        own_256 = own.copy(data=pass_at_k(own.values, 256))
        for ax, points, lines in ((left, at_256, own_256), (right, entropy, simulated.entropy.sel(world=world))):
            for name in result.estimator.values:
                style = look(name)
                one = dict(estimator=name)
                marker = MARKERS[style["linestyle"]]
                line = lines.sel(one).mean(("seed", "prompt"))
                ax.plot(x.sel(one), points.sel(one), marker, color=style["color"], label=style["label"], markersize=4)
                ax.plot(own.sel(one).mean(("seed", "prompt")), line, style["linestyle"], color=style["color"], lw=1.2)
        left.set_ylabel("pass@256, training prompts")
        right.set_ylabel("entropy over completions (nat)")
        left.set_title(f"lines: {world}", loc="left")
    for ax in axes[-1]:
        ax.set_xlabel("pass@1, training prompts")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside lower center", ncols=4)
    fig.suptitle("Points: the transformer. Lines: the same base policies in the simulators")
    return fig


def one_step(result: xr.Dataset):
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
