"""What is measured on policies, groups and runs: arrays in, arrays out."""

from .intervals import Interval, bootstrap, share
from .passk import pass_at_k, unbiased_pass_at_k
from .plane import Position, all_groups, difficulty_tilt, group_asymmetry, place, position
from .slope import advantage_table, expected_slope, kept_group_slope, marginal_values, objective

__all__ = [
    "Interval",
    "Position",
    "advantage_table",
    "all_groups",
    "bootstrap",
    "difficulty_tilt",
    "expected_slope",
    "group_asymmetry",
    "kept_group_slope",
    "marginal_values",
    "objective",
    "pass_at_k",
    "place",
    "position",
    "share",
    "unbiased_pass_at_k",
]
