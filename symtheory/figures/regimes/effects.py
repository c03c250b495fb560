"""Figure: five questions about regimes of training, and the exact weight F' under each."""

import numpy as np

from ...claims import regimes as asked
from ...claims.judge import Cell
from .. import style

PANELS = {
    "Clip-higher against symmetric clipping": ("clip_higher_raises_entropy", "clip_higher_raises_passk"),
    "A band of success against all prompts": ("band_beats_all_prompts", "band_of_the_base_beats_all_prompts"),
    "Solved prompts removed": ("removed_prompts_come_back",),
    "Rewards at random": ("placebo_raises_pass1", "placebo_with_clipping_raises_pass1"),
    "Share of gain under noise, GRPO minus a rival": ("grpo_stands_noise_best",),
}
SHORT = {
    "clip_higher_raises_entropy": "entropy (nat)",
    "clip_higher_raises_passk": "pass@16 (points)",
    "band_beats_all_prompts": "current policy (points of pass@1)",
    "band_of_the_base_beats_all_prompts": "base policy (points of pass@1)",
    "removed_prompts_come_back": "success lost (points)",
    "placebo_raises_pass1": "plain (points of pass@1)",
    "placebo_with_clipping_raises_pass1": "four epochs, clipped (points)",
}
BANDIT, TREE, TRANSFORMER = "#0072B2", "#D55E00", "#009E73"
MARKS = {
    "bandit": (BANDIT, "o", "white"),
    "tree": (TREE, "s", "white"),
    "bandit, fresh seeds": (BANDIT, "o", BANDIT),
    "tree, fresh seeds": (TREE, "s", TREE),
    "transformer": (TRANSFORMER, "D", TRANSFORMER),
}
"""Colour, shape and face of the mark of each world; hollow for the first 20 seeds."""
CAPTION = (
    "Each mark is the mean effect over seeds with its 95% t interval, in units of the margin that was fixed before the "
    "runs; the grey band is the margin. Hollow marks: the first 20 seeds. Filled marks: 80 fresh seeds (in the "
    "transformer 20), for the statements that the first seeds left open, judged alone. A statement is supported if its "
    "interval lies to the right of the band. One to the left of the band contradicts it (reversed); one inside shows "
    "no effect as large as the margin."
)


def draw(found: dict[str, dict[str, Cell]]):
    """Effects of all questions by world, in units of their margins; `found[world][question]`."""
    fig, axes = style.panels(2, 3, width=13.0, height=6.0)
    axes[1, 2].set_axis_off()
    shown, entries = asked.questions(), {}
    for ax, (title, ids) in zip(axes.flat, PANELS.items(), strict=False):
        rows = [(id, part) for id in ids for part in range(len(shown[id].get("parts", ("",))))]
        ax.axvspan(-1, 1, color="#DDDDDD", zorder=0)
        ax.axvline(0, color="#555555", linewidth=0.8)
        for y, (id, part) in enumerate(rows):
            worlds = [world for world in found if id in found[world]]
            for shift, world in zip(np.linspace(0.3, -0.3, len(worlds) + 2)[1:-1], worlds, strict=True):
                p, d = found[world][id].parts[part], shown[id]["margin"]
                entries[world] = _mark(ax, world, shift - y, np.array([p.low, p.mean, p.high]) / d)
        labels = [shown[id]["parts"][part] if "parts" in shown[id] else SHORT[id] for id, part in rows]
        ax.set_yticks(-np.arange(len(rows)), labels)
        ax.set(title=title, xlabel="effect / margin", ylim=(-len(rows) + 0.5, 0.5))
    worlds = [world for world in MARKS if world in entries]
    axes[1, 2].legend([entries[world] for world in worlds], worlds, loc="center", frameon=False)
    return fig


def _mark(ax, world: str, y: float, interval: np.ndarray):
    colour, shape, face = MARKS[world]
    low, mean, high = interval
    error = [[mean - low], [high - mean]]
    return ax.errorbar(
        mean, y, xerr=error, color=colour, marker=shape, markerfacecolor=face, markersize=5, linestyle=""
    )
