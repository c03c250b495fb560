"""The controlled study behind Figures 2-5, 7-10 and Tables 3, 5-7: every method, trained from one base population.

A run starts from a population of prompts whose difficulty is inferred from a published base model's pass@k, trains
on MATH-like prompts, and is watched on them and, with shared parameters, on held-out prompts of each benchmark.
Methods of one seed see the same prompts and the same random numbers, so differences are paired.

The design is fixed here, before any run that draws a verdict. Two numbers of the shared world were set by GRPO alone,
on two other seeds: feature noise (1, 2, 3, 4) and learning rate (a grid in steps of three) so that GRPO's held-out MATH
pass@1 ends nearest the published 76.5. In the independent world, which has no held-out prompts, the learning rate is
the smallest of the grid with which GRPO's training pass@1 ends above 0.9. No other method and no other k was looked at.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import optax
import xarray as xr

from .. import estimators
from ..dynamics import Update, advantage_of, train
from ..evidence import infer_success, published, success_probabilities
from ..metrics.passk import pass_at_k
from ..storage import provenance, tiles
from ..worlds import make_bandit

KS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
BENCHMARKS = ("MATH", "AIME 2025", "AMC23")
TILE = 4  # seeds in one program: fixed, because the width of a batch changes the last bits of its results
DESIGN_SEEDS, FRESH_SEEDS = 0, 1000  # first seed of the block a verdict is drawn from, and of the one that confirms it


@dataclass(frozen=True)
class Method:
    """An estimator as one of the paper's rows trains with it."""

    estimator: str
    published: tuple[str, ...] = ()
    """Names of its rows in the paper's Tables 3, 5, 6 and 7."""
    filtered: bool = False
    """Whether groups of equal rewards are dropped and their weight given to the others (DAPO)."""


METHODS = {
    "grpo": Method("grpo", ("GRPO",)),
    "positive_dominant": Method("positive_dominant", ("Positive-Dominant",)),
    "negative_dominant": Method("negative_dominant", ("Negative-Dominant",)),
    "easy_focused": Method("easy_focused", ("Easy-Focused",)),
    "hard_focused": Method("hard_focused", ("Hard-Focused",)),
    "ass": Method("ass", ("GRPO + ASS (group level)", "GRPO + A-GRAE (group level)")),
    "ddas": Method("ddas", ("GRPO + DDAS (sample level)", "GRPO + A-GRAE (sample level)")),
    "agrae": Method("agrae", ("GRPO + A-GRAE", "GRPO + A-GRAE (full)")),
    "agrae_released": Method("agrae_released"),
    "grpo_lead": Method("grpo_lead", ("GRPO-LEAD",)),
    "w_reinforce": Method("w_reinforce", ("W-REINFORCE",)),
    "dapo": Method("dapo", ("DAPO",), filtered=True),
    "dapo_agrae": Method("agrae", ("DAPO + A-GRAE",), filtered=True),
    "dr_grpo": Method("dr_grpo", ("Dr.GRPO",)),
    "agrae_dr_grpo": Method("agrae_dr_grpo", ("Dr.GRPO + A-GRAE",)),
}

LEARNING_RATES = {
    ("shared", "adam"): 0.003,
    ("shared", "sgd"): 0.1,
    ("independent", "adam"): 0.01,
    ("independent", "sgd"): 0.1,
}


@dataclass(frozen=True)
class Study:
    """One setting in which all methods are trained."""

    start: Literal["table3", "table5"] = "table3"
    """Table whose base-model rows set the difficulty: 3 for Qwen2.5-Math-7B, 5 for DeepSeek-R1-7B."""
    sharing: Literal["shared", "independent"] = "shared"
    optimizer: Literal["adam", "sgd"] = "adam"
    prompts: int = 128
    heldout: int = 64
    """Held-out prompts of each benchmark (with shared parameters only)."""
    trajectories: int = 256
    correct: int = 20
    features: int = 32
    feature_noise: float = 2.0
    group_size: int = 8
    records: int = 40
    stride: int = 10
    methods: tuple[str, ...] = field(default=tuple(METHODS))

    @property
    def learning_rate(self) -> float:
        return LEARNING_RATES[self.sharing, self.optimizer]

    @property
    def populations(self) -> tuple[str, ...]:
        """The populations of prompts a run is watched on, the training prompts first."""
        return ("train", *BENCHMARKS) if self.sharing == "shared" else ("train",)

    def make_world(self, key, success) -> Any:
        """A population of prompts of the given difficulty."""
        return make_bandit(
            key,
            success,
            trajectories=self.trajectories,
            correct=self.correct,
            features=self.features if self.sharing == "shared" else 0,
            feature_noise=self.feature_noise,
        )

    def config(self) -> dict[str, Any]:
        """Everything that determines the result, as plain data."""
        return {"study": 1, **asdict(self), "methods": list(self.methods), "learning_rate": self.learning_rate}


def difficulty(start: str, benchmark: str, prompts: int) -> np.ndarray:
    """[prompts] success probability of the base model on each prompt, inferred from its published pass@k row."""
    (row,) = published(table=start, dataset=benchmark, method="Base Model")
    p = success_probabilities(infer_success(row.ks, row.values), prompts)
    return np.clip(p, 1e-5, 1 - 1e-5)  # a question the row calls never or always solved is this far from it


def run(
    study: Study, seeds: list[int], folder: str | Path, progress: Callable[[int], None] = lambda seeds: None
) -> xr.Dataset:
    """The study for these seeds, tile by tile; tiles that lie finished in `folder` are not run again."""
    program = jax.jit(_program(study))
    links = [link for method in study.methods for link in estimators.get(METHODS[method].estimator).links]
    made_by = provenance.made_by(_program, type(study), *links)

    def tile(block: list[int]) -> tiles.Tile:
        config = {**study.config(), "tile": block, **made_by}
        padded = jnp.asarray((block + [block[-1]] * TILE)[:TILE])
        return tiles.Tile(config, program, (padded,), partial(_label, study, block), len(block))

    blocks = [seeds[i : i + TILE] for i in range(0, len(seeds), TILE)]
    return xr.concat(tiles.run([tile(b) for b in blocks], folder, "study", progress), "seed")


def _program(study: Study) -> Callable:
    """seeds [TILE] -> observations, with leading axes (seed, method)."""
    methods = [METHODS[m] for m in study.methods]
    chains = [estimators.get(m.estimator) for m in methods]
    filtered = jnp.asarray([m.filtered for m in methods])
    optimizer = {"adam": optax.adam, "sgd": optax.sgd}[study.optimizer](study.learning_rate)
    sizes = {name: study.prompts if name == "train" else study.heldout for name in study.populations}
    success = {n: difficulty(study.start, "MATH" if n == "train" else n, size) for n, size in sizes.items()}

    def one_seed(seed):
        keys = dict(zip(("sampling", *success), jax.random.split(jax.random.key(seed), 1 + len(success)), strict=True))
        worlds = {name: study.make_world(keys[name], p) for name, p in success.items()}

        def observe(params):
            # independent prompts have no held-out relatives, so their one population is the training prompts
            return jax.tree.map(lambda *x: jnp.stack(x), *(observe_world(w, params) for w in worlds.values()))

        def one_method(index):
            advantage = advantage_of(chains, index, filtered[index])
            _, observed, batches = train(
                keys["sampling"],
                worlds["train"],
                advantage,
                optimizer,
                Update(study.group_size),
                observe=observe,
                records=study.records,
                stride=study.stride,
            )
            return observed, batches._asdict()

        return jax.vmap(one_method)(jnp.arange(len(methods)))

    return jax.vmap(one_seed)


def observe_world(world, params, ks: tuple[int, ...] = KS) -> dict[str, jax.Array]:
    """Exact metrics of the policy on one population, means over its prompts; pass@k has an axis of `ks`."""
    p = world.success(params)
    return {
        "pass_at_k": jnp.mean(pass_at_k(p[:, None], jnp.asarray(ks)), axis=0),
        "entropy": world.entropy(params).mean(),
        "coverage": world.rare_coverage(params).mean(),
        "greedy": world.greedy(params).mean(),
    }


UNITS = {
    "pass_at_k": "probability",
    "entropy": "nat",
    "coverage": "probability that a rare correct trajectory appears in 256 rollouts",
    "greedy": "accuracy of the most likely trajectory",
    "correct": "fraction of correct rollouts in the batch (omega)",
    "unsolved": "fraction of prompts without a correct rollout in their group",
    "abs_advantage": "mean over prompts of sum |A|",
    "imbalance": "mean over prompts of C = sum A",
}


def _label(study: Study, tile: list[int], values) -> xr.Dataset:
    """Name the axes of what the program returned, and drop the seeds that only filled the tile."""
    observed, batches = jax.tree.map(lambda x: x[: len(tile)], values)
    dims = {
        **dict.fromkeys(observed, ("seed", "estimator", "record", "population")),
        "pass_at_k": ("seed", "estimator", "record", "population", "k"),
        **dict.fromkeys(batches, ("seed", "estimator", "interval")),
    }
    data = {name: (dims[name], x, {"units": UNITS[name]}) for name, x in {**observed, **batches}.items()}
    steps = study.stride * np.arange(study.records + 1)
    coords = {
        "seed": tile,
        "estimator": list(study.methods),
        "population": list(study.populations),
        "k": list(KS),
        "step": ("record", steps),
        "batch_step": ("interval", steps[1:]),
    }
    return xr.Dataset(data, coords)
