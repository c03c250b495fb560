"""The tree of a training step as SVG for a page, beside its course; the matplotlib pictures are in `tree_steps`."""

import html

import numpy as np
import xarray as xr
from matplotlib.colors import to_hex

from ..figures.tree_picture import BLUE, CHANGE, GREEN, RED, WRONG, _layout
from .svg import Mark, chart, dots, line

WIDTH, HEIGHT, LEAVES = 560, 620, 380  # pixels; leaves stand at the third


def tree(now: xr.Dataset, what: str, largest: float) -> str:
    """One moment: edges as wide as the chance to pass them; `what` is "mass", or "change" to colour them by what the
    step does to its logarithm. `largest` is the leaf probability that fills the space for bars.
    """
    branching, depth = now.attrs["branching"], now.attrs["depth"]
    xy, parent = _layout(branching, depth)
    leaves = branching**depth
    x = 12 + xy[:, 0] / depth * (LEAVES - 12)
    y = 14 + (leaves - 1 - xy[:, 1]) / max(leaves - 1, 1) * (HEIGHT - 28)
    reach, seen = now.reach.values, now.rollouts.values
    colours = _change(now) if what == "change" else np.full(len(reach), "currentColor", object)
    order = 1 + np.argsort(reach[1:], kind="stable")
    edges = "".join(_edge(x, y, int(parent[v]), v, reach[v], str(colours[v]), what) for v in order.tolist())
    correct, mass, count = now.correct.values, reach[-leaves:], seen[-leaves:]
    height = max((HEIGHT - 28) / leaves * 0.8, 1.5)
    bars = "".join(
        f'<rect x="{LEAVES + 6}" y="{b - height / 2:.1f}" width="{1 + 150 * m / largest:.1f}" height="{height:.1f}" '
        f'fill="{GREEN if r else WRONG}"><title>{"correct" if r else "wrong"} leaf, probability {m:.4f}</title></rect>'
        for b, m, r in zip(y[-leaves:], mass, correct, strict=True)
    )
    marks = "".join(
        f'<circle cx="{LEAVES + 14 + 150 * m / largest:.1f}" cy="{b:.1f}" r="5" fill="{GREEN if r else RED}" '
        f'stroke="currentColor"><title>drawn {n:.0f} times</title></circle>'
        for b, m, r, n in zip(y[-leaves:], mass, correct, count, strict=True)
        if n
    )
    title = "the policy" if what == "mass" else "what the step changes"
    hit = int((count * correct).sum())
    drawn = f"{hit} of {int(count.sum())} drawn leaves correct"
    alt = f"{title}: tree of depth {depth}, success {float(now.success):.2f}, {drawn}"
    return (
        f'<svg class="chart" role="img" aria-label="{html.escape(alt)}" viewBox="0 -22 {WIDTH} '
        f'{HEIGHT + 22}" font-size="15" xmlns="http://www.w3.org/2000/svg" style="width:100%;height:auto">'
        f'<text x="4" y="-6" fill="currentColor" font-weight="600">{html.escape(title)}</text>'
        f"{edges}{bars}{marks}</svg>"
    )


def course(data: xr.Dataset, step: int) -> str:
    """Success and entropy over the steps, with a dot at the one that is shown."""
    entropy = data.entropy.values / np.log(data.sizes["leaf"])
    steps = np.arange(data.sizes["step"])
    marks: list[Mark] = [
        line(steps, data.success, GREEN, label="success"),
        line(steps, entropy, BLUE, "--", label="entropy"),
    ]
    marks += [dots(step, data.success[step], GREEN, 6), dots(step, entropy[step], BLUE, 6)]
    title = "success (line), entropy / log leaves (dashed)"
    alt = f"{title}, at step {step}: {float(data.success[step]):.2f} and {entropy[step]:.2f}"
    return chart(title, marks, x="step", y_limits=(0, 1), alt=alt)


def largest_leaf(data: xr.Dataset) -> float:
    """The largest leaf probability of the whole run, so that bars of different steps compare."""
    return float(data.reach.values[:, -data.sizes["leaf"] :].max())


def _change(now: xr.Dataset) -> np.ndarray:
    """A colour for each node by the change of its log-probability, symmetric, cut at the largest that holds mass."""
    change, held = now.change.values, now.reach.values > 2e-3
    limit = max(float(np.abs(change[held]).max()), 1e-6)
    return np.array([to_hex(c) for c in CHANGE(0.5 + 0.5 * np.clip(change / limit, -1, 1))])


def _edge(x, y, start: int, end: int, reach: float, colour: str, what: str) -> str:
    middle = (x[start] + x[end]) / 2
    opacity = 0.25 + 0.6 * np.sqrt(reach) if what == "mass" else 0.9
    return (
        f'<path d="M{x[start]:.1f} {y[start]:.1f}C{middle:.1f} {y[start]:.1f} {middle:.1f} {y[end]:.1f} '
        f'{x[end]:.1f} {y[end]:.1f}" fill="none" stroke="{colour}" stroke-opacity="{opacity:.2f}" '
        f'stroke-width="{0.6 + 14 * np.sqrt(reach) * (reach > 1e-4):.2f}"/>'
    )
