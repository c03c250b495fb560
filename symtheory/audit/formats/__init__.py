"""What each trainer writes: one small file a trainer, found in this folder; nothing else names it."""

from .base import FIELDS, Format, formats, get, named

__all__ = ["FIELDS", "Format", "formats", "get", "named"]
