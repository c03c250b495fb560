"""The exact mean of one step under a `Regime`, where there is one.

Where only the class of a rollout matters it is a slope times grad P. A verifier that errs is seen by the estimator as
the success P~ = f + J P (f false positives, J = 1 - f - false negatives):

    E step = J F'_G(P~) grad P.

Redrawing up to T times keeps a group with chance s, and multiplies the kept part of F' by 1 + (1 - s) + ... +
(1 - s)^(T-1), which is also the mean number of draws. Copies see A+(c (J + 1)) - A-(c J), J ~ Bin(G/c - 1, P). Where
the trajectory itself matters (lengths, the ratio to a stale policy, KL), the mean is a sum over all trajectories,
grad sum_b c_b log pi(b), in worlds that can list them.
"""

from typing import Any

import jax
import jax.numpy as jnp
import optax

from ..errors import InputError
from ..estimators import Estimator
from ..estimators.group import Array
from ..worlds import World
from . import drawing, expected
from .regime import Group, Regime, Verifier
from .sampled import State, Update, apply_gradient


def why_not(world: World, estimator: Estimator, update: Update, regime: Regime) -> str:
    """Why the mean of a step has no closed form here and must be sampled; "" where it has one."""
    group = regime.group or Group()
    if update.epochs > 1:
        return "from the second epoch on the policy depends on the batch it is trained on"
    if update.aggregation == "token-mean":
        return "the mean length of a batch is in the denominator of every rollout of it"
    if group.hot:
        return "rollouts at another temperature have another success than the policy"
    if group.trunks:
        return "rollouts that share a beginning are correct together, in a way that depends on the whole tree"
    if group.replay:
        return "what is replayed depends on the past batches"
    changes_batch = regime.redraw is not None or group.sizes or group.copies > 1
    if changes_batch and "batch_independence" not in estimator.laws:
        return f"{estimator.name} looks at the rewards of all prompts, and their law is not the binomial one here"
    if update.aggregation == "sequence-mean" and getattr(world, "length", None) is None:
        return "the trajectories of this world have no lengths"
    if (_needs_listing(update, regime) or regime.entropy) and not hasattr(world, "correct"):
        return "trajectories must be listed for this, and this world cannot list them"
    return ""


def _needs_listing(update: Update, regime: Regime) -> bool:
    return bool(_lag(regime) or update.aggregation == "sequence-mean" or regime.kl)


def _lag(regime: Regime) -> int:
    return 0 if regime.stale is None else regime.stale.lag


def class_means(
    estimator: Estimator | None, size: int, success: Array, regime: Regime, batch: Any = "mean"
) -> tuple[Array, Array, Array]:
    """Mean advantage of an accepted and of a rejected rollout, and their difference F', each [P] -> [P].

    Args:
        estimator: None for advantages of 1, which gives the chance that the group counts.
        size: G.
        success: [P] chance that a rollout is accepted (`Verifier.observed`).
        regime: its groups and redraws are used.
        batch: as in `expected.slope`.
    """
    group = regime.group or Group()
    found = [_means(estimator, g, success, regime, batch, group.copies) for g in group.sizes or (size,)]
    if len(found) == 1:
        return found[0]
    plus, minus, gap = (sum(column) / len(found) for column in zip(*found, strict=True))
    return plus, minus, gap


def clipped_mean(plus: Array, minus: Array, accepted: Array, ratio: Any = 1.0, clip: tuple = (0.0, 0.0)) -> Array:
    """Mean advantage that counts, of a trajectory whose ratio to the policy that drew it is clipped, in its shape.

    Args:
        plus: mean advantage of an accepted rollout (`class_means`), at least 0 where ratios differ from 1.
        minus: of a rejected one, at most 0 there.
        accepted: chance that the verifier accepts the trajectory.
        ratio: pi / pi_old of the trajectory.
        clip: how far below 1 the ratio of a rejected rollout counts, and above 1 that of an accepted one.

    >>> [float(clipped_mean(1.0, -0.5, 0.75, ratio, (0.2, 0.2))) for ratio in (1.0, 1.5, 0.5)]
    [0.625, -0.125, 0.75]
    """
    low, high = clip
    return accepted * (plus * (ratio <= 1 + high)) + (1 - accepted) * (minus * (ratio >= 1 - low))


def _means(estimator, size, success, regime, batch, copies):
    distinct = size // copies
    if estimator is None:
        plus = minus = jnp.ones((success.shape[0], 1, distinct), success.dtype)
        law = jnp.ones((success.shape[0], 1), success.dtype)
    else:
        plus, minus, law = expected.outcomes(estimator, size, success, batch=batch, copies=copies)
    if regime.redraw is not None:
        others = copies * jnp.arange(distinct)
        repeats = _draws(regime.redraw, size, success, copies)[:, None, None]
        plus = plus * regime.redraw.keeps(others + copies, size) * repeats
        minus = minus * regime.redraw.keeps(others, size) * repeats
    mean = lambda x: jnp.einsum("prj,pr,pj->p", x, law, expected.binomial(distinct - 1, success))  # noqa: E731
    return mean(plus), mean(minus), mean(plus - minus)


def _draws(redraw, size, success, copies=1) -> Array:
    """Mean number of draws of a group, 1 + (1 - s) + ... with s the chance that it is kept, [P] -> [P]."""
    kept = redraw.keeps(copies * jnp.arange(size // copies + 1), size)
    share = (expected.binomial(size // copies, success) * kept).sum(-1)
    return sum(((1 - share) ** i for i in range(redraw.tries)), jnp.zeros_like(share))


def slope(estimator: Estimator, size: int, success: Array, regime: Regime, batch: Any = "mean") -> Array:
    """What multiplies grad P in the mean of a step, [P] -> [P], where only classes matter (see the module).

    >>> from symtheory import estimators
    >>> from symtheory.dynamics import Verifier
    >>> noisy = Regime(verifier=Verifier(0.1, 0.1))
    >>> slope(estimators.get("rloo"), 8, jnp.array([0.1, 0.9]), noisy).round(5).tolist()
    [0.8, 0.8]
    """
    verifier = regime.verifier
    if verifier is None:
        return class_means(estimator, size, success, regime, batch)[2]
    return verifier.youden * class_means(estimator, size, verifier.observed(success), regime, batch)[2]


def rollouts(size: int, success: Array, regime: Regime) -> Array:
    """Mean number of rollouts that a prompt costs in one update while it is admitted, [P] -> [P]."""
    group, seen = regime.group or Group(), success if regime.verifier is None else regime.verifier.observed(success)
    distinct = sum(group.sizes) / len(group.sizes) if group.sizes else size // group.copies
    if regime.redraw is None:
        return jnp.full_like(seen, distinct)
    return distinct * _draws(regime.redraw, size, seen, group.copies)


def gradient(
    params: Any,
    world: World,
    estimator: Estimator,
    update: Update,
    regime: Regime,
    memory: Any = None,
    batch: Any = "mean",
) -> Any:
    """Exact mean of the gradient of one update under the regime.

    Args:
        params: of the policy.
        world: P prompts.
        estimator: a registered estimator or chain.
        update: group size, clipping (acts on stale rollouts) and aggregation.
        regime: the departures.
        memory: what the regime remembers, from `State.memory`; default: as before the first update.
        batch: as in `expected.slope`.

    Raises:
        InputError: there is no closed form, with the reason; then sample.
    """
    drawing.check(world, update.group_size, regime)
    reason = why_not(world, estimator, update, regime)
    if reason:
        raise InputError(f"no exact mean of a step: {reason}; sample it with `dynamics.train`")
    memory = memory or drawing.start(world, regime)
    admitted = drawing.admitted(memory, params, world, regime) if memory else None
    weight = world.prompt_weight if admitted is None else world.prompt_weight * admitted
    if not _needs_listing(update, regime):
        total = world.success_gradient(
            params, slope(estimator, update.group_size, world.success(params), regime, batch) * weight
        )
        if not regime.entropy:
            return total
    else:
        total = None
    coefficients = _coefficients(params, world, estimator, update, regime, memory, batch, listed=total is None)

    def objective(p):
        return (weight * (coefficients * _log_policy(world, p)).sum(-1)).sum()

    rest = jax.grad(objective)(params)
    return rest if total is None else jax.tree.map(jnp.add, total, rest)


def _coefficients(params, world, estimator, update, regime, memory, batch, listed):
    """c_b of the objective sum_b c_b log pi(b), [P, N]: of the advantages (if `listed`) and of entropy and KL."""
    source = drawing.sampler_of(memory, params)
    log_new, log_old = _log_policy(world, params), _log_policy(world, source)
    new, old = jnp.exp(log_new), jnp.exp(log_old)
    corrected = _lag(regime) > 0 and regime.stale.corrected
    verifier, correct = regime.verifier or Verifier(), world.correct
    seen = verifier.observed(world.success(source))
    accepted = jnp.where(correct, 1 - verifier.false_negative, verifier.false_positive)
    mass = new if corrected else old
    c = jnp.zeros_like(mass)
    if listed:
        plus, minus, _ = (x[:, None] for x in class_means(estimator, update.group_size, seen, regime, batch))
        ratio = 1.0
        if corrected:
            _check_signs(estimator, update.group_size)
            ratio = jnp.exp(log_new - log_old)
        c = mass * clipped_mean(plus, minus, accepted, ratio, (update.clip_low, update.clip_high))
        if update.aggregation == "sequence-mean":
            c = c / world.length
    if regime.entropy or regime.kl:
        plus, minus, _ = (x[:, None] for x in class_means(None, update.group_size, seen, regime))
        pull = -regime.entropy * jnp.where(new > 0, log_new, 0)
        if regime.kl:
            pull = pull + regime.kl * jnp.where(new > 0, jnp.expm1(_log_policy(world, world.init()) - log_new), 0)
        c = c + mass * clipped_mean(plus, minus, accepted) * pull
    return jax.lax.stop_gradient(c)


def _check_signs(estimator, size):
    """Clipping looks at the sign of A; the mean over groups may be clipped only where the sign belongs to the class."""
    from ..metrics.slope import advantage_table

    plus, minus = advantage_table(estimator, size)
    if (plus < 0).any() or (minus > 0).any():
        raise InputError(
            f"no exact mean of a step: clipping looks at the sign of A, which for {estimator.name} depends on the group"
        )


def _log_policy(world, params):
    """[P, N] log-probability of every trajectory."""
    if hasattr(world, "enumerate"):
        return world.enumerate(params)
    return jax.nn.log_softmax(world.policy_logits(params), axis=-1)


def step(
    state: State,
    world: World,
    estimator: Estimator,
    optimizer: optax.GradientTransformation,
    update: Update,
    regime: Regime,
    batch: Any = "mean",
) -> State:
    """One mean-field step under the regime, with what it remembers."""
    memory = state.memory or drawing.start(world, regime)
    change = gradient(state.params, world, estimator, update, regime, memory, batch)
    if memory:
        admitted = drawing.admitted(memory, state.params, world, regime)
        later = {**memory, "step": memory["step"] + 1}
        if admitted is not None:
            later["admitted"] = admitted
        if "past" in memory:
            later["past"] = drawing.pushed(memory["past"], state.params)
        memory = later
    return apply_gradient(state, change, optimizer)._replace(memory=memory)
