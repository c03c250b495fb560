"""How cost grows with each size: CPU time and memory of a step, with fitted exponents; `python -m benchmarks.growth`.

Every point is a program of its own on one device: the least CPU seconds of three calls, divided by its steps, the
seconds of its compilation, and the bytes that XLA plans for it. Points are kept in FILE as they are made, so that an
interrupted command resumes; `--again AXIS=SIZE ...` measures points a second time and prints both.
"""

import argparse
import functools
import json
import time
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
import optax

from symtheory import estimators
from symtheory.dynamics import Update, advantage_of, train, use_all_cores
from symtheory.dynamics.sampled import State
from symtheory.storage import store
from symtheory.transformer import model
from symtheory.transformer import train as transformer
from symtheory.worlds import make_bandit, make_tree

from . import replay

FILE = Path(__file__).with_name("growth.json")
ROUNDS, STEPS = 3, 20
LINEAR = 0.15  # a local exponent this far from 1 is not linear
MODELS = {0.8: (4, 128), 3.1: (4, 256), 10.6: (6, 384), 31.9: (8, 576), 99.7: (12, 832)}  # M parameters: layers, width
AXES = {
    "runs (seeds)": [4, 16, 64, 256, 1024, 4096, 16384],
    "prompts (shared parameters)": [8, 32, 128, 512, 2048],
    "N": [16, 64, 256, 1024, 4096],
    "G": [2, 8, 32, 128, 512],
    "estimators": [1, 2, 4, 8, 16],
    "nodes of a tree (b=2)": [7, 31, 127, 511, 2047, 8191],
    "M parameters of a transformer": list(MODELS),
}


def training(world, group: int = 8, names: int = 1) -> tuple[Callable, tuple, int]:
    """A program of `STEPS` steps on `world` under the first `names` estimators, its arguments and its steps."""
    chains = [estimators.get(name) for name in estimators.names("rewards")[:names]]

    def run(key, world):
        def one(index):
            advantage, rate = advantage_of(chains, index), optax.sgd(0.1)
            watch = lambda params: world.success(params)  # noqa: E731
            return train(key, world, advantage, rate, Update(group), observe=watch, records=2, stride=STEPS // 2)[1:]

        return jax.vmap(one)(np.arange(names))

    return jax.jit(run), (jax.random.key(1), world), STEPS


def bandit(prompts: int, trajectories: int = 64, features: int = 0):
    success = np.resize([0.05, 0.1, 0.25, 0.5], prompts)
    key = jax.random.key(0)
    return make_bandit(key, success, trajectories=trajectories, correct=trajectories // 8, features=features)


def transformer_step(size: float) -> tuple[Callable, tuple, int]:
    """One GRPO step of a transformer, sampling included: 4 prompts of 4 tokens, groups of 4, 12 tokens each."""
    layers, width = MODELS[size]
    config = model.ModelConfig(vocab=32, context=16, layers=layers, width=width, heads=8)
    update = transformer.Update(group_size=4, batch=4, mini_batches=1)
    asked, params = replay.Matching(), model.init(jax.random.key(0), config)
    advantage = advantage_of([estimators.get("grpo")], 0)
    step = functools.partial(transformer.step, config=config, task=asked, prompts=asked.prompts())
    state = State(params, update.make_optimizer().init(params))
    return (
        jax.jit(lambda key, state: step(key, state, advantage=advantage, update=update)),
        (jax.random.key(1), state),
        1,
    )


def point(axis: str, size: float) -> tuple[Callable, tuple, int]:
    """The program of one point, its arguments and the steps it makes."""
    success = np.resize([0.05, 0.1, 0.25, 0.5], 64)
    makers = {
        "runs (seeds)": lambda n: training(bandit(n)),
        "prompts (shared parameters)": lambda n: training(bandit(n, features=16)),
        "N": lambda n: training(bandit(64, n)),
        "G": lambda n: training(bandit(64), n),
        "estimators": lambda n: training(bandit(64, features=16), names=n),
        "nodes of a tree (b=2)": lambda n: training(
            make_tree(jax.random.key(0), success, branching=2, depth=(n + 1).bit_length() - 1)
        ),
        "M parameters of a transformer": transformer_step,
    }
    return makers[axis](size)


def measure(axis: str, size: float) -> dict[str, float]:
    program, arguments, steps = point(axis, size)
    arguments = jax.device_put(arguments, jax.devices()[0])
    start = time.process_time()
    compiled = program.lower(*arguments).compile()
    compiling = time.process_time() - start
    plan = compiled.memory_analysis()
    size_of = plan.temp_size_in_bytes + plan.output_size_in_bytes + plan.argument_size_in_bytes
    jax.block_until_ready(compiled(*arguments))
    took = []
    for _ in range(ROUNDS):
        start = time.process_time()
        jax.block_until_ready(compiled(*arguments))
        took.append((time.process_time() - start) / steps)
    return {"step": min(took), "compile": compiling, "mib": size_of / 2**20}


def exponents(sizes, costs) -> np.ndarray:
    """Local exponents, d log cost / d log size between neighbours."""
    return np.diff(np.log(costs)) / np.diff(np.log(sizes))


def fitted(sizes, costs) -> tuple[float, str]:
    """Exponent over the larger half of the sizes, and the range of sizes between which growth is linear.

    >>> fitted([1, 10, 100, 1000], [5.0, 10.0, 100.0, 1000.0])
    (1.0, '10 to 1000')
    >>> fitted([1, 10, 100], [5.0, 5.0, 5.0])
    (0.0, 'nowhere')
    """
    half = len(sizes) // 2
    slope = float(np.polyfit(np.log(sizes[half:]), np.log(costs[half:]), 1)[0])
    linear = [i for i, x in enumerate(exponents(sizes, costs)) if abs(x - 1) <= LINEAR]
    where = f"{sizes[linear[0]]:g} to {sizes[linear[-1] + 1]:g}" if linear else "nowhere"
    return abs(round(slope, 2)), where


def shown(values) -> str:
    """Numbers with three figures, without powers of ten; whole ones in full.

    >>> shown([16384, 0.01234, 2698.7])
    '16384, 0.0123, 2700'
    """
    whole = [isinstance(x, int) for x in values]
    positional = functools.partial(np.format_float_positional, precision=3, fractional=False, trim="-")
    return ", ".join(str(x) if exact else positional(x) for x, exact in zip(values, whole, strict=True))


def table(record: dict) -> str:
    """The points and their exponents, in Markdown."""
    lines = [
        "| size | values | CPU ms a step | exponent | linear | MiB | exponent | compiling, CPU s |",
        "| --- | --- | --- | ---: | --- | --- | ---: | --- |",
    ]
    for axis, sizes in AXES.items():
        points = [record["points"].get(f"{axis}={size:g}") for size in sizes]
        if None in points:
            lines.append(
                f"| {axis} | {sum(p is not None for p in points)} of {len(sizes)} points are measured | | | | | | |"
            )
            continue
        columns = {name: [p[name] for p in points] for name in points[0]}
        (cost, linear), (memory, _) = fitted(sizes, columns["step"]), fitted(sizes, columns["mib"])
        per_step = shown(1e3 * np.array(columns["step"]))
        mib, compiling = shown(columns["mib"]), shown(columns["compile"])
        lines.append(f"| {axis} | {shown(sizes)} | {per_step} | {cost} | {linear} | {mib} | {memory} | {compiling} |")
    facts = ", ".join(f"{key} {value}" for key, value in record["machine"].items() if value is not None)
    return "\n".join([*lines, "", facts])


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=FILE)
    parser.add_argument(
        "--again", nargs="*", metavar="AXIS=SIZE", help="measure these points again, by their names in FILE"
    )
    options = parser.parse_args(arguments)
    use_all_cores()
    from symtheory.cli import bench

    record = json.loads(options.out.read_text()) if options.out.exists() else {"points": {}, "machine": bench.machine()}
    for name in options.again or ():
        axis, _, size = name.rpartition("=")
        now = measure(axis, float(size) if "." in size else int(size))
        for what, before in record["points"][name].items():
            print(f"{name}: {what} {before:.3g} then, {now[what]:.3g} now, {now[what] / before:.2f} times")
    if options.again:
        return
    for axis, sizes in AXES.items():
        for size in sizes:
            name = f"{axis}={size:g}"
            if name not in record["points"]:
                record["points"][name] = {k: float(f"{v:.4g}") for k, v in measure(axis, size).items()}
                with store.replacing(options.out) as partial:
                    partial.write_text(json.dumps(record, indent=1) + "\n")
                print(name, record["points"][name], flush=True)
    print(table(record))


if __name__ == "__main__":
    main()
