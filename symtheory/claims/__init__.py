"""The claims of the paper: what experiments measure for each, the rule that judges, and the ledger."""

from typing import TYPE_CHECKING

from ..lazy import lazily

if TYPE_CHECKING:
    from .ledger import load_claims, load_findings

__all__ = ["load_claims", "load_findings"]

__getattr__ = lazily(__name__, ledger=("load_claims", "load_findings"))
