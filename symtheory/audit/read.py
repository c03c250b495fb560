"""Read the rollout log of a training run: find its files, tell its format, and hand out one batch per step.

Reading streams: at most a few ten thousand rows are held, whatever the size of the log. A row that cannot be used is
counted and located, never dropped in silence; nothing in a log is executed.
"""

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..errors import InputError, no_such
from . import formats, jsonl, parquet
from .rows import Batch, Skipped, batches, where

FORMATS = ("trl", "verl", "verl_legacy", "nemo_rl", "plain")
SUFFIXES = (".parquet", ".jsonl", ".jsonl.gz")


@dataclass
class Log:
    """A rollout log that is ready to be read, once."""

    format: str
    files: list[str]
    notes: list[str]
    """What the reader chose or left out, one sentence each"""
    length_unit: str
    """"tokens" or "characters"; formats without token counts give the length of the text"""
    batches: Iterator[Batch]
    """One batch per step, in the order of the log"""
    skipped: Skipped = field(default_factory=Skipped)
    """Filled while `batches` is consumed"""


def read(
    path: str | Path, log_format: str | None = None, group_size: int | None = None, reward: str | None = None
) -> Log:
    """Open a rollout log: a file, or a folder of them.

    Args:
        path: a parquet or JSONL file (possibly gzipped), or a folder, read in the order of the numbers in its names.
        log_format: one of `FORMATS`, recognised from the columns if not given.
        group_size: rollouts per prompt, where the log does not tell (NeMo-RL; plain logs without prompt_id).
        reward: column of the reward, or a weighted sum such as correct+0.2*brevity.

    Raises:
        InputError: nothing to read, a format that cannot be told, a column or group size that is missing.
    """
    if log_format is not None and log_format not in FORMATS:
        raise no_such("log format", log_format, FORMATS)
    if group_size is not None and group_size < 1:
        raise InputError(f"group_size must be at least 1, got {group_size}")
    files, notes = _files(Path(path))
    columns = {file: _columns(file) for file in files}
    files, empty = [f for f in files if columns[f]], [f for f in files if not columns[f]]
    name = log_format or _one_format(files, empty, columns)
    if empty and not files:
        files, empty = empty, []
    notes += [f"{file} holds no row of {name}" for file in empty]
    notes += _reward_note(files, name, columns, reward)
    told = name in ("verl", "verl_legacy") or (name == "plain" and columns[files[0]] & set(formats.PLAIN["prompt"]))
    if group_size is not None and told:
        notes.append("--group-size is not used: the log tells which rollouts form a group")
    skipped = Skipped()
    text = [str(f) for f in files]
    chunks = itertools.chain.from_iterable(
        _rows(file, i, name, columns[file], group_size, reward, skipped) for i, file in enumerate(files)
    )

    def skip(rows: np.ndarray, reason: str) -> None:
        for place in where(rows, text):
            skipped.add(place, reason)

    split = name == "trl" and group_size is None
    unit = "tokens" if name in ("nemo_rl", "plain") else "characters"
    return Log(name, text, notes, unit, batches(chunks, skip, split), skipped)


def _files(path: Path) -> tuple[list[Path], list[str]]:
    """Files of a log in the order of the numbers in their names, and notes on what was left out."""
    if not path.exists():
        raise InputError(f"no log at {path}")
    inside = [f for f in sorted(path.rglob("*")) if f.is_file()] if path.is_dir() else [path]
    if any(".tfevents." in f.name for f in inside) and not any(f.name.endswith(SUFFIXES) for f in inside):
        raise InputError(
            f"{path} holds TensorBoard curves only (OpenRLHF leaves no rollouts on disk): an audit needs the reward of "
            "every rollout"
        )
    files = [f for f in inside if f.name.endswith(SUFFIXES)] if path.is_dir() else inside
    if not files:
        raise InputError(f"{path} holds no file that ends in {', '.join(SUFFIXES)}")
    notes = []
    train = [f for f in files if not f.name.startswith("val_data_step")]
    if train and len(train) < len(files):
        notes.append(f"{len(files) - len(train)} validation files (val_data_step*) are not part of this audit")
        files = train
    return sorted(files, key=_natural), notes


def _natural(path: Path) -> list:
    """Key that puts 2.jsonl before 10.jsonl."""
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"([0-9]+)", str(path))]


def _is_parquet(file: Path) -> bool:
    with open(file, "rb") as stream:
        return stream.read(4) == b"PAR1" or file.name.endswith(".parquet")


def _columns(file: Path) -> set[str]:
    return set(parquet.schema(file)) if _is_parquet(file) else jsonl.keys(file)


def _one_format(files: list[Path], empty: list[Path], columns: dict[Path, set[str]]) -> str:
    if not files:
        raise InputError(f"{empty[0]} holds no row that is a JSON object: not a rollout log, or damaged from the start")
    found: dict[str, Path] = {}
    for file in files:
        name = formats.recognise(columns[file], _is_parquet(file))
        if name is None:
            names = ", ".join(sorted(columns[file])[:12])
            raise InputError(
                f"{file} is not in a known format: its columns are {names}; known are {', '.join(FORMATS)} (to be "
                "forced with --log-format; plain needs step, reward and prompt_id)"
            )
        found.setdefault(name, file)
    if len(found) > 1:
        places = ", ".join(f"{name} ({file})" for name, file in found.items())
        raise InputError(f"the log holds files of several formats: {places}; audit them one at a time")
    return next(iter(found))


def _reward_note(files: list[Path], name: str, columns: dict[Path, set[str]], reward: str | None) -> list[str]:
    if name != "trl" or reward is not None:
        return []
    candidates = parquet.reward_columns(parquet.schema(files[0]))
    if len(candidates) < 2:
        return []
    return [
        f"several columns may be the reward ({', '.join(candidates)}); the first is used, and --reward chooses another "
        f"or their sum, such as {candidates[0]}+0.5*{candidates[1]}"
    ]


def _rows(
    file: Path, i: int, name: str, columns: set[str], group_size, reward, skipped: Skipped
) -> Iterator[np.ndarray]:
    if _is_parquet(file):
        if name not in formats.PARQUET:
            raise InputError(f"{file} is parquet, and {name} logs are JSONL")
        return parquet.rows(file, i, name, group_size, reward, skipped)
    if name not in formats.JSONL:
        raise InputError(f"{file} is not parquet, and {name} logs are")
    return jsonl.rows(file, i, formats.layout(name, columns, file, group_size, reward), skipped)
