"""The picture of a plan: live groups and signal to noise by group size, gain by difficulty, power of an evaluation."""

import numpy as np
from matplotlib.figure import Figure

from ..figures.style import legend_below, look, panels


def picture(report: dict) -> Figure:
    """Four panels of a report of `symtheory.plan.report.plan`; shading is the range that the data allow."""
    fig, axes = panels(2, 2, width=10.5, height=7.2)
    _live(axes[0, 0], report)
    _noise(axes[0, 1], report)
    _difficulty(axes[1, 0], report)
    _evaluation(axes[1, 1], report)
    legend_below(fig, *axes[1, 0].get_legend_handles_labels())
    fig.suptitle(f"{report.get('source', 'plan')}: {report['rollouts']} rollouts a step", fontsize=12, parse_math=False)
    return fig


def _live(ax, report: dict) -> None:
    sizes = report["group_sizes"]
    g, wrong, alive = (np.array([s[key] for s in sizes]) for key in ("group_size", "all_wrong", "live"))
    ax.fill_between(g, 0, wrong, color="#D55E00", alpha=0.35, lw=0, label="all wrong")
    ax.fill_between(g, wrong, wrong + alive, color="#009E73", alpha=0.45, lw=0, label="live")
    ax.fill_between(g, wrong + alive, 1, color="#0072B2", alpha=0.3, lw=0, label="all correct")
    if sizes[0]["live_range"] is not None:
        low, high = np.array([s["live_range"] for s in sizes]).T
        ax.errorbar(g, wrong + alive, [alive - low, high - alive], fmt="none", ecolor="#333333", capsize=3)
    _by_size(ax, report)
    ax.set(ylim=(0, 1), ylabel="share of groups", title="groups with a correct and a wrong rollout")
    ax.legend(loc="lower right", frameon=True)


def _noise(ax, report: dict) -> None:
    sizes, here = report["group_sizes"], None
    for size in sizes:
        if size["group_size"] == report["group_size"]:
            here = size["estimators"][report["estimator"]].get("signal_to_noise")
    for name in sizes[0]["estimators"]:
        values = [size["estimators"][name].get("signal_to_noise") for size in sizes]
        points = [(s["group_size"], v / here) for s, v in zip(sizes, values, strict=True) if v and here]
        if points:
            ax.plot(*zip(*points, strict=True), marker="o", ms=4, **look(name))
    _by_size(ax, report)
    ax.set(
        ylim=(0, None), ylabel=f"signal to noise, now = 1 ({report['estimator']})", title="signal to noise of a step"
    )


def _difficulty(ax, report: dict) -> None:
    now = next(s for s in report["group_sizes"] if s["group_size"] == report["group_size"])
    bins = list(report["population"]["by_difficulty"])
    shares = [report["population"]["by_difficulty"][b] or 0 for b in bins]
    ax.bar(range(len(bins)), shares, color="#DDDDDD", width=0.9, label="questions")
    for name, found in now["estimators"].items():
        if found.get("gain"):
            ax.plot(range(len(bins)), [found["gain_by_difficulty"][b] for b in bins], marker="o", ms=4, **look(name))
    ax.set_xticks(range(len(bins)), bins)
    ax.set(
        xlabel="success p of the question",
        ylabel="share",
        title=f"expected gain by difficulty, G = {now['group_size']}",
    )


def _evaluation(ax, report: dict) -> None:
    power = report["power"]
    found = [d for d in power["differences"] if d["difference"] is not None]
    for kind, label, color in (
        ("same_questions", "same questions", "#0072B2"),
        ("new_questions", "new questions", "#D55E00"),
    ):
        ax.plot(
            [d["k"] for d in found],
            [100 * d["seen_from"][kind] for d in found],
            "o-",
            color=color,
            label=label,
        )
    ax.axhline(100 * power["size"], color="#555555", ls=":", label="asked for")
    ax.set_xscale("log", base=2)
    ax.set_xticks([d["k"] for d in found], [str(d["k"]) for d in found])
    ax.set(
        ylim=(0, None),
        xlabel="k",
        ylabel="points",
        title=f"pass@k difference seen with {power['power']:.0%} chance\n"
        f"({power['questions']} questions, {power['samples']} samples each)",
    )
    ax.legend()


def _by_size(ax, report: dict) -> None:
    sizes = [s["group_size"] for s in report["group_sizes"]]
    ax.set_xscale("log", base=2)
    ax.set_xticks(sizes, [str(s) for s in sizes])
    ax.axvline(report["group_size"], color="#333333", lw=1, ls=":")
    ax.set_xlabel("group size G (dotted: now)")
