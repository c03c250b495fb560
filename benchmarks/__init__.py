"""Benchmarks, one module for each part of the package; `symtheory bench` runs them (see README.md here).

A module has one function `rows(rounds)`, which yields rows as `timing.row` builds them. Each runs in a process of
its own (`python -m benchmarks NAME`), so that none inherits another's threads, devices or memory.
"""
