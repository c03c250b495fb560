"""`symtheory replay`: the full GRPO update on a small transformer, compared with the theory."""

from pathlib import Path
from typing import Literal


def run(
    preset: Literal["ci", "cpu", "full", "gpu"] = "cpu",
    /,
    *,
    part: Literal["all", "training", "one-step"] = "all",
    out: Path = Path("results/replay"),
    verdicts: Path | None = None,
    estimators: tuple[str, ...] = (),
    seeds: int | None = None,
    steps: int | None = None,
    task: Literal["expression", "congruence", "addition"] | None = None,
    layers: int | None = None,
    width: int | None = None,
    pretraining: int | None = None,
    optimizer: Literal["adam", "sgd"] | None = None,
    learning_rate: float | None = None,
    mini_batches: int | None = None,
    epochs: int | None = None,
    aggregation: Literal["token-mean", "sequence-mean", "sequence-sum", "dr-grpo"] | None = None,
    clip_high: float | None = None,
    kl: float | None = None,
) -> None:
    """Train a small transformer with several estimators, and compare single steps with the theory.

    Results (NetCDF), figures and captions are written to OUT. Interrupted commands resume: finished parts are kept in
    OUT/cache, and the same command continues from the last checkpoint and ends with the same numbers.

    Examples to paste:

        $ symtheory replay ci
        $ symtheory replay cpu --part training --estimators grpo agrae

    Args:
        preset: ci (about a minute), cpu (about five minutes on two cores), full (over an hour on two cores: two blocks
            of 20 seeds, three optimiser settings, three model sizes, verdicts) or gpu (one large card).
        part: training runs (Figs. 2-5, 9, 10, Tables 3, 6, 7), single steps (Theorem 1), or both.
        out: folder of results.
        verdicts: JSON file for the effects behind the verdicts on the paper's claims; those of the other part stay.
        estimators: any registered estimators in place of the preset's; see `symtheory list`.
        seeds: number of seeds in a block, of the training runs and the single steps.
        steps: rollout batches of a training run.
        task: the transformer's task in the training runs.
        layers: blocks of the transformer in the training runs.
        width: its width, a multiple of 4 heads (8 in the preset gpu); it has about 12 layers width^2 parameters.
        pretraining: supervised steps that make its base model; with fewer of them more is left to learn.
        optimizer: of the training runs, in the preset's first setting.
        learning_rate: of the training runs, in the preset's first setting.
        mini_batches: optimiser steps in a pass over a rollout batch.
        epochs: passes over a rollout batch.
        aggregation: how token losses are averaged.
        clip_high: upper clip of the ratio is 1 + clip_high; DAPO has 0.28.
        kl: weight of the k3 divergence from the base policy.
    """
    import math
    import sys
    from dataclasses import replace

    from rich.console import Console

    from ..errors import InputError
    from ..storage import tiles
    from ..studies.transformer.presets import PRESETS

    base = _given(task=task, layers=layers, width=width, steps=pretraining)
    if part != "one-step" and seeds is not None and seeds < 2:
        raise InputError(f"seeds must be at least 2, since intervals are taken over seeds, got {seeds}")
    for name, value in _given(learning_rate=learning_rate, clip_high=clip_high, kl=kl).items():
        if not 0 <= value < math.inf:
            raise InputError(f"{name.replace('_', '-')} must be a finite number of at least 0, got {value:g}")
    size = PRESETS[preset]
    optimising = _given(optimizer=optimizer, learning_rate=learning_rate)
    update = optimising | _given(
        mini_batches=mini_batches, epochs=epochs, aggregation=aggregation, clip_high=clip_high, kl=kl
    )
    seeding = _given(seeds=seeds, estimators=estimators or None)
    settings = [
        replace(
            training,
            base=replace(training.base, **base),
            update=replace(training.update, **update),
            **_given(steps=steps),
            **seeding,
        )
        for training in (size.training[:1] if optimising else size.training)
    ]
    tiles.prepare(out)
    command = " ".join(["symtheory", *sys.argv[1:]])
    console = Console()
    with _progress(console) as report:
        trained = _train(settings, size, preset, out, command, report) if part != "one-step" else []
        stepped = _step(replace(size.one_step, **seeding), size, preset, out, command, report, part)
    for result in trained:
        console.print(_training_table(result))
    if trained:
        console.print(_verdict_table(trained))
    if stepped is not None:
        console.print(_step_table(stepped))
    if verdicts is not None:
        _record(trained, stepped, command, verdicts)
    console.print(f"results and figures in {out}")


def _train(settings, size, preset, out, command, report) -> list:
    """Results of every setting, published in `out`; the first also beside the simulators' predictions."""
    from ..figures import easy_focus
    from ..figures.publish import publish
    from ..figures.transformer import training as figure
    from ..figures.transformer import worlds
    from ..studies.transformer import twins
    from ..studies.transformer.base import setting
    from ..studies.transformer.training import training

    cache, results = out / "cache", []
    for i, config in enumerate(settings):
        options = {"runs_at_once": size.runs_at_once}
        trained = training(config, cache, report, seeds_at_once=size.seeds_at_once, **options)
        name = setting(config.update)
        trained.attrs.update(setting=name, command=command, preset=preset, title=f"Training a transformer ({name})")
        trained.attrs["caption"] = figure.caption(trained, config)
        results.append(trained)
        path = out / f"training-{preset}{f'-{i + 1}' if i else ''}"
        publish(trained, figure.draw(trained), path)
        if i == 0 and config.base.make_task().end is None:
            simulated = twins.simulated(config, cache, report, **options)
            simulated.attrs.update(command=command, title="The transformer's path and that of the simulators")
            simulated.attrs["caption"] = worlds.caption(trained, simulated)
            publish(simulated, worlds.draw(trained, simulated), out / f"worlds-{preset}")
    if len(settings[0].estimators) > 3 and "grpo" in settings[0].estimators:
        focused = figure.focused(results, settings)
        focused.attrs.update(command=command, title="The expected focus on easy prompts orders the estimators")
        publish(focused, easy_focus.draw(focused), out / f"focus-{preset}")
    return results


def _step(config, size, preset, out, command, report, part):
    """The result of single steps, published in `out`, or None if only training was asked for."""
    from ..figures.publish import publish
    from ..figures.transformer import one_step as figure
    from ..studies.transformer.steps import one_step

    if part == "training":
        return None
    stepped = one_step(config, out / "cache", report, runs_at_once=size.runs_at_once)
    stepped.attrs.update(command=command, preset=preset, title="One GRPO step and three predictions of it")
    stepped.attrs["caption"] = figure.caption(stepped)
    publish(stepped, figure.draw(stepped), out / f"one-step-{preset}")
    return stepped


def _record(trained: list, stepped, command: str, path: Path) -> None:
    """Put the effects into the JSON file at `path`, beside the settings that were not run now and their command."""
    import json

    from ..claims.effects import STEP_MEASURES, recorded
    from ..figures.transformer.study import as_study
    from ..storage import store

    record = json.loads(path.read_text()) if path.exists() else {"command": command, "settings": {}}
    studies = {result.setting: as_study(result) for result in trained}
    record["settings"] |= recorded(studies, command)["settings"]
    if stepped is not None:
        record["settings"] |= recorded({"single steps": stepped}, command, STEP_MEASURES)["settings"]
    for name in [*studies, *(["single steps"] if stepped is not None else [])]:
        record["settings"][name] |= {"command": command} if command != record["command"] else {}
    with store.replacing(path) as partial:
        partial.write_text(json.dumps(record) + "\n")


def _given(**options) -> dict:
    """The options that were given."""
    return {name: value for name, value in options.items() if value is not None}


def _progress(console):
    """A context that yields a `Report` function, drawn as bars with rollouts per second."""
    import contextlib
    import time

    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    @contextlib.contextmanager
    def shown():
        columns = (
            TextColumn("{task.description:>9}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=console) as progress:
            started = progress.add_task("compiling", total=None, rate="")
            bars: dict[str, int] = {}
            last = time.monotonic()

            def report(stage, done, total, rollouts):
                nonlocal last
                progress.update(started, visible=False)  # type: ignore[arg-type]
                if stage not in bars:
                    bars[stage] = progress.add_task(stage, total=total, rate="")
                now, before = time.monotonic(), last
                last = now
                rate = {"rate": f"{rollouts / (now - before):,.0f} rollouts/s"} if rollouts else {}
                progress.update(bars[stage], completed=done, **rate)  # type: ignore[arg-type]

            yield report

    return shown()


def _training_table(trained):
    from rich.table import Table

    from ..claims.effects import collapsed
    from ..figures.style import look
    from ..figures.transformer.study import as_study, mean_pass_at_k

    study = as_study(trained)
    cut = mean_pass_at_k(trained, 256, cut=True)
    last, seeds = int(trained.step[-1]), trained.sizes["seed"]
    table = Table(title=f"{trained.setting}: after {last} rollout batches, mean of {seeds} seeds")
    columns = ("train @1", "held-out @1", "@16", "@256", "@256 at T 0.6 top-p 0.95", "entropy", "greedy", "collapsed")
    table.add_column("policy")
    for name in columns:
        table.add_column(name, justify="right")
    fallen = collapsed(study).sum("seed")

    def row(label, estimator, record, count):
        now = study.isel(estimator=estimator, record=record).mean("seed")
        held_out = now.pass_at_k.sel(population="held-out")
        own = now.sel(population="train")
        numbers = [own.pass_at_k.sel(k=1), *(held_out.sel(k=k) for k in (1, 16, 256))]
        numbers += [cut.isel(estimator=estimator, step=record).mean("seed"), own.entropy, own.greedy]
        table.add_row(label, *(f"{float(x):.3f}" for x in numbers), count)

    row(look("base")["label"], 0, 0, "")
    for i, name in enumerate(trained.estimator.values):
        row(look(name)["label"], i, -1, f"{int(fallen[i])} of {seeds}")
    return table


def _verdict_table(trained: list):
    from rich.table import Table

    from ..figures.transformer.study import verdicts

    names = [result.setting for result in trained]
    table = Table("claim", *names, title="claims of arXiv:2602.05548, effects in their direction")
    found = [verdicts(result) for result in trained]
    for id in found[0]:
        table.add_row(id, *("\n".join(f"{r}: {cell.verdict}" for r, cell in cells[id].items()) for cells in found))
    return table


def _step_table(stepped):
    from rich.table import Table

    from ..figures.transformer.one_step import REGIME_HEADER, regime_rows

    table = Table(*REGIME_HEADER, title="one GRPO step: explained by Theorem 1 (T1) ..., see the caption")
    for row in regime_rows(stepped):
        table.add_row(*row)
    return table
