"""Why did the entropy move: its change attributed to first-order terms, with the unexplained rest.

To first order a policy-gradient step changes the entropy of a policy by -eta Cov(l, A), l the log-probability and A the
advantage of a rollout (arXiv:2505.22617, Theorem 2, for steps along the natural gradient). So entropy falls where
likely rollouts are pushed up. The sum over steps of -Cov, times one number eta fitted to the entropies that were
logged, is the part explained; it is a sum over groups of each difficulty and over correct and wrong rollouts.
"""

from collections.abc import Sequence

import numpy as np

from .tally import LABELS, Census, Weight

FEWEST = 5
"""Steps with log-probabilities for which a line is fitted."""


def entropy_per_token(counts: Census) -> float | None:
    """Mean of -log p over the sampled tokens, in nats: an unbiased estimate of the entropy per token."""
    return -counts.logprob / counts.logprob_tokens if counts.logprob_tokens else None


def attribution(entries: Sequence[tuple[Census, Weight | None]]) -> dict | None:
    """First-order terms of the change of entropy between the first and the last fifth of the steps.

    Returns:
        None without log-probabilities in at least `FEWEST` steps. Else "change" (nats per token), "explained", "rest",
        "eta" (0 where the terms point the other way), "r2" (share of the variance of the entropy over the steps that
        the line has), and "terms": for each difficulty with groups, the parts of its "wrong" and "correct" rollouts.
    """
    known = [(e, w) for c, w in entries if (e := entropy_per_token(c)) is not None and w is not None and w.pulled.any()]
    if len(known) < FEWEST:
        return None
    entropy = np.array([e for e, _ in known])
    rates = np.stack([-w.pull / w.pulled.sum() for _, w in known])  # [steps, BINS, 2]
    path = np.concatenate([np.zeros((1, *rates.shape[1:])), np.cumsum(rates, 0)[:-1]])
    total = path.sum((1, 2))
    centred, seen = total - total.mean(), entropy - entropy.mean()
    square = float(centred @ centred)
    eta = max(float(centred @ seen) / square, 0.0) if square > 0 else 0.0
    fifth = max(len(known) // 5, 1)
    moved = eta * (path[-fifth:].mean(0) - path[:fifth].mean(0))
    change = float(entropy[-fifth:].mean() - entropy[:fifth].mean())
    spread = float(seen @ seen)
    return {
        "change": change,
        "explained": float(moved.sum()),
        "rest": change - float(moved.sum()),
        "eta": eta,
        "r2": 1 - float(((seen - eta * centred) ** 2).sum()) / spread if spread > 0 else None,
        "terms": [
            {"p": label, "wrong": float(moved[i, 0]), "correct": float(moved[i, 1])}
            for i, label in enumerate(LABELS)
            if moved[i].any() or any(w.pulled[i] for _, w in known)
        ],
    }
