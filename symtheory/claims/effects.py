"""What is measured for each empirical claim: one number per seed, positive in the direction of the paper's claim.

One list serves every world: bandit, tree and transformer studies have the same names and dimensions. A claim against
two methods has a part for each. A claim about the end of training is read twice, and the two are never joined: *at
equal step* (the paper's comparison: the end of training), and *at matched budget* (each method where its training
pass@1 first reaches the level that all compared methods reach). Units: points of pass@k or accuracy, nat, or shares.
`judge.py` has the rule, `claims.toml` the margins.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from ..studies.controlled import BENCHMARKS

EQUAL_STEP, MATCHED, PATH = "equal step", "matched budget", "over the path"
READINGS = (EQUAL_STEP, MATCHED)
"""The two estimands; a claim about the whole path has one, which counts as equal step."""
PLATEAU = 0.25
"""Share of the entropy's whole drop below which the second half of training counts as a plateau."""


@dataclass(frozen=True)
class Measure:
    """How one claim is measured: `effect(study)` is a number per seed and part, of a study cut at one moment."""

    id: str
    figure: str
    effect: Callable[[xr.Dataset], xr.DataArray]
    """-> [seed] or [part, seed]"""
    parts: tuple[str, ...]
    """What each part compares with, in words."""
    methods: tuple[str, ...] = ()
    """Methods it needs. Unless `whole_path`, they are brought to one budget for the second reading."""
    whole_path: bool = False
    """Whether `effect` takes the whole study instead of one moment, and is read once."""
    held_out: bool = True
    """Whether it needs held-out prompts, which only shared parameters have."""


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
    return 100 * mean_pass(change, "grpo", 256, "MATH", "AMC23")


def _grpo_raises(study):
    return 100 * mean_pass(study.isel(record=-1) - study.isel(record=0), "grpo", 1)


def _entropy_growth(study):
    quarter = study.isel(record=study.sizes["record"] // 4)
    return _entropy(study.isel(record=-1), "negative_dominant") - _entropy(quarter, "negative_dominant")


def _plateau(study):
    start, half, end = (_entropy(study.isel(record=i), "agrae") for i in (0, study.sizes["record"] // 2, -1))
    return _all_of(start - end, PLATEAU * (start - end) - (half - end))


def _all_of(*effects: xr.DataArray) -> xr.DataArray:
    return xr.concat(effects, "part", coords="minimal", compat="override", join="override")


def _above(best, others, k, *populations):
    """pass@k of `best` above that of each of `others`, in points."""
    return lambda d: (
        100 * _all_of(*(mean_pass(d, best, k, *populations) - mean_pass(d, o, k, *populations) for o in others))
    )


def _early_and_late(best, others, window):
    def effect(study):
        tenth = max(1, study.sizes["interval"] // 10)
        part = study.isel(interval=slice(0, tenth) if window == "early" else slice(-tenth, None)).correct.mean(
            "interval"
        )
        return 100 * _all_of(*(part.sel(estimator=best) - part.sel(estimator=o) for o in others))

    return effect


def collapsed(study: xr.Dataset) -> xr.DataArray:
    """Whether the exact training pass@1 ends more than 0.05 below its running maximum, [seed, estimator]."""
    passed = study.pass_at_k.sel(population="train", k=1)
    return (passed.isel(record=-1) < passed.max("record") - 0.05).astype(float)


def _collapses_alone(study):
    fell = collapsed(study)
    return fell.sel(estimator="negative_dominant") * (1 - fell.sel(estimator="grpo"))


def _greedy(d, method):
    have = [p for p in (*BENCHMARKS, "held-out") if p in d.population.values]
    return 100 * d.greedy.sel(estimator=method, population=have).mean("population")


GRPO = "against GRPO"

MEASURES = (
    Measure("fig2_grpo_raises_pass1", "fig2", _grpo_raises, ("against the base",), ("grpo",), whole_path=True),
    Measure("fig2_grpo_below_base", "fig2", _grpo_below_base, ("against the base",), ("grpo",), whole_path=True),
    Measure(
        "fig2_negative_best_at_256",
        "fig2",
        _above("negative_dominant", ("grpo",), 256),
        (GRPO,),
        ("grpo", "negative_dominant"),
    ),
    Measure(
        "fig2_positive_worst_at_256",
        "fig2",
        _above("grpo", ("positive_dominant",), 256),
        (GRPO,),
        ("grpo", "positive_dominant"),
    ),
    Measure(
        "fig3_positive_entropy_falls_fastest",
        "fig3",
        lambda d: _entropy(d, "grpo") - _entropy(d, "positive_dominant"),
        (GRPO,),
        ("grpo", "positive_dominant"),
        held_out=False,
    ),
    Measure(
        "fig3_negative_entropy_grows",
        "fig3",
        _entropy_growth,
        ("after the first quarter",),
        ("negative_dominant",),
        whole_path=True,
        held_out=False,
    ),
    Measure(
        "fig4_easy_leads_on_easy_prompts",
        "fig4",
        _above("easy_focused", ("hard_focused",), 1, "MATH", "easier half"),
        ("against Hard-Focused",),
        ("easy_focused", "hard_focused"),
    ),
    Measure(
        "fig4_hard_leads_on_hard_prompts",
        "fig4",
        _above("hard_focused", ("easy_focused",), 1, "AIME 2025", "harder half"),
        ("against Easy-Focused",),
        ("easy_focused", "hard_focused"),
    ),
    Measure(
        "fig5_easy_fastest_early",
        "fig5",
        _early_and_late("easy_focused", ("grpo", "hard_focused"), "early"),
        (GRPO, "against Hard-Focused"),
        ("grpo", "easy_focused", "hard_focused"),
        whole_path=True,
        held_out=False,
    ),
    Measure(
        "fig5_hard_best_late",
        "fig5",
        _early_and_late("hard_focused", ("grpo", "easy_focused"), "late"),
        (GRPO, "against Easy-Focused"),
        ("grpo", "easy_focused", "hard_focused"),
        whole_path=True,
        held_out=False,
    ),
    Measure(
        "fig9_negative_collapses",
        "fig9",
        _collapses_alone,
        ("where GRPO does not",),
        ("negative_dominant", "grpo"),
        whole_path=True,
        held_out=False,
    ),
    Measure(
        "fig9_attenuation_prevents_collapse",
        "fig9",
        lambda s: collapsed(s).sel(estimator="negative_dominant") - collapsed(s).sel(estimator="ass"),
        ("Negative-Dominant minus ASS",),
        ("negative_dominant", "ass"),
        whole_path=True,
        held_out=False,
    ),
    Measure(
        "fig10_agrae_entropy_plateau",
        "fig10",
        _plateau,
        ("the drop", "a quarter of it minus the second half's"),
        ("agrae",),
        whole_path=True,
        held_out=False,
    ),
    Measure(
        "fig10_agrae_entropy_above_grpo",
        "fig10",
        lambda d: _entropy(d, "agrae") - _entropy(d, "grpo"),
        (GRPO,),
        ("agrae", "grpo"),
        held_out=False,
    ),
    Measure(
        "fig10_agrae_greedy_above_grpo",
        "fig10",
        lambda d: _greedy(d, "agrae") - _greedy(d, "grpo"),
        (GRPO,),
        ("agrae", "grpo"),
    ),
    Measure("table3_agrae_beats_grpo_pass1", "table3", _above("agrae", ("grpo",), 1), (GRPO,), ("agrae", "grpo")),
    Measure("table3_agrae_beats_grpo_pass256", "table3", _above("agrae", ("grpo",), 256), (GRPO,), ("agrae", "grpo")),
    Measure(
        "table6_both_halves_needed",
        "table6",
        _above("agrae", ("ddas", "ass"), 1),
        ("against DDAS", "against ASS"),
        ("agrae", "ddas", "ass"),
    ),
    Measure(
        "table7_ddas_beats_foci_pass1",
        "table7",
        _above("ddas", ("easy_focused", "hard_focused"), 1),
        ("against Easy-Focused", "against Hard-Focused"),
        ("ddas", "easy_focused", "hard_focused"),
    ),
    Measure(
        "table7_ass_matches_negative_at_256",
        "table7",
        _above("ass", ("negative_dominant",), 256),
        ("ASS minus Negative-Dominant",),
        ("ass", "negative_dominant"),
    ),
)


def _one_step(steps: xr.Dataset, batch: int) -> xr.Dataset:
    """GRPO's steps at the smallest learning rate, where a step is linear; `batch` is 0 for one prompt, -1 for many."""
    at = steps.sel(estimator="grpo").isel(rate=0, batch=batch)
    return at.mean([d for d in at.dims if d in ("size", "depth", "history", "draw", "optimizer")])


def _explained(subset: str, batch: int) -> Callable[[xr.Dataset], xr.DataArray]:
    return lambda steps: _one_step(steps, batch).r2.sel(predictor="theorem_1", subset=subset) - 0.5


def _stays(batch: int) -> Callable[[xr.Dataset], xr.DataArray]:
    def effect(steps):
        d = _one_step(steps, batch)
        return 0.1 - d.rms.sel(subset="unsampled") / d.rms.sel(subset="sampled_correct")

    return effect


def _step_measure(id: str, effect: Callable[[xr.Dataset], xr.DataArray], what: str) -> Measure:
    return Measure(id, "theorem1", effect, (what,), ("grpo",), whole_path=True)


STEP_MEASURES = tuple(
    _step_measure(f"theorem1_predicts_{subset}_of_{word}", _explained(subset, batch), "R2 minus a half")
    for subset in ("sampled", "all")
    for batch, word in ((0, "one"), (-1, "sixteen"))
) + tuple(
    _step_measure(f"theorem1_unsampled_stay_of_{word}", _stays(batch), "a tenth minus the ratio")
    for batch, word in ((0, "one"), (-1, "sixteen"))
)
"""Measures of single steps of the transformer, at batches of one and of sixteen prompts."""


def effects(study: xr.Dataset, measure: Measure) -> dict[str, np.ndarray]:
    """Effects [seed, part] of one claim in each of its readings, over all seeds of the study."""
    if measure.whole_path:
        moments = {PATH: study}
    else:
        moments = {EQUAL_STEP: at_end(study), MATCHED: at_matched_budget(study, measure.methods)}
    found = {}
    for name, moment in moments.items():
        effect = measure.effect(moment)
        parts = effect if "part" in effect.dims else effect.expand_dims("part")
        found[name] = parts.transpose("seed", "part").values
    return found


def readable(study: xr.Dataset, measures: Iterable[Measure] = MEASURES) -> list[Measure]:
    """The measures whose methods and populations this study has."""
    methods = set(study.estimator.values)
    alone = "population" in study.dims and study.sizes["population"] == 1
    return [m for m in measures if methods.issuperset(m.methods) and not (alone and m.held_out)]


def recorded(studies: dict[str, xr.Dataset], command: str, measures: Sequence[Measure] = MEASURES) -> dict[str, Any]:
    """Effects of every seed as plain data, by setting, claim and reading: all that a verdict is made from."""
    return {
        "command": command,
        "settings": {
            setting: {
                "seeds": [int(s) for s in study.seed.values],
                "claims": {
                    m.id: {
                        reading: [[float(f"{x:.6g}") for x in row] for row in values]
                        for reading, values in effects(study, m).items()
                    }
                    for m in readable(study, measures)
                },
            }
            for setting, study in studies.items()
        },
    }
