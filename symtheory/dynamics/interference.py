"""The interference law: what training on some prompts does to others, computed from the base policy.

An expected step of an estimator moves the parameters by D sum_q F'(P_q) grad P_q (the master theorem; D is the
identity for SGD, the diagonal preconditioner of an adaptive optimiser). So the success of a watched prompt x moves by

    sum_q F'(P_q) kappa(x, q),    kappa(x, q) = <grad P_x, D grad P_q>,    the interference kernel.

Per unit of training pass@1, prompt q adds the *exchange rate* rho_k(q) = B_k(q) / T(q) to watched pass@k, where
B_k(q) = mean_x k (1 - P_x)^(k-1) kappa(x, q) and T(q) = mean_q' kappa(q', q). The slope of an estimator at equal
progress is the mean of rho_k weighted by F' T: estimators differ in the weights only.

There are three predictors of a whole run. Each costs more than the one before and is closer to the run: the slope at
the base policy (`slope`), training with the kernel of the log-odds of success held fixed (`tangent`), and exact
expected steps (`drift`).
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from ..errors import InputError
from ..estimators import Estimator
from ..estimators.group import Array
from ..metrics.passk import pass_at_k, pass_weight
from ..ops import jax_ops
from ..worlds import World
from . import expected
from .sampled import Advantage, advantage_of

NUMBERS = 2**27
"""Numbers that the gradients held at one time may have (half a gigabyte in 32 bits)."""
CERTAIN = 1e-6
"""Distance from 0 and 1 below which a prompt counts as settled: the log-odds of its success do not move."""


class Kernel(NamedTuple):
    """The interference kernel at one policy, T trained and H watched prompts."""

    trained: Array
    """[T] success of the trained prompts"""
    watched: Array
    """[H] success of the watched prompts"""
    within: Array
    """[T, T] kappa(q', q): what training on q (columns) does to the trained prompt q' (rows)"""
    across: Array
    """[H, T] kappa(x, q): what training on q does to the watched prompt x"""
    entropy: Array | None = None
    """[T] <grad of the watched prompts' mean entropy, D grad P_q>, if it was asked for"""


def kernel(
    params: Any,
    trained: World,
    watched: World,
    diagonal: Any = None,
    *,
    entropy: bool = False,
    numbers: int = NUMBERS,
) -> Kernel:
    """The kernel at `params`, exact.

    It costs T + H gradients of one prompt's success and (T + H) T n products for n parameters. Where the (T + H) n
    numbers of all gradients are more than `numbers`, they are made block by block: the memory stays at `numbers`, and
    the gradients of all prompts are made again for each block of trained prompts.

    Args:
        params: where the kernel is taken; parameters of both worlds, for instance `trained.init()`.
        trained, watched: two worlds with the same parameters.
        diagonal: D, of the structure of `params`, for instance `adam_diagonal`; None for the identity (SGD).
        entropy: whether the entropy of the watched prompts is followed too, for one more gradient.
        numbers: bound on the numbers that are held at one time.

    Raises:
        InputError: a world without prompts.

    >>> from symtheory.worlds.bandit import Bandit
    >>> world = Bandit(jnp.log(jnp.array([[0.5, 0.5], [0.9, 0.1]])), jnp.array([1, 1]))
    >>> np.round(kernel(world.init(), world, world).within, 3).tolist()  # own logits: no prompt moves another
    [[0.125, 0.0], [0.0, 0.016]]
    """
    for name, world in (("trained", trained), ("watched", watched)):
        if jax.eval_shape(world.success, params).shape[0] == 0:
            kind = "a training" if name == "trained" else "a held-out"
            raise InputError(f"{name} must hold at least one prompt, got none: the law needs {kind} prompt")
    size = sum(leaf.size for leaf in jax.tree.leaves(params))
    rows = max(1, numbers // (2 * size))
    scale = 1.0 if diagonal is None else _flat(jax.tree.map(lambda x: x[None], diagonal))

    def gradients(world):
        count = jax.eval_shape(world.success, params).shape[0]
        for first in range(0, count, rows):
            yield _flat(world.success_gradients(params, jnp.arange(first, min(first + rows, count))))

    columns_within, columns_across, columns_entropy = [], [], []
    of_entropy = _flat(jax.tree.map(lambda x: x[None], _entropy_gradient(params, watched))) if entropy else None
    everything = [list(gradients(w)) for w in (trained, watched)] if _fits(params, rows, trained, watched) else None
    for block in everything[0] if everything else gradients(trained):
        pulled = (block * scale).T
        rows_of = everything or [gradients(trained), gradients(watched)]
        columns_within.append(jnp.concatenate([row @ pulled for row in rows_of[0]]))
        columns_across.append(jnp.concatenate([row @ pulled for row in rows_of[1]]))
        if of_entropy is not None:
            columns_entropy.append((of_entropy @ pulled)[0])
    return Kernel(
        trained.success(params),
        watched.success(params),
        jnp.concatenate(columns_within, axis=1),
        jnp.concatenate(columns_across, axis=1),
        jnp.concatenate(columns_entropy) if entropy else None,
    )


def _fits(params, rows: int, *worlds: World) -> bool:
    return sum(jax.eval_shape(world.success, params).shape[0] for world in worlds) <= 2 * rows


def _flat(rows) -> Array:
    """A pytree whose leaves have a leading axis, as a matrix [rows, n]."""
    return jnp.concatenate([leaf.reshape(leaf.shape[0], -1) for leaf in jax.tree.leaves(rows)], axis=1)


def _entropy_gradient(params, world: World):
    return jax.grad(lambda p: world.entropy(p).mean())(params)


def progress(kernel: Kernel) -> Array:
    """T(q), what the gradient of each trained prompt adds to training pass@1, [T]."""
    return kernel.within.mean(0)


def pull(kernel: Kernel, k: int, split: str = "held_out") -> Array:
    """B_k(q), what the gradient of each trained prompt adds to pass@k of the split ("train" or "held_out"), [T]."""
    success, rows = (kernel.trained, kernel.within) if split == "train" else (kernel.watched, kernel.across)
    return (pass_weight(success, k)[:, None] * rows).mean(0)


def exchange_rate(kernel: Kernel, k: int, split: str = "held_out") -> Array:
    """rho_k(q) = B_k(q) / T(q), [T]: pass@k gained per unit of training pass@1; nan where T(q) is not positive."""
    gain = progress(kernel)
    return jnp.where(gain > 0, jax_ops().div(pull(kernel, k, split), gain), jnp.nan)


def slope(kernel: Kernel, weight: Array, k: int, split: str = "held_out") -> Array:
    """d pass@k / d training pass@1 of estimators at this policy: `weight[..., T]` = F'(P_q) to [...].

    >>> from symtheory.worlds.bandit import Bandit
    >>> world = Bandit(jnp.log(jnp.array([[0.5, 0.5], [0.9, 0.1]])), jnp.array([1, 1]))
    >>> own = kernel(world.init(), world, world)
    >>> weight = jnp.array([[1.0, 1.0], [2.0, 1.0]])  # the second row favours the hard prompt
    >>> [f"{x:.2f}" for x in slope(own, weight, 2, "train")]
    ['0.91', '0.95']
    """
    return _ratio(weight @ pull(kernel, k, split), weight @ progress(kernel))


def entropy_slope(kernel: Kernel, weight: Array) -> Array:
    """d entropy of the watched prompts (nats, mean) / d training pass@1, `weight[..., T]` to [...]."""
    if kernel.entropy is None:
        raise InputError("entropy_slope needs a kernel with entropy: kernel(..., entropy=True)")
    return _ratio(weight @ kernel.entropy, weight @ progress(kernel))


def _ratio(change: Array, gain: Array) -> Array:
    return jnp.where(gain > 0, jax_ops().div(change, gain), jnp.nan)


def check(kernel: Kernel, weight: Array | None = None) -> None:
    """Refuse a kernel from which nothing can be predicted; numbers only, no traced values.

    Raises:
        InputError: no watched prompts, nothing left to learn, or no estimator step that raises training pass@1.
    """
    if kernel.watched.shape[0] == 0:
        raise InputError("watched must hold at least one prompt, got none: the law needs a held-out prompt")
    trained = np.asarray(kernel.trained)
    if (trained >= 1 - CERTAIN).all():
        raise InputError(
            f"trained must hold a prompt that is not solved yet, got {trained.size} with success 1: "
            "no estimator moves them"
        )
    gain = np.asarray(progress(kernel) if weight is None else weight @ progress(kernel))
    if not (gain > 0).any():
        raise InputError(
            "training must raise training pass@1 to first order, got T(q) <= 0 "
            f"for {'every trained prompt' if weight is None else 'every estimator'}: no equal progress to compare at"
        )


class Path(NamedTuple):
    """Success along a path, S + 1 policies from the base on."""

    trained: Array
    """[S + 1, T]"""
    watched: Array
    """[S + 1, H]"""
    entropy: Array | None = None
    """[S + 1] mean entropy of the watched prompts (nats), where it was asked for"""


def observe(params: Any, trained: World, watched: World, *, entropy: bool = False) -> Path:
    """The success of both populations at one policy, a `Path` without its first axis."""
    seen = watched.entropy(params).mean() if entropy else None
    return Path(trained.success(params), watched.success(params), seen)


def tangent(kernel: Kernel, estimator: Estimator, size: int, *, gain: Array | float, steps: int = 60) -> Path:
    """Training with the kernel of the log-odds of success, kappa(x, q) / (V_x V_q) with V = P (1 - P), held fixed.

    The linearised model of training: all that is needed is the kernel at the base policy. Each step is as long as a
    gain of `gain` / `steps` in training pass@1 takes to first order.

    Args:
        kernel: at the base policy.
        estimator, size: the estimator and its group size G.
        gain: training pass@1 to gain in all.
        steps: S.
    """
    path, _ = tangents(kernel, [estimator], size, gain=gain, steps=steps)
    return Path(path.trained[:, 0], path.watched[:, 0])


def tangents(
    kernel: Kernel, estimators: Sequence[Estimator], size: int, *, gain: Array | float, steps: int = 60
) -> tuple[Path, Array]:
    """`tangent` for E estimators in one program.

    Returns:
        The paths, with leaves [S + 1, E, ...]; and F'(P_q) at the base policy, [E, T].
    """
    op = jax_ops()
    settled = [jnp.where((p > CERTAIN) & (p < 1 - CERTAIN), p * (1 - p), 0) for p in (kernel.trained, kernel.watched)]
    odds = [
        op.div(op.div(rows, v[:, None] + 0 * rows), settled[0] + 0 * rows)
        for rows, v in zip((kernel.within, kernel.across), settled, strict=True)
    ]
    success = [jnp.tile(p, (len(estimators), 1)) for p in (kernel.trained, kernel.watched)]
    start = [jax.scipy.special.logit(jnp.clip(p, 1e-30, 1 - 1e-7)) for p in success]

    def one_step(state, _):
        z, (p, x) = state
        weight = jnp.stack([expected.slope(e, size, row) for e, row in zip(estimators, p, strict=True)])
        force = weight * p * (1 - p)
        change = [force @ m.T for m in odds]
        rate = (p * (1 - p) * change[0]).mean(-1, keepdims=True)
        length = jnp.where(rate > 0, op.div(gain / steps, rate), 0)
        z = [v + length * c for v, c in zip(z, change, strict=True)]
        return (z, [jax.nn.sigmoid(v) for v in z]), (Path(p, x), weight)

    (_, end), (path, weight) = jax.lax.scan(one_step, (start, success), None, length=steps)
    return _append(path, Path(*end)), weight[0]


def drift(
    params: Any,
    trained: World,
    watched: World,
    estimator: Estimator,
    size: int,
    *,
    gain: Array | float,
    steps: int = 8,
    records: int = 4,
    diagonal: Any = None,
    observer: Callable[[Any], Any] | None = None,
) -> tuple[Any, Array]:
    """Exact expected steps D sum_q F'(P_q) grad P_q from `params`: the mean field, on a clock of training pass@1.

    The first step is as long as a gain of `gain` / `steps` in training pass@1 takes to first order, each other as the
    one before should have been (at most twice and at least half as long). So estimators of any speed are seen over the
    same progress. A step costs a forward and a backward pass.

    Args:
        params, trained, watched, diagonal: as of `kernel`.
        estimator, size, gain: as of `tangent`.
        steps, records: expected steps, and at how many of them the path is observed besides its start.
        observer: what is read off the parameters; `observe` if none is given.

    Returns:
        The path with S = `records`, leaves [S + 1, ...] of what `observer` gives; and the time since the start at each
        of its policies, [S + 1]: steps of size `time / n` would need n of them.
    """
    target = gain / steps
    read = observer or (lambda params: observe(params, trained, watched))

    def direction(params):
        return _scaled(diagonal, expected.gradient(params, trained, estimator, size))

    def one_step(carry, _):
        params, before, length, time = carry
        now = trained.success(params).mean()
        gained = now - before
        factor = jnp.where(gained > 0, jnp.clip(target / jnp.where(gained > 0, gained, 1), 0.5, 2), 0.5)
        length = length * factor
        moved = jax.tree.map(lambda x, d: x + length * d, params, direction(params))
        return (moved, now, length, time + length), None

    def one_record(carry, _):
        return jax.lax.scan(one_step, carry, None, length=steps // records)[0], (read(carry[0]), carry[-1])

    passed, rate = jax.jvp(lambda p: trained.success(p).mean(), (params,), (direction(params),))
    length = jnp.where(rate > 0, target / jnp.where(rate > 0, rate, 1), 0)
    carry = (params, passed - target, length, jnp.zeros_like(length))
    carry, (path, time) = jax.lax.scan(one_record, carry, None, length=records)
    return _append((path, time), (read(carry[0]), carry[-1]))


def _append(path, last):
    return jax.tree.map(lambda a, b: jnp.concatenate([a, b[None]]), path, last)


def _scaled(diagonal: Any, gradient: Any) -> Any:
    return gradient if diagonal is None else jax.tree.map(jnp.multiply, gradient, diagonal)


def sampled_gradient(key: Array, world: World, params: Any, advantage: Advantage, size: int, *, prompts: int) -> Any:
    """The gradient of one sampled step on `prompts` random prompts of `world`, a group of `size` rollouts for each."""
    key_prompts, key_rollouts = jax.random.split(key)
    count = jax.eval_shape(world.success, params).shape[0]
    some = world.take(jax.random.choice(key_prompts, count, (min(prompts, count),), replace=False))
    rollouts = some.sample(key_rollouts, params, size)
    return some.policy_gradient(params, rollouts, advantage(some.reward(rollouts)) * some.prompt_weight / size)


def noise(
    key: Array,
    params: Any,
    world: World,
    estimator: Estimator,
    size: int,
    reading: Callable[[Any], Array],
    *,
    rate: Array | float,
    prompts: int,
    draws: int = 8,
    diagonal: Any = None,
) -> Array:
    """What the sampling noise of one step changes `reading(params)` by, on average: 1/2 rate^2 tr(H D Sigma D).

    H is the Hessian of the reading and Sigma the covariance of the sampled gradient. No Hessian is made: with xi the
    step minus its exact mean, (f(x + xi) + f(x - xi)) / 2 - f(x) is averaged over `draws` sampled steps. The mean field
    leaves this term out; both are of the same order where rates are large and groups small.

    Args:
        key: of the sampled steps.
        params, world: the policy, and the prompts that are trained on.
        estimator, size: the estimator and its group size G.
        reading: from parameters to an array, for instance pass@k of other prompts.
        rate: learning rate.
        prompts: prompts in a step.
        draws: sampled steps.
        diagonal: D, see `kernel`.

    Returns:
        An array like that of `reading`.
    """
    mean, now = expected.gradient(params, world, estimator, size), reading(params)
    advantage = advantage_of([estimator], 0)

    def one(key):
        drawn = sampled_gradient(key, world, params, advantage, size, prompts=prompts)
        off = _scaled(diagonal, jax.tree.map(jnp.subtract, drawn, mean))
        up, down = (reading(jax.tree.map(lambda x, d, s=s: x + s * rate * d, params, off)) for s in (1, -1))
        return (up + down) / 2 - now

    return jax.lax.map(one, jax.random.split(key, draws)).mean(0)


def adam_diagonal(
    key: Array, world: World, params: Any, advantage: Advantage, size: int, *, prompts: int, draws: int = 64
) -> Any:
    """D of Adam at `params`: 1 / sqrt(v), v the second moment of sampled gradients of `prompts` prompts each.

    It is the state of a memory filled at this policy. The mean of `draws` gradients is noisy where few rollouts touch
    a parameter; v is at least the square of their mean, as a second moment must be. Only the ratios of D matter.
    """

    drawn = partial(sampled_gradient, world=world, params=params, advantage=advantage, size=size, prompts=prompts)

    def add(total, key):
        return jax.tree.map(lambda v, g: v + g**2 / draws, total, drawn(key)), None

    v, _ = jax.lax.scan(add, jax.tree.map(jnp.zeros_like, params), jax.random.split(key, draws))
    return jax.tree.map(lambda v: jnp.where(v > 0, 1 / jnp.sqrt(jnp.where(v > 0, v, 1)), 0), v)


def preconditioned(diagonal: Any, rate: float) -> optax.GradientTransformation:
    """Gradient descent with the fixed preconditioner D: the optimiser of which `drift` is the mean field."""
    scale = optax.stateless(lambda updates, _: jax.tree.map(jnp.multiply, updates, diagonal))
    return optax.chain(scale, optax.sgd(rate))


def at_gain(passed: np.ndarray, values: np.ndarray, gain: float) -> np.ndarray:
    """`values[S, ...]` where training pass@1, `passed[S]`, first is `gain` above its start, linear between records.

    nan where it never is.

    >>> at_gain(np.array([0.1, 0.2, 0.4]), np.array([1.0, 2.0, 4.0]), 0.2).tolist()
    3.0
    """
    level = passed[0] + gain
    reached = np.flatnonzero(passed >= level - 1e-9)
    if not reached.size:
        return np.full(values.shape[1:], np.nan)
    after = max(int(reached[0]), 1)
    low, high = passed[after - 1], passed[after]
    share = np.clip((level - low) / (high - low), 0, 1) if high > low else 1.0
    return (1 - share) * values[after - 1] + share * values[after]


def gains(path: Path, ks: tuple[int, ...], marks: tuple[float, ...]) -> np.ndarray:
    """pass@k of the watched prompts minus that of the base policy, where the path has gained each mark, [marks, ks]."""
    watched = np.asarray(path.watched, float)
    return changes(path, np.asarray(pass_at_k(watched[..., None], np.asarray(ks))).mean(1), marks)


def changes(path: Path, values: np.ndarray, marks: tuple[float, ...]) -> np.ndarray:
    """`values[S + 1, ...]` minus those of the base policy, where the path has gained each mark, [marks, ...]."""
    passed = np.asarray(path.trained, float).mean(1)
    return np.stack([at_gain(passed, np.asarray(values, float), mark) for mark in marks]) - values[0]
