"""Property tests for advantage estimators, registered ones and your own.

>>> from symtheory.testing import check_estimator
>>> def centred(rewards):
...     return rewards - rewards.mean(axis=-1, keepdims=True)
>>> "zero_sum" in check_estimator(centred, laws=["zero_sum"]).laws
True
"""

from . import invariants, strategies
from .calling.isolate import load
from .check import assert_laws, check_estimator
from .target import as_target

__all__ = ["as_target", "assert_laws", "check_estimator", "invariants", "load", "strategies"]
