"""What is measured on policies, groups and runs: arrays in, arrays out."""

from .passk import pass_at_k, unbiased_pass_at_k
from .plane import all_groups, place, position
from .slope import expected_slope

__all__ = ["all_groups", "expected_slope", "pass_at_k", "place", "position", "unbiased_pass_at_k"]
