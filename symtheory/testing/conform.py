"""Does an estimator equal what a published trainer computes? Golden values of real implementations answer.

Each file of `golden/` holds what one function of one repository, at a commit, returned on CPU for batches of rewards
(`name, repository, commit, function, parameters, cases`); none of its code is here.
"""

import json
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import numpy as np

from ..errors import no_such
from .target import Target, as_target

ALIASES = {"agrae-release": "agrae", "prime-rl": "primerl", "nemo-rl": "nemo", "grpo-lead": "lead", "dr-grpo": "oat"}


@dataclass(frozen=True)
class Comparison:
    """How an estimator compares with one published function."""

    name: str
    """Framework and estimator, for instance `verl_grpo`."""
    source: str
    """Function, repository, commit and parameters."""
    agreeing: int
    """Batches on which they agree, of `compared`."""
    compared: int
    distance: float
    """Mean of |theirs - ours| over all rollouts compared."""
    rewards: list[float] | None
    """The first group on which they part."""
    theirs: list[float] | None
    ours: list[float] | None

    @property
    def equal(self) -> bool:
        """Whether they agree on every batch."""
        return 0 < self.compared == self.agreeing


def frameworks() -> tuple[str, ...]:
    """Names that `conform` takes.

    >>> "verl" in frameworks()
    True
    """
    return tuple(sorted({name.split("_")[0] for name in golden()}))


def conform(f, framework: str, **options) -> list[Comparison]:
    """Compare an estimator with every function known of a framework, the nearest first.

    Left out are batches with rewards that the estimator is not defined for or that no reward function scored, and
    batches of unequal groups, which `rewards[P, G]` cannot hold.
    Values agree within the tolerance of the golden file (1e-5, or what the function's own arithmetic asks for), and
    1e-4 for an estimator that computes in float32.

    Args:
        f: as for `check_estimator`, and `options` with it.
        framework: one of `frameworks()`, or `all`.

    Raises:
        InputError: an unknown framework, or a callable that cannot be checked.

    >>> [c.name for c in conform("dr_grpo", "oat") if c.equal]
    ['oat_drgrpo']
    """
    framework = ALIASES.get(framework, framework)
    if framework not in (*frameworks(), "all"):
        raise no_such("framework", framework, frameworks())
    target = as_target(f, **options)
    files = [g for name, g in golden().items() if framework in ("all", name.split("_")[0])]
    return sorted((_compare(target, g) for g in files), key=lambda c: (not c.equal, c.distance))


@cache
def golden() -> dict[str, dict[str, Any]]:
    """All golden files by name, ordered."""
    folder = resources.files("symtheory.testing") / "golden"
    files = sorted((p for p in folder.iterdir() if p.name.endswith(".json")), key=lambda p: p.name)
    return {p.name.removesuffix(".json"): json.loads(p.read_text()) for p in files}


def values(case: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Rewards and advantages `[P, G]` of a golden case; of token-level ones the value at the last valid token."""
    rewards = np.array(case["rewards"], dtype=np.float64)
    if "advantages" in case:
        return rewards, np.array(case["advantages"], dtype=np.float64)
    tokens, last = np.array(case["advantages_tokens"]), np.ravel(case["lengths"]) - 1
    return rewards, tokens[np.arange(len(tokens)), last].reshape(rewards.shape)


def agree(theirs: np.ndarray, ours: np.ndarray, file: dict[str, Any], unit_roundoff: float = 0.0) -> np.ndarray:
    """Where values agree within the tolerance of a golden file."""
    rtol = max(file.get("rtol", 1e-5), 1e-6, 1e3 * unit_roundoff)
    near = np.abs(theirs - ours) <= file.get("atol", 0.0) + rtol * np.maximum(1, np.abs(theirs))
    return near | (np.isnan(theirs) & np.isnan(ours))


def _compare(f: Target, file: dict[str, Any]) -> Comparison:
    agreeing, differences, first = 0, [], None
    for rewards, theirs in map(values, equal_groups(file)):
        if not np.isfinite(rewards).all() or not f.admits(rewards):
            continue
        ours = f(rewards)
        same = agree(theirs, ours, file, f.unit_roundoff).all(-1)
        agreeing += bool(same.all())
        differences.append(np.abs(theirs - ours).mean())
        if first is None and not same.all():
            row = int(np.argmin(same))
            first = rewards[row].tolist(), theirs[row].tolist(), ours[row].tolist()
    source = f"{file['function']} of {file['repository']} at {file['commit'][:7]}, {file['parameters']}"
    distance = float(np.mean(differences)) if differences else np.inf
    return Comparison(
        file["name"], source.rstrip(", "), agreeing, len(differences), distance, *(first or (None, None, None))
    )


def equal_groups(file: dict[str, Any]) -> list[dict[str, Any]]:
    """The cases of a golden file in which all groups have one size."""
    return [case for case in file["cases"] if "group" not in case]
