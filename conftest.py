"""Modules that import a trainer are collected, for their examples, where that trainer is installed."""

from importlib.util import find_spec

TRAINERS = ("trl", "verl", "tunix")
collect_ignore = [f"symtheory/trainers/{name}.py" for name in TRAINERS if find_spec(name) is None]
collect_ignore += ["tests/golden/make_trainers.py"]
