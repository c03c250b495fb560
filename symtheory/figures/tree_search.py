"""Figure: what groups from independent rollouts, branching and search find, and what is learned from them."""

from typing import Any

import numpy as np

from ..metrics.intervals import bootstrap
from ..studies.tree_search import at_level
from . import style

SOURCES = {
    "independent": ("independent rollouts", "#000000", "o", "-"),
    "branching": ("branching", "#E69F00", "s", "-"),
    "branching, node level": ("branching, node level", "#E69F00", "D", "--"),
    "gumbel": ("Gumbel search", "#0072B2", "^", "-"),
    "gumbel, node level": ("Gumbel search, node level", "#0072B2", "v", "--"),
    "puct": ("PUCT search", "#CC79A7", "P", "-"),
}

COUNT: dict[str, Any] = dict(rotation=90, fontsize=7.5, ha="center", va="bottom")


def draw(data):
    """Top: one group under the base policy. Bottom: policies trained on such groups, where pass@1 is equal."""
    fig, axes = style.panels(2, 2, width=11.0, height=8.0)
    _found(axes[0, 0], data.rare_found, "rare solutions found")
    _found(axes[0, 1], data.solved, "prompts solved at least once")
    level = f"where pass@1 reaches {data.attrs['level']:g}"
    _trained(axes[1, 0], at_level(data, "rare_coverage"), f"coverage of rare solutions, {level}")
    _trained(axes[1, 1], at_level(data, "pass@16"), f"pass@16, {level}")
    base = data.trained.isel(record=0, trained_on=0, estimator=0).mean("seed")
    for ax, metric in zip(axes[1], ("rare_coverage", "pass@16"), strict=True):
        ax.axhline(float(base.sel(metric=metric)), color="#555555", linestyle=":", linewidth=1.2)
    axes[0, 0].legend(title="source of the group")
    handles, labels = axes[1, 0].get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside lower center", ncols=5)
    fig.suptitle(
        f"Search as a source of groups: {data.sizes['seed']} seeds, 95% bootstrap intervals\n"
        "dotted: base policy; a count: so many runs reach the level within the budget, the others have no value",
        fontsize=12,
    )
    return fig


def _found(ax, values, title):
    for source in values.source.values:
        label, color, marker, line = SOURCES[source]
        i = bootstrap(values.sel(source=source).transpose("seed", "budget").values)
        ax.errorbar(
            values.budget,
            i.mean,
            [i.mean - i.low, i.high - i.mean],
            color=color,
            marker=marker,
            linestyle=line,
            label=label,
        )
    ax.set_xscale("log", base=2)
    ax.set_xticks(values.budget.values, [str(b) for b in values.budget.values])
    ax.set(xlabel="leaf evaluations for each prompt", title=f"Base policy: {title}", ylim=(0, None))


def _trained(ax, values, title):
    names, width = list(values.estimator.values), 0.15
    for j, source in enumerate(values.trained_on.values):
        label, color, marker, _ = SOURCES[source]
        for i, name in enumerate(names):
            x = i + (j - (values.sizes["trained_on"] - 1) / 2) * width
            seeds = values.sel(trained_on=source, estimator=name).values
            reached = np.isfinite(seeds).sum()
            if reached < len(seeds):  # a mean over the runs that got there would be a selection
                ax.annotate(
                    f"{reached}/{len(seeds)}", (x, 0.01), xycoords=ax.get_xaxis_transform(), color=color, **COUNT
                )
                continue
            b = bootstrap(seeds)
            hollow = "none" if "node" in source else color
            ax.errorbar(
                x,
                b.mean,
                [[b.mean - b.low], [b.high - b.mean]],
                color=color,
                marker=marker,
                markerfacecolor=hollow,
                linestyle="",
                label=label if i == 0 else None,
            )
    ax.set_xticks(np.arange(len(names)), [style.look(n)["label"] for n in names])
    ax.set_title(title)
