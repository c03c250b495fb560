"""`symtheory gallery`: every figure on one page."""

from pathlib import Path


def run(figures: Path = Path("figures"), out: Path = Path("figures/gallery")) -> None:
    """Write one self-contained HTML page of all figures, with captions, verdicts and the commands that made them.

    The page is OUT/index.html; it holds its pictures and needs no network.

    Examples to paste:

        $ symtheory gallery --out my_gallery

    Args:
        figures: Folder in which `symtheory reproduce`, `plane` and others have written.
        out: Folder for the page.
    """
    from ..claims.ledger import committed_figures, load_claims, load_findings
    from ..figures import gallery
    from ..storage.store import replacing

    entries = gallery.collect(figures)
    document = gallery.page(entries, load_claims(), load_findings(), committed_figures())
    with replacing(out / "index.html") as partial:
        partial.write_text(document, encoding="utf-8")
    pictures = sum(e.picture is not None for e in entries)
    print(f"{out / 'index.html'}: {len(entries)} figures and tables, {pictures} pictures, {len(document) / 1e6:.1f} MB")
