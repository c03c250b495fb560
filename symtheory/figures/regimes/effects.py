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
MARKS = {"bandit": ("#0072B2", "o"), "tree": ("#D55E00", "s")}
CAPTION = (
    "Each mark is the mean effect over seeds with its 95% t interval, in units of the margin that was fixed before the "
    "runs; the grey band is the margin. A statement is supported if its interval lies to the right of the band, and "
    "would be refuted by one to the left of it or, for no effect, inside."
)


def draw(found: dict[str, dict[str, Cell]]):
    """Effects of all questions by world, in units of their margins; `found[world][question]`."""
    fig, axes = style.panels(2, 3, width=13.0, height=6.0)
    axes[1, 2].set_axis_off()
    questions = asked.questions()
    for ax, (title, ids) in zip(axes.flat, PANELS.items(), strict=False):
        rows = [(id, part) for id in ids for part in range(len(questions[id].get("parts", ("",))))]
        ax.axvspan(-1, 1, color="#DDDDDD", zorder=0)
        ax.axvline(0, color="#555555", linewidth=0.8)
        for world, cells in found.items():
            colour, marker = MARKS[world]
            shift = 0.12 if world == "bandit" else -0.12
            for y, (id, part) in enumerate(rows):
                p, d = cells[id].parts[part], questions[id]["margin"]
                error = [[(p.mean - p.low) / d], [(p.high - p.mean) / d]]
                ax.errorbar(
                    p.mean / d,
                    -y + shift,
                    xerr=error,
                    color=colour,
                    marker=marker,
                    linestyle="",
                    label=None if y else world,
                )
        labels = [questions[id]["parts"][part] if "parts" in questions[id] else SHORT[id] for id, part in rows]
        ax.set_yticks(-np.arange(len(rows)), labels)
        ax.set(title=title, xlabel="effect / margin", ylim=(-len(rows) + 0.5, 0.5))
    handles, labels = axes[0, 0].get_legend_handles_labels()
    axes[1, 2].legend(handles, labels, loc="center", frameon=False)
    return fig
