"""Audit the rollout log of a training run: whether it can be trusted, is zero-sum, and which prompts get its weight."""

from .check import audit
from .rates import pass_rates
from .read import read

__all__ = ["audit", "pass_rates", "read"]
