"""Peak memory of a training program against runs, steps and N, as XLA plans it (temporary and output buffers).

The plan is exact and the same at every call, which the resident size of a process is not. Each row multiplies one
quantity by 4, 16 or 64 and says by how much the memory grew; 1 is "does not grow".
"""

import jax

from .bandit import make_world, program
from .timing import row


def planned(trajectories: int = 64, runs: int = 1024, steps: int = 200, stride: int = 1) -> int:
    """Bytes of temporaries and results of one program."""
    world = make_world(trajectories, runs)
    plan = program(8, steps, stride).lower(jax.random.key(0), world).compile().memory_analysis()
    return plan.temp_size_in_bytes + plan.output_size_in_bytes


def rows(rounds: int):
    base = dict(trajectories=64, runs=1024, steps=200, stride=10)
    start = planned(**base)
    mib = round(start / 2**20, 2)
    case = "memory of 1,024 runs x 200 steps, N=64, read every 10th step"
    changes = {
        "the steps and the stride": lambda n: dict(steps=200 * n, stride=10 * n),
        "the steps": lambda n: dict(steps=200 * n),
        "the runs": lambda n: dict(runs=1024 * n),
        "N": lambda n: dict(trajectories=64 * n),
    }
    for name, change in changes.items():
        for factor in (4, 16, 64):
            after = planned(**{**base, **change(factor)})
            more = dict(mib=round(after / 2**20, 2))
            yield row(f"{factor} times {name}", after / start, f"{case} ({mib} MiB)", "times the memory", **more)
