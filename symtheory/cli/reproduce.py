"""`symtheory reproduce`: the paper's figures and tables, simulated and published side by side."""

from pathlib import Path
from typing import Literal


def run(
    only: tuple[str, ...] = (),
    preset: Literal["quick", "full"] = "quick",
    out: Path = Path("figures"),
    seeds: int | None = None,
    world: Literal["bandit", "tree"] = "bandit",
    verdicts: Path | None = None,
    pdf: bool = False,
) -> None:
    """Reproduce the paper's figures 2-10 and tables 1, 3-7 from simulations that start at published difficulty.

    Each figure becomes three files in OUT/PRESET: a picture as PNG, the numbers as NetCDF (open it with xarray), and
    a caption that says what was simulated, what is published, and whether the paper's ordering was found. Finished
    studies are kept in OUT/cache, so interrupted commands resume.

    Examples to paste:

        $ symtheory reproduce
        $ symtheory reproduce --only fig2 fig6 --world tree

    Args:
        only: Figures and tables to make, for instance: --only fig2 fig6 table3. All by default.
        preset: quick: 5 seeds, one setting, no verdicts. full: 20 seeds and 20 fresh ones, four settings, verdicts.
        out: Folder for the results.
        seeds: Seeds in each block, in place of the preset's.
        world: The simulator: whole trajectories (bandit), or paths that share prefixes (tree).
        verdicts: Also write the effects of every seed, from which verdicts are computed, to this JSON file.
        pdf: Also write each picture as PDF.
    """
    import json
    import os

    from rich.console import Console
    from rich.progress import Progress

    from ..claims.effects import recorded
    from ..figures.base import Runs, figures
    from ..figures.base import preset as preset_named
    from ..figures.publish import drawing, save
    from ..storage import store, tiles

    console = Console()
    chosen = figures(only)
    plan = preset_named(preset, seeds)
    tiles.prepare(out)
    folder = Path(out, preset if world == "bandit" else f"{preset}-{world}")
    options = f"--preset {preset}" + ("" if world == "bandit" else f" --world {world}")
    beside = max(1, (os.cpu_count() or 2) - 1) if len(chosen) > 3 else 0  # a process costs as much as three pictures
    with Progress(console=console) as progress:

        def bar(title: str, total: int):
            task = progress.add_task(title, total=total)
            return lambda done=1: progress.advance(task, done)

        cache = Path(out, "cache")
        runs = Runs(plan, cache, bar, world)
        drawn = bar("figures and tables", len(chosen))
        with drawing(cache, pdf, drawn, min(beside, 4)) as draw:
            for one in sorted(chosen, key=lambda figure: figure.study):  # first the figures that wait for no study
                dataset = one.result(runs)
                dataset.attrs.update(
                    title=one.title if world == "bandit" else f"{one.title}, on trees",
                    preset=preset,
                    command=f"symtheory reproduce {options} --only {one.name}",
                )
                save(dataset, folder / one.name)
                draw(one.module, folder / one.name)
        if verdicts is not None:
            command = f"symtheory reproduce {options}"
            record = recorded(runs.studies(), command)
            with store.replacing(verdicts) as partial:
                partial.write_text(json.dumps(record) + "\n")
    for one in chosen:
        console.print(f"{one.title}: {folder / one.name}.png, {'.pdf, ' if pdf else ''}.nc, .md", highlight=False)
    if not plan.confirm:
        console.print("Five seeds draw no verdicts; --preset full does.", highlight=False)
