"""Rows of the ledger as text: JSON, Markdown or LaTeX."""

import json
from collections.abc import Iterable, Mapping, Sequence

from .judge import Cell, visible
from .ledger import MEASURED, WORLDS, Claim, Finding, Row, in_other_settings, sentence

FIELDS = ("id", "statement", "verdict", "source", "method", "rechecked")


def as_json(rows: Iterable[Row]) -> str:
    """A list of {"id", "statement", "verdict", "source", "method", "rechecked", "counterexample", "formulas"}."""
    content = [
        {**{f: getattr(row, f) for f in FIELDS}, "counterexample": dict(row.counterexample), "formulas": row.formulas}
        for row in rows
    ]
    return json.dumps(content, indent=2, ensure_ascii=False)


def as_markdown(rows: Iterable[Row]) -> str:
    """A table with the columns id, verdict, re-checked, statement (with counterexample), source and method."""
    return markdown_table(HEADER, [_cells(row) for row in rows])


def as_latex(rows: Iterable[Row]) -> str:
    """A longtable with the same columns."""
    return latex_table(HEADER, [[escape(cell) for cell in _cells(row)] for row in rows], "lllp{7cm}p{3cm}p{4cm}")


def experiments_table(
    claims: Iterable[Claim], findings: Mapping[str, Sequence[Finding]], captions: Sequence[str] = ()
) -> str:
    """Markdown: each empirical claim, its verdict in every world (a dash where no run judged it), where to see it.

    A cell has the verdict at equal step and, after a stroke, at matched budget; they are two questions. `captions` are
    the saved captions of figures, as paths below `figures` without suffix. The last column links, from the root of the
    repository, those that show the effects: the figure that the claim's name begins with, and the transformer's.
    """
    rows = []
    for claim in (c for c in claims if c.experiment):
        verdicts = {f.world: in_short(f) for f in findings.get(claim.id, ())}
        links = ", ".join(f"[{_link_name(path)}](figures/{path}.md)" for path in _shown_in(claim, captions))
        rows.append([claim.source, claim.paper, *(verdicts.get(world, "-") for world in WORLDS), links or "-"])
    return markdown_table(("where", "the paper says", "bandit", "tree", "transformer", "see"), rows)


def in_short(finding: Finding) -> str:
    """Verdict at equal step and, after a stroke, at matched budget."""
    return " / ".join(cell.verdict for cell in finding.cells.values())


def effects_table(claims: Iterable[Claim], findings: Mapping[str, Sequence[Finding]]) -> str:
    """Markdown: every cell of the first settings, a line for each part, with intervals, margin and published effect."""
    rows = []
    for claim in (c for c in claims if c.experiment):
        for finding in findings.get(claim.id, ()):
            for reading, cell in finding.cells.items():
                where = [claim.id, finding.world, finding.setting, reading]
                rows += [[*where, *line] for line in cell_lines(cell, finding.parts)]
    header = ("claim", "world", "setting", "reading", "verdict", "part", "effect", "95% interval", "d", "published")
    return markdown_table((*header, "d33", "n"), rows)


def cell_lines(cell: Cell, parts: Sequence[str]) -> list[list[str]]:
    """Verdict, part, effect, interval, margin, published effect, d33 and seeds of a cell, a line for each part.

    The line of the part that the verdict rests on has the verdict.
    """
    m, limit = cell.margin, visible(cell.margin)
    published = "-" if m.published is None else f"{m.published:+g} {m.unit}"
    told = cell.verdict + (f" ({cell.reason})" if cell.reason else "")
    return [
        [
            told if i == cell.blocking else "(other part)",
            parts[i],
            f"{p.mean:+.3g} {m.unit}",
            f"[{p.low:+.3g}, {p.high:+.3g}]",
            f"{m.size:g}",
            published,
            "-" if limit is None else f"{limit:.2g}",
            str(cell.seeds),
        ]
        for i, p in enumerate(cell.parts)
    ]


def verdicts_below(findings: Mapping[str, Sequence[Finding]]) -> dict[str, list[str]]:
    """The sentences on claims below each figure, by its name in `figures`, such as full/fig2."""
    found: dict[str, list[str]] = {}
    for world in WORLDS:
        for id in MEASURED:
            for finding in (f for f in findings.get(id, ()) if f.world == world):
                line = f"- {sentence(id, finding.cells)}{in_other_settings(finding.elsewhere)}"
                found.setdefault(_caption_of(id, world), []).append(line)
    return found


def _caption_of(id: str, world: str) -> str:
    """The caption that tells the verdict of a claim in a world."""
    if world == "replay":
        return f"replay/{'one-step' if MEASURED[id].figure == 'theorem1' else 'training'}-full"
    return f"{'full' if world == 'bandit' else 'full-tree'}/{MEASURED[id].figure}"


def _shown_in(claim: Claim, captions: Sequence[str]) -> list[str]:
    """Captions of the figure of a claim, then those of the transformer if it judges the claim."""
    figure = claim.id.partition("_")[0]
    replay = ("one-step" if figure == "theorem1" else "training") if "replay" in claim.experiment else "none"
    names = {path: path.rpartition("/")[2] for path in captions}
    return [p for p in captions if names[p] == figure] + [p for p in captions if p == f"replay/{replay}-full"]


def _link_name(path: str) -> str:
    """fig2 for full/fig2, tree for full-tree/fig2, transformer for the files of `symtheory replay full`."""
    folder, _, name = path.rpartition("/")
    return "transformer" if name.endswith("-full") else "tree" if folder.endswith("tree") else name


def settled_table(claims: Iterable[Claim]) -> str:
    """Markdown: each claim that proofs settle, its recorded verdict, what holds, and what derives the verdict again."""
    rows = [
        [c.source, c.paper, c.verdict, c.statement, f"`symtheory prove {c.id}`"] for c in claims if not c.experiment
    ]
    return markdown_table(("where", "the paper says", "verdict", "what holds", "see"), rows)


def summary(rows: Sequence[Row]) -> str:
    """How many theorems rest on each method, and how many were derived now."""
    from ..theory.recheck.program import METHODS

    counts = {m: sum(row.method.startswith(m) for row in rows) for m in METHODS}
    told = ", ".join(f"{m}: {n}" for m, n in counts.items() if n)
    derived = sum(row.derived for row in rows)
    kept = sum(counts.values()) - derived
    return f"{told or 'no theorem'}. {derived} derived now, {kept} from kept certificates; all re-checked now."


HEADER = ("id", "verdict", "re-checked", "statement", "source", "method")


def _cells(row: Row) -> list[str]:
    return [row.id, row.verdict, mark(row), row.statement + example(row), row.source, row.method]


def mark(row: Row) -> str:
    """yes, NO, or pending for an empirical claim that waits for an experiment."""
    return "pending" if row.pending else "yes" if row.rechecked else "NO"


def example(row: Row) -> str:
    """The counterexample as a sentence, or nothing."""
    text = ", ".join(f"{name} = {value}" for name, value in row.counterexample.items())
    return f" [{text}]" if text else ""


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [list(header), ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def latex_table(header: Sequence[str], rows: Iterable[Sequence[str]], columns: str) -> str:
    """A longtable; the cells must be LaTeX already."""
    body = [" & ".join(line) + r" \\" for line in rows]
    head = " & ".join(escape(name) for name in header) + r" \\ \hline"
    return "\n".join([rf"\begin{{longtable}}{{{columns}}}", head, *body, r"\end{longtable}"])


_SPECIAL = {
    "\\": r"\textbackslash{}",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    **{c: "\\" + c for c in "&%$#_{}"},
    "<": "$<$",
    ">": "$>$",
    "|": r"$|$",
}


def escape(text: str) -> str:
    """Plain text for LaTeX.

    >>> escape("sum |A| <= 2 G_0")
    'sum $|$A$|$ $<$= 2 G\\\\_0'
    """
    return "".join(_SPECIAL.get(c, c) for c in text)
