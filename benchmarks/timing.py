"""Interleaved timing: programs take turns in one process, so that all meet the same neighbours."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np

Program = tuple[Callable[[], Any], float]


def interleave(programs: dict[str, Program], rounds: int) -> dict[str, np.ndarray]:
    """Seconds per unit of work of each `(function, units of work)`: [rounds, 2], wall and CPU time of the process.

    Every program runs once before the rounds, which compiles it and warms its caches.
    """
    for function, _ in programs.values():
        function()
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in programs}
    for _ in range(rounds):
        for name, (function, work) in programs.items():
            wall, cpu = time.perf_counter(), time.process_time()
            function()
            seconds[name].append(((time.perf_counter() - wall) / work, (time.process_time() - cpu) / work))
    return {name: np.array(pairs) for name, pairs in seconds.items()}


def row(name: str, ratios, against: str, unit: str = "times as fast", **more) -> dict[str, Any]:
    """One line of the table: median of `ratios` over rounds with their range."""
    ratios = np.atleast_1d(ratios)
    low, middle, high = (float(f"{x:.3g}") for x in (ratios.min(), np.median(ratios), ratios.max()))
    return {"name": name, "ratio": middle, "low": low, "high": high, "against": against, "unit": unit, **more}


def speed_row(name: str, seconds: dict[str, np.ndarray], ours: str, other: str, against: str | None = None, **more):
    """How many times as fast `ours` is as `other`, by wall time, with the ratio of CPU time beside it."""
    wall, cpu = (seconds[other] / seconds[ours]).T
    per_second = 1 / np.median(seconds[ours][:, 0])
    low, middle, high = (float(f"{x:.3g}") for x in (cpu.min(), np.median(cpu), cpu.max()))
    more = {"cpu_ratio": middle, "cpu_low": low, "cpu_high": high, "per_second": float(f"{per_second:.3g}"), **more}
    return row(name, wall, against or other, **more)


def skipped(name: str, why: str, against: str = "") -> dict[str, Any]:
    return {"name": name, "ratio": None, "low": None, "high": None, "against": against, "unit": "", "skipped": why}
