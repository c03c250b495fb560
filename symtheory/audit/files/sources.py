"""The files that PATHs, globs and folders mean, what kind each is, and which of them belong to an evaluation."""

import glob
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ...errors import InputError
from ...paths import no_stream
from ..rows import Skipped
from . import documents, parquet, pickles, tables
from .streams import DAMAGE, open_utf8

PACKED = (".gz", ".zst", ".zstd", ".bz2", ".xz")
NAMES = (".parquet", ".jsonl", ".json", ".ndjson", ".csv", ".tsv", ".pt")
EVALUATION = re.compile(
    r"(^|[/_.-])(val|valid|validation|eval|evals|evaluation|test|dev|dumped_evals)([/_.\d-]|$)", re.IGNORECASE
)
ASIDE = re.compile(
    r"(^|[/_.-])(metadata|config|args|tokenizer\w*|special_tokens_map|added_tokens|trainer_state|generation_config|vocab|"
    r"merges|checkpoints?|package|manifest|schema|index|wandb-summary|wandb-metadata)\.jsonl?$",
    re.IGNORECASE,
)
HIDDEN = re.compile(r"(^|/)(\.|__pycache__|node_modules)")
SAMPLE, SAMPLE_BYTES = 256, 8 << 20
"""Records, and about the bytes of them, from which a file's columns are told."""
SMALL = 4096


def find(paths: Sequence[str | Path]) -> tuple[list[tuple[Path, str]], list[str]]:
    """(file, its path within the log) of everything that may hold rollouts, in the order of the numbers in the names.

    Raises `InputError` if there is nothing.
    """
    if not paths:
        raise InputError("give the log: a file, a folder, or several")
    found: dict[Path, str] = {}
    notes: list[str] = []
    for given in paths:
        for path in _expand(Path(given)):
            if not path.is_dir():
                found.setdefault(path, path.name)
                continue
            inside = [f for f in path.rglob("*") if f.is_file() and not HIDDEN.search(str(f.relative_to(path)))]
            if any(".tfevents." in f.name for f in inside) and not any(is_named(f) for f in inside):
                raise InputError(
                    f"{path} holds TensorBoard curves only (OpenRLHF leaves no rollouts on disk): an audit needs the "
                    "reward of every rollout"
                )
            logs = [f for f in inside if is_named(f)]
            if not logs:
                raise InputError(f"{path} holds no file that ends in {', '.join(NAMES)} (packed or not)")
            root = path.name if path.name not in ("", ".") else ""
            for f in sorted(logs, key=natural):
                found.setdefault(f, f"{root}/{f.relative_to(path)}" if root else str(f.relative_to(path)))
    return list(found.items()), notes


def shown(path: Path) -> str:
    """A path in one line."""
    return "".join(c if c.isprintable() else "?" for c in str(path))


def _expand(path: Path) -> list[Path]:
    if path.exists():
        return [no_stream(path)]
    matches = [Path(p) for p in glob.glob(str(path), recursive=True)]
    matches = sorted((p for p in matches if p.is_file() or p.is_dir()), key=natural)
    if not matches:
        raise InputError(f"no log at {shown(path)}")
    return matches


def is_named(path: Path) -> bool:
    """Whether the name of a file is that of a log."""
    name = path.name.lower()
    for end in PACKED:
        name = name.removesuffix(end)
    return name.endswith(NAMES) and not ASIDE.search(name)


def natural(path: Path) -> list:
    """Key that puts 2.jsonl before 10.jsonl."""
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in re.split(r"([0-9]+)", str(path))]


def is_evaluation(inside: str) -> bool:
    """Whether the name of a file, or of a folder inside the log, is that of an evaluation."""
    return bool(EVALUATION.search("/" + inside.partition("/")[2] if "/" in inside else inside))


def kind(path: Path) -> str:
    """ "parquet", "torch", "table" or "json"; `InputError` with one sentence for what is no log."""
    with open(path, "rb") as stream:
        head = stream.read(8)
    if head[:4] == b"PAR1" or path.name.endswith(".parquet"):
        return "parquet"
    if head[:4] == b"PK\x03\x04":
        return "torch"
    if head[:1] == b"\x80" or path.suffix in (".pt", ".pkl", ".pickle", ".pth"):
        raise InputError(f"{path} is a bare pickle: it is not read, since reading one may execute anything in it")
    try:
        with open_utf8(path) as stream:
            start = stream.peek(SMALL)[:SMALL].lstrip()  # type: ignore[attr-defined]
    except DAMAGE:
        start = b""
    first = start.split(b"\n", 1)[0]
    if start[:1] in (b"{", b"[") or not start:
        return "json"
    name = path.name.lower().split(".")
    text = not re.search(rb"[\x00-\x08]", first)
    if text and (
        ("csv" in name or "tsv" in name) or (tables.delimiter(first.decode(errors="replace")) and b"{" not in first)
    ):
        return "table"
    return "json"


def sample(path: Path) -> list[dict]:
    """The first records of a file."""
    found: list[dict] = []
    if kind(path) == "parquet":
        return parquet.sample(path, SAMPLE)
    size = 0
    for _, record in records(path, Skipped(), None):
        found.append(record)
        size += _bytes(record)
        if len(found) >= SAMPLE or size > SAMPLE_BYTES:
            break
    return found


def _bytes(value: Any, depth: int = 0) -> int:
    if isinstance(value, str):
        return len(value)
    if isinstance(value, dict) and depth < 4:
        return 16 + sum(_bytes(v, depth + 1) for v in value.values())
    if isinstance(value, list) and depth < 4:
        return 8 * len(value) + sum(_bytes(v, depth + 1) for v in value[:100])
    return 16


def records(path: Path, skipped: Skipped, keys: Sequence[str] | None) -> Iterator[tuple[int, dict]]:
    """(line or number, record) of a file that is no parquet."""
    readers: dict[str, Callable[[], Iterator[tuple[int, dict]]]] = {
        "json": lambda: documents.records(path, skipped, keys),
        "table": lambda: tables.records(path, skipped),
        "torch": lambda: _torch(path),
    }
    return readers[kind(path)]()


def _torch(path: Path) -> Iterator[tuple[int, dict]]:
    value = pickles.read_torch(path)
    yield from ((i + 1, record) for i, record in enumerate(documents.objects(value)))
