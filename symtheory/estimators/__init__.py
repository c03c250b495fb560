"""Advantage estimators of group-relative RL: one definition each, composed of links, in a registry.

To add an estimator, add a file to this folder that calls `register`; no list has to be changed.
"""

from .base import Estimator, advantages, chain, get, names, register
from .group import Group

__all__ = ["Estimator", "Group", "advantages", "chain", "get", "names", "register"]
