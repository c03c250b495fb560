"""`symtheory audit`: whether a log can be trusted, and what symmetry the training run has."""

from collections.abc import Sequence
from typing import Annotated, Literal

import tyro


def run(
    logs: Annotated[tuple[str, ...], tyro.conf.Positional],
    /,
    log_format: str | None = None,
    group_size: int | None = None,
    reward: str | None = None,
    success: str | None = None,
    columns: tuple[str, ...] = (),
    where: tuple[str, ...] = (),
    last: int | None = None,
    estimator: str = "grpo",
    against: tuple[str, ...] = (),
    fail_if: tuple[str, ...] = (),
    follow: bool = False,
    format: Literal["text", "json", "html"] = "text",
) -> int:
    """Audit the rollout log of a training run: whether it can be trusted, its symmetry, and its weight by difficulty.

    Reads what TRL, Unsloth, verl, NeMo-RL, ms-swift, slime, prime-rl, verifiers, open-instruct, SkyRL, AReaL, ROLL,
    rLLM, ART, tinker-cookbook, NeMo-Gym and Tunix leave on disk, and logs of your own: JSON in any arrangement, CSV and
    parquet, compressed or not, with a reward for each rollout under a common name. Nothing in a log is executed.

    Examples to paste:

        $ symtheory audit path/to/run
        $ symtheory audit rollouts.jsonl --fail-if 'dead > 0.6' --format html > audit.html

    Args:
        logs: files, folders, globs and pipes; - is standard input.
        log_format: name of the format, if it is not recognised.
        group_size: rollouts per prompt, where the log does not tell.
        reward: column of the reward, or a weighted sum such as correct+0.2*brevity.
        success: column that says whether a rollout solved its task.
        columns: column of a field, such as reward=total_reward prompt=group_idx step=run.iteration.
        where: rows to read, such as split=train.
        last: read only this many of the last steps.
        estimator: estimator assumed where the log has no advantages.
        against: other estimators to apply to the same log.
        fail_if: end with status 1 if this holds, such as 'dead > 0.6' or 'nan_advantages > 0'.
        follow: keep reading while the log grows, and print a line for each change; with --fail-if, end when it holds.
        format: a text for reading, JSON, or one HTML file with plots, on standard output.
    """
    import json

    from ..audit.files.spool import is_pipe, renamed, spooled
    from ..audit.trend import failing
    from ..errors import InputError

    if last is not None and last < 1:
        raise InputError(f"--last must be at least 1 step, got {last}")
    wishes = dict(
        log_format=log_format,
        group_size=group_size,
        reward=reward,
        success=success,
        columns=_pairs("columns", columns),
        where=_pairs("where", where),
    )

    if follow and any(map(is_pipe, logs)):
        raise InputError("--follow must have files or folders that grow, got a pipe")
    if follow:
        return _follow(logs, lambda: _report(logs, wishes, last, estimator, against), fail_if)
    with spooled(logs) as paths:
        found = renamed(_report(paths, wishes, last, estimator, against), _others(paths, logs))
    failed = failing(fail_if, found)
    if format == "json":
        print(json.dumps(found, indent=1, allow_nan=False))
    elif format == "html":
        from ..figures.audit import page

        print(page(found))
    else:
        _show(found)
    return _end(failed)


def _others(paths: Sequence[str], given: Sequence[str]) -> dict[str, str]:
    """Copy -> the pipe that it is of."""
    return {copy: pipe for copy, pipe in zip(paths, given, strict=True) if copy != pipe}


def _report(logs: Sequence[str], wishes: dict, last: int | None, estimator: str, against: tuple[str, ...]) -> dict:
    from ..audit import audit, read
    from ..audit.watching import first_of_last

    first = None if last is None else first_of_last(read(logs, **wishes), last)
    return audit(read(logs, **wishes, first_step=first), estimator, against)


def _pairs(option: str, texts: tuple[str, ...]) -> dict[str, str]:
    from ..errors import InputError

    for text in texts:
        if not all(text.partition("=")[::2]):
            raise InputError(f"--{option} takes name=value, got {text!r}")
    return dict(text.split("=", 1) for text in texts)


def _end(failed: list[str]) -> int:
    import sys

    for condition in failed:
        print(f"symtheory: {condition}", file=sys.stderr)
    return 1 if failed else 0


def _follow(logs: tuple[str, ...], report, fail_if: tuple[str, ...]) -> int:
    """Audit again whenever the files have changed, and print the last step; ends when a condition holds."""
    import time

    from ..audit.tables import trust
    from ..audit.trend import failing
    from ..audit.watching import state
    from ..errors import InputError

    seen = told = None
    while True:
        now = state(logs)
        if now != seen:
            seen, begin = now, time.monotonic()
            try:
                found = report()
            except InputError as reason:
                if told is None:
                    print(_printable(f"waiting: {reason}"), flush=True)
                found, told = None, told or ""
            if found is not None:
                answer, sentences = trust(found)
                if (answer, sentences) != told:
                    print(_printable(f"can these numbers be trusted? {answer}"), flush=True)
                    for sentence in sentences:
                        print(_printable(f"  {sentence}"), flush=True)
                    told = (answer, sentences)
                print(_printable(_line(found)), flush=True)
                if failed := failing(fail_if, found):
                    return _end(failed)
            time.sleep(4 * (time.monotonic() - begin))
        time.sleep(1)


def _line(report: dict) -> str:
    last = report["per_step"][-1]
    numbers = {
        "dead": last["dead_fraction"],
        "success": last["success"],
        "asymmetry": last["group_asymmetry"],
        "entropy": last["entropy_per_token"],
    }
    shown = ", ".join(f"{name} {value:.3f}" for name, value in numbers.items() if value is not None)
    whole = f"dead {report['dead_fraction'] or 0:.3f}, {report['rollouts']} rollouts"
    return f"step {last['step']}: {shown}; whole run: {whole}"


def _show(report: dict) -> None:
    """The report on a terminal; text that comes from the log is printed without markup or control characters."""
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from ..audit.tables import headline, tables, trust

    console = Console(highlight=False)
    answer, sentences = trust(report)
    console.print(f"Can these numbers be trusted? {answer}", markup=False)
    for sentence in sentences:
        console.print(f"* {_printable(sentence)}", markup=False)
    console.print()
    console.print(_printable(headline(report)), markup=False)
    for found in tables(report):
        table = Table(box=SIMPLE, padding=(0, 1, 0, 0), show_header=any(found.columns))
        for i, column in enumerate(found.columns):
            table.add_column(column, justify="left" if i == 0 or not any(found.columns) else "right")
        for row in found.rows:
            table.add_row(*(escape(_printable(cell)) for cell in row))
        console.print(f"  {_printable(found.title)}", markup=False)
        console.print(table)
    for sentence in report["warnings"]:
        console.print(f"* {_printable(sentence)}", markup=False)


def _printable(text: str) -> str:
    """Without control characters, which could move the cursor or recolour the terminal."""
    return "".join(c if c.isprintable() else "?" for c in text)
