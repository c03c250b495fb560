"""Figure: what training did under each estimator, against the base models."""

from collections.abc import Sequence

import numpy as np
import xarray as xr

from ...claims.ledger import READING, sentence
from ...claims.report import markdown_table
from ...metrics.intervals import bootstrap
from ...studies.controlled import KS
from ...studies.transformer.training import Training
from .. import easy_focus
from ..captions import one_line
from ..style import look, panels
from .study import as_study, mean_pass_at_k, verdicts


def draw(result: xr.Dataset):
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


def against_grpo(result: xr.Dataset, config: Training) -> xr.Dataset:
    """`easy_focus.against_grpo` for training runs of one setting."""
    names = {name: name for name in config.estimators}
    return easy_focus.against_grpo(as_study(result), config.update.group_size, names)


def focused(results: Sequence[xr.Dataset], configs: Sequence[Training]) -> xr.Dataset:
    """`easy_focus.together` for the training runs of several settings, with its caption."""
    settings = zip(results, configs, strict=True)
    together = easy_focus.together(
        {result.attrs["setting"]: against_grpo(result, config) for result, config in settings}
    )
    return together.assign_attrs(caption=easy_focus.caption(together, results[0].sizes["seed"]))


def _beside_grpo(found: xr.Dataset) -> str:
    """`against_grpo` in words and as a table."""
    rows = []
    for name in found.estimator.values:
        of = found.sel(estimator=name)
        cells = of.gain.transpose("k", "reading", "statistic").values.reshape(-1, 3)
        rows.append(
            (name, f"{float(of.focus):.2f}", *(f"{m:+.1f} [{low:+.1f}, {high:+.1f}]" for m, low, high in cells))
        )
    columns = [f"pass@{k}, {reading}" for k in found.k.values for reading in found.reading.values]
    told = "Held-out pass@k minus GRPO's, in points, in the order of the expected focus on easy prompts (GRPO: 1)."
    if len(rows) > 2:
        rank = float(found.rank_correlation.sel(reading="equal training pass@1"))
        told += f" Rank correlation of this focus with the last column, GRPO included: {rank:+.2f}."
    return f"{told}\n\n{markdown_table(('estimator', 'focus', *columns), rows)}"


def caption(result: xr.Dataset, config: Training) -> str:
    """What was trained and what came out, with the verdicts of this setting."""
    u = config.update
    lines = [f"- {sentence(id, cells)}" for id, cells in verdicts(result).items()]
    what = f"""The real update on a decoder-only transformer ({config.base.layers} layers, width {config.base.width}),
    pretrained on the task {config.base.task} to partial competence: {config.steps} rollout batches of {u.batch} prompts
    x {u.group_size} rollouts, {u.mini_batches} mini-batches, {u.aggregation} loss, clip {u.clip_low} and {u.clip_high},
    {result.attrs["setting"]}; {config.prompts} training prompts and as many held-out ones,
    {result.sizes["seed"]} seeds. Mean over seeds of the difference to the seed's own base model, with 95% bootstrap
    intervals."""
    against = [_beside_grpo(against_grpo(result, config))] if "grpo" in config.estimators else []
    return "\n\n".join([one_line(what), *against, "In this setting:", "\n".join(lines), READING])
