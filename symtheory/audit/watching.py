"""A log that is being written: what its files look like now, and which are its last steps."""

import heapq
from collections.abc import Sequence

from .files.sources import find
from .read import Log


def state(paths: Sequence[str]) -> tuple:
    """A value that changes when a file of the log is added or grows; empty while there is none."""
    from ..errors import InputError

    try:
        files = find(paths)[0]
    except InputError:
        return ()
    found = []
    for file, _ in files:
        try:
            info = file.stat()
            found.append((str(file), info.st_size, info.st_mtime_ns))
        except OSError:
            continue
    return tuple(found)


def first_of_last(log: Log, count: int) -> int | None:
    """The first of the last `count` steps of a log, which is consumed; None if it has no more than these."""
    last: list[int] = []
    known: set[int] = set()
    for batch in log.batches:
        if batch.step in known or (len(last) == count and batch.step < last[0]):
            continue
        known.add(batch.step)
        heapq.heappush(last, batch.step)
        if len(last) > count:
            known.discard(heapq.heappop(last))
    return last[0] if last else None
