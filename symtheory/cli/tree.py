"""`symtheory tree`: pictures, predictions and search on the tree world."""

from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional


def run(
    what: Annotated[Literal["picture", "animate", "predict", "search"], Positional],
    out: Path = Path("figures/tree"),
    estimator: str = "grpo",
    depth: int = 4,
    branching: int = 3,
    steps: int = 60,
    step: int = 0,
    seeds: int = 20,
    seed: int = 0,
) -> None:
    """Draw a reasoning tree, predict how a step changes it, or compare sources of groups.

    Examples to paste:

        $ symtheory tree picture --estimator agrae
        $ symtheory tree predict

    Args:
        what: picture: a tree and its change in one step (PNG). animate: a tree over training (GIF). predict: how
            unsampled leaves move by shared prefix, predicted and measured (PNG). search: groups from independent
            rollouts, branching and MCTS (PNG; needs the extra `search`).
        out: Folder for the results; the numbers are saved beside each picture as NetCDF.
        estimator: Estimator that trains the tree of `picture` and `animate`.
        depth: Steps in a trajectory, for `picture` and `animate`.
        branching: Choices at each step, for `picture` and `animate`.
        steps: Training steps of `animate`.
        step: Training step that `picture` shows.
        seeds: Seeds of `search`.
        seed: Random seed.
    """
    from .. import InputError
    from ..figures import tree_picture, tree_prefix
    from ..figures import tree_picture as tree_steps
    from ..figures import tree_search as draw_search
    from ..figures.style import write
    from ..storage import store, tiles
    from ..studies import tree_prefix as tree_predict
    from ..studies import tree_search

    tiles.prepare(out)
    if what in ("picture", "animate"):
        count = steps if what == "animate" else step + 1
        if step < 0:
            raise InputError(f"step must be at least 0, got {step}")
        data = tree_steps.run(
            tree_steps.Config(estimator=estimator, depth=depth, branching=branching, steps=count, seed=seed)
        )
    elif what == "predict":
        data = tree_predict.run(tree_predict.Config(seed=seed))
    else:
        data = tree_search.run(tree_search.Config(seeds=seeds, first_seed=seed))
    store.save(data, out / f"{what}.nc")
    suffix = ".gif" if what == "animate" else ".png"
    with store.replacing(out / f"{what}{suffix}") as partial:
        if what == "animate":
            tree_picture.film(data, partial, every=max(1, steps // 60))
        else:
            fig = {"picture": lambda d: tree_picture.picture(d, step), "predict": tree_prefix.draw}.get(
                what, draw_search.draw
            )(data)
            write(fig, partial)
    print(f"{out / (what + suffix)}, {out / (what + '.nc')}")
