"""Results on disk: written whole, found again by what made them."""

from .store import load, save

__all__ = ["load", "save"]
