"""Plotting: a saved result in, a matplotlib figure out; nothing here runs a simulation."""
