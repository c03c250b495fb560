"""Columns of a file: which holds what, and how the values of its records become rollouts."""
