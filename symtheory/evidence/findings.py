"""Findings in a pass@k table, each with its distance: what the numbers fit, without a guess at the reason."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from .difficulty import SLACK, Mixture, infer_difficulty, infer_success, transport
from .tables import Row

QUESTIONS = {"AIME 2025": 30, "AMC23": 40}
"""Questions of the small benchmarks, where the granularity of a mean can be seen in one decimal of a percent."""
MAX_RUNS = 16
"""Runs averaged at most, Sec. 5 of arXiv:2602.05548 (16 for AIME 2025 and AMC23)."""
QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)


def evidence(
    rows: Sequence[Row],
    n: int | None = None,
    rounding: float = SLACK,
    questions: Mapping[str, int] = QUESTIONS,
    base: str = "Base Model",
) -> dict:
    """Consistency, granularity, difficulty and transport of every row, and repetitions across rows.

    Args:
        rows: as `published` or `read_table` return them.
        n: samples per question; the largest k of each row if not given.
        rounding: half a unit of the last digit, as a fraction.
        questions: questions per benchmark, for the granularity of pass@n.
        base: method from which success is transported to the other methods of the same table and benchmark.

    Returns:
        JSON-ready dict: `rows` (a list), `identical`, `conflicting`, and counts. All values are fractions.
    """
    success = [infer_success(row.ks, row.values) if len(row.ks) > 1 else None for row in rows]
    bases = {row[:3]: s for row, s in zip(rows, success, strict=True) if row.method == base and s is not None}
    found = [
        {
            **dict(zip(("table", "model", "dataset", "method"), row[:4], strict=True)),
            "ks": row.ks.tolist(),
            "values": row.values.tolist(),
            **consistency(row, n, rounding),
            "granularity": granularity(row, n or int(row.ks.max()), rounding, questions.get(row.dataset)),
            "difficulty": None if mixture is None else _difficulty(mixture),
            "transport": _transport(bases.get(row[:3]), mixture, row.method == base),
        }
        for row, mixture in zip(rows, success, strict=True)
    ]
    tested = [f for f in found if f["distance"] is not None]
    return {
        "rows": found,
        "rounding": rounding,
        "tested": len(tested),
        "beyond_rounding": sum(not f["within_rounding"] for f in tested),
        "farthest": max(tested, key=lambda f: f["distance"], default=None),
        "identical": identical_rows(rows),
        "conflicting": conflicting_rows(rows),
    }


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
