"""The mean field beside sampled runs, and its bias."""

import xarray as xr
from matplotlib.figure import Figure

from .style import figure, look


def draw(dataset: xr.Dataset) -> Figure:
    """Upper row: pass@1 over steps. Lower row: mean field minus sampled mean, in percentage points."""
    cases = dataset.case.values
    fig, axes = figure(2, len(cases), width=12.5, height=4.8, sharex=True)
    step = dataset.step.values
    for column, case in enumerate(cases):
        part = 100 * dataset.sel(case=case).drop_vars("estimator")
        name = str(dataset.sel(case=case).estimator.values)
        color = look(name)["color"]
        upper, lower = axes[:, column]
        mean = part.sampled.sel(statistic="mean")
        upper.plot(step, mean, color=color, label="mean of sampled runs")
        upper.fill_between(step, mean - part.spread, mean + part.spread, color=color, alpha=0.15, lw=0)
        upper.plot(step, part.mean_field, color=color, ls="--", label="mean field")
        setting = str(case).replace(f"{name}, ", "").replace("eta", r"$\eta$")
        upper.set_title(f"{look(name)['label']}\n{setting}", fontsize=9)
        lower.axhline(0, color="#888888", lw=1)
        lower.plot(step, part.bias.sel(statistic="mean"), color=color)
        lower.fill_between(
            step, part.bias.sel(statistic="low"), part.bias.sel(statistic="high"), color=color, alpha=0.25
        )
        lower.set_xlabel("training step")
    axes[0, 0].set_ylabel("pass@1 (%)")
    axes[1, 0].set_ylabel("bias (points)")
    axes[0, 0].legend(loc="upper left", fontsize=8)
    return fig
