"""Figures: one file each, with the function from runs to a labelled dataset and `draw`, which makes its picture."""

from typing import TYPE_CHECKING

from ..lazy import lazily

if TYPE_CHECKING:
    from .base import Runs, figures, preset

__all__ = ["Runs", "figures", "preset"]

__getattr__ = lazily(
    __name__,
    base=(
        "Runs",
        "figures",
        "preset",
    ),
)
