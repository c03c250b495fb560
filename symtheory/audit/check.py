"""The audit itself: batches of rollouts in, a report of plain numbers out."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from .. import estimators
from ..errors import InputError
from ..estimators import Estimator
from ..metrics.plane import difficulty_tilt, group_asymmetry
from .entropy import attribution, entropy_per_token
from .gain import expected_gain
from .identify import Identification
from .progress import Progress
from .read import Log
from .rows import Batch
from .tally import BINS, LABELS, Census, Weight, advantages_under, census, plus, statistics, token_lengths, weigh
from .trend import fifths
from .trust import Trust
from .warnings import warnings

STEPS = 1024
"""Steps kept apart in a report; a longer run is reported by ranges of 2, 4, 8 ... steps."""
PROMPTS = 256
"""Prompts of the batch in which the expected change is computed."""
LOGGED, ASSUMED = "(logged)", "(assumed)"
Entry = tuple[Census, dict[str, Weight]]


@dataclass
class Sums:
    """All that is kept of a log while it streams by."""

    sizes: Counter = field(default_factory=Counter)
    distinct: int = 0
    """steps seen"""
    steps: dict[int, Entry] = field(default_factory=dict)
    width: int = 1
    span: tuple[int, int] = (2**62, -(2**62))
    """the first and the last step"""
    """steps in each entry of `steps`"""
    undefined: dict[str, str] = field(default_factory=dict)
    """estimator -> why it is not defined for this log"""

    def add(self, batch: Batch, counts: Census, weights: dict[str, Weight]) -> None:
        self.span = min(self.span[0], batch.step), max(self.span[1], batch.step)
        key = batch.step - batch.step % self.width
        self.steps[key] = _merge(self.steps[key], (counts, weights)) if key in self.steps else (counts, weights)
        while len(self.steps) > STEPS:
            self.width *= 2
            old, self.steps = self.steps, {}
            for step, entry in sorted(old.items()):
                key = step - step % self.width
                self.steps[key] = _merge(self.steps[key], entry) if key in self.steps else entry
        self.sizes.update(batch.sizes.tolist())
        self.distinct += not batch.again

    def entries(self) -> list[Entry]:
        return [self.steps[step] for step in sorted(self.steps)]


def audit(log: Log, estimator: str = "grpo", against: Sequence[str] = ()) -> dict:
    """Audit a log: whether it can be trusted, and what its advantages, or those of an assumed estimator, add up to.

    Args:
        log: as `read` returns it; it is consumed.
        estimator: registered name, for logs without advantages.
        against: registered names of estimators to apply to the same log.

    Returns:
        JSON-ready dict. `trust` (`ok`, and `findings` with `key`, `grave`, `count`, `of`, `sentence`), `groups`,
        `rollouts`, `skipped_rows`, `dead_fraction` (of the groups of two and more), `group_asymmetry` (C / sum |A|),
        `nearest_estimator` (None without logged advantages, or where none is near) and the parts of the report:
        `reward`, `dead`, `difficulty`, `focus`, `length`, `change`, `fifths`, `entropy`, `per_step`, `against`,
        `identification`, `warnings`.

    Raises:
        InputError: an unknown estimator, or a log without a single usable rollout.
    """
    assumed = estimators.get(estimator)
    others = {name: estimators.get(name) for name in against}
    sums, progress, trust = Sums(), Progress(), Trust(log)
    identification = Identification(log.length_unit, log.files)
    for batch in log.batches:
        _take(batch, log, assumed, others, sums)
        trust.add(batch)
        progress.add(batch)
        identification.add(batch)
    if not sums.steps:
        raise InputError(_nothing(log))
    return _report(log, sums, progress, trust, identification.result(), assumed, others)


def _nothing(log: Log) -> str:
    first = f"; the first: {': '.join(log.skipped.examples[0])}" if log.skipped.examples else ""
    if not log.skipped.total and log.left["where"]:
        return f"no rollout in {log.files[0]}: --where leaves none of {log.left['where']} rows"
    return f"no usable rollout in {log.files[0]}: {log.skipped.total} rows were skipped{first}"


def _take(batch: Batch, log: Log, assumed: Estimator, others: dict[str, Estimator], sums: Sums) -> None:
    lengths = token_lengths(batch, log.length_unit)
    shared = statistics(batch, lengths)
    weights: dict[str, Weight] = {}
    logged = batch.rows["advantage"]
    if np.isfinite(logged).any():
        weights[LOGGED] = weigh(batch, logged)
    asked = {**others, **({} if weights else {ASSUMED: assumed})}
    for name, estimator in asked.items():
        try:
            weights[name] = weigh(batch, advantages_under(batch, estimator, lengths, shared))
        except InputError as reason:
            sums.undefined[estimator.name] = str(reason)
    sums.add(batch, census(batch), weights)


def _merge(a: Entry, b: Entry) -> Entry:
    names = [*a[1], *(n for n in b[1] if n not in a[1])]
    both = {n: plus(a[1][n], b[1][n]) if n in a[1] and n in b[1] else (a[1] | b[1])[n] for n in names}
    return plus(a[0], b[0]), both


def _report(
    log: Log, sums: Sums, progress: Progress, trust: Trust, nearest: dict | None, assumed: Estimator, others
) -> dict:
    entries = sums.entries()
    counts, weights = entries[0]
    for entry in entries[1:]:
        counts, weights = _merge((counts, weights), entry)
    source = LOGGED if LOGGED in weights else ASSUMED
    if source not in weights:
        raise InputError(f"estimator cannot be applied to this log: {sums.undefined[assumed.name]}")
    near = nearest is not None and nearest["near"]
    acting = estimators.get(nearest["name"], **nearest["params"]) if nearest and near else assumed
    groups = float(counts.groups.sum())
    own, size = weights[source], _usual_size(sums.sizes)
    findings = trust.findings(nearest)
    report = {
        "trust": {"ok": not any(f["grave"] for f in findings), "findings": findings},
        "format": log.format,
        "files": len(log.files),
        "columns": dict(log.columns),
        "reward": _reward(log),
        "steps": sums.distinct,
        "step_range": list(sums.span),
        "groups": int(groups),
        "rollouts": int(counts.rollouts.sum()),
        "skipped_rows": log.skipped.total,
        "skipped": {
            "reasons": dict(log.skipped.counts.most_common()),
            "first": [{"where": place, "reason": reason} for place, reason in log.skipped.examples],
        },
        "left_out": {reason: count for reason, count in log.left.items() if count},
        "group_sizes": {str(size): count for size, count in sorted(sums.sizes.items())},
        "mean_reward": counts.reward / float(counts.rollouts.sum()),
        "success": float(counts.success.sum()) / groups,
        **_dead(counts),
        "advantages": "logged" if source == LOGGED else "computed",
        "estimator": acting.name,
        "nearest_estimator": nearest["name"] if nearest and near else None,
        "identification": nearest,
        **_symmetry(own),
        "difficulty": _by_difficulty(counts, own, acting, size),
        "length": _length(own, log.length_unit),
        "entropy_per_token": entropy_per_token(counts),
        "entropy": attribution([(c, w.get(source)) for c, w in entries]),
        "change": _change(progress, acting, size, counts),
        "fifths": fifths(entries, _merge, lambda entry: _numbers(entry, source)),
        "per_step": [{"step": step} | _numbers(sums.steps[step], source) for step in sorted(sums.steps)],
        "steps_per_entry": sums.width,
        "against": {name: _counterfactual(weights.get(name), sums.undefined.get(name), log) for name in others},
        "notes": log.notes,
    }
    return report | {"warnings": warnings(report)}


def _usual_size(sizes: Counter) -> int:
    paired = Counter({size: count for size, count in sizes.items() if size > 1})
    return (paired or sizes).most_common(1)[0][0]


def _reward(log: Log) -> dict:
    """What the reward is, how the choice was made, and the rule for success."""
    score = log.score
    known = log.has_advantages and score.fit is not None
    return {
        "option": score.option,
        "columns": list(score.columns),
        "weights": {c: float(w) for c, w in zip(score.columns, score.weights, strict=True)},
        "default": None if score.default is None else str(score.default),
        "unexplained": score.fit.unexplained if known and score.fit else None,
        "standardised": None if score.standardised is None else score.standardised._asdict(),
        "untold": [score.columns[i] for i in score.fit.unsure] if known and score.fit else [],
        "chosen": not score.free,
        "success": str(score.rule),
        "graded": score.graded,
    }


def _dead(counts: Census) -> dict:
    groups = counts.paired
    parts = {"all_right": counts.right, "all_wrong": counts.wrong, "equal_graded": counts.equal}
    if not groups:
        return {"dead_fraction": None, "dead": dict.fromkeys(parts, 0.0)}
    return {"dead_fraction": sum(parts.values()) / groups, "dead": {k: v / groups for k, v in parts.items()}}


def _symmetry(weight: Weight) -> dict:
    return {
        "group_asymmetry": group_asymmetry(weight.signed, weight.absolute),
        "sum_of_advantages": float(weight.signed.sum()),
        "sum_of_absolute_advantages": float(weight.absolute.sum()),
        "sum_with_masked": float(weight.unmasked.sum()),
        "silent_fraction": float(weight.silent.sum()) / max(float(weight.groups.sum()), 1),
        "difficulty_tilt": _tilt(weight),
        "focus": _focus(weight),
    }


def _tilt(weight: Weight) -> float | None:
    """Difficulty tilt of the logged groups, against GRPO's weight of the same groups."""
    if not (weight.absolute.sum() and weight.reference.sum()):
        return None
    centre = weight.success_absolute.sum() / weight.absolute.sum()
    return float(difficulty_tilt(centre, weight.success_reference.sum() / weight.reference.sum()))


def _focus(weight: Weight) -> dict | None:
    """Where the weight per rollout peaks, and the mean p of all the weight."""
    if not weight.absolute.sum():
        return None
    top = int(_per_rollout(weight.absolute, weight).argmax())
    peak = weight.success_absolute[top] / weight.absolute[top]
    return {
        "peak": float(peak),
        "peak_bin": LABELS[top],
        "mean": float(weight.success_absolute.sum() / weight.absolute.sum()),
    }


def _by_difficulty(counts: Census, weight: Weight, acting: Estimator, size: int) -> list[dict]:
    total = float(weight.absolute.sum())
    gain = expected_gain(acting, size, _mean_p(counts), _difficulties(counts))
    gain = np.zeros(BINS) if gain is None else gain * counts.groups
    return [
        {
            "p": label,
            "groups": int(counts.groups[i]),
            "mean_p": _ratio(counts.success[i], counts.groups[i]),
            "absolute_per_rollout": _ratio(weight.absolute[i], weight.rollouts[i]),
            "grpo_per_rollout": _ratio(weight.reference[i], weight.rollouts[i]),
            "share": _ratio(weight.absolute[i], total),
            "expected_share": _ratio(gain[i], gain.sum()),
            "group_asymmetry": group_asymmetry(weight.signed[i], weight.absolute[i]),
        }
        for i, label in enumerate(LABELS)
    ]


def _length(weight: Weight, unit: str) -> dict | None:
    """What lengths make of the asymmetry; None where they are not logged.

    A loss that divides by all tokens of the batch gives the gradient of log pi(o_i) the coefficient A_i / sum l, so C
    stays. One that divides each rollout by its own length gives it A_i / l_i: its C is that of the covariance of A and
    1 / l. The sum of the advantages of all tokens, sum l A, is neither, and says which tokens are pushed.
    """
    inverse = group_asymmetry(weight.inverse_signed, weight.inverse_absolute)
    if inverse is None:
        return None
    tokens = group_asymmetry(weight.token_signed, weight.token_absolute)
    return {"unit": unit, "sequence_mean_asymmetry": inverse, "token_asymmetry": tokens}


def _numbers(entry: Entry, source: str) -> dict:
    """The numbers of some steps that are worth following."""
    counts, weights = entry
    weight = weights.get(source)
    rollouts = max(float(counts.rollouts.sum()), 1)
    return {
        "groups": int(counts.groups.sum()),
        "rollouts": int(counts.rollouts.sum()),
        "omega": counts.reward / rollouts,
        "success": _ratio(counts.success.sum(), counts.groups.sum()),
        **_dead(counts),
        "group_asymmetry": None if weight is None else group_asymmetry(weight.signed, weight.absolute),
        "difficulty_tilt": None if weight is None else _tilt(weight),
        "peak": None if weight is None else (_focus(weight) or {}).get("peak"),
        "sequence_mean_asymmetry": None
        if weight is None
        else group_asymmetry(weight.inverse_signed, weight.inverse_absolute),
        "entropy_per_token": entropy_per_token(counts),
    }


def _counterfactual(weight: Weight | None, undefined: str | None, log: Log) -> dict:
    if weight is None or undefined:
        return {"undefined": undefined or "no group is large enough"}
    return {
        **_symmetry(weight),
        "length": _length(weight, log.length_unit),
        "absolute_per_rollout": _per_rollout(weight.absolute, weight).tolist(),
    }


def _change(progress: Progress, acting: Estimator, size: int, counts: Census) -> dict | None:
    """Observed change of success by difficulty, beside `expected_gain` times one number, eta, fitted to it."""
    observed = progress.result()
    if observed is None:
        return None
    seen = observed["visits"] > 0
    p = observed["before"]
    gain = expected_gain(acting, size, p, _difficulties(counts))
    weight = observed["visits"] * (0 if gain is None else gain)
    scale = None if gain is None else float(weight @ observed["change"] / max(float(weight @ gain), 1e-300))
    return {
        "bins": [
            {
                "p": LABELS[i],
                "visits": int(observed["visits"][i]),
                "before": float(p[i]),
                "change": float(observed["change"][i]),
                "error": None if np.isnan(observed["error"][i]) else float(observed["error"][i]),
                "predicted": None if gain is None or scale is None else float(scale * gain[i]),
            }
            for i in np.flatnonzero(seen)
        ],
        "eta": scale,
    }


def _difficulties(counts: Census) -> np.ndarray:
    """Success of `PROMPTS` prompts that are as difficult as those of the log: quantiles of the bins' means."""
    share = (np.arange(PROMPTS) + 0.5) / PROMPTS
    upto = np.cumsum(counts.groups) / counts.groups.sum()
    return _mean_p(counts)[np.minimum(np.searchsorted(upto, share), BINS - 1)]


def _mean_p(counts: Census) -> np.ndarray:
    return np.divide(counts.success, counts.groups, out=np.zeros(BINS), where=counts.groups > 0)


def _per_rollout(values: np.ndarray, weight: Weight) -> np.ndarray:
    return np.divide(values, weight.rollouts, out=np.zeros(BINS), where=weight.rollouts > 0)


def _ratio(a, b) -> float | None:
    return float(a) / float(b) if b else None
