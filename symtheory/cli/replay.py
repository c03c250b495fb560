"""`symtheory replay`: the real GRPO update on a small transformer, held against the theory."""

from pathlib import Path
from typing import Literal


def run(
    preset: Literal["ci", "cpu", "gpu"] = "cpu",
    /,
    *,
    part: Literal["all", "training", "one-step"] = "all",
    out: Path = Path("results/replay"),
    verdicts: Path | None = None,
    estimators: tuple[str, ...] = (),
    seeds: int | None = None,
    first_seed: int | None = None,
    steps: int | None = None,
    task: Literal["expression", "congruence", "addition"] | None = None,
    optimizer: Literal["adam", "sgd"] | None = None,
    learning_rate: float | None = None,
    mini_batches: int | None = None,
    epochs: int | None = None,
    aggregation: Literal["token-mean", "sequence-mean", "sequence-sum", "dr-grpo"] | None = None,
    clip_high: float | None = None,
    kl: float | None = None,
) -> None:
    """Train a small transformer by GRPO under several estimators, and hold single steps against the theory.

    Results, figures and a table are written to `out`. What is finished is kept there: the same command after a stop
    or a kill goes on from the last checkpoint and ends with the same numbers.

    Args:
        preset: ci (about a minute), cpu (minutes on two cores) or gpu (one large card).
        part: training runs (Figs. 2-5, 9, 10, Table 3), single steps (Theorem 1), or both.
        out: folder of results.
        verdicts: file to which the verdicts on the paper's claims are written as JSON.
        estimators: any registered estimators in place of the preset's; see `symtheory list`.
        seeds: number of seeds of the training runs and the single steps.
        first_seed: first of the seeds.
        steps: rollout batches of a training run.
        task: what the transformer is asked in the training runs.
        optimizer: of the training runs.
        learning_rate: of the training runs.
        mini_batches: optimiser steps in a pass over a rollout batch.
        epochs: passes over a rollout batch.
        aggregation: how token losses are averaged.
        clip_high: upper clip of the ratio is 1 + clip_high; DAPO has 0.28.
        kl: weight of the k3 divergence from the base policy.
    """
    import json
    import sys
    from dataclasses import replace

    from rich.console import Console

    from ..experiments import replay, replay_verdicts, store, tiles
    from ..plotting import replay as figures
    from ..plotting.style import write

    size = replay.PRESETS[preset]
    update = {"optimizer": optimizer, "learning_rate": learning_rate, "mini_batches": mini_batches, "epochs": epochs}
    update |= {"aggregation": aggregation, "clip_high": clip_high, "kl": kl}
    seeding = {"seeds": seeds, "first_seed": first_seed, "estimators": estimators or None}
    training = replace(
        size.training,
        base=replace(size.training.base, **_given(task=task)),
        update=replace(size.training.update, **_given(**update)),
        **_given(steps=steps, **seeding),
    )
    one_step = replace(size.one_step, **_given(**seeding))
    tiles.prepare(out)
    command = " ".join(["symtheory", *sys.argv[1:]])
    console = Console()
    with _progress(console) as report:
        if part != "one-step":
            options = {"seeds_at_once": size.seeds_at_once, "runs_at_once": size.runs_at_once}
            trained = replay.training(training, out, report, **options)
            store.save(trained, out / f"training-{preset}.nc")
            write(figures.training(trained), out / f"training-{preset}.png")
            if training.base.make_task().end is None:
                theory = replay.tabular(training, out, report, runs_at_once=size.runs_at_once)
                store.save(theory, out / f"tabular-{preset}.nc")
                write(figures.tabular(trained, theory), out / f"tabular-{preset}.png")
            found = replay_verdicts.verdicts(trained, command)
        if part != "training":
            stepped = replay.one_step(one_step, out, report, runs_at_once=size.runs_at_once)
            store.save(stepped, out / f"one-step-{preset}.nc")
            write(figures.one_step(stepped), out / f"one-step-{preset}.png")
    if part != "one-step":
        console.print(_training_table(trained), _verdict_table(found))
        if verdicts is not None:
            with store.replacing(verdicts) as partial:
                partial.write_text(json.dumps(found, indent=2) + "\n")
    if part != "training":
        console.print(_step_table(stepped))
    console.print(f"results and figures in {out}")


def _given(**options) -> dict:
    """The options that were given."""
    return {name: value for name, value in options.items() if value is not None}


def _progress(console):
    """A context that yields the report function of `experiments.replay`, drawn as bars with rollouts per second."""
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

    from ..experiments.replay_verdicts import collapsed, entropy_path, mean_pass_at_k
    from ..plotting.style import look

    table = Table(title=f"after {int(trained.step[-1])} rollout batches, mean of {trained.sizes['seed']} seeds")
    for name in (
        "policy",
        "train @1",
        "held-out @1",
        "@16",
        "@256",
        "@256 at T 0.6 top-p 0.95",
        "entropy",
        "collapsed",
    ):
        table.add_column(name, justify="left" if name == "policy" else "right")
    held, cut = mean_pass_at_k(trained, [1, 16, 256]), mean_pass_at_k(trained, 256, cut=True)
    own, entropy, fallen = mean_pass_at_k(trained, 1, "train"), entropy_path(trained), collapsed(trained)

    def row(label, at, count):
        numbers = [x.isel(at).mean("seed").values for x in (own, held, cut, entropy)]
        flat = [float(numbers[0]), *numbers[1], float(numbers[2]), float(numbers[3])]
        table.add_row(label, *(f"{x:.3f}" for x in flat), count)

    row(look("base")["label"], {"estimator": 0, "step": 0}, "")
    for i, name in enumerate(trained.estimator.values):
        row(look(name)["label"], {"estimator": i, "step": -1}, str(int(fallen.sel(estimator=name).sum())))
    return table


def _verdict_table(found):
    from rich.table import Table

    table = Table("claim", "verdict", "effect and interval", "unit", title="claims of arXiv:2602.05548")
    for name, v in found.items():
        table.add_row(
            name, v["verdict"], f"{v['effect']:+.4f} [{v['interval'][0]:+.4f}, {v['interval'][1]:+.4f}]", v["unit"]
        )
    return table


def _step_table(stepped):
    from rich.table import Table

    subsets = ("all", "sampled", "unsampled")
    title = "one step: share of the squared change of log pi explained, mean over models and draws"
    table = Table("optimizer", "rate", "prompts", "prediction", *subsets, title=title)
    r2 = stepped.r2.mean([d for d in ("depth", "history", "estimator", "seed", "draw") if d in stepped.r2.dims])
    rates = stepped.learning_rate
    rates = rates.isel({d: 0 for d in rates.dims if d not in ("optimizer", "rate")})
    for optimizer in r2.optimizer.values:
        for rate in range(r2.sizes["rate"]):
            for batch in r2.batch.values:
                at = r2.sel(optimizer=optimizer, batch=batch).isel(rate=rate)
                lr = float(rates.sel(optimizer=optimizer).isel(rate=rate))
                for predictor in r2.predictor.values:
                    values = [f"{float(at.sel(predictor=predictor, subset=s)):.3f}" for s in subsets]
                    table.add_row(optimizer, f"{lr:g}", str(batch), predictor, *values)
    return table
