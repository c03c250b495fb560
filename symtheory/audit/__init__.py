"""Audit the rollout log of a real training run: whether it can be trusted, how zero-sum it is, where its weight goes."""

from .check import audit
from .formats import named as formats
from .rates import pass_rates
from .read import Log, read

__all__ = ["Log", "audit", "formats", "pass_rates", "read"]
