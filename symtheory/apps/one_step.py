"""One group of rollouts and one step on it: what Theorem 1 predicts for every behaviour, and what happens.

A policy over N behaviours with a logit each (the behaviour space of Theorem 1 of arXiv:2602.05548); G rollouts are
drawn, scored, turned into advantages A, and the logits ascend J = sum_i A_i log pi(o_i) by one step of size eta.
Predicted is the paper's formula with multiplicities, eta (n_b A_b - C pi_b); measured is the step along the gradient of
J that jax derives, and what it does to the probabilities.
"""

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from .. import estimators
from ..dynamics.theorem1 import log_prob_change, logit_change
from ..errors import InputError
from ..figures.tree_picture import GREEN, RED
from .svg import bars, chart, dots


def policy(behaviours: int, concentration: float) -> np.ndarray:
    """[N] probabilities proportional to rank to minus `concentration`: 0 is uniform.

    >>> policy(2, 1.0).round(3).tolist()
    [0.667, 0.333]
    """
    mass = np.arange(1.0, behaviours + 1) ** -concentration
    return mass / mass.sum()


def draw(seed: int, probabilities: np.ndarray, size: int) -> np.ndarray:
    """[size] behaviours drawn from the policy."""
    return np.asarray(
        jax.random.choice(jax.random.key(seed), len(probabilities), (size,), p=jnp.asarray(probabilities))
    )


def step(
    probabilities: np.ndarray,
    correct: np.ndarray,
    rollouts: np.ndarray,
    estimator: str,
    eta: float,
    omega: float = 0.5,
) -> xr.Dataset:
    """Advantages of the group, and predicted and measured changes of every behaviour.

    Args:
        probabilities: [N] of the policy.
        correct: [N] whether the verifier accepts a behaviour.
        rollouts: [G] behaviours drawn.
        estimator: a registered name.
        eta: size of the step on the sum over the group.
        omega: mean reward of the batch, for estimators that ask for it.

    Returns:
        `advantage[rollout]`; by behaviour: `count`, `logit_predicted`, `logit_measured`, `log_prob_predicted` (to first
        order in eta) and `log_prob_measured`; the attribute `imbalance` is C = sum A.

    Raises:
        InputError: fewer than two rollouts, or a rollout that is no behaviour.
    """
    rollouts, correct = np.asarray(rollouts), np.asarray(correct, bool)
    if len(rollouts) < 2 or rollouts.min() < 0 or rollouts.max() >= len(probabilities):
        raise InputError(f"rollouts must be at least two behaviours in 0..{len(probabilities) - 1}, got {rollouts}")
    advantage = np.asarray(estimators.advantages(correct[rollouts].astype(float), estimator, omega=omega))
    count = np.bincount(rollouts, minlength=len(probabilities))
    pull = np.bincount(rollouts, advantage, minlength=len(probabilities))
    logits = jnp.log(jnp.asarray(probabilities))

    def objective(logits):
        return (jnp.asarray(advantage) * jax.nn.log_softmax(logits)[rollouts]).sum()

    change = eta * jax.grad(objective)(logits)
    moved = jax.nn.log_softmax(logits + change) - jax.nn.log_softmax(logits)
    behaviours = {
        "probability": probabilities,
        "correct": correct,
        "count": count,
        "logit_predicted": eta * logit_change(probabilities, pull),
        "logit_measured": np.asarray(change),
        "log_prob_predicted": eta * log_prob_change(probabilities, pull),
        "log_prob_measured": np.asarray(moved),
    }
    return xr.Dataset(
        {"advantage": ("rollout", advantage), "drawn": ("rollout", rollouts)}
        | {name: ("behaviour", values) for name, values in behaviours.items()},
        attrs={"estimator": estimator, "imbalance": float(advantage.sum())},
    )


def summary(result: xr.Dataset) -> str:
    """In one sentence what the step did, with the success probability before and after."""
    unseen = result["count"].values == 0
    logit, log_prob = result.logit_measured.values[unseen], result.log_prob_measured.values[unseen]
    p, after = result.probability.values, result.probability.values * np.exp(result.log_prob_measured.values)
    correct = result.correct.values
    up = int((log_prob > 1e-9).sum())
    still = bool((np.abs(logit) < 1e-6).all())
    return (
        f"C = {result.attrs['imbalance']:+.2f}. Of {unseen.sum()} behaviours that were not drawn the logits "
        f"{'stay' if still else 'move'}, and the probabilities of {up} rise. "
        f"Success {p[correct].sum():.3f} becomes {after[correct].sum():.3f}."
    )


PALE = {True: "#7FCFB9", False: "#B9BDC4"}  # behaviours that were not drawn: correct, wrong


def advantages(result: xr.Dataset) -> str:
    """One bar for each rollout, green for a correct one."""
    correct = result.correct.values[result.drawn.values]
    values = result.advantage.values
    labels = [
        f"rollout {i + 1}: behaviour {b + 1}, A = {a:.2f}"
        for i, (b, a) in enumerate(zip(result.drawn.values, values, strict=True))
    ]
    ticks = [(i, str(b + 1)) for i, b in enumerate(result.drawn.values)]
    marks = [bars(range(len(values)), values, [GREEN if r else RED for r in correct], labels=labels)]
    alt = "advantages " + ", ".join(f"{a:.2f}" for a in values)
    return chart("advantage of each rollout", marks, x="behaviour that was drawn", x_ticks=ticks, zero=True, alt=alt)


def changes(result: xr.Dataset, what: str) -> str:
    """Measured change of each behaviour as a bar, predicted as a ring; `what` is "logit" or "log_prob"."""
    measured, predicted = result[f"{what}_measured"].values, result[f"{what}_predicted"].values
    seen, correct = result["count"].values > 0, result.correct.values
    colours = [(GREEN if r else RED) if s else PALE[bool(r)] for s, r in zip(seen, correct, strict=True)]
    places = range(len(measured))
    labels = [
        f"behaviour {b + 1}: {m:+.3f}, predicted {q:+.3f}" for b, m, q in zip(places, measured, predicted, strict=True)
    ]
    marks = [bars(places, measured, colours, labels=labels), dots(places, predicted, "currentColor", 4, hollow=True)]
    ticks = [(b, f"{b + 1}" + ("×" + str(n) if n > 1 else "")) for b, n in enumerate(result["count"].values)]
    title = {"logit": "change of the logit", "log_prob": "change of the log-probability"}[what]
    alt = f"{title}: " + ", ".join(f"{m:+.2f}" for m in measured)
    return chart(title, marks, x="behaviour, likely ones first (× times drawn)", x_ticks=ticks, zero=True, alt=alt)


def key() -> str:
    """What the colours mean."""
    entries = (
        (GREEN, "drawn, correct"),
        (RED, "drawn, wrong"),
        (PALE[True], "not drawn, correct"),
        (PALE[False], "not drawn, wrong"),
    )
    small = '<svg width="14" height="14" aria-hidden="true">{}</svg> {}'
    marks = [small.format(f'<rect width="14" height="14" fill="{colour}"/>', words) for colour, words in entries]
    ring = '<circle cx="7" cy="7" r="4" fill="none" stroke="currentColor" stroke-width="2"/>'
    marks.append(small.format(ring, "predicted by Theorem 1"))
    return f'<div class="legend">{"".join(f"<span>{m}</span>" for m in marks)}</div>'
