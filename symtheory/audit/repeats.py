"""Copies: groups that were written again, as a trainer does that logs one generation at each of its optimiser steps."""

from collections import Counter, OrderedDict
from collections.abc import Iterator

import numpy as np

from .columns.values import mixed
from .rows import Batch

REMEMBERED = 1 << 16
"""Groups remembered."""
BATCHES = 8
"""Batches without texts remembered."""
MEASURED, MIXED = 4, 8
"""Distinct lengths, or groups of unequal rewards, that make two equal batches more than a coincidence."""
CONTENT = ("prompt", "text", "reward", "advantage", "length", "logprob")


def without_copies(batches: Iterator[Batch], left: Counter) -> Iterator[Batch]:
    """Batches without the groups that came before with the same texts, and without batches that repeat another.

    Groups of one are kept: a greedy evaluation writes the same answer again. `left` counts the rows.
    """
    seen: OrderedDict[int, int] = OrderedDict()
    prompt_of: OrderedDict[int, int] = OrderedDict()  # texts of a group -> its prompt
    whole: OrderedDict[int, int] = OrderedDict()
    for batch in batches:
        if not len(batch.rows):
            continue
        groups, distinct = _signatures(batch)
        telling = (distinct >= 2) & (batch.sizes >= 2) & _own_texts(batch, prompt_of)
        fresh = np.array([g not in seen or not t for g, t in zip(groups.tolist(), telling.tolist(), strict=True)])
        with np.errstate(over="ignore"):
            key = int(mixed(groups).sum())
        if not telling.any() and key in whole and _is_telling(batch):
            fresh[:] = False
        for group in groups[telling].tolist():
            seen[group] = 0
        whole[key] = 0
        for memory in (seen, prompt_of):
            while len(memory) > REMEMBERED:
                memory.popitem(last=False)
        while len(whole) > BATCHES:
            whole.popitem(last=False)
        if fresh.all():
            yield batch
            continue
        left["copies"] += int(batch.sizes[~fresh].sum())
        left["copied steps"] += not fresh.any()
        if fresh.any():
            yield _only(batch, fresh)


def _signatures(batch: Batch) -> tuple[np.ndarray, np.ndarray]:
    """(a number for the content of each group, whatever the order of its rows; its distinct texts, 0 if unknown)."""
    rows = batch.rows
    key = np.zeros(len(rows), np.uint64)
    for name in CONTENT:
        values = rows[name] if rows[name].dtype == np.uint64 else (rows[name] + 0.0).view(np.uint64)
        key = mixed(key ^ values)
    groups = np.add.reduceat(key, batch.starts)
    text = rows["text"]
    if not text.all():
        return groups, np.zeros(len(batch.starts), int)
    return groups, distinct_texts(batch)


def _own_texts(batch: Batch, prompt_of: OrderedDict[int, int]) -> np.ndarray:
    """[m] whether the texts of a group are those of its prompt alone: placeholders are the same everywhere."""
    first = batch.rows[batch.starts]
    prompts = np.where(first["prompt"] != 0, first["prompt"], first["group"]).tolist()
    texts = np.add.reduceat(mixed(batch.rows["text"]), batch.starts).tolist()
    own = []
    for text, prompt in zip(texts, prompts, strict=True):
        own.append(prompt_of.setdefault(text, prompt) == prompt)
        if not own[-1]:
            prompt_of[text] = 0
    return np.array(own) & np.array([prompt_of[text] != 0 for text in texts])


def distinct_texts(batch: Batch) -> np.ndarray:
    """[m] distinct completions of each group."""
    group = np.repeat(np.arange(len(batch.starts)), batch.sizes)
    order = np.lexsort((batch.rows["text"], group))
    text, group = batch.rows["text"][order], group[order]
    new = np.append(True, (text[1:] != text[:-1]) | (group[1:] != group[:-1]))
    return np.bincount(group[new], minlength=len(batch.starts))


def _is_telling(batch: Batch) -> bool:
    """Whether a batch without texts is too particular to be the same as another by chance."""
    rows = batch.rows
    if max(len(np.unique(rows[name][np.isfinite(rows[name])])) for name in ("length", "logprob")) >= MEASURED:
        return True
    low, high = (f.reduceat(rows["reward"], batch.starts) for f in (np.minimum, np.maximum))
    return int((low != high).sum()) >= MIXED


def _only(batch: Batch, groups: np.ndarray) -> Batch:
    sizes = batch.sizes[groups]
    rows = batch.rows[np.repeat(groups, batch.sizes)]
    return Batch(batch.step, rows, np.append(0, np.cumsum(sizes)[:-1]), sizes, batch.again)
