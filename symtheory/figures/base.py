"""Figures: the registry that `symtheory reproduce` walks, and what a figure may ask of the simulations.

A figure is one file: a function from the runs it needs to one labelled dataset, with a caption in its attributes, and
`draw`, which makes the picture from the saved dataset alone.
"""

import importlib
import json
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import xarray as xr

from ..claims.effects import readable
from ..claims.judge import Cell
from ..claims.ledger import MEASURED, READING, in_other_settings, judge_study, sentence
from ..errors import InputError, no_such
from ..metrics.intervals import Interval, bootstrap
from ..studies.controlled import DESIGN_SEEDS, FRESH_SEEDS, Study, run
from ..studies.controlled_tree import TreeStudy


@dataclass(frozen=True)
class Preset:
    """How much is run: `quick` shows the pictures, `full` draws verdicts."""

    name: str
    seeds: int
    """Seeds in each block: one block of design seeds, and one of fresh seeds if `confirm`."""
    confirm: bool
    records: int
    settings: tuple[tuple[str, str], ...]
    """(sharing, optimiser) of each setting; the first is the one that verdicts are drawn from."""


PRESETS = {
    "quick": Preset("quick", 5, False, 20, (("shared", "adam"),)),
    "full": Preset(
        "full", 20, True, 40, (("shared", "adam"), ("shared", "sgd"), ("independent", "adam"), ("independent", "sgd"))
    ),
}


@dataclass
class Runs:
    """The studies that figures draw from: each is run when first asked for, and kept on disk seed by seed."""

    preset: Preset
    folder: Path
    progress: Callable[[str, int], Callable[[int], None]] = lambda title, total: lambda done: None
    """(title, number of seeds) -> function to call with the number of seeds just done"""
    world: str = "bandit"
    _done: dict[Study, xr.Dataset] = field(default_factory=dict)

    @property
    def seeds(self) -> list[int]:
        block = list(range(DESIGN_SEEDS, DESIGN_SEEDS + self.preset.seeds))
        fresh = list(range(FRESH_SEEDS, FRESH_SEEDS + self.preset.seeds)) if self.preset.confirm else []
        return block + fresh

    def study(self, setting: tuple[str, str] | None = None, start: str = "table3") -> xr.Dataset:
        """All methods in one setting (default: the preset's first) from the base model of `start`."""
        sharing, optimizer = setting or self.preset.settings[0]
        study = STUDIES[self.world](start=start, sharing=sharing, optimizer=optimizer, records=self.preset.records)  # type: ignore[arg-type]
        if study not in self._done:
            seeds = self.seeds
            tick = self.progress(f"{setting_name(sharing, optimizer)}, {START_NAMES[start]}", len(seeds))
            self._done[study] = run(study, seeds, self.folder, tick)
        return self._done[study]

    def verdicts(self, figure: str | None = None) -> dict[str, dict[str, Cell]]:
        """Cells of the claims of one figure (default: all), in the preset's first setting."""
        cells = judge_study(self.study(), self.world)
        return {id: own for id, own in cells.items() if figure in (None, MEASURED[id].figure)}

    def elsewhere(self, id: str) -> dict[str, dict[str, str]]:
        """Verdicts on the same claim in the preset's other settings, as far as they can speak to it."""
        others = {setting_name(*s): self.study(s) for s in self.preset.settings[1:]}
        return {
            name: {reading: cell.verdict for reading, cell in judge_study(study, self.world)[id].items()}
            for name, study in others.items()
            if readable(study, [MEASURED[id]])
        }

    def studies(self) -> dict[str, xr.Dataset]:
        """All settings of the preset by name, the first one first."""
        return {setting_name(*s): self.study(s) for s in self.preset.settings}


STUDIES = {"bandit": Study, "tree": TreeStudy}
START_NAMES = {"table3": "Qwen2.5-Math-7B", "table5": "DeepSeek-R1-7B"}


def setting_name(sharing: str, optimizer: str) -> str:
    return f"{sharing} parameters, {optimizer.upper() if optimizer == 'sgd' else optimizer.capitalize()}"


@dataclass(frozen=True)
class Figure:
    name: str
    title: str
    module: str
    """Name of its module, which also has `draw`."""
    result: Callable[[Runs], xr.Dataset]
    study: bool
    """Whether it waits for a study; those that do not are drawn first."""


_registry: dict[str, Figure] = {}


def figure(name: str, title: str, study: bool = True) -> Callable:
    """Register a function `result(runs) -> Dataset` as the figure or table `name`; does it wait for a study?

    Args:
        name: "fig11", "table8": what `reproduce --only` calls it.
        title: of its page.
        study: whether it waits for a study; those that do not are drawn first.

    Returns:
        The decorator.
    """

    def register(result: Callable[[Runs], xr.Dataset]) -> Callable[[Runs], xr.Dataset]:
        _registry[name] = Figure(name, title, result.__module__.rpartition(".")[2], result, study)
        return result

    return register


def figures(only: tuple[str, ...] = ()) -> list[Figure]:
    """Registered figures in reading order, or those asked for; an unknown name raises `InputError`.

    Args:
        only: names of those that are asked for; all if empty.

    Returns:
        The figures.

    Raises:
        InputError: an unknown name.
    """
    package = __name__.rpartition(".")[0]
    for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
        importlib.import_module(f"{package}.{module.name}")
    for name in only:
        if name not in _registry:
            raise no_such("figure", name, _registry)
    ordered = sorted(_registry.values(), key=lambda f: (f.name.rstrip("0123456789"), len(f.name), f.name))
    return [f for f in ordered if not only or f.name in only]


def preset(name: str, seeds: int | None = None) -> Preset:
    """A preset by name, with another number of seeds per block if given.

    Args:
        name: "quick" or "full".
        seeds: of a block.

    Returns:
        The preset.

    Raises:
        InputError: an unknown name, or fewer than 2 seeds.
    """
    if name not in PRESETS:
        raise no_such("preset", name, PRESETS)
    if seeds is not None and seeds < 2:
        raise InputError(f"seeds must be at least 2, since intervals are taken over seeds, got {seeds}")
    return replace(PRESETS[name], seeds=seeds or PRESETS[name].seeds)


def over_seeds(values, dims: list[str]) -> xr.DataArray:
    """Bootstrap mean and interval over the first axis of `values`, on a first dimension `statistic`."""
    coords = {"statistic": list(Interval._fields)}
    return xr.DataArray(np.array(bootstrap(values)), dims=["statistic", *dims], coords=coords)


def describe(dataset: xr.Dataset, caption: str, runs: Runs, figure: str | None = None) -> xr.Dataset:
    """Attach the caption to a figure's dataset, with the verdicts on the claims of `figure`.

    Args:
        dataset: of the figure; it is changed.
        caption: what is seen, in sentences.
        runs: the studies that it is drawn from.
        figure: whose claims are judged; none if not given.

    Returns:
        The dataset.
    """
    judged = runs.verdicts(figure) if figure and runs.preset.confirm else {}
    sentences = [sentence(id, cells) + in_other_settings(runs.elsewhere(id)) for id, cells in judged.items()]
    text = caption.strip()
    if sentences:
        text += f"\n\nIn the first setting ({setting_name(*runs.preset.settings[0])}):\n\n" + "\n".join(
            f"- {s}" for s in sentences
        )
        text += "\n\n" + READING
    dataset.attrs["caption"] = text
    dataset.attrs["verdicts"] = json.dumps(
        {id: {reading: cell.verdict for reading, cell in cells.items()} for id, cells in judged.items()}
    )
    return dataset
