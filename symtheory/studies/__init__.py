"""Experiments: one file per figure of the paper or study; each turns a configuration into a labelled result."""
