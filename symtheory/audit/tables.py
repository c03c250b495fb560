"""The tables of an audit report, as text, for the terminal and for the page."""

from typing import NamedTuple


class Table(NamedTuple):
    title: str
    columns: tuple[str, ...]
    """empty names: no header"""
    rows: list[tuple[str, ...]]


def headline(report: dict) -> str:
    """What was read, in one line."""
    first, last = report["step_range"]
    return (
        f"{report['rollouts']} rollouts in {report['groups']} groups, steps {first} to {last}, {report['format']} log "
        f"of {report['files']} file{'s' * (report['files'] > 1)}, {report['skipped_rows']} rows skipped"
    )


def tables(report: dict) -> list[Table]:
    """All tables that the report has content for."""
    found = [summary(report), difficulty(report)]
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
        ("success", f"{report['success']:.3f}, mean reward (omega) {report['mean_reward']:.3f}"),
        ("dead groups", f"{report['dead_fraction']:.1%}: {_parts(report['dead'])}"),
        ("advantages", f"{report['advantages']}, {_named(nearest) if nearest else report['estimator']}"),
        (
            "group asymmetry",
            f"C / sum|A| = {_signed(report['group_asymmetry'])}, C = {report['sum_of_advantages']:.4g}",
        ),
        ("by tokens", f"{_signed(length.get('token_asymmetry'))} with lengths in {length.get('unit', '-')}"),
        (
            "difficulty",
            f"weight per rollout peaks at p = {_plain(focus.get('peak'))}, mean p {_plain(focus.get('mean'))}",
        ),
        ("symmetry plane", f"({_signed(report['group_asymmetry'])}, {_signed(report['difficulty_tilt'])})"),
    ]
    if report["entropy_per_token"] is not None:
        rows.append(("entropy", f"{report['entropy_per_token']:.3f} nats per token"))
    return Table("Summary", ("", ""), rows)


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
                _signed(length.get("token_asymmetry")),
                _signed(found["difficulty_tilt"]),
                _plain(focus.get("peak")),
                f"{found['silent_fraction']:.1%}",
            )
        )
    columns = ("estimator", "C / sum|A|", "by tokens", "tilt", "peak p", "silent groups")
    return Table("The same log under other estimators", columns, rows)


def skipped(found: dict) -> Table:
    rows = [(reason, str(count)) for reason, count in found["reasons"].items()]
    rows += [(f"{first['where']}: {first['reason']}", "") for first in found["first"][:5]]
    return Table("Rows skipped", ("reason, and the first places", "rows"), rows)


def _named(nearest: dict) -> str:
    params = ", ".join(f"{key}={value:g}" for key, value in nearest["params"].items())
    name = nearest["name"] + (f"({params})" if params else "")
    if nearest["equal"]:
        return f"equal to {name}" + (f" (and {', '.join(nearest['also_equal'])})" if nearest["also_equal"] else "")
    if nearest["proportional"]:
        return f"{name} times a factor per step"
    return f"nearest to {name}, at a relative distance of {nearest['distance']:.2g}"


def _parts(dead: dict) -> str:
    return ", ".join(f"{value:.1%} {name.replace('_', ' ')}" for name, value in dead.items() if value) or "none"


def _signed(value: float | None) -> str:
    return "-" if value is None else f"{round(value, 3) + 0.0:+.3f}"


def _plain(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"
