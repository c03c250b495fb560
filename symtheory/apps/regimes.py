"""What a regime of training does to one prompt: the weight F', what an update costs, and the path that it gives.

The weight and the cost are exact (`dynamics.expected_regime`). The path is the mean field of one correct and one wrong
behaviour, whose logits move apart by 2 F' P Q a step; entropy bonus, KL penalty, lag and clipping have their own exact
terms.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import xarray as xr

from .. import estimators
from ..dynamics import Band, Group, Redraw, Regime, Update, Verifier, advantage_of, drawing, expected_regime, sampled
from ..dynamics.sampled import State
from ..worlds.bandit import Bandit
from .svg import Mark, chart, dots, ink, line

SUCCESS = np.linspace(0.01, 0.99, 61)
DOTS = np.linspace(0.05, 0.95, 10)
PLAIN_INK = "color-mix(in srgb, currentColor 55%, transparent)"


class Setting(NamedTuple):
    """Where the sliders stand."""

    estimator: str = "grpo"
    group_size: int = 8
    false_positive: float = 0.0
    false_negative: float = 0.0
    tries: int = 0
    """draws of a group until it is mixed; 0: no dynamic sampling"""
    copies: int = 1
    band: Sequence[float] = (0.0, 1.0)
    """successes between which the prompt is trained on"""
    lag: int = 0
    clip_low: float = 1.0
    """how far below 1 a stale rollout's ratio counts; 1 is no clipping"""
    clip_high: float = 10.0
    """and how far above; 10 is hardly any"""
    entropy: float = 0.0
    kl: float = 0.0
    start: float = 0.3
    """success of the base policy"""

    @property
    def regime(self) -> Regime:
        """What the sliders say about a single step."""
        low, high = self.band
        errs = self.false_positive or self.false_negative
        return Regime(
            Verifier(self.false_positive, self.false_negative) if errs else None,
            Redraw(tries=self.tries) if self.tries else None,
            None if tuple(self.band) == (0, 1) else Band(low, high),
            group=Group(copies=self.copies) if self.copies > 1 else None,
        )


def curves(setting: Setting) -> xr.Dataset:
    """`weight` (what multiplies grad P) and `rollouts` (mean cost of an update), plain and under the regime."""
    estimator, p = estimators.get(setting.estimator), jnp.asarray(SUCCESS)
    both = {"plain": Regime(), "regime": setting.regime}
    found = [_exact(estimator, setting.group_size, p, regime) for regime in both.values()]
    columns = {n: (("case", "success"), np.stack([f[n] for f in found])) for n in found[0]}
    return xr.Dataset(columns, {"case": list(both), "success": SUCCESS})


def _exact(estimator, size, p, regime):
    """The weight, the cost, and the mean advantage of an accepted and of a rejected rollout, each at success p[...]."""
    verifier = regime.verifier or Verifier()
    seen = verifier.observed(p)
    on = np.ones(len(p)) if regime.admit is None else np.asarray(regime.admit.admits(None, p, p, 0), float)
    # prompts apart from each other: a batch of one, so that no estimator couples the points of a curve
    means = jax.vmap(lambda x: jnp.stack(expected_regime.class_means(estimator, size, x[None], regime))[:, 0])(seen)
    accepted, rejected, gap = np.asarray(means).T
    cost = np.asarray(expected_regime.rollouts(size, p, regime))
    means = {"accepted": accepted, "rejected": rejected, "cost": cost}  # of a prompt that is trained on
    return {"weight": on * verifier.youden * gap, "rollouts": on * cost, **means}


def path(setting: Setting, curves: xr.Dataset, rate: float = 0.05, steps: int = 400) -> xr.Dataset:
    """Mean-field success of one prompt from `start`, plain and under the regime, with the rollouts spent, by step."""
    plain = Setting(start=setting.start)
    found = {
        case: _path(own, curves.sel(case=case), rate, steps) for case, own in (("plain", plain), ("regime", setting))
    }
    success, spent = (np.stack(column) for column in zip(*found.values(), strict=True))
    dims = ("case", "step")
    return xr.Dataset({"success": (dims, success), "spent": (dims, spent)}, {"case": list(found)})


def _path(setting, curves, rate, steps):
    """Success and rollouts spent, both [steps + 1]."""
    verifier = setting.regime.verifier or Verifier()
    at = lambda name, p: np.interp(p, SUCCESS, curves[name].values)  # noqa: E731
    clip, (low, high) = (setting.clip_low, setting.clip_high), setting.band
    z, spent = [np.log(setting.start / (1 - setting.start))], [0.0]

    for t in range(steps):
        p, old = _sigmoid(z[-1]), _sigmoid(z[max(t - setting.lag, 0)])
        classes = at("accepted", old), at("rejected", old)
        right = expected_regime.clipped_mean(*classes, 1 - verifier.false_negative, p / old, clip)
        wrong = expected_regime.clipped_mean(*classes, verifier.false_positive, (1 - p) / (1 - old), clip)
        pull = (right - wrong - setting.entropy * z[-1]) * p * (1 - p) + setting.kl * (setting.start - p)
        admitted = low <= p <= high
        z.append(z[-1] + 2 * rate * pull * admitted)
        spent.append(spent[-1] + admitted * at("cost", old))
    return _sigmoid(np.array(z)), spent


def _sigmoid(z):
    return 1 / (1 + np.exp(-z))


def sample(setting: Setting, groups: int = 4000, seed: int = 0) -> xr.Dataset:
    """The weight at a few successes from sampled groups of the simulators' own code, mean and standard error."""
    p = jnp.asarray(DOTS)
    logits = jnp.stack([jnp.log(p), jnp.log1p(-p)], axis=-1)
    world = Bandit(logits, jnp.ones(len(DOTS), int))
    optimizer, regime = optax.sgd(1.0), setting.regime
    state = State(logits, optimizer.init(logits), drawing.start(world, regime))
    advantage = advantage_of([estimators.get(setting.estimator)], 0)

    def one(key):
        after, _ = sampled.prompt_step(key, state, world, advantage, optimizer, Update(setting.group_size), regime)
        return (after.params - logits) @ jnp.array([1.0, -1.0]) / (2 * p * (1 - p))

    found = np.asarray(jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(seed), groups)), float)
    error = found.std(0) / np.sqrt(groups)
    return xr.Dataset({"weight": ("success", found.mean(0)), "error": ("success", error)}, {"success": DOTS})


def _pair(data: xr.Dataset, x: str, y: str, name: str) -> list[Mark]:
    plain, own = (data.sel(case=case) for case in ("plain", "regime"))
    return [
        line(plain[x], plain[y], PLAIN_INK, "--", label="plain"),
        line(own[x], own[y], ink(name), label="under the regime"),
    ]


def weight_chart(setting: Setting, curves: xr.Dataset, dotted: xr.Dataset | None = None) -> str:
    """What multiplies grad P, by success; dots with bars of two standard errors where groups were sampled."""
    marks = _pair(curves, "success", "weight", setting.estimator)
    if dotted is not None:
        for p, w, e in zip(dotted.success.values, dotted.weight.values, dotted.error.values, strict=True):
            marks.append(line([p, p], [w - 2 * e, w + 2 * e], "currentColor", width=1.5))
        marks.append(dots(dotted.success, dotted.weight, "currentColor", 3.5))
    return chart("expected update, in units of grad P", marks, x="success of the prompt", zero=True)


def cost_chart(setting: Setting, curves: xr.Dataset) -> str:
    """Mean rollouts of one update, by success."""
    return chart(
        "rollouts for one update",
        _pair(curves, "success", "rollouts", setting.estimator),
        x="success of the prompt",
        zero=True,
    )


def path_chart(setting: Setting, path: xr.Dataset) -> str:
    """Mean-field success against rollouts spent."""
    marks = _pair(path, "spent", "success", setting.estimator)
    return chart("success in training (mean field)", marks, x="rollouts spent", y_limits=(0, 1))


def summary(setting: Setting, curves: xr.Dataset, path: xr.Dataset) -> str:
    """In a few words what the regime does."""
    verifier = setting.regime.verifier or Verifier()
    ends = path.success.isel(step=-1).values
    ratio = curves.weight.sel(case="regime") / curves.weight.sel(case="plain")
    low, high = setting.band
    outside = f" The base success {setting.start:g} lies outside the band {low:g} to {high:g}: it stays where it is."
    return (
        f"J = {verifier.youden:.2f}. The step is {float(ratio.min()):.2f} to {float(ratio.max()):.2f} times the plain "
        f"one. After {path.sizes['step'] - 1} updates success is {ends[1]:.3f}, without the regime {ends[0]:.3f}."
        + outside
        * (not low <= setting.start <= high)
    )
