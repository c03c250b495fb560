"""Which known estimator is this? Registered ones, and what functions of published trainers return.

Each file of `golden/` holds what one function of one repository, at a commit, returned on CPU for batches of rewards
(`name, repository, commit, function, parameters, cases`); none of its code is here. `COUNTERPARTS` says which formula
reproduces a file (the tests hold it to that), and an estimator is compared with the formula, which tells epsilons and
clips apart where the recorded batches cannot; with the recorded batches where there is no formula.
"""

import json
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import numpy as np

from .. import estimators
from ..errors import no_such
from .fit import fit
from .probes import Probe, answers, probes
from .target import Target, as_target

ALIASES = {"agrae-release": "agrae", "prime-rl": "primerl", "nemo-rl": "nemo", "grpo-lead": "lead", "dr-grpo": "oat"}
COUNTERPARTS: dict[str, tuple[str, dict[str, Any]]] = {
    "agrae_release_grpo": ("grpo_ddof1", {}),
    "agrae_released": ("agrae_released", {}),
    "agrae_released_dr_grpo": ("agrae_released_dr_grpo", {}),
    "lead_grpo": ("grpo_lead", {}),
    "nemo_grpo_loo": ("nemo_grpo", {}),
    "nemo_grpo_loo_nonorm": ("rloo", {}),
    "nemo_grpo_noloo": ("grpo_ddof1", {}),
    "oat_drgrpo": ("dr_grpo", {}),
    "oat_grpo": ("grpo", {"ddof": 1, "eps": 1e-8}),
    "openrlhf_dr_grpo": ("dr_grpo", {}),
    "openrlhf_group_norm": ("grpo", {"ddof": 1, "eps": 1e-9}),
    "openrlhf_rloo": ("rloo", {}),
    "primerl_grpo": ("dr_grpo", {}),
    "primerl_max_rl": ("maxrl", {}),
    "rlvr_nsr": ("nsr", {}),
    "rlvr_psr": ("psr", {}),
    "rlvr_w_reinforce": ("w_reinforce", {}),
    "skyrl_grpo": ("grpo_ddof1", {}),
    "skyrl_maxrl": ("maxrl", {"eps": 1e-6}),
    "skyrl_rloo": ("rloo", {}),
    "trl_grpo_batch": ("grpo_batch_std", {}),
    "trl_grpo_group": ("grpo", {"ddof": 1, "eps": 1e-4}),
    "trl_grpo_none": ("dr_grpo", {}),
    "trl_rloo": ("rloo", {}),
    "verl_dr_grpo": ("dr_grpo", {}),
    "verl_gpg": ("gpg", {}),
    "verl_grpo": ("grpo_ddof1", {}),
    "verl_grpo_eps1e-2": ("grpo", {"ddof": 1, "eps": 1e-2}),
    "verl_grpo_passk": ("grpo_passk", {}),
    "verl_grpo_vectorized": ("grpo_ddof1", {}),
    "verl_opo": ("opo", {}),
    "verl_rloo": ("rloo", {}),
    "verl_rloo_vectorized": ("rloo", {}),
}
"""Golden file -> the registered estimator and its parameters that give the same values."""
FLOORED = frozenset({"verl_grpo_vectorized"})
"""Files whose std has a floor (1e-3) that their formula lacks: compared where no spread is that small."""
RANGES = ("real", "unit", "binary")


@dataclass(frozen=True)
class Comparison:
    """How an estimator compares with a known one."""

    name: str
    """A registered name, or framework and estimator, for instance `verl_grpo`."""
    source: str
    """Where that comes from: paper, or function, repository, commit and parameters."""
    equal: bool
    """Whether they agree on every batch that both are defined for."""
    factor: float
    """The number times the known one that comes nearest."""
    distance: float
    """Root mean square of what then remains, as a share of the estimator's own; 0 for a multiple."""
    rewards: list[list[float]] | None = None
    """The first batch on which they part."""
    theirs: list[list[float]] | None = None
    ours: list[list[float]] | None = None
    range: str = "real"
    """Rewards that both are defined for."""

    def describe(self) -> str:
        """For instance `2.00 x verl_grpo`."""
        return self.name if np.isclose(self.factor, 1, rtol=5e-3) else f"{self.factor:.2f} x {self.name}"


def frameworks() -> tuple[str, ...]:
    """Names that `conform` takes.

    >>> "verl" in frameworks()
    True
    """
    return tuple(sorted({name.split("_")[0] for name in golden()}))


def conform(f, framework: str, **options) -> list[Comparison]:
    """Compare an estimator with every function known of a framework, the nearest first.

    Left out are batches that one of the two is not defined for, and functions with no batch left. Values agree to 1e-6
    (a constant in float32 is off by 1e-8), to 1e-4 for an estimator that computes in float32, to 4 units of roundoff in
    float16 and bfloat16, or within the tolerance of a golden file without a formula.

    Args:
        f: as for `check_estimator`, and `options` with it.
        framework: one of `frameworks()`, or `all`.

    Raises:
        InputError: an unknown framework, or a callable that cannot be checked.

    >>> [c.name for c in conform("dr_grpo", "oat") if c.equal]
    ['oat_drgrpo']
    """
    framework = checked_framework(framework)
    return [
        c for c in compare(as_target(f, **options)) if c.name in golden() and framework in ("all", c.name.split("_")[0])
    ]


def checked_framework(framework: str) -> str:
    """The framework's name as golden files have it; refused with an `InputError` where there is none."""
    framework = ALIASES.get(framework, framework)
    if framework not in (*frameworks(), "all"):
        raise no_such("framework", framework, frameworks())
    return framework


def compare(target: Target) -> list[Comparison]:
    """Compare with every registered estimator and every golden function: equal ones first, then the nearest."""
    precise = target.at("float64") if "float64" in target.dtypes else target
    asked = probes(target.rewards, lengths=target.has_lengths)
    ours = answers(precise, asked)
    tolerance = equality(precise.unit_roundoff)
    formulas = {name: (name, {}) for name in estimators.names("rewards")} | COUNTERPARTS
    found = [
        made
        for name, (formula, parameters) in formulas.items()
        if (made := _with_formula(name, formula, parameters, target, asked, ours, tolerance)) is not None
    ]
    found += [c for name, g in golden().items() if name not in formulas and (c := _with_file(precise, g)) is not None]
    if not any(c.equal for c in found):
        found += _with_parameters(target, asked, ours, tolerance)
    return sorted(_only_widest(found, target), key=_nearness)


def equality(unit_roundoff: float) -> float:
    """How far apart equal estimators may be, relative to max(1, |A|)."""
    return 1e-6 if unit_roundoff < 1e-10 else max(1e-4, 4 * unit_roundoff)


def _with_parameters(target: Target, asked: list[Probe], ours, tolerance: float) -> list[Comparison]:
    """The first registered estimator that equals it with other parameters: those of the fit."""
    formula = fit(target)
    if formula is None or not formula.fits or not formula.eps:
        return []
    fitted = {"eps": float(f"{formula.eps:.2e}"), "ddof": formula.ddof}
    for name in estimators.names("rewards"):
        own = estimators.get(name).params
        changed = {k: v for k, v in fitted.items() if k in own and own[k] != v and v is not None}
        if not changed:
            continue
        text = ", ".join(f"{k}={v:g}" for k, v in changed.items())
        made = _with_formula(f"{name}({text})", name, changed, target, asked, ours, tolerance)
        if made is not None and made.distance < tolerance:
            return [made]
    return []


def _nearness(c: Comparison) -> tuple:
    """Equal ones first, then by distance and factor; among those alike published functions before our own names.

    A file without a formula is compared on its recorded batches alone. They lack the probes' tiny spreads, so that a
    distance there looks small beside one over the probes: unless it vanishes, such a function comes last.
    """
    order = ("verl", "trl", *frameworks())
    framework = c.name.split("_")[0] if c.name in golden() else ""
    rank = order.index(framework) if framework else len(order)
    recorded = framework != "" and c.name not in COUNTERPARTS and c.distance > 1e-6
    return not c.equal, recorded, round(c.distance, 9), round(abs(np.log(abs(c.factor) or 1e-9)), 3), rank, c.name


def _with_formula(
    name, formula, parameters, target: Target, asked: list[Probe], ours, tolerance: float
) -> Comparison | None:
    """Compare with a registered estimator on the probes that both answer."""
    theirs = _known_answers(formula, tuple(parameters.items()), target.rewards, target.has_lengths)
    both = [(p, t, o) for p, t, o in zip(asked, theirs, ours, strict=True) if t is not None and o is not None]
    if name in FLOORED:
        both = [(p, t, o) for p, t, o in both if p.gap >= 1 / 16]
    if not both:
        return None
    parted = ((p.rewards, t, o) for p, t, o in both if np.abs(t - o).max() > tolerance * max(1, np.abs(t).max()))
    first = next(parted, None)
    widest = min(RANGES.index(p.range) for p, _, _ in both)
    file = golden().get(name)
    source = _source(file) if file else estimators.get(formula).source
    return _comparison(name, source, [(t, o) for _, t, o in both], first is None, first, RANGES[widest])


@cache
def _known_answers(formula: str, parameters: tuple, rewards: str, lengths: bool) -> list[np.ndarray | None]:
    """What a registered estimator gives on the probes."""
    return answers(as_target(estimators.get(formula, **dict(parameters))), probes(rewards, lengths))


def _with_file(target: Target, file: dict[str, Any]) -> Comparison | None:
    """Compare with what a golden file recorded."""
    pairs, first = [], None
    for rewards, theirs in map(values, equal_groups(file)):
        if not np.isfinite(rewards).all() or not target.admits(rewards):
            continue
        ours = target(rewards)
        same = agree(theirs, ours, file, target.unit_roundoff).all()
        first = first or (None if same else (rewards, theirs, ours))
        if np.isfinite(theirs).all() and np.isfinite(ours).all():
            pairs.append((theirs, ours))
    return _comparison(file["name"], _source(file), pairs, first is None, first, "real") if pairs else None


def _comparison(name, source, pairs, equal: bool, first, range_: str) -> Comparison:
    theirs, ours = (np.concatenate([x.ravel() for x in side]) for side in zip(*pairs, strict=True))
    own = float((ours * ours).sum())
    factor = float((theirs * ours).sum() / (theirs * theirs).sum()) if theirs.any() else 0.0
    distance = float(np.sqrt(((ours - factor * theirs) ** 2).sum() / own)) if own else float(theirs.any())
    shown = [None] * 3 if first is None else [np.asarray(x).tolist() for x in first]
    return Comparison(name, source, bool(equal), factor, distance, *shown, range=range_)


def _only_widest(found: list[Comparison], target: Target) -> list[Comparison]:
    """Take back an equality that a wider one explains: of binary rewards only, or of lengths that were all equal."""
    equal = [c for c in found if c.equal]
    widest = min((RANGES.index(c.range) for c in equal), default=0)
    lengths = [_depends_on_lengths(c.name) for c in equal]
    drop_lengths = not target.has_lengths and not all(lengths)
    unexplained = {
        c.name
        for c, by_length in zip(equal, lengths, strict=True)
        if RANGES.index(c.range) == widest and not (by_length and drop_lengths)
    }
    return [c for c in found if not c.equal or c.name in unexplained]


@cache
def _depends_on_lengths(name: str) -> bool:
    """Whether a known estimator weighs rollouts by their length."""
    formula, parameters = COUNTERPARTS.get(name, (name, {}))
    if formula not in estimators.names("rewards"):
        return False
    target = as_target(estimators.get(formula, **parameters))
    rewards, lengths = np.array([[1.0, 0.0, 0.0, 1.0], [1.0, 0.0, 0.0, 0.0]]), np.array([[1, 5, 3, 2], [4, 1, 2, 5]])
    return not np.allclose(target(rewards), target(rewards, lengths=lengths))


def _source(file: dict[str, Any]) -> str:
    source = f"{file['function']} of {file['repository']} at {file['commit'][:7]}, {file['parameters']}"
    return source.rstrip(", ")


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


def equal_groups(file: dict[str, Any]) -> list[dict[str, Any]]:
    """The cases of a golden file in which all groups have one size."""
    return [case for case in file["cases"] if "group" not in case]
