"""Advantage estimators of group-relative RL: one definition each, composed of links, in a registry.

Add one by adding a file to this folder that calls `register`; nothing else names it.
"""

from .base import Estimator, advantages, chain, get, names, register
from .group import Group

__all__ = ["Estimator", "Group", "advantages", "chain", "get", "names", "register"]
