"""Dynamics: how a policy changes under an estimator, sampled or in exact expectation."""

from .devices import use_all_cores
from .regime import Band, Group, HardFirst, Redraw, Regime, Repeat, Solved, Stale, Verifier
from .run import mean_field, train
from .sampled import Update, advantage_of

__all__ = [
    "Band",
    "Group",
    "HardFirst",
    "Redraw",
    "Regime",
    "Repeat",
    "Solved",
    "Stale",
    "Update",
    "Verifier",
    "advantage_of",
    "mean_field",
    "train",
    "use_all_cores",
]
