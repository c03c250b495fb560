"""Records whose rollouts or rewards are told apart by names, put as the lists that the reader opens.

`reward_0 ... reward_7` and `{"sample_0": {...}, "sample_1": {...}}` become lists of rollouts;
`[{"name": "format", "value": 1}]` becomes an object of named rewards.
"""

import functools
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from ..formats.plain import SYNONYMS
from .opening import DEPTH, FEW, REWARD_LIKE, dig, flatten, leaf, usual
from .values import number

NUMBERED = re.compile(r"(.*?)[\s_./:\[(-]*(\d{1,5})[\])]?(?:[\s_./:-]+(\D+))?")
STEPS = {"step", "global_step", "iteration", "iter", "update", "round"}
NAME = ("name", "reward_name", "function", "func", "key", "metric", "type", "criterion", "label")
VALUE = ("value", "score", "reward")
OF_REWARDS = re.compile(r"reward|score|rubric|grade|metric")


class Arrangement(NamedTuple):
    """What is put in order in the records of a file; empty for most."""

    numbered: frozenset[str] = frozenset()
    """Dotted paths such as `reward#` or `samples.sample#`, where # is the number of a rollout, group or step"""
    named: frozenset[str] = frozenset()
    """Dotted paths of lists of named values"""


class Name(NamedTuple):
    """A name with a number: reward_0, sample[3], rollout_2_score, 17."""

    template: str
    number: int
    short: str
    """What the list is called: reward, sample, score, rollouts"""


@functools.lru_cache(4096)
def numbered(name: str) -> Name | None:
    """The number in a name.

    >>> numbered("reward_3"), numbered("rollout_2_score").short, numbered("reward")
    (Name(template='reward#', number=3, short='reward'), 'score', None)
    """
    found = NUMBERED.fullmatch(name)
    if found is None:
        return None
    stem, digits, rest = found[1], int(found[2]), found[3] or ""
    return Name(f"{stem}#{rest}", digits, rest or stem or "rollouts")


def arrangement(records: Sequence[dict], reward: str = "") -> Arrangement:
    """What must be put in order in the records of a file, told from the first; `reward` is a column the user named."""
    records = records[:FEW]
    told = bool(reward) and any(dig(record, reward) is not None for record in records)
    rollouts = set() if told else _numbered_paths(records, "", 0)
    return Arrangement(
        frozenset() if _is_curve(records, rollouts) else frozenset(rollouts), frozenset(_named_paths(records, "", 0))
    )


def _is_curve(records: Sequence[dict], found: Collection[str]) -> bool:
    """Whether there is one record a step without a prompt: accuracy_1 and accuracy_2 are two curves of means."""
    flat = [(numbered(c.rpartition(".")[2]), c, v) for record in records for c, v in flatten(record).items()]
    names = {leaf(c if name is None else name.short) for name, c, _ in flat}
    of_rollouts = {n for field in ("prompt", "group", "text", "advantage") for n in SYNONYMS[field]}
    if not found or names & of_rollouts or any(name and isinstance(v, dict) for name, _, v in flat):
        return False
    steps = [record[c] for record in records for c in record if leaf(c) in SYNONYMS["step"]]
    return len(records) > 2 and len(set(map(repr, steps))) == len(steps) == len(records)


def arranged(value: Any, order: Arrangement, path: str = "") -> Any:
    """A record, or what stands in it at `path`, in that order.

    >>> arranged({"step": 1, "reward_0": 1, "reward_1": 0}, Arrangement(frozenset({"reward#"})))
    {'step': 1, 'reward': [1, 0]}
    >>> arranged({"rewards": [{"name": "format", "value": 1}]}, Arrangement(named=frozenset({"rewards"})))
    {'rewards': {'format': 1}}
    """
    if isinstance(value, list):
        if path in order.named:
            pairs = _pairs(value)
            return value if pairs is None else pairs
        return [arranged(e, order, path) if isinstance(e, dict) else e for e in value]
    if not isinstance(value, dict):
        return value
    found: dict[str, Any] = {}
    lists: dict[str, dict[int, Any]] = {}
    for key, inner in value.items():
        name = numbered(key)
        if name is not None and f"{path}{name.template}" in order.numbered:
            if inner is None:
                continue  # an empty cell
            column = _plural(name) if isinstance(inner, dict) else name.short
            inner = arranged(inner, order, f"{path}{column}.")
            if isinstance(inner, dict):
                inner = {"step" if leaf(name.short) in STEPS else f"{name.short}_id": name.number, **inner}
            lists.setdefault(column, {})[name.number] = inner
        else:
            inside = f"{path}{key}"
            found[key] = arranged(inner, order, inside if inside in order.named else f"{inside}.")
    numbers = sorted({n for column in lists.values() for n in column})
    columns = {short: [column.get(n) for n in numbers] for short, column in lists.items()}
    return columns["rollouts"] if columns.keys() == {"rollouts"} and path and not found else found | columns


def _plural(name: Name) -> str:
    """What a list of objects is called: not as the step or prompt whose rollouts they hold."""
    return name.short if name.short.endswith("s") else f"{name.short}s"


def _numbered_paths(records: Sequence[dict], path: str, depth: int) -> set[str]:
    """Templates whose numbers tell rollouts apart (or groups, or steps with rollouts inside), here and further in."""
    if depth > DEPTH or not records or _are_rollouts(records):
        return set()
    columns: dict[Name, dict[int, list]] = {}
    inside: dict[str, list[dict]] = {}
    for record in records:
        for key, value in record.items():
            name = numbered(key)
            if name is not None:
                columns.setdefault(name._replace(number=0), {}).setdefault(name.number, []).append(value)
            elements = value if isinstance(value, list) else [value]
            if name is None or isinstance(value, list):
                inside.setdefault(key, []).extend(e for e in elements[:FEW] if isinstance(e, dict))
    main = next((set(values) for name, values in columns.items() if _tells_rollouts(path, name, values)), set())
    chosen = {name: values for name, values in columns.items() if main and set(values) == main}
    shorts = [name.short for name in chosen]
    taken = {key for record in records for key in record} | {s for s in shorts if shorts.count(s) > 1}
    found: set[str] = set()
    for name, values in chosen.items():
        if name.short not in taken:
            found.add(f"{path}{name.template}")
            inner = [v for column in values.values() for v in column if isinstance(v, dict)][:FEW]
            found |= _numbered_paths(inner, f"{path}{_plural(name)}.", depth + 1)
    for key, inner in inside.items():
        found |= _numbered_paths(inner[:FEW], f"{path}{key}.", depth + 1)
    return found


def _are_rollouts(records: Sequence[dict]) -> bool:
    """Whether each record is one rollout: numbers in its names tell reward functions, or judges, apart."""
    flat = [(c, v) for record in records[:8] for c, v in flatten(record).items()]
    flat = [(c, v) for c, v in flat if not any(map(numbered, c.split(".")))]
    for field, kinds in (("reward", int | float), ("advantage", int | float), ("text", str)):
        if any(leaf(c) in SYNONYMS[field] and (isinstance(v, kinds) or number(v) == number(v)) for c, v in flat):
            return True
    names = [c for c in dict(flat) if leaf(c) in (*SYNONYMS["prompt"], *SYNONYMS["group"], *SYNONYMS["step"])]
    draws = {repr([dig(record, c) for c in names]) for record in records}
    prompts = [c for c in names if leaf(c) not in SYNONYMS["step"]]
    return bool(prompts) and len(records) > 3 and len(draws) < 0.6 * len(records)


def _tells_rollouts(path: str, name: Name, values: Mapping[int, list]) -> bool:
    """Whether columns that differ in a number hold rewards, one a rollout, or objects with rewards in them."""
    known = [v for column in values.values() for v in column if v is not None][: 4 * FEW]
    if not known:
        return False
    if all(isinstance(v, dict) for v in known):
        several = len(values) > 1 or leaf(name.short) in STEPS
        return several and any(_like_reward(c) for v in known[:8] for c in flatten(v))
    ordered = sorted(values) in (list(range(len(values))), list(range(1, len(values) + 1)))
    plain = all(number(v) == number(v) or v != v for v in known)
    return ordered and len(values) > 1 and plain and _like_reward(path[:-1] if name.template == "#" else name.short)


def _like_reward(column: str) -> bool:
    name = numbered(column.rpartition(".")[2])
    last = leaf(column if name is None else name.short)
    return last in SYNONYMS["reward"] or bool(REWARD_LIKE.search(last))


def _named_paths(records: Sequence[dict], path: str, depth: int) -> set[str]:
    """Paths of lists of named values, whose names are those of reward functions: they come back."""
    found: set[str] = set()
    inside: dict[str, list[dict]] = {}
    lists: dict[str, list[dict]] = {}
    for record in records if depth <= DEPTH else ():
        for key, value in record.items():
            pairs = _pairs(value) if OF_REWARDS.search(usual(key)) else None
            if pairs is not None:
                lists.setdefault(key, []).append(pairs)
            elif isinstance(value, dict | list):
                elements = value[:FEW] if isinstance(value, list) else [value]
                inside.setdefault(key, []).extend(e for e in elements if isinstance(e, dict))
    for key, several in lists.items():
        if any(set(one) & set(several[0]) for one in several[1:]) or len(several) == 1:
            found.add(f"{path}{key}")
    for key, inner in inside.items():
        name = numbered(key)
        found |= _named_paths(inner[:FEW], f"{path}{key if name is None else _plural(name)}.", depth + 1)
        found |= _named_paths(inner[:FEW], f"{path}{key}.", depth + 1) if name is not None else set()
    return found


def _pairs(value: Any) -> dict[str, Any] | None:
    """Name -> value of a list of named values, with their weighted total where they have weights; None for others."""
    if not (isinstance(value, list) and value and all(isinstance(e, dict) and len(e) <= 4 for e in value)):
        return None
    name = next((k for k in NAME if isinstance(value[0].get(k), str)), None)
    which = next((k for k in VALUE if k in value[0] and not isinstance(value[0][k], dict | list)), None)
    names = [e.get(name) for e in value]
    if name is None or which is None or len(set(map(repr, names))) < len(names):
        return None
    if not all(isinstance(n, str) and which in e for n, e in zip(names, value, strict=True)) or all(
        map(numbered, names)
    ):
        return None
    pairs = {str(e[name]): e[which] for e in value}
    if all("weight" in e for e in value) and "total" not in pairs:
        pairs["total"] = sum(number(e["weight"]) * number(e[which]) for e in value)
    return pairs
