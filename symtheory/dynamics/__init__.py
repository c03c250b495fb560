"""Dynamics: how a policy moves under an estimator, sampled or in exact expectation."""

from .run import mean_field, train
from .sampled import State, StepInfo, Update, advantage_of

__all__ = ["State", "StepInfo", "Update", "advantage_of", "mean_field", "train"]
