"""Results on disk: written whole, found again by what made them."""

from .store import cached, load, save

__all__ = ["cached", "load", "save"]
