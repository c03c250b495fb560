"""The report of an audit as one HTML page with its figures inside: no script, nothing loaded from elsewhere."""

import io
from html import escape

import matplotlib as mpl
import numpy as np

from ..audit.tables import Table, headline, tables, trust
from .style import RC, look, panels

_OWN = {"color": "#C1272D", "label": "this log"}
_HEAD = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Audit of a training run</title>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
td, th { padding: .2rem .9rem .2rem 0; text-align: right; border-bottom: 1px solid #ddd; }
td:first-child, th:first-child, .summary td { text-align: left; }
svg { max-width: 100%; height: auto; } figure { margin: 1rem 0; } figcaption { color: #555; font-size: .9rem; }
section { border-left: .4rem solid; padding: .1rem 1rem; margin: 1rem 0; background: #f6f6f6; }
section h2 { margin: .5rem 0; } .good { border-color: #009E73; } .grave { border-color: #C1272D; }
li { margin: .3rem 0; overflow-wrap: anywhere; }
</style></head><body>
"""


def page(report: dict) -> str:
    """HTML of a report of `symtheory.audit.audit`; every text is escaped, since logs are anyone's."""
    answer, sentences = trust(report)
    kind = "good" if report["trust"]["ok"] else "grave"
    parts = [_HEAD, "<h1>Audit of a training run</h1>"]
    parts.append(
        f'<section class="{kind}"><h2>Can these numbers be trusted? {escape(answer)}</h2>{_list(sentences)}</section>'
    )
    parts.append(f"<p>{escape(headline(report))}.</p>{_list(report['warnings'])}")
    first, *others = tables(report)
    parts.append(_table(first))
    for fig, caption in figures(report):
        parts.append(f"<figure>{_svg(fig)}<figcaption>{escape(caption)}</figcaption></figure>")
    return "\n".join([*parts, *map(_table, others), "</body></html>"])


def _list(sentences: list[str]) -> str:
    return "<ul>" + "".join(f"<li>{escape(s)}</li>" for s in sentences) + "</ul>" if sentences else ""


def figures(report: dict) -> list:
    """(figure, caption) pairs: run over steps, weight by difficulty beside the plane, change of success."""
    found = [
        (
            _difficulty_and_plane(report),
            "Left: mean |A| per rollout against the success rate p of its group; "
            "GRPO's is 2 sqrt(p (1 - p)). Right: group asymmetry and difficulty tilt, from first step (small) to last.",
        )
    ]
    if len(report["per_step"]) > 1:
        found.insert(
            0,
            (
                _steps(report),
                "Over the steps of the run: success and groups without signal; asymmetry of "
                "the advantages as they are, and where the loss divides each rollout by its length.",
            ),
        )
    if report["change"]:
        found.append(
            (
                _change(report["change"]),
                "Change of success between visits of a prompt, with two standard "
                "errors, beside F'(p) (p (1 - p))^2 scaled by one fitted number.",
            )
        )
    return found


def _steps(report: dict):
    fig, axes = panels(1, 2, sharex=True)
    left, right = axes[0]
    steps = [s["step"] for s in report["per_step"]]

    def line(axis, field, color, label):
        values = np.array([s[field] for s in report["per_step"]], dtype=float)
        axis.plot(steps, values, color=color, label=label)

    line(left, "success", "#009E73", "success")
    line(left, "dead_fraction", "#555555", "dead groups")
    left.set(xlabel="step", ylim=(0, 1))
    line(right, "sequence_mean_asymmetry", "#E69F00", "divided by length")
    line(right, "group_asymmetry", _OWN["color"], "C / sum |A|")
    right.axhline(0, color="#999999", linewidth=0.8)
    right.set(xlabel="step", ylabel="group asymmetry")
    _wide_enough(right, "y")
    left.legend()
    right.legend()
    return fig


def _difficulty_and_plane(report: dict):
    fig, axes = panels(1, 2, height=4.4)
    left, right = axes[0]
    _weight_by_difficulty(left, report)
    path = [(s["group_asymmetry"], s["difficulty_tilt"]) for s in report["per_step"]]
    path = np.array([point for point in path if None not in point], dtype=float).reshape(-1, 2)
    right.plot(*path.T, color=_OWN["color"], linewidth=0.8, alpha=0.5)
    right.scatter(*path.T, s=np.linspace(4, 30, len(path)), color=_OWN["color"], alpha=0.5, linewidths=0)
    for name, found in report["against"].items():
        _place(right, found, marker="s", **look(name))
    _place(right, report, marker="*", markersize=14, **_OWN)
    right.axhline(0, color="#999999", linewidth=0.8)
    right.axvline(0, color="#999999", linewidth=0.8)
    right.set(xlabel="group asymmetry C / sum |A|", ylabel="difficulty tilt", title="symmetry plane")
    right.locator_params(axis="x", nbins=5)
    _wide_enough(right, "x")
    _wide_enough(right, "y")
    fig.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return fig


def _weight_by_difficulty(axis, report: dict) -> None:
    """Mean |A| per rollout over p, of the log and of the estimators it is held against, on bars of the groups."""
    bins = [d for d in report["difficulty"] if d["groups"] and d["absolute_per_rollout"] is not None]
    p, groups = [d["mean_p"] for d in bins], np.array([d["groups"] for d in bins], float)
    grid = np.linspace(0, 1, 101)
    axis.bar(p, 0.25 * groups / groups.max(), width=0.03, color="#DDDDDD", label="groups (relative)")
    axis.plot(grid, 2 * np.sqrt(grid * (1 - grid)), color="#BBBBBB", linewidth=1, label="2 sqrt(p (1 - p))")
    order = [d["p"] for d in report["difficulty"]]
    for name, found in report["against"].items():
        if "undefined" not in found:
            axis.plot(p, [found["absolute_per_rollout"][order.index(d["p"])] for d in bins], marker=".", **look(name))
    axis.plot(p, [d["absolute_per_rollout"] for d in bins], "o-", linewidth=2.5, **_OWN)
    axis.set(xlabel="success rate p of the group", ylabel="|A| per rollout", xlim=(-0.03, 1.03))


def _place(axis, found: dict, **style) -> None:
    if found.get("group_asymmetry") is not None and found["difficulty_tilt"] is not None:
        axis.plot(found["group_asymmetry"], found["difficulty_tilt"], **{**style, "linestyle": "none"})


def _wide_enough(axis, which: str) -> None:
    """Limits that hold the data and at least +-0.1, so that rounding does not fill a plot."""
    low, high = getattr(axis, f"get_{which}lim")()
    getattr(axis, f"set_{which}lim")(min(low, -0.1), max(high, 0.1))


def _change(change: dict):
    fig, axes = panels(1, 1, width=5.5)
    axis = axes[0, 0]
    bins = change["bins"]
    p = [b["before"] for b in bins]
    axis.errorbar(p, [b["change"] for b in bins], [2 * (b["error"] or 0) for b in bins], fmt="o", **_OWN)
    if change["eta"] is not None:
        order = np.argsort(p)
        axis.plot(
            np.array(p)[order], np.array([b["predicted"] for b in bins])[order], color="#222222", label="first order"
        )
    axis.axhline(0, color="#999999", linewidth=0.8)
    axis.set(xlabel="success rate at a visit", ylabel="change to the next")
    axis.legend()
    return fig


def _svg(fig) -> str:
    buffer = io.StringIO()
    with mpl.rc_context(RC):
        fig.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def _table(table: Table) -> str:
    cell = lambda tag, text: f"<{tag}>{escape(text)}</{tag}>"  # noqa: E731
    head = "<tr>" + "".join(cell("th", c) for c in table.columns) + "</tr>" if any(table.columns) else ""
    body = "".join("<tr>" + "".join(cell("td", c) for c in row) + "</tr>" for row in table.rows)
    kind = "" if head else ' class="summary"'
    return f"<h2>{escape(table.title)}</h2>\n<table{kind}>{head}{body}</table>"
