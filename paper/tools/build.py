r"""From results and sources to the files in `paper/generated`, and from there to a PDF where TeX is installed."""

import difflib
import shutil
import subprocess
import tempfile
from pathlib import Path

from symtheory.errors import InputError, no_such
from symtheory.theory.theorems import theorems

from . import captions, source
from .results import Results, load
from .tables import TABLES
from .values import values

PAPER = Path(__file__).parents[1]
"""The folder of the article's sources."""

DEBIAN = "latexmk lmodern texlive-latex-base texlive-latex-recommended"
"""Debian packages that build the PDF (`apt-get install --no-install-recommends`)."""


def inputs(sources: dict[str, str], results: Results) -> dict[str, str]:
    r"""Names and texts of the generated files: what the sources ask for by `\val`, `\gentable` and `\resultfigure`.

    Raises `InputError` where a source asks for something that no result gives.
    """
    known = values(results)
    figures = source.asked(sources, "resultfigure")
    keys = source.asked(sources, "val")
    for figure in figures:
        if f"caption.{figure}" not in known:
            raise no_such("figure", figure, results.captions)
        keys += [f"caption.{figure}", f"command.{figure}"]
    for key in keys:
        if key not in known:
            raise no_such("value", key, known)
    names = source.asked(sources, "gentable")
    for name in names:
        if name not in TABLES:
            raise no_such("table", name, TABLES)
    ledger = {claim.id for claim in results.claims} | set(theorems())
    for id in source.asked(sources, "prove"):
        if id not in ledger:
            raise no_such("theorem or claim", id, ledger)
    note = "% written by `symtheory paper`: do not edit\n"
    defined = "".join(rf"\setval{{{key}}}{{{known[key]}}}" + "\n" for key in sorted(set(keys)))
    return {"values.tex": note + defined} | {f"{name}.tex": note + TABLES[name](results) + "\n" for name in names}


def current_inputs(folder: Path) -> dict[str, str]:
    """`inputs` of the sources in `folder` and the results of its repository."""
    return inputs(source.read(folder), load(folder.parent))


def write(folder: Path, files: dict[str, str]) -> None:
    """Make `folder/generated` hold exactly these files."""
    generated = folder / "generated"
    generated.mkdir(exist_ok=True)
    for old in generated.glob("*.tex"):
        if old.name not in files:
            old.unlink()
    for name, text in files.items():
        (generated / name).write_text(text, encoding="utf-8")


def write_captions(root: Path) -> None:
    """Renew the verdicts below the committed pictures of a checkout."""
    for path, text in captions.current(root, load(root)).items():
        path.write_text(text, encoding="utf-8")


def stale_captions(root: Path) -> list[str]:
    """Committed captions whose verdicts are not what the effects of seeds give."""
    wanted = captions.current(root, load(root)).items()
    return [f"{path.relative_to(root)} is stale" for path, text in wanted if path.read_text(encoding="utf-8") != text]


def complaints(folder: Path, files: dict[str, str]) -> list[str]:
    """What keeps the article from being honest: stale inputs, numbers typed by hand, values without their command."""
    found = []
    generated = folder / "generated"
    for name in sorted({*files, *(p.name for p in generated.glob("*.tex"))}):
        path = generated / name
        committed = path.read_text(encoding="utf-8") if path.is_file() else ""
        if name not in files:
            found.append(f"generated/{name} is asked for by no source")
        elif committed != files[name]:
            found.append(f"generated/{name} is stale: {_first_difference(committed, files[name])}")
    for name, text in source.read(folder).items():
        found += [f"{name}:{line}: {n} is typed by hand; ask for it by \\val" for line, n in source.typed_numbers(text)]
        found += [f"{name}:{line}: no \\cmd in the paragraph {p!r}" for line, p in source.without_command(text)]
    return found


def _first_difference(old: str, new: str) -> str:
    changes = [line for line in difflib.ndiff(old.splitlines(), new.splitlines()) if line[0] in "+-"]
    return changes[0][:160] if changes else "the end of the file differs"


def pdf(folder: Path) -> bytes:
    """The article as a PDF, the same bytes for the same sources. Raises `InputError` with TeX's own complaint."""
    with tempfile.TemporaryDirectory() as scratch:
        command = ["latexmk", "-pdf", "-interaction=nonstopmode", "-halt-on-error", f"-outdir={scratch}", "main.tex"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace", check=False)
        result = Path(scratch, "main.pdf")
        if done.returncode or not result.is_file():
            raise InputError(f"LaTeX did not build the article: {_complaint(done.stdout + done.stderr)}")
        return result.read_bytes()


def _complaint(log: str) -> str:
    lines = log.splitlines()
    start = next((i for i, line in enumerate(lines) if line.startswith("!")), max(0, len(lines) - 5))
    return " ".join(line.strip() for line in lines[start : start + 5])


def has_tex() -> bool:
    """Whether the programs that build the PDF are installed."""
    return all(shutil.which(program) for program in ("latexmk", "pdflatex", "bibtex"))
