"""The results that the article draws on: what is saved in the repository, and what takes seconds to work out again."""

import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import xarray as xr

from symtheory.claims import ours
from symtheory.claims.ledger import Claim, Finding, committed_figures, load_claims, load_findings
from symtheory.errors import InputError
from symtheory.figures import captions
from symtheory.studies.interference.cells import world_of
from symtheory.studies.interference.judge import agreement


@dataclass(frozen=True)
class Results:
    """Everything that the article's numbers come from."""

    claims: Sequence[Claim]
    findings: Mapping[str, Sequence[Finding]]
    """Verdicts of experiments by claim, from `symtheory/claims/verdicts`."""
    theorems: Mapping[str, Mapping[str, Any]]
    """Checked theorems by id, from `paper/results/theorems.json`: statement, verdict, method, counterexample, ..."""
    captions: Mapping[str, tuple[str, str]]
    """(caption, command) of the saved figures by name, such as full/fig2, from `figures`."""

    @functools.cached_property
    def evidence(self) -> dict:
        """What `symtheory evidence` finds in the published tables."""
        from symtheory.evidence import evidence, published

        return evidence(published())

    @functools.cached_property
    def law(self) -> xr.Dataset:
        """The test of the interference law: committed predictions beside committed runs."""
        return self._law(noise=False)

    def _law(self, *, noise: bool) -> xr.Dataset:
        test = ours.law_outcome(noise=noise)
        if test is None:
            raise InputError("the test of the interference law needs a checkout, which has its predictions and runs")
        return test

    @functools.cached_property
    def law_agreement(self) -> Mapping[str, xr.Dataset]:
        """How predictions and runs agree: in all cells (""), in a world, and in the transformer without a cell."""
        worlds = _by_world(self.law)
        transformer = worlds["transformer"]
        without = {f"without {cell}": transformer.drop_sel(cell=[cell]) for cell in transformer.cell.values}
        return {name: agreement(cells) for name, cells in {"": self.law, **worlds, **without}.items()}

    @functools.cached_property
    def noise_agreement(self) -> Mapping[str, xr.Dataset]:
        """The same by world, in the cells and seeds of the predictor with noise."""
        return {world: agreement(cells) for world, cells in _by_world(self._law(noise=True)).items()}

    @functools.cached_property
    def conformance(self) -> Mapping[str, tuple[str, ...]]:
        """Registered estimators, with default parameters, that equal each golden function."""
        from symtheory import estimators
        from symtheory.testing.conform import conform, golden

        equal: dict[str, list[str]] = {name: [] for name in golden()}
        for name in estimators.names("rewards"):
            for comparison in conform(name, "all"):
                if comparison.equal:
                    equal[comparison.name].append(name)
        return {name: tuple(found) for name, found in equal.items()}

    def finding(self, claim: str, world: str) -> Finding | None:
        """The verdict of one world on a claim, None if it does not speak to it."""
        return next((f for f in self.findings.get(claim, ()) if f.world == world), None)

    @property
    def empirical(self) -> list[Claim]:
        """Claims that experiments judge."""
        return [claim for claim in self.claims if claim.experiment]


def _by_world(test: xr.Dataset) -> dict[str, xr.Dataset]:
    of = [world_of(str(cell)) for cell in test.cell.values]
    return {world: test.isel(cell=[i for i, w in enumerate(of) if w == world]) for world in sorted(set(of))}


def load(repository: Path) -> Results:
    """The saved results of a checkout; raises `InputError` where one is missing or malformed."""
    paper = repository / "paper"
    theorems = paper / "results" / "theorems.json"
    try:
        rows = json.loads(theorems.read_text(encoding="utf-8"))
        by_id = {row["id"]: row for row in rows}
    except FileNotFoundError:
        raise InputError(f"no {theorems}; `symtheory paper --prove` writes it") from None
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise InputError(
            f"{theorems} is not a list of theorems ({error}); `symtheory paper --prove` renews it"
        ) from None
    captions = {name: _caption(repository / "figures" / f"{name}.md") for name in committed_figures()}
    return Results(load_claims(), load_findings(), by_id, captions)


def _caption(path: Path) -> tuple[str, str]:
    """First paragraph and command of the text beside a figure."""
    _, text, command = captions.read(path)
    if not (text and command):
        raise InputError(f"{path} is not the caption of a figure: it must end with a line 'Made by `command`.'")
    return text.split("\n\n")[0], command
