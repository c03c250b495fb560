"""Which estimator the logged advantages come from: each registered one, with the constants implementations use."""

import functools
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from .. import estimators
from ..errors import InputError
from ..estimators import Estimator
from .rows import Batch, where
from .tally import advantages_under, statistics, token_lengths

VARIANTS = {
    "ddof": (0, 1),
    "eps": (0, 1e-6, 1e-5, 1e-4),  # TRL and ms-swift add 1e-4, AReaL 1e-5, verl, SkyRL, NeMo and Tunix 1e-6; 1e-8 and
    # less cannot be seen in float32
    "batch_ddof": (1, 0),  # verl and AReaL whiten with 1, OpenRLHF and NeMo with 0
    "alpha": (1, 0.5),
    "beta": (10, 5, 2),
    "gamma": (0.5, 1),
    "k": (4, 2, 8),
}
"""Values tried beside its default for each parameter of an estimator."""
TOLERANCE = 2e-5
"""Largest difference that counts as equal, relative to max(|A|, 0.05): some hundred roundings of float32."""
FLOAT32 = 5e-7
"""Relative distance below which the float32 noise of a log does not allow a choice: the simplest estimator is named."""
TRIAL, FINALISTS = 64, 4
"""Batches after which only so many of the nearest candidates, as they are and up to a factor, stay in the race."""
EARLY, SURE = 2, 64
"""Batches and rollouts after which the others leave the race where a candidate made every advantage so far."""


@dataclass(eq=False)
class Candidate:
    """An estimator on trial, and how far the log is from it."""

    estimator: Estimator
    changed: dict
    """parameters that differ from the defaults"""
    names: list[str]
    """registered names that compute the same with as few changes"""
    error: float = 0.0
    """sum of squared differences"""
    residual: float = 0.0
    """the same after the best factor of each step"""
    total: float = 0.0
    """sum of squared logged advantages"""
    factors: tuple[float, float] = (np.inf, -np.inf)
    crooked: int = 0
    """rollouts whose advantage differs from the candidate's times the factor of their step"""
    agreeing: int = 0
    """rollouts whose advantage is the candidate's"""
    first: dict | None = None
    """the first rollout whose advantage differs by more than the tolerance"""
    rows: int = 0

    @property
    def distance(self) -> float:
        return float(np.sqrt(self.error / self.total)) if self.total else (0.0 if self.rows else np.inf)

    @property
    def distance_scaled(self) -> float:
        return float(np.sqrt(max(self.residual, 0.0) / self.total)) if self.total else np.inf


def candidates() -> list[Candidate]:
    """Every registered estimator with every variant, those that compute the same as one; simplest first."""
    return [Candidate(c.estimator, c.changed, c.names) for c in _variants(estimators.names("rewards"))]


@functools.cache
def _variants(names: tuple[str, ...]) -> tuple[Candidate, ...]:
    found: dict[tuple, Candidate] = {}
    for name in names:
        default = estimators.get(name)
        options = {p: dict.fromkeys((v, *VARIANTS[p])) for p, v in default.params.items() if p in VARIANTS}
        for values in itertools.product(*options.values()):
            params = dict(zip(options, values, strict=True))
            changed = {p: v for p, v in params.items() if v != default.params[p]}
            estimator = default.with_params(**changed)
            key = (estimator.links, tuple(sorted(estimator.params.items())))
            known = found.get(key)
            if known is None or len(changed) < len(known.changed):
                found[key] = Candidate(estimator, changed, [name])
            elif len(changed) == len(known.changed):
                known.names.append(name)
    return tuple(sorted(found.values(), key=lambda c: (len(c.changed), len(c.estimator.links))))


@dataclass
class Identification:
    """Compares the logged advantages of one batch after the other with all candidates."""

    unit: str
    files: Sequence[str]
    pool: list[Candidate] = field(default_factory=candidates)
    excluded: dict[str, str] = field(default_factory=dict)
    """estimator -> why it cannot have made this log"""
    seen: int = 0
    narrowed: bool = False
    tolerance: tuple[float, float] | None = None
    usual: float = 0.0
    """the median |A| other than 0 of the batch"""

    def add(self, batch: Batch) -> None:
        """Compare one batch; rollouts without a logged advantage are left out."""
        logged = batch.rows["advantage"]
        if not np.nanmax(np.abs(logged), initial=0) > 0:
            return
        self.usual = float(np.median(np.abs(logged[np.isfinite(logged) & (logged != 0)])))
        self.tolerance = self.tolerance or tolerance(logged[np.isfinite(logged)])
        lengths = token_lengths(batch, self.unit)
        shared = statistics(batch, lengths)
        staying = []
        for candidate in self.pool:
            try:
                self._compare(candidate, batch, logged, advantages_under(batch, candidate.estimator, lengths, shared))
                staying.append(candidate)
            except InputError as reason:
                self.excluded[candidate.estimator.name] = str(reason)
        self.pool = staying
        self.seen += 1
        found = self.seen >= EARLY and any(c.first is None and c.rows >= SURE for c in self.pool)
        if not self.narrowed and (found or self.seen == TRIAL):
            nearest = sorted(self.pool, key=lambda c: c.distance)[:FINALISTS]
            shaped = sorted(self.pool, key=lambda c: c.distance_scaled)[:FINALISTS]
            staying = {id(c) for c in (*nearest, *shaped)} | {id(c) for c in self.pool if c.first is None}
            self.pool = [c for c in self.pool if id(c) in staying]
            self.narrowed = True

    def _compare(self, candidate: Candidate, batch: Batch, logged: np.ndarray, expected: np.ndarray) -> None:
        both = np.isfinite(logged) & np.isfinite(expected)
        a, b = logged[both], expected[both]
        difference = a - b
        absolute, relative = self.tolerance or (0, TOLERANCE)
        beyond = np.abs(difference) > absolute + relative * np.maximum(np.abs(a), 0.05)
        candidate.rows += len(a)
        candidate.total += float(a @ a)
        candidate.error += float(difference @ difference)
        candidate.agreeing += int((~beyond).sum())
        self._scale(candidate, a, b, absolute, relative)
        if candidate.first is None and beyond.any():
            rows = batch.rows[both][beyond]
            i = int(np.lexsort((rows["line"], rows["file"]))[0])
            candidate.first = {
                "where": where(rows[i : i + 1], self.files)[0],
                "step": int(rows["step"][i]),
                "logged": float(a[beyond][i]),
                "expected": float(b[beyond][i]),
            }

    def _scale(self, candidate: Candidate, a: np.ndarray, b: np.ndarray, absolute: float, relative: float) -> None:
        """Compare up to the factor of this step, judged at every rollout: one huge advantage makes no factor."""
        square = float(b @ b)
        factor = float(a @ b) / square if square > 1e-18 else 0.0
        rest = a - factor * b
        candidate.residual += float(rest @ rest)
        limit = 2 * absolute + 5 * relative * np.maximum(np.abs(a), 0.05 * self.usual)
        candidate.crooked += int((np.abs(rest) > limit).sum())
        if factor:
            low, high = candidate.factors
            candidate.factors = (min(low, factor), max(high, factor))

    def result(self) -> dict | None:
        """The nearest estimator, JSON-ready; None if no advantage other than 0 was logged."""
        tried = [c for c in self.pool if c.rows]
        if not tried:
            return None
        best = _simplest(tried, lambda c: c.distance)
        scaled = _simplest(tried, lambda c: c.distance_scaled)
        equal = best.first is None
        positive = 0 < scaled.factors[0] < np.inf
        proportional = not equal and positive and not scaled.crooked
        chosen = scaled if proportional else best
        if not equal and not proportional:
            most = max(tried, key=lambda c: c.agreeing)
            chosen = most if most.agreeing > 0.5 * most.rows else best
        order = sorted(self.pool, key=lambda c: c.distance)
        return {
            "name": chosen.estimator.name,
            "params": dict(chosen.estimator.params),
            "equal": equal,
            "near": equal or proportional or chosen.distance < FAR,
            "distance": chosen.distance,
            "agreeing": chosen.agreeing / max(chosen.rows, 1),
            "also_equal": [n for n in chosen.names if n != chosen.estimator.name],
            "proportional": list(scaled.factors) if proportional else None,
            "first_disagreement": chosen.first,
            "runners_up": [
                {"name": c.estimator.name, "params": dict(c.estimator.params), "distance": c.distance}
                for c in order
                if c is not chosen
            ][:3],
            "excluded": self.excluded,
        }


FAR = 0.3
"""Relative distance from which the nearest estimator says nothing about a log."""


def _simplest(pool: list[Candidate], distance) -> Candidate:
    """The first, and so simplest, of the candidates that are as near as the precision of the log can tell."""
    limit = max(1.5 * min(distance(c) for c in pool), FLOAT32)
    return next(c for c in pool if distance(c) <= limit)


def tolerance(logged: np.ndarray) -> tuple[float, float]:
    """(absolute, relative) tolerance that the precision of the log allows: decimals, bfloat16, float16, float32."""
    alive = np.abs(logged[logged != 0])
    scale = float(np.median(alive)) if len(alive) else 1.0
    for decimals in range(2, 7):
        if np.abs(np.round(logged, decimals) - logged).max() <= 1e-7 * scale:
            return 0.51 * 10.0**-decimals, TOLERANCE
    single = logged.astype(np.float32)
    if (single == logged).all() and not (single.view(np.uint32) & 0xFFFF).any():
        return 0.0, 2.0**-8
    with np.errstate(over="ignore"):
        half = (logged.astype(np.float16) == logged).all()
    return 0.0, 2.0**-11 if half else TOLERANCE
