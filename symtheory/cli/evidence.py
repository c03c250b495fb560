"""`symtheory evidence`: what pass@k tables fit."""

from pathlib import Path
from typing import Annotated, Literal

import tyro


def run(
    table: Annotated[Path | None, tyro.conf.Positional] = None,
    /,
    samples: int | None = None,
    rounding: float = 0.05,
    questions: dict[str, int] = {},  # noqa: B006 (read only)
    base: str = "Base Model",
    format: Literal["text", "json"] = "text",
) -> None:
    """Test the rows of a pass@k table against every set of samples, and infer the difficulty behind them.

    Args:
        table: CSV file with columns dataset, method, k, pass_at_k_percent and optionally table, model, plus_minus;
            without it, tables 3 to 7 of arXiv:2602.05548.
        samples: samples per question; the largest k of each row if not given.
        rounding: half a unit of the last printed digit, in percentage points.
        questions: questions per benchmark, as pairs such as AMC23 40, for the granularity of pass@k at k = samples.
        base: method from which success is transported to the others.
        format: a text for reading, or JSON.
    """
    import json

    from ..errors import InputError
    from ..evidence import evidence, published, read_table
    from ..evidence.findings import QUESTIONS

    if not 0 <= rounding < 50:
        raise InputError(f"rounding must be a number of percentage points from 0 to 50, got {rounding:g}")
    if any(q < 1 for q in questions.values()):
        raise InputError(f"questions must be at least 1 for every benchmark, got {questions}")
    rows = published() if table is None else read_table(table)
    found = evidence(rows, samples, rounding / 100, {**QUESTIONS, **questions}, base)
    if format == "json":
        print(json.dumps(found, indent=1, allow_nan=False))
    else:
        _show(found)


def _show(found: dict) -> None:
    import itertools

    from rich.box import SIMPLE
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console()
    tested = [row for row in found["rows"] if row["distance"] is not None]
    for (title, dataset, model), rows in itertools.groupby(tested, lambda r: (r["table"], r["dataset"], r["model"])):
        table = Table(
            title=escape(" ".join(filter(None, (title, dataset, model)))),
            box=SIMPLE,
            title_justify="left",
            padding=(0, 1, 0, 0),
        )
        table.add_column("method", min_width=27)
        for column in ("distance", "off grid", "never", "p10", "p50", "p90"):
            table.add_column(column, justify="right")
        for row in rows:
            table.add_row(*(escape(cell) for cell in _cells(row)))
        console.print(table)
    for sentence in _sentences(found):
        console.print(escape(sentence), highlight=False)


def _cells(row: dict) -> list[str]:
    grid, quantiles = row["granularity"], row["difficulty"]["quantiles"]
    return [
        row["method"],
        f"{100 * row['distance']:.2f}{' ' if row['within_rounding'] else '*'}",
        "" if grid is None else f"{100 * grid['distance']:.2f}",
        f"{row['difficulty']['never']:.2f}",
        *(f"{quantiles[key]:.3f}" for key in ("0.1", "0.5", "0.9")),
    ]


def _sentences(found: dict) -> list[str]:
    """The findings that concern more than one row, one sentence each."""
    rounding = 100 * found["rounding"]
    lines = [
        f"{found['beyond_rounding']} of {found['tested']} rows are farther than rounding ({rounding:g} points) from "
        "the pass@k of any set of samples (marked *)."
    ]
    if far := found["farthest"]:
        where = ", ".join(filter(None, (far["table"], far["dataset"], far["method"])))
        lines.append(f"The farthest is {where}: {100 * far['distance']:.2f} points.")
    off = [r["granularity"] for r in found["rows"] if r["granularity"]]
    off = [g for g in off if 100 * g["distance"] > rounding + 1e-7]
    if off:
        runs = sorted({g["runs"] for g in off if g["runs"]})
        lines.append(
            f"{len(off)} values of pass@k at k = samples are not a multiple of one question (off grid); the mean "
            f"over runs can be, with at least {', '.join(map(str, runs))} of them."
        )
    lines += [f"Identical at every k, {s['dataset']}: {', '.join(s['rows'])}." for s in found["identical"]]
    for c in found["conflicting"]:
        values = ", ".join(f"{table} {100 * v:.1f}" for table, v in c["values"].items())
        lines.append(f"Different values of one method, {c['dataset']}, {c['method']}, pass@{c['k']}: {values}.")
    lines.append(
        "distance and off grid are in points; p10, p50 and p90 are quantiles over questions of the success "
        "probability p in one smooth distribution that gives the row, and never its share of p below 0.0001."
    )
    single = sum(r["distance"] is None for r in found["rows"])
    if single:
        lines.append(f"{single} rows have a single k, which any set of samples can give; they are not in the table.")
    return lines
