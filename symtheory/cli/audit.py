"""`symtheory audit`: what symmetry a real training run has."""

from pathlib import Path
from typing import Annotated, Literal

import tyro


def run(
    log: Annotated[Path, tyro.conf.Positional],
    /,
    log_format: str | None = None,
    group_size: int | None = None,
    reward: str | None = None,
    estimator: str = "grpo",
    against: tuple[str, ...] = (),
    format: Literal["text", "json", "html"] = "text",
) -> None:
    """Audit the rollout log of a training run: its symmetry, its difficulty focus, its dead groups, its estimator.

    Reads what TRL (completions_*.parquet), verl (rollout_data_dir, with and without uid) and NeMo-RL
    (train_data_step*.jsonl) leave on disk, and a plain schema: JSONL or parquet with columns step, prompt_id, reward,
    and optionally rollout_id, advantage, length (tokens), logprob (sum over tokens). OpenRLHF leaves no rollouts.

    Args:
        log: a file or a folder; .jsonl may be gzipped.
        log_format: trl, verl, verl_legacy, nemo_rl or plain, if it is not recognised.
        group_size: rollouts per prompt, where the log does not tell.
        reward: column of the reward, or a weighted sum such as correct+0.2*brevity.
        estimator: estimator assumed where the log has no advantages.
        against: other estimators to apply to the same log.
        format: a text for reading, JSON, or one HTML file with plots, on standard output.
    """
    import json

    from ..audit import audit, read

    report = audit(read(log, log_format, group_size, reward), estimator, against)
    if format == "json":
        print(json.dumps(report, indent=1, allow_nan=False))
    elif format == "html":
        from ..figures.audit import page

        print(page(report))
    else:
        _show(report)


def _show(report: dict) -> None:
    """The report on a terminal; text that comes from the log is printed without markup or control characters."""
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from ..audit.tables import headline, tables

    console = Console(highlight=False)
    console.print(_printable(headline(report)), markup=False)
    for found in tables(report):
        table = Table(box=SIMPLE, padding=(0, 1, 0, 0), show_header=any(found.columns))
        for i, column in enumerate(found.columns):
            table.add_column(column, justify="left" if i == 0 or not any(found.columns) else "right")
        for row in found.rows:
            table.add_row(*(escape(_printable(cell)) for cell in row))
        console.print(table)
    for sentence in report["warnings"]:
        console.print(f"* {_printable(sentence)}", markup=False)


def _printable(text: str) -> str:
    """Without control characters, which could move the cursor or recolour the terminal."""
    return "".join(c if c.isprintable() else "?" for c in text)
