"""Pages that are written while the site is built: one per public module, one per command, and the ledger of claims."""

import inspect
import pkgutil
import re
from pathlib import Path

from mkdocs.structure.files import File

import symtheory
from symtheory import cli
from symtheory.claims.ledger import committed_figures, load_claims, load_findings
from symtheory.claims.report import experiments_table, settled_table

REPOSITORY = Path(__file__).parents[1]
HIDDEN = ("symtheory.__main__", "symtheory.cli")


def on_files(files, config):
    """Add the generated pages to the pages in docs/."""
    for module, package in public_modules().items():
        files.append(File.generated(config, api_page(module, package), content=f"::: {module}\n"))
    files.append(File.generated(config, "commands.md", content=commands_page()))
    files.append(File.generated(config, "claims.md", content=claims_page()))
    for page in figure_pages(config):
        files.append(page)
    return files


def public_modules() -> dict[str, bool]:
    """Every module whose name has no leading underscore, and whether it is a package; commands have their own page."""
    found = {m.name: m.ispkg for m in pkgutil.walk_packages(symtheory.__path__, "symtheory.")}
    shown = {n: p for n, p in sorted(found.items()) if not n.startswith(HIDDEN) and "._" not in n}
    return {"symtheory": True, **shown}


def api_page(module: str, package: bool) -> str:
    """Where the page of a module lies; that of a package is the index of its folder."""
    path = Path("api", *module.split(".")[1:])
    return (path / "index.md" if package else path.with_name(f"{path.name}.md")).as_posix()


def commands_page() -> str:
    """The commands with their arguments, from the docstrings that `--help` prints."""
    sections = []
    for name, run in sorted(cli.commands().items()):
        text, _, arguments = inspect.getdoc(run).replace("*", "\\*").partition("\nArgs:\n")
        items = re.sub(r"^    (\w+): ", r"- **\1**: ", arguments, flags=re.MULTILINE)
        items = re.sub(r"^        ", "  ", items, flags=re.MULTILINE)
        sections.append(f"## symtheory {name}\n\n{text}\n\n{items}\n")
    return "# Commands\n\nEvery command explains itself with `--help`.\n\n" + "\n".join(sections)


def claims_page() -> str:
    """The ledger: claims that experiments judge, and claims that proofs settle."""
    claims = load_claims()
    measured = experiments_table(claims, load_findings(), committed_figures())
    settled = settled_table(claims)
    return f"# Claims\n\n## Judged by experiments\n\n{measured}\n\n## Settled by proofs\n\n{settled}\n"


def figure_pages(config) -> list[File]:
    """The captions of figures/, which the ledger links, each with its picture where that is in the repository."""
    pages = []
    for name in committed_figures():
        caption = REPOSITORY / "figures" / f"{name}.md"
        place, picture = caption.relative_to(REPOSITORY), caption.with_suffix(".png")
        content = caption.read_text(encoding="utf-8")
        if picture.exists():
            content += f"\n![{place.stem}]({picture.name})\n"
            pages.append(File.generated(config, str(place.with_suffix(".png")), content=picture.read_bytes()))
        pages.append(File.generated(config, str(place), content=content))
    return pages
