"""The tables of an audit report, as text, for the terminal and for the page."""

from typing import NamedTuple

from .trend import sparkline
from .warnings import named


class Table(NamedTuple):
    title: str
    columns: tuple[str, ...]
    """empty names: no header"""
    rows: list[tuple[str, ...]]


FOLLOWED = {
    "dead_fraction": "dead groups",
    "success": "success",
    "group_asymmetry": "C / sum|A|",
    "difficulty_tilt": "difficulty tilt",
    "entropy_per_token": "entropy (nats per token)",
    "omega": "mean reward",
}
"""Numbers that are followed over time, with their names."""


def headline(report: dict) -> str:
    """What was read, in one line."""
    first, last = report["step_range"]
    return (
        f"{report['rollouts']} rollouts in {report['groups']} groups, steps {first} to {last}, {report['format']} log "
        f"of {report['files']} file{'s' * (report['files'] > 1)}, {report['skipped_rows']} rows skipped"
    )


def trust(report: dict) -> tuple[str, list[str]]:
    """Can these numbers be trusted? An answer in a word or two, and the sentences behind it, the gravest first."""
    findings = report["trust"]["findings"]
    grave = sum(f["grave"] for f in findings)
    answer = "yes" if report["trust"]["ok"] else f"not before you have seen {'this' if grave == 1 else 'these'}"
    if report["trust"]["ok"] and findings:
        answer = "yes, knowing this"
    return answer, [f["sentence"] for f in findings]


def tables(report: dict) -> list[Table]:
    """All tables that the report has content for."""
    found = [summary(report)]
    if report["fifths"]:
        found.append(over_time(report))
    found.append(difficulty(report))
    if report["entropy"]:
        found.append(entropy(report["entropy"]))
    if report["change"]:
        found.append(change(report["change"]))
    if report["against"]:
        found.append(against(report))
    if report["skipped_rows"]:
        found.append(skipped(report["skipped"]))
    return found


def summary(report: dict) -> Table:
    focus, nearest, length = report["focus"] or {}, report["identification"], report["length"] or {}
    sizes = ", ".join(list(report["group_sizes"])[:6])
    rows = [
        ("group size", sizes + (" ..." if len(report["group_sizes"]) > 6 else "")),
        ("reward", f"{report['reward']['option']}, mean {report['mean_reward']:.3f}"),
        ("success", f"{report['success']:.3f} ({report['reward']['success']})"),
        ("dead groups", f"{_share(report['dead_fraction'])}: {_parts(report['dead'])}"),
        ("advantages", f"{report['advantages']}, {_named(nearest) if nearest else report['estimator']}"),
        (
            "group asymmetry",
            f"C / sum|A| = {_signed(report['group_asymmetry'])}, C = {_small(report['sum_of_advantages'])}",
        ),
        (
            "by length",
            f"C / sum|A| = {_signed(length.get('sequence_mean_asymmetry'))} if each rollout is divided by its length, "
            f"sum of token advantages {_signed(length.get('token_asymmetry'))} (lengths in {length.get('unit', '-')})",
        ),
        (
            "difficulty",
            f"weight per rollout peaks at p = {_plain(focus.get('peak'))}, mean p {_plain(focus.get('mean'))}",
        ),
        ("symmetry plane", f"({_signed(report['group_asymmetry'])}, {_signed(report['difficulty_tilt'])})"),
    ]
    if not length:
        rows = [row for row in rows if row[0] != "by length"]
    if report["entropy_per_token"] is not None:
        rows.append(("entropy", f"{report['entropy_per_token']:.3f} nats per token"))
    return Table("Summary", ("", ""), rows)


def over_time(report: dict) -> Table:
    """The first and the last fifth of the steps side by side, with a line over all of them."""
    both = report["fifths"]
    rows = []
    for key, name in FOLLOWED.items():
        first, last = both["first"][key], both["last"][key]
        if first is None and last is None:
            continue
        line = sparkline([step[key] for step in report["per_step"]])
        moved = "-" if first is None or last is None else _signed(last - first)
        rows.append((name, _plain(first), _plain(last), moved, line))
    steps = "1 step" if both["steps"] == 1 else f"{both['steps']} steps"
    if report["steps_per_entry"] > 1:
        steps += f" of {report['steps_per_entry']}"
    return Table(
        f"Over time: first and last fifth ({steps} each)", ("", "first", "last", "change", "over the run"), rows
    )


def difficulty(report: dict) -> Table:
    rows = [
        (
            d["p"],
            str(d["groups"]),
            _plain(d["absolute_per_rollout"]),
            _plain(d["grpo_per_rollout"]),
            _share(d["share"]),
            _share(d["expected_share"]),
            _signed(d["group_asymmetry"]),
        )
        for d in report["difficulty"]
        if d["groups"]
    ]
    columns = ("p of the group", "groups", "|A| per rollout", "GRPO's", "share", "of gain", "C / sum|A|")
    return Table("Weight by difficulty", columns, rows)


def entropy(found: dict) -> Table:
    """The change of entropy and its first-order terms."""
    rows = [
        (t["p"], _signed(t["wrong"]), _signed(t["correct"]), _signed(t["wrong"] + t["correct"])) for t in found["terms"]
    ]
    wrong, correct = (sum(t[k] for t in found["terms"]) for k in ("wrong", "correct"))
    rows.append(("all", _signed(wrong), _signed(correct), _signed(found["explained"])))
    rows.append(("unexplained", "", "", _signed(found["rest"])))
    rows.append(("change", "", "", _signed(found["change"])))
    fit = "" if found["r2"] is None else f", R2 {found['r2']:.2f}"
    title = f"Why did the entropy move (nats per token, first to last fifth; first order, eta {found['eta']:.3g}{fit})"
    return Table(title, ("p of the group", "wrong rollouts", "correct rollouts", "together"), rows)


def change(found: dict) -> Table:
    rows = [
        (
            b["p"],
            str(b["visits"]),
            f"{b['before']:.3f}",
            f"{b['change']:+.3f} +- {b['error'] or 0:.3f}",
            _signed(b["predicted"]),
        )
        for b in found["bins"]
    ]
    columns = ("p at a visit", "visits", "success", "change to the next", "to first order")
    return Table("Change of success of prompts that came back", columns, rows)


def against(report: dict) -> Table:
    rows = []
    for name, found in {"this log": report, **report["against"]}.items():
        if "undefined" in found:
            rows.append((name, found["undefined"], "", "", "", ""))
            continue
        focus, length = found["focus"] or {}, found["length"] or {}
        rows.append(
            (
                name,
                _signed(found["group_asymmetry"]),
                _signed(length.get("sequence_mean_asymmetry")),
                _signed(found["difficulty_tilt"]),
                _plain(focus.get("peak")),
                f"{found['silent_fraction']:.1%}",
            )
        )
    columns = ("estimator", "C / sum|A|", "by 1 / length", "tilt", "peak p", "silent groups")
    return Table("The same log under other estimators", columns, rows)


def skipped(found: dict) -> Table:
    rows = [(reason, str(count)) for reason, count in found["reasons"].items()]
    rows += [(f"{first['where']}: {first['reason']}", "") for first in found["first"][:5]]
    return Table("Rows skipped", ("reason, and the first places", "rows"), rows)


def _named(nearest: dict) -> str:
    if nearest["equal"]:
        return f"equal to {named(nearest)}" + (
            f" (and {', '.join(nearest['also_equal'])})" if nearest["also_equal"] else ""
        )
    if nearest["proportional"]:
        low, high = nearest["proportional"]
        constant = high - low < 1e-4 * abs(high)
        return f"{named(nearest)} times {'a constant' if constant else 'a factor per step'}"
    if not nearest["near"]:
        return "of no registered estimator"
    return f"nearest to {named(nearest)}, at a relative distance of {nearest['distance']:.2g}"


def _parts(dead: dict) -> str:
    return ", ".join(f"{value:.1%} {name.replace('_', ' ')}" for name, value in dead.items() if value) or "none"


def _signed(value: float | None) -> str:
    return "-" if value is None else f"{round(value, 3) + 0.0:+.3f}"


def _small(value: float) -> str:
    """A sum, 0 where only rounding is left."""
    return "0" if abs(value) < 1e-6 else f"{value:.4g}"


def _plain(value: float | None) -> str:
    return "-" if value is None else f"{round(value, 3) + 0.0:.3f}"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"
