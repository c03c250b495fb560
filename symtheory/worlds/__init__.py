"""Worlds: policies over trajectories with a verifier, behind one interface (`World`)."""

from .bandit import Bandit, make_bandit
from .base import World

__all__ = ["Bandit", "World", "make_bandit"]
