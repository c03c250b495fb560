"""A labelled result as the four files that a reader gets: dataset, picture as PNG and PDF, and caption."""

from pathlib import Path

import xarray as xr
from matplotlib.figure import Figure

from ..storage import store
from .style import write


def publish(dataset: xr.Dataset, fig: Figure, path: Path) -> None:
    """Write PATH.nc, .png, .pdf and .md, each all or nothing.

    The caption comes from the attributes `title`, `caption` and `command` of the dataset.
    """
    store.save(dataset, path.with_suffix(".nc"))
    for suffix in (".png", ".pdf"):
        with store.replacing(path.with_suffix(suffix)) as partial:
            write(fig, partial)
    text = f"# {dataset.attrs['title']}\n\n{dataset.attrs['caption']}\n\nMade by `{dataset.attrs['command']}`.\n"
    with store.replacing(path.with_suffix(".md")) as partial:
        partial.write_text(text)
