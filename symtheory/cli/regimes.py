"""`symtheory regimes`: questions about clipping, filters and rewards, answered by simulated runs with verdicts."""

from dataclasses import asdict, replace
from pathlib import Path

from ..errors import InputError


def run(
    run: bool = False,
    fresh: bool = False,
    out: Path = Path("figures/regimes"),
    seeds: int | None = None,
    figure: bool = False,
) -> int:
    """Print verdicts, from simulated runs, on statements that people discuss about training.

    The statements are about clip-higher, bands of difficulty, removed prompts, random rewards and verifiers that err.
    They were committed with their margins before the runs. "reversed" contradicts the statement: the effect has the
    other sign and is larger than the margin.

    Examples to paste:

        $ symtheory regimes
        $ symtheory regimes --figure --out my_regimes

    Args:
        run: Train all arms again (some CPU minutes) in place of reading the committed effects of the seeds.
        fresh: With `--run`: only the statements that the first 20 seeds left open, on the fresh seeds fixed for them.
        out: Folder for the effects (`regimes.json`, `regimes-fresh.json`), the runs and the figure.
        seeds: Seeds of each arm, with `--run`; if not given, those of the design.
        figure: Also draw the figure, from whichever effects are shown.
    """
    from ..claims import regimes as asked
    from ..figures import captions
    from ..figures.regimes.effects import CAPTION, draw
    from ..figures.style import write

    if not run and (fresh or seeds is not None):
        raise InputError(f"{'fresh' if fresh else 'seeds'} is about new runs: add --run")
    cells = asked.published() if not run else _fresh_again(out, seeds) if fresh else _again(out, seeds)
    for id, question in asked.questions().items():
        told = [f"    {world}: {asked.told(own[id], question)}" for world, own in cells.items() if id in own]
        print(*[question["statement"], *told] if told else [], sep="\n", end="\n" if told else "")
    if figure:
        out.mkdir(parents=True, exist_ok=True)
        write(draw(cells), out / "regimes.png")
        command = f"symtheory regimes{' --run' * run}{' --fresh' * fresh} --figure"
        captions.write(out / "regimes.md", captions.Caption("Effects of regimes of training", CAPTION, command))
        print(f"\n{out / 'regimes.png'}")
    return 0


def _again(out: Path, seeds: int | None):
    """Verdicts of all statements from new runs of the first design."""
    from ..claims import regimes as asked
    from ..studies import regimes as study

    config = study.Config() if seeds is None else study.Config(seeds=seeds)
    found = {world: _trained(out, world, config, asked.questions()) for world in study.RATES}
    asked.save(
        found,
        {"command": "symtheory regimes --run", **asdict(config), "learning_rate": study.RATES},
        out / "regimes.json",
    )
    return {world: asked.verdicts(own) for world, own in found.items()}


def _fresh_again(out: Path, seeds: int | None):
    """Verdicts of the statements that the first seeds left open, from new runs of the design for them."""
    from ..claims import regimes as asked
    from ..studies import regimes as study
    from ..studies import regimes_transformer

    designs = asked.fresh_designs()
    if seeds is not None:
        designs = {world: {**design, "seeds": seeds} for world, design in designs.items()}
    found = {}
    for world, design in designs.items():
        if world == "transformer":
            config = replace(regimes_transformer.DESIGN, seeds=design["seeds"])
            found[world] = regimes_transformer.effects(config, out, lambda *done: None)
        else:
            config = study.Config(design["seeds"], design["first_seed"], arms=tuple(design["arms"]))
            found[world] = _trained(out, f"{world}-fresh", config, design["questions"], world)
    asked.save(found, {"command": "symtheory regimes --run --fresh", "design": designs}, out / "regimes-fresh.json")
    return {asked.fresh_name(world): asked.verdicts(own) for world, own in found.items()}


def _trained(out: Path, name: str, config, questions, world: str = ""):
    from ..storage import store, tiles
    from ..studies import regimes as study

    tiles.prepare(out)
    data = study.run(config, world or name, lambda arm: print(f"{name}: {arm}", flush=True))
    store.save(data, out / f"{name}.nc")
    return study.effects(data, questions)
