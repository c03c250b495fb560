"""Small charts for pages that answer while a slider moves, as SVG text.

matplotlib needs 50 to 130 ms for one such chart on the machine this was measured on, too slow for three or four of
them behind a slider; these take about one. They use the colours of `style`, but what is neutral follows the text
colour of the page, so that one picture serves light and dark, and text stays text at the size of the page.

A chart is a list of marks, each of which knows its data and how to draw itself on given scales.
"""

import html
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.ticker import MaxNLocator

from ..figures.style import look

THEMED = {"#000000": "currentColor", "#555555": "color-mix(in srgb, currentColor 65%, transparent)"}
"""Neutral colours of `style.look`: what they are on a page."""
MIXED = 0.1
"""Share of the text colour in the colour of an estimator."""
DASHES = {"-": "none", "--": "7 3", "-.": "7 3 2 3", ":": "2 3"}
GRID = "color-mix(in srgb, currentColor 14%, transparent)"
LEFT, RIGHT, TOP, BOTTOM = 50, 14, 30, 42  # margins in pixels
FORMATS = "{:g}".format

Scale = Callable[[np.ndarray], np.ndarray]


class Mark(NamedTuple):
    """Something in a chart."""

    x: np.ndarray
    """horizontal extent, data coordinates"""
    y: np.ndarray
    """vertical extent"""
    draw: Callable[[Scale, Scale], str]
    """SVG on given scales from data to pixels"""


def ink(name: str) -> str:
    """The colour of an estimator on a page: a little darker on a light one, a little lighter on a dark one."""
    colour = look(name)["color"]
    return THEMED.get(colour, f"color-mix(in oklab, {colour} {100 * (1 - MIXED):.0f}%, currentColor)")


def line(x, y, colour: str, dash: str = "-", width: float = 2.2, label: str = "") -> Mark:
    """A curve through `x[n], y[n]`; `label` appears under the pointer."""
    x, y = np.asarray(x, float), np.asarray(y, float)

    def draw(sx, sy):
        points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(sx(x), sy(y), strict=True) if np.isfinite(b))
        return (
            f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="{width:g}" '
            f'stroke-dasharray="{DASHES[dash]}" stroke-linejoin="round">{_title(label)}</polyline>'
        )

    return Mark(x, y, draw)


def curve(x, y, name: str) -> Mark:
    """The curve of an estimator, in its colour and line."""
    style = look(name)
    return line(x, y, ink(name), style["linestyle"], label=style["label"])


def band(x, low, high, colour: str) -> Mark:
    """The shade between two curves."""
    x, low, high = (np.asarray(v, float) for v in (x, low, high))

    def draw(sx, sy):
        a = [f"{p:.1f},{q:.1f}" for p, q in zip(sx(x), sy(high), strict=True)]
        b = [f"{p:.1f},{q:.1f}" for p, q in zip(sx(x), sy(low), strict=True)][::-1]
        return f'<polygon points="{" ".join(a + b)}" fill="{colour}" fill-opacity="0.16" stroke="none"/>'

    return Mark(x, np.concatenate([low, high]), draw)


def dots(x, y, colour: str, radius: float = 4, labels: Sequence[str] = (), hollow: bool = False) -> Mark:
    """Points, with a label each under the pointer."""
    x, y = np.atleast_1d(np.asarray(x, float)), np.atleast_1d(np.asarray(y, float))
    names = list(labels) or [""] * len(x)
    paint = f'fill="none" stroke="{colour}" stroke-width="2"' if hollow else f'fill="{colour}"'

    def draw(sx, sy):
        return "".join(
            f'<circle cx="{a:.1f}" cy="{b:.1f}" r="{radius:g}" {paint}>{_title(n)}</circle>'
            for a, b, n in zip(sx(x), sy(y), names, strict=True)
            if np.isfinite(b)
        )

    return Mark(x, y, draw)


def bars(x, height, colours: Sequence[str], width: float = 0.7, labels: Sequence[str] = ()) -> Mark:
    """Bars from 0 to `height[n]`, `width` wide in units of x."""
    x, height = np.asarray(x, float), np.asarray(height, float)
    names = list(labels) or [""] * len(x)

    def draw(sx, sy):
        left, right, zero = sx(x - width / 2), sx(x + width / 2), float(sy(np.array(0.0)))
        return "".join(
            f'<rect x="{a:.1f}" y="{min(zero, t):.1f}" width="{b - a:.1f}" height="{abs(zero - t):.1f}" '
            f'fill="{c}">{_title(n)}</rect>'
            for a, b, t, c, n in zip(left, right, sy(height), colours, names, strict=True)
        )

    return Mark(np.concatenate([x - width / 2, x + width / 2]), np.append(height, 0.0), draw)


def cells(x, y, colours: np.ndarray) -> Mark:
    """A grid of coloured cells centred at `x[m]`, `y[n]`, `colours[n, m]`."""
    x, y = np.asarray(x, float), np.asarray(y, float)
    dx, dy = (x[1] - x[0]) / 2, (y[1] - y[0]) / 2

    def draw(sx, sy):
        left, right, top, bottom = sx(x - dx), sx(x + dx), sy(y + dy), sy(y - dy)
        return "".join(
            f'<rect x="{left[j]:.1f}" y="{top[i]:.1f}" width="{right[j] - left[j] + 0.6:.1f}" '
            f'height="{bottom[i] - top[i] + 0.6:.1f}" fill="{colours[i, j]}"/>'
            for i in range(len(y))
            for j in range(len(x))
        )

    return Mark(np.array([x[0] - dx, x[-1] + dx]), np.array([y[0] - dy, y[-1] + dy]), draw)


def text(x: float, y: float, words: str, colour: str = "currentColor", anchor: str = "start", dx=0, dy=0) -> Mark:
    """Words at a point, `dx, dy` pixels away, with a halo of the page's background."""

    def draw(sx, sy):
        a, b = float(sx(np.array(x))) + dx, float(sy(np.array(y))) + dy
        halo = 'paint-order="stroke" stroke="var(--background, Canvas)" stroke-width="3"'
        return (
            f'<text x="{a:.1f}" y="{b:.1f}" fill="{colour}" text-anchor="{anchor}" {halo}>{html.escape(words)}</text>'
        )

    return Mark(np.array([x]), np.array([y]), draw)


def chart(
    title: str,
    marks: Iterable[Mark],
    *,
    x: str = "",
    y: str = "",
    x_limits: tuple[float, float] | None = None,
    y_limits: tuple[float, float] | None = None,
    x_ticks: Sequence[tuple[float, str]] | None = None,
    log_x: bool = False,
    zero: bool = False,
    alt: str = "",
    width: int = 400,
    height: int = 300,
) -> str:
    """A chart as an SVG element that fills the width of its place.

    Args:
        title: what the vertical axis shows; it stands above the chart.
        marks: drawn in this order.
        x, y: labels of the axes.
        x_limits, y_limits: of the axes; from the data if not given.
        x_ticks: (place, label) in place of round numbers.
        log_x: logarithmic horizontal axis.
        zero: whether y = 0 is shown and has a line.
        alt: what the picture shows, for those who cannot see it; default is the title.
        width, height: in pixels, at the size in which text is as large as the page's.
    """
    marks = list(marks)
    forward = np.log if log_x else (lambda v: v)
    x_low, x_high = x_limits or _extent([m.x for m in marks])
    y_low, y_high = y_limits or _padded(*_extent([m.y for m in marks] + [np.zeros(1)] * zero))
    a, b = float(forward(np.asarray(x_low))), float(forward(np.asarray(x_high)))

    def sx(v):
        return LEFT + (forward(np.asarray(v, float)) - a) / ((b - a) or 1) * (width - LEFT - RIGHT)

    def sy(v):
        return height - BOTTOM - (np.asarray(v, float) - y_low) / ((y_high - y_low) or 1) * (height - TOP - BOTTOM)

    across = x_ticks if x_ticks is not None else _ticks(x_low, x_high, 6)
    clip = f"c{width}x{height}"
    label = html.escape(alt or title, quote=True)
    return "".join(
        [
            f'<svg class="chart" role="img" aria-label="{label}" viewBox="0 0 {width} {height}" font-size="13" '
            f'xmlns="http://www.w3.org/2000/svg" style="width:100%;max-width:{2 * width}px;height:auto">',
            f'<clipPath id="{clip}"><rect x="{LEFT}" y="{TOP - 3}" width="{width - LEFT - RIGHT + 4}" '
            f'height="{height - TOP - BOTTOM + 6}"/></clipPath>',
            _horizontal_grid(_ticks(y_low, y_high, 5), sy, width),
            _vertical_ticks(across, sx, height),
            _rule(float(sy(0)), width) if zero and y_low <= 0 <= y_high else "",
            f'<g clip-path="url(#{clip})">{"".join(m.draw(sx, sy) for m in marks)}</g>',
            f'<text x="{LEFT}" y="17" fill="currentColor" font-size="15" font-weight="600">{html.escape(title)}</text>',
            f'<text x="{(LEFT + width - RIGHT) / 2:g}" y="{height - 6}" fill="currentColor" text-anchor="middle">'
            f"{html.escape(x)}</text>",
            f'<text transform="translate(13 {(TOP + height - BOTTOM) / 2:g}) rotate(-90)" fill="currentColor" '
            f'text-anchor="middle">{html.escape(y)}</text>'
            if y
            else "",
            "</svg>",
        ]
    )


def legend(names: Iterable[str]) -> str:
    """The legend of several charts as one line of a page: a stroke and the label of each estimator."""
    entries = []
    for name in names:
        style = look(name)
        stroke = f'stroke="{ink(name)}" stroke-width="3" stroke-dasharray="{DASHES[style["linestyle"]]}"'
        entries.append(
            f'<span><svg width="28" height="8" aria-hidden="true"><line x1="0" y1="4" x2="28" y2="4" {stroke}/></svg>'
            f" {html.escape(style['label'])}</span>"
        )
    return f'<div class="legend">{"".join(entries)}</div>'


def row(charts: Iterable[str]) -> str:
    """Charts side by side, or below each other where the page is narrow."""
    return f'<div class="charts">{"".join(f"<div>{c}</div>" for c in charts)}</div>'


def _title(words: str) -> str:
    return f"<title>{html.escape(words)}</title>" if words else ""


def _extent(arrays: Sequence[np.ndarray]) -> tuple[float, float]:
    values = np.concatenate([np.ravel(v) for v in arrays]) if arrays else np.zeros(1)
    values = values[np.isfinite(values)]
    return (float(values.min()), float(values.max())) if values.size else (0.0, 1.0)


def _padded(low: float, high: float) -> tuple[float, float]:
    room = 0.06 * (high - low) or 0.5
    return low - room, high + room


def _ticks(low: float, high: float, count: int) -> list[tuple[float, str]]:
    places = MaxNLocator(count, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
    return [(p, FORMATS(round(p, 10))) for p in places if low - 1e-9 <= p <= high + 1e-9]


def _horizontal_grid(ticks, sy, width: int) -> str:
    return "".join(
        f'<line x1="{LEFT}" x2="{width - RIGHT}" y1="{sy(p):.1f}" y2="{sy(p):.1f}" stroke="{GRID}"/>'
        f'<text x="{LEFT - 6}" y="{sy(p) + 4.5:.1f}" fill="currentColor" text-anchor="end">{label}</text>'
        for p, label in ticks
    )


def _vertical_ticks(ticks, sx, height: int) -> str:
    return "".join(
        f'<line x1="{sx(p):.1f}" x2="{sx(p):.1f}" y1="{TOP}" y2="{height - BOTTOM}" stroke="{GRID}"/>'
        f'<text x="{sx(p):.1f}" y="{height - BOTTOM + 16}" fill="currentColor" text-anchor="middle">{label}</text>'
        for p, label in ticks
    )


def _rule(at: float, width: int) -> str:
    return (
        f'<line x1="{LEFT}" x2="{width - RIGHT}" y1="{at:.1f}" y2="{at:.1f}" stroke="currentColor" stroke-width="1"/>'
    )
