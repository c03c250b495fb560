"""A run over time: its first and last fifth side by side, a sparkline, and conditions on its numbers."""

import itertools
import re
from collections.abc import Sequence

from ..errors import InputError
from .tally import Census, Weight

BARS = "▁▂▃▄▅▆▇█"
WIDTH = 40
FLAT = 1e-6
"""Range below which a line is flat: rounding."""
MEASURES = {
    "dead": "dead_fraction",
    "success": "success",
    "asymmetry": "group_asymmetry",
    "tilt": "difficulty_tilt",
    "entropy": "entropy_per_token",
    "reward": "mean_reward",
}
"""Name in `--fail-if` -> key of the report."""


def fifths(entries: Sequence[tuple[Census, dict[str, Weight]]], merge, describe) -> dict | None:
    """The numbers of `describe` for the first and the last fifth of the steps; None for fewer than two steps.

    Args:
        entries: census and weights of each step, in order.
        merge: adds two entries.
        describe: entry -> numbers by name.
    """
    if len(entries) < 2:
        return None
    size = max(len(entries) // 5, 1)
    first, last = entries[:size], entries[-size:]
    parts = {}
    for name, chosen in (("first", first), ("last", last)):
        whole = chosen[0]
        for entry in chosen[1:]:
            whole = merge(whole, entry)
        parts[name] = describe(whole)
    return {"steps": size, **parts}


def sparkline(values: Sequence[float | None], width: int = WIDTH) -> str:
    """A line of bars from the lowest to the highest value, means of neighbours where there are more than `width`.

    >>> sparkline([0, 0.5, 1, None])
    '▁▅█ '
    """
    if len(values) > width:
        cuts = [round(i * len(values) / width) for i in range(width + 1)]
        values = [_mean(values[a:b]) for a, b in itertools.pairwise(cuts)]
    known = [v for v in values if v is not None]
    if not known:
        return ""
    low, high = min(known), max(known)
    scale = (len(BARS) - 1) / (high - low) if high - low > FLAT else 0
    return "".join(" " if v is None else BARS[int((v - low) * scale + 0.5)] for v in values)


def _mean(values: Sequence[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    return sum(known) / len(known) if known else None


def failing(conditions: Sequence[str], report: dict) -> list[str]:
    """The conditions, such as "dead > 0.6", that a report fulfils; one on a number that the log lacks is not fulfilled.

    Names are those of `MEASURES`, keys of the findings on trust (counts), and numbers of the report by their key.
    """
    return [c for c in conditions if _holds(c, report)]


def _holds(condition: str, report: dict) -> bool:
    match = re.fullmatch(r"\s*([a-z_]+)\s*(<=|>=|==|<|>)\s*([-+]?[\d.]+(?:e[-+]?\d+)?)(%?)\s*", condition, re.I)
    try:
        limit = float(match[3]) / (100 if match[4] else 1) if match else None
    except ValueError:
        limit = None
    if match is None or limit is None:
        raise InputError(f"--fail-if must be a condition such as 'dead > 0.6', got {condition!r}")
    name = match[1].lower()
    counts = {f["key"]: f["count"] for f in report["trust"]["findings"]}
    numbers = {key: value for key, value in report.items() if isinstance(value, int | float)}
    value = report.get(MEASURES.get(name, name), counts.get(name))
    if value is None and name not in MEASURES and name not in TRUST and name not in report:
        known = ", ".join([*MEASURES, *TRUST, *numbers])
        raise InputError(f"--fail-if knows no {name!r}; it knows {known}")
    value = 0 if value is None and name in TRUST else value
    if not isinstance(value, int | float):
        return False
    return {"<": value < limit, ">": value > limit, "<=": value <= limit, ">=": value >= limit, "==": value == limit}[
        match[2]
    ]


TRUST = (
    "nan_advantages", "equal_rewards_with_advantages", "unequal_rewards_without_advantages", "one_rollout_dominates",
    "steps_written_twice", "copies", "evaluation_mixed_in", "skipped", "blocks_cut_prompts", "single_rollouts",
    "duplicate_texts", "truncated_with_reward", "masked", "runs_mixed",
)  # fmt: skip
"""Keys of findings that may be counted in a condition."""
