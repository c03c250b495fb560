"""Everything that a card should be measured on, in one command of ten minutes: `python -m benchmarks.gpu`.

Bandit, tree, sweep and plane on the card against two CPU cores; a plane of a million runs; the replay's preset `gpu`,
cut short; a GRPO step of the transformer against eager and compiled PyTorch with a key-value cache. Each measurement
runs in a process of its own and is kept as one small file, so an interrupted command resumes. OUT/gpu.json and
OUT/gpu.md hold the rows, with the card's name. `--dry-run` does all of it on the CPU at small sizes.
"""

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from .timing import row, skipped

CPU_CORES = 2
PARTS = {
    "bandit": ("card", "cpu"),
    "tree": ("card", "cpu"),
    "sweep": ("card", "cpu"),
    "plane": ("card", "cpu"),
    "million": ("card",),
    "transformer": ("card",),
    "replay": ("card",),
}
UNITS = {
    "bandit": "bandit, run-steps a second (N=64 G=8, every metric)",
    "tree": "tree, run-steps a second (b=4 d=4)",
    "sweep": "sweep of 7 estimators x 8 difficulties, run-steps a second",
    "plane": "plane, run-steps a second (32 prompts x 64 trajectories)",
}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("results/gpu"))
    parser.add_argument("--dry-run", action="store_true", help="on the CPU, at small sizes")
    parser.add_argument("--minutes", type=float, default=10, help="what does not fit is left to the next call")
    parser.add_argument("--only", nargs="*", choices=PARTS, default=list(PARTS))
    parser.add_argument("--measure", nargs=2, metavar=("PART", "PLATFORM"), help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.measure:
        print(json.dumps(measure(*options.measure, options.dry_run)))
        return
    if not options.dry_run and not has_card():
        sys.exit("no GPU: `nvidia-smi -L` lists none, or jax[cuda12] is not installed; --dry-run needs neither")
    options.out.mkdir(parents=True, exist_ok=True)
    until = time.monotonic() + 60 * options.minutes
    found = {
        (part, platform): kept(part, platform, options.out, options.dry_run, until)
        for part in options.only
        for platform in PARTS[part]
    }
    report(found, options.out, options.dry_run)


def has_card() -> bool:
    return (
        subprocess.run(
            [sys.executable, "-c", "import jax; jax.devices('gpu')"], capture_output=True, check=False
        ).returncode
        == 0
    )


def kept(part: str, platform: str, out: Path, dry_run: bool, until: float) -> dict[str, Any]:
    """The measurement, read from its file, or made in a process of its own and kept."""
    path = out / f"{part}-{platform}{'-dry' if dry_run else ''}.json"
    if path.exists():
        return json.loads(path.read_text())
    left = until - time.monotonic()
    if left < 5:
        return {"skipped": "no time was left: run the same command again"}
    print(f"{part} on the {platform} ...", file=sys.stderr, flush=True)
    command = [sys.executable, "-m", "benchmarks.gpu", "--measure", part, platform, *(["--dry-run"] * dry_run)]
    environment = dict(os.environ, XLA_PYTHON_CLIENT_PREALLOCATE="false")
    if platform == "cpu" or dry_run:
        environment["JAX_PLATFORMS"] = "cpu"
    try:
        child = subprocess.run(
            command, capture_output=True, text=True, timeout=left, env=environment, cwd=Path(__file__).parents[1]
        )
    except subprocess.TimeoutExpired:
        return {"skipped": f"it did not end in the {left:.0f} s that were left: run the same command again"}
    if child.returncode:
        return {"skipped": f"failed: {(child.stderr.strip().splitlines() or ['no message'])[-1]}"}
    measured = json.loads(child.stdout.splitlines()[-1])
    if "skipped" not in measured:
        path.write_text(json.dumps(measured) + "\n")
    return measured


def measure(part: str, platform: str, dry_run: bool) -> dict[str, Any]:
    """One measurement, in this process."""
    if platform == "cpu" and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CPU_CORES])
    from symtheory.dynamics import use_all_cores

    use_all_cores()
    import jax

    measured = globals()[f"measure_{part}"](platform == "card", dry_run)
    return {"device": jax.devices()[0].device_kind, **measured}


def rate(program, work: float, rounds: int = 5) -> dict[str, float]:
    """Units of work a second: median over rounds, least and largest."""
    import jax
    import numpy as np

    jax.block_until_ready(program())
    seconds = []
    for _ in range(rounds):
        start = time.perf_counter()
        jax.block_until_ready(program())
        seconds.append(time.perf_counter() - start)
    low, middle, high = np.quantile(work / np.array(seconds), [0, 0.5, 1])
    return {"low": float(low), "middle": float(middle), "high": float(high), "work": work}


def measure_bandit(card: bool, dry_run: bool) -> dict[str, Any]:
    import jax

    from symtheory.dynamics.counter import counter_key
    from symtheory.dynamics.devices import across_devices, runs_that_fit

    from . import bandit

    steps = 5 if dry_run else 100
    program = bandit.program(8, steps)
    runs = 1024
    if card:
        plan = program.lower(counter_key(1), bandit.make_world(64, 64)).compile().memory_analysis()
        each = (plan.temp_size_in_bytes + plan.output_size_in_bytes) / 64
        runs = 128 if dry_run else min(2**18, 2 ** (runs_that_fit(each).bit_length() - 1))
    world = across_devices(bandit.make_world(64, 64 if dry_run else runs))
    return {
        "runs": runs,
        **rate(lambda: program(counter_key(1), world), len(world.correct) * steps),
        "threefry": rate(lambda: program(jax.random.key(1), world), len(world.correct) * steps)["middle"],
    }


def measure_tree(card: bool, dry_run: bool) -> dict[str, Any]:
    import jax
    import numpy as np

    from symtheory.dynamics.counter import counter_key
    from symtheory.dynamics.devices import across_devices
    from symtheory.worlds import make_tree

    from . import tree

    runs, steps = (64, 5) if dry_run else (2**16 if card else 1024, 100)
    success = np.tile([0.05, 0.1, 0.25, 0.5], runs // 4)
    world = across_devices(make_tree(jax.random.key(0), success, branching=4, depth=2 if dry_run else 4))
    program = tree.program(steps)
    return {"runs": runs, **rate(lambda: program(counter_key(1), world), runs * steps)}


def measure_sweep(card: bool, dry_run: bool) -> dict[str, Any]:
    import jax

    from symtheory.worlds import make_bandit

    from . import sweep

    seeds = 2 if dry_run else 1024 if card else 64
    world = make_bandit(jax.random.key(0), sweep.DIFFICULTIES, trajectories=64, correct=8)
    program, keys = sweep.together(), jax.random.split(jax.random.key(1), seeds)
    runs = seeds * len(sweep.NAMES) * len(sweep.DIFFICULTIES)
    return {"runs": runs, **rate(lambda: program(keys, world), runs * sweep.STEPS, 3)}


def plane_program(seeds: int, points: int, steps: int):
    """The function from a block's first row to its measures, and the runs in a block."""
    import jax
    import jax.numpy as jnp

    from symtheory.studies import phase_diagram

    program = jax.jit(phase_diagram._program(phase_diagram.Sweep(points=points, seeds=seeds, steps=steps)))
    asymmetry = jnp.linspace(-1, 1, points)
    tilts = jnp.linspace(-1, 1, phase_diagram.ROWS)
    return lambda block=0: program(tilts + 0.01 * block, asymmetry), seeds * phase_diagram.ROWS * points


def measure_plane(card: bool, dry_run: bool) -> dict[str, Any]:
    seeds, points, steps = (1, 2, 3) if dry_run else (32 if card else 1, 41, 240 if card else 40)
    program, runs = plane_program(seeds, points, steps)
    return {"runs": runs, **rate(program, runs * steps, 3)}


def measure_million(card: bool, dry_run: bool) -> dict[str, Any]:
    """A plane of 41 x 41 points and 596 seeds, block after block; the first call, which compiles, counted apart."""
    import jax

    seeds, points, steps, total = (2, 2, 3, 32) if dry_run else (149, 41, 240, 1_000_000)
    start = time.perf_counter()
    program, runs = plane_program(seeds, points, steps)
    jax.block_until_ready(program())
    compiled = time.perf_counter()
    blocks = -(-total // runs)
    jax.block_until_ready([program(block) for block in range(blocks)])
    seconds = time.perf_counter() - compiled
    return {"runs": blocks * runs, "steps": steps, "seconds": seconds, "first": compiled - start}


def measure_transformer(card: bool, dry_run: bool) -> dict[str, Any]:
    if importlib.util.find_spec("torch") is None:
        return {"skipped": "PyTorch is not installed (pip install torch)"}
    import jax
    import torch

    from symtheory.transformer import model

    from . import replay
    from .timing import interleave

    device = "cuda" if card and not dry_run else "cpu"
    if device == "cuda" and not torch.cuda.is_available():
        return {"skipped": "PyTorch sees no card (install its build for CUDA)"}
    params = model.init(jax.random.key(0), replay.CONFIG)
    programs = {
        "ours": (replay.jax_stepper(params, 1), 1),
        "eager": (replay.torch_stepper(params, device), 1),
        # a dry run captures the graphs and leaves out the generation of code
        "compiled": (replay.torch_stepper(params, device, compile_with="eager" if dry_run else "inductor"), 1),
    }
    seconds = interleave(programs, 1 if dry_run else 20)
    return {name: pairs[:, 0].tolist() for name, pairs in seconds.items()}


def measure_replay(card: bool, dry_run: bool) -> dict[str, Any]:
    """Wall time of `symtheory replay`, preset gpu, with fewer seeds and steps."""
    import tempfile

    given = "ci --seeds 2 --steps 10 --pretraining 2" if dry_run else "gpu --seeds 4 --steps 50 --pretraining 200"
    command = ["replay", *given.split(), "--part", "training", "--estimators", "grpo", "rloo"]
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        child = subprocess.run(
            [sys.executable, "-m", "symtheory", *command, "--out", folder], capture_output=True, text=True
        )
    if child.returncode:
        raise RuntimeError((child.stderr.strip().splitlines() or ["no message"])[-1])
    return {"command": "symtheory " + " ".join(command), "seconds": time.perf_counter() - start}


def compared(found: dict[tuple[str, str], dict[str, Any]]):
    """Rows as `symtheory bench` has them; a measurement that is missing says why."""
    import numpy as np

    for part, what in UNITS.items():
        pair = [found[part, platform] for platform in ("card", "cpu") if (part, platform) in found]
        if why := next((measured["skipped"] for measured in pair if "skipped" in measured), None):
            yield skipped(what, why, f"{CPU_CORES} CPU cores")
        elif pair:
            card, cpu = pair
            ratios = [card["low"] / cpu["high"], card["middle"] / cpu["middle"], card["high"] / cpu["low"]]
            yield row(
                f"{what}, {card['runs']:,} runs: {card['middle']:.3g}",
                ratios,
                f"{CPU_CORES} CPU cores, {cpu['runs']:,} runs",
            )
    for part, what in {"million": "plane of a million runs", "replay": "replay"}.items():
        measured = found.get((part, "card"), {})
        if "skipped" in measured:
            yield skipped(what, measured["skipped"])
        elif measured:
            more = (
                f"{measured['runs']:,} runs of {measured['steps']} steps" if part == "million" else measured["command"]
            )
            yield row(f"{what} ({more})", measured["seconds"], "", "seconds")
    measured = found.get(("transformer", "card"), {})
    what = "GRPO step of a transformer, sampling included"
    if "skipped" in measured:
        yield skipped(what, measured["skipped"], "PyTorch")
    elif measured:
        for other in ("eager", "compiled"):
            ratios = np.array(measured[other]) / np.array(measured["ours"])
            yield row(what, ratios, f"{other} PyTorch with a key-value cache")


def report(found: dict[tuple[str, str], dict[str, Any]], out: Path, dry_run: bool) -> None:
    """Write OUT/gpu.json and OUT/gpu.md, and print the table."""
    from symtheory.cli import bench

    devices = [measured["device"] for measured in found.values() if "device" in measured]
    card = "none: a dry run on the CPU" if dry_run else devices[0] if devices else None
    record = {"rows": list(compared(found)), "machine": {"card": card, **bench.machine()}}
    name = "dry" if dry_run else "gpu"
    (out / f"{name}.json").write_text(json.dumps(record, indent=1) + "\n")
    (out / f"{name}.md").write_text(bench.table(record) + "\n")
    print(bench.table(record))


if __name__ == "__main__":
    main()
