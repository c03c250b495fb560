"""`symtheory prove`: derive every theorem from the code, re-check its certificate, and show the ledger of claims."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import tyro

Format = Literal["table", "json", "md", "latex"]


def run(
    ids: tyro.conf.Positional[tuple[str, ...]] = (),
    /,
    format: Format = "table",
    derive: str | None = None,
    atlas: Path | None = None,
    experiments: bool = False,
    claims: bool = False,
    effects: bool = False,
    kernel: bool = False,
    fresh: bool = False,
) -> int:
    """Prove theorems about the estimators' code and judge the claims of the paper. Exit status 1 if a re-check fails.

    Certificates are kept in the user's cache by the hash of the code. Every run re-checks them, by a program that does
    not import the computer algebra. Verdicts of experiments are computed from the effects of every seed. Claims of this
    project (law_...) follow the paper's: theorems of the interference law, and the targets of its test.

    Examples to paste:

        $ symtheory prove group_symmetry
        $ symtheory prove --derive agrae
        $ symtheory prove --experiments

    Args:
        ids: Theorems or claims to check; all of them, and the published tables, if none is named.
        format: How to print: a table, JSON, Markdown or LaTeX.
        derive: Print the closed forms of one estimator instead: a registered name, or package.module:object, where
            the object is an Estimator, a link, or a tuple of links.
        atlas: Draw the theory atlas of all estimators to this file (png, pdf or svg) instead.
        experiments: Print the table of empirical claims (those in IDS, or all) and their verdicts in every world
            (Markdown) instead.
        claims: Print the table of claims that proofs settle, with their recorded verdicts (Markdown), instead.
        effects: Print every cell of the empirical claims with effect, interval, margin and published effect instead.
        kernel: Check the development in proofs/ with Coq's kernel instead, certificates included.
        fresh: Derive every theorem again, even if a certificate is kept.
    """
    if derive is not None:
        return _derive(derive, format)
    if atlas is not None:
        return _draw(atlas)
    if experiments or claims or effects:
        return _print_ledger(ids, experiments, claims, effects)
    if kernel:
        return _kernel()
    rows, *judged = _checked_rows(ids, fresh)
    rows += [] if ids else _published_rows(rows, *judged)
    _print_rows(rows, format)
    return int(any(not row.rechecked and not row.pending for row in rows))


def _kernel() -> int:
    from rich.console import Console

    from .. import paths
    from ..claims import published
    from ..theory import kernel

    console = Console(highlight=False, soft_wrap=True)
    failed = False
    for name, complaint in kernel.check():
        failed |= bool(complaint)
        console.print(f"{name}: {complaint or 'checked'}", markup=False)
    if root := paths.checkout():
        for complaint in published.changed_files(root):
            if complaint.startswith("proofs/"):
                failed = True
                console.print(complaint, markup=False)
    return int(failed)


def _published_rows(rows: list, findings: Mapping, law: Any) -> list:
    """Rows for what a checkout publishes: saved theorems and tables must be what was checked now."""
    from ..claims import published

    return published.rows(rows, findings, law)


def _print_ledger(ids: tuple[str, ...], experiments: bool, claims: bool, effects: bool) -> int:
    from ..claims.ledger import committed_figures, load_claims, load_findings
    from ..claims.report import effects_table, experiments_table, settled_table
    from ..errors import no_such

    known = {claim.id: claim for claim in load_claims()}
    for id in ids:
        if id not in known:
            raise no_such("claim", id, known)
    ledger = [known[id] for id in ids or known]
    tables = []
    if experiments:
        tables.append(experiments_table(ledger, load_findings(), committed_figures()))
    if claims:
        tables.append(settled_table(ledger))
    if effects:
        tables.append(effects_table(ledger, load_findings()))
    print("\n\n".join(tables))
    return 0


def _draw(path: Path) -> int:
    from ..errors import InputError
    from ..figures.atlas import draw
    from ..figures.style import write
    from ..theory.atlas import atlas

    if path.suffix not in (".png", ".pdf", ".svg"):
        raise InputError(f"atlas must name a .png, .pdf or .svg file, got {str(path)!r}")
    write(draw(atlas()), path)
    return 0


def _checked_rows(ids: tuple[str, ...], fresh: bool = False) -> tuple[list, Mapping, Any]:
    """Rows of the theorems and claims asked for, in the order of the ledger; findings by claim; the law's outcome.

    Theorems are checked in parallel.
    """
    from concurrent.futures import ThreadPoolExecutor
    from dataclasses import replace

    from ..claims import ledger, ours
    from ..errors import InputError, no_such
    from ..theory.theorems import theorems

    claims = {claim.id: claim for claim in (*ledger.load_claims(), *ours.our_claims())}
    targets = {target.id: target for target in ours.targets()}
    known = theorems()
    for id in ids:
        if id not in claims and id not in targets and id not in known:
            raise no_such("theorem or claim", id, [*claims, *targets, *known])
    wanted = ids or (*claims, *targets, *known)
    needed = [t for c in wanted if c in claims for t in claims[c].proof + claims[c].refuted_by]
    with ThreadPoolExecutor(1) as beside:  # this process has nothing to do while the others re-check
        law = beside.submit(ours.law_outcome) if any(id in targets for id in wanted) else None
        judged = beside.submit(ledger.load_findings)
        rows = check_all(list(dict.fromkeys([t for t in known if t in wanted] + needed)), fresh)
    test = law.result() if law is not None else None
    if law is not None:
        rows |= {id: ours.target_row(target, test) for id, target in targets.items() if id in wanted}
    try:
        findings, unread = judged.result(), ""
    except InputError as error:  # effects that cannot be read fail the claims that are measured, and no others
        findings, unread = {}, str(error)
    found = [rows[id] if id in rows else ledger.claim_row(claims[id], rows, findings) for id in wanted]
    if unread:
        found = [replace(r, pending=False, method=f"NOT RE-CHECKED: {unread}") if r.pending else r for r in found]
    return found, findings, test


def check_all(ids: list[str], fresh: bool = False) -> dict:
    """Re-check theorems in one process per core, with a progress bar on stderr; derive those without a certificate."""
    import multiprocessing
    import os
    import random
    import secrets
    from concurrent.futures import ProcessPoolExecutor, as_completed

    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from ..theory import kept

    rows, entries = {}, {} if fresh else kept.load()
    seed = secrets.randbelow(10**6)
    families = [id for id in ids if ":" in id]
    anew = set(ids) - set(random.sample(families, max(0, len(families) - ANEW)))
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("proving", total=len(ids))
        workers = min(os.cpu_count() or 1, max(1, len(ids) // 4))
        if workers == 1:
            results = ((id, _check(id, entries.get(id), seed, id in anew)) for id in ids)
            for id, (row, entry) in results:
                rows[id] = row
                entries |= {id: entry} if entry else {}
                progress.advance(task)
        else:
            os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # threads of small products wait for each other
            context = multiprocessing.get_context("spawn")  # a fork of a process in which jax has threads may hang
            with ProcessPoolExecutor(workers, context) as pool:
                jobs = {
                    pool.submit(_check, id, entries.get(id), seed, id in anew): id
                    for id in sorted(ids, key=_slow_first)
                }
                for job in as_completed(jobs):
                    rows[jobs[job]], entry = job.result()
                    entries |= {jobs[job]: entry} if entry else {}
                    progress.advance(task)
    if any(row.derived and row.rechecked for row in rows.values()):
        kept.save(entries)
    return rows


def _slow_first(id: str) -> bool:
    """Long derivations start first, so that no core waits for one at the end."""
    return not any(name in id for name in ("nemo", "passk", "lead", "released"))


ANEW = 8
"""Kept entries about single estimators that each run holds against a new derivation, drawn; of the others all are."""


def _check(id: str, entry: dict | None, seed: int, anew: bool = True) -> tuple:
    """The row of a theorem and, if it was derived now, the entry to keep.

    With `anew` a kept entry is held against what the theorem's derivation says now.
    """
    from dataclasses import replace

    from ..claims.ledger import theorem_row
    from ..theory import kept, proofs
    from ..theory.theorems import find

    theorem = find(id)
    if entry is not None:
        row = theorem_row(proofs.from_entry(theorem, entry, seed))
        why = ""
        if entry.get("digest") != kept.digest(entry):
            why = "the kept certificate was changed since it was written"
        if (entry["statement"], entry["source"]) != (theorem.statement, theorem.source):
            why = "the kept certificate is about another statement"
        elif anew and (changed := proofs.departures(entry, theorem)):
            why = f"the kept certificate has not the {' and '.join(changed)} that are derived now"
        if why:
            row = replace(row, verdict="not proved", rechecked=False, method=f"{row.method}; NOT RE-CHECKED: {why}")
        return row, None
    checked = proofs.check(theorem, seed)
    return theorem_row(checked), proofs.record(theorem, checked.proof) if checked.rechecked else None


def _print_rows(rows: list, format: Format) -> None:
    from ..claims import report

    if format != "table":
        print({"json": report.as_json, "md": report.as_markdown, "latex": report.as_latex}[format](rows))
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table("id", "verdict", "re-checked", "statement")
    colours = {
        "exact": "green",
        "met": "green",
        "fails": "red",
        "missed": "red",
        "holds when": "yellow",
        "not established": "yellow",
        "open": "dim",
    }
    for row in rows:
        verdict = f"[{colours.get(row.verdict, 'bold')}]{row.verdict}[/]"
        example = f"\n{escape(report.example(row)[1:])}" if row.counterexample else ""
        text = f"{escape(row.statement)}{example}\n[dim]{escape(row.source)} | {escape(row.method)}[/]"
        table.add_row(row.id.replace(":", ":\n"), verdict, report.mark(row), text)
    console = Console()
    console.print(table)
    checked = [row for row in rows if not row.pending]
    failed = [row.id for row in checked if not row.rechecked]
    console.print(f"{len(checked) - len(failed)} of {len(checked)} re-checked, {len(rows) - len(checked)} open.")
    console.print(report.summary(rows))
    if failed:
        console.print(f"[red]Not re-checked: {', '.join(failed)}[/]")


def _derive(target: str, format: Format) -> int:
    import json

    from ..claims import report
    from ..claims.ledger import theorem_row
    from ..estimators.loading import resolve
    from ..theory import derivation

    derived = derivation.derive(resolve(target))
    rows = [theorem_row(checked) for checked in derived.checked]
    texts = [(name, derivation.as_text(form)) for name, form in derived.forms]
    where = ["K right and F = G - K wrong rollouts of G"]
    where += [f"{symbol} = {float(value):g}" for symbol, value in derived.guards.items()]
    match format:
        case "json":
            forms = {
                name: {"text": text, "latex": derivation.as_tex(form)}
                for (name, text), (_, form) in zip(texts, derived.forms, strict=True)
            }
            content = {
                "estimator": derived.estimator.name,
                "where": where,
                "forms": forms,
                "theorems": json.loads(report.as_json(rows)),
            }
            print(json.dumps(content, indent=2, ensure_ascii=False))
        case "md":
            print(report.markdown_table(("quantity", derived.estimator.name), [(n, f"`{t}`") for n, t in texts]))
            print(f"\nwhere {'; '.join(where)}\n")
            print(report.as_markdown(rows))
        case "latex":
            cells = [(report.escape(n), f"${derivation.as_tex(form)}$") for n, form in derived.forms]
            print(report.latex_table(("quantity", derived.estimator.name), cells, "ll"))
            print(report.as_latex(rows))
        case "table":
            _print_derivation(derived.estimator.name, texts, where)
            _print_rows(rows, "table")
    return int(any(not row.rechecked for row in rows))


def _print_derivation(name: str, texts: list[tuple[str, str]], where: list[str]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table("quantity", name)
    for quantity, text in texts:
        table.add_row(quantity, escape(text))
    console = Console()
    console.print(table)
    console.print(f"where {'; '.join(where)}", highlight=False)
