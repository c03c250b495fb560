"""Constants of docs/scale.md: what a run costs, alone and with its file, on this machine's first device.

Run as `python -m benchmarks.scale`; times are the best of five, each of one tile.
"""

import tempfile
import time

import jax
import jax.numpy as jnp
import numpy as np

from symtheory.dynamics import use_all_cores
from symtheory.storage import store
from symtheory.studies import phase_diagram, sweep, sweep_file

ROUNDS = 5


def best(action):
    """Seconds of the quickest of some calls, after one that compiles."""
    action()
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return min(times)


def sweep_tile(width: int) -> None:
    described = sweep_file.parse(
        {
            "estimators": ["plane"],
            "difficulties": [0.1],
            "learning_rates": [0.1],
            "parameters": {"tilt": [0.5], "asymmetry": [0.2]},
            "seeds": width,
            "tile": width,
            "stride": 200,
        }
    )
    (tile,) = sweep.plan(described)
    arguments = jax.device_put(tile.arguments, jax.devices()[0])
    seconds = best(lambda: jax.block_until_ready(tile.program(*arguments)))
    dataset = tile.label(jax.tree.map(np.asarray, tile.program(*arguments)))
    with tempfile.TemporaryDirectory() as folder:
        kept = best(lambda: store.keep(folder, "sweep", tile.config, dataset))
        found = best(lambda: store.find(folder, "sweep", tile.config))
    memory = tile.program.lower(*arguments).compile().memory_analysis()
    steps = width * described.steps
    print(
        f"sweep, tile of {width}: {steps / seconds / 1e6:.2f} M run-steps/s, {1e3 * seconds:.0f} ms a tile; "
        f"file written in {1e3 * kept:.0f} ms, read in {1e3 * found:.0f} ms; "
        f"{(memory.temp_size_in_bytes + memory.output_size_in_bytes) / width:.0f} bytes a run"
    )


def plane_tile() -> None:
    setting = phase_diagram.Sweep(points=5, seeds=4)
    program = jax.jit(phase_diagram._program(setting))
    tilt, asymmetry = jnp.linspace(-1, 1, phase_diagram.ROWS), jnp.linspace(-1, 1, setting.points)
    seconds = best(lambda: jax.block_until_ready(program(tilt, asymmetry)))
    steps = setting.seeds * phase_diagram.ROWS * setting.points * setting.steps
    print(
        f"plane: {steps / seconds / 1e3:.1f} k run-steps/s, "
        f"{steps * setting.prompts / seconds / 1e6:.2f} M prompt-steps/s ({setting.prompts} prompts a run)"
    )


if __name__ == "__main__":
    use_all_cores()
    print(f"{jax.devices()[0].device_kind}, {len(jax.devices())} devices, one used")
    for width in (64, 256, 1024, 4096):
        sweep_tile(width)
    plane_tile()
