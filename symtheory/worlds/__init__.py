"""Worlds: policies over trajectories with a verifier, behind one interface (`World`)."""

from .bandit import Bandit, make_bandit
from .base import World
from .conflict import make_conflict
from .hashed_tree import HashedTree, make_hashed_tree
from .registry import get, names, register
from .tree import Tree, make_tree

__all__ = [
    "Bandit",
    "HashedTree",
    "Tree",
    "World",
    "get",
    "make_bandit",
    "make_conflict",
    "make_hashed_tree",
    "make_tree",
    "names",
    "register",
]
