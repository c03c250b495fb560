"""The theory as two pictures: which theorem uses which, and the claims that rest on them with the worlds that measured.

What a theorem uses is declared in `theorems.toml`.
"""

import html
import tomllib
from pathlib import Path

from symtheory.claims.ledger import over_worlds

ROW, TOP = 21, 40
COLUMNS = {"theorem": 330, "claim": 400, "world": 900}
"""Where a column begins; names of theorems end there."""
MARKS = {
    "exact": "●", "supported": "●", "holds when": "◐", "no effect": "–", "inconclusive": "○", "not testable": "○",
    "not established": "○", "open": "○", "fails": "✕", "reversed": "✕",
}  # fmt: skip
"""Signs beside the colours, for those who do not see these."""
OTHER = "◆"


STEP = 350
"""Width of a column of theorems."""


def declared() -> dict[str, dict]:
    """`uses`: theorem -> the theorems that it uses; `figures`: theorem -> the figure that shows it."""
    return tomllib.loads(Path(__file__).with_name("theorems.toml").read_text(encoding="utf-8"))


def draw_theorems(statuses: dict[str, str]) -> str:
    """An SVG of all theorems: each stands to the right of those that it uses, and of the first of them in its row.

    Args:
        statuses: theorem -> its status, in the order in which unrelated ones are listed.
    """
    parents = declared()["uses"]
    children = {id: [c for c in statuses if parents.get(c, [None])[0] == id] for id in statuses}
    places: dict[str, tuple[int, int]] = {}  # column, row

    def settle(id: str, column: int, row: int) -> int:
        """Place a theorem and what hangs on it; the first free row after them."""
        places[id] = column, row
        for child in children[id]:
            row = settle(child, column + 1, row)
        return row + 1 - bool(children[id])

    row = 0
    for id in sorted(statuses, key=lambda id: not children[id]):
        if id not in parents:
            row = settle(id, 0, row)
    ends = {id: 10 + STEP * column + 16 + 6.4 * len(id) for id, (column, _) in places.items()}
    parts = [
        _edge(ends[used], places[used][1], 4 + STEP * places[id][0], places[id][1], statuses[id])
        for id, all_used in parents.items()
        for used in all_used
    ]
    parts += [
        _node(10 + STEP * column, at, id, f"{id}.html", statuses[id], "start") for id, (column, at) in places.items()
    ]
    width = STEP * (1 + max(column for column, _ in places.values()))
    return (
        f'<svg viewBox="0 16 {width} {TOP + ROW * row - 20}" role="img" aria-label="Which theorem uses which">'
        f"{''.join(parts)}</svg>"
    )


def draw(claims, findings, statuses: dict[str, str]) -> str:
    """An SVG with a link on every name.

    Args:
        claims: those of the ledger.
        findings: claim id -> findings of the worlds.
        statuses: theorem -> its status; a family of theorems counts as one.
    """
    rows = {c.id: i for i, c in enumerate(sorted(claims, key=lambda c: bool(c.experiment)))}
    resting = {}
    for claim in claims:
        for id in claim.proof + claim.refuted_by:
            resting.setdefault(id.partition(":")[0], []).append(rows[claim.id])
    order = sorted(resting, key=lambda id: sum(resting[id]) / len(resting[id]))
    first = max(0, sum(not c.experiment for c in claims) - len(order))
    places = {id: first // 2 + i for i, id in enumerate(order)}
    worlds = list(dict.fromkeys(world for c in claims for world in c.experiment))
    middle = [rows[c.id] for c in claims if c.experiment]
    stations = {w: min(middle, default=0) + (i + 1) * len(middle) // (len(worlds) + 1) for i, w in enumerate(worlds)}
    parts = [
        _edge(COLUMNS["theorem"] + 8, places[id.partition(":")[0]], COLUMNS["claim"] - 18, rows[c.id], c.verdict)
        for c in claims
        for id in c.proof + c.refuted_by
    ]
    parts += [
        _edge(COLUMNS["world"] - 40, rows[c.id], COLUMNS["world"] + 42, stations[f.world], f.verdict)
        for c in claims
        for f in findings.get(c.id, ())
    ]
    parts += [_node(COLUMNS["theorem"], places[id], id, f"{id}.html", statuses.get(id, ""), "end") for id in order]
    for claim in claims:
        verdict = claim.verdict if not claim.experiment else summary(findings.get(claim.id, ()))
        name = claim.id.replace("_", " ")
        parts.append(_node(COLUMNS["claim"], rows[claim.id], name, f"claim-{claim.id}.html", verdict, "start"))
    parts += [_node(COLUMNS["world"] + 60, stations[w], w, "../claims.html", "measured", "start") for w in worlds]
    heads = zip(COLUMNS.items(), ("end", "start", "start"), strict=True)
    parts += [
        f'<text class="head" x="{x + 60 * (n == "world")}" y="18" text-anchor="{a}">{n}s</text>' for (n, x), a in heads
    ]
    height = TOP + ROW * max([*rows.values(), *places.values()]) + 20
    return (
        f'<svg viewBox="0 0 1060 {height}" role="img" aria-label="Theorems, claims and worlds">{"".join(parts)}</svg>'
        '<p class="legend">● exact or supported · ◐ holds under a condition · – no effect of the margin\'s size · '
        "○ not established, inconclusive or not testable · ✕ fails or reversed · ◆ differs between estimators or "
        "worlds. Of claims that experiments judge: the verdict at equal step.</p>"
    )


def summary(findings) -> str:
    """The verdict at equal step over all worlds that judge a claim."""
    return over_worlds([f.verdict for f in findings]) if findings else "open"


def shown(text: str) -> str:
    """Plain text for Markdown: what would be a table, emphasis or a tag stays a character; code stays code.

    >>> shown("a_b * `c_d * |e|`")
    'a\\\\_b \\\\* `c_d * |e|`'
    """
    parts = text.split("`")
    parts[::2] = [
        html.escape(part, quote=False).replace("|", "&#124;").replace("*", "\\*").replace("_", "\\_")
        for part in parts[::2]
    ]
    return "`".join(parts)


def kind(status: str) -> str:
    """The CSS class of a status; of "supported where testable" it is that of supported."""
    first = status.partition(" where ")[0]
    return first.replace(" ", "-") if first in MARKS else "other"


def _edge(x1: float, row1: int, x2: float, row2: int, status: str) -> str:
    (y1, y2), bend = (_y(row1) - 4, _y(row2) - 4), (x2 - x1) / 2
    return f'<path class="{kind(status)}" d="M{x1} {y1}C{x1 + bend} {y1} {x2 - bend} {y2} {x2} {y2}"/>'


def _node(x: float, row: int, name: str, target: str, status: str, anchor: str) -> str:
    mark = MARKS.get(status.partition(" where ")[0], OTHER)
    words = f"{html.escape(name)} {mark}" if anchor == "end" else f"{mark} {html.escape(name)}"
    return (
        f'<a href="{target}"><text class="{kind(status)}" x="{x}" y="{_y(row)}" text-anchor="{anchor}">'
        f"{words}<title>{html.escape(status)}</title></text></a>"
    )


def _y(row: int) -> float:
    return TOP + ROW * row
