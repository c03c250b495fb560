"""What a user waits for: the import, the help, the first figure, a second `reproduce`; each in processes of their own.

Rows of seconds compare with a stated other wait, since seconds alone say as much about the machine.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from .timing import row

FIRST_FIGURE = """
import sys
from pathlib import Path
import jax
jax.config.update("jax_num_cpu_devices", 2)
if sys.argv[2] != "none":
    jax.config.update("jax_compilation_cache_dir", sys.argv[2])
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
import numpy as np
import matplotlib
matplotlib.use("agg")
import matplotlib.pyplot as plt
from benchmarks import sweep
from symtheory.worlds import make_bandit
world = make_bandit(jax.random.key(0), sweep.DIFFICULTIES, trajectories=64, correct=8)
success, entropy = sweep.together()(jax.random.split(jax.random.key(1), 64), world)
fig, axes = plt.subplots(1, 2)
for ax, x in zip(axes, (success, entropy)):
    ax.plot(np.asarray(x).mean((0, 3)).T)
fig.savefig(sys.argv[1])
"""


def seconds(arguments: list[str], times: int) -> np.ndarray:
    """Wall time of a python process, for each of so many runs."""
    took = []
    for _ in range(times):
        start = time.perf_counter()
        run = subprocess.run([sys.executable, *arguments], capture_output=True, text=True)
        if run.returncode:
            raise RuntimeError(f"{arguments[:3]} failed: {(run.stderr.strip().splitlines() or [''])[-1]}")
        took.append(time.perf_counter() - start)
    return np.array(took)


def rows(rounds: int):
    times = max(3, min(rounds, 7))
    jax_import = seconds(["-c", "import jax"], times)
    waits = {
        "import symtheory": ["-c", "import symtheory"],
        "symtheory.advantages(rewards, 'grpo') in a fresh process": [
            "-c",
            "import symtheory; symtheory.advantages([[1, 0]], 'grpo')",
        ],
        "symtheory --help": ["-m", "symtheory", "--help"],
    }
    for name, arguments in waits.items():
        took = seconds(arguments, times)
        yield row(name, took / np.median(jax_import), "import jax", "times the time", seconds=_short(took))
    with tempfile.TemporaryDirectory() as folder:
        picture, cache = str(Path(folder, "first.png")), str(Path(folder, "cache"))
        cold = seconds(["-c", FIRST_FIGURE, picture, "none"], 3)
        seconds(["-c", FIRST_FIGURE, picture, cache], 1)
        warm = seconds(["-c", FIRST_FIGURE, picture, cache], 3)
        name = "time to first figure (7 estimators, 64 seeds, fresh process)"
        yield row(f"{name}, cold", cold / np.median(jax_import), "import jax", "times the time", seconds=_short(cold))
        yield row(
            f"{name}, with JAX's compilation cache",
            warm / np.median(jax_import),
            "import jax",
            "times the time",
            seconds=_short(warm),
        )
        command = ["-m", "symtheory", "reproduce", "--preset", "quick", "--out", str(Path(folder, "figures"))]
        first, second = seconds(command, 1), seconds(command, 2)
        yield row(
            "second reproduce --preset quick", first / second, "the first", seconds=_short(second), first=_short(first)
        )


def _short(took) -> float:
    return round(float(np.median(took)), 2)


os.environ.setdefault("MPLBACKEND", "agg")
