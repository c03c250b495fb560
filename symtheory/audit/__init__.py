"""Audit the rollout log of a real training run: how zero-sum it is, where its weight goes, what theory expects."""

from .check import audit
from .read import FORMATS, Log, read

__all__ = ["FORMATS", "Log", "audit", "read"]
