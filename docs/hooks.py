"""Pages that are written while the site is built: the explorable page, theory, figures, API, commands."""

import html
import importlib
import inspect
import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent

from mkdocs.structure.files import File

import symtheory
from symtheory import cli
from symtheory.claims.ledger import committed_figures, load_claims, load_findings
from symtheory.claims.report import effects_table, experiments_table, markdown_table, settled_table
from symtheory.figures import captions
from symtheory.page.build import page as explorable_page
from symtheory.theory import kept, theorems
from symtheory.theory.proofs import FAMILIES, THEOREMS, record, statement_of

REPOSITORY = Path(__file__).parents[1]
sys.path.insert(0, str(REPOSITORY / "docs"))
import article  # noqa: E402  # neighbours of this file, which mkdocs loads by its path
import graph  # noqa: E402

HOW_TO = "How to"


def on_config(config):
    """Pages in docs/ that the navigation does not name become how-tos, so that writing one is enough."""
    named = set(re.findall(r"[\w/-]+\.md", json.dumps(config.nav)))
    rest = sorted(p.name for p in (REPOSITORY / "docs").glob("*.md") if p.name not in named)
    (section,) = (part[HOW_TO] for part in config.nav if HOW_TO in part)
    section += rest
    return config


def on_files(files, config):
    """Add the generated pages to the pages in docs/."""
    pages = {
        "symmetry-plane.html": explorable_page(),
        "paper.html": article.page(REPOSITORY / "paper"),
        "commands.md": commands_page(),
        "claims.md": claims_page(),
        "cite.md": cite_page(),
        "contributing.md": contributing_page(),
        **api_pages(),
        **theory_pages(certificates()),
        **figure_pages(),
    }
    for path, content in pages.items():
        files.append(File.generated(config, path, content=content))
    return files


def on_page_markdown(markdown, page, **_):
    """Links of docs/ into the repository: to figures as the site has them, to other files as their names."""
    if page.file.generated_by is not None:
        return markdown
    return re.sub(r"\[([^\]]*)\]\(\.\./(?!figures/)([^)]*)\)", r"\1 (`\2`)", markdown).replace(
        "](../figures/", "](figures/"
    )


# --- reference -------------------------------------------------------------------------------------------------------


def public_names() -> dict[str, list[str]]:
    """Package -> the names that it exports (`__all__`), for every package that exports some."""
    found = {"symtheory": list(symtheory.__all__)}
    for package in sorted(p.parent.name for p in Path(symtheory.__file__).parent.glob("*/__init__.py")):
        module = importlib.import_module(f"symtheory.{package}")
        if package != "cli" and getattr(module, "__all__", ()):
            found[f"symtheory.{package}"] = list(module.__all__)
    return found


def api_pages() -> dict[str, str]:
    """One page for each package with what it exports, and an index of them."""
    pages, rows = {}, []
    for package, names in public_names().items():
        module, page = importlib.import_module(package), package.rpartition(".")[2]
        told = first_paragraph(module)
        parts = [f"::: {where_defined(module, name)}\n    options:\n      heading_level: 2" for name in names]
        pages[f"api/{page}.md"] = f"# {package}\n\n{told}\n\n" + "\n\n".join(parts) + "\n"
        rows.append([f"[{package}]({page}.md)", told, ", ".join(f"`{name}`" for name in names)])
    pages["api/index.md"] = (
        "# API\n\nThe public names of each package. What is not here may change.\n\n"
        + markdown_table(("package", "what it is", "names"), rows)
    )
    return pages


def where_defined(module, name: str) -> str:
    """Full name under which the documentation finds an exported object."""
    thing = getattr(module, name)
    home = getattr(thing, "__module__", None)
    if isinstance(home, str) and home.startswith("symtheory") and hasattr(thing, "__name__"):
        return f"{home}.{thing.__name__}"
    return f"{thing.__name__ if inspect.ismodule(thing) else f'{module.__name__}.{name}'}"


def first_paragraph(thing) -> str:
    """The first paragraph of a docstring on one line."""
    return " ".join((inspect.getdoc(thing) or "").split("\n\n")[0].split())


def commands_page() -> str:
    """The commands with their arguments, from the docstrings that `--help` prints."""
    sections = []
    for name, run in sorted(cli.commands().items()):
        text, _, arguments = inspect.getdoc(run).replace("*", "\\*").partition("\nArgs:\n")
        items = re.sub(r"^    (\w+): ", r"- **\1**: ", arguments, flags=re.MULTILINE)
        items = re.sub(r"^        ", "  ", items, flags=re.MULTILINE)
        sections.append(f"## symtheory {name}\n\n{text}\n\n{items}\n")
    return "# Commands\n\nEvery command explains itself with `--help`.\n\n" + "\n".join(sections)


def cite_page() -> str:
    """CITATION.cff as it is, and as BibTeX."""
    cff = (REPOSITORY / "CITATION.cff").read_text(encoding="utf-8")
    title, version = (re.search(rf'^{key}: "?([^"\n]+)"?$', cff, re.MULTILINE)[1] for key in ("title", "version"))
    names = re.findall(r"family-names: ([^,}]+), given-names: ([^,}]+)", cff)
    paper = re.search(r'^    title: "(.+)"$', cff, re.MULTILINE)[1]
    bibtex = f"""
        @software{{symtheory,
          title   = {{{title}}},
          author  = {{{{The symtheory developers}}}},
          version = {{{version}}},
          year    = {{2026}},
        }}

        @article{{yu2026unveiling,
          title   = {{{paper}}},
          author  = {{{" and ".join(f"{family}, {given}" for family, given in names)}}},
          journal = {{arXiv preprint arXiv:2602.05548}},
          year    = {{2026}},
        }}
    """
    return (
        "# How to cite\n\nCite the toolkit, and the paper whose theory it studies:\n\n"
        f"```bibtex\n{dedent(bibtex).strip()}\n```\n\n"
        f"The same as `CITATION.cff`, which reference managers read:\n\n```yaml\n{cff}```\n"
    )


def contributing_page() -> str:
    """CONTRIBUTING.md, whose recipes are the how-tos for an estimator, a world and a figure."""
    return (REPOSITORY / "CONTRIBUTING.md").read_text(encoding="utf-8").replace("](docs/", "](")


# --- theory ----------------------------------------------------------------------------------------------------------


def claims_page() -> str:
    """The ledger: claims that experiments judge, and claims that proofs settle."""
    claims = load_claims()
    measured = experiments_table(claims, load_findings(), committed_figures())
    settled = settled_table(claims)
    return f"# Claims\n\n## Judged by experiments\n\n{measured}\n\n## Settled by proofs\n\n{settled}\n"


def proved() -> dict[str, dict]:
    """Rows of the theorems by id, as `symtheory paper --prove` saved them."""
    rows = json.loads((REPOSITORY / "paper" / "results" / "theorems.json").read_text(encoding="utf-8"))
    return {row["id"]: row for row in rows}


def certificates() -> dict[str, dict]:
    """What is kept of each theorem, of a family for GRPO, to re-check it; derived now where the cache has none."""
    known, kept_before = theorems.theorems(), kept.load()
    wanted = [*THEOREMS, *(f"{family}:grpo" for family in FAMILIES)]
    entries = {id: kept_before[id] if id in kept_before else record(known[id], known[id].derive()) for id in wanted}
    kept.save(kept_before | entries)
    return entries


def theory_pages(entries: Mapping[str, dict]) -> dict[str, str]:
    """The graph, a page for each theorem and family of theorems, and one for each claim; `entries`: certificates."""
    theorems.theorems()  # registers all of them
    rows, claims, findings = proved(), load_claims(), load_findings()
    uses = {}
    for claim in claims:
        for id in claim.proof + claim.refuted_by:
            uses.setdefault(id.partition(":")[0], []).append(claim)
    statements = {id: (t.derive, t.statement, t.source) for id, t in THEOREMS.items()}
    statements |= {id: (function, statement_of(function), source) for id, (function, source) in FAMILIES.items()}
    pages = {
        f"theory/{id}.md": theorem_page(id, *about, rows, uses.get(id, []), entries) for id, about in statements.items()
    }
    pages |= {f"theory/claim-{c.id}.md": claim_page(c, findings.get(c.id, ()), rows) for c in claims}
    pages["theory/index.md"] = theory_index(statements, rows, claims, findings)
    return pages


def theory_index(statements, rows, claims, findings) -> str:
    statuses = {id: status(id, rows) for id in statements}
    cells = [[f"[{id}]({id}.md)", status(id, rows), graph.shown(told)] for id, (_, told, _) in statements.items()]
    return (
        "---\nhide: [navigation, toc]\n---\n# What rests on what\n\n"
        "Every name leads to its page, with the statement, its status, its certificate and the code that derives it. "
        "The statuses are those that `symtheory prove` derived when the article's results were last written; the tests "
        "derive each claim that proofs settle again.\n\n"
        "## Theorems\n\nA theorem stands to the right of those that it uses.\n\n"
        f'<div class="graph">{graph.draw_theorems(statuses)}</div>\n\n## Claims of the paper\n\n'
        "Theorems on the left, claims in the middle, the worlds that measured a claim on the right.\n\n"
        f'<div class="graph">{graph.draw(claims, findings, statuses)}</div>\n\n## All theorems\n\n'
        + markdown_table(("theorem", "status", "statement"), cells).replace("\\|", "|")  # bars stand in code only
    )


def status(id: str, rows) -> str:
    """The verdict of a theorem; for a family, how many estimators have each verdict."""
    own = [row["verdict"] for name, row in rows.items() if name.partition(":")[0] == id]
    counts = {verdict: own.count(verdict) for verdict in dict.fromkeys(own)}
    if not own:
        return "not in the saved results"
    return own[0] if len(own) == 1 else ", ".join(f"{verdict}: {n}" for verdict, n in counts.items())


def theorem_page(id: str, function, statement: str, source: str, rows, claims, entries) -> str:
    """Statement, status, what it uses and what uses it, certificate, code."""
    own = {name: row for name, row in rows.items() if name.partition(":")[0] == id}
    lines = [f"# {id}", graph.shown(statement), f"**Status**: {status(id, rows)}. **Source**: {source}."]
    if id in own:
        row = own[id]
        lines.append(
            f"**How it is certified**: {graph.shown(row['method'])}; re-checked: {'yes' if row['rechecked'] else 'no'}."
        )
        if row["counterexample"]:
            lines.append("**Counterexample**: " + ", ".join(f"`{k} = {v}`" for k, v in row["counterexample"].items()))
    elif own:
        cells = [[n.partition(":")[2], r["verdict"], graph.shown(r["method"])] for n, r in own.items()]
        lines.append(markdown_table(("estimator", "verdict", "how it is certified"), cells))
    used, figure = graph.declared()["uses"], graph.declared()["figures"].get(id)
    links = {
        "Uses": [f"[{other}]({other}.md)" for other in used.get(id, ())],
        "Used by": [f"[{other}]({other}.md)" for other, its in used.items() if id in its],
        "Claims that rest on it": [f"[{c.id}](claim-{c.id}.md)" for c in claims],
    }
    lines += [f"**{title}**: {', '.join(them)}." for title, them in links.items() if them]
    if figure:
        drawn = (REPOSITORY / "figures" / f"{figure}.png").exists()
        shown = f"![{figure}](../figures/{figure}.png)" if drawn else f"Figure: {figure}"
        lines.append(f"[{shown}](../figures/{figure}.md)")
    example = next(iter(own), id)
    lines.append(f"Derive and re-check it:\n\n```bash\nsymtheory prove {example}\n```")
    entry = entries.get(id) or entries.get(f"{id}:grpo")
    if entry:
        lines += ["## The certificate", certificate(entry)]
    lines += ["## The derivation", f"```python\n{inspect.getsource(function).rstrip()}\n```"]
    return "\n\n".join(lines) + "\n"


def certificate(entry: Mapping) -> str:
    """What the re-check reads: formulas and polynomial identities as text, trials by name, and all of it as JSON."""
    about = f" of `{entry['id']}`" if ":" in entry["id"] else ""
    lines = [f"This is what the re-check{about} reads. It expands both sides and compares coefficients, without sympy."]
    for formula in entry["formulas"]:
        for part in formula["parts"] or [{}]:
            sides = f"\n    {part['left']}\n  = {part['right']}" if {"left", "right"} <= set(part) else ""
            lines.append(f"```text\n{formula['text']}    [{formula['method']}]{sides}\n```")
    for one in entry["certificates"]:
        terms = [f"({c}) * ({h})" for c, h in zip(one["cofactors"], one["hypotheses"], strict=True)]
        terms += [f"({one['square']})^2"] * (one["square"] != "0")
        told = f"# {one['meaning']}\n" if one["meaning"] else ""
        lines.append(f"```text\n{told}{one['claim']}\n  = {' + '.join(terms) or '0'}\n```")
    trials = ", ".join(dict.fromkeys(f"`{t['name']}`" for t in entry["trials"]))
    if trials:
        lines.append(f"Trials, run through the estimators' code: {trials}.")
    kept_text = json.dumps({k: v for k, v in entry.items() if k not in ("digest", "statement", "source")}, indent=1)
    lines.append(f"<details markdown><summary>All of it</summary>\n\n```json\n{kept_text}\n```\n\n</details>")
    return "\n\n".join(lines)


def claim_page(claim, findings, rows) -> str:
    """What the paper says, what holds, on which theorems or measurements it rests."""
    lines = [f"# {claim.id}", f"**The paper says** ({claim.source}): {graph.shown(claim.paper)}"]
    lines.append(
        f"**What holds**: {graph.shown(claim.statement)}" + (f" Holds when {claim.when}." if claim.when else "")
    )
    if not claim.experiment:
        lines.append(f"**Status**: {claim.verdict}.")
        for title, ids in (("Rests on", claim.proof), ("Contradicted by", claim.refuted_by)):
            if ids:
                links = (
                    f"[{id}]({id.partition(':')[0]}.md) ({rows.get(id, {}).get('verdict', 'not saved')})" for id in ids
                )
                lines.append(f"**{title}**: {', '.join(links)}.")
    else:
        measured = effects_table([claim], {claim.id: findings}) if findings else "No world has measured it yet."
        lines.append(measured)
        figure = claim.id.partition("_")[0]
        shown = [p for p in committed_figures() if p.rpartition("/")[2] == figure]
        if shown:
            lines.append("**Figures**: " + ", ".join(f"[{p}](../figures/{p}.md)" for p in shown) + ".")
    lines.append(f"Derive the verdict again:\n\n```bash\nsymtheory prove {claim.id}\n```")
    return "\n\n".join(lines) + "\n"


# --- figures ---------------------------------------------------------------------------------------------------------


def figure_pages() -> dict[str, str | bytes]:
    """The captions of figures/, each with its picture where that is in the repository, and the gallery of all."""
    pages, cards, words = {}, [], []
    for name in committed_figures():
        caption = REPOSITORY / "figures" / f"{name}.md"
        place, picture = f"figures/{name}", caption.with_suffix(".png")
        content, title = caption.read_text(encoding="utf-8"), captions.read(caption).title
        if picture.exists():
            content += f"\n![{html.escape(title)}]({picture.name})\n"
            pages[f"{place}.png"] = picture.read_bytes()
            cards.append(f"[![{html.escape(title)}]({name}.png) {title}]({name}.md)")
        else:
            words.append(f"- [{name}: {title}]({name}.md)")
        pages[f"{place}.md"] = content
    pages["figures/index.md"] = (
        "# Gallery\n\nEvery published figure, with its caption and the command that makes it. `symtheory gallery` "
        'writes the same as one page.\n\n<div class="cards" markdown>\n\n' + "\n\n".join(cards) + "\n\n</div>\n\n"
        "## Captions and tables whose picture a command draws\n\n" + "\n".join(words) + "\n"
    )
    return pages
