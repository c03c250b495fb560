"""Advantage estimators of group-relative RL: one definition each, composed of links, in a registry.

Add one by adding a file to this folder that calls `register`; nothing else names it.
"""

from .base import Estimator, advantages, chain, get, names, register
from .group import BatchStats, Group, batch_of, make_group, two_outcome_batch, two_outcome_group

__all__ = [
    "BatchStats",
    "Estimator",
    "Group",
    "advantages",
    "batch_of",
    "chain",
    "get",
    "make_group",
    "names",
    "register",
    "two_outcome_batch",
    "two_outcome_group",
]
