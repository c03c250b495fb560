"""Where the success probabilities come from: numbers, a file of pass rates, a pass@k table, or a rollout log."""

import csv
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..errors import InputError, no_such
from ..evidence.findings import questions_of
from ..evidence.tables import Row, decoded, is_table, rows_of
from ..paths import no_stream
from .population import Population, exact_population, measured_population, row_population

RATES = (
    "success",
    "success_rate",
    "pass_rate",
    "passrate",
    "solve_rate",
    "rate",
    "accuracy",
    "acc",
    "p",
    "mean_reward",
)
CORRECT = ("correct", "n_correct", "num_correct", "correct_count", "passed", "c", "successes")
TRIES = ("total", "samples", "num_samples", "n_samples", "attempts", "tries", "n", "rollouts", "num_rollouts")
LOGS = (".parquet", ".gz", ".zst", ".pt")
MANY = 2000
"""Different pass rates that are kept apart"""
LARGEST = 256 << 20
"""Bytes of a file of pass rates at most"""


class _NoRates(InputError):
    """Records without a pass rate of each question, which may be rollouts."""


class Source(NamedTuple):
    """A population and what was read beside it."""

    population: Population
    text: str
    """what it is, for the first line of the answer"""
    notes: list[str]
    group_size: int | None = None
    """G of a log"""
    rollouts: int | None = None
    """rollouts per step of a log"""
    others: tuple[tuple[Row, Population], ...] = ()
    """rows of a table for the same benchmark, to compare with"""
    row: Row | None = None
    """the row of a table that was used"""
    questions: int | None = None
    """questions of an evaluation on the same ones"""


def from_success(values: Sequence[float]) -> Source:
    """Success probabilities that are given, and exact."""
    population = exact_population(values)
    return Source(population, f"{len(values)} success probabilities", [])


def from_file(
    path: Path,
    *,
    measured: int | None = None,
    method: str | None = None,
    dataset: str | None = None,
    reward: str | None = None,
    group_size: int | None = None,
    last: int | None = None,
) -> Source:
    """Read whatever `path` is.

    Args:
        path: a file of pass rates, a pass@k table, a rollout log, or a folder with one.
        measured: tries behind each pass rate.
        method, dataset: row of a pass@k table.
        reward, group_size: as for `audit.read`.
        last: steps at the end of a log to use; all if not given.

    Returns:
        The population, and what was read of the file.

    Raises:
        InputError: no such file, or one in which no success is found; the message says what was seen.
    """
    if not path.exists():
        raise InputError(f"source must be a file or a folder, got {str(path)!r}: no such file")
    no_stream(path)
    if path.is_dir() or path.name.endswith(LOGS) or _starts_with(path, b"PAR1"):
        return _from_log(path, reward, group_size, last)
    if path.stat().st_size > LARGEST and path.suffix != ".jsonl":
        raise InputError(
            f"source must be a table of at most {LARGEST >> 20} MB or a .jsonl or .parquet log, got {path}"
        )
    if path.suffix == ".jsonl" and not _has_rates(path):
        return _from_log(path, reward, group_size, last)
    text = decoded(path.read_bytes(), str(path))
    lines = text.splitlines()
    try:
        if path.suffix in (".json", ".jsonl"):
            return _from_json(text, path, measured)
        if is_table(lines):
            return _from_table(lines, path, method, dataset)
        return _from_text(lines, path, measured)
    except _NoRates as reason:
        try:
            return _from_log(path, reward, group_size, last)
        except InputError:
            raise reason from None


def _from_table(lines: list[str], path: Path, method: str | None, dataset: str | None) -> Source:
    rows, notes = rows_of(lines, str(path))
    for name, wanted in (("dataset", dataset), ("method", method)):
        if wanted is not None and wanted not in {getattr(row, name) for row in rows}:
            raise no_such(f"{name} in {path}", wanted, {getattr(row, name) for row in rows})
    rows = [row for row in rows if dataset is None or row.dataset == dataset]
    chosen = next((row for row in rows if method in (None, row.method) and len(row.ks) > 1), None)
    if chosen is None:
        raise InputError(
            f"source must have a row with two values of k or more, which tell difficulties apart, got {path}"
        )
    size = questions_of(chosen.dataset, {})
    others = tuple(row for row in rows if row[:3] == chosen[:3] and row is not chosen and len(row.ks) > 1)
    label = " ".join(filter(None, (chosen.dataset, chosen.method)))
    if len(rows) > 1:
        notes = [*notes, f"the row {label} is used; --method and --dataset choose another"]
    return Source(
        row_population(chosen.ks, chosen.values, chosen.rounding, size),
        f"pass@k of {label or path.name}",
        [*notes, "the questions of the table stand for the questions to train on"],
        others=tuple((row, row_population(row.ks, row.values, row.rounding, size)) for row in others),
        row=chosen,
        questions=size,
    )


def _from_text(lines: list[str], path: Path, measured: int | None) -> Source:
    lines = [line for line in lines if line.strip() and not line.lstrip().startswith("#")]
    if not lines:
        raise InputError(f"source must hold pass rates, got an empty file, {path}")
    mark = next((m for m in ("\t", ";", ",") if m in lines[0]), None)
    cells = [next(csv.reader([line], delimiter=mark)) if mark else line.split() for line in lines]
    if all(_number(c) is not None for c in cells[0]):  # no header: numbers only
        values = [[c.strip() for c in row if c.strip()] for row in cells]
        return _from_rates([(c, f"{path}:{i}") for i, row in enumerate(values, 1) for c in row], path, measured)
    header = [c.strip() for c in cells[0]]
    records = [(dict(zip(header, row, strict=False)), f"{path}:{i}") for i, row in enumerate(cells[1:], 2)]
    return _from_records(records, header, path, measured)


def _from_json(text: str, path: Path, measured: int | None) -> Source:
    try:
        if path.suffix == ".jsonl":
            found = [json.loads(line) for line in text.splitlines() if line.strip()]
        else:
            found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not JSON: {error}") from None
    items = list(found.values()) if isinstance(found, dict) else found
    if isinstance(found, dict) and len(items) == 1 and isinstance(items[0], list):
        items = items[0]  # {"success": [...]}
    if not isinstance(items, list) or not items:
        raise InputError(f"{path} must hold a list of pass rates, or an object of them")
    where = [f"{path} [{i}]" for i in range(len(items))]
    if all(isinstance(item, list) for item in items):
        return _from_tries(list(zip(items, where, strict=True)), path)
    if all(isinstance(item, dict) for item in items):
        return _from_records(list(zip(items, where, strict=True)), list(items[0]), path, measured)
    return _from_rates(list(zip(items, where, strict=True)), path, measured)


def _from_tries(items: list[tuple[list, str]], path: Path) -> Source:
    """One list of 0 and 1 for each question."""
    for tries, where in items:
        if not tries or not all(isinstance(t, bool | int | float) and t in (0, 1) for t in tries):
            raise InputError(f"{where} must be a list of 0 and 1, one for each try, got {str(tries)[:60]}")
    return _measured([sum(tries) for tries, _ in items], [len(tries) for tries, _ in items], path, [])


def _from_records(records: list[tuple[dict, str]], columns: list[str], path: Path, measured: int | None) -> Source:
    plain = {re.sub(r"[\s-]+", "_", c.strip().lower()): c for c in columns}
    correct, tries, rate = (next((plain[n] for n in names if n in plain), None) for names in (CORRECT, TRIES, RATES))
    if rate is None:  # such as llama8b_solve_rate
        rate = next((c for n, c in plain.items() if n.endswith(("_pass_rate", "_solve_rate", "_success_rate"))), None)
    if correct is not None and tries is not None:
        counts = [[_value(r.get(c), c, w, 1e9) for c in (correct, tries)] for r, w in records]
        if any(c > n or n < 1 or c % 1 or n % 1 for c, n in counts):
            bad = next(w for (c, n), (_, w) in zip(counts, records, strict=True) if c > n or n < 1 or c % 1 or n % 1)
            raise InputError(f"{bad}: {correct} and {tries} must be whole numbers, {correct} of {tries} tries")
        return _measured([c for c, _ in counts], [n for _, n in counts], path, [])
    if rate is None or (tries is None and _are_rollouts(records, rate, plain)):
        raise _NoRates(
            f"{path} must have a column of pass rates ({', '.join(RATES[:4])}) or columns correct and total; its "
            f"columns are {', '.join(repr(c[:40]) for c in columns[:12])}"
        )
    if tries is not None:
        pairs = [(_value(r.get(rate), rate, w, 1), _value(r.get(tries), tries, w, 1e9)) for r, w in records]
        counts = np.array([p * n for p, n in pairs])
        if (np.abs(counts - counts.round()) > 0.01 * np.array([max(n, 1) for _, n in pairs]) + 1e-6).any():
            raise InputError(f"{path}: {rate} times {tries} must be a number of correct tries")
        return _measured(counts.round(), [n for _, n in pairs], path, [])
    return _from_rates([(r.get(rate), w) for r, w in records], path, measured)


def _are_rollouts(records: list[tuple[dict, str]], rate: str, plain: dict[str, str]) -> bool:
    """Whether rows that succeed or not come back to their question: tries, and not the rates of questions."""
    from ..audit.formats.plain import SYNONYMS

    asked = next((plain[n] for n in (*SYNONYMS["group"], *SYNONYMS["prompt"]) if n in plain and plain[n] != rate), None)
    if asked is None or not all(_number(r.get(rate)) in (0, 1) for r, _ in records):
        return False
    return len({str(r.get(asked)) for r, _ in records}) < 0.6 * len(records)


def _from_rates(items: list[tuple], path: Path, measured: int | None) -> Source:
    rates = np.array([_value(value, "pass rate", where, 1) for value, where in items])
    if not len(rates):
        raise InputError(f"source must hold at least one pass rate, got only a header, {path}")
    if measured is not None:
        if measured < 1:
            raise InputError(f"measured must be at least 1 try for each pass rate, got {measured}")
        counts = rates * measured
        if (np.abs(counts - counts.round()) > 0.02).any():
            bad = rates[np.argmax(np.abs(counts - counts.round()))]
            raise InputError(
                f"measured must be the tries behind each pass rate, got {measured}, but {bad:g} is no n/{measured}"
            )
        return _measured(counts.round(), np.full(len(rates), measured), path, [])
    notes = []
    if len(np.unique(rates)) > MANY:
        rates = rates.round(3)
        notes.append(f"there are more than {MANY} different pass rates, and they are rounded to 0.001")
    tries = next((n for n in range(1, 129) if np.abs(rates * n - (rates * n).round()).max() < 1e-3 * n), None)
    if tries is not None and len(np.unique(rates)) > 1 and len(rates) >= 10:
        notes += [
            f"all pass rates are multiples of 1/{tries}, as {tries} tries of each question give them, and are taken as "
            f"exact: --measured {tries} takes them as measurements, in which 0 and 1 are not never and always"
        ]
    return Source(exact_population(rates), f"{len(rates)} pass rates of {path.name}", notes, questions=len(rates))


def _measured(correct, tries, path: Path, notes: list[str]) -> Source:
    population = measured_population(correct, tries)
    few, many = int(np.min(tries)), int(np.max(tries))
    spread = f"{few}" if few == many else f"{few} to {many}"
    text = f"{len(correct)} questions of {path.name} with {spread} tries each"
    return Source(population, text, notes, questions=len(correct))


def _from_log(path: Path, reward: str | None, group_size: int | None, last: int | None) -> Source:
    from ..audit import read
    from ..audit.tally import success_rates

    log = read(path, None, group_size, reward)
    steps: dict[int, list[tuple[np.ndarray, np.ndarray]]] = {}
    for batch in log.batches:
        success = batch.rows["success"]
        graded = success[(success > 0) & (success < 1)]
        if len(graded):
            raise InputError(
                f"source must be a log of correct and wrong rollouts, got a reward of {graded[0]:g}: choose another "
                "with --reward, or give --success"
            )
        counts = np.round(success_rates(batch) * batch.sizes), batch.sizes
        steps.setdefault(batch.step, []).append(counts)
        if last is not None:
            for old in sorted(steps)[:-last]:
                del steps[old]
    if not steps:
        raise InputError(f"source must hold rollouts, got {path}, of which no row could be used")
    correct, tries = (np.concatenate([part[i] for parts in steps.values() for part in parts]) for i in (0, 1))
    several = tries > 1
    if not several.any():
        raise InputError(f"source must hold groups of at least two rollouts, got only single ones in {path}")
    size = int(np.bincount(tries).argmax())
    per_step = np.median([sum(int(sizes.sum()) for _, sizes in parts) for parts in steps.values()])
    notes = [
        *log.notes,
        f"questions are taken as they were in steps {min(steps)} to {max(steps)} (--last N takes the last N)",
    ]
    if not several.all():
        notes.append(f"{int((~several).sum())} groups of one rollout are left out")
    population = measured_population(correct[several], tries[several])
    text = f"{len(tries)} groups of {path.name}, mostly of {size}"
    return Source(population, text, notes, size, int(per_step))


def _value(text, name: str, where: str, most: float) -> float:
    percent = isinstance(text, str) and text.strip().endswith("%")
    value = _number(text)
    if value is None or not 0 <= value / (100 if percent else 1) <= most:
        wanted = "a number from 0 to 1, or with a percent sign" if most == 1 else "a number from 0"
        raise InputError(f"{where}: {name} must be {wanted}, got {str(text)[:60]!r}")
    return value / (100 if percent else 1)


def _number(text) -> float | None:
    if isinstance(text, bool):
        return float(text)
    try:
        value = float(text.strip().rstrip("%") if isinstance(text, str) else text)
    except (TypeError, ValueError):
        return None
    return value if np.isfinite(value) else None


def _starts_with(path: Path, mark: bytes) -> bool:
    with path.open("rb") as stream:
        return stream.read(len(mark)) == mark


def _has_rates(path: Path) -> bool:
    """Whether the first line of a JSONL file is an object with a pass rate, or a number."""
    with path.open("rb") as stream:
        line = stream.readline(1 << 20)
    try:
        first = json.loads(line)
    except (ValueError, RecursionError):
        return False
    if not isinstance(first, dict):
        return isinstance(first, int | float)
    names = {re.sub(r"[\s-]+", "_", str(c).lower()) for c in first}
    if {"response", "completion", "output", "advantage", "rollout_id"} & names:
        return False
    counts = names & set(CORRECT) and names & set(TRIES)
    rates = names & set(RATES[:6]) or any(n.endswith(("_pass_rate", "_solve_rate", "_success_rate")) for n in names)
    return bool(counts or rates)
