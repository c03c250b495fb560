"""How far the mean field is from the mean of sampled runs: one prompt, many independent runs."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import xarray as xr
from matplotlib.figure import Figure

from .. import estimators
from ..dynamics import Update, advantage_of, mean_field, train
from ..dynamics.devices import quick_jit
from ..metrics.intervals import bootstrap
from ..storage import provenance, store
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
    links = [link for name, _, _ in CASES for link in estimators.get(name).links]
    config = {"mean_field": 1, "runs": count, **provenance.made_by(_paths, *links)}
    kept = store.cached(runs.folder, "mean-field", config, lambda: _paths(count))
    paths, field = kept.sampled.values, kept.mean_field.values
    sampled = [np.array(bootstrap(path.T)) for path in paths]
    bias = [np.array(bootstrap(mean - path.T)) for path, mean in zip(paths, field, strict=True)]
    dims = ["statistic", "case", "step"]
    dataset = xr.Dataset(
        {
            "sampled": (dims, np.stack(sampled, 1)),
            "spread": (dims[1:], paths.std(-1)),
            "mean_field": (dims[1:], field),
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


def _paths(count: int) -> xr.Dataset:
    """pass@1 of `count` sampled runs (`case, step, run`), and of the mean field (`case, step`); each is one program."""
    used = sorted({name for name, _, _ in CASES})
    chains = [estimators.get(name) for name in used]
    index = jnp.array([used.index(name) for name, _, _ in CASES])
    success, rate = jnp.array([p for _, p, _ in CASES]), GROUP * jnp.array([eta for _, _, eta in CASES])

    def sampled(case, index, success, rate):  # the gradient is a mean over the group, so the rate is eta G
        worlds = make_bandit(jax.random.key(case), jnp.full(count, success), trajectories=64, correct=8)
        return train(
            jax.random.key(case),
            worlds,
            advantage_of(chains, index),
            optax.sgd(rate),
            Update(GROUP),
            observe=worlds.success,
            records=STEPS // STRIDE,
            stride=STRIDE,
        )[1]

    def expected(index, success, rate):
        world = make_bandit(jax.random.key(0), success[None], trajectories=64, correct=8)

        def path(estimator):
            observed = mean_field(world, estimator, optax.sgd(rate), GROUP, observe=world.success, steps=STEPS)[1]
            return observed[::STRIDE, 0]

        return jax.lax.switch(index, [partial(path, chain) for chain in chains])

    paths = quick_jit(jax.vmap(sampled))(jnp.arange(len(CASES)), index, success, rate)
    field = quick_jit(jax.vmap(expected))(index, success, rate)
    return xr.Dataset(
        {
            "sampled": (("case", "step", "run"), np.asarray(paths)),
            "mean_field": (("case", "step"), np.asarray(field)),
        }
    )


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
