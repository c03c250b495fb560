"""The laws of advantage symmetry, each a function `law(f, rewards)` of an estimator and one batch `[prompts, G]`.

A law answers True (it holds on this batch), False (it fails), or None (it says nothing about such a batch: its
rewards are not binary, say, or the estimator is not defined for the transformed ones). `f` and the options are
whatever `as_target` takes. Rows with advantages that are not finite break `finite`, and no law but `degenerate_zero`
judges them again.

Laws that change the rewards of a group look at it in two ways: beside its changed copy and an all-wrong prompt in one
batch, and with the whole batch changed. Batch statistics, such as omega (Eq. 11 of arXiv:2602.05548), are the same
for both groups in the first and differ in the second.
"""

import functools
from collections.abc import Callable

import numpy as np

from .measure import difference, finite_rows, measure, relative, slack
from .target import as_target

Law = Callable[..., bool | None]
INVARIANTS: dict[str, Law] = {}
ROUNDOFF_LAWS = ("finite", "degenerate_zero")
SHIFTS = (0.5, 0.25, -3.0, 2.0**20)
SCALES = (0.5, 2.0, 2.0**20)


def invariant(check: Callable) -> Law:
    """Enter a law into `INVARIANTS`; it then takes any estimator and array-like rewards `[G]` or `[P, G]`.

    Only `finite` judges groups of one, and rewards beyond 1e6 or, 0 apart, below 1e-9 in magnitude; only
    `ROUNDOFF_LAWS` judge groups of equal rewards other than 0 and 1: what roundoff does there is not the other laws'
    concern.
    """

    @functools.wraps(check)
    def measured(f, r: np.ndarray):
        ordinary, exact = _traits(r.shape, r.tobytes())
        judged = check.__name__ == "finite" or (ordinary and (exact or check.__name__ in ROUNDOFF_LAWS))
        return check(f, r) if judged else None

    @functools.wraps(check)
    def law(f, rewards, **options) -> bool | None:
        rewards = np.atleast_2d(np.asarray(rewards, dtype=np.float64))
        outcome = measure(measured, as_target(f, **options), rewards)
        return None if outcome is None else outcome.holds

    law.measured = measured  # type: ignore[attr-defined]
    INVARIANTS[check.__name__] = law
    return law


@invariant
def finite(f, r):
    """Every finite reward gives finite advantages (magnitudes to 1e15; groups of one too, where they are allowed)."""
    if f.admits(r):
        yield (0.0 if np.isfinite(f(r)).all() else np.inf), 0.0


@invariant
def degenerate_zero(f, r):
    """A group of equal rewards gets advantages of 0 (to 1e-6), also where floats cannot hold the mean."""
    equal = np.ptp(r, axis=-1) == 0
    if equal.any():
        yield np.abs(f(r)[equal]).max(), 1e-6


@invariant
def zero_sum(f, r):
    """The advantages of every group sum to 0: C = 0, Eq. 5 and Theorem 1 of arXiv:2602.05548."""
    a = finite_rows(f(r))
    yield relative(a.sum(-1), a), slack(f, r) * r.shape[-1]


@invariant
def group_symmetry(f, r):
    """In mixed binary groups, sum |A| over the correct rollouts equals sum |A| over the wrong ones (Eq. 5)."""
    mixed = _mixed(r)
    if mixed.any():
        a = finite_rows(np.abs(f(r)))
        correct, wrong = (a * (r == 1)).sum(-1), (a * (r == 0)).sum(-1)
        yield relative((correct - wrong)[mixed], a), slack(f, r) * r.shape[-1]


@invariant
def sample_symmetry(f, r):
    """Success rates p and 1 - p of a batch weigh the same: sum |A| stays when correct and wrong swap (Theorem 2)."""
    if _is_binary(r):
        a, flipped, room = _beside(f, r, 1 - r)
        yield difference(np.abs(a).sum(-1), np.abs(flipped).sum(-1)), room * r.shape[-1]


@invariant
def flip_antisymmetry(f, r):
    """Swapping correct and wrong swaps every sign: A(1 - r) = -A(r), for rewards in [0, 1]."""
    if ((r >= 0) & (r <= 1)).all():
        for a, flipped, room in _both_ways(f, r, 1 - r):
            yield difference(a, -flipped), room


@invariant
def shift(f, r):
    """A constant added to the rewards of a prompt, or of all, changes nothing: A(r + c) = A(r)."""
    for c in SHIFTS:
        if f.admits(r + c):
            for a, shifted, room in _both_ways(f, r, r + c):
                yield difference(a, shifted), room


@invariant
def positive_scale(f, r):
    """Rewards of a prompt, or of all, times c > 0 leave A as it is or multiply it by c (of degree 0 or 1)."""
    for c in SCALES:
        if r.any() and f.admits(c * r):
            for a, scaled, room in _both_ways(f, r, c * r):
                yield min(difference(a, scaled), difference(c * a, scaled)), room


@invariant
def permutation_of_rollouts(f, r):
    """The order of the rollouts does not matter, not even that of the groups' where ids tell them apart."""
    a, room = f(r), slack(f, r)
    for order in (np.arange(r.shape[-1])[::-1], np.roll(np.arange(r.shape[-1]), 1)):
        yield difference(a[:, order], f(np.ascontiguousarray(r[:, order]))), room
    if f.shuffles and len(r) > 1:
        yield difference(f(r), f(r, order=np.arange(r.size).reshape(r.shape).T.ravel())), room


@invariant
def permutation_of_prompts(f, r):
    """The order of the prompts in a batch does not matter: each keeps its advantages."""
    if len(r) > 1:
        yield difference(f(r)[::-1], f(np.ascontiguousarray(r[::-1]))), slack(f, r)


@invariant
def batch_independence(f, r):
    """A prompt's advantages do not depend on the other prompts of its batch."""
    if len(r) > 1:
        yield difference(f(r), np.concatenate([f(row[None]) for row in r])), slack(f, r)


@invariant
def duplication(f, r):
    """Every rollout taken twice keeps its advantage: A depends on frequencies, not on counts (ddof breaks it)."""
    a = f(r)
    yield difference(np.concatenate([a, a], axis=-1), f(np.concatenate([r, r], axis=-1))), slack(f, r)


@invariant
def sign_correct(f, r):
    """In binary groups no correct rollout is pushed down and no wrong one up: A+ >= 0 >= A-."""
    if _is_binary(r):
        a = finite_rows(f(r))
        yield relative(np.minimum(np.where(r == 1, a, -a), 0), a), slack(f, r) * r.shape[-1]


@invariant
def monotone_in_reward(f, r):
    """Within a group a higher reward never gets a lower advantage."""
    a = finite_rows(f(r))
    falls = np.where(r[:, :, None] > r[:, None, :], a[:, None, :] - a[:, :, None], 0)
    yield relative(np.maximum(falls, 0), a), slack(f, r) * r.shape[-1]


@invariant
def l1_bound(f, r):
    """sum |A| <= G for rewards in [0, 1]: GRPO's bound, met at p = 1/2 (Theorem 2)."""
    if ((r >= 0) & (r <= 1)).all():
        yield np.maximum(np.abs(finite_rows(f(r))).sum(-1).max() / r.shape[-1] - 1, 0), slack(f, r)


@invariant
def l2_bound(f, r):
    """sum A^2 <= G for rewards in [0, 1], hence |A| <= sqrt G: standardised rewards meet it."""
    if ((r >= 0) & (r <= 1)).all():
        yield np.maximum((finite_rows(f(r)) ** 2).sum(-1).max() / r.shape[-1] - 1, 0), slack(f, r)


@invariant
def l2_constant(f, r):
    """sum A^2 is the same in every mixed binary group of a size: the L2 norm does not see difficulty."""
    mixed = _mixed(r)
    if mixed.any():
        one_correct = np.zeros_like(r)
        one_correct[:, 0] = 1
        a, reference, room = _beside(f, r, one_correct)
        yield difference((a**2).sum(-1)[mixed], (reference**2).sum(-1)[mixed]), room * r.shape[-1]


@invariant
def sure_monotonicity(f, r):
    """In the tabular policy no sampled group and no step size lowers the success probability.

    Each rollout is an arm of its own, and one correct and one wrong arm stay unsampled; the update is
    dh_b = eta (n_b A_b - C pi_b), Theorem 1 of arXiv:2602.05548 with multiplicities. Binary groups.
    """
    if _is_binary(r):
        falls = [_fall(a, row) for a, row in zip(finite_rows(f(r)), r, strict=True)]
        yield max(falls), max(1e-12, slack(f, r) * r.shape[-1])


def _fall(a: np.ndarray, rewards: np.ndarray) -> float:
    """How much P falls at most, for policies that put little, or all, of their mass on the sampled arms."""
    size = len(a)
    advantage, correct = np.append(a, [0, 0]), np.append(rewards, [1, 0])
    sampled_only = np.append(np.full(size, 0.98 / size), [0.01, 0.01])
    rare = np.full(size, 1e-6)
    worst = 0.0
    for masses in (sampled_only, np.append(rare, [0.1, 0.9]), np.append(rare, [0.9, 0.1])):
        pi = masses / masses.sum()
        for eta in (0.01, 1.0):
            step = eta * (advantage - advantage.sum() * pi)
            weights = pi * np.exp(step - step.max())
            worst = max(worst, (pi * correct).sum() - (weights * correct).sum() / weights.sum())
    return worst


@invariant
def dtype_stability(f, r):
    """Rewards in float32 give what the same numbers in float64 give, to 1e-3; equal rewards belong to another law."""
    single = r.astype(np.float32).astype(np.float64)
    spread = np.ptp(single, axis=-1)
    if f.backend == "list" or (len(f.dtypes) == 1 and f.dtype != "float64") or not f.admits(single):
        return
    if (spread < 1e-3 * np.abs(single).max(-1)).any() or not np.abs(single).any():
        return  # float32 holds fewer than four digits of these differences
    yield difference(f.at("float64")(single), f.at("float32")(single)), 1e-3


@functools.lru_cache(maxsize=4096)
def _traits(shape: tuple[int, ...], data: bytes) -> tuple[bool, bool]:
    """Whether rewards are of ordinary size, in groups of more than one; and whether all equal groups are of 0 or 1."""
    r = np.frombuffer(data).reshape(shape)
    size = np.abs(r[r != 0])
    ordinary = shape[-1] > 1 and bool(((size >= 1e-9) & (size <= 1e6)).all())
    return ordinary, _is_binary(r[np.ptp(r, axis=-1) == 0])


def _is_binary(r: np.ndarray) -> bool:
    return bool(((r == 0) | (r == 1)).all())


def _mixed(r: np.ndarray) -> np.ndarray:
    """[P] whether a binary batch's group holds both correct and wrong; False everywhere for other rewards."""
    return (np.ptp(r, axis=-1) > 0) & _is_binary(r)


def _both_ways(f, r: np.ndarray, other: np.ndarray):
    """Advantages of `r` and `other`, side by side in one batch, and each as a batch of its own; with the slack."""
    yield _beside(f, r, other)
    yield f(r), f(other), slack(f, np.concatenate([r, other]))


def _beside(f, r: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Advantages of the groups `r` and `other`, [P, G] each, in one batch with an all-wrong prompt; with its slack."""
    prompts = len(r)
    batch = np.concatenate([r, other, np.zeros_like(r[:1])])
    a = f(batch)
    return a[:prompts], a[prompts : 2 * prompts], slack(f, batch)
