"""The gallery: every figure of a folder on one page, with its caption, its verdicts and the command that made it.

One HTML file that holds its pictures, loads nothing, runs no script, and follows the reader's light or dark.
"""

import base64
import html
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..claims.ledger import Claim, Finding, told
from ..claims.report import in_short
from ..errors import InputError
from . import captions

SKIPPED = ("cache", "gallery", "explore")
"""Folders inside the folder of figures that hold no figures."""


@dataclass(frozen=True)
class Entry:
    """One figure or table."""

    name: str
    """file name without suffix"""
    group: str
    """folder it lies in, relative to the folder of figures; "" for that folder itself"""
    title: str
    caption: str
    """Markdown, without title and command"""
    command: str
    picture: Path | None


def collect(folder: Path) -> list[Entry]:
    """Figures below `folder`: pictures (.png) and captions (.md) of one name, in reading order.

    What a caption file does not say is taken from the attributes of the dataset (.nc) beside it, if there is one.
    Raises `InputError` if there is none.
    """
    paths = {p.with_suffix("") for suffix in ("png", "md") for p in folder.rglob(f"*.{suffix}")}
    stems = [p for p in paths if p.name != "README" and not set(p.relative_to(folder).parts[:-1]) & set(SKIPPED)]
    if not stems:
        raise InputError(f"no figures (.png or .md) in {folder}; `symtheory reproduce` makes some")
    return sorted((_entry(stem, folder) for stem in stems), key=_reading_order)


def _reading_order(entry: Entry):
    letters, number = re.fullmatch(r"(.*?)(\d*)", entry.name).groups()  # type: ignore[union-attr]
    return entry.group, entry.picture is None, letters, int(number or 0)


def _entry(stem: Path, folder: Path) -> Entry:
    note, picture, dataset = (stem.with_name(f"{stem.name}.{suffix}") for suffix in ("md", "png", "nc"))
    title, caption, command = stem.name, "", ""
    if note.exists():
        found, caption, command = captions.read(note)
        title = found or title
    elif dataset.exists():
        from ..storage import store

        said = store.load(dataset).attrs
        title, caption, command = (str(said.get(k, v)) for k, v in (("title", title), ("caption", ""), ("command", "")))
    group = str(stem.parent.relative_to(folder)) if stem.parent != folder else ""
    return Entry(stem.name, group, title, caption, command, picture if picture.exists() else None)


def page(
    entries: Sequence[Entry],
    claims: Iterable[Claim],
    findings: Mapping[str, Sequence[Finding]],
    committed: Sequence[str],
) -> str:
    """The gallery as one HTML document. Published verdicts stand beside published figures (`committed`) only."""
    claims = list(claims)
    findings_of = {e: findings if f"{e.group}/{e.name}".strip("/") in committed else {} for e in entries}
    groups = list(dict.fromkeys(e.group for e in entries))
    parts = [_section(group, [e for e in entries if e.group == group], claims, findings_of) for group in groups]
    links = " · ".join(f'<a href="#{_anchor(g)}">{html.escape(g or "overview")}</a>' for g in groups)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>symtheory: gallery</title><style>{STYLE}</style></head><body><main>"
        "<h1>Figures of implicit advantage symmetry</h1>"
        '<p>Every figure with what it shows, what was found of the claims it tests ("Unveiling Implicit Advantage '
        'Symmetry", arXiv:2602.05548), and the command that makes it. Verdicts are at equal step and, after a stroke, '
        f"at matched budget.</p><nav>{links}</nav>{''.join(parts)}</main></body></html>\n"
    )


def _section(group: str, entries: Sequence[Entry], claims, findings_of) -> str:
    articles = "".join(_article(e, claims, findings_of[e]) for e in entries)
    return f'<section><h2 id="{_anchor(group)}">{html.escape(group or "overview")}</h2>{articles}</section>'


def _article(entry: Entry, claims: Sequence[Claim], findings: Mapping[str, Sequence[Finding]]) -> str:
    picture = ""
    if entry.picture is not None:
        data = base64.b64encode(entry.picture.read_bytes()).decode()
        alt = html.escape(alt_text(entry), quote=True)
        picture = f'<div class="wide"><img loading="lazy" alt="{alt}" src="data:image/png;base64,{data}"></div>'
    tested = [c for c in claims if c.id.startswith(entry.name + "_") and findings.get(c.id)]
    verdicts = "".join(f"<li>{html.escape(c.paper)} {' '.join(_badge(f) for f in findings[c.id])}</li>" for c in tested)
    verdicts = f'<ul class="verdicts">{verdicts}</ul>' if verdicts else ""
    body = to_html(entry.caption)
    words = f"<details><summary>What it shows</summary>{body}</details>" if len(entry.caption) > 500 else body
    command = f"<pre><code>{html.escape(entry.command)}</code></pre>" if entry.command else ""
    return f"<article><h3>{html.escape(entry.title)}</h3>{picture}{verdicts}{words}{command}</article>"


def _badge(finding: Finding) -> str:
    kind = finding.verdict.replace(" ", "-")
    return f'<span class="{kind}" title="{html.escape(told(finding))}">{finding.world}: {in_short(finding)}</span>'


def alt_text(entry: Entry) -> str:
    """The title and the first sentences of the caption."""
    first = re.sub(r"[*`]", "", entry.caption.split("\n\n")[0])
    return f"{entry.title}. {first}"[:400].strip()


def _anchor(group: str) -> str:
    return "g-" + re.sub(r"\W+", "-", group or "overview")


def to_html(text: str) -> str:
    """The Markdown of captions as HTML: paragraphs, lists, tables, bold, emphasis and code.

    >>> to_html("It is **supported**.")
    '<p>It is <strong>supported</strong>.</p>'
    """
    return "".join(_block(block) for block in re.split(r"\n\s*\n", text.strip()) if block)


def _block(block: str) -> str:
    lines = block.split("\n")
    if lines[0].startswith("|"):
        rows = [[c.strip() for c in line.strip().strip("|").split("|")] for line in lines]
        rows = [r for r in rows if not all(re.fullmatch(r":?-+:?", c) for c in r)]
        cells = ["".join(f"<td>{_inline(c)}</td>" for c in r) for r in rows]
        return f'<div class="wide"><table>{"".join(f"<tr>{c}</tr>" for c in cells)}</table></div>'
    if lines[0].startswith("- "):
        items = re.split(r"^- ", block, flags=re.MULTILINE)[1:]
        return f"<ul>{''.join(f'<li>{_inline(i.strip())}</li>' for i in items)}</ul>"
    return f"<p>{_inline(block)}</p>"


def _inline(text: str) -> str:
    text = html.escape(text, quote=False)
    text = re.sub(r"`([^`]+)`", r"<code>\1</code>", text)
    text = re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", text)
    return re.sub(r"\*(\S[^*]*)\*", r"<em>\1</em>", text)


STYLE = """
:root { color-scheme: light dark; --line: #8884; --paper: #fff; }
body { font: 1rem/1.5 system-ui, sans-serif; margin: 0; }
main { max-width: 72rem; margin: 0 auto; padding: 1rem; }
nav { margin: 1rem 0; }
article { border-top: 1px solid var(--line); padding: 1.2rem 0; }
img { display: block; max-width: 100%; height: auto; background: var(--paper); border-radius: 6px; padding: 6px; }
img { box-sizing: border-box; }
pre { overflow-x: auto; padding: 0.6rem; border: 1px solid var(--line); border-radius: 6px; }
.verdicts { padding-left: 1.2rem; }
.verdicts span { white-space: nowrap; border-radius: 4px; padding: 0 0.4em; margin-left: 0.4em; font-size: 0.85em; }
.verdicts span { display: inline-block; }
.supported { background: #0072b2; color: #fff; }
.reversed { background: #a84900; color: #fff; }
.no-effect { background: #595959; color: #fff; }
.inconclusive, .not-testable { border: 1px solid var(--line); }
.wide { overflow-x: auto; }
td { padding: 0.1rem 0.6rem; border-bottom: 1px solid var(--line); font-variant-numeric: tabular-nums; }
summary { cursor: pointer; }
@media (max-width: 500px) { h1 { font-size: 1.5rem; } img { max-width: none; width: 44rem; } }
@media (prefers-color-scheme: dark) { :root { --paper: #f4f4f4; } a { color: #8cc4ff; } }
"""
