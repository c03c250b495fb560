"""Property tests for advantage estimators, ours and anyone's.

>>> from symtheory.testing import check_estimator
>>> def centred(rewards):
...     return rewards - rewards.mean(axis=-1, keepdims=True)
>>> "zero_sum" in check_estimator(centred, laws=["zero_sum"]).laws
True
"""

from . import invariants, strategies
from .calling.isolate import load
from .check import Finding, Report, assert_laws, check_estimator
from .invariants import INVARIANTS
from .target import Target, as_target

__all__ = [
    "INVARIANTS",
    "Finding",
    "Report",
    "Target",
    "as_target",
    "assert_laws",
    "check_estimator",
    "invariants",
    "load",
    "strategies",
]
