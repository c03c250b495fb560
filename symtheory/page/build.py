"""Writes the explorable page: tables that the registry computes, packed into one HTML file with a script that draws.

The script in the page holds no formula of an estimator. What it shows of one is read from the tables made here: the
advantages A+ and A- by the number of correct rollouts, the expected slope F' by success and by the mean success of the
other prompts, and the place on the symmetry plane. It interpolates between their nodes, and integrates the mean field
of `symtheory.dynamics` for prompts with logits of their own.
"""

import base64
import html
import inspect
import json
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.resources import files

import jax
import jax.numpy as jnp
import numpy as np

from .. import estimators
from ..apps import difficulty as lab
from ..apps.plane import NAMED
from ..dynamics.expected import slope
from ..errors import InputError
from ..estimators import Estimator, two_outcome_batch
from ..estimators.plane import PLANE
from ..figures.style import MARKERS, look
from ..metrics.plane import place
from ..ops import numpy_ops
from ..studies.controlled import KS
from ..studies.phase_diagram import tilt_parameters
from ..worlds import make_bandit

SIZES = (2, 4, 8, 16, 32)
"""Group sizes of the page."""
SETTING = lab.Setting(sharing="independent", optimizer="sgd")
"""The world that the page integrates: prompts with logits of their own, SGD."""
OMEGAS = np.round(np.arange(0.05, 0.951, 0.05), 2)
"""Batch mean rewards that the page's slider can show."""
TILTS = np.linspace(-0.45, 0.45, 61)
"""Difficulty tilts of the plane's family."""
SIDES = np.array([-1.0, 1.0])
"""Asymmetries of the plane's family; its advantages are linear in between."""


def arc(nodes: int) -> np.ndarray:
    """Nodes in [0, 1] that lie closer together near both ends, as the expected slopes need it: (1 - cos t) / 2."""
    return (1 - np.cos(np.pi * np.linspace(0, 1, nodes))) / 2


SUCCESS, OTHERS = arc(65), arc(25)


def page(sizes: Sequence[int] = SIZES) -> str:
    """The page as one HTML document, for these group sizes.

    Args:
        sizes: group sizes G that the reader can choose; each costs some seconds of computing.

    Returns:
        HTML that holds its style, script and tables, and loads nothing.

    Raises:
        InputError: no size, or one below 2.
    """
    if not sizes or min(sizes) < 2:
        raise InputError(f"sizes must be group sizes of at least 2, got {tuple(sizes)}")
    with jax.enable_x64(True):
        header, values = tables(tuple(sizes))
    parts = {name: template(name) for name in ("page.css", "model.js", "page.js")}
    parts["header"] = json.dumps(header, separators=(",", ":")).replace("</", "<\\/")
    parts["values"] = base64.b64encode(values.astype("<f4").tobytes()).decode()
    document = template("page.html")
    for name, content in parts.items():
        document = document.replace(f"{{{{{name}}}}}", content)
    return document


def template(name: str) -> str:
    """A file of this folder."""
    return files("symtheory.page").joinpath(name).read_text(encoding="utf-8")


def tables(sizes: tuple[int, ...]) -> tuple[dict, np.ndarray]:
    """The header of the page's data, and all tables in one flat array; the header says where each begins."""
    packed: list[np.ndarray] = []
    begin = 0

    def put(table) -> int:
        nonlocal begin
        packed.append(np.ravel(np.asarray(table, float)))
        begin += packed[-1].size
        return begin - packed[-1].size

    header = {
        "sizes": sizes,
        "ks": KS,
        "omegas": OMEGAS.tolist(),
        "tilts": TILTS.tolist(),
        "success": len(SUCCESS),
        "others": len(OTHERS),
        "steps": SETTING.steps,
        "rate": lab.RATES[SETTING.sharing, SETTING.optimizer],
        "world": world(),
        "populations": [population(name) for name in lab.POPULATIONS],
        "estimators": [description(name) for name in two_class()],
        "plane": {size: {k: put(t) for k, t in family(size).items()} for size in sizes},
        "tables": {size: {n: {k: put(t) for k, t in rows.items()} for n, rows in registry(size)} for size in sizes},
    }
    return header, np.concatenate(packed)


def two_class() -> list[str]:
    """Registered estimators that give every correct rollout of a group one advantage, and every wrong one another."""
    return list(estimators.names("two_class"))


def world() -> dict:
    """Base logits of one prompt of success 1/2, correct trajectories first."""
    bandit = make_bandit(jax.random.key(0), [0.5], trajectories=SETTING.trajectories, correct=SETTING.correct)
    return {"logits": np.asarray(bandit.logits[0]).tolist(), "correct": SETTING.correct}


def population(name: str) -> dict:
    """A population of prompts: what lifts the logits of the correct trajectories of each to its base success."""
    success = lab.population(name, 0.0, SETTING.prompts)
    return {
        "name": name,
        "lift": np.log(success / (1 - success)).tolist(),
    }


def description(name: str) -> dict:
    """What the page says of an estimator, and how it draws it."""
    estimator, style = estimators.get(name), look(name)
    lines = [(inspect.getdoc(link) or link.__name__).splitlines()[0] for link in estimator.links]
    return {
        "name": name,
        "label": style["label"],
        "color": style["color"],
        "marker": MARKERS[style["linestyle"]],
        "source": html.escape(estimator.source, quote=False),
        "links": [html.escape(line, quote=False) for line in lines],
        "params": {key: value for key, value in estimator.params.items() if isinstance(value, int | float)},
        "beside": NAMED.get(name),
        "batch": of_batch(estimator),
    }


def of_batch(estimator: Estimator) -> bool:
    """Whether the advantages of a group depend on the rest of the batch."""
    return "batch_independence" not in estimator.laws


def registry(size: int) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
    """Name and tables of each estimator that is defined for groups of `size`.

    Tables: `advantages[w, K, 2]`, `place[w, 2]` and `slope[o, P]`, where w runs over `OMEGAS` and o over `OTHERS` if
    the estimator looks at the batch; otherwise both have one entry.
    """
    slopes = _slopes_without_batch(size)
    for name in two_class():
        estimator = estimators.get(name)
        omegas = OMEGAS if of_batch(estimator) else np.array([0.5])
        if defined(name, size):
            yield (
                name,
                {
                    "advantages": advantages(estimator, size, omegas[:, None]),
                    "place": np.array([place_or_nowhere(estimator, size, float(w)) for w in omegas]),
                    "slope": slopes[name] if name in slopes else slopes_in_batch(estimator, size),
                },
            )


@cache
def defined(name: str, size: int) -> bool:
    """Whether an estimator takes groups of this size."""
    try:
        advantages(estimators.get(name), size, np.array([[0.5]]))
    except InputError:
        return False
    return estimators.get(name).min_size <= size


def advantages(estimator: Estimator, size: int, omega: np.ndarray) -> np.ndarray:
    """A+ and A- for 0..G correct rollouts in a batch of mean reward `omega[..., 1]`: [..., G + 1, 2]."""
    op, rollouts = numpy_ops(), float(size * SETTING.prompts)
    correct = np.broadcast_to(np.arange(size + 1.0), (*omega.shape[:-1], size + 1))
    batch = two_outcome_batch(op, rollouts * omega[..., None], np.array(rollouts))
    return np.stack(estimator.two_outcomes(correct, np.full_like(correct, size), batch, op), axis=-1)


def place_or_nowhere(estimator: Estimator, size: int, omega: float) -> tuple[float, float]:
    """Position on the plane; NaN where all advantages are zero."""
    try:
        return place(estimator, size, omega)
    except InputError:
        return float("nan"), float("nan")


def _slopes_without_batch(size: int) -> dict[str, np.ndarray]:
    """F' over `SUCCESS` of every estimator that does not look at the batch, by one program."""
    names = [n for n in two_class() if defined(n, size) and not of_batch(estimators.get(n))]
    program = jax.jit(lambda p: [slope(estimators.get(name), size, p) for name in names])
    return dict(zip(names, map(np.asarray, program(jnp.asarray(SUCCESS))), strict=True))


def slopes_in_batch(estimator: Estimator, size: int) -> np.ndarray:
    """F' of a prompt of success P whose batch has 31 others of mean success o, [o, P]."""

    def of_first(others, success):
        return slope(estimator, size, jnp.append(jnp.full(SETTING.prompts - 1, others), success)[::-1])[0]

    over_success = jax.vmap(of_first, (None, 0))
    return np.asarray(jax.vmap(over_success, (0, None))(jnp.asarray(OTHERS), jnp.asarray(SUCCESS)))


def family(size: int) -> dict[str, np.ndarray]:
    """The same tables for the family of the plane: `advantages[tilt, side, K, 2]` and `slope[tilt, side, P]`."""
    parameters = tilt_parameters(TILTS, size)

    def of_member(tilt, asymmetry, success):
        return slope(PLANE.with_params(tilt=tilt, asymmetry=asymmetry), size, success)

    over_sides = jax.vmap(of_member, (None, 0, None))
    program = jax.jit(jax.vmap(over_sides, (0, None, None)))
    tilt, side = np.meshgrid(parameters, SIDES, indexing="ij")
    member = PLANE.with_params(tilt=tilt[..., None, None], asymmetry=side[..., None, None])
    return {
        "advantages": advantages(member, size, np.full((*tilt.shape, 1), 0.5)),
        "slope": np.asarray(program(jnp.asarray(parameters), jnp.asarray(SIDES), jnp.asarray(SUCCESS))),
    }
