"""Figures: one file each, with the function from runs to a labelled dataset and `draw`, which makes its picture."""
