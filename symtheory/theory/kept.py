"""Certificates kept in the user's cache by the hash of the code that made them: deriving is slow, re-checking is not.

What is kept is only where a certificate was found. It is re-checked in every run, and an entry that was changed since
it was written is a failed row, not a reason to derive it again.
"""

import functools
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .. import paths


@functools.cache
def address() -> Path:
    """The file of this code's certificates: its name is the hash of estimators and theory."""
    package = Path(__file__).parents[1]
    files = [
        package / "ops.py",
        *sorted((package / "estimators").rglob("*.py")),
        *sorted((package / "theory").rglob("*.py")),
    ]
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.relative_to(package).as_posix().encode() + b"\0" + file.read_bytes() + b"\0")
    return paths.cache() / "certificates" / f"{digest.hexdigest()[:24]}.json"


def digest(entry: Mapping[str, Any]) -> str:
    content = {key: value for key, value in entry.items() if key != "digest"}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def load() -> dict[str, dict[str, Any]]:
    """Kept entries by theorem; nothing where there are none or the file cannot be read."""
    try:
        entries = json.loads(address().read_text(encoding="utf-8"))["theorems"]
        return {entry["id"]: entry for entry in entries}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def save(entries: Mapping[str, Mapping[str, Any]]) -> None:
    """Write all entries; silently keep nothing where the cache cannot be written."""
    content = {"theorems": [{**entry, "digest": digest(entry)} for entry in entries.values()]}
    try:
        address().parent.mkdir(parents=True, exist_ok=True)
        partial = address().with_suffix(f".{os.getpid()}.partial")
        partial.write_text(json.dumps(content), encoding="utf-8")
        partial.replace(address())
    except OSError:
        return
