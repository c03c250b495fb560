"""The plan itself: a population in, plain numbers out, each exact or with its range."""

import math
from collections.abc import Sequence

import numpy as np

from .. import estimators as registry
from ..errors import InputError
from ..estimators import Estimator
from ..evidence.tables import Row
from ..metrics.passk import pass_at_k
from . import power
from .population import Population, binomial
from .step import Step, live, moments, sees_batch, slope, step

ESTIMATORS = (
    "grpo",
    "dr_grpo",
    "hard_focused",
    "easy_focused",
    "positive_dominant",
    "negative_dominant",
    "agrae",
)
GROUP_SIZES = (2, 4, 8, 16, 32, 64)
EDGES = (0.2, 0.4, 0.6, 0.8)
BINS = ("[0, .2)", "[.2, .4)", "[.4, .6]", "(.6, .8]", "(.8, 1]")
"""Bins of the success probability in which gains are reported, symmetric about 1/2"""
QUESTIONS = 500
"""Questions of an evaluation where nothing says how many"""
QUANTILES = 1000
MOST_GROUP, MOST_ROLLOUTS = 512, 1 << 16


def plan(
    population: Population,
    *,
    group_size: int = 8,
    group_sizes: Sequence[int] = GROUP_SIZES,
    rollouts: int = 1024,
    estimators: Sequence[str] = ESTIMATORS,
    keep: tuple[float, float] = (0.2, 0.8),
    ks: Sequence[int] = (1, 16, 256),
    samples: int | None = None,
    questions: int | None = None,
    difference: float = 0.02,
    others: Sequence[tuple[Row, Population]] = (),
) -> dict:
    """What each group size, filter and estimator gives for the same number of rollouts, and what an evaluation can see.

    Args:
        population: questions to train on.
        group_size: G of the present run, with which the others are compared.
        group_sizes: G to look at; the present one is added.
        rollouts: rollouts in a step, shared by rollouts / G questions.
        estimators: registered names; the first is the present one.
        keep: least and greatest success of the questions that a filter keeps.
        ks: attempts of the evaluation; a crossing is between the first and the last.
        samples: samples per question of the evaluation; the largest k if not given.
        questions: questions of the evaluation; 500 if not given.
        difference: of pass@k, as a fraction.
        others: rows of the same benchmark with their populations, to be compared with this one.

    Returns:
        JSON-ready dict: `population`, `group_sizes` (one entry for each G), `power`, `compared`. Where the population
        is inferred, the `_range` beside a number holds the values that the data allow (of a pass@k row: with its
        rounding; of tries: at 95%). It is null where the population is exact, and for signal to noise under an
        estimator that looks at the whole batch. Ranges of such an estimator's gain hold the batch at its estimate.

    Raises:
        InputError: a number outside its range, an unknown estimator, or a group larger than the step.
    """
    sizes = _checked_sizes(group_size, group_sizes, rollouts)
    _check(keep, ks, samples, difference, questions)
    chosen = [registry.get(name) for name in dict.fromkeys(estimators)]
    if not chosen:
        raise InputError("estimators must hold at least one name")
    samples = max(ks) if samples is None else samples
    questions = QUESTIONS if questions is None else questions
    p = population.success
    return {
        "population": {
            "questions": population.questions,
            "exact": population.exact,
            "success": population.mean(p),
            "success_range": _range(population, p),
            "never": float(population.weight[p < 1e-4].sum()),
            "always": float(population.weight[p > 1 - 1e-4].sum()),
            "by_difficulty": dict(zip(BINS, _by_difficulty(population, np.ones_like(p)), strict=True)),
        },
        "rollouts": rollouts,
        "group_size": group_size,
        "estimator": chosen[0].name,
        "filter": list(keep),
        "group_sizes": [_at(population, size, rollouts, chosen, keep) for size in sizes],
        "power": _power(population, ks, samples, questions, difference),
        "compared": [_compared(population, row, other, samples, questions) for row, other in others],
    }


def _checked_sizes(group_size: int, group_sizes: Sequence[int], rollouts: int) -> list[int]:
    sizes = sorted({*group_sizes, group_size})
    if sizes[0] < 2 or sizes[-1] > MOST_GROUP:
        bad = sizes[0] if sizes[0] < 2 else sizes[-1]
        raise InputError(f"group size must be from 2 to {MOST_GROUP} rollouts, got {bad}")
    if not group_size <= rollouts <= MOST_ROLLOUTS:
        raise InputError(
            f"rollouts must be at least the group size {group_size}, and at most {MOST_ROLLOUTS}, got {rollouts}"
        )
    return [size for size in sizes if size <= rollouts]


def _check(keep, ks, samples, difference, questions) -> None:
    if not 0 <= keep[0] < keep[1] <= 1:
        raise InputError(f"filter must be two success rates with 0 <= low < high <= 1, got {keep[0]:g} and {keep[1]:g}")
    if not ks or min(ks) < 1 or max(ks) > 1 << 14:
        raise InputError(f"ks must be numbers of attempts from 1 to {1 << 14}, got {list(ks)}")
    if samples is not None and not max(ks) <= samples <= power.MOST_SAMPLES:
        raise InputError(f"samples must be at least the largest k, {max(ks)}, and at most a million, got {samples}")
    if not 0 < difference < 1:
        raise InputError(f"difference must be a fraction between 0 and 1, such as 0.02, got {difference:g}")
    if questions is not None and questions < 1:
        raise InputError(f"questions must be at least 1, got {questions}")


def _at(population: Population, size: int, rollouts: int, chosen: Sequence[Estimator], keep) -> dict:
    """Everything about one group size."""
    p, groups = population.success, rollouts // size
    alive = live(size, p)
    share = population.mean(alive)
    return {
        "group_size": size,
        "groups": groups,
        "live": share,
        "live_range": _range(population, alive),
        "all_wrong": population.mean((1 - p) ** size),
        "all_correct": population.mean(p**size),
        "wasted_rollouts": 1 - share,
        "rollouts_for_a_full_step": groups * size / share if share > 0 else None,
        "rollouts_for_a_full_step_range": _inverse(_range(population, alive), groups * size),
        "kept_by_filter": _kept(population, size, keep),
        "estimators": {e.name: _estimator(population, e, size, groups, keep) for e in chosen},
    }


def _kept(population: Population, size: int, keep) -> dict:
    """Share of questions that a filter keeps by their success, and of groups that one keeps by their own rate K / G."""
    p, band = population.success, _band(size, keep)
    inside = ((p >= keep[0] - 1e-12) & (p <= keep[1] + 1e-12)).astype(float)
    chance = binomial(size, p) @ band
    return {
        "questions": population.mean(inside),
        "questions_range": _range(population, inside),
        "groups": population.mean(chance),
        "groups_range": _range(population, chance),
        "live": _quotient(population.mean(inside * live(size, p)), population.mean(inside)),
    }


def _band(size: int, keep) -> np.ndarray:
    """[G + 1] 1 for mixed groups whose own rate lies within the filter."""
    k = np.arange(size + 1)
    return ((k > 0) & (k < size) & (k >= keep[0] * size - 1e-9) & (k <= keep[1] * size + 1e-9)).astype(float)


def _estimator(population: Population, estimator: Estimator, size: int, groups: int, keep) -> dict:
    """One estimator at one group size; a reason in place of numbers where the group is too small for it."""
    try:
        plain = step(estimator, size, population, groups)
        slopes = slope(estimator, size, population.success, population, groups)
    except InputError as reason:
        return {"undefined": str(reason)}
    p = population.success
    gain = slopes * (p * (1 - p)) ** 2
    total = population.mean(gain)
    inside = (p >= keep[0] - 1e-12) & (p <= keep[1] + 1e-12)
    outside = gain * ~inside
    return {
        "gain": total,
        "gain_range": _range(population, gain),
        "gain_by_difficulty": dict(zip(BINS, _by_difficulty(population, gain, total), strict=True)),
        "slope_at": {f"{q:g}": float(_slope_at(estimator, size, population, groups, q)) for q in (0.1, 0.5, 0.9)},
        "signal": plain.mean,
        "variance": plain.variance,
        "signal_to_noise": plain.signal_to_noise,
        "signal_to_noise_range": _noise_range(population, estimator, size, groups),
        "filter": {
            "gain_lost": _quotient(population.mean(outside), total),
            "gain_lost_range": _share_range(population, outside, gain * inside),
            **_filtered(population, estimator, size, groups, keep, total, plain),
        },
        "filter_on_group": _redrawn(population, estimator, size, groups, _band(size, keep), plain),
        "dynamic_sampling": _redrawn(population, estimator, size, groups, _band(size, (0, 1)), plain),
    }


def _slope_at(estimator, size, population, groups, p):
    return slope(estimator, size, np.array([p]), population, groups)[0]


def _filtered(population, estimator, size, groups, keep, total, plain: Step) -> dict:
    """A step whose rollouts all go to the questions that the filter keeps."""
    try:
        kept = population.only(*keep)
        filtered = step(estimator, size, kept, groups)
    except InputError:
        return {"gain_ratio": None, "signal_to_noise_ratio": None}
    q = kept.success
    gain = kept.mean(slope(estimator, size, q, kept, groups) * (q * (1 - q)) ** 2)
    return {
        "gain_ratio": _quotient(gain, total),
        "signal_to_noise_ratio": _quotient(filtered.signal_to_noise, plain.signal_to_noise),
    }


def _redrawn(population, estimator, size, groups, band, plain: Step) -> dict | None:
    """A step in which groups outside the band are drawn again until it is full; None if no group is inside."""
    try:
        full = step(estimator, size, population, groups, band)
    except InputError:
        return None
    ratio = _quotient(full.signal_to_noise, plain.signal_to_noise)
    return {
        "rollouts_ratio": 1 / full.kept,
        "step_ratio": _quotient(full.mean, plain.mean),
        "signal_to_noise_ratio": ratio,
        "signal_to_noise_ratio_for_the_same_rollouts": None if ratio is None else ratio * full.kept,
    }


def _by_difficulty(population: Population, values: np.ndarray, total: float = 1.0) -> list[float | None]:
    # an edge belongs to the middle, so that a filter from .2 to .8 keeps whole bins
    p = population.success
    place = np.where(p <= 0.5, np.searchsorted(EDGES, p + 1e-12), np.searchsorted(EDGES, p - 1e-12))
    sums = np.bincount(place, population.weight * values, minlength=len(BINS))
    return [_quotient(float(s), total) for s in sums]


def _range(population: Population, values: np.ndarray) -> list[float] | None:
    found = population.range(values)
    return None if found is None else list(found)


def _inverse(found: list[float] | None, scale: float) -> list[float | None] | None:
    return None if found is None else [scale / found[1], scale / found[0] if found[0] > 0 else None]


def _share_range(population: Population, part: np.ndarray, rest: np.ndarray) -> list[float] | None:
    """Range of part / (part + rest), both means of functions >= 0: at least as wide as the true one."""
    if population.exact:
        return None
    (a, b), (c, d) = population.range(part) or (0, 0), population.range(rest) or (0, 0)
    low, high = _quotient(max(a, 0), max(a, 0) + d), _quotient(b, b + max(c, 0))
    return [low or 0.0, 1.0 if high is None else high]


def _noise_range(population: Population, estimator: Estimator, size: int, groups: int) -> list[float | None] | None:
    """Range of the signal to noise, at least as wide as the true one; None also where the whole batch enters."""
    if population.exact or sees_batch(estimator):
        return None
    first, second = moments(estimator, size, population.success)
    (a, b), (c, d) = population.range(first) or (0, 0), population.range(second) or (0, 0)
    return [_quotient(groups * max(a, 0) ** 2, d), _quotient(groups * b**2, c) if c > 0 else None]


def _quotient(a: float | None, b: float | None) -> float | None:
    return None if a is None or not b else a / b


def _power(population: Population, ks, samples: int, questions: int, size: float) -> dict:
    """What the evaluation shows of a difference at each k, and of a crossing between the first and the last."""
    found = []
    for k in dict.fromkeys(ks):
        other = power.difference(population, k, size)
        found.append(
            {"k": k, "pass_at_k": population.mean(pass_at_k(population.success, k)), "difference": None}
            if other is None
            else power.compare(population, other, k, questions, samples, power.POWER)
        )
    low, high = min(ks), max(ks)
    other = power.crossing(population, low, high, size) if high > low else None
    each = 1 - (1 - power.POWER) / 2  # two differences are both seen in at least the wanted share
    both = (
        None if other is None else [power.compare(population, other, k, questions, samples, each) for k in (low, high)]
    )
    return {
        "size": size,
        "questions": questions,
        "samples": samples,
        "significance": power.SIGNIFICANCE,
        "power": power.POWER,
        "differences": found,
        "crossing": None if both is None else {"ends": both, **_both(both)},
    }


def _both(ends: list[dict]) -> dict:
    """What it takes to see both ends; the chance is at least that of two events without regard to their dependence."""
    samples, asked = ([end[key] for end in ends] for key in ("samples_needed", "questions_needed"))
    chance = {
        key: max(0.0, sum(end["chance_to_see"][key] for end in ends) - 1) for key in ("same_questions", "new_questions")
    }
    return {
        "chance_to_see_at_least": chance,
        "samples_needed": None if None in samples else max(samples),
        "questions_needed": max(asked),
    }


def _compared(population: Population, row: Row, other: Population, samples: int, questions: int) -> dict:
    """Another row of the table beside this one: differences as inferred, their errors, and whether the curves cross."""
    share = (np.arange(QUANTILES) + 0.5) / QUANTILES
    first, second = (
        each.success[np.minimum(np.searchsorted(np.cumsum(each.weight), share), len(each.success) - 1)]
        for each in (population, other)
    )
    pairs = Population(first, np.full(QUANTILES, 1 / QUANTILES), questions)
    ks = [int(k) for k in row.ks if k <= samples]
    found = [power.compare(pairs, second, k, questions, samples, power.POWER) for k in ks]
    gaps = [f["difference"] for f in found]
    cross = [[ks[i], ks[i + 1]] for i in range(len(ks) - 1) if gaps[i] * gaps[i + 1] < 0]
    seen = [abs(g) > 1.96 * f["standard_error"]["same_questions"] for g, f in zip(gaps, found, strict=True)]
    ends = {math.copysign(1, g) for g, s in zip(gaps, seen, strict=True) if s}
    return {"method": row.method, "differences": found, "crosses_between": cross, "crossing_is_seen": len(ends) > 1}
