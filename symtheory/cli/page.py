"""`symtheory page`: the explorable page, one HTML file."""

from pathlib import Path


def run(out: Path = Path("symmetry-plane.html")) -> None:
    """Write the explorable page: the symmetry plane with every estimator, in one HTML file that needs no network.

    It opens from disk and from any static host. Drag an estimator and see its advantages, its expected update, and what
    training does to a population of prompts. Every number in it comes from tables that this code computes; they are
    kept in the user's cache until the code changes.

    Examples to paste:

        $ symtheory page --out plane.html

    Args:
        out: The file to write.
    """
    from ..errors import InputError
    from ..page.build import page
    from ..storage.store import replacing

    if out.is_dir():
        raise InputError(f"out must be the file to write, got the folder {str(out)!r}")
    document = page()
    with replacing(out) as partial:
        partial.write_text(document, encoding="utf-8")
    print(f"{out}: {len(document.encode()) / 1e6:.2f} MB; open it in a browser")
