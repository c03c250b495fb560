"""The paper's empirical claims as effects on a study, and the rule that turns intervals into verdicts.

An effect is one number per seed whose sign says whether the claim's ordering was there: positive as the paper has it,
negative against it. A claim with several parts (better than this and that) has one effect for each. It is read twice:
at equal step (the end of training), and, where a claim compares methods, at matched budget (each method where its
training pass@1 first reaches the level that all compared methods reach), because equal learning rates are not equal
budgets. *Found* needs every part above zero, with intervals that exclude it, in every reading and in two disjoint
blocks of seeds; *contradicted* needs one part below zero in all of them.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import xarray as xr

from ..metrics.intervals import Interval, bootstrap
from .study import BENCHMARKS, FRESH_SEEDS

MIN_SEEDS = 20


@dataclass(frozen=True)
class Claim:
    """One claim: `effect(final)` maps a study, cut at one moment of training, to a number per seed and part."""

    id: str
    figure: str
    statement: str
    effect: Callable[[xr.Dataset], xr.DataArray]
    """-> [seed] or [part, seed]"""
    compares: tuple[str, ...] = ()
    """Methods that are brought to one budget for the second reading; none: the claim is about a path, read once."""
    whole_path: bool = False
    """Whether `effect` takes the whole study instead of one moment."""
    held_out: bool = True
    """Whether it needs held-out prompts of the benchmarks, which only shared parameters have."""


def at_end(study: xr.Dataset) -> xr.Dataset:
    """The study at its last step."""
    return study.isel(record=-1, interval=-1)


def at_matched_budget(study: xr.Dataset, methods: tuple[str, ...]) -> xr.Dataset:
    """These methods, each at the moment its training pass@1 first reaches what all of them reach, by seed.

    The level is the smallest over the methods of their best training pass@1. Values between two records are
    interpolated linearly; a method that starts at or above the level is read at its base.
    """
    part = study.sel(estimator=list(methods))
    passed = part.pass_at_k.sel(population="train", k=1).transpose("seed", "estimator", "record").values
    level = passed.max(-1).min(-1)[:, None, None]
    after = (passed >= level).argmax(-1)
    before = np.maximum(after - 1, 0)
    low, high = (np.take_along_axis(passed, i[..., None], -1)[..., 0] for i in (before, after))
    share = np.where(high > low, (level[..., 0] - low) / np.where(high > low, high - low, 1), 0)
    dims = ("seed", "estimator")
    values = part[["pass_at_k", "entropy", "coverage", "greedy"]]
    first = values.isel(record=xr.DataArray(before, dims=dims))
    last = values.isel(record=xr.DataArray(after, dims=dims))
    return first + xr.DataArray(np.clip(share, 0, 1), dims=dims) * (last - first)


def _pass(d, method, k, benchmark=None):
    benchmarks = list(BENCHMARKS) if benchmark is None else benchmark
    x = d.pass_at_k.sel(estimator=method, k=k, population=benchmarks)
    return x.mean("population") if benchmark is None else x


def _entropy(d, method):
    return d.entropy.sel(estimator=method, population="train")


def _grpo_below_base(study):
    change = study.isel(record=0) - study.isel(record=-1)
    return (_pass(change, "grpo", 256, "MATH") + _pass(change, "grpo", 256, "AMC23")) / 2


def _grpo_raises(study):
    return _pass(study.isel(record=-1) - study.isel(record=0), "grpo", 1)


def _entropy_growth(study):
    quarter = study.isel(record=study.sizes["record"] // 4)
    return _entropy(study.isel(record=-1), "negative_dominant") - _entropy(quarter, "negative_dominant")


def _all_of(*effects: xr.DataArray) -> xr.DataArray:
    return xr.concat(effects, "part", coords="minimal", compat="override", join="override")


def _early_and_late(best, others, window):
    def effect(study):
        tenth = max(1, study.sizes["interval"] // 10)
        part = study.isel(interval=slice(0, tenth) if window == "early" else slice(-tenth, None)).correct.mean(
            "interval"
        )
        return _all_of(*(part.sel(estimator=best) - part.sel(estimator=o) for o in others))

    return effect


def collapsed(study: xr.Dataset) -> xr.DataArray:
    """Whether the exact training pass@1 ends more than 0.05 below its running maximum, [seed, estimator]."""
    passed = study.pass_at_k.sel(population="train", k=1)
    return (passed.isel(record=-1) < passed.max("record") - 0.05).astype(float)


CLAIMS = (
    Claim(
        "fig2_grpo_raises_pass1",
        "fig2",
        "GRPO raises pass@1 above the base policy (mean of three benchmarks)",
        _grpo_raises,
        whole_path=True,
    ),
    Claim(
        "fig2_grpo_below_base",
        "fig2",
        "GRPO's pass@256 falls below the base policy's (mean of MATH and AMC23)",
        _grpo_below_base,
        whole_path=True,
    ),
    Claim(
        "fig2_negative_best_at_256",
        "fig2",
        "Negative-Dominant beats GRPO at pass@256 (mean of three benchmarks)",
        lambda d: _pass(d, "negative_dominant", 256) - _pass(d, "grpo", 256),
        ("negative_dominant", "grpo"),
    ),
    Claim(
        "fig2_positive_worst_at_256",
        "fig2",
        "Positive-Dominant is below GRPO at pass@256 (mean of three benchmarks)",
        lambda d: _pass(d, "grpo", 256) - _pass(d, "positive_dominant", 256),
        ("positive_dominant", "grpo"),
    ),
    Claim(
        "fig3_positive_entropy_falls_fastest",
        "fig3",
        "Positive-Dominant ends with lower entropy than GRPO and Negative-Dominant",
        lambda d: _all_of(*(_entropy(d, m) - _entropy(d, "positive_dominant") for m in ("grpo", "negative_dominant"))),
        ("positive_dominant", "grpo", "negative_dominant"),
        held_out=False,
    ),
    Claim(
        "fig3_negative_entropy_grows",
        "fig3",
        "Negative-Dominant's entropy grows after the first quarter of training",
        _entropy_growth,
        whole_path=True,
        held_out=False,
    ),
    Claim(
        "fig4_no_focus_best_everywhere",
        "fig4",
        "Easy-Focused leads Hard-Focused at pass@1 on MATH, and Hard-Focused leads on AIME 2025",
        lambda d: _all_of(
            _pass(d, "easy_focused", 1, "MATH") - _pass(d, "hard_focused", 1, "MATH"),
            _pass(d, "hard_focused", 1, "AIME 2025") - _pass(d, "easy_focused", 1, "AIME 2025"),
        ),
        ("easy_focused", "hard_focused"),
    ),
    Claim(
        "fig5_easy_fastest_early",
        "fig5",
        "In the first tenth of training Easy-Focused has more correct rollouts than GRPO and Hard-Focused",
        _early_and_late("easy_focused", ("grpo", "hard_focused"), "early"),
        whole_path=True,
        held_out=False,
    ),
    Claim(
        "fig5_hard_best_late",
        "fig5",
        "In the last tenth of training Hard-Focused has more correct rollouts than GRPO and Easy-Focused",
        _early_and_late("hard_focused", ("grpo", "easy_focused"), "late"),
        whole_path=True,
        held_out=False,
    ),
    Claim(
        "fig9_negative_collapses",
        "fig9",
        "Negative-Dominant collapses in more runs than GRPO (pass@1 ends 5 points under its best)",
        lambda s: collapsed(s).sel(estimator="negative_dominant") - collapsed(s).sel(estimator="grpo"),
        whole_path=True,
        held_out=False,
    ),
    Claim(
        "fig9_attenuation_prevents_collapse",
        "fig9",
        "The attenuated suppression (ASS) collapses in fewer runs than Negative-Dominant",
        lambda s: collapsed(s).sel(estimator="negative_dominant") - collapsed(s).sel(estimator="ass"),
        whole_path=True,
        held_out=False,
    ),
    Claim(
        "fig10_agrae_entropy_plateau",
        "fig10",
        "A-GRAE ends with higher entropy than GRPO",
        lambda d: _entropy(d, "agrae") - _entropy(d, "grpo"),
        ("agrae", "grpo"),
        held_out=False,
    ),
    Claim(
        "table3_agrae_beats_grpo_pass1",
        "table3",
        "A-GRAE beats GRPO at pass@1 (mean of three benchmarks)",
        lambda d: _pass(d, "agrae", 1) - _pass(d, "grpo", 1),
        ("agrae", "grpo"),
    ),
    Claim(
        "table3_agrae_beats_grpo_pass256",
        "table3",
        "A-GRAE beats GRPO at pass@256 (mean of three benchmarks)",
        lambda d: _pass(d, "agrae", 256) - _pass(d, "grpo", 256),
        ("agrae", "grpo"),
    ),
    Claim(
        "table6_both_halves_needed",
        "table6",
        "A-GRAE beats each of its halves, DDAS and ASS, at pass@1 (mean of three benchmarks)",
        lambda d: _all_of(*(_pass(d, "agrae", 1) - _pass(d, half, 1) for half in ("ddas", "ass"))),
        ("agrae", "ddas", "ass"),
    ),
    Claim(
        "table7_ddas_beats_foci_pass1",
        "table7",
        "DDAS beats Easy- and Hard-Focused at pass@1 (mean of three benchmarks)",
        lambda d: _all_of(*(_pass(d, "ddas", 1) - _pass(d, m, 1) for m in ("easy_focused", "hard_focused"))),
        ("ddas", "easy_focused", "hard_focused"),
    ),
    Claim(
        "table7_ass_matches_negative_at_256",
        "table7",
        "ASS is within one point of Negative-Dominant at pass@256 (mean of three benchmarks)",
        lambda d: 0.01 - abs(_pass(d, "ass", 256) - _pass(d, "negative_dominant", 256)),
        ("ass", "negative_dominant"),
    ),
)


@dataclass(frozen=True)
class Verdict:
    """What the readings of one claim say together."""

    claim: Claim
    readings: dict[str, Interval]
    """Intervals over seeds, each [part], of the readings: equal step or path, matched budget, and on fresh seeds."""
    seeds: int

    @property
    def verdict(self) -> str:
        """ "found", "contradicted" or "undecided"; "no verdict" below 20 seeds in each of the two blocks."""
        if self.seeds < 2 * MIN_SEEDS or not any("fresh" in name for name in self.readings):
            return "no verdict"
        low, high = (np.array([getattr(i, end) for i in self.readings.values()]) for end in ("low", "high"))
        if (low > 0).all():
            return "found"
        return "contradicted" if (high < 0).all(axis=0).any() else "undecided"

    @property
    def deciding_part(self) -> int:
        """The part that speaks most against the claim, by its highest mean over the readings."""
        return int(np.max([i.mean for i in self.readings.values()], axis=0).argmin())

    def sentence(self) -> str:
        """The verdict with the intervals of its deciding part, for captions."""
        part = self.deciding_part
        shown = [
            f"{name} {i.mean[part]:+.4f} [{i.low[part]:+.4f}, {i.high[part]:+.4f}]" for name, i in self.readings.items()
        ]
        return f"{self.claim.statement}: **{self.verdict}** ({'; '.join(shown)}; {self.seeds} seeds)."


def judge(study: xr.Dataset, claim: Claim) -> Verdict:
    """Read a claim off a study, in the block of design seeds and in the block of fresh ones."""
    readings = {}
    for block, fresh in (("", False), (", fresh seeds", True)):
        part = study.isel(seed=np.flatnonzero((study.seed >= FRESH_SEEDS) == fresh))
        if part.sizes["seed"] < 2:
            continue
        if claim.whole_path:
            moments = {"over the path": part}
        else:
            moments = {"equal step": at_end(part), "matched budget": at_matched_budget(part, claim.compares)}
        for name, moment in moments.items():
            effect = claim.effect(moment)
            parts = effect if "part" in effect.dims else effect.expand_dims("part")
            readings[name + block] = bootstrap(parts.transpose("seed", "part").values)
    return Verdict(claim, readings, study.sizes["seed"])
