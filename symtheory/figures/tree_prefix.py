"""Figure: how unsampled leaves move, by the prefix they share with what was sampled."""

import numpy as np

from . import style

COLORS = {"correct": "#009E73", "wrong": "#D55E00", "neither": "#777777"}


def draw(data):
    """Rows: estimators; columns: shapes. Points are measured, lines the prefix kernel, dashes Theorem 1."""
    shapes = [s for s in data.shape.values if int(s.split("d = ")[1]) > 2]  # one point makes no curve
    rows, columns = data.sizes["estimator"], len(shapes)
    fig, axes = style.panels(rows, columns, width=4.6 * columns, height=2.9 * rows + 1.0, sharey="row")
    for i, name in enumerate(data.estimator.values):
        for j, shape in enumerate(shapes):
            _panel(axes[i, j], data.sel(estimator=name, shape=shape))
            axes[i, j].set_title(f"{style.look(name)['label']}, {shape}")
        axes[i, 0].set_ylabel("mean change of log π\nper unit step")
    for ax in axes[-1]:
        ax.set_xlabel("steps shared with the nearest sampled leaf")
    handles, labels = axes[0, -1].get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside lower center", ncols=2)
    fig.suptitle(
        "Unsampled leaves move with their prefix; the numbers beside the points say how many rise", fontsize=12
    )
    return fig


def _panel(ax, data):
    ax.axhline(0, color="#333333", linewidth=0.8)
    for offset, nearest in zip((-0.08, 0.08), ("correct", "wrong"), strict=True):
        cell = data.sel(nearest=nearest).where(data.sel(nearest=nearest).leaves > 0, drop=True)
        x, color = cell.shared.values, COLORS[nearest]
        error = np.abs(np.stack([cell.measured_low, cell.measured_high]) - cell.measured.values)
        ax.plot(x, cell.predicted, color=color, alpha=0.55, label=f"prefix kernel, nearest is {nearest}")
        ax.errorbar(
            x + offset,
            cell.measured,
            error,
            fmt="o",
            color=color,
            markersize=5,
            label=f"measured, nearest is {nearest}",
        )
        if nearest == "wrong":
            ax.plot(x, cell.theorem1, color="#333333", linestyle=":", label="Theorem 1 (leaves as separate logits)")
        for xi, y, rising in zip(x, cell.measured.values, cell.rising.values, strict=True):
            ax.annotate(
                f"{rising:.0%}",
                (xi + offset, y),
                xytext=(0, 9 if nearest == "correct" else -16),
                textcoords="offset points",
                ha="center",
                fontsize=8,
                color=color,
            )
    ax.set_xticks(np.arange(int(data.shared.max()) + 1))
    ax.margins(x=0.12, y=0.22)
