"""The theory atlas on one page: estimator families side by side, four quantities from top to bottom."""

import numpy as np
from matplotlib.figure import Figure

from ..theory.atlas import Atlas
from .style import look, panels

FAMILIES = {
    "Scale of GRPO": ("grpo", "dapo", "grpo_ddof1", "dr_grpo", "opo", "rloo"),
    "Right against wrong": ("positive_dominant", "negative_dominant", "grpo_lead"),
    "Hard against easy": ("hard_focused", "easy_focused", "ddas"),
    "A-GRAE": ("ass", "agrae", "agrae_dr_grpo", "agrae_released"),
    "One sign, no baseline": ("reinforce", "psr", "nsr", "w_reinforce", "reinforce_rej", "reinforce_pp"),
    "Likelihood, pass@k": ("raft", "maxrl", "passk", "ngrpo"),
}
QUANTITIES = (
    ("magnitude", r"$\sum|A|\,/\,G$"),
    ("imbalance", r"$C\,/\,G$"),
    ("slope", r"$F'_G(P)$"),
    ("objective", r"$F_G(P)-F_G(0)$"),
)


def draw(atlas: Atlas) -> Figure:
    """Small multiples of an `Atlas`: a column per family, GRPO in grey in each, estimators that coincide joined."""
    columns = _columns(atlas.names)
    fig, axes = panels(4, len(columns), width=2.75 * len(columns), height=10.0, sharex=True)
    for column, (family, names) in enumerate(columns.items()):
        for row, (quantity, label) in enumerate(QUANTITIES):
            ax = axes[row, column]
            _panel(ax, atlas, quantity, names)
            if column == 0:
                ax.set_ylabel(label)
        axes[0, column].set_title(family, fontweight="bold")
        axes[1, column].set_xlabel("success rate of the group, $p = K/G$")
        axes[3, column].set_xlabel("success of the policy, $P$")
        axes[3, column].legend(loc="upper center", bbox_to_anchor=(0.5, -0.28), handlelength=1.8, frameon=False)
    fig.suptitle(
        f"Where each estimator puts its weight: G = {atlas.size}, batch mean reward $\\omega$ = {atlas.omega:g}; "
        "GRPO in grey; the vertical scale is each column's own",
        fontsize=12,
    )
    return fig


def _columns(names: tuple[str, ...]) -> dict[str, list[str]]:
    """Families with the estimators that the atlas holds; those of no family come last, under their own heading."""
    known = {name for family in FAMILIES.values() for name in family}
    families = {**FAMILIES, "Others": tuple(n for n in names if n not in known)}
    kept = {family: [n for n in members if n in names] for family, members in families.items()}
    return {family: members for family, members in kept.items() if members}


def _panel(ax, atlas: Atlas, quantity: str, names: list[str]) -> None:
    values = getattr(atlas, quantity)
    over_groups = quantity in ("magnitude", "imbalance")
    x = atlas.p if over_groups else atlas.P
    if "grpo" in atlas.names and "grpo" not in names:
        ax.plot(x, values[atlas.names.index("grpo")], color="#BBBBBB", linewidth=3, zorder=1)
    for group in _coinciding(atlas, names):
        style = look(group[0]) | {"label": " = ".join(look(n)["label"] for n in group)}
        marker = dict(marker="o", markersize=3.2) if over_groups else {}
        ax.plot(x, values[atlas.names.index(group[0])], **style, **marker)
    if quantity == "imbalance":
        ax.axhline(0, color="black", linewidth=0.6, zorder=0)
        if max(abs(y) for y in ax.get_ylim()) < 1e-9:  # zero-sum up to rounding: show it as zero
            ax.set_ylim(-0.5, 0.5)
    ax.set_xlim(-0.02, 1.02)


def _coinciding(atlas: Atlas, names: list[str]) -> list[list[str]]:
    """Estimators whose four curves are the same, to draw them once."""
    curves = np.concatenate([atlas.magnitude, atlas.imbalance, atlas.slope, atlas.objective], axis=1)
    groups: list[list[str]] = []
    for name in names:
        mine = curves[atlas.names.index(name)]
        twin = next((g for g in groups if np.allclose(curves[atlas.names.index(g[0])], mine, rtol=1e-3)), None)
        if twin is None:
            groups.append([name])
        else:
            twin.append(name)
    return groups
