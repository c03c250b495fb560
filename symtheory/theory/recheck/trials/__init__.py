"""Trials by name: evaluations that are more than one formula on one group. Their arguments stand in the certificate.

Each says of every point that it agrees, or what does not (`base.Answer`). `shows` says what agreement means for the
statement (that it is exact, or that it fails), `method` what kind of evidence it is. All of them run the estimators'
code themselves.
"""

from . import boundary, flows, forms, interference, objectives, published, regimes, rewards, series, steps, weights
from .base import TRIALS, Trial, get

__all__ = [
    "TRIALS",
    "Trial",
    "boundary",
    "flows",
    "forms",
    "get",
    "interference",
    "objectives",
    "published",
    "regimes",
    "rewards",
    "series",
    "steps",
    "weights",
]
