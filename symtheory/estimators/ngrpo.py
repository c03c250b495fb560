"""NGRPO: a virtual rollout of reward 1 in each group makes all-wrong groups negative (arXiv:2509.18851)."""

from .base import ORDERLY, register


def standardise_with_virtual_best(a, g, op, *, ddof=0):
    """(r - m) / s with mean and std of the G rewards and one more reward of 1."""
    size = g.size + 1
    below = 1 - a  # distances from the virtual reward: all 0 in an all-right group, also in floats
    mean_below = op.div(op.sum(g.weight * below), size)
    square = op.sum(g.weight * (below - mean_below) ** 2) + mean_below**2
    return op.div(mean_below - below, op.sqrt(op.div(square, size - ddof)))


register(
    "ngrpo",
    standardise_with_virtual_best,
    rewards="unit",
    min_size=1,
    source="arXiv:2509.18851",
    laws=f"{ORDERLY} batch_independence",
)
