"""The audit itself: batches of rollouts in, a report of plain numbers out."""

import functools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from .. import estimators
from ..errors import InputError
from ..estimators import Estimator
from ..evidence import Mixture, success_probabilities
from ..metrics.plane import difficulty_tilt, group_asymmetry
from .identify import Identification
from .progress import Progress
from .read import Log
from .rows import Batch
from .tally import BINS, LABELS, Census, Weight, advantages_under, census, plus, statistics, token_lengths, weigh
from .warnings import warnings

STEPS = 1024
"""Steps kept apart in a report; a longer run is reported by ranges of 2, 4, 8 ... steps."""
PROMPTS = 256
"""Prompts of the batch in which the expected change is computed."""
LOGGED, ASSUMED = "(logged)", "(assumed)"


@dataclass
class Sums:
    """All that is kept of a log while it streams by."""

    sizes: Counter = field(default_factory=Counter)
    distinct: int = 0
    """steps seen"""
    steps: dict[int, tuple[Census, dict[str, Weight]]] = field(default_factory=dict)
    width: int = 1
    """steps in each entry of `steps`"""
    undefined: dict[str, str] = field(default_factory=dict)
    """estimator -> why it is not defined for this log"""
    reopened: int = 0
    repeated: int = 0
    previous: bytes = b""

    def add(self, batch: Batch, counts: Census, weights: dict[str, Weight]) -> None:
        key = batch.step - batch.step % self.width
        self.steps[key] = _merge(self.steps[key], (counts, weights)) if key in self.steps else (counts, weights)
        while len(self.steps) > STEPS:
            self.width *= 2
            old, self.steps = self.steps, {}
            for step, entry in sorted(old.items()):
                key = step - step % self.width
                self.steps[key] = _merge(self.steps[key], entry) if key in self.steps else entry
        self.sizes.update(batch.sizes.tolist())
        self.reopened += batch.again
        self.distinct += not batch.again
        content = b"".join(batch.rows[name].tobytes() for name in ("group", "reward", "advantage", "length"))
        self.repeated += content == self.previous
        self.previous = content if len(batch.rows) < 1 << 16 else b""


def audit(log: Log, estimator: str = "grpo", against: Sequence[str] = ()) -> dict:
    """Audit a log: what its advantages, or those of an assumed estimator, add up to.

    Args:
        log: as `read` returns it; it is consumed.
        estimator: registered name, for logs without advantages.
        against: registered names of estimators to apply to the same log.

    Returns:
        JSON-ready dict. `groups`, `rollouts`, `skipped_rows`, `dead_fraction`, `group_asymmetry` (C / sum |A|),
        `nearest_estimator` (None without logged advantages) and the parts of the report: `dead`, `difficulty`,
        `focus`, `length`, `change`, `per_step`, `against`, `identification`, `warnings`.

    Raises:
        InputError: an unknown estimator, or a log without a single usable rollout.
    """
    assumed = estimators.get(estimator)
    others = {name: estimators.get(name) for name in against}
    sums, progress = Sums(), Progress()
    identification = Identification(log.length_unit, log.files)
    for batch in log.batches:
        _take(batch, log, assumed, others, sums)
        progress.add(batch)
        identification.add(batch)
    if not sums.steps:
        first = f"; the first: {': '.join(log.skipped.examples[0])}" if log.skipped.examples else ""
        raise InputError(f"no usable rollout in {log.files[0]}: {log.skipped.total} rows were skipped{first}")
    return _report(log, sums, progress, identification.result(), assumed, others)


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


def _merge(a: tuple[Census, dict], b: tuple[Census, dict]) -> tuple[Census, dict]:
    names = [*a[1], *(n for n in b[1] if n not in a[1])]
    both = {n: plus(a[1][n], b[1][n]) if n in a[1] and n in b[1] else (a[1] | b[1])[n] for n in names}
    return plus(a[0], b[0]), both


def _report(log: Log, sums: Sums, progress: Progress, nearest: dict | None, assumed: Estimator, others) -> dict:
    entries = [sums.steps[step] for step in sorted(sums.steps)]
    counts, weights = entries[0]
    for entry in entries[1:]:
        counts, weights = _merge((counts, weights), entry)
    source = LOGGED if LOGGED in weights else ASSUMED
    if source not in weights:
        raise InputError(f"estimator cannot be applied to this log: {sums.undefined[assumed.name]}")
    acting = assumed if nearest is None else estimators.get(nearest["name"], **nearest["params"])
    groups = float(counts.groups.sum())
    own, size = weights[source], sums.sizes.most_common(1)[0][0]
    report = {
        "format": log.format,
        "files": len(log.files),
        "steps": sums.distinct,
        "step_range": [min(sums.steps), max(sums.steps)],
        "groups": int(groups),
        "rollouts": int(counts.rollouts.sum()),
        "skipped_rows": log.skipped.total,
        "skipped": {
            "reasons": dict(log.skipped.counts.most_common()),
            "first": [{"where": place, "reason": reason} for place, reason in log.skipped.examples],
        },
        "group_sizes": {str(size): count for size, count in sorted(sums.sizes.items())},
        "mean_reward": counts.reward / float(counts.rollouts.sum()),
        "success": float(counts.success.sum()) / groups,
        **_dead(counts),
        "advantages": "logged" if source == LOGGED else "computed",
        "estimator": acting.name,
        "nearest_estimator": None if nearest is None else nearest["name"],
        "identification": nearest,
        **_symmetry(own),
        "difficulty": _by_difficulty(counts, own, acting, size),
        "length": _length(own, log.length_unit),
        "entropy_per_token": _entropy(counts),
        "change": _change(progress, acting, size, counts),
        "per_step": [_one_step(step, sums, source) for step in sorted(sums.steps)],
        "steps_per_entry": sums.width,
        "against": {name: _counterfactual(weights.get(name), sums.undefined.get(name), log) for name in others},
        "notes": log.notes,
    }
    return report | {"warnings": warnings(report, counts, sums)}


def _dead(counts: Census) -> dict:
    groups = max(float(counts.groups.sum()), 1)
    parts = {"all_right": counts.right, "all_wrong": counts.wrong, "equal_graded": counts.equal}
    return {"dead_fraction": sum(parts.values()) / groups, "dead": {k: v / groups for k, v in parts.items()}}


def _symmetry(weight: Weight) -> dict:
    return {
        "group_asymmetry": group_asymmetry(weight.signed, weight.absolute),
        "sum_of_advantages": float(weight.signed.sum()),
        "sum_of_absolute_advantages": float(weight.absolute.sum()),
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
    gain = expected_gain(acting, size, _mean_p(counts), counts)
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
    """What a token-mean loss, which weighs a rollout by its length, makes of the asymmetry."""
    asymmetry = group_asymmetry(weight.token_signed, weight.token_absolute)
    return None if asymmetry is None else {"unit": unit, "token_asymmetry": asymmetry}


def _entropy(counts: Census) -> float | None:
    """Mean of -log p over the sampled tokens, in nats: an unbiased estimate of the entropy per token."""
    return -counts.logprob / counts.logprob_tokens if counts.logprob_tokens else None


def _one_step(step: int, sums: Sums, source: str) -> dict:
    counts, weights = sums.steps[step]
    weight = weights.get(source)
    return {
        "step": step,
        "groups": int(counts.groups.sum()),
        "rollouts": int(counts.rollouts.sum()),
        "omega": counts.reward / max(float(counts.rollouts.sum()), 1),
        "success": _ratio(counts.success.sum(), counts.groups.sum()),
        **_dead(counts),
        "group_asymmetry": None if weight is None else group_asymmetry(weight.signed, weight.absolute),
        "difficulty_tilt": None if weight is None else _tilt(weight),
        "peak": None if weight is None else (_focus(weight) or {}).get("peak"),
        "token_asymmetry": None if weight is None else group_asymmetry(weight.token_signed, weight.token_absolute),
        "entropy_per_token": _entropy(counts),
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
    gain = expected_gain(acting, size, p, counts)
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


def expected_gain(estimator: Estimator, size: int, p: np.ndarray, counts: Census) -> np.ndarray | None:
    """Change of success that the estimator gives a prompt to first order, up to one factor: [BINS] -> [BINS].

    E[dP] = eta F'_G(P) |grad P|^2 (theorem on the expected update, arXiv:2510.13651), and |grad P|^2 = (P (1 - P))^2
    if every prompt has one success logit of its own. The batch has the difficulties of the log. None for estimators
    whose advantage does not depend on the rewards of the group and of the batch alone.
    """
    prompts = success_probabilities(Mixture(_mean_p(counts), counts.groups / counts.groups.sum(), 0.0), PROMPTS)
    batch = np.concatenate([p, prompts]).astype(np.float32)
    try:
        slopes = np.asarray(_slope(estimator.name, tuple(estimator.params.items()), size)(batch))[: len(p)]
    except InputError:
        return None
    return slopes * (p * (1 - p)) ** 2 if np.isfinite(slopes).all() else None


@functools.lru_cache(maxsize=64)
def _slope(name: str, params: tuple, size: int):
    """F'_G of an estimator, compiled."""
    import jax

    from ..dynamics.expected import slope

    estimator = estimators.get(name, **dict(params))
    return jax.jit(lambda success: slope(estimator, size, success))


def _mean_p(counts: Census) -> np.ndarray:
    return np.divide(counts.success, counts.groups, out=np.zeros(BINS), where=counts.groups > 0)


def _per_rollout(values: np.ndarray, weight: Weight) -> np.ndarray:
    return np.divide(values, weight.rollouts, out=np.zeros(BINS), where=weight.rollouts > 0)


def _ratio(a, b) -> float | None:
    return float(a) / float(b) if b else None
