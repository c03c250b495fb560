"""The rule that turns effects of seeds into verdicts.

A cell is one claim in one world, setting and reading; its effect is positive in the claim's direction. Its margin d is
in `claims.toml`, which was written before this rule judged anything, but after an older rule had judged earlier runs
of the same studies (paper/LOG.md has its verdicts). With all seeds together and t intervals over seeds:

    supported       the effect is larger than d (one-sided 2.5%); every part of a claim of several parts is
    reversed        some part is smaller than -d (one-sided 2.5%)
    no effect       some part lies within -d and d (two one-sided tests at 5%: Schuirmann 1987, Lakens 2017)
    inconclusive    none of these
    not testable    the cell has nothing to test: no event in any arm, no contrast, or set by the design

The first that holds is the verdict. A claim that two methods are alike (`equal`) is supported by the two one-sided
tests and reversed by an effect above d or below -d. Shares have exact intervals. Each of the three questions (above d,
below -d, within) is corrected by Holm over the cells of one reading and setting; the intervals shown are not corrected,
so a verdict can be rarer than its interval suggests.

Each cell also has d33, the effect that the published comparison had 33% power to detect; an effect whose interval lies
below it is said to be (small telescopes, Simonsohn 2015, who takes the 90% interval). On practice in RL see Agarwal et
al. 2021.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

SUPPORTED, REVERSED, NONE, OPEN, UNTESTABLE = "supported", "reversed", "no effect", "inconclusive", "not testable"
VERDICTS = (SUPPORTED, REVERSED, NONE, OPEN, UNTESTABLE)
LEVEL, TOST_LEVEL = 0.025, 0.05
"""One-sided level of *supported* and *reversed* (a 95% interval), and of each of the two tests of *no effect*."""


@dataclass(frozen=True)
class Margin:
    """What was fixed for a claim before its runs were judged."""

    unit: str
    size: float
    """d, in `unit`"""
    kind: str = ""
    """"" for a difference, share for a share of runs, shares for a difference of two, equal for a claim of no
    difference"""
    published: float | None = None
    questions: tuple[int, ...] = ()
    """of each published benchmark (of shares: runs in an arm); `published` is the mean over benchmarks"""


@dataclass(frozen=True)
class Part:
    """One comparison of a cell: its mean with the 95% interval, and the p-values of the three questions."""

    mean: float
    low: float
    high: float
    above: float
    """p of H0: the effect is at most d"""
    below: float
    """p of H0: the effect is at least -d"""
    inside: float
    """p of H0: the effect lies outside -d .. d"""


@dataclass(frozen=True)
class Cell:
    """One claim in one world, setting and reading."""

    verdict: str
    parts: tuple[Part, ...]
    seeds: int
    margin: Margin
    reason: str = ""
    """Why it is not testable."""

    @property
    def blocking(self) -> int:
        """The part that the verdict rests on: of those that decide it the one that speaks most against the claim."""
        if self.verdict == REVERSED:
            return int(np.argmin([p.below for p in self.parts]))
        count = len(self.parts)
        within = [p.inside * count <= TOST_LEVEL or self.verdict != NONE for p in self.parts]
        return int(np.argmax([p.above if counts else -1.0 for p, counts in zip(self.parts, within, strict=True)]))

    @property
    def shown(self) -> Part:
        return self.parts[self.blocking]

    def telescope(self) -> str:
        """That the effect is smaller than d33 of the published study, if it is and d33 is known."""
        limit = visible(self.margin)
        return f"below d33 = {limit:.2g}" if limit is not None and self.shown.high < limit else ""


def contradiction(cell: Cell) -> str:
    """Where a verdict and the intervals beside it say different things, or nothing.

    Correction over cells only makes a verdict rarer, so a verdict that stands must stand by the interval alone.
    """
    d, equal = cell.margin.size, cell.margin.kind == "equal"
    low, high = [p.low for p in cell.parts], [p.high for p in cell.parts]
    if not all(p.low <= p.mean <= p.high for p in cell.parts):
        return "an interval does not hold its mean"
    if cell.verdict == SUPPORTED and not equal and min(low) < d:
        return f"supported, but the interval begins at {min(low):.3g} and the margin is {d:g}"
    if cell.verdict == REVERSED and not equal and min(high) > -d:
        return f"reversed, but the interval ends at {min(high):.3g} and the margin is {d:g}"
    if cell.verdict == (SUPPORTED if equal else NONE) and min(abs(p.mean) for p in cell.parts) >= d:
        return f"{cell.verdict}, but no part's mean lies within the margin {d:g}"
    return ""


def visible(margin: Margin) -> float | None:
    """d33: the effect for which the published comparison had 33% power at 5%, two-sided, in the margin's unit.

    Points: a mean over benchmarks of equal weight, of two independent sets of questions near 50%, the largest standard
    error that independent sets can have. Questions are shared, which lowers it; each method was trained once or a few
    times, which raises it; neither is published. Shares: Fisher's exact test of two arms, no event in one of them.
    """
    if margin.published is None or not margin.questions:
        return None
    if margin.unit == "points":
        factor = 1.96 - 0.44  # z(0.975) - z(0.67)
        return 100 * factor * math.sqrt(sum(2 * 0.25 / n for n in margin.questions)) / len(margin.questions)
    return _visible_share(*margin.questions)


def _visible_share(runs: int) -> float:
    """The rate of events in one arm that Fisher's test tells from none in the other with 33% power.

    >>> round(_visible_share(10), 3)
    0.385
    """
    from scipy import stats

    def p_value(hits: int) -> float:
        return stats.fisher_exact([[hits, runs - hits], [0, runs]])[1]  # type: ignore

    enough = next(hits for hits in range(runs + 1) if p_value(hits) <= 0.05)
    return float(stats.beta.ppf(0.33, enough, runs - enough + 1))  # P(hits >= enough) is 0.33 there


def part_of(values: np.ndarray, margin: Margin) -> Part:
    """One comparison from the effects of the seeds, [seed]."""
    from scipy import stats

    d, n = margin.size, len(values)
    mean = float(values.mean())
    if margin.kind == "share":
        hits = int(values.sum())
        low, high = stats.binomtest(hits, n).proportion_ci(0.95)
        above = stats.binomtest(hits, n, d, alternative="greater").pvalue
        inside = stats.binomtest(hits, n, d, alternative="less").pvalue
        return Part(mean, float(low), float(high), float(above), 1.0, float(inside))
    if margin.kind == "shares":
        return _difference_of_shares(values, d)
    error = float(values.std(ddof=1)) / math.sqrt(n)
    if error == 0:
        sure = lambda holds: 0.0 if holds else 1.0  # noqa: E731
        return Part(mean, mean, mean, sure(mean > d), sure(mean < -d), sure(-d < mean < d))
    t = stats.t(n - 1)
    half = float(t.ppf(0.975)) * error
    above, below = float(t.sf((mean - d) / error)), float(t.cdf((mean + d) / error))
    inside = max(float(t.cdf((mean - d) / error)), float(t.sf((mean + d) / error)))
    return Part(mean, mean - half, mean + half, above, below, inside)


def _difference_of_shares(values: np.ndarray, d: float) -> Part:
    """A mean of -1, 0 and 1 (which of two arms had the event): exact bounds of both shares, a half of the level each.

    Conservative, and never of zero width: no event in 40 runs bounds the difference by 0.104.
    """
    from scipy import optimize, stats

    n, gains, losses = len(values), int((values > 0).sum()), int((values < 0).sum())

    def lower(level: float, plus: int, minus: int) -> float:
        """Bound of the share of `plus` less that of `minus`, one-sided."""
        least = stats.beta.ppf(level / 2, plus, n - plus + 1) if plus else 0.0
        most = stats.beta.isf(level / 2, minus + 1, n - minus) if minus < n else 1.0
        return float(least - most)

    def p_above(limit: float, plus: int, minus: int) -> float:
        """The smallest level at which the bound lies above `limit`."""
        if lower(1.0, plus, minus) <= limit:
            return 1.0
        digits: float = optimize.brentq(lambda x: lower(10.0**x, plus, minus) - limit, -300, 0)  # type: ignore
        return 10.0**digits

    above, below = p_above(d, gains, losses), p_above(d, losses, gains)
    inside = max(p_above(-d, gains, losses), p_above(-d, losses, gains))
    return Part(float(values.mean()), lower(0.025, gains, losses), -lower(0.025, losses, gains), above, below, inside)


def holm(values: Sequence[float]) -> list[float]:
    """Holm's adjusted p-values.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(values, kind="stable")
    adjusted, largest = [0.0] * len(values), 0.0
    for rank, i in enumerate(order):
        largest = max(largest, (len(values) - rank) * values[i])
        adjusted[i] = round(min(1.0, largest), 12)
    return adjusted


def judge(
    cells: Mapping[str, np.ndarray], margins: Mapping[str, Margin], untestable: Mapping[str, str] | None = None
) -> dict[str, Cell]:
    """Verdicts of all cells of one reading and setting: effects [seed, part] by claim.

    `untestable` gives the reason for cells that have nothing to test; they take no part in the correction.
    """
    untestable = dict(untestable or {})
    parts = {id: tuple(part_of(column, margins[id]) for column in values.T) for id, values in cells.items()}
    tested = [id for id in cells if id not in untestable]
    questions: dict[str, dict[str, float]] = {"above": {}, "below": {}, "inside": {}}
    for id in tested:
        own, count = parts[id], len(parts[id])
        questions["above"][id] = max(p.above for p in own)
        questions["below"][id] = min(1.0, count * min(p.below for p in own))
        questions["inside"][id] = min(1.0, count * min(p.inside for p in own))
    adjusted = {name: dict(zip(p, holm(list(p.values())), strict=True)) for name, p in questions.items()}
    found = {}
    for id, values in cells.items():
        if id in untestable:
            verdict = UNTESTABLE
        else:
            above, below, inside = (adjusted[name][id] for name in ("above", "below", "inside"))
            verdict = _decide(above, below, inside, margins[id].kind == "equal")
        found[id] = Cell(verdict, parts[id], len(values), margins[id], untestable.get(id, ""))
    return found


def _decide(above: float, below: float, inside: float, equal: bool) -> str:
    if equal:  # the claim is that there is no difference
        return REVERSED if min(above, below) <= LEVEL else SUPPORTED if inside <= TOST_LEVEL else OPEN
    if above <= LEVEL:
        return SUPPORTED
    if below <= LEVEL:
        return REVERSED
    return NONE if inside <= TOST_LEVEL else OPEN


@dataclass(frozen=True)
class Needs:
    """What has to be there before a claim can be tested in a cell."""

    claim: str = ""
    """A claim that must be supported or reversed in the same cell (for a share of events: must have had one)."""
    calibrated: tuple[str, ...] = field(default=())
    """Worlds whose design set what the claim is about."""


def judge_with_gates(
    cells: Mapping[str, np.ndarray], margins: Mapping[str, Margin], needs: Mapping[str, Needs], world: str
) -> dict[str, Cell]:
    """`judge`, with the cells that have nothing to test found first."""
    untestable = {}
    for id in cells:
        need = needs.get(id, Needs())
        if world in need.calibrated:
            untestable[id] = "set by the design"
        elif need.claim in cells and margins[need.claim].kind == "share" and not cells[need.claim].any():
            untestable[id] = "no event in any arm"
    first = judge(cells, margins, untestable)
    for id in cells:
        need = needs.get(id, Needs())
        if (
            need.claim in first
            and margins[need.claim].kind != "share"
            and first[need.claim].verdict
            not in (
                SUPPORTED,
                REVERSED,
            )
        ):
            untestable[id] = "no contrast to test"
    return judge(cells, margins, untestable)
