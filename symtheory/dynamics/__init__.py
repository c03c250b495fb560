"""Dynamics: how a policy moves under an estimator, sampled or in exact expectation."""

from .counter import counter_key
from .run import across_devices, mean_field, train
from .sampled import State, StepInfo, Update, advantage_of

__all__ = [
    "State",
    "StepInfo",
    "Update",
    "across_devices",
    "advantage_of",
    "counter_key",
    "mean_field",
    "train",
]
