"""The laws of advantage symmetry, each a function `law(f, rewards)` of an estimator and one batch `[prompts, G]`.

A law answers True (it holds on this batch), False (it fails), or None (it says nothing about such a batch: its
rewards are not binary, say, or the estimator is not defined for the transformed ones). `f` is whatever `as_target`
takes. Rows with advantages that are not finite break `finite`, and no law but `degenerate_zero` judges them again.

Laws that compare a group with a changed copy of it put both into *one* batch, together with an all-wrong prompt, so
that batch statistics such as omega (Eq. 11 of arXiv:2602.05548) are the same for both.

Tolerances are those of a stable algorithm: 1000 units of roundoff (of the precision that the estimator's results
show) times the condition number of the rewards, max|r| / (smallest difference of two in a group).
"""

import functools
from collections.abc import Callable

import numpy as np

from .target import Target, as_target

Law = Callable[..., bool | None]
INVARIANTS: dict[str, Law] = {}
ROUNDOFF_LAWS = ("finite", "degenerate_zero", "dtype_stability")


def invariant(check: Callable) -> Law:
    """Enter a law into `INVARIANTS`; it then takes any estimator and array-like rewards `[G]` or `[P, G]`.

    Only `finite` judges rewards beyond 1e6 or, 0 apart, below 1e-9 in magnitude, and only `ROUNDOFF_LAWS` judge groups
    of equal rewards other than 0 and 1: what roundoff does there is not the other laws' concern.
    """

    @functools.wraps(check)
    def law(f, rewards) -> bool | None:
        rewards = np.atleast_2d(np.asarray(rewards, dtype=np.float64))
        size = np.abs(rewards[rewards != 0])
        if check.__name__ != "finite" and not ((size >= 1e-9) & (size <= 1e6)).all():
            return None
        equal = rewards[np.ptp(rewards, axis=-1) == 0]
        if check.__name__ not in ROUNDOFF_LAWS and not _is_binary(equal):
            return None
        answer = check(as_target(f), rewards)
        return None if answer is None else bool(answer)

    INVARIANTS[check.__name__] = law
    return law


@invariant
def finite(f, r):
    """Every finite reward gives finite advantages (magnitudes to 1e15, whose squares float32 still holds)."""
    return np.isfinite(f(r)).all()


@invariant
def degenerate_zero(f, r):
    """A group of equal rewards gets advantages of 0 (to 1e-6), also where floats cannot hold the mean."""
    equal = np.ptp(r, axis=-1) == 0
    return (np.abs(f(r)[equal]) <= 1e-6).all() if equal.any() else None


@invariant
def zero_sum(f, r):
    """The advantages of every group sum to 0: C = 0, Eq. 5 and Theorem 1 of arXiv:2602.05548."""
    a = _finite_rows(f(r))
    return (np.abs(a.sum(-1)) <= _slack(f, r) * _size_of(a)).all()


@invariant
def group_symmetry(f, r):
    """In mixed binary groups, sum |A| over the right rollouts equals sum |A| over the wrong ones (Eq. 5)."""
    mixed = _mixed(r)
    if not mixed.any():
        return None
    a = _finite_rows(np.abs(f(r)))
    right, wrong = (a * (r == 1)).sum(-1), (a * (r == 0)).sum(-1)
    return bool((np.abs(right - wrong) <= _slack(f, r) * _size_of(a))[mixed].all())


@invariant
def sample_symmetry(f, r):
    """Success rates p and 1 - p weigh the same: sum |A| is unchanged when right and wrong swap (Theorem 2)."""
    if not _is_binary(r):
        return None
    a, flipped = (np.abs(x).sum(-1) for x in _beside(f, r, 1 - r))
    return _same(a, flipped, _slack(f, r) * r.shape[-1])


@invariant
def flip_antisymmetry(f, r):
    """Swapping right and wrong swaps every sign: A(1 - r) = -A(r), for rewards in [0, 1]."""
    if not ((r >= 0) & (r <= 1)).all():
        return None
    a, flipped = _beside(f, r, 1 - r)
    return _same(a, -flipped, _slack(f, r, offset=1.0))


@invariant
def shift(f, r):
    """A constant added to the rewards of a prompt changes nothing: A(r + c) = A(r)."""
    answers = []
    for c in (0.5, 0.25, -3.0, 2.0**20):
        if f.admits(r + c):
            a, shifted = _beside(f, r, r + c)
            answers.append(_same(a, shifted, _slack(f, r, offset=abs(c))))
    return all(answers) if answers else None


@invariant
def positive_scale(f, r):
    """Rewards of a prompt times c > 0 leave A as it is, or multiply it by c (homogeneous of degree 0 or 1)."""
    if not r.any():
        return None
    answers = []
    for c in (0.5, 2.0, 2.0**-10, 2.0**20):
        if f.admits(c * r):
            a, scaled = _beside(f, r, c * r)
            slack = _slack(f, r)
            answers.append(_same(a, scaled, slack) or _same(c * a, scaled, slack))
    return all(answers) if answers else None


@invariant
def permutation_of_rollouts(f, r):
    """The order of the rollouts in a group does not matter: each keeps its advantage."""
    a, slack = f(r), _slack(f, r)
    orders = (np.arange(r.shape[-1])[::-1], np.roll(np.arange(r.shape[-1]), 1))
    return all(_same(a[:, order], f(np.ascontiguousarray(r[:, order])), slack) for order in orders)


@invariant
def permutation_of_prompts(f, r):
    """The order of the prompts in a batch does not matter: each keeps its advantages."""
    if len(r) < 2:
        return None
    return _same(f(r)[::-1], f(np.ascontiguousarray(r[::-1])), _slack(f, r))


@invariant
def batch_independence(f, r):
    """A prompt's advantages do not depend on the other prompts of its batch."""
    if len(r) < 2:
        return None
    alone = np.concatenate([f(row[None]) for row in r])
    return _same(f(r), alone, _slack(f, r))


@invariant
def duplication(f, r):
    """Every rollout taken twice keeps its advantage: A depends on frequencies, not on counts (ddof breaks it)."""
    a = f(r)
    return _same(np.concatenate([a, a], axis=-1), f(np.concatenate([r, r], axis=-1)), _slack(f, r))


@invariant
def sign_correct(f, r):
    """In binary groups no right rollout is pushed down and no wrong one up: A+ >= 0 >= A-."""
    if not _is_binary(r):
        return None
    a = _finite_rows(f(r))
    return (np.where(r == 1, a, -a) >= -_slack(f, r) * _size_of(a)).all()


@invariant
def monotone_in_reward(f, r):
    """Within a group a higher reward never gets a lower advantage."""
    a = _finite_rows(f(r))
    higher = r[:, :, None] > r[:, None, :]
    falls = a[:, None, :] - a[:, :, None] > _slack(f, r) * _size_of(a)
    return not (higher & falls).any()


@invariant
def l1_bound(f, r):
    """sum |A| <= G for rewards in [0, 1]: GRPO's bound, met at p = 1/2 (Theorem 2)."""
    if not ((r >= 0) & (r <= 1)).all():
        return None
    size = r.shape[-1]
    return (np.abs(_finite_rows(f(r))).sum(-1, keepdims=True) <= size * (1 + _slack(f, r))).all()


@invariant
def l2_bound(f, r):
    """sum A^2 <= G for rewards in [0, 1], hence |A| <= sqrt G: standardised rewards meet it."""
    if not ((r >= 0) & (r <= 1)).all():
        return None
    size = r.shape[-1]
    return ((_finite_rows(f(r)) ** 2).sum(-1, keepdims=True) <= size * (1 + _slack(f, r))).all()


@invariant
def l2_constant(f, r):
    """sum A^2 is the same in every mixed binary group of a size: the L2 norm does not see difficulty."""
    mixed = _mixed(r)
    if not mixed.any():
        return None
    one_right = np.zeros_like(r)
    one_right[:, 0] = 1
    a, reference = ((x**2).sum(-1) for x in _beside(f, r, one_right))
    return _same(a[mixed], reference[mixed], _slack(f, r) * r.shape[-1])


@invariant
def sure_monotonicity(f, r):
    """In the tabular policy no sampled group and no step size lowers the success probability.

    Each rollout is an arm of its own, and one right and one wrong arm stay unsampled; the update is
    dh_b = eta (n_b A_b - C pi_b), Theorem 1 of arXiv:2602.05548 with multiplicities. Binary groups.
    """
    if not _is_binary(r):
        return None
    return all(_never_falls(a, row) for a, row in zip(_finite_rows(f(r)), r, strict=True))


def _never_falls(a: np.ndarray, rewards: np.ndarray) -> bool:
    """Whether P' >= P for policies that put little, or all, of their mass on the sampled arms."""
    size = len(a)
    advantage, right = np.append(a, [0, 0]), np.append(rewards, [1, 0])
    sampled_only = np.append(np.full(size, 0.98 / size), [0.01, 0.01])
    rare = np.full(size, 1e-6)
    for masses in (sampled_only, np.append(rare, [0.1, 0.9]), np.append(rare, [0.9, 0.1])):
        pi = masses / masses.sum()
        for eta in (0.01, 1.0):
            step = eta * (advantage - advantage.sum() * pi)
            weights = pi * np.exp(step - step.max())
            gain = (weights * right).sum() / weights.sum() - (pi * right).sum()
            if gain < -1e-12:
                return False
    return True


@invariant
def dtype_stability(f, r):
    """Rewards in float32 give what the same numbers in float64 give, to 1e-3."""
    single = r.astype(np.float32)
    if not f.admits(single):
        return None
    double = single.astype(np.float64)
    spread = np.ptp(double, axis=-1)
    if ((spread > 0) & (spread < 1e-3 * np.abs(double).max(-1))).any():
        return None  # float32 holds fewer than four digits of these differences
    exact, rounded = f(double), f(single)
    return _same(exact, rounded, 1e-3)


def _is_binary(r: np.ndarray) -> bool:
    return bool(np.isin(r, (0, 1)).all())


def _mixed(r: np.ndarray) -> np.ndarray:
    """[P] whether a binary batch's group holds both right and wrong; False everywhere for other rewards."""
    return (np.ptp(r, axis=-1) > 0) & _is_binary(r)


def _finite_rows(a: np.ndarray) -> np.ndarray:
    """Advantages, with rows that are not finite set to 0: those belong to `finite`."""
    return np.where(np.isfinite(a).all(-1, keepdims=True), a, 0)


def _size_of(a: np.ndarray) -> float:
    """The scale that roundoff is measured against: G max(1, |A|)."""
    return a.shape[-1] * max(1.0, np.abs(a).max())


def _beside(f: Target, r: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Advantages of the groups `r` and `other`, [P, G] each, evaluated in one batch with an all-wrong prompt."""
    prompts = len(r)
    a = f(np.concatenate([r, other, np.zeros_like(r[:1])]))
    return a[:prompts], a[prompts : 2 * prompts]


def _slack(f: Target, r: np.ndarray, offset: float = 0.0) -> float:
    """Relative error that a stable algorithm may show on these rewards."""
    gaps = np.diff(np.sort(r, axis=-1), axis=-1)
    gap = gaps[gaps > 0].min() if (gaps > 0).any() else max(1.0, np.abs(r).max())
    return 1e3 * f.unit_roundoff * (1 + (np.abs(r).max() + offset) / gap)


def _same(x: np.ndarray, y: np.ndarray, slack: float) -> bool:
    """Equal within `slack` of the larger of 1 and |x|; where either is not finite nothing is compared."""
    both = np.isfinite(x) & np.isfinite(y)
    if not both.any():
        return True
    x, y = x[both], y[both]
    return bool((np.abs(x - y) <= slack * max(1.0, np.abs(x).max(), np.abs(y).max())).all())
