"""Audit the rollout log of a real training run: can it be trusted, is it zero-sum, where does its weight go."""

from .check import audit
from .formats import named as formats
from .rates import pass_rates
from .read import Log, read

__all__ = ["Log", "audit", "formats", "pass_rates", "read"]
