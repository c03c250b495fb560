"""Figures of the interference law: at a base policy, against an angle, and against the runs that judge it."""
