"""Dynamics: how a policy moves under an estimator, sampled or in exact expectation."""

from .control_variate import control_variate
from .counter import counter_key
from .devices import across_devices, quick_jit, runs_that_fit, use_all_cores
from .regime import Band, Group, HardFirst, Redraw, Regime, Repeat, Solved, Stale, Verifier
from .run import mean_field, train
from .sampled import State, StepInfo, Update, advantage_of
from .theorem1 import log_prob_change, logit_change, pull_of

__all__ = [
    "Band",
    "Group",
    "HardFirst",
    "Redraw",
    "Regime",
    "Repeat",
    "Solved",
    "Stale",
    "State",
    "StepInfo",
    "Update",
    "Verifier",
    "across_devices",
    "advantage_of",
    "control_variate",
    "counter_key",
    "log_prob_change",
    "logit_change",
    "mean_field",
    "pull_of",
    "quick_jit",
    "runs_that_fit",
    "train",
    "use_all_cores",
]
