"""Which column of a file holds which field: by the format's table, by the usual names, or as the user says."""

import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ...errors import InputError, no_such
from .. import formats
from ..formats import FIELDS, Format
from ..formats.base import only
from ..formats.plain import SYNONYMS
from ..grouping import fitting_size, uneven
from .opening import REWARD_LIKE, Shape, dig, flatten, leaf, opened, shape, usual
from .values import hashes, number, numbers, steps

MAX_PARTS = 8
"""Reward columns kept apart, so that their weights can be fitted."""
NOT_REWARDS = re.compile(
    r"(^|[_.])(step|epoch|id|idx|index|length|len|tokens?|kl|entropy|loss|lr|time|seconds|duration|temperature|seed|mask|"
    r"logprobs?|advantages?|std|mean|count|size|version|iteration|rank|turns?|latency|ms|timestamp|num|gen_step)([_.]|$)"
)

FUNCTION = re.compile(r"reward|penalty|bonus|score|correct|accuracy")
"""What names of reward functions say, even if they are about lengths or tokens."""


class Refusal(InputError):
    """A file that holds no rollouts which can be read: left out of a folder, an error alone."""


class Wishes(NamedTuple):
    """What the user says about the columns."""

    log_format: str | None = None
    group_size: int | None = None
    reward: str | None = None
    success: str | None = None
    columns: Mapping[str, str] = {}
    where: Mapping[str, str] = {}


class Terms(NamedTuple):
    """A reward as a weighted sum of columns."""

    columns: tuple[str, ...]
    weights: tuple[float, ...]

    def __str__(self) -> str:
        parts = [c if w == 1 else f"{w:.6g}*{c}" for c, w in zip(self.columns, self.weights, strict=True) if w]
        return "+".join(parts) or "0"


class Plan(NamedTuple):
    """How the records of one file become rollouts."""

    format: Format
    fields: Mapping[str, str]
    """Field -> column; "a+b" joins two"""
    parts: tuple[str, ...]
    """Columns that the reward may be a sum of, the default first"""
    terms: Terms
    """The reward, unless a fit finds another"""
    free: bool
    """Whether the reward may be fitted: the user did not choose it"""
    shape: Shape
    """Where the rollouts of a record are"""
    block: int | None
    """Rows of a group, where --group-size counts them"""
    step: int
    """Step of a file without a step column"""
    where: Mapping[str, str]

    @property
    def columns(self) -> list[str]:
        """Every column that is read."""
        names = [c for column in self.fields.values() for c in column.split("+")]
        prefix = f"{self.shape.rows}." if self.shape.rows else ""
        also = [f"{prefix}{name}" if prefix and not name.startswith(prefix) else name for name in self.format.also]
        return list(dict.fromkeys([*names, *self.parts, *also, *self.where]))


LIMIT = 512
"""Rollouts of a record looked at"""
Sample = dict[str, list]
"""Column -> values of the first rollouts, None where a record lacks it."""


def plan(path: Path, records: Sequence[dict], wishes: Wishes, inside: str) -> Plan:
    """Decide how a file is read, from its first records.

    Args:
        path: the file; `inside` is its path within the log, in which a step may stand.
        records: its first records.
        wishes: what the user says.

    Raises:
        Refusal: no reward, or no groups, or not the format asked for; the sentence names the columns.
    """
    if not records:
        raise Refusal(f"{path} holds no row that is a JSON object: not a rollout log, or damaged from the start")
    own = shape(records, wishes.columns.get("reward") or (wishes.reward or "").split("+")[0])
    sample = _sample(records, own)
    form = _recognise(path, sample, wishes.log_format)
    if form.rows and form.rows != own.rows:
        own = Shape(form.rows)
        sample = _sample(records, own)
    elif form.one and own.spread:
        own = Shape()
        sample = _sample(records, own)
    fields = _fields(path, form, sample, wishes)
    parts, terms, free = _reward(path, form, sample, fields, wishes)
    several = bool(own.rows or own.spread)
    _must_be_rollouts(path, form, sample, fields, several)
    block = wishes.group_size
    if block is not None and not (form.ordered or form.one) and {"group", "prompt"} & set(fields):
        block = None
    if not ({"group", "prompt"} & set(fields) or several or form.derive is not None) and block is None:
        raise Refusal(
            f"{path} does not say which rollouts form a group: name the column with --columns prompt=..., or give "
            f"--group-size; {_seen(sample)}"
        )
    if form.one and block is None:
        _must_fit(path, form, sample, fields, parts)
    return Plan(form, fields, parts, terms, free, own, block, _step_in(inside), wishes.where)


def _must_fit(path: Path, form: Format, sample: Sample, fields: Mapping[str, str], parts: Sequence[str]) -> None:
    """Refuse groups told from prompt tokens that the advantages contradict, as where these are placeholders."""
    derive = form.derive or (lambda columns: columns)
    columns = {f: sample[c] for f, c in fields.items()} | {c: sample[c] for c in form.also if c in sample}
    prompt = hashes(derive({**columns, "reward": sample[parts[0]]})["prompt"])
    reward = numbers(sample[parts[0]])
    each = [only(v) for v in sample[fields["advantage"]]] if "advantage" in fields else [None] * len(reward)
    advantage = np.array([v[-1] if isinstance(v, list) and v else number(v) for v in each], float)
    fits = prompt.all() and not len(uneven(prompt, reward, advantage))
    if not fits:
        size = fitting_size(reward, advantage)
        hint = f" ({size} fits the advantages)" if size else ""
        raise Refusal(f"{path}: this log of {form.name} does not say the group size: give --group-size{hint}")


def _sample(records: Sequence[dict], form: Shape) -> Sample:
    flat: list[dict[str, Any]] = []
    for record in records:
        parent = flatten(record)
        if form.rows:
            elements = [e for e in dig(record, form.rows) or () if isinstance(e, dict)][:LIMIT]
            parent.pop(form.rows, None)
            flat += [parent | flatten(e, f"{form.rows}.") for e in elements]
        elif form.spread:
            try:
                columns = opened(record, list(parent), form)
            except ValueError:
                continue
            flat += [
                {c: v[i] for c, v in columns.items()} for i in range(min(len(next(iter(columns.values()))), LIMIT))
            ]
        else:
            flat.append(parent)
        if len(flat) > 4 * LIMIT:
            break
    names = dict.fromkeys(name for row in flat for name in row)
    return {name: [row.get(name) for row in flat] for name in names}


def _recognise(path: Path, sample: Sample, wanted: str | None) -> Format:
    found = [f for f in formats.formats() if all(_has(sample, sign) for sign in f.signs)]
    if wanted is None:
        return found[0]
    form = formats.get(wanted)
    missing = [s for s in form.signs if not _has(sample, s)]
    if missing:
        raise Refusal(f"{path} is no {wanted} log: it has no column {missing[0]}; {_seen(sample)}")
    return form


def _has(sample: Sample, column: str) -> bool:
    if column in sample:
        return True
    name, _, inner = column.partition(".")  # "trajectories.reward", before the list is opened
    lists = [v for v in sample.get(name, ()) if isinstance(v, list) and v]
    return bool(inner and lists) and all(isinstance(e[0], dict) and dig(e[0], inner) is not None for e in lists[:4])


def _fields(path: Path, form: Format, sample: Sample, wishes: Wishes) -> dict[str, str]:
    for field in wishes.columns:
        if field not in FIELDS:
            raise no_such("field", field, FIELDS)
    chosen = {f: _column(path, sample, c) for f, c in wishes.columns.items() if f != "reward"}
    if wishes.success:
        chosen["success"] = _column(path, sample, wishes.success)
    for name in wishes.where:
        _column(path, sample, name)
    by_name: dict[str, str] = {}
    for column in sorted(sample, key=lambda c: c.count(".")):
        by_name.setdefault(usual(column), column)
    for column in sorted(sample, key=lambda c: c.count(".")):
        by_name.setdefault(leaf(column), column)
    for field in FIELDS:
        if field in chosen or field in ("reward", "success"):
            continue
        own = form.fields.get(field)
        names = SYNONYMS.get(field, ()) if own is None else own
        found = [n if "+" in n or n == "#" else (n if n in sample else by_name.get(n, "")) for n in names]
        found = [
            c for c in found if c and all(p in sample or p == "#" for p in c.split("+")) and _fits(field, c, sample)
        ]
        if field in ("group", "prompt"):
            found = _groups(found, sample, chosen.get("step"), strict=own is None)
        if found:
            chosen[field] = found[0]
    for field in ("group", "prompt"):
        if field in wishes.columns and field == "prompt":
            chosen.pop("group", None) if "group" not in wishes.columns else None
    if "id" in chosen and "id" not in wishes.columns and not _tells_apart(chosen, sample):
        del chosen["id"]
    taken = {c for f, c in chosen.items() if f in ("group", "prompt", "step")}
    if chosen.get("id") in taken:
        del chosen["id"]
    return chosen


def _column(path: Path, sample: Sample, name: str) -> str:
    """A column by its dotted path, or by its last part if that is the only one."""
    if name in sample:
        return name
    ends = [c for c in sample if c.rpartition(".")[2] == name]
    if len(ends) == 1:
        return ends[0]
    near = no_such("column", name, sample)
    raise Refusal(
        f"{path}: {near}" if "Did you mean" in str(near) else f"{path} has no column {name!r}; {_seen(sample)}"
    )


def _seen(sample: Sample) -> str:
    names = [c for c in sample if not isinstance(next((v for v in sample[c] if v is not None), None), dict)]
    shown = ", ".join(_safe(n) for n in names[:24])
    return f"its columns: {shown}{' ...' if len(names) > 24 else ''}"


def _safe(name: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in name)[:60]


def _fits(field: str, column: str, sample: Sample) -> bool:
    """Whether the values of a column are of the kind that a field needs."""
    if "+" in column or column == "#":
        return True
    values = [v for v in sample[column] if v is not None]
    if not values:
        return field == "advantage"
    if field == "step":
        return bool(np.isfinite(steps(values)).mean() > 0.5)
    if field in ("advantage", "length", "logprob", "mask", "turn"):
        return _numeric(values) or all(isinstance(v, list) for v in values)
    if field in ("reward", "success"):
        return _numeric(values)
    if field == "token_mask":
        return any(isinstance(v, list) for v in values)
    if field == "text":
        return any(isinstance(v, str | list | dict) for v in values)
    if field == "id":
        return not any(isinstance(v, list | dict) and len(v) > 1 for v in values)
    if field in ("group", "prompt"):
        return any(v != "" for v in values)
    return True


def _numeric(values: Sequence[Any]) -> bool:
    """Whether most values are numbers, or lists of numbers."""
    flat = [v[0] if isinstance(v, list) and v else v for v in values]
    found = [number(v) for v in flat]
    plain = sum(n == n or isinstance(v, float) for n, v in zip(found, flat, strict=True))
    return plain > 0.5 * len(values)


def _groups(columns: Sequence[str], sample: Sample, step: str | None, strict: bool) -> list[str]:
    """Candidates for what rollouts share, best first: one that makes groups goes before one that makes none."""
    if not columns:
        return []
    at = np.zeros(len(next(iter(sample.values())))) if step is None else np.nan_to_num(steps(sample[step]))

    def rank(column: str) -> int:
        if column == "#":
            return 0
        joined = [tuple(map(repr, v)) for v in zip(*(sample[c] for c in column.split("+")), strict=True)]
        keys = hashes([repr(v) for v in joined]) if "+" in column else hashes(sample[column])
        if not keys.all() and not keys.any():
            return 3
        pairs = np.unique(np.stack([at.view(np.uint64), keys]), axis=1, return_counts=True)[1]
        if len(keys) >= 8 and (pairs == 1).all():
            return 2
        if len(keys) > 64 and len(np.unique(keys)) == 1:
            return 1
        return 0

    ranked = [(rank(c), c) for c in columns]
    best = sorted((r, i) for i, (r, _) in enumerate(ranked))
    kept = [columns[i] for r, i in best if r < 3]
    if strict and kept and ranked[columns.index(kept[0])][0] == 2 and usual(kept[0]) in ("id", "idx", "index", "uid"):
        return []
    return kept


def _tells_apart(fields: Mapping[str, str], sample: Sample) -> bool:
    """Whether the rollout ids of most rows are the only ones of their kind within a step and group."""
    names = [fields[f] for f in ("step", "group", "prompt", "id") if f in fields]
    keys = list(zip(*(map(repr, sample[c]) for name in names for c in name.split("+") if c in sample), strict=True))
    return len(set(keys)) > 0.5 * len(keys)


def _reward(path, form: Format, sample: Sample, fields: dict[str, str], wishes: Wishes):
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
    found = next((c for c in total if _is_reward(sample[c]) or _holds(sample[c])), None)
    inner = found if found and form.derive is None and _holds(sample[found]) else None
    main = None if inner else found
    if inner is not None:  # a reward that is an object of named rewards
        found = [c for c in sample if c.startswith(f"{inner}.") and _is_reward(sample[c])][:MAX_PARTS]
        found.sort(key=lambda c: leaf(c) not in SYNONYMS["success"])
        if found:
            return tuple(found), Terms(tuple(found), (1.0,) * len(found)), True
    others = [
        c for c in sample if c not in used and c != main and _is_reward(sample[c]) and not _redundant(c, main, form)
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
        raise Refusal(f"{path}: {why}; {_seen(sample)}{_guess(path, sample, fields)}")
    parts = tuple(others[:MAX_PARTS])
    return parts, Terms(parts, (1.0,) * len(parts)), True


def _is_reward(values: Sequence[Any]) -> bool:
    """Whether a column holds numbers, or lists of them."""
    known = [v for v in values if v is not None]
    if not known:
        return False
    flat = [v[0] if isinstance(v, list) and v else v for v in known]
    flat = [v[0] if isinstance(v, list) and v else v for v in flat]
    plain = [v for v in flat if isinstance(v, int | float) or number(v) == number(v)]
    return len(plain) > 0.5 * len(flat)


def _holds(values: Sequence[Any]) -> bool:
    return any(isinstance(v, dict) and v for v in values)


def _redundant(column: str, main: str | None, form: Format) -> bool:
    return main is not None and column.startswith(f"{main}.")


def _must_be_rollouts(path: Path, form: Format, sample: Sample, fields: Mapping[str, str], several: bool) -> None:
    """Refuse a curve: one row a step, without anything that a rollout has."""
    if form.name != "plain" or several or {"group", "prompt", "text", "id", "advantage"} & set(fields):
        return
    if "step" in fields:
        at = steps(sample[fields["step"]])
        if len(at) > 2 and len(np.unique(at)) == len(at):
            raise Refusal(f"{path} holds one row a step: a curve of means, not rollouts; an audit needs every reward")


def _step_in(inside: str) -> int:
    """The step that the name of a file or of its folder tells, 0 if none does."""
    found = re.findall(r"(?:step|iteration|iter|version|rollout|update|batch|round)s?[_.=-]?(\d{1,15})", inside, re.I)
    if found:
        return int(found[-1])
    stem = Path(inside).name.split(".")[0]
    return int(stem) if stem.isdecimal() and len(stem) < 16 else 0


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
    names = tuple(_column(Path(path), columns, name) for _, name in found)
    if len(set(names)) < len(names):
        raise InputError(f"reward names a column twice: {text!r}")
    return Terms(names, tuple(weight for weight, _ in found))


def _guess(path: Path, sample: Sample, fields: Mapping[str, str]) -> str:
    """A command to paste, with the most likely columns."""
    used = set(fields.values())
    numeric = [c for c in sample if c not in used and _is_reward(sample[c]) and not isinstance(sample[c][0], list)]
    numeric = [c for c in numeric if not NOT_REWARDS.search(usual(c))] or numeric
    if not numeric:
        return ""
    few = lambda c: len(np.unique(numbers(sample[c])))  # noqa: E731
    reward = min(numeric, key=lambda c: (not re.search(r"rew|score|ret|grade|correct|pass", usual(c)), few(c)))
    guess = {"reward": reward}
    rest = [c for c in sample if c != reward and c not in used and not _holds(sample[c])]
    for field, test in (
        ("step", r"step|iter|epoch|round|version|update"),
        ("prompt", r"prompt|problem|question|task|group|query|id$"),
    ):
        if field not in fields and not (field == "prompt" and "group" in fields):
            match = next((c for c in rest if re.search(test, usual(c)) and c not in guess.values()), None)
            guess |= {field: match} if match else {}
    shown = " ".join(f"{field}={_safe(column)}" for field, column in guess.items())
    return f". Perhaps: symtheory audit {_safe(str(path))} --columns {shown}"
