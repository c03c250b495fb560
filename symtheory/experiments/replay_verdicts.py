"""Which training claims of arXiv:2602.05548 the replay finds, each by a statistic that was fixed before the runs.

Every statistic is a number for each seed, its comparisons paired within the seed, and the interval is a bootstrap over
seeds. With one rival left to choose (the best of several), the choice is made anew in every resample.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import xarray as xr
from scipy.stats import beta

from ..metrics.intervals import RESAMPLES
from ..metrics.passk import pass_at_k, unbiased_pass_at_k

ENOUGH_SEEDS = 20
COLLAPSE = 0.05
"""A run has collapsed if its exact success on the training prompts ends this far below its own maximum."""
PAPER_COLLAPSES = 0.3
"""Share of Negative-Dominant runs that collapsed in the paper (3 of 10, its D.5)."""
PLATEAU = 0.25
"""Share of the entropy's whole change below which the second half of training counts as a plateau."""


def mean_pass_at_k(result: xr.Dataset, k, split: str = "held_out", cut: bool = False) -> xr.DataArray:
    """pass@k, mean over prompts; dims (estimator, seed, step), and k if it is a list.

    `cut` evaluates at temperature 0.6 and top-p 0.95. Exact where the result is, else the unbiased estimate.
    """
    success = result["success_cut" if cut else "success"].sel(split=split).astype(float)
    ks = xr.DataArray(np.atleast_1d(k), dims="k", coords={"k": np.atleast_1d(k)})
    p = success.expand_dims(k=ks.size).assign_coords(k=ks.k).transpose(*success.dims, "k")
    samples = int(result.attrs.get("samples", 0))
    if samples:
        values = unbiased_pass_at_k(samples, np.round(p.values * samples), np.broadcast_to(ks.values, p.shape))
    else:
        values = pass_at_k(p.values, ks.values)
    passed = p.copy(data=values).mean("prompt")
    return passed if np.ndim(k) else passed.isel(k=0, drop=True)


class Claim(NamedTuple):
    """A claim as a number: it holds where `sign * (effect - threshold) > 0`."""

    needs: tuple[str, ...]
    """estimators that must be in the result"""
    values: Callable[[xr.Dataset], dict[str, xr.DataArray]]
    """named quantities, each [seed]"""
    effect: Callable[[dict], np.ndarray]
    """effect from the means over seeds of those quantities"""
    sign: int
    unit: str
    note: str
    threshold: float = 0.0


def final(k: int) -> Callable:
    """Held-out pass@k of every estimator after training, and of the base model."""

    def values(result):
        passed = mean_pass_at_k(result, k)
        last = passed.isel(step=-1)
        return {name: last.sel(estimator=name) for name in result.estimator.values} | {
            "base": passed.isel(step=0, estimator=0)
        }

    return values


def success_between(start: float, stop: float) -> Callable:
    """Exact success on the training prompts, mean over the observations in a window given as shares of training."""

    def values(result):
        step = result.step / result.step[-1]
        inside = result.success.sel(split="train").mean("prompt").isel(step=((step >= start) & (step <= stop)).values)
        return {name: inside.sel(estimator=name).mean("step") for name in result.estimator.values}

    return values


def entropy_path(result: xr.Dataset) -> xr.DataArray:
    """Exact entropy on the training prompts; dims (estimator, seed, step)."""
    return result.entropy.sel(split="train").mean("prompt")


def mean_entropy(result):
    path = entropy_path(result).mean("step")
    return {name: path.sel(estimator=name) for name in result.estimator.values}


def entropy_changes(name: str) -> Callable:
    """Entropy of one estimator at the start, after a quarter, half way and at the end of training."""

    def values(result):
        path = (
            entropy_path(result).sel(estimator=name).interp(step=result.step.values[-1] * np.array([0, 0.25, 0.5, 1]))
        )
        return {at: path.isel(step=i) for i, at in enumerate(("start", "quarter", "half", "end"))}

    return values


def best_of(*names: str) -> Callable:
    return lambda means: np.max([means[name] for name in names], axis=0)


def worst_of(*names: str) -> Callable:
    return lambda means: np.min([means[name] for name in names], axis=0)


def margin(name: str, rival: Callable) -> Callable:
    return lambda means: means[name] - rival(means)


GRPO, POSITIVE, NEGATIVE, HARD, EASY, AGRAE = (
    "grpo",
    "positive_dominant",
    "negative_dominant",
    "hard_focused",
    "easy_focused",
    "agrae",
)
GROUP, SAMPLE = (GRPO, POSITIVE, NEGATIVE), (GRPO, HARD, EASY)
PASS = "held-out pass@{}"

CLAIMS = {
    "fig2_grpo_below_base": Claim(
        (GRPO,), final(256), margin(GRPO, best_of("base")), -1, PASS.format(256), "GRPO minus base"
    ),
    "fig2_grpo_raises_pass1": Claim(
        (GRPO,), final(1), margin(GRPO, best_of("base")), 1, PASS.format(1), "GRPO minus base"
    ),
    "fig2_negative_best_at_256": Claim(
        GROUP,
        final(256),
        margin(NEGATIVE, best_of(GRPO, POSITIVE)),
        1,
        PASS.format(256),
        "Negative-Dominant minus the better of GRPO and Positive-Dominant",
    ),
    "fig2_positive_worst_at_256": Claim(
        GROUP,
        final(256),
        margin(POSITIVE, worst_of(GRPO, NEGATIVE)),
        -1,
        PASS.format(256),
        "Positive-Dominant minus the worse of GRPO and Negative-Dominant",
    ),
    "fig3_positive_entropy_falls_fastest": Claim(
        GROUP,
        mean_entropy,
        margin(POSITIVE, worst_of(GRPO, NEGATIVE)),
        -1,
        "nat",
        "entropy averaged over training, Positive-Dominant minus the lower of GRPO and Negative-Dominant",
    ),
    "fig3_negative_entropy_grows": Claim(
        (NEGATIVE,),
        entropy_changes(NEGATIVE),
        lambda means: means["end"] - means["quarter"],
        1,
        "nat",
        "entropy of Negative-Dominant at the end minus after a quarter of training",
    ),
    "fig5_easy_fastest_early": Claim(
        SAMPLE,
        success_between(0.01, 0.2),
        margin(EASY, best_of(GRPO, HARD)),
        1,
        "exact training success",
        "first fifth of training, Easy-Focused minus the better of GRPO and Hard-Focused",
    ),
    "fig5_hard_best_late": Claim(
        SAMPLE,
        success_between(0.8, 1.0),
        margin(HARD, best_of(GRPO, EASY)),
        1,
        "exact training success",
        "last fifth of training, Hard-Focused minus the better of GRPO and Easy-Focused",
    ),
    "fig10_agrae_entropy_plateau": Claim(
        (AGRAE,),
        entropy_changes(AGRAE),
        lambda means: (means["half"] - means["end"]) / (means["start"] - means["end"]),
        -1,
        "share of the change",
        f"share of A-GRAE's entropy change that falls in the second half; a plateau is below {PLATEAU}",
        PLATEAU,
    ),
    "table3_agrae_beats_grpo_pass1": Claim(
        (GRPO, AGRAE), final(1), margin(AGRAE, best_of(GRPO)), 1, PASS.format(1), "A-GRAE (paper) minus GRPO"
    ),
    "table3_agrae_beats_grpo_pass256": Claim(
        (GRPO, AGRAE), final(256), margin(AGRAE, best_of(GRPO)), 1, PASS.format(256), "A-GRAE (paper) minus GRPO"
    ),
}


def verdicts(result: xr.Dataset, command: str) -> dict[str, dict]:
    """Claim id -> verdict, effect, interval, unit, seeds, command and note, from a result of `replay.training`.

    A claim is "found" if the 95% interval lies on its side, "contradicted" if on the other, else "undecided". With
    fewer than 20 seeds it is "undecided" unless there are at least 8 and every one of them agrees. Claims about
    estimators that the result lacks are left out.
    """
    have = set(result.estimator.values)
    found = {name: _verdict(claim, result) for name, claim in CLAIMS.items() if have.issuperset(claim.needs)}
    if have.issuperset((GRPO, NEGATIVE)):
        found["fig9_negative_collapses"] = _collapse(result)
    return {name: verdict | {"command": command} for name, verdict in found.items()}


def _verdict(claim: Claim, result: xr.Dataset) -> dict:
    values = {name: np.asarray(x, float) for name, x in claim.values(result).items()}
    seeds = result.sizes["seed"]

    def effects(weights):
        """Effect for each row of weights over seeds, [R, seeds] -> [R]."""
        return claim.effect({name: weights @ x for name, x in values.items()})

    resamples = np.random.default_rng(0).multinomial(seeds, np.full(seeds, 1 / seeds), size=RESAMPLES) / seeds
    low, high = (float(x) for x in np.quantile(effects(resamples), [0.025, 0.975]))
    agree = int((claim.sign * (effects(np.eye(seeds)) - claim.threshold) > 0).sum())
    holds = claim.sign * (np.array([low, high]) - claim.threshold) > 0
    verdict = "found" if holds.all() else "undecided" if holds.any() else "contradicted"
    note = f"{claim.note}; on the side of the claim in {agree} of {seeds} seeds"
    if seeds < ENOUGH_SEEDS and not (seeds >= 8 and agree in (0, seeds)):
        verdict, note = "undecided", f"{note}; fewer than {ENOUGH_SEEDS} seeds"
    return {
        "verdict": verdict,
        "effect": float(effects(np.full((1, seeds), 1 / seeds))[0]),
        "interval": [low, high],
        "unit": claim.unit,
        "seeds": seeds,
        "note": note,
    }


def collapsed(result: xr.Dataset) -> xr.DataArray:
    """Which runs ended `COLLAPSE` below their own best exact success on the training prompts; (estimator, seed)."""
    path = result.success.sel(split="train").mean("prompt")
    return path.isel(step=-1) < path.max("step") - COLLAPSE


def _collapse(result: xr.Dataset) -> dict:
    """Share of collapsed Negative-Dominant runs with its Clopper-Pearson interval, against the paper's 3 of 10."""
    runs = collapsed(result)
    seeds = result.sizes["seed"]
    count, others = (int(runs.sel(estimator=name).sum()) for name in (NEGATIVE, GRPO))
    low = float(beta.ppf(0.025, count, seeds - count + 1)) if count else 0.0
    high = float(beta.ppf(0.975, count + 1, seeds - count)) if count < seeds else 1.0
    verdict = "found" if low > others / seeds else "contradicted" if high < PAPER_COLLAPSES else "undecided"
    return {
        "verdict": verdict if seeds >= ENOUGH_SEEDS else "undecided",
        "effect": count / seeds,
        "interval": [low, high],
        "unit": "share of runs",
        "seeds": seeds,
        "note": f"{count} of {seeds} Negative-Dominant and {others} of {seeds} GRPO runs ended {COLLAPSE} below their "
        f"best training success; contradicted means that the paper's {PAPER_COLLAPSES} lies above the interval",
    }
