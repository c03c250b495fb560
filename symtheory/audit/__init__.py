"""Audit the rollout log of a real training run: can it be trusted, is it zero-sum, where does its weight go."""

from .check import audit
from .rates import pass_rates
from .read import read

__all__ = ["audit", "pass_rates", "read"]
