"""The index of `symtheory explore`: seven cards, each with a picture of its app, what it is, and a question to try."""

import html
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from ..paths import notebooks

PICTURES = Path(__file__).parent / "pictures"


class Card(NamedTuple):
    """One app on the index."""

    name: str
    """of its notebook"""
    title: str
    sentence: str
    question: str


CARDS = (
    Card(
        "plane",
        "The symmetry plane",
        "Put an estimator anywhere between GRPO's neighbours and see its update, pass@k and entropy.",
        "At base success 0.1 a push against wrong answers hurts. At which success does it begin to help?",
    ),
    Card(
        "difficulty",
        "Easy and hard prompts",
        "Train several estimators on one population of prompts, published benchmarks included.",
        "Who leads at equal steps on AIME 2025, and is it still ahead where all have learnt equally much?",
    ),
    Card(
        "one_step",
        "One step",
        "One group of rollouts, its advantages, and what a step does to every behaviour.",
        "Under GRPO the logits of undrawn behaviours stay. Do their probabilities?",
    ),
    Card(
        "tree",
        "A reasoning tree",
        "Watch probability move through a tree in which rollouts share their beginnings.",
        "Many leaves are correct. How many of them are left after a hundred steps?",
    ),
    Card(
        "replay",
        "A real training, replayed",
        "Look at a saved training of the small transformer, record by record.",
        "Does pass@256 of GRPO end above or below its base model?",
    ),
    Card(
        "estimator",
        "Your own estimator",
        "Type five lines; get curves, a place on the plane, the laws it obeys and its closed forms.",
        "Can you write one that favours hard prompts and is symmetric in every group?",
    ),
    Card(
        "regimes",
        "Regimes of training",
        "A verifier that errs, groups drawn again, copies, stale rollouts, entropy bonus and KL, with exact curves.",
        "Dynamic sampling takes larger steps on hard prompts. Does it learn them with fewer rollouts?",
    ),
)


def page() -> str:
    """The index as one HTML document; a card leads to the folder of its name."""
    cards = "".join(
        f'<a class="card" href="{card.name}/">{picture(card.name)}<h2>{html.escape(card.title)}</h2>'
        f"<p>{html.escape(card.sentence)}</p><p class='ask'>{html.escape(card.question)}</p></a>"
        for card in CARDS
        if (notebooks() / f"{card.name}.py").exists()
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<link rel="icon" href="data:,"><title>symtheory explore</title><style>{STYLE}</style></head>'
        "<body><header><h1>Explore</h1>"
        "<p>What does a group-relative advantage really reward? Seven labs that answer while you move a slider. "
        "The first chart takes some seconds, while its program is compiled.</p>"
        f"</header><main>{cards}</main></body></html>\n"
    )


def picture(name: str) -> str:
    """The saved miniature of an app, an SVG that follows the colours of the page."""
    return (PICTURES / f"{name}.svg").read_text(encoding="utf-8")


def draw() -> dict[str, Callable[[], str]]:
    """How the miniatures are made; `python -m symtheory.apps.index` saves them again."""
    import numpy as np

    from .. import estimators
    from ..figures import tree_picture
    from ..metrics.plane import Position
    from . import difficulty, estimator, one_step, plane, regimes, replay, tree

    def of_difficulty():
        setting = difficulty.Setting()
        success = difficulty.population("AIME 2025, Qwen2.5-Math-7B", 0.0, setting.prompts)
        names = ("grpo", "positive_dominant", "hard_focused", "easy_focused", "negative_dominant")
        paths = difficulty.expected(setting, success, names, 0.01)
        return difficulty.gains(difficulty.gain(paths, "equal steps"), "held_out", "equal steps")

    def of_one_step():
        policy = one_step.policy(12, 0.8)
        correct = np.isin(np.arange(12), (1, 4, 7, 8))
        return one_step.changes(one_step.step(policy, correct, one_step.draw(2, policy, 8), "grpo", 0.2), "log_prob")

    def of_tree():
        data = tree_picture.run(tree_picture.Config(estimator="grpo", success=0.2, decoys=0.3, steps=120))
        return tree.tree(data.isel(step=60), "mass", tree.largest_leaf(data))

    def of_replay():
        with tempfile.TemporaryDirectory() as folder:
            result = replay.make(Path(folder), lambda *_: None)
        return replay.curves(result, "held_out", -1)

    def of_estimator():
        own = estimator.read(estimator.EXAMPLE)
        return plane.update_curves(plane.groups(own, 8), plane.groups(estimators.get("grpo"), 8))

    def of_regimes():
        setting = regimes.Setting(false_positive=0.1, false_negative=0.1, tries=4)
        return regimes.weight_chart(setting, regimes.curves(setting))

    return {
        "plane": lambda: plane.plane_map(Position(-0.45, 0.12), plane.places(8, 0.5)),
        "difficulty": of_difficulty,
        "one_step": of_one_step,
        "tree": of_tree,
        "replay": of_replay,
        "estimator": of_estimator,
        "regimes": of_regimes,
    }


STYLE = """
:root { color-scheme: light dark; --paper: #fdfcfa; --ink: #1b1b1d; --muted: #6a6870; --line: #dcd9d3; --field: #fff; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #15161a; --ink: #e9e7e2; --muted: #a09da6; --line: #3a3b42; --field: #1e1f25; }
}
body {
  margin: 0 auto; padding: 2rem clamp(1rem, 4vw, 3rem);
  max-width: 80rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.5 "Iowan Old Style", "Palatino Linotype", Palatino, "URW Palladio L", P052, Charter, Georgia, serif;
}
h1 { font-weight: 500; margin: 0; }
header p { max-width: 44rem; margin: 0.3rem 0 1.6rem; }
main { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 20rem), 1fr)); gap: 1.4rem; }
.card { display: block; color: inherit; text-decoration: none; border: 1px solid var(--line); border-radius: 8px;
  background: var(--field); padding: 1rem; --background: var(--field); }
.card:hover, .card:focus-visible { border-color: var(--ink); outline: none; }
.card svg { display: block; width: 100%; height: auto; aspect-ratio: 4 / 3; pointer-events: none; }
.card svg { font: 12px system-ui, sans-serif; }
h2 { font-size: 1.15rem; font-weight: 500; margin: 0.7rem 0 0.2rem; }
.card p { margin: 0 0 0.4rem; }
.ask { color: var(--muted); font-style: italic; }
"""


if __name__ == "__main__":
    PICTURES.mkdir(exist_ok=True)
    for name, make in draw().items():
        (PICTURES / f"{name}.svg").write_text(make() + "\n", encoding="utf-8")
