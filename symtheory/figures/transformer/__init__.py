"""Figures of the transformer: training, single steps, and the simulators beside it."""
