"""Records that hold several rollouts: a list of objects, or lists with one value a rollout."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ..formats.plain import SYNONYMS

MAX_ROLLOUTS = 1 << 18
"""Rollouts in one record at most."""
REWARD_LIKE = re.compile(r"(reward|score|rew|correct|accuracy|acc|success|passed|solved)s?$|^(reward|r)_")
DEPTH = 5
LEVELS = 3
"""Lists of records inside each other, at most."""
FEW = 64


class Shape(NamedTuple):
    """Where the rollouts of a record are."""

    rows: str = ""
    """Column with a list of objects, one a rollout; empty if there is none"""
    spread: frozenset[str] = frozenset()
    """Columns whose lists hold one value a rollout"""
    outer: tuple[str, ...] = ()
    """Columns with lists of objects around those records: the steps of a run, the groups of a step"""
    across: frozenset[str] = frozenset()
    """Columns whose lists hold one value a group, in records of several groups: rewards are lists of lists"""


def flatten(record: Mapping[str, Any], prefix: str = "", depth: int = 0) -> dict[str, Any]:
    """Dotted path -> value, for every key and every key inside an object.

    >>> flatten({"run": {"step": 1}})
    {'run': {'step': 1}, 'run.step': 1}
    """
    found: dict[str, Any] = {}
    for key, value in list(record.items())[:400]:
        path = f"{prefix}{key}"
        found[path] = value
        if isinstance(value, dict) and depth < DEPTH:
            found |= flatten(value, f"{path}.", depth + 1)
    return found


def dig(record: Any, path: str) -> Any:
    """Value at a dotted path, None if there is none; a key that contains dots itself goes first."""
    if not isinstance(record, dict):
        return None
    if path in record:
        return record[path]
    key, _, rest = path.partition(".")
    return dig(record.get(key), rest) if rest else None


def usual(name: str) -> str:
    """A name as the synonyms are written: rolloutReward, "Rollout Reward" -> rollout_reward."""
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name.strip())
    return re.sub(r"[\s/-]+", "_", name).lower()


def leaf(column: str) -> str:
    """The last part of a dotted path, or of a name such as rollout/reward, as synonyms are written."""
    return usual(re.split(r"[./]", column)[-1]).strip("_")


def shape(records: Sequence[dict], reward: str = "") -> Shape:
    """How the rollouts of a file lie in its records; `reward` is a column that the user named."""
    outer: tuple[str, ...] = ()
    records = records[:FEW]
    while len(outer) < LEVELS and (column := _outer(records, reward)):
        outer = (*outer, column)
        records = [e for r in records for e in unnested(r, Shape(outer=(column,)))][:FEW]
    across = _across([flatten(r) for r in records], reward)
    if across:
        records = [e for r in records for e in unnested(r, Shape(across=across))][:FEW]
    flat = [flatten(r) for r in records]
    spread = _spread(flat, reward)
    return Shape("" if spread else _objects(flat, reward), spread, outer, across)


def unnested(record: dict, form: Shape) -> list[dict]:
    """The records inside a record: the elements of its outer lists, each with all that stands around it.

    >>> unnested({"step": 1, "groups": [{"p": "a"}, {"p": "b"}]}, Shape(outer=("groups",)))
    [{'step': 1, 'groups': {'p': 'a'}}, {'step': 1, 'groups': {'p': 'b'}}]
    """
    found = [record]
    for column in form.outer:
        found = [_replaced(r, {column: e}) for r in found for e in _list(dig(r, column)) if isinstance(e, dict)]
    if form.across:
        pieces = []
        for r in found:
            columns = {c: v for c in form.across if isinstance(v := dig(r, c), list)}
            for i in range(min(map(len, columns.values()), default=0)):
                pieces.append(_replaced(r, {c: v[i] for c, v in columns.items()}))
        found = pieces
    return found


def _list(value: Any) -> list:
    return value if isinstance(value, list) else []


def _replaced(record: dict, values: Mapping[str, Any]) -> dict:
    """A record with other values at dotted paths; what lies beside them is shared, not copied."""
    found = dict(record)
    for path, value in values.items():
        inside = found
        while path not in inside and "." in path:
            key, _, path = path.partition(".")
            inside[key] = dict(inside[key])
            inside = inside[key]
        inside[path] = value
    return found


def _outer(records: Sequence[dict], reward: str) -> str:
    """The column with a list of objects that hold several rollouts each; empty if there is none."""
    telling = set(SYNONYMS["reward"])
    flat = [flatten(r) for r in records]
    if any(_scalar_reward([record]) for record in flat[:1]):
        return ""
    for column in dict.fromkeys(c for record in flat for c in record):
        inside = [e for record in flat for e in _list(record.get(column))[:FEW] if isinstance(e, dict)][:FEW]
        plain = any(leaf(k) in telling and not isinstance(v, list | dict) for e in inside for k, v in e.items())
        if not inside or plain or "role" in inside[0]:
            continue
        own = reward.removeprefix(f"{column}.") if reward.startswith(f"{column}.") else ""
        if (
            _outer(inside, own)
            or _spread([flatten(e) for e in inside], own)
            or _objects(list(map(flatten, inside)), own)
        ):
            return column
    return ""


def _across(flat: Sequence[dict], reward: str) -> frozenset[str]:
    """Columns with a value a group, where the rewards of a record are a list of lists of one length."""
    first = next((r for r in flat if any(_is_matrix(r.get(c)) for c in [reward, *_named(r, "reward")])), None)
    if first is None:
        return frozenset()
    main = next(c for c in [reward, *_named(first, "reward")] if _is_matrix(first.get(c)))
    size = len(first[main])
    texts = [first[c] for c in _named(first, "text") if isinstance(first[c], list) and len(first[c]) == size]
    if any(isinstance(e, str) for text in texts for e in text):
        return frozenset()  # a reward for each token of one completion
    return frozenset(c for c, v in first.items() if _is_listing(v) and len(v) == size)


def _is_matrix(value: Any) -> bool:
    rows = _list(value)
    return (
        bool(rows)
        and all(isinstance(row, list) and len(row) == len(rows[0]) > 1 for row in rows)
        and all(isinstance(e, int | float) for row in rows[:8] for e in row[:8])
    )


def _objects(flat: Sequence[dict], reward: str) -> str:
    """The column that holds a list of objects with a reward each, where the record itself has none."""
    known = {leaf(c) for record in flat for c, v in record.items() if "." not in c and not isinstance(v, dict)}
    telling = set(SYNONYMS["reward"])

    def holds(name: str, value: Any) -> bool:
        if not (isinstance(value, list) and value and all(isinstance(e, dict) for e in value[:FEW])):
            return False
        inner = {leaf(k) for k in value[0]}
        return bool(telling & inner) or any(map(REWARD_LIKE.search, inner)) or reward.startswith(f"{name}.")

    candidates = Counter(name for record in flat for name, value in record.items() if holds(name, value))
    asked = next((c for c in candidates if reward.startswith(f"{c}.")), None)
    if asked or reward:
        return asked or ""
    strong = known & (telling - {"return", "returns", "r", "score", "scores", "success", "is_correct", "correct"})
    own = strong or (known & telling and not candidates.total() > 0.9 * len(flat))
    return "" if own or not candidates else candidates.most_common(1)[0][0]


def _spread(flat: Sequence[dict], reward: str) -> frozenset[str]:
    """Columns of lists of one length, one of which is the reward: not lists of one value a token."""
    lists = [{c: len(v) for c, v in record.items() if _is_listing(v)} for record in flat]
    scalars = {c for record in flat for c, v in record.items() if isinstance(v, int | float | str) or v is None}
    texts = [c for c in _named(scalars, "text") if any(isinstance(r.get(c), str) for r in flat)]
    first = next((record for record in lists if any(n > 1 for n in record.values())), None)
    if first is None:
        return frozenset()
    named = [reward] if reward in first else [c for c in _named(first, "reward") if _holds_numbers(flat, c)]
    named = named or [c for c in first if REWARD_LIKE.search(leaf(c)) and _holds_numbers(flat, c)]
    if not named:
        named = [
            c for c in _named(first, "text") if any(c2 != c and first[c2] == first[c] for c2 in _named(first, "prompt"))
        ]
    if not named or texts or (not reward and _scalar_reward(flat)):
        return frozenset()
    main = named[0]
    columns = {c for record in lists for c in record}
    return frozenset(c for c in columns if all(r.get(c, r.get(main)) == r.get(main) for r in lists if main in r))


def _is_listing(value: Any) -> bool:
    """Whether a value may hold one entry a rollout: a list that is no conversation."""
    return isinstance(value, list) and bool(value) and not (isinstance(value[0], dict) and "role" in value[0])


def _named(columns, field: str) -> list[str]:
    return sorted((c for c in columns if leaf(c) in SYNONYMS[field]), key=lambda c: SYNONYMS[field].index(leaf(c)))


def _holds_numbers(flat: Sequence[dict], column: str) -> bool:
    values = [v for record in flat if isinstance(record.get(column), list) for v in record[column][:8]]
    return bool(values) and all(v is None or isinstance(v, int | float) or _numeric_text(v) for v in values)


def _numeric_text(value: Any) -> bool:
    try:
        return isinstance(value, str) and float(value) == float(value)
    except ValueError:
        return False


def _scalar_reward(flat: Sequence[dict]) -> bool:
    """Whether the record has one reward: then its lists are of something else."""
    first = flat[0]
    return any(isinstance(first[c], int | float) for c in _named(first, "reward") if c in first)


def opened(record: dict, names: Sequence[str], form: Shape) -> dict[str, list]:
    """The rollouts of one record, column by column; ValueError if its lists do not fit together."""
    if form.rows:
        elements = [e for e in dig(record, form.rows) or () if isinstance(e, dict)]
        if len(elements) > MAX_ROLLOUTS:
            raise ValueError(f"holds more than {MAX_ROLLOUTS} rollouts")
        prefix = f"{form.rows}."
        return {
            name: [dig(e, name.removeprefix(prefix)) for e in elements]
            if name.startswith(prefix)
            else [dig(record, name)] * len(elements)
            for name in names
        }
    values = {name: dig(record, name) for name in names}
    lengths = {len(v) for name, v in values.items() if name in form.spread and isinstance(v, list)}
    if len(lengths) > 1:
        raise ValueError("its lists differ in length")
    size = lengths.pop() if lengths else 1
    if size > MAX_ROLLOUTS:
        raise ValueError(f"holds more than {MAX_ROLLOUTS} rollouts")
    return {name: v if name in form.spread and isinstance(v, list) else [v] * size for name, v in values.items()}
