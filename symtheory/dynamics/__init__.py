"""Dynamics: how a policy moves under an estimator, sampled or in exact expectation."""

from .control_variate import control_variate
from .counter import counter_key
from .run import across_devices, mean_field, quick_jit, train, use_all_cores
from .sampled import State, StepInfo, Update, advantage_of

__all__ = [
    "State",
    "StepInfo",
    "Update",
    "across_devices",
    "advantage_of",
    "control_variate",
    "counter_key",
    "mean_field",
    "quick_jit",
    "train",
    "use_all_cores",
]
