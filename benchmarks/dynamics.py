"""The mean field against sampled runs, and the variance that the control variate removes.

One prompt, 64 trajectories of which 8 are correct, GRPO, G = 8, 200 steps of SGD. Time of a trajectory is its share of
a batch of 1,024. The mean field is biased where the spread of the runs is large, so the bias is in the row, and at
equal error it is compared only where it is within the error: the time of as many runs as bring the standard error
of their mean success down to 0.001, against the time of one mean-field trajectory.
"""

import math

import jax
import numpy as np
import optax

from symtheory import estimators
from symtheory.dynamics import Update, advantage_of, mean_field, train
from symtheory.dynamics.control_variate import control_variate
from symtheory.dynamics.devices import across_devices
from symtheory.worlds import make_bandit

from .timing import interleave, row, speed_row

GROUP, STEPS, BATCH, TARGET = 8, 200, 1024, 1e-3
CASES = ((0.10, 0.005), (0.02, 0.02), (0.10, 0.02))  # success of the base policy, step on the sum over the group
GRPO = estimators.get("grpo")


def make_world(success: float, prompts: int):
    return make_bandit(jax.random.key(0), np.full(prompts, success), trajectories=64, correct=8)


def sampled_program(eta: float):
    advantage = advantage_of([GRPO], 0)

    def run(key, world):
        return train(
            key,
            world,
            advantage,
            optax.sgd(eta * GROUP),
            Update(GROUP),
            observe=world.success,
            records=1,
            stride=STEPS,
        )[1][-1]

    return jax.jit(run)


def field_program(eta: float):
    def run(world):
        state, _ = mean_field(world, GRPO, optax.sgd(eta * GROUP), GROUP, observe=lambda _: (), steps=STEPS)
        return world.success(state.params)

    return jax.jit(run)


def rows(rounds: int):
    success, eta = CASES[-1]
    many, one = across_devices(make_world(success, BATCH)), make_world(success, 1)
    sampled, field, key = sampled_program(eta), field_program(eta), jax.random.key(1)
    seconds = interleave(
        {
            "sampled": (lambda: jax.block_until_ready(sampled(key, many)), BATCH),
            "one sampled": (lambda: jax.block_until_ready(sampled(key, one)), 1),
            "field": (lambda: jax.block_until_ready(field(many)), BATCH),
            "one field": (lambda: jax.block_until_ready(field(one)), 1),
        },
        rounds,
    )
    name = "mean-field trajectory of 200 steps, N=64 G=8"
    yield speed_row(f"{name}, in a batch", seconds, "field", "one sampled", "one sampled run on its own")
    yield speed_row(f"{name}, in a batch", seconds, "field", "sampled", "one sampled run in a batch")
    yield speed_row(f"{name}, on its own", seconds, "one field", "one sampled", "one sampled run on its own")
    for success, eta in CASES:
        yield from _equal_error(success, eta, seconds)


def _equal_error(success: float, eta: float, seconds):
    """Rows of one case: mean field against runs of equal error, and variance with the control variate."""
    one = make_world(success, 1)
    case = f"P = {success}, eta = {eta}"
    controlled = jax.jit(lambda key: control_variate(key, one, GRPO, GROUP, eta * GROUP, steps=STEPS, runs=1000))
    blocks = [jax.block_until_ready(controlled(jax.random.key(i))) for i in range(10)]
    mean, error = (np.array([float(getattr(c, f)[0]) for c in blocks]) for f in ("mean", "error"))
    bias, error = float(field_program(eta)(one)[0]) - mean.mean(), np.sqrt((error**2).sum()) / len(blocks)
    spread = np.mean([float(c.success.std()) for c in blocks])
    needed = max(1, math.ceil((spread / TARGET) ** 2))
    ratio = needed * seconds["sampled"][:, 0] / seconds["field"][:, 0]
    note = dict(bias=round(float(bias), 6), bias_error=round(float(error), 6), runs_needed=needed)
    within = abs(bias) + 2 * error <= TARGET
    name = f"mean field, {case}: bias {bias:+.5f} +- {2 * error:.5f}, {'within' if within else 'not within'} {TARGET:g}"
    yield row(name, ratio, f"{needed} sampled runs (standard error {TARGET:g})", "times as fast", **note)

    plain = jax.jit(lambda key: sampled_program(eta)(key, make_world(success, 1000)))
    ratios = [float((c.plain_error[0] / c.error[0]) ** 2) for c in blocks]
    times = interleave(
        {
            "controlled": (lambda: jax.block_until_ready(controlled(jax.random.key(0))), 1),
            "plain": (lambda: jax.block_until_ready(plain(jax.random.key(0))), 1),
        },
        3,
    )
    cost = float(np.median(times["controlled"][:, 1] / times["plain"][:, 1]))
    yield row(
        f"variance of mean success with control variate, {case}",
        ratios,
        f"plain runs (costs {cost:.2g} times the CPU time a run)",
        "times smaller",
        cost=round(cost, 3),
    )
