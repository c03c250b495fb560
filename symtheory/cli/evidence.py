"""`symtheory evidence`: whether pass@k tables fit one set of samples, and the difficulty behind them."""

from pathlib import Path
from typing import Annotated, Literal

import tyro


def run(
    table: Annotated[Path | None, tyro.conf.Positional] = None,
    /,
    samples: int | None = None,
    rounding: float | None = None,
    questions: dict[str, int] = {},  # noqa: B006 (read only)
    base: str | None = None,
    unit: Literal["percent", "fraction"] | None = None,
    other_papers: bool = False,
    null: int = 0,
    format: Literal["text", "json"] = "text",
) -> None:
    """Test the rows of a pass@k table against every set of samples, and infer the difficulty behind them.

    Reads the tables that papers print: a column for each k (method, pass@1, pass@2, ...) or one value per line (columns
    dataset, method, k, pass_at_k_percent and optionally table, model, plus_minus), separated by commas, semicolons,
    tabs, | (markdown) or & (LaTeX), with or without percent signs.

    Examples to paste:

        $ symtheory evidence
        $ symtheory evidence table.csv --questions AMC23 40

    Args:
        table: file with a pass@k table, - for standard input; without it, tables 3 to 7 of arXiv:2602.05548.
        samples: samples per question; the largest k of each row if not given.
        rounding: half a unit of the last printed digit, in percentage points; as the table prints if not given.
        questions: questions per benchmark, as pairs such as AMC23 40, for the granularity of pass@k at k = samples.
        base: method from which success is transported to the others; one named Base... if not given.
        unit: whether the numbers are percent or fractions, if the table does not say.
        other_papers: test the tables of other papers that come with symtheory, in place of a file.
        null: simulate this many rows for each row of the table under five protocols, and say how far outside they lie.
        format: a text for reading, or JSON.
    """
    import json

    from rich.console import Console

    from .. import evidence
    from ..audit.files.spool import spooled
    from ..errors import InputError
    from ..evidence import tables
    from ..evidence.null import null as simulated

    if rounding is not None and not 0 <= rounding < 50:
        raise InputError(f"rounding must be a number of percentage points from 0 to 50, got {rounding:g}")
    if null < 0:
        raise InputError(f"null must be a number of simulated rows, at least 0, got {null}")
    if any(q < 1 for q in questions.values()):
        raise InputError(f"questions must be at least 1 for every benchmark, got {questions}")
    if other_papers and table is not None:
        raise InputError(f"table must not be given with --other-papers, got {str(table)!r}")
    notes: list[str] = []
    if table is None:
        rows = tables.other_papers() if other_papers else evidence.published()
    else:
        with spooled([table]) as (path,):
            rows, notes = evidence.read(path, unit)
    half = None if rounding is None else rounding / 100
    with Console(stderr=True).status(f"testing {len(rows)} rows"):
        found = {**evidence.evidence(rows, samples, half, questions, base), "notes": notes}
        if null:
            found["null"] = simulated(rows, null, samples, questions, half)
    if format == "json":
        print(json.dumps(found, indent=1, allow_nan=False))
    else:
        _show(found, questions)


def _show(found: dict, questions: dict[str, int]) -> None:
    import itertools

    from rich.box import SIMPLE
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console()
    if not console.is_terminal:
        console = Console(width=max(console.width, 100))
    for sentence in found["notes"]:
        console.print(escape(f"Note: {sentence}."), highlight=False)
    tested = [row for row in found["rows"] if row["distance"] is not None]
    for (title, dataset, model), rows in itertools.groupby(tested, lambda r: (r["table"], r["dataset"], r["model"])):
        table = Table(
            title=escape(" ".join(filter(None, (title, dataset, model)))),
            box=SIMPLE,
            title_justify="left",
            padding=(0, 1, 0, 0),
        )
        table.add_column("method", min_width=20 if any(row["transport"] for row in tested) else 27)
        for column in ("distance", "off grid", "never", "p10", "p50", "p90"):
            table.add_column(column, justify="right", no_wrap=True)
        for row in rows:
            table.add_row(*(escape(cell) for cell in _cells(row)))
        console.print(table)
    for sentence in _sentences(found, questions):
        console.print(escape(sentence), highlight=False)


def _cells(row: dict) -> list[str]:
    grid, quantiles = row["granularity"], row["difficulty"]["quantiles"]
    change = {str(pair["quantile"]): pair["trained"] - pair["base"] for pair in row["transport"] or ()}
    return [
        row["method"],
        f"{100 * row['distance']:.2f}{' ' if row['within_rounding'] else '*'}",
        "" if grid is None else f"{100 * grid['distance']:.2f}",
        f"{row['difficulty']['never']:.2f}",
        *(
            f"{quantiles[key]:.3f}" + (f" ({round(change[key], 3) + 0.0:+.3f})" if key in change else "")
            for key in ("0.1", "0.5", "0.9")
        ),
    ]


def _sentences(found: dict, questions: dict[str, int]) -> list[str]:
    """The findings that concern more than one row, one sentence each."""
    halves = sorted({row["rounding"] for row in found["rows"]})
    rounding = " or ".join(f"{100 * half:g}" for half in halves)
    lines = [
        f"{found['beyond_rounding']} of {found['tested']} rows are farther than rounding ({rounding} points) from "
        "the pass@k of any set of samples (marked *)."
    ]
    if found["beyond_rounding"]:
        lines.append(
            "One set of samples for all k cannot give such a row. Samples of their own for each k, or fewer for some "
            "questions, can (--null simulates them)."
        )
    if found["beyond_rounding"] and (far := found["farthest"]):
        where = ", ".join(filter(None, (far["table"], far["dataset"], far["method"])))
        lines.append(f"The farthest is {where}: {100 * far['distance']:.2f} points.")
    lines += _on_grid(found, questions)
    lines += [f"Identical at every k, {s['dataset']}: {', '.join(s['rows'])}." for s in found["identical"]]
    for c in found["conflicting"]:
        values = ", ".join(f"{table} {100 * v:.1f}" for table, v in c["values"].items())
        lines.append(f"Different values of one method, {c['dataset']}, {c['method']}, pass@{c['k']}: {values}.")
    lines += _null(found)
    lines.append(
        "distance and off grid are in points; p10, p50 and p90 are quantiles over questions of the success "
        "probability p in one smooth distribution that gives the row, and never its share of p below 0.0001."
    )
    if any(row["transport"] for row in found["rows"]):
        lines.append(
            f"In brackets, the change from the same quantile of {found['base']} (transport): the smallest movement of "
            "questions that explains both rows, since a table does not say which question is which."
        )
    single = sum(r["distance"] is None for r in found["rows"])
    if single:
        lines.append(f"{single} rows have a single k, which any set of samples can give; they are not in the table.")
    return lines


def _on_grid(found: dict, questions: dict[str, int]) -> list[str]:
    """What the number of questions says about the values."""
    lines = []
    off = [(r["rounding"], r["granularity"]) for r in found["rows"] if r["granularity"]]
    beyond = [g for half, g in off if g["distance"] > half + 1e-9]
    if beyond:
        runs = sorted({g["runs"] for g in beyond if g["runs"]})
        fit = f"with at least {', '.join(map(str, runs))} of them" if runs else "with more than 16 of them"
        lines.append(
            f"{len(beyond)} values of pass@k at k = samples are not a multiple of one question (off grid), as they are "
            f"when exactly k samples are drawn; those of more samples need not be, and the mean over runs can be one, "
            f"{fit}."
        )
    if questions and not off:
        lines.append("--questions has no effect: no row of these benchmarks has a pass@k at k = samples.")
    for row in found["rows"]:
        if single := row["single_draws"]:
            lines.append(
                f"{' '.join(filter(None, (row['dataset'], row['method'])))}: all values are multiples of 1/"
                f"{single['questions']}, as single draws of k samples give them, and not the estimator from more "
                f"samples (chance of it otherwise about {single['chance']:.1g})."
            )
    return lines


def _null(found: dict) -> list[str]:
    if "null" not in found:
        return []
    lines = ["How far outside rows would lie under other protocols, simulated from the difficulty of these rows:"]
    for p in found["null"]:
        error = f" +- {100 * p['standard_error']:.0f}"
        lines.append(
            f"  {p['protocol']}: {100 * p['beyond_rounding']:.0f}{error}% beyond rounding, distance median "
            f"{100 * p['median']:.2f}, p90 {100 * p['p90']:.2f} points ({p['meaning']})."
        )
    return lines
