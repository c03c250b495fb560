"""pass@k: the chance that at least one of k rollouts is correct (Eq. 37 of arXiv:2602.05548)."""

import numpy as np

from ..errors import InputError
from ..ops import ops_for


def pass_at_k(p, k):
    """1 - (1 - p)^k: pass@k of a prompt with success probability p, without cancellation for small p.

    Args:
        p: success probabilities, [...], of numpy or jax.
        k: numbers of attempts, broadcastable to `p`.

    Returns:
        Probabilities, of the shape that both broadcast to.

    >>> pass_at_k(0.5, 2)
    0.75
    >>> pass_at_k(1e-18, 2)  # 1 - (1 - 1e-18)**2 is 0.0
    2e-18
    """
    op = ops_for(p, k)
    xp = op.xp
    p = xp.asarray(p) * 1.0
    sure = p >= 1
    passed = xp.where(sure, 1.0, -xp.expm1(k * xp.log1p(-xp.where(sure, 0.0, p))))
    return passed if xp.ndim(passed) or xp is not np else float(passed)


def pass_weight(p, k):
    """k (1 - p)^(k - 1), the derivative of pass@k by p: numbers or arrays of any kind that broadcast.

    >>> pass_weight(0.5, 2)
    1.0
    """
    return k * (1 - p) ** (k - 1)


def unbiased_pass_at_k(n, c, k):
    """1 - C(n - c, k) / C(n, k): the unbiased estimate of pass@k from n samples with c correct (Eq. 37).

    It is the chance that k of the n samples, drawn without replacement, hold a correct one. The ratio is a product of
    1 - c / (n - i), i < k, summed as logarithms, so that the result has full relative precision also near 0.

    Args:
        n: numbers of samples, [...], of numpy or jax.
        c: correct ones among them, broadcastable.
        k: attempts, broadcastable; known, not a traced jax value.

    Returns:
        Estimates, of the shape that all broadcast to.

    Raises:
        InputError: unless 0 <= c <= n and 1 <= k <= n, where the values can be looked at.

    >>> round(unbiased_pass_at_k(4, 2, 2), 12)  # of the 6 pairs, one has no correct sample
    0.833333333333
    >>> unbiased_pass_at_k(256, np.array([0, 1, 256]), 16)
    array([0.    , 0.0625, 1.    ])
    """
    op = ops_for(n, c, k)
    xp = op.xp
    k = np.asarray(k)
    _check_counts(op, n, c, k)
    n, c = xp.asarray(n)[..., None], xp.asarray(c)[..., None]
    draw = np.arange(int(k.max()))
    wrong_left = n - c - draw
    drawn = (draw < k[..., None]) & (wrong_left > 0)
    log_miss = xp.where(drawn, xp.log1p(-c / xp.where(drawn, n - draw, c + 1)), 0.0).sum(-1)
    passed = xp.where(((draw < k[..., None]) & (wrong_left <= 0)).any(-1), 1.0, -xp.expm1(log_miss))
    passed = passed + 0.0  # -expm1(0) is -0.0
    return passed if xp.ndim(passed) or xp is not np else float(passed)


def _check_counts(op, n, c, k) -> None:
    if not (op.known(n) and op.known(c)):
        return
    n, c = np.asarray(n), np.asarray(c)
    if not ((c >= 0) & (c <= n)).all():
        raise InputError(f"c must be a number of correct samples in 0..n, got c = {c} with n = {n}")
    if not ((k >= 1) & (k <= n)).all():
        raise InputError(f"k must be in 1..n, since k of n samples are drawn, got k = {k} with n = {n}")
