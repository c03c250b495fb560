"""Five questions about regimes of training, in bandit and tree: clip-higher, bands, removed prompts, placebo, noise.

Prompts share parameters, so that training on some moves the others. Arms of one seed see the same world and the same
random numbers. Where arms spend different numbers of rollouts they are compared at equal rollouts, by interpolation.
The questions with their margins are in `claims/regimes.toml`.

The learning rate of each world was chosen from plain GRPO alone, on seeds from 900: of 0.3, 1, 3, 10, 30 the smallest
whose mean pass@1 ends above 0.8, or the best if none does. No other arm was looked at.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import xarray as xr

from .. import estimators
from ..dynamics import Band, Regime, Solved, Update, Verifier, advantage_of, train
from ..errors import InputError
from ..metrics.passk import pass_at_k
from ..worlds import make_bandit, make_tree
from .populations import many_hard_some_easy

G = 8
KS = (1, 16)
NOISE = Verifier(0.15, 0.15)
RIVALS = ("rloo", "positive_dominant", "negative_dominant", "hard_focused", "easy_focused")


@dataclass(frozen=True)
class Arm:
    """One way of training."""

    update: Update = field(default_factory=lambda: Update(G))
    regime: Regime | None = None
    estimators: tuple[str, ...] = ("grpo",)


ARMS = {
    "plain": Arm(estimators=("grpo", *RIVALS)),
    "noisy": Arm(regime=Regime(NOISE), estimators=("grpo", *RIVALS)),
    "symmetric clipping": Arm(Update(G, 4)),
    "clip-higher": Arm(Update(G, 4, clip_high=0.28)),
    "band of the policy": Arm(regime=Regime(admit=Band())),
    "band of the base": Arm(regime=Regime(admit=Band(by="base"))),
    "solved removed": Arm(regime=Regime(admit=Solved(0.9))),
    "solved let in again": Arm(regime=Regime(admit=Solved(0.9, back=0.8))),
    "placebo": Arm(regime=Regime(Verifier.placebo())),
    "placebo with clipping": Arm(Update(G, 4), Regime(Verifier.placebo())),
}


@dataclass(frozen=True)
class Config:
    """Size of the study; the default is the one that verdicts are drawn from."""

    seeds: int = 20
    first_seed: int = 0
    prompts: int = 48
    records: int = 20
    stride: int = 10
    arms: tuple[str, ...] = tuple(ARMS)

    def __post_init__(self):
        if self.seeds < 2:
            raise InputError(f"seeds must be at least 2, since intervals are taken over seeds, got {self.seeds}")


RATES = {"bandit": 3.0, "tree": 3.0}


def make_world(name: str, key, prompts: int) -> Any:
    """`many_hard_some_easy` prompts, with 16 shared parameters."""
    success = many_hard_some_easy(prompts)
    if name == "bandit":
        return make_bandit(key, success, trajectories=64, correct=8, features=16, feature_noise=2.0)
    return make_tree(key, success, depth=3, branching=4, density=0.12, features=16)


def run(config: Config, world: str, progress: Callable[[str], None] = lambda arm: None) -> xr.Dataset:
    """All arms in one world: pass@k and entropy by record, success of each prompt, and rollouts spent.

    Dimensions: row (an arm and its estimator), seed, record; `success` also has the prompt.
    """
    parts = []
    for name in config.arms:
        arm = ARMS[name]
        one = jax.jit(partial(_all_seeds, config=config, world=world, arm=arm))
        observed, spent = one(config.first_seed + jnp.arange(config.seeds))
        rows = [name if e == "grpo" else f"{name}, {e}" for e in arm.estimators]
        part = {
            n: (
                ("row", "seed", "record", *(("k",) if n == "passed" else ("prompt",) if n == "success" else ())),
                np.asarray(x),
            )
            for n, x in observed.items()
        }
        part["rollouts"] = (("row", "seed", "record"), np.asarray(spent))
        parts.append(xr.Dataset(part, {"row": rows}))
        progress(name)
    data = xr.concat(parts, "row")
    steps = config.stride * np.arange(config.records + 1)
    coords = {"k": list(KS), "seed": config.first_seed + np.arange(config.seeds), "step": ("record", steps)}
    return data.assign_coords(coords).assign_attrs(world=world)


def _all_seeds(seeds, *, config, world, arm):
    def one(index, seed):
        key_world, key = jax.random.split(jax.random.key(seed))
        w = make_world(world, key_world, config.prompts)
        advantage = advantage_of([estimators.get(e) for e in arm.estimators], index)

        def observe(params):
            p = w.success(params)
            return {
                "passed": jnp.mean(pass_at_k(p[:, None], jnp.array(KS)), axis=0),
                "success": p,
                "entropy": w.entropy(params).mean(),
            }

        _, observed, info = train(
            key,
            w,
            advantage,
            optax.sgd(RATES[world]),
            arm.update,
            observe=observe,
            records=config.records,
            stride=config.stride,
            regime=arm.regime,
        )
        per_step = info.rollouts if arm.regime is not None else jnp.full(config.records, float(G))
        spent = jnp.concatenate([jnp.zeros(1), jnp.cumsum(per_step) * config.stride * config.prompts])
        return observed, spent

    return jax.vmap(jax.vmap(one, (None, 0)), (0, None))(jnp.arange(len(arm.estimators)), seeds)


def at_rollouts(data: xr.Dataset, row: str, budget: np.ndarray) -> np.ndarray:
    """[seed] pass@1 of a row when it has spent `budget[seed]` rollouts, by linear interpolation between records."""
    passed = data.passed.sel(row=row, k=1).values
    spent = data.rollouts.sel(row=row).values
    return np.array([np.interp(b, x, y) for b, x, y in zip(budget, spent, passed, strict=True)])


def effects(data: xr.Dataset, ids: Collection[str]) -> dict[str, np.ndarray]:
    """Effects of the questions `ids`, [seed, part], in the unit of each; `data` holds the arms that they compare."""
    last = data.isel(record=-1)

    def passed(row, k=1):
        return 100 * last.passed.sel(row=row, k=k).values

    def gain(row):
        p = data.passed.sel(row=row, k=1).values
        return p[:, -1] - p[:, 0]

    def against_all(band):
        budget = np.minimum(last.rollouts.sel(row=band).values, last.rollouts.sel(row="plain").values)
        return 100 * (at_rollouts(data, band, budget) - at_rollouts(data, "plain", budget))

    def kept(estimator):
        end = "" if estimator == "grpo" else f", {estimator}"
        return gain(f"noisy{end}") / gain(f"plain{end}")

    def entropy(row):
        return last.entropy.sel(row=row).values

    base = 100 * data.passed.sel(k=1).isel(record=0, row=0).values
    measures: dict[str, Callable[[], np.ndarray]] = {
        "clip_higher_raises_entropy": lambda: entropy("clip-higher") - entropy("symmetric clipping"),
        "clip_higher_raises_passk": lambda: passed("clip-higher", 16) - passed("symmetric clipping", 16),
        "band_beats_all_prompts": lambda: against_all("band of the policy"),
        "band_of_the_base_beats_all_prompts": lambda: against_all("band of the base"),
        "removed_prompts_come_back": lambda: _lost(data),
        "placebo_raises_pass1": lambda: passed("placebo") - base,
        "placebo_with_clipping_raises_pass1": lambda: passed("placebo with clipping") - base,
        "grpo_stands_noise_best": lambda: np.stack([kept("grpo") - kept(r) for r in RIVALS], axis=1),
    }
    return {id: measures[id]().reshape(data.sizes["seed"], -1) for id in ids}


def _lost(data: xr.Dataset) -> np.ndarray:
    """[seed] points that prompts which reached 0.9 end lower where they are removed, mean over them."""
    removed, plain = (data.success.sel(row=row) for row in ("solved removed", "plain"))
    solved = (removed.isel(record=slice(None, -1)) >= 0.9).any("record")
    difference = (plain - removed).isel(record=-1)
    return 100 * difference.where(solved).mean("prompt").values
