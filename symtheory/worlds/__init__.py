"""Worlds: policies over trajectories with a verifier, behind one interface (`World`)."""

from .bandit import make_bandit
from .base import World
from .conflict import make_conflict
from .hashed_tree import make_hashed_tree
from .registry import register
from .tree import make_tree

__all__ = ["World", "make_bandit", "make_conflict", "make_hashed_tree", "make_tree", "register"]
