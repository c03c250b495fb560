"""How far the mean field is from the mean of sampled runs: one prompt, many independent runs."""

import jax
import numpy as np
import optax
import xarray as xr
from matplotlib.figure import Figure

from .. import estimators
from ..dynamics import Update, advantage_of, mean_field, train
from ..metrics.intervals import bootstrap
from ..worlds import make_bandit
from .base import Runs, describe, figure
from .style import look, panels

GROUP, STEPS, STRIDE = 8, 200, 10
CASES = (  # estimator, success of the base policy, step eta on the group's sum
    ("grpo", 0.10, 0.005),
    ("grpo", 0.10, 0.02),
    ("grpo", 0.02, 0.04),
    ("positive_dominant", 0.25, 0.005),
    ("negative_dominant", 0.25, 0.02),
)


@figure("mean_field", "The mean field against the mean of sampled runs")
def result(runs: Runs) -> xr.Dataset:
    """Paths of pass@1 [statistic, case, step], the mean field's [case, step], and its bias with intervals."""
    count = 4096 if runs.preset.confirm else 512
    sampled, spread, field, bias = [], [], [], []
    for case, (name, success, eta) in enumerate(CASES):
        paths, mean = _one(jax.random.key(case), name, success, eta, count)
        sampled.append(np.array(bootstrap(paths)))
        spread.append(paths.std(0))
        field.append(mean)
        bias.append(np.array(bootstrap(mean - paths)))
    dims = ["statistic", "case", "step"]
    dataset = xr.Dataset(
        {
            "sampled": (dims, np.stack(sampled, 1)),
            "spread": (dims[1:], np.array(spread)),
            "mean_field": (dims[1:], np.array(field)),
            "bias": (dims, np.stack(bias, 1)),
        },
        {
            "statistic": ["mean", "low", "high"],
            "case": [f"{name}, P = {p}, eta = {eta}" for name, p, eta in CASES],
            "estimator": ("case", [name for name, _, _ in CASES]),
            "step": STRIDE * np.arange(STEPS // STRIDE + 1),
        },
        {"runs": count},
    )
    mean = dataset.bias.sel(statistic="mean")
    worst = mean.isel(step=abs(mean).argmax("step"))
    sentences = "; ".join(
        f"{case}: {100 * float(b):+.2f} points at step {int(b.step)}"
        for case, b in zip(mean.case.values, worst, strict=True)
    )
    text = (
        "One expected step is the exact mean of a sampled one; iterated, it ignores the spread of the runs. Solid: "
        f"mean pass@1 of {count} sampled runs of one prompt (64 trajectories, 8 correct, G = 8; shade: one standard "
        "deviation). Dashed: the mean field. Lower row: mean field minus sampled mean with its 95% bootstrap interval. "
        f"Largest bias: {sentences}. Intervals that hold zero everywhere would say that the fast exact paths can stand "
        "for sampled ones; where the spread is large they cannot."
    )
    return describe(dataset, text, runs)


def _one(key, name: str, success: float, eta: float, count: int) -> tuple[np.ndarray, np.ndarray]:
    """pass@1 of `count` sampled runs [count, time] and of the mean field [time]."""
    worlds = make_bandit(key, np.full(count, success), trajectories=64, correct=8)
    optimizer = optax.sgd(eta * GROUP)  # the gradient is a mean over the group
    advantage = advantage_of([estimators.get(name)], 0)
    program = jax.jit(
        lambda key: train(
            key,
            worlds,
            advantage,
            optimizer,
            Update(GROUP),
            observe=worlds.success,
            records=STEPS // STRIDE,
            stride=STRIDE,
        )[1]
    )
    one = type(worlds)(worlds.logits[:1], worlds.correct[:1])
    path = jax.jit(
        lambda: mean_field(one, estimators.get(name), optimizer, GROUP, observe=one.success, steps=STEPS)[1]
    )()
    return np.asarray(program(key)).T, np.asarray(path)[::STRIDE, 0]


def draw(dataset: xr.Dataset) -> Figure:
    """Upper row: pass@1 over steps. Lower row: mean field minus sampled mean, in percentage points."""
    cases = dataset.case.values
    fig, axes = panels(2, len(cases), width=12.5, height=4.8, sharex=True)
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
