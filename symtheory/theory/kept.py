"""Certificates kept by the hash of the code that made them: deriving is slow, re-checking is not.

They lie in the user's cache, and those of the published code in the checkout. What is kept is only where a certificate
was found. It is re-checked in every run, and an entry that was changed since it was written is a failed row, not a
reason to derive it again.
"""

import functools
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .. import paths

PUBLISHED = "paper/results/certificates.json"
"""The certificates of the code that is published, in a checkout; `symtheory paper --prove` renews them."""


@functools.cache
def code() -> str:
    """The hash of estimators and theory."""
    package = Path(__file__).parents[1]
    files = [
        package / "ops.py",
        *sorted((package / "estimators").rglob("*.py")),
        *sorted((package / "theory").rglob("*.py")),
    ]
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.relative_to(package).as_posix().encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()[:24]


def address() -> Path:
    """The file of this code's certificates in the user's cache."""
    return paths.cache() / "certificates" / f"{code()}.json"


def digest(entry: Mapping[str, Any]) -> str:
    content = {key: value for key, value in entry.items() if key != "digest"}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def load() -> dict[str, dict[str, Any]]:
    """Kept entries of this code by theorem: the published ones, and over them the user's; {} where there are none."""
    root, found = paths.checkout(), {}
    for file in (*([root / PUBLISHED] if root else []), address()):
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
            if content["code"] == code():
                found |= {entry["id"]: entry for entry in content["theorems"]}
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return found


def save(entries: Mapping[str, Mapping[str, Any]]) -> None:
    """Write all entries to the cache; silently keep nothing where it cannot be written."""
    try:
        address().parent.mkdir(parents=True, exist_ok=True)
        partial = address().with_suffix(f".{os.getpid()}.partial")
        partial.write_text(as_text(entries), encoding="utf-8")
        partial.replace(address())
    except OSError:
        return


def as_text(entries: Mapping[str, Mapping[str, Any]]) -> str:
    """Entries as JSON, one theorem on a line, in the order of their names."""
    lines = [json.dumps({**entries[id], "digest": digest(entries[id])}) for id in sorted(entries)]
    return f'{{"code": "{code()}", "theorems": [\n' + ",\n".join(lines) + "\n]}\n"
