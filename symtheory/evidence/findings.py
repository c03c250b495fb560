"""Findings in a pass@k table, each with its distance: what the numbers fit, without a guess at the reason."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from ..errors import InputError, no_such
from .difficulty import Mixture, infer_difficulty, infer_success, transport
from .tables import Row

QUESTIONS = {
    "AIME 2025": 30,
    "AIME 2024": 30,
    "AIME25": 30,
    "AIME24": 30,
    "AMC23": 40,
    "HumanEval": 164,
    "MATH500": 500,
    "miniF2F-test": 244,
}
"""Questions of benchmarks; of the small ones the granularity of a mean can be seen in one decimal of a percent."""
MAX_RUNS = 16
"""Runs averaged at most, Sec. 5 of arXiv:2602.05548 (16 for AIME 2025 and AMC23)."""
QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)


def evidence(
    rows: Sequence[Row],
    n: int | None = None,
    rounding: float | None = None,
    questions: Mapping[str, int] = {},
    base: str | None = None,
) -> dict:
    """Consistency, granularity, difficulty and transport of every row, and repetitions across rows.

    Args:
        rows: as `published` or `read_table` return them.
        n: samples per question; the largest k of each row if not given.
        rounding: half a unit of the last digit, as a fraction; that of each row if not given.
        questions: questions per benchmark, for the granularity of pass@k; those of `QUESTIONS` are known.
        base: method from which success is transported to the other methods of the same table and benchmark; the first
            whose name begins with "base" if not given.

    Returns:
        JSON-ready dict: `rows` (a list), `identical`, `conflicting`, `base`, and counts. All values are fractions.

    Raises:
        InputError: a base or a benchmark that the rows do not have, or fewer samples than the largest k.
    """
    unnamed = {row.dataset for row in rows} == {""}
    if unnamed and len(questions) > 1:
        raise InputError(f"questions must be one number, since the table names no benchmark, got {dict(questions)}")
    questions = dict(zip([""], questions.values(), strict=False)) if unnamed else questions
    for name in questions:
        if questions_of(name, {row.dataset: 1 for row in rows}) is None:
            raise no_such("benchmark in the table for questions", name, {row.dataset for row in rows})
    methods = list(dict.fromkeys(row.method for row in rows))
    if base is not None and base not in methods:
        raise no_such("method in the table for base", base, methods)
    base = base or next((m for m in methods if re.match(r"base\b", m, re.IGNORECASE)), None)
    success = [infer_success(row.ks, row.values) if len(row.ks) > 1 else None for row in rows]
    bases = {row[:3]: s for row, s in zip(rows, success, strict=True) if row.method == base and s is not None}
    found = []
    for row, mixture in zip(rows, success, strict=True):
        half, size = row.rounding if rounding is None else rounding, questions_of(row.dataset, questions)
        found.append(
            {
                **dict(zip(("table", "model", "dataset", "method"), row[:4], strict=True)),
                "ks": row.ks.tolist(),
                "values": row.values.tolist(),
                "rounding": half,
                **consistency(row, n, half),
                "granularity": granularity(row, n or int(row.ks.max()), half, size),
                "single_draws": single_draws(row, n or int(row.ks.max()), half, size),
                "difficulty": None if mixture is None else _difficulty(mixture),
                "transport": _transport(bases.get(row[:3]), mixture, row.method == base),
            }
        )
    tested = [f for f in found if f["distance"] is not None]
    return {
        "rows": found,
        "rounding": max(f["rounding"] for f in found),
        "base": base,
        "tested": len(tested),
        "beyond_rounding": sum(not f["within_rounding"] for f in tested),
        "farthest": max(tested, key=lambda f: f["distance"], default=None),
        "identical": identical_rows(rows),
        "conflicting": conflicting_rows(rows),
    }


def questions_of(dataset: str, given: Mapping[str, int]) -> int | None:
    """Questions of a benchmark, whatever the case, spaces and dashes of its name; None if not known.

    Args:
        dataset: name of a benchmark.
        given: numbers that the caller knows, which come first.

    Returns:
        The number of questions, or None.

    >>> questions_of("aime-2025", {}), questions_of("my test", {"MyTest": 7}), questions_of("MATH", {})
    (30, 7, None)
    """

    def plain(name: str) -> str:
        return re.sub(r"[\W_]", "", name).lower()

    sizes = {plain(name): size for name, size in {**QUESTIONS, **given}.items()}
    return sizes.get(plain(dataset))


def consistency(row: Row, n: int | None, rounding: float) -> dict:
    """Distance of a row to every set of n samples per question; None for a single k, which every set can give."""
    if len(row.ks) < 2:
        return {"distance": None, "within_rounding": None}
    distance = infer_difficulty(row.ks, row.values, n or int(row.ks.max())).distance
    return {"distance": distance, "within_rounding": distance <= rounding + 1e-9}  # 1e-9: the solver's tolerance


def granularity(row: Row, n: int, rounding: float, questions: int | None) -> dict | None:
    """pass@n is 0 or 1 for each question, so over q questions a multiple of 1/q, and 1/(q m) if m runs are averaged.

    Gives the distance to the nearest multiple of 1/q, and the least m for which the value is one within rounding.
    """
    at = np.flatnonzero(row.ks == n)
    if questions is None or not at.size:
        return None
    value = float(row.values[at[0]])
    off = {
        m: abs(value * questions * m - round(value * questions * m)) / (questions * m) for m in range(1, MAX_RUNS + 1)
    }
    fitting = [m for m, distance in off.items() if distance <= rounding + 1e-9]
    return {
        "k": n,
        "questions": questions,
        "value": value,
        "distance": off[1],
        "runs": fitting[0] if fitting else None,
    }


def single_draws(row: Row, n: int, rounding: float, questions: int | None) -> dict | None:
    """Whether all values of a row are multiples of 1/questions, as one draw of k samples for each k makes them.

    The unbiased estimator from n > k samples rarely gives such values: `chance` is that of so many multiples among
    values that are spread evenly. None unless it is below 1%; k = n says nothing, since there both kinds agree.
    """
    tested = row.values[row.ks < n]
    if questions is None or not len(tested):
        return None
    off = np.abs(tested * questions - np.round(tested * questions)) / questions
    chance = min(1.0, 2 * rounding * questions) ** len(tested)
    if (off > rounding + 1e-9).any() or chance >= 0.01:
        return None
    return {"questions": questions, "values": len(tested), "chance": float(chance)}


def identical_rows(rows: Sequence[Row]) -> list[dict]:
    """Different methods of one model and benchmark with the same value at two or more k, and at every one."""
    same = defaultdict(list)
    for row in rows:
        if len(row.ks) > 1:
            same[row.model, row.dataset, tuple(row.ks.tolist()), tuple(row.values.tolist())].append(row)
    return [
        {"model": key[0], "dataset": key[1], "rows": [f"{r.table} {r.method}".strip() for r in group]}
        for key, group in same.items()
        if len({r.method for r in group}) > 1
    ]


def conflicting_rows(rows: Sequence[Row]) -> list[dict]:
    """One method, model and benchmark with different values in different tables, with the largest difference."""
    named = defaultdict(list)
    for row in rows:
        named[row.model, row.dataset, row.method].append(row)
    found = []
    for (model, dataset, method), group in named.items():
        values = {
            k: {r.table: float(v) for r in group for j, v in zip(r.ks, r.values, strict=True) if j == k}
            for k in sorted({int(k) for r in group for k in r.ks})
        }
        spread = {k: max(v.values()) - min(v.values()) for k, v in values.items()}
        k = max(spread, key=lambda k: spread[k])
        if spread[k] > 0:
            found.append(
                {
                    "model": model,
                    "dataset": dataset,
                    "method": method,
                    "k": k,
                    "distance": spread[k],
                    "values": values[k],
                }
            )
    return found


def _difficulty(mixture: Mixture) -> dict:
    """The inferred distribution in a few numbers; `never` is the share with success below one in ten thousand."""
    share = np.cumsum(mixture.weight)
    return {
        "distance": mixture.distance,
        "never": float(mixture.weight[mixture.success < 1e-4].sum()),
        "always": float(mixture.weight[mixture.success > 1 - 1e-4].sum()),
        "quantiles": {
            str(q): float(mixture.success[min(np.searchsorted(share, q), len(share) - 1)]) for q in QUANTILES
        },
    }


def _transport(base: Mixture | None, trained: Mixture | None, is_base: bool) -> list[dict] | None:
    if base is None or trained is None or is_base:
        return None
    pairs = transport(base, trained, QUANTILES)
    return [{"quantile": q, "base": float(b), "trained": float(t)} for q, (b, t) in zip(QUANTILES, pairs, strict=True)]
