"""A log format as data: the columns that tell it, and the column of each field where it is not the usual one.

To add a trainer, add a file to this folder with one `FORMAT` (or several `FORMATS`). Columns are dotted paths into a
record (`run.work.step`); of several candidates the first that a log has is used. Fields that a format does not name are
looked for under the names of `plain.SYNONYMS`.
"""

import functools
import importlib
import pkgutil
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ...errors import no_such

FIELDS = {
    "step": "step of the optimiser; a whole number",
    "group": "what the rollouts of one draw of a prompt share",
    "prompt": "what all draws of a prompt share: an id, a text or messages",
    "id": "what tells the rollouts of a group apart",
    "turn": "position of an output among several of one rollout; the last counts",
    "reward": "the reward; --reward chooses a column or a weighted sum",
    "success": "1 where the task was solved, 0 where not; --success",
    "advantage": "the advantage, a number or one for each token",
    "length": "tokens of the completion",
    "logprob": "log-probability of the completion, summed or one for each token",
    "text": "the completion",
    "token_mask": "1 for the tokens of the completion among all",
    "mask": "0 for a rollout that does not enter the loss",
    "cut": "whether the rollout was truncated",
    "split": "train or evaluation",
    "epoch": "pass through the data; steps that begin again with each are counted on",
    "run": "which run a row is of; two in one log are told",
}
"""Field -> what it is; the names that `--columns` takes."""

Derive = Callable[[dict[str, list]], dict[str, list]]


class Format(NamedTuple):
    """How one trainer writes its rollouts."""

    name: str
    about: str
    """Trainer, option and files, for the documentation"""
    signs: tuple[str, ...]
    """Columns that a file of this format has; more of them are preferred to fewer"""
    fields: Mapping[str, tuple[str, ...]] = {}
    """Field -> candidate columns in place of the usual ones; an empty tuple: the field is not in the log"""
    rows: str = ""
    """Column that holds a list of rollouts in each record"""
    functions: bool = False
    """Whether every other column of numbers is the reward of one reward function"""
    nansum: bool = False
    """Whether the trainer adds reward functions, those that returned nothing counting as 0"""
    ordered: bool = False
    """Whether rows are written group after group, so that a double group is a prompt drawn twice"""
    one: bool = False
    """Whether every value is a list of length 1, which holds a list for each rollout where there are tokens"""
    leave_out: str = ""
    """Regular expression of paths that repeat others or hold no rollouts"""
    derive: Derive | None = None
    """Columns by field -> the same with what the trainer packs into others"""
    totals: bool = False
    """Whether `derive` adds up a reward that is an object of named scores"""
    also: tuple[str, ...] = ()
    """Columns that `derive` reads besides those of the fields"""


@functools.cache
def formats() -> tuple[Format, ...]:
    """All formats, those with the most signs first and `plain` last."""
    package = __name__.rpartition(".")[0]
    found = []
    for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
        loaded = vars(importlib.import_module(f"{package}.{module.name}"))
        found += loaded.get("FORMATS", [loaded["FORMAT"]] if "FORMAT" in loaded else [])
    return tuple(sorted(found, key=lambda f: (f.name == "plain", -len(f.signs), f.name)))


def named() -> tuple[str, ...]:
    """What `audit --log-format` takes.

    Returns:
        The names, those of formats with the most signs first.
    """
    return tuple(f.name for f in formats())


def get(name: str) -> Format:
    for found in formats():
        if found.name == name:
            return found
    raise no_such("log format", name, named())


def only(value: Any) -> Any:
    """The element of a list of length 1, and anything else as it is."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def asked(value: Any) -> Any:
    """A conversation without the answers at its end; None if nothing is left, any other value as it is."""
    if not (isinstance(value, list) and value and all(isinstance(m, dict) for m in value)):
        return value
    end = len(value)
    while end and value[end - 1].get("role") not in ("user", "system", "developer", "human"):
        end -= 1
    return value[:end] or None
