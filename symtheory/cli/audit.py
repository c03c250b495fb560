"""`symtheory audit`: what symmetry a real training run has."""

from pathlib import Path
from typing import Annotated, Literal

import tyro


def run(
    log: Annotated[Path, tyro.conf.Positional],
    /,
    log_format: str | None = None,
    group_size: int | None = None,
    reward: str | None = None,
    estimator: str = "grpo",
    against: tuple[str, ...] = (),
    format: Literal["text", "json", "html"] = "text",
) -> None:
    """Audit the rollout log of a training run: its symmetry, its difficulty focus, its dead groups, its estimator.

    Reads what TRL (completions_*.parquet), verl (rollout_data_dir, with and without uid) and NeMo-RL
    (train_data_step*.jsonl) leave on disk, and a plain schema: JSONL or parquet with columns step, prompt_id, reward,
    and optionally rollout_id, advantage, length (tokens), logprob (sum over tokens). OpenRLHF leaves no rollouts.

    Args:
        log: a file or a folder; .jsonl may be gzipped.
        log_format: trl, verl, verl_legacy, nemo_rl or plain, if it is not recognised.
        group_size: rollouts per prompt, where the log does not tell.
        reward: column of the reward, or a weighted sum such as correct+0.2*brevity.
        estimator: estimator assumed where the log has no advantages.
        against: other estimators to apply to the same log.
        format: a text for reading, JSON, or one HTML file with plots, on standard output.
    """
    import json

    from ..audit import audit, read

    report = audit(read(log, log_format, group_size, reward), estimator, against)
    if format == "json":
        print(json.dumps(report, indent=1, allow_nan=False))
    elif format == "html":
        from ..audit.page import page

        print(page(report))
    else:
        _show(report)


def _show(report: dict) -> None:
    """The report on a terminal; text that comes from the log is printed without markup or control characters."""
    from rich.console import Console

    console = Console(highlight=False)
    first, last = report["step_range"]
    console.print(
        f"{report['rollouts']} rollouts in {report['groups']} groups, steps {first} to {last}, "
        f"{report['format']} log of {report['files']} file(s), {report['skipped_rows']} rows skipped",
        markup=False,
    )
    console.print(_summary(report))
    console.print(_difficulty(report))
    if report["change"]:
        console.print(_change(report["change"]))
    if report["against"]:
        console.print(_against(report))
    for sentence in report["warnings"]:
        console.print(f"* {_printable(sentence)}", markup=False)


def _summary(report: dict):
    focus, nearest = report["focus"] or {}, report["identification"]
    sizes = ", ".join(list(report["group_sizes"])[:6])
    length = report["length"] or {}
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
    return _table(("", ""), rows)


def _difficulty(report: dict):
    rows = [
        (
            d["p"],
            d["groups"],
            _plain(d["absolute_per_rollout"]),
            _plain(d["grpo_per_rollout"]),
            _share(d["share"]),
            _signed(d["group_asymmetry"]),
        )
        for d in report["difficulty"]
        if d["groups"]
    ]
    return _table(("p of the group", "groups", "|A| per rollout", "GRPO's", "share", "C / sum|A|"), rows)


def _change(change: dict):
    rows = [
        (
            b["p"],
            b["visits"],
            f"{b['before']:.3f}",
            f"{b['change']:+.3f} +- {b['error'] or 0:.3f}",
            _signed(b["predicted"]),
        )
        for b in change["bins"]
    ]
    return _table(("p at a visit", "visits", "success", "change to the next", "to first order"), rows)


def _against(report: dict):
    own = {"this log": report}
    rows = []
    for name, found in {**own, **report["against"]}.items():
        if "undefined" in found:
            rows.append((name, _printable(found["undefined"]), "", "", "", ""))
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
    return _table(("estimator", "C / sum|A|", "by tokens", "tilt", "peak p", "silent groups"), rows)


def _table(columns: tuple[str, ...], rows: list[tuple]):
    from rich.box import SIMPLE
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=SIMPLE, padding=(0, 1, 0, 0), show_header=any(columns))
    for i, column in enumerate(columns):
        table.add_column(column, justify="left" if i == 0 or not any(columns) else "right")
    for row in rows:
        table.add_row(*(escape(str(cell)) for cell in row))
    return table


def _named(nearest: dict) -> str:
    params = ", ".join(f"{key}={value:g}" for key, value in nearest["params"].items())
    name = f"{nearest['name']}({params})"
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


def _printable(text: str) -> str:
    """Without control characters, which could move the cursor or recolour the terminal."""
    return "".join(c if c.isprintable() else "?" for c in text)
