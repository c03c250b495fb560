"""Charts of one group and one step on it."""

import xarray as xr

from .page import bars, chart, dots
from .tree_steps import GREEN, RED

PALE = {True: "#7FCFB9", False: "#B9BDC4"}  # behaviours that were not drawn: right, wrong


def advantages(result: xr.Dataset) -> str:
    """One bar for each rollout, green for a right one."""
    right = result.right.values[result.drawn.values]
    values = result.advantage.values
    labels = [
        f"rollout {i + 1}: behaviour {b + 1}, A = {a:.2f}"
        for i, (b, a) in enumerate(zip(result.drawn.values, values, strict=True))
    ]
    ticks = [(i, str(b + 1)) for i, b in enumerate(result.drawn.values)]
    marks = [bars(range(len(values)), values, [GREEN if r else RED for r in right], labels=labels)]
    alt = "advantages " + ", ".join(f"{a:.2f}" for a in values)
    return chart("advantage of each rollout", marks, x="behaviour that was drawn", x_ticks=ticks, zero=True, alt=alt)


def changes(result: xr.Dataset, what: str) -> str:
    """Measured change of each behaviour as a bar, predicted as a ring; `what` is "logit" or "log_prob"."""
    measured, predicted = result[f"{what}_measured"].values, result[f"{what}_predicted"].values
    seen, right = result["count"].values > 0, result.right.values
    colours = [(GREEN if r else RED) if s else PALE[bool(r)] for s, r in zip(seen, right, strict=True)]
    places = range(len(measured))
    labels = [
        f"behaviour {b + 1}: {m:+.3f}, predicted {q:+.3f}" for b, m, q in zip(places, measured, predicted, strict=True)
    ]
    marks = [bars(places, measured, colours, labels=labels), dots(places, predicted, "currentColor", 4, hollow=True)]
    ticks = [(b, f"{b + 1}" + ("×" + str(n) if n > 1 else "")) for b, n in enumerate(result["count"].values)]
    title = {"logit": "change of the logit", "log_prob": "change of the log-probability"}[what]
    alt = f"{title}: " + ", ".join(f"{m:+.2f}" for m in measured)
    return chart(title, marks, x="behaviour, likely ones first (× times drawn)", x_ticks=ticks, zero=True, alt=alt)


def key() -> str:
    """What the colours mean."""
    entries = (
        (GREEN, "drawn, right"),
        (RED, "drawn, wrong"),
        (PALE[True], "not drawn, right"),
        (PALE[False], "not drawn, wrong"),
    )
    small = '<svg width="14" height="14" aria-hidden="true">{}</svg> {}'
    marks = [small.format(f'<rect width="14" height="14" fill="{colour}"/>', words) for colour, words in entries]
    ring = '<circle cx="7" cy="7" r="4" fill="none" stroke="currentColor" stroke-width="2"/>'
    marks.append(small.format(ring, "predicted by Theorem 1"))
    return f'<div class="legend">{"".join(f"<span>{m}</span>" for m in marks)}</div>'
