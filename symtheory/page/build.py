"""Writes the explorable page: tables that the registry computes, packed into one HTML file with a script that draws.

The script in the page holds no formula of an estimator. What it shows of one is read from the tables made here: the
advantages A+ and A- by the number of correct rollouts, the expected slope F' by success and by the mean success of the
other prompts (or, where the advantages are divided by their spread over the batch, F' and the spread before that), and
the place on the symmetry plane. It interpolates between their nodes, and integrates the mean field
of `symtheory.dynamics` for prompts with logits of their own. For prompts that share parameters it weighs, by F', what
a step on a hard and on an easy prompt does to held-out pass@k and to training pass@1 (`dynamics.interference`).
"""

import base64
import html
import inspect
import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.resources import files

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from .. import estimators, paths
from ..apps import difficulty as lab
from ..apps.plane import NAMED
from ..dynamics import interference
from ..dynamics.expected import slope, variance_before_whitening
from ..errors import InputError
from ..estimators import Estimator
from ..estimators.group import two_outcome_batch
from ..estimators.plane import PLANE
from ..figures.style import MARKERS, look
from ..metrics import expected_slope
from ..metrics.plane import place
from ..ops import numpy_ops
from ..storage import provenance, store
from ..studies.controlled import KS
from ..studies.interference import angle as conflict
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
CONFLICT = conflict.Angle()
"""The population of hard and easy prompts whose pulls on shared parameters meet at an angle."""
DEGREES = np.linspace(0, 180, 61)
"""Angles of the page's slider."""
FAMILY = "the plane's family"
SIDES = np.array([-1.0, 1.0])
"""Asymmetries of the plane's family; its advantages are linear in between."""


def arc(nodes: int) -> np.ndarray:
    """Nodes in [0, 1] that lie closer together near both ends, as the expected slopes need it: (1 - cos t) / 2."""
    return (1 - np.cos(np.pi * np.linspace(0, 1, nodes))) / 2


SUCCESS, OTHERS = arc(65), arc(33)


def page(sizes: Sequence[int] = SIZES) -> str:
    """The page as one HTML document, for these group sizes.

    Args:
        sizes: group sizes G that the reader can choose; each costs some seconds of computing the first time.

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
    begins, flat = pack({"": exchange()})
    packed, begin = [flat], flat.size
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
        "start": list(lab.POPULATIONS).index("MATH, Qwen2.5-Math-7B"),
        "populations": [population(name) for name in lab.POPULATIONS],
        "estimators": [description(name) for name in two_class()],
        "angle": angle() | begins[""],
        "plane": {},
        "tables": {},
    }
    for size in sizes:
        begins, flat = kept(size)
        moved = {name: {key: begin + at for key, at in rows.items()} for name, rows in begins.items()}
        header["plane"][size], header["tables"][size] = moved.pop(FAMILY), moved
        packed.append(flat)
        begin += flat.size
    return header, np.concatenate(packed)


def pack(rows: Mapping[str, Mapping[str, np.ndarray]]) -> tuple[dict[str, dict[str, int]], np.ndarray]:
    """Tables in one flat array, and where each begins in it.

    >>> pack({"one": {"a": np.zeros((2, 3)), "b": np.ones(1)}})
    ({'one': {'a': 0, 'b': 6}}, array([0., 0., 0., 0., 0., 0., 1.]))
    """
    arrays = [np.ravel(table) for tables in rows.values() for table in tables.values()]
    begins = iter(np.cumsum([0] + [a.size for a in arrays]).tolist())
    return {name: {key: next(begins) for key in tables} for name, tables in rows.items()}, np.concatenate(arrays)


def kept(size: int) -> tuple[dict[str, dict[str, int]], np.ndarray]:
    """`pack` of all tables for one group size, from the user's cache if this code has made them before."""

    def make() -> xr.Dataset:
        begins, flat = pack({FAMILY: family(size)} | dict(registry(size)))
        return xr.Dataset({"values": ("number", flat)}, attrs={"begins": json.dumps(begins)})

    chains = {name: estimators.get(name) for name in two_class()}
    links = [link for e in (PLANE, *chains.values()) for link in e.links]
    composed = {name: [[link.__name__ for link in e.links], repr(e.params)] for name, e in chains.items()}
    config = {"page": size, "estimators": composed, **provenance.made_by(registry, *links)}
    try:
        dataset = store.cached(paths.cache() / "page", "tables", config, make)
    except OSError:  # a cache that cannot be written
        dataset = make()
    return json.loads(dataset.attrs["begins"]), dataset["values"].values


def two_class() -> list[str]:
    """Registered estimators that give every correct rollout of a group one advantage, and every wrong one another."""
    return list(estimators.names("two_class"))


def world() -> dict:
    """Base logits of one prompt of success 1/2, correct trajectories first."""
    made = jax.jit(lambda key: make_bandit(key, [0.5], trajectories=SETTING.trajectories, correct=SETTING.correct))
    bandit = made(jax.random.key(0))
    return {"logits": np.asarray(bandit.logits[0]).tolist(), "correct": SETTING.correct}


def population(name: str) -> dict:
    """A population of prompts: what lifts the logits of the correct trajectories of each to its base success."""
    success = lab.population(name, 0.0, SETTING.prompts)
    return {
        "name": name,
        "lift": np.log(success / (1 - success)).tolist(),
    }


def angle() -> dict:
    """The population of `CONFLICT`: its classes of prompts, hard ones first, and the estimators that are compared."""
    hard, easy = CONFLICT.hard_prompts, CONFLICT.easy_prompts
    successes = (CONFLICT.hard, CONFLICT.easy)
    total = hard * CONFLICT.hard + easy * CONFLICT.easy
    return {
        "degrees": DEGREES.tolist(),
        "k": CONFLICT.k,
        "count": (hard, easy),
        "success": successes,
        "others": [(total - p) / (hard + easy - 1) for p in successes],
        "names": conflict.ESTIMATORS,
    }


def exchange() -> dict[str, np.ndarray]:
    """What the gradient of one hard and of one easy prompt adds to held-out pass@k and to training pass@1.

    Returns:
        `pull` and `progress`, [degree, class].
    """

    @jax.jit
    @jax.vmap
    def at(radians):
        kernel = interference.kernel(*conflict.problem(CONFLICT, radians))
        return interference.pull(kernel, CONFLICT.k)[jnp.array([0, -1])], interference.progress(kernel)[
            jnp.array([0, -1])
        ]

    pull, progress = at(jnp.radians(DEGREES))
    return {"pull": np.asarray(pull), "progress": np.asarray(progress)}


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
    chosen = [estimators.get(name) for name in two_class() if defined(name, size)]
    coupled = slopes_in_batch([e for e in chosen if of_batch(e) and not whitened(e)], size)
    for estimator in chosen:
        omegas = OMEGAS if of_batch(estimator) else np.array([0.5])
        rows = {
            "advantages": advantages(estimator, size, omegas[:, None]),
            "place": np.array([place_or_nowhere(estimator, size, float(w)) for w in omegas]),
        }
        if whitened(estimator):
            rows |= before_whitening(estimator, size)
        else:
            rows["slope"] = next(coupled) if of_batch(estimator) else expected_slope(estimator, size, SUCCESS)
        yield estimator.name, rows


def whitened(estimator: Estimator) -> bool:
    """Whether advantages that sum to zero in each group are divided by their spread over the batch, and no more."""
    before = estimator.before_whitening
    if before is None or len(estimator.links) != len(before.links) + 1:
        return False
    plus, minus = advantages(before, 8, np.array([0.5])).T
    return bool(np.allclose(np.arange(9) * plus + np.arange(8, -1, -1) * minus, 0))


def before_whitening(estimator: Estimator, size: int) -> dict[str, np.ndarray]:
    """`slope[P]` and `spread[P]`: F' of a prompt is the slope over the root of the mean spread of all prompts."""
    before = estimator.before_whitening
    assert before is not None

    @jax.jit
    def of_dynamics(success):
        spread = jax.vmap(lambda p: variance_before_whitening(estimator, size, p[None]))
        return spread(success), slope(estimator, size, jnp.full(SETTING.prompts, 0.5))[0]

    spread, whole = map(np.asarray, of_dynamics(np.append(SUCCESS, 0.5)))
    scale = whole * np.sqrt(spread[-1]) / expected_slope(before, size, 0.5)
    return {"slope": expected_slope(before, size, SUCCESS) * float(scale), "spread": spread[:-1]}


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


def slopes_in_batch(coupled: Sequence[Estimator], size: int) -> Iterator[np.ndarray]:
    """F' of a prompt of success P whose batch has 31 others of mean success o, [o, P], for each estimator."""

    def of_first(others, success):
        batch = jnp.full(SETTING.prompts, others).at[0].set(success)
        return [slope(estimator, size, batch)[0] for estimator in coupled]

    over_success = jax.vmap(of_first, (None, 0))
    program = jax.jit(jax.vmap(over_success, (0, None)))
    yield from map(np.asarray, program(jnp.asarray(OTHERS), jnp.asarray(SUCCESS)))


def family(size: int) -> dict[str, np.ndarray]:
    """The same tables for the family of the plane: `advantages[tilt, side, K, 2]` and `slope[tilt, side, P]`."""
    members = [
        [PLANE.with_params(tilt=float(tilt), asymmetry=float(side)) for side in SIDES]
        for tilt in tilt_parameters(TILTS, size)
    ]
    half = np.array([0.5])
    return {
        "advantages": np.array([[advantages(m, size, half) for m in row] for row in members]),
        "slope": np.array([[expected_slope(m, size, SUCCESS) for m in row] for row in members]),
    }
