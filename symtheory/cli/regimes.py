"""`symtheory regimes`: what people ask about training, answered in simulated runs with verdicts."""

from pathlib import Path


def run(run: bool = False, out: Path = Path("figures/regimes"), seeds: int = 20, figure: bool = False) -> int:
    """Answer what people ask about training by simulated runs, each statement with a verdict in every world.

    The statements are about clip-higher, bands of difficulty, removed prompts, random rewards and verifiers that err.
    They were committed with their margins before the runs.

    Examples to paste:

        $ symtheory regimes
        $ symtheory regimes --figure --out my_regimes

    Args:
        run: Train all arms again (some CPU minutes) in place of reading the committed effects of the seeds.
        out: Folder for the effects (`regimes.json`), the runs and the figure.
        seeds: Seeds of each arm, with `--run`.
        figure: Also draw the figure, from whichever effects are shown.
    """
    from ..claims import regimes as asked
    from ..figures.regimes.effects import CAPTION, draw
    from ..figures.style import write

    if run:
        found = _again(out, seeds)
    elif asked.EFFECTS.exists():
        found = asked.saved()
    else:
        print("No effects are published yet: `symtheory regimes --run` makes them.\n")
        found = {}
    cells = {world: asked.verdicts(own) for world, own in found.items()}
    for id, question in asked.questions().items():
        print(question["statement"])
        for world, own in cells.items():
            print(f"    {world}: {asked.told(own[id], question)}")
    if figure and cells:
        out.mkdir(parents=True, exist_ok=True)
        write(draw(cells), out / "regimes.png")
        (out / "regimes.md").write_text(CAPTION + "\n", encoding="utf-8")
        print(f"\n{out / 'regimes.png'}")
    return 0


def _again(out: Path, seeds: int):
    from ..claims import regimes as asked
    from ..storage import store, tiles
    from ..studies import regimes as study

    config = study.Config(seeds=seeds)
    tiles.prepare(out)
    found = {}
    for world in study.RATES:
        data = study.run(config, world, lambda arm, world=world: print(f"{world}: {arm}", flush=True))
        store.save(data, out / f"{world}.nc")
        found[world] = study.effects(data, asked.questions())
    asked.save(found, config, out / "regimes.json")
    return found
