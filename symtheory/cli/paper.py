"""`symtheory paper`: the article's numbers, tables and captions from saved results, and its PDF."""

import json
import sys
from pathlib import Path


def run(check: bool = False, prove: bool = False, out: Path | None = None) -> int:
    r"""Write what the article in `paper/` asks for into paper/generated, and build its PDF where TeX is installed.

    Numbers come from the ledger of claims and its verdicts, the checked theorems in paper/results, the committed
    captions in figures, the published tables and the estimators' code. The verdicts in those captions are renewed from
    the effects of seeds. Without TeX the inputs are written all the
    same, and the command says which Debian packages are missing.

    Examples to paste:

        $ symtheory paper --check

    Args:
        check: Write nothing. Exit status 1 if a generated input is stale, if a source asks for a value that no result
            gives, types a number by hand, or shows one without naming its command. Needs no TeX.
        prove: First derive and re-check every theorem again (minutes), and renew the theorems,
            certificates and claims in paper/results.
        out: Folder for main.pdf; the article's own by default.
    """

    from rich.console import Console

    from .. import paths
    from ..claims import published
    from ..errors import InputError
    from ..storage import store

    if check and (prove or out is not None):
        raise InputError("check writes nothing, so it goes with neither prove nor out")
    console = Console(highlight=False, soft_wrap=True)
    root = paths.checkout()
    if root is None:
        raise InputError("the article is not part of an installed package: run this in a clone of the repository")
    sys.path.insert(0, str(root))
    from paper.tools import build

    folder = root / "paper"
    if prove:
        from ..claims import report
        from ..theory import kept
        from ..theory.theorems import theorems
        from .prove import check_all

        rows = check_all(list(theorems()), fresh=True).values()
        with store.replacing(root / kept.PUBLISHED) as partial:
            partial.write_text(kept.as_text(kept.load()), encoding="utf-8")
        with store.replacing(folder / "results" / "theorems.json") as partial:
            partial.write_text(report.as_json(sorted(rows, key=lambda row: row.id)) + "\n", encoding="utf-8")
        with store.replacing(folder / "results" / "claims.json") as partial:
            text = json.dumps(published.claims_record(), indent=1, ensure_ascii=False)
            partial.write_text(text + "\n", encoding="utf-8")
    files = build.current_inputs(folder)
    if not check:
        build.write(folder, files)
        build.write_captions(root)
        with store.replacing(root / published.FILES) as partial:
            partial.write_text(json.dumps(published.digests(root), indent=0) + "\n", encoding="utf-8")
        console.print(f"{folder / 'generated'}: {len(files)} files")
    complaints = [*build.complaints(folder, files), *build.stale_captions(root), *published.changed_files(root)]
    for complaint in complaints:
        console.print(complaint, markup=False)
    if check or complaints:
        if not complaints:
            console.print(f"The article is current: {len(files)} generated files, no number typed by hand.")
        return int(bool(complaints))
    if not build.has_tex():
        console.print(
            f"No PDF: LaTeX is not installed. On Debian: apt-get install --no-install-recommends {build.DEBIAN}"
        )
        return 0
    pdf = (out or folder) / "main.pdf"
    with store.replacing(pdf) as partial:
        partial.write_bytes(build.pdf(folder))
    console.print(f"{pdf}")
    return 0
