"""What fuzzing asks of every reader: of audit, of evidence's tables and of what plan reads.

The first byte of an input chooses how the rest is read (`KINDS`), with a group size where it is at least 128.
`coverage_guided.py` grows inputs in this form, and `test_fuzz.py` reads the small corpus in samples/fuzz.
"""

import gzip
import io
import json
import math
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from symtheory import InputError, evidence
from symtheory.audit import audit, read
from symtheory.plan.source import from_file


def _zipped(data: bytes) -> bytes:
    """An archive as torch.save writes it, of a pickle that holds these bytes."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("archive/data.pkl", data)
    return stream.getvalue()


def _same(data: bytes) -> bytes:
    return data


KINDS: tuple[tuple[str, Callable[[bytes], bytes]], ...] = (
    ("a.jsonl", _same),
    ("a.json", _same),
    ("a.csv", _same),
    ("a.pt", _same),
    ("a.parquet", _same),
    ("a.jsonl.gz", _same),
    ("a.jsonl.zst", _same),
    ("pickle.pt", _zipped),
    ("packed.jsonl.gz", lambda data: gzip.compress(data, 1)),
    ("wide.jsonl", lambda data: data.decode("latin-1").encode("utf-16")),
    ("table.md", _same),
    ("rates.txt", _same),
)
"""Name of the file that an input becomes, and how its bytes are packed."""


def try_input(data: bytes, folder: Path, whole: bool = True) -> None:
    """Read one input; fails unless it is used, or refused with one sentence. `whole`: audit what was read, too."""
    name, pack = KINDS[(data[0] & 127) % len(KINDS)]
    target = folder / name
    target.write_bytes(pack(data[1:]))
    if name == "table.md":
        accept_table(target)
    elif name == "rates.txt":
        accept_rates(target)
    else:
        (accept if whole else accept_rows)(target, group_size=4 if data[0] >= 128 else None)


def refusal(read_it: Callable[[], Any]) -> tuple[str, Any]:
    """("", what was read), or (the one sentence with which it was refused, None)."""
    try:
        return "", read_it()
    except InputError as error:
        sentence = str(error)
    assert len(sentence.splitlines()) == 1
    return sentence, None


def accept(path: Path, **options) -> dict | None:
    """The report on a file, None if it is refused with one sentence; rows are used or counted, sums are finite."""

    def both():
        log = read(path, **options)
        return log, audit(log, against=("agrae", "passk"))

    sentence, found = refusal(both)
    if sentence:
        return None
    log, report = found
    assert report["rollouts"] > 0
    assert report["skipped_rows"] == log.skipped.total
    assert report["dead_fraction"] is None or 0 <= report["dead_fraction"] <= 1
    assert 0 <= report["success"] <= 1
    json.dumps(report, allow_nan=False)
    assert report["group_asymmetry"] is None or abs(report["group_asymmetry"]) <= 1 + 1e-9
    assert math.isfinite(report["mean_reward"])
    return report


def accept_rows(path: Path, **options) -> None:
    """Read a log to its end without the audit, or see it refused with one sentence."""
    sentence, rollouts = refusal(lambda: sum(len(batch.rows) for batch in read(path, **options).batches))
    assert sentence or rollouts >= 0


def accept_table(path: Path) -> None:
    """Read a pass@k table, or see it refused with one sentence."""
    sentence, rows = refusal(lambda: evidence.read(path).rows)
    assert sentence or rows
    assert all(((row.values >= 0) & (row.values <= 1)).all() for row in rows or ())


def accept_rates(path: Path) -> None:
    """Read a file as plan does, or see it refused with one sentence."""
    sentence, success = refusal(lambda: from_file(path).population.success)
    assert sentence or len(success)
    assert sentence or ((success >= 0) & (success <= 1)).all()
