r"""Tables of the article by name; `\gentable{name}` in a source asks for one."""

from collections.abc import Callable
from typing import Any

import numpy as np
import sympy
from sympy.parsing.sympy_parser import parse_expr

from symtheory import estimators
from symtheory.claims.ledger import WORLDS, Finding
from symtheory.estimators import advantages
from symtheory.figures.style import look
from symtheory.metrics.plane import all_groups, place
from symtheory.testing.conform import golden
from symtheory.theory.algebra import NotProved
from symtheory.theory.symbols import P, beta, omega
from symtheory.theory.theorems import families, theorems
from symtheory.theory.theorems.flow import stability_index, two_arm_time
from symtheory.theory.theorems.objectives import limit_slope

from .results import Results
from .tex import escape, longtable, number, prose, signed, tabular
from .values import WORLD_NAMES, released_ratio, unit, verdict_macro

GROUP = 8

LABELS = {"maxrl": "MaxRL", "nsr": "NSR", "ngrpo": "NGRPO", "rloo": "RLOO"}
Expr = Any
"""A sympy expression."""


def verdicts(results: Results) -> str:
    """Each empirical claim and what each world says, at equal step and at matched budget."""
    rows = []
    for claim in results.empirical:
        found = [results.finding(claim.id, world) for world in WORLDS]
        cells = [" / ".join(verdict_macro(c.verdict) for c in f.cells.values()) if f else "--" for f in found]
        rows.append([escape(claim.source), prose(claim.paper), *cells])
    return longtable(
        "L{1.9cm}L{4.1cm}L{2.7cm}L{2.7cm}L{2.7cm}",
        ("where", "the paper says", *WORLD_NAMES.values()),
        rows,
        r"Empirical claims: verdict at equal step / at matched budget. A claim about the whole path has one verdict. A "
        r"dash: no run has judged it. Effects: Table~\ref{tab:effects}. \cmd{symtheory prove --experiments}",
        "tab:verdicts",
    )


def effects(results: Results) -> str:
    """Effect, interval, margin and the published effect of every part of a cell, below the line of its claim."""
    lines = []
    for claim in results.empirical:
        found = [(WORLD_NAMES[w], f) for w in WORLDS if (f := results.finding(claim.id, w))]
        cells = [line for world, f in found for reading in f.cells for line in _effects(world, f, reading)]
        if cells:
            name = rf"\texttt{{\detokenize{{{claim.id}}}}} ({unit(claim.unit)})"
            lines += [[rf"\multicolumn{{8}}{{l}}{{{name}}}"], *cells]
    caption = (
        r"Effects behind Table~\ref{tab:verdicts}, in the direction of the claim, with 95\% t intervals over seeds, "
        "the margin $d$ and the published effect. Verdicts are corrected over claims, intervals are not. A claim of "
        "several parts has a line for each; the verdict stands beside the part that it rests on. "
        r"\cmd{symtheory prove --effects} prints the same."
    )
    header = ("world", "reading", "verdict", "effect", "interval", "$d$", "published", "seeds")
    table = longtable("llL{3.8cm}rrrrr", header, lines, caption, "tab:effects")
    return rf"{{\footnotesize\setlength{{\tabcolsep}}{{5pt}}{table}}}"


def _effects(world: str, finding: Finding, reading: str) -> list[list[str]]:
    """The lines of one cell; effects in points have two decimals, shares, nats and ratios four."""
    cell = finding.cells[reading]
    m = cell.margin
    digits = 2 if m.unit == "points" else 4
    published = "--" if m.published is None else signed(m.published, digits)
    lines = []
    for i, p in enumerate(cell.parts):
        verdict = verdict_macro(cell.verdict) if i == cell.blocking else "other part"
        which = f" ({escape(finding.parts[i])})" if len(cell.parts) > 1 else ""
        interval = f"[{signed(p.low, digits)}, {signed(p.high, digits)}]"
        numbers = [signed(p.mean, digits), interval, f"{m.size:g}", published, str(cell.seeds)]
        lines.append([world, escape(reading), verdict + which, *numbers])
    return lines


def settings(results: Results) -> str:
    """Verdicts at equal step in every setting of a world, for the claims whose verdict is not the same in all."""
    rows = []
    for claim in results.empirical:
        for world in WORLDS:
            finding = results.finding(claim.id, world)
            if not finding:
                continue
            others = {name: next(iter(readings.values())) for name, readings in finding.elsewhere.items()}
            if len({finding.verdict, *others.values()}) > 1:
                words = "; ".join(f"{_shortly(name)}: {verdict_macro(v)}" for name, v in others.items())
                rows.append([prose(claim.paper), WORLD_NAMES[world], verdict_macro(finding.verdict), words])
    return tabular("L{4.6cm}llL{5.4cm}", ("the paper says", "world", "first setting", "other settings"), rows)


def _shortly(setting: str) -> str:
    return escape(setting.replace(" parameters", "").replace("independent", "own"))


SLOPES = {
    "grpo": ("1/sqrt(P*Q)", "2*asin(sqrt(P))"),
    "rloo": ("1", "P"),
    "positive_dominant": ("(beta*Q + P)/sqrt(P*Q)", "(beta + 1)*asin(sqrt(P)) + (beta - 1)*sqrt(P*Q)"),
    "negative_dominant": ("(beta*P + Q)/(beta*sqrt(P*Q))", "(1 + 1/beta)*asin(sqrt(P)) - (1 - 1/beta)*sqrt(P*Q)"),
    "hard_focused": ("1/(2*P*sqrt(Q))", "-atanh(sqrt(Q))"),
    "easy_focused": ("1/(2*sqrt(P)*Q)", "atanh(sqrt(P))"),
    "ddas": ("(w*sqrt(Q) + (1 - w)*sqrt(P))/(2*P*Q)", "(1 - w)*atanh(sqrt(P)) - w*atanh(sqrt(Q))"),
    "ass": ("(s*Q + P)/sqrt(P*Q)", "(1 + s)*asin(sqrt(P)) - (1 - s)*sqrt(P*Q)"),
    "agrae": (
        "(s*Q + P)*(w*sqrt(Q) + (1 - w)*sqrt(P))/(2*P*Q)",
        "(1 - w)*(atanh(sqrt(P)) - (1 - s)*sqrt(P)) - w*(s*atanh(sqrt(Q)) + (1 - s)*sqrt(Q))",
    ),
    "maxrl": ("1/P", "log(P)"),
}
"""F' and F for large groups as they are printed, with Q = 1 - P, w = omega, s = min(1, omega)."""


def slopes(results: Results) -> str:
    """F' and F for large groups; each printed form is compared with the one derived from the estimator's code."""
    rows = []
    for name, texts in SLOPES.items():
        slope, form = (parse_expr(text, _NAMES) for text in texts)
        _same_as_derived(name, slope, form)
        rows.append([LABELS.get(name, look(name)["label"]), *(rf"$\displaystyle {_latex(x)}$" for x in (slope, form))])
    return tabular("lll", ("estimator", r"$F'_\infty(P)$", r"$F_\infty(P)$ up to a constant"), rows)


_NAMES: dict[str, Any] = {name: sympy.Symbol(name) for name in ("P", "Q", "s", "beta")} | {"w": sympy.Symbol("omega")}


def _same_as_derived(name: str, slope: Expr, form: Expr) -> None:
    """Raise unless the slope, and the derivative of the form, are the derived slope, to 30 digits at three points."""
    params = {"beta": beta} if name.endswith("_dominant") else {}
    derived = limit_slope(estimators.get(name, **params))
    x = _NAMES["P"]
    for P_, w in ((sympy.Rational(n, 10), sympy.Rational(n + 2, 20)) for n in (1, 4, 8)):
        fixed = {_NAMES["s"]: w, _NAMES["w"]: w, _NAMES["beta"]: 10}
        along = form.subs(fixed).subs(_NAMES["Q"], 1 - x).diff(x)
        printed = slope.subs(fixed).subs({_NAMES["Q"]: 1 - P_, x: P_}), along.subs(x, P_)
        truth = derived.subs({P: P_, omega: w, beta: 10})
        if any(abs(sympy.N(value - truth, 30)) > 1e-25 for value in printed):
            raise ArithmeticError(f"the printed slope or objective of {name} is not the derived one")


def _latex(expression: Expr) -> str:
    text = (
        sympy.latex(expression)
        .replace(r"\left(\sqrt{P} \right)", r"\sqrt{P}")
        .replace(r"\left(\sqrt{Q} \right)", r"\sqrt{Q}")
    )
    return text.replace(r"\operatorname{asin}", r"\arcsin").replace(r"\operatorname{atanh}", r"\operatorname{artanh}")


PLACED = ("grpo", "positive_dominant", "negative_dominant", "hard_focused", "easy_focused", "ass", "agrae")
PLACED += ("agrae_released", "maxrl", "nsr", "w_reinforce", "ngrpo")


def estimators_at_a_glance(results: Results) -> str:
    """Place on the symmetry plane, stability index and mean-field times of the main estimators."""
    rows = []
    for name in PLACED:
        where = place(name, GROUP)
        times = [_time(name, 0.01, 0.5), _time(name, 0.5, 0.99)]
        index = stability_index(name, GROUP)
        label = LABELS.get(name, look(name)["label"])
        asymmetry, tilt = (signed(round(x, 9) + 0.0, 2) for x in where)
        rows.append([label, asymmetry, tilt, number(index), *times])
    header = ("estimator", "asymmetry", "tilt", "$R$", r"$T_{\text{early}}$", r"$T_{\text{late}}$")
    return tabular("lrrrrr", header, rows)


def _time(name: str, start: float, end: float) -> str:
    try:
        return number(two_arm_time(name, start, end), 1)
    except (ArithmeticError, NotProved, ValueError):
        return "--"


def released(results: Results) -> str:
    """Easy-focused factor and sum |A| / G of A-GRAE at G = 8, paper and release."""
    omegas = (0.25, 0.5, 0.75)
    size = np.arange(1, GROUP)
    rows = [[r"factor, paper: $1/(2\sqrt{1-p})$", *(number(0.5 / np.sqrt(1 - k / GROUP)) for k in size)]]
    rows += [[r"factor, release: $1/(2(1-\sqrt{p}))$", *(number(0.5 / (1 - np.sqrt(k / GROUP))) for k in size)]]
    rows += [["release over paper", *(number(released_ratio(int(k))) for k in size)]]
    for w in omegas:
        for name, label in (("agrae", "paper"), ("agrae_released", "release")):
            total = np.abs(advantages(all_groups(GROUP), name, omega=w)).sum(-1)[1:GROUP] / GROUP
            rows.append([rf"$\sum|A|/G$, $\omega = {w:g}$, {label}", *map(number, total)])
    return tabular("l" + "r" * len(rows[0][1:]), ("$K$ of $G = 8$", *map(str, size)), rows)


def not_zero_sum(results: Results) -> str:
    """C = sum A over a group of 8 for implementations that carry a group-relative name."""
    rows = []
    names = {"grpo_ddof1": "GRPO as verl and SkyRL compute it", "nemo_grpo": "NeMo-RL's default GRPO"}
    names |= {"grpo_lead": "GRPO-LEAD", "agrae": r"A-GRAE, paper, $\omega = 1/2$"}
    for name, label in names.items():
        total = advantages(all_groups(GROUP), name, omega=0.5).sum(-1)[1:GROUP]
        rows.append([label, *(number(round(float(x), 9), 2) for x in total)])
    return tabular("l" + "r" * (GROUP - 1), ("$K$ of $G = 8$", *map(str, range(1, GROUP))), rows)


def conformance(results: Results) -> str:
    """Golden functions by repository, and how many of them a registered estimator equals."""
    equal = results.conformance
    by_repository: dict[tuple[str, str], list[str]] = {}
    for name, file in golden().items():
        by_repository.setdefault((file["repository"], file["commit"][:7]), []).append(name)
    rows = []
    for (repository, commit), names in sorted(by_repository.items()):
        same = sorted({next((e for e in equal[n] if e in n), equal[n][0]) for n in names if equal[n]})
        known = ", ".join(rf"\texttt{{{escape(name)}}}" for name in same)
        rows.append([rf"\texttt{{{escape(repository)}}}", rf"\texttt{{{commit}}}", str(len(names)), known])
    return tabular("lllL{6.3cm}", ("repository", "commit", "functions", "equal to our"), rows)


def claims(results: Results) -> str:
    """The ledger: claims that proofs judge."""
    rows = []
    for claim in results.claims:
        if not claim.experiment:
            rows.append([escape(claim.source), prose(claim.paper), escape(claim.verdict), prose(claim.statement)])
    caption = (
        r"Claims that can be settled by proof or by counting, with the verdict that the proofs yield and the statement "
        r"that holds. \cmd{symtheory prove} derives each again and names its theorems."
    )
    columns = "L{2.0cm}L{4.3cm}L{1.2cm}L{6.5cm}"
    return longtable(columns, ("where", "the paper says", "verdict", "what holds"), rows, caption, "tab:claims")


def theorem_list(results: Results) -> str:
    """Every theorem, and each family of theorems with its count."""
    rows = []
    for id, theorem in sorted(theorems().items()):
        if ":" not in id:
            row = results.theorems[id]
            method = prose(row["method"])
            rows.append([rf"\path{{{id}}}", escape(row["verdict"]), prose(theorem.statement), method])
    for family in sorted(families()):
        found = [row for id, row in results.theorems.items() if id.startswith(f"{family}:")]
        counts = {
            v: sum(row["verdict"] == v for row in found) for v in ("exact", "holds when", "fails", "not established")
        }
        words = ", ".join(f"{n} {v}" for v, n in counts.items() if n)
        statement = theorems()[f"{family}:grpo"].statement.replace("grpo", "each estimator")
        rows.append([rf"\path{{{family}}}", f"{len(found)}: {words}", prose(statement), "per estimator"])
    caption = (
        r"Theorems about the estimators' code, with the verdict of the derivation and how it is re-checked "
        r"(\cmd{symtheory prove}; counterexamples are printed there)."
    )
    columns = "L{3.4cm}L{1.3cm}L{5.8cm}L{3.5cm}"
    return longtable(columns, ("theorem", "verdict", "statement", "re-checked by"), rows, caption, "tab:theorems")


def farthest(results: Results) -> str:
    """The ten published rows that lie farthest from any set of samples."""
    rows = sorted((r for r in results.evidence["rows"] if r["distance"] is not None), key=lambda r: -r["distance"])
    lines = []
    for row in rows[:10]:
        grid = row["granularity"]
        cells = [row["table"][5:], escape(row["dataset"]), escape(row["method"]), number(100 * row["distance"])]
        lines.append([*cells, number(100 * grid["distance"]) if grid else "--"])
    return tabular("lllrr", ("Table", "benchmark", "method", "distance", "off grid"), lines)


TABLES: dict[str, Callable[[Results], str]] = {
    "verdicts": verdicts,
    "effects": effects,
    "settings": settings,
    "slopes": slopes,
    "estimators": estimators_at_a_glance,
    "released": released,
    "not-zero-sum": not_zero_sum,
    "conformance": conformance,
    "claims": claims,
    "theorems": theorem_list,
    "farthest": farthest,
}
