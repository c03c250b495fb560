"""Figures about regimes of training."""
