"""`symtheory plan`: what to change before the next run, and which differences an evaluation can show."""

from pathlib import Path
from typing import Annotated, Literal

import tyro


def run(
    source: Annotated[Path | None, tyro.conf.Positional] = None,
    /,
    success: tuple[float, ...] = (),
    measured: int | None = None,
    method: str | None = None,
    dataset: str | None = None,
    reward: str | None = None,
    last: int | None = None,
    group_size: int | None = None,
    group_sizes: tuple[int, ...] = (2, 4, 8, 16, 32, 64),
    rollouts: int | None = None,
    estimators: tuple[str, ...] = (),
    filter: tuple[float, float] = (0.2, 0.8),
    ks: tuple[int, ...] = (1, 16, 256),
    samples: int | None = None,
    questions: int | None = None,
    difference: float = 2.0,
    format: Literal["text", "json"] = "text",
    out: Path | None = None,
) -> None:
    """Plan the next run and its evaluation from how hard the questions are.

    For each group size and a fixed number of rollouts: the share of live groups (a correct and a wrong rollout), the
    expected gain of each estimator by difficulty, the signal to noise of a step, rollouts without signal, and what a
    filter or dynamic sampling changes; then the samples and questions that show a difference of pass@k, or a crossing.

    Examples to paste:

        $ symtheory plan --success 0.1 0.3 0.9
        $ symtheory plan rollouts.jsonl --group-sizes 8 16 --estimators grpo rloo

    Args:
        source: a rollout log, a pass@k table, or a file of pass rates (numbers; columns success, or correct and total;
            JSON lists of 0 and 1); - is standard input.
        success: success probabilities of the questions, in place of a source.
        measured: tries of each question behind the pass rates of a file.
        method: row of a pass@k table; the first if not given.
        dataset: benchmark of a pass@k table.
        reward: column of the reward of a log, as for audit.
        last: use this many of the last steps of a log.
        group_size: G of the present run; that of the log, else 8.
        group_sizes: other values of G to compare with it.
        rollouts: rollouts in a step; those of the log, else 1024.
        estimators: names; the first is the present one. Seven common ones if not given.
        filter: least and greatest success rate of the questions that a filter keeps.
        ks: attempts k of the evaluation; a crossing is between the first and the last.
        samples: samples per question of the evaluation; the largest k if not given.
        questions: questions of the evaluation; those of the source, else 500.
        difference: difference of pass@k that the evaluation should show, in percentage points.
        format: a text for reading, or JSON.
        out: write a picture (.png, .pdf, .svg).
    """
    import json

    from ..audit.files.spool import spooled
    from ..errors import InputError
    from ..plan.report import ESTIMATORS, plan
    from ..plan.source import from_file, from_success

    if (source is None) == (not success):
        raise InputError("source must be one of a file and --success, such as --success 0.1 0.3 0.9")
    if last is not None and last < 1:
        raise InputError(f"last must be at least 1 step, got {last}")
    if out is not None and out.suffix not in (".png", ".pdf", ".svg"):
        raise InputError(f"out must end in .png, .pdf or .svg, got {str(out)!r}")
    if source is None:
        found = from_success(success)
    else:
        with spooled([source]) as (path,):
            found = from_file(
                Path(path),
                measured=measured,
                method=method,
                dataset=dataset,
                reward=reward,
                group_size=group_size,
                last=last,
            )
    size = group_size or found.group_size or 8
    report = plan(
        found.population,
        group_size=size,
        group_sizes=group_sizes,
        rollouts=max(found.rollouts or 1024, size) if rollouts is None else rollouts,
        estimators=estimators or ESTIMATORS,
        keep=filter,
        ks=ks if found.row is None or ks != (1, 16, 256) else _ks_of(found.row.ks),
        samples=samples,
        questions=questions or found.questions,
        difference=difference / 100,
        others=found.others,
    )
    report = {"source": found.text, "notes": found.notes, **report}
    if out is not None:
        from ..figures.style import write
        from ..plan.picture import picture

        write(picture(report), out)
    if format == "json":
        print(json.dumps(report, indent=1, allow_nan=False))
    else:
        _show(report)


def _ks_of(ks) -> tuple[int, ...]:
    """First, middle and last k of a row."""
    return tuple(dict.fromkeys(int(ks[i]) for i in (0, len(ks) // 2, -1)))


def _show(report: dict) -> None:
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from ..plan.sentences import answer, percent
    from ..plan.tables import tables

    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=max(console.width, 110))
    rate = percent(report["population"]["success"], report["population"]["success_range"])
    console.print(escape(f"{_printable(report['source'])}: mean success {rate}."))
    for sentence in answer(report):
        console.print(escape(_printable(f"* {sentence}")))
    for title, columns, rows in tables(report):
        table = Table(title=escape(title), box=SIMPLE, title_justify="left", padding=(0, 1, 0, 0))
        for i, column in enumerate(columns):
            table.add_column(column, justify="right" if i else "left")
        for row in rows:
            table.add_row(*map(escape, row))
        console.print(table)
    for note in report["notes"]:
        console.print(escape(_printable(f"Note: {note}.")))


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text)
