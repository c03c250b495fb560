"""Sentences that the ledger and captions share."""

from collections.abc import Mapping


def in_other_settings(verdicts: Mapping[str, str]) -> str:
    """Verdicts by setting as a sentence that follows another one, or nothing.

    >>> in_other_settings({"SGD": "found", "Adam": "undecided"})
    ' In other settings: SGD: found; Adam: undecided.'
    """
    words = "; ".join(f"{setting}: {verdict}" for setting, verdict in verdicts.items())
    return f" In other settings: {words}." if words else ""
