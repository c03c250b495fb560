"""Which columns the reward of a rollout is made of, and the command to try where none was found."""

import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ...errors import InputError
from ..formats import Format
from ..formats.plain import SYNONYMS
from .fields import Refusal, Sample, Wishes, column_of, safe, seen
from .opening import REWARD_LIKE, leaf, usual
from .values import number, numbers

MAX_PARTS = 8
"""Reward columns kept apart, so that their weights can be fitted."""
NOT_REWARDS = re.compile(
    r"(^|[_.])(step|epoch|id|idx|index|length|len|tokens?|kl|entropy|loss|lr|time|seconds|duration|temperature|seed|mask|"
    r"logprobs?|advantages?|std|mean|count|size|version|iteration|rank|turns?|latency|ms|timestamp|num|gen_step)([_.]|$)"
)

FUNCTION = re.compile(r"reward|penalty|bonus|score|correct|accuracy")
"""What names of reward functions say, even if they are about lengths or tokens."""


TOTAL = re.compile(
    r"^(total|overall|final|combined|weighted|aggregate|sum|score|reward)(_(reward|score|sum|total))?$|"
    r"^(reward|score)_(total|sum|final|overall)$"
)
"""Names of the sum among named rewards."""


class Terms(NamedTuple):
    """A reward as a weighted sum of columns."""

    columns: tuple[str, ...]
    weights: tuple[float, ...]

    def __str__(self) -> str:
        parts = [c if w == 1 else f"{w:.6g}*{c}" for c, w in zip(self.columns, self.weights, strict=True) if w]
        return "+".join(parts) or "0"


def choose_reward(path, form: Format, sample: Sample, fields: dict[str, str], wishes: Wishes):
    """(columns of its terms, the default terms, whether they may be fitted)."""
    used = {c for column in fields.values() for c in column.split("+")}
    wanted = wishes.columns.get("reward") or wishes.reward
    success = fields.get("success")
    if wanted is not None:
        terms = reward_terms(wanted, sample, path)
        return terms.columns, terms, False
    names = form.fields.get("reward", SYNONYMS["reward"])
    names += ("rewards", "reward_components") if form.functions else ()  # an object of named rewards
    by_name = {usual(c): c for c in sorted(sample, key=lambda c: -c.count("."))}
    leaves = {leaf(c): c for c in sorted(sample, key=lambda c: -c.count("."))}
    total = [n if n in sample else by_name.get(n) or (leaves.get(n) if form.name == "plain" else None) for n in names]
    total = [c for c in total if c and c not in used - {success}]
    found = next((c for c in total if is_reward(sample[c]) or holds(sample[c])), None)
    inner = found if found and not form.totals and holds(sample[found]) else None
    main = None if inner else found
    if inner is not None:  # a reward that is an object of named rewards
        found = [c for c in sample if c.startswith(f"{inner}.") and is_reward(sample[c])][:MAX_PARTS]
        found.sort(key=lambda c: leaf(c) not in SYNONYMS["success"])
        total = [c for c in found if TOTAL.search(leaf(c))]
        if total:
            parts = (total[0], *(c for c in found if c != total[0])) if "advantage" in fields else (total[0],)
            return parts, Terms((total[0],), (1.0,)), True
        if found:
            return tuple(found), Terms(tuple(found), (1.0,) * len(found)), True
    others = [
        c for c in sample if c not in used and c != main and is_reward(sample[c]) and not _redundant(c, main, form)
    ]
    if form.functions:
        others = [c for c in others if (FUNCTION.search(leaf(c)) or not NOT_REWARDS.search(usual(c))) and "." not in c]
        others = [c for c in others if not any(isinstance(v, str) for v in sample[c])] or others
    else:
        others = [c for c in others if REWARD_LIKE.search(usual(c))]
    if main is not None:
        parts = (main, *others[: MAX_PARTS - 1]) if "advantage" in fields else (main,)
        return parts, Terms((main,), (1.0,)), True
    if not others:
        named = next((c for c in sample if leaf(c) in SYNONYMS["reward"] and c not in used), None)
        why = f"column {named!r} holds no numbers" if named else "no reward of each rollout was found"
        raise Refusal(f"{path}: {why}; {seen(sample)}{guess(path, sample, fields)}")
    parts = tuple(others[:MAX_PARTS])
    return parts, Terms(parts, (1.0,) * len(parts)), True


def is_reward(values: Sequence[Any]) -> bool:
    """Whether a column holds numbers, or lists of them."""
    known = [v for v in values if v is not None]
    if not known:
        return False
    flat = [v[0] if isinstance(v, list) and v else v for v in known]
    flat = [v[0] if isinstance(v, list) and v else v for v in flat]
    plain = [v for v in flat if isinstance(v, int | float) or number(v) == number(v)]
    return len(plain) > 0.5 * len(flat)


def holds(values: Sequence[Any]) -> bool:
    return any(isinstance(v, dict) and v for v in values)


def _redundant(column: str, main: str | None, form: Format) -> bool:
    return main is not None and column.startswith(f"{main}.")


def reward_terms(text: str, sample: Collection[str], path: Path | str = "the log") -> Terms:
    """Read `correct`, `correct+brevity` or `correct+0.2*brevity`, given the columns that there are.

    >>> reward_terms("correct+0.2*brevity", ["correct", "brevity"])
    Terms(columns=('correct', 'brevity'), weights=(1.0, 0.2))
    """
    columns: Sample = {name: [] for name in sample}
    if text in columns:
        return Terms((text,), (1.0,))
    parts = [re.fullmatch(r"\s*(?:([-+.\deE]+)\s*\*\s*)?(.+?)\s*", part) for part in text.split("+")]
    try:
        found = [(float(m[1] or 1), m[2]) for m in parts if m]
    except ValueError:
        found = []
    if len(found) != len(parts) or not found:
        raise InputError(f"reward must be a column, or a sum such as correct+0.2*brevity, got {text!r}")
    names = tuple(column_of(Path(path), columns, name) for _, name in found)
    if len(set(names)) < len(names):
        raise InputError(f"reward names a column twice: {text!r}")
    return Terms(names, tuple(weight for weight, _ in found))


def guess(path: Path, sample: Sample, fields: Mapping[str, str]) -> str:
    """A command to paste, with the most likely columns."""
    used = set(fields.values())
    numeric = [c for c in sample if c not in used and is_reward(sample[c]) and not isinstance(sample[c][0], list)]
    numeric = [c for c in numeric if not NOT_REWARDS.search(usual(c))] or numeric
    if not numeric:
        return ""
    few = lambda c: len(np.unique(numbers(sample[c])))  # noqa: E731
    reward = min(numeric, key=lambda c: (not re.search(r"rew|score|ret|grade|correct|pass", usual(c)), few(c)))
    guess = {"reward": reward}
    rest = [c for c in sample if c != reward and c not in used and not holds(sample[c])]
    for field, test in (
        ("step", r"step|iter|epoch|round|version|update"),
        ("prompt", r"prompt|problem|question|task|group|query|id$"),
    ):
        if field not in fields and not (field == "prompt" and "group" in fields):
            match = next((c for c in rest if re.search(test, usual(c)) and c not in guess.values()), None)
            guess |= {field: match} if match else {}
    shown = " ".join(f"{field}={safe(column)}" for field, column in guess.items())
    return f". Perhaps: symtheory audit {safe(str(path))} --columns {shown}"
