"""The paper's empirical claims as effects on a study, and the rule that turns intervals into verdicts.

One list and one rule serve every world: bandit, tree and transformer studies have the same names and dimensions. An
effect is one number per seed whose sign says whether the claim's ordering was there: positive as the paper has it,
negative against it. A claim with several parts (better than this and that) has one effect for each. It is read twice:
at equal step (the end of training), and, where a claim compares methods, at matched budget (each method where its
training pass@1 first reaches the level that all compared methods reach), because equal learning rates are not equal
budgets. *Found* needs every part above zero, with intervals that exclude it, in every reading and in two disjoint
blocks of seeds; *contradicted* needs one part below zero in all of them.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from ..metrics.intervals import Interval, bootstrap, share
from ..studies.controlled import BENCHMARKS, FRESH_SEEDS

MIN_SEEDS = 20
PAPER_COLLAPSES = 0.3
"""Share of Negative-Dominant runs that collapsed in the paper (3 of 10, its D.5)."""
PLATEAU = 0.25
"""Share of the entropy's whole drop below which the second half of training counts as a plateau."""


@dataclass(frozen=True)
class Claim:
    """One claim: `effect(study)` is a number per seed and part, of a study cut at one moment of training."""

    id: str
    figure: str
    statement: str
    effect: Callable[[xr.Dataset], xr.DataArray]
    """-> [seed] or [part, seed]"""
    methods: tuple[str, ...] = ()
    """Methods it needs. Unless `whole_path`, they are brought to one budget for the second reading."""
    whole_path: bool = False
    """Whether `effect` takes the whole study instead of one moment, and is read once."""
    held_out: bool = True
    """Whether it needs held-out prompts, which only shared parameters have."""
    interval: Callable[[np.ndarray], Interval] = bootstrap
    """From effects [seed, part] to their interval."""
    contradicted_below: float = 0.0
    """What the interval of one part must lie below for *contradicted*, where that is not zero."""


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
    values = part[["pass_at_k", "entropy", "greedy"]]
    first = values.isel(record=xr.DataArray(before, dims=dims))
    last = values.isel(record=xr.DataArray(after, dims=dims))
    return first + xr.DataArray(np.clip(share, 0, 1), dims=dims) * (last - first)


def mean_pass(d, method, k, *populations):
    """pass@k of a method, mean over those of `populations` that the study has, or over all held-out prompts."""
    have = [p for p in populations or (*BENCHMARKS, "held-out") if p in d.population.values]
    return d.pass_at_k.sel(estimator=method, k=k, population=have or ["held-out"]).mean("population")


def _entropy(d, method):
    return d.entropy.sel(estimator=method, population="train")


def _grpo_below_base(study):
    change = study.isel(record=0) - study.isel(record=-1)
    return mean_pass(change, "grpo", 256, "MATH", "AMC23")


def _grpo_raises(study):
    return mean_pass(study.isel(record=-1) - study.isel(record=0), "grpo", 1)


def _entropy_growth(study):
    quarter = study.isel(record=study.sizes["record"] // 4)
    return _entropy(study.isel(record=-1), "negative_dominant") - _entropy(quarter, "negative_dominant")


def _plateau(study):
    start, half, end = (_entropy(study.isel(record=i), "agrae") for i in (0, study.sizes["record"] // 2, -1))
    return _all_of(start - end, PLATEAU * (start - end) - (half - end))


def _all_of(*effects: xr.DataArray) -> xr.DataArray:
    return xr.concat(effects, "part", coords="minimal", compat="override", join="override")


def _above(best, others, k, *populations):
    """pass@k of `best` above that of each of `others`."""
    return lambda d: _all_of(*(mean_pass(d, best, k, *populations) - mean_pass(d, o, k, *populations) for o in others))


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


def _collapses_alone(study):
    fell = collapsed(study)
    return fell.sel(estimator="negative_dominant") * (1 - fell.sel(estimator="grpo"))


GROUP = ("grpo", "positive_dominant", "negative_dominant")
SAMPLE = ("grpo", "easy_focused", "hard_focused")

CLAIMS = (
    Claim("fig2_grpo_raises_pass1", "fig2", "GRPO raises pass@1 above the base policy", _grpo_raises, ("grpo",), True),
    Claim(
        "fig2_grpo_below_base",
        "fig2",
        "GRPO's pass@256 falls below the base policy's (on MATH and AMC23, where benchmarks are simulated)",
        _grpo_below_base,
        ("grpo",),
        whole_path=True,
    ),
    Claim(
        "fig2_negative_best_at_256",
        "fig2",
        "Negative-Dominant beats GRPO and Positive-Dominant at pass@256",
        _above("negative_dominant", ("grpo", "positive_dominant"), 256),
        GROUP,
    ),
    Claim(
        "fig2_positive_worst_at_256",
        "fig2",
        "Positive-Dominant is below GRPO and Negative-Dominant at pass@256",
        lambda d: _all_of(*(mean_pass(d, m, 256) - mean_pass(d, "positive_dominant", 256) for m in GROUP[::2])),
        GROUP,
    ),
    Claim(
        "fig3_positive_entropy_falls_fastest",
        "fig3",
        "Positive-Dominant ends with lower entropy than GRPO and Negative-Dominant",
        lambda d: _all_of(*(_entropy(d, m) - _entropy(d, "positive_dominant") for m in GROUP[::2])),
        GROUP,
        held_out=False,
    ),
    Claim(
        "fig3_negative_entropy_grows",
        "fig3",
        "Negative-Dominant's entropy grows after the first quarter of training",
        _entropy_growth,
        ("negative_dominant",),
        whole_path=True,
        held_out=False,
    ),
    Claim(
        "fig4_no_focus_best_everywhere",
        "fig4",
        "Easy-Focused leads Hard-Focused at pass@1 on MATH, and Hard-Focused leads on AIME 2025 "
        "(without benchmarks: on the easier and on the harder half of the held-out prompts)",
        lambda d: _all_of(
            mean_pass(d, "easy_focused", 1, "MATH", "easier half")
            - mean_pass(d, "hard_focused", 1, "MATH", "easier half"),
            mean_pass(d, "hard_focused", 1, "AIME 2025", "harder half")
            - mean_pass(d, "easy_focused", 1, "AIME 2025", "harder half"),
        ),
        ("easy_focused", "hard_focused"),
    ),
    Claim(
        "fig5_easy_fastest_early",
        "fig5",
        "In the first tenth of training Easy-Focused has more correct rollouts than GRPO and Hard-Focused",
        _early_and_late("easy_focused", ("grpo", "hard_focused"), "early"),
        SAMPLE,
        whole_path=True,
        held_out=False,
    ),
    Claim(
        "fig5_hard_best_late",
        "fig5",
        "In the last tenth of training Hard-Focused has more correct rollouts than GRPO and Easy-Focused",
        _early_and_late("hard_focused", ("grpo", "easy_focused"), "late"),
        SAMPLE,
        whole_path=True,
        held_out=False,
    ),
    Claim(
        "fig9_negative_collapses",
        "fig9",
        "Negative-Dominant collapses in some runs where GRPO does not (pass@1 ends 5 points under its best): share of "
        "runs with its exact interval, contradicted if that lies below the paper's 3 in 10",
        _collapses_alone,
        ("negative_dominant", "grpo"),
        whole_path=True,
        held_out=False,
        interval=share,
        contradicted_below=PAPER_COLLAPSES,
    ),
    Claim(
        "fig9_attenuation_prevents_collapse",
        "fig9",
        "The attenuated suppression (ASS) collapses in fewer runs than Negative-Dominant",
        lambda s: collapsed(s).sel(estimator="negative_dominant") - collapsed(s).sel(estimator="ass"),
        ("negative_dominant", "ass"),
        whole_path=True,
        held_out=False,
    ),
    Claim(
        "fig10_agrae_entropy_plateau",
        "fig10",
        "A-GRAE's entropy drops, and less than a quarter of the drop is in the second half of training",
        _plateau,
        ("agrae",),
        whole_path=True,
        held_out=False,
    ),
    Claim(
        "fig10_agrae_entropy_above_grpo",
        "fig10",
        "A-GRAE ends with higher entropy than GRPO",
        lambda d: _entropy(d, "agrae") - _entropy(d, "grpo"),
        ("agrae", "grpo"),
        held_out=False,
    ),
    Claim(
        "fig10_agrae_greedy_above_grpo",
        "fig10",
        "A-GRAE ends with higher greedy accuracy than GRPO on the training prompts",
        lambda d: (d.greedy.sel(estimator="agrae") - d.greedy.sel(estimator="grpo")).sel(population="train"),
        ("agrae", "grpo"),
        held_out=False,
    ),
    Claim(
        "table3_agrae_beats_grpo_pass1",
        "table3",
        "A-GRAE beats GRPO at pass@1",
        _above("agrae", ("grpo",), 1),
        ("agrae", "grpo"),
    ),
    Claim(
        "table3_agrae_beats_grpo_pass256",
        "table3",
        "A-GRAE beats GRPO at pass@256",
        _above("agrae", ("grpo",), 256),
        ("agrae", "grpo"),
    ),
    Claim(
        "table6_both_halves_needed",
        "table6",
        "A-GRAE beats each of its halves, DDAS and ASS, at pass@1",
        _above("agrae", ("ddas", "ass"), 1),
        ("agrae", "ddas", "ass"),
    ),
    Claim(
        "table7_ddas_beats_foci_pass1",
        "table7",
        "DDAS beats Easy- and Hard-Focused at pass@1",
        _above("ddas", ("easy_focused", "hard_focused"), 1),
        ("ddas", "easy_focused", "hard_focused"),
    ),
    Claim(
        "table7_ass_matches_negative_at_256",
        "table7",
        "ASS is within one point of Negative-Dominant at pass@256",
        lambda d: 0.01 - abs(mean_pass(d, "ass", 256) - mean_pass(d, "negative_dominant", 256)),
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
        return "contradicted" if (high < self.claim.contradicted_below).all(axis=0).any() else "undecided"

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
            moments = {"equal step": at_end(part), "matched budget": at_matched_budget(part, claim.methods)}
        for name, moment in moments.items():
            effect = claim.effect(moment)
            parts = effect if "part" in effect.dims else effect.expand_dims("part")
            readings[name + block] = claim.interval(parts.transpose("seed", "part").values)
    return Verdict(claim, readings, study.sizes["seed"])


def readable(study: xr.Dataset, claims: Iterable[Claim] = CLAIMS) -> list[Claim]:
    """The claims whose methods and populations this study has."""
    methods = set(study.estimator.values)
    alone = "population" in study.dims and study.sizes["population"] == 1
    return [c for c in claims if methods.issuperset(c.methods) and not (alone and c.held_out)]


def _recorded(verdict: str) -> str:
    return "undecided" if verdict == "no verdict" else verdict


def verdict_record(verdict: Verdict, elsewhere: Mapping[str, str], command: str) -> dict[str, Any]:
    """One verdict as plain data, for the claims ledger: effect and interval of the reading nearest to zero.

    `elsewhere` has the verdicts of other settings by their names.
    """
    part = verdict.deciding_part
    ends = {name: (i.mean[part], i.low[part], i.high[part]) for name, i in verdict.readings.items()}
    name, (mean, low, high) = min(ends.items(), key=lambda item: min(abs(item[1][1]), abs(item[1][2])))
    return {
        "verdict": _recorded(verdict.verdict),
        "effect": round(float(mean), 6),
        "interval": [round(float(low), 6), round(float(high), 6)],
        "unit": "effect in the claim's direction, as a fraction or in nats",
        "seeds": verdict.seeds,
        "command": command,
        "note": f"reading nearest to zero: {name}. {verdict.sentence()}",
        "elsewhere": {setting: _recorded(v) for setting, v in elsewhere.items()},
    }


READING = (
    "How to read it: effects are in the direction of the paper's claim, means over seeds with 95% bootstrap intervals; "
    "pass@k is a mean over all held-out prompts where nothing else is said. "
    "Of a claim with several parts the one that speaks most against it is shown. *Found* needs every part above zero "
    "in every reading (equal step, matched training pass@1, both blocks of seeds), *contradicted* one part below zero "
    "in all of them; anything else is *undecided*. Either outcome would have refuted the other."
)
