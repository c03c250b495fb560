"""`symtheory plane`: the symmetry plane and what training does on it."""

from pathlib import Path


def run(out: Path = Path("figures"), points: int = 41, seeds: int = 16, pdf: bool = False) -> None:
    """Train an estimator at every point of the symmetry plane, and draw the phase diagram with all known estimators.

    Writes OUT/plane.nc (the numbers; open it with xarray), plane.png and plane.md (what it shows). Rows of the plane
    that are finished are kept in OUT/cache and not run again.

    Examples to paste:

        $ symtheory plane --points 11 --seeds 4

    Args:
        out: folder for the results.
        points: grid points along each axis.
        seeds: worlds, the same ones at every point.
        pdf: also write the picture as PDF.
    """
    from ..errors import InputError

    if points < 3 or seeds < 2:
        raise InputError(f"points must be at least 3 and seeds at least 2, got {points} and {seeds}")

    from rich.console import Console
    from rich.progress import Progress

    from ..figures.phase_diagram import draw
    from ..figures.publish import publish
    from ..storage import tiles
    from ..studies import phase_diagram as plane

    tiles.prepare(out)
    console = Console()
    with Progress(console=console) as progress:
        task = progress.add_task("rows of the plane", total=points)
        sweep = plane.Sweep(points=points, seeds=seeds)
        dataset = plane.run(sweep, out / "cache", lambda rows: progress.advance(task, rows))
    dataset.attrs.update(title="The symmetry plane", command="symtheory plane")
    publish(dataset, draw(dataset), out / "plane", pdf)
    console.print(f"{out / 'plane'}.png, {'.pdf, ' if pdf else ''}.nc, .md", highlight=False)
