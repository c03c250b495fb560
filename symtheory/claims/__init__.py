"""The claims of the paper: what experiments measure for each, the rule that judges, and the ledger."""

from typing import TYPE_CHECKING

from ..lazy import lazily

if TYPE_CHECKING:
    from .ledger import Claim, Finding, judge_study, load_claims, load_findings

__all__ = ["Claim", "Finding", "judge_study", "load_claims", "load_findings"]

__getattr__ = lazily(
    __name__,
    ledger=("Claim", "Finding", "judge_study", "load_claims", "load_findings"),
)
