"""Claims of this project: theorems of the interference law, and the targets that its test was held to.

A target's verdict is computed from the committed predictions and runs, also where it is missed: *met* where the
estimate reaches the bound, else *missed*; where the 95% interval has the bound inside, that is said beside it.
"""

import tomllib
from dataclasses import dataclass
from pathlib import Path

import xarray as xr

from .. import paths
from ..errors import InputError
from .ledger import Claim, Row, load_claims

LEDGER = Path(__file__).parent / "ours.toml"
PREDICTIONS, RUNS = "paper/results/interference-predictions.json", "paper/results/interference-runs.json"
NOISE = "paper/results/interference-noise.json"
COMMAND = "symtheory predict judge"


@dataclass(frozen=True)
class Target:
    """A number that a predictor was to reach, written down before the runs."""

    id: str
    statement: str
    predictor: str
    reading: str
    """of `studies.interference.judge.agreement`"""
    bound: float
    worlds: tuple[str, ...] = ()
    """whose cells count; all of them if none is named"""


@dataclass(frozen=True)
class Outcome:
    """What became of a target."""

    value: float
    low: float
    high: float
    verdict: str
    cells: int


def our_claims() -> tuple[Claim, ...]:
    """The claims that theorems settle."""
    return load_claims(LEDGER)


def targets() -> tuple[Target, ...]:
    """The claims that the test of the law settles."""
    entries = tomllib.loads(LEDGER.read_text(encoding="utf-8"))["target"]
    return tuple(Target(**{**entry, "worlds": tuple(entry.get("worlds", ()))}) for entry in entries)


def law_outcome(*, noise: bool = False) -> xr.Dataset | None:
    """The committed predictions beside the committed runs; None in an installed package, which has neither.

    With `noise` in the cells and seeds that the fourth predictor has.
    """
    from ..studies.interference.judge import judge

    root = paths.checkout()
    return judge(root / PREDICTIONS, root / RUNS, noise=root / NOISE if noise else None) if root else None


def outcome_of(target: Target, test: xr.Dataset) -> Outcome:
    """Hold one target against the outcome of the test."""
    from ..studies.interference.cells import world_of
    from ..studies.interference.judge import agreement

    chosen = [i for i, c in enumerate(test.cell.values) if not target.worlds or world_of(str(c)) in target.worlds]
    if not chosen:
        raise InputError(f"target {target.id!r} must name worlds of the test, got {', '.join(target.worlds)}")
    found = agreement(test.isel(cell=chosen)).sel(predictor=target.predictor)[target.reading]
    value, low, high = (float(x) for x in found.values)
    return Outcome(value, low, high, "met" if value >= target.bound else "missed", len(chosen))


def target_row(target: Target, test: xr.Dataset | None) -> Row:
    """The row of a target, as `symtheory prove` prints it."""
    source = f"the interference law, target {target.bound:g}, written before the runs"
    if test is None:
        return Row(target.id, target.statement, "open", source, "needs a checkout: its runs", False, {}, pending=True)
    found = outcome_of(target, test)
    inside = "; the interval has the target inside" if found.low < target.bound < found.high else ""
    method = f"{found.value:.2f} [{found.low:.2f}, {found.high:.2f}] over {found.cells} cells{inside}, `{COMMAND}`"
    return Row(target.id, target.statement, found.verdict, source, method, True, {})
