"""`symtheory predict`: what an estimator should do to pass@k, computed from the base policy."""

import math
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional


def run(
    what: Annotated[Literal["law", "angle", "write", "noise", "judge"], Positional] = "law",
    /,
    *,
    world: Literal["transformer", "bandit", "tree"] = "transformer",
    out: Path = Path("results/predict"),
    estimators: tuple[str, ...] = (),
    ks: tuple[int, ...] = (4, 16, 64, 256),
    seeds: int = 4,
    first_seed: int = 0,
    group_size: int = 8,
    optimizer: Literal["sgd", "adam"] = "sgd",
    gain: float = 0.1,
    mix: tuple[float, float] = (0.5, 2.0),
    prompts: int = 32,
    task: Literal["expression", "congruence", "addition"] = "expression",
    pretraining: int = 300,
    layers: int = 1,
    width: int = 32,
    model: Path | None = None,
    predictions: Path = Path("paper/results/interference-predictions.json"),
    noise: Path = Path("paper/results/interference-noise.json"),
    runs: Path = Path("paper/results/interference-runs.json"),
    cells: tuple[str, ...] = (),
    slower: int = 1,
) -> None:
    """Compute before training which estimator keeps more pass@k, by how much, and whether GRPO ends below its base.

    A step on one prompt moves all others through shared parameters, by kappa(x, q) = <grad P_x, D grad P_q>. At the
    base policy this gives each training prompt an exchange rate: held-out pass@k gained per unit of training pass@1.
    In expectation estimators differ in how they weigh prompts of different difficulty. So to first order the exchange
    rate orders them: if it falls with success, hard focus keeps more pass@k; if it rises, easy focus does.

    law: draw the kernel, the exchange rates and the predicted slope of every estimator (OUT/law.png, .nc, .md). Nothing
    is trained.

    angle: vary the angle between the gradients of easy and hard prompts, which turns the order; predicted and measured
    (OUT/angle.png, .nc, .md).

    write: part one of the test of the law. Add to PREDICTIONS the cells and seeds of a fixed design that it lacks (base
    kernel, tangent kernel, mean field); what it has is never changed. Half an hour for all.

    noise: a fourth predictor for the cells and seeds of PREDICTIONS, written to NOISE: the mean field, and what
    sampling noise adds to it along its path.

    judge: part two of the test. Make the runs of those cells into RUNS, compare them with PREDICTIONS (and with NOISE,
    if there is such a file), and draw the comparison (OUT/test.png, .nc, .md; half an hour).

    Examples to paste:

        $ symtheory predict --world bandit
        $ symtheory predict angle

    Args:
        what: see above.
        world: transformer (pretrained first, or given by MODEL), bandit or tree (with shared features).
        out: folder for results; finished parts are kept in OUT/cache.
        estimators: registered estimators to predict; all of them if none is named.
        ks: of pass@k; the picture shows the last.
        seeds: base policies, each with prompts of its own; intervals are taken over them.
        first_seed: the first of them.
        group_size: G, rollouts per prompt and step.
        optimizer: adam preconditions gradients by its second moments at the base policy, from sampled gradients.
        gain: training pass@1 to gain, for the linearised training (tangent) in the table.
        mix: a and b of the Beta distribution from which success on bandits and trees is drawn.
        prompts: training prompts, and as many held-out ones.
        task: the transformer's task.
        pretraining: supervised steps that make its base model.
        layers: blocks of the transformer.
        width: its width, a multiple of 4 heads.
        model: parameters of a base model saved by `symtheory.storage.checkpoint.save` (npz), in place of pretraining;
            task, layers and width must be those of the model.
        predictions: file of predictions that `write` makes and `judge` reads.
        noise: file of predictions that `noise` makes and `judge` reads; cells in it are not predicted again.
        runs: file of runs that `judge` makes; cells in it are not run again.
        cells: names of the cells for `write`, `noise` and `judge`, as in PREDICTIONS; all of them if none is named.
        slower: factor by which `judge` divides learning rates and multiplies steps: the same path with less noise.
    """
    from ..errors import InputError
    from ..storage import tiles

    if seeds < 1 or prompts < 1:
        raise InputError(f"seeds and prompts must be at least 1, got {seeds} and {prompts}")
    if not ks or min(ks) < 1 or max(ks) >= 2**31:
        raise InputError(f"ks must be whole numbers of at least 1, below 2^31, got {' '.join(map(str, ks)) or 'none'}")
    if not 0 < gain < 1:
        raise InputError(f"gain must be a share of pass@1 in (0, 1), got {gain:g}")
    if slower < 1:
        raise InputError(f"slower must be a whole number of at least 1, got {slower}")
    if group_size < 2:
        raise InputError(f"group-size must be at least 2, got {group_size}: a group of one has nothing to compare with")
    if not all(0 < m < math.inf for m in mix):
        raise InputError(f"mix must be two positive numbers, a and b of Beta(a, b), got {mix[0]:g} {mix[1]:g}")
    tiles.prepare(out)
    if what == "write":
        _write(predictions, out, cells)
    elif what == "noise":
        _noise(predictions, noise, out, cells)
    elif what == "judge":
        _judge(predictions, noise, runs, out, cells, slower)
    elif what == "angle":
        _angle(list(range(first_seed, first_seed + seeds)), out)
    else:
        from ..studies.interference.cells import SimulatedCell, TransformerCell
        from ..studies.transformer.base import Base

        if world == "transformer":
            base = Base(task, layers, width, steps=pretraining)
            cell = TransformerCell(base, optimizer, gain, prompts=prompts)
        else:
            cell = SimulatedCell(world, mix, optimizer, gain, prompts=prompts)
        bases = None if model is None else _bases(model, cell, seeds)
        seen = list(range(first_seed, first_seed + seeds))
        _law(cell, seen, estimators, tuple(dict.fromkeys(ks)), group_size, out, bases)


def _law(cell, seeds, names, ks, group_size, out, bases) -> None:
    from rich.console import Console

    from .. import estimators as registered
    from ..errors import InputError
    from ..figures.interference import law as figure
    from ..figures.publish import publish
    from ..studies.interference import law as study

    # the two by which the sentence is written, and GRPO, are always predicted
    chosen = dict.fromkeys((*(names or registered.names("two_class")), "grpo", "hard_focused", "easy_focused"))
    least = {n: max(registered.get(n).min_size, registered.get(n).params.get("k", 1)) for n in chosen}
    usable = [n for n in chosen if least[n] <= group_size]
    for name in names:
        if name not in usable:
            raise InputError(f"group-size must be at least {least[name]} for {name}, got {group_size}")
    for name in usable:
        if not registered.get(name).two_class:
            raise InputError(f"estimators must see rewards only, {name!r} sees more: its F' is not defined")
    dataset = study.law(cell, seeds, usable, ks=ks, group_size=group_size, bases=bases)
    if bases is not None:
        dataset.attrs["cell"] = f"a given model, {cell.base.task}, {cell.optimizer}"
    dataset.attrs |= {"title": "The interference law at a base policy", "command": _command()}
    dataset.attrs["caption"] = figure.caption(dataset)
    publish(dataset, figure.draw(dataset), out / "law")
    console = Console()
    if not console.is_terminal:  # a pipe says 80 columns, in which numbers would be cut
        console = Console(width=1000)
    console.print(_table(dataset))
    for k in ks:
        console.print(figure.sentence(dataset, k), highlight=False, soft_wrap=True)
    console.print(f"{out / 'law.png'}, {out / 'law.nc'}, {out / 'law.md'}", highlight=False, soft_wrap=True)


def _table(dataset):
    """Slopes of every estimator, with an interval over seeds for the largest k; the others are in OUT/law.nc."""
    from rich.box import SIMPLE
    from rich.table import Table

    from ..figures.interference.law import over_seeds, sorted_by_slope

    ks, gain = dataset.k.values, dataset.attrs["gain"]
    title = (
        f"d pass@k held out / d training pass@1, predicted from {dataset.attrs['cell']}\n"
        f"95%: of pass@{ks[-1]}, over seeds; at +{gain:g}: points of pass@{ks[-1]} in linearised training, none if "
        "it gains less; nat: entropy, where it is followed"
    )
    table = Table(title=title, box=SIMPLE, padding=(0, 1, 0, 0), title_justify="left")
    table.add_column("estimator", no_wrap=True)
    for column in (*(f"k={k}" for k in ks), "95%", "", f"at +{gain:g}", "nat"):
        table.add_column(column, justify="right", no_wrap=True)
    for name in sorted_by_slope(dataset, int(ks[-1])):
        own = dataset.sel(estimator=name)
        slopes = own.slope.sel(split="held_out")
        interval = over_seeds(slopes.sel(k=ks[-1]))
        table.add_row(
            name,
            *(_signed(slopes.sel(k=k).mean()) for k in ks),
            _signed(interval.low),
            _signed(interval.high),
            _signed(100 * own.tangent.sel(k=ks[-1]).mean(skipna=False), 1),
            _signed(own.entropy_slope.mean()),
        )
    return table


def _signed(number, digits: int = 2) -> str:
    return "none" if math.isnan(number) else f"{float(number):+.{digits}f}"


def _bases(path: Path, cell, seeds: int):
    """The parameters in `path`, once for each seed."""
    import jax
    import jax.numpy as jnp

    from ..errors import InputError
    from ..storage import checkpoint
    from ..transformer import model

    if not hasattr(cell, "base"):
        raise InputError("model is a base model of the transformer; it needs the world transformer")
    if not path.is_file():
        raise InputError(
            f"model must be a file that `symtheory.storage.checkpoint.save` wrote, got {path}: no such file"
        )
    like = jax.eval_shape(lambda: model.init(jax.random.key(0), cell.base.model_config()))
    try:
        params = checkpoint.load(path, like)
    except InputError:
        b = cell.base
        raise InputError(
            f"model must hold the parameters of task {b.task} with layers {b.layers} and width {b.width}, {path} does "
            "not: name the task, layers and width that it was trained with"
        ) from None
    if not all(bool(jnp.isfinite(x).all()) for x in jax.tree.leaves(params)):
        raise InputError(f"model must hold finite parameters, {path} holds nan or infinity")
    return jax.tree.map(lambda x: jnp.broadcast_to(x, (seeds, *x.shape)), params)


def _write(path: Path, out: Path, cells: tuple[str, ...]) -> None:
    from ..studies.interference import files

    files.write_predictions(path, out / "cache", print, cells)
    print(f"predictions in {path}; commit them before `symtheory predict judge`")


def _noise(predictions: Path, path: Path, out: Path, cells: tuple[str, ...]) -> None:
    from ..studies.interference import files

    files.write_noise(predictions, path, out / "cache", print, cells)
    print(f"predictions in {path}; commit them before `symtheory predict judge`")


def _judge(path: Path, noise: Path, runs: Path, out: Path, cells: tuple[str, ...], slower: int) -> None:
    from ..figures.interference import agreement as figure
    from ..figures.publish import publish
    from ..studies.interference.files import read_runs, write_runs
    from ..studies.interference.judge import judge

    write_runs(path, runs, out / "cache", print, only=cells, slower=slower)
    dataset = judge(path, runs)
    dataset.attrs |= {"title": "The interference law, predicted and measured", "command": _command()}
    dataset.attrs["caption"] = figure.caption(dataset)
    if any(own.entropy.notnull().any() for own in read_runs(runs).values()):
        entropy = figure.table_of("entropy", judge(path, runs, of="entropy"))
        dataset.attrs["caption"] += f"\n\nEntropy, where it was followed:\n\n{entropy}"
    if noise.exists() and slower == 1:  # noise depends on learning rates
        noisy = figure.table_of("with noise", judge(path, runs, noise=noise))
        dataset.attrs["caption"] += (
            "\n\nThe fourth predictor, in the cells where it was asked and the seeds in which all four reach the "
            f"reading:\n\n{noisy}"
        )
    publish(dataset, figure.draw(dataset), out / "test")
    print(dataset.attrs["caption"])


def _angle(seeds, out: Path) -> None:
    from ..figures.interference import angle as figure
    from ..figures.publish import publish
    from ..studies.interference.angle import Angle, measured, predicted

    config = Angle()
    line, points = predicted(config), measured(config, seeds)
    dataset = points.rename(slope="measured", degrees="run_degrees").assign(predicted=line.slope)
    dataset.attrs |= {"title": "The angle that turns the order", "command": _command()}
    dataset.attrs["caption"] = figure.caption(line, points, config)
    publish(dataset, figure.draw(line, points, config), out / "angle")
    print(dataset.attrs["caption"])


def _command() -> str:
    import sys

    return " ".join(["symtheory", *sys.argv[1:]])
