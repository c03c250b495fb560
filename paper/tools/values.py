"""Every number that the article may ask for, by key. A sentence that depends on a verdict asks for the verdict."""

import re
from collections import Counter
from collections.abc import Iterator
from fractions import Fraction

import numpy as np

from symtheory import estimators
from symtheory.claims import ours
from symtheory.claims.judge import LEVEL, REVERSED, SUPPORTED, UNTESTABLE, VERDICTS
from symtheory.claims.ledger import WORLDS, Claim, Finding
from symtheory.estimators import advantages
from symtheory.evidence import infer_success, published
from symtheory.evidence.findings import MAX_RUNS, questions_of
from symtheory.metrics.plane import all_groups
from symtheory.metrics.slope import expected_slope
from symtheory.studies.interference.cells import NOISY, world_of
from symtheory.testing.conform import frameworks, golden
from symtheory.theory.recheck.groups import LARGEST
from symtheory.theory.recheck.program import METHODS
from symtheory.theory.theorems import families
from symtheory.theory.theorems.difficulty import magnitude
from symtheory.theory.theorems.flow import mean_field_orbit, stability_index
from symtheory.theory.theorems.published import fisher_two_sided

from .results import Results
from .tex import escape, exact, number, prose, signed

START, CORRECT = (0.05, 0.25, 0.45, 0.15, 0.10), (1, 1, 0, 0, 0)
"""The policy whose orbit the article shows."""


def values(results: Results) -> dict[str, str]:
    """LaTeX text of each value by key; pure, and cheap but for the cached properties of `Results`."""
    parts = (
        _verdicts,
        _ledger,
        _theory,
        _orbit,
        _released,
        _evidence,
        _published,
        _conformance,
        _designs,
        _captions,
        _law,
    )
    return {key: text for part in parts for key, text in part(results)}


def measured(finding: Finding) -> str:
    """Effects, intervals and units of a finding's readings, as they stand after "The effect is"."""
    told = []
    for reading, cell in finding.cells.items():
        if cell.verdict == UNTESTABLE:
            told.append(f"not testable {_at(reading)} ({escape(cell.reason)})")
            continue
        p, digits = cell.shown, 2 if cell.margin.unit == "points" else 3
        mean, low, high = (signed(x, digits) for x in (p.mean, p.low, p.high))
        units = "" if cell.margin.unit == "share" else f"{unit(cell.margin.unit)} "
        told.append(f"{mean} [{low}, {high}] {units}{_at(reading)}")
    return " and ".join(told)


def unit(name: str) -> str:
    """Unit of an effect as LaTeX."""
    return {"R2": "$R^2$"}.get(name, name)


def _verdicts(results: Results) -> Iterator[tuple[str, str]]:
    for world in WORLDS:
        found = {c.id: f for c in results.empirical if (f := results.finding(c.id, world))}
        counts = Counter(f.verdict for f in found.values())
        yield f"{world}.judged", str(len(found))
        for verdict in VERDICTS:
            yield f"{world}.{_key(verdict)}", str(counts[verdict])
        yield f"{world}.seeds", _span([f.equal_step.seeds for f in found.values()])
        passed = [f.equal_step.shown for f in found.values() if f.equal_step.margin.unit == "points"]
        widths = [(p.high - p.low) / 2 for p in passed]
        yield f"{world}.resolution", number(float(np.median(widths))) if widths else "no run's"
    for claim in results.empirical:
        for world in WORLDS:
            finding = results.finding(claim.id, world)
            yield f"{world}.{claim.id}", _readings(finding) if finding else "open"
            yield f"{world}.{claim.id}.measured", measured(finding) if finding else "no run yet"
    yield "confidence", f"{100 * (1 - 2 * LEVEL):.0f}\\%"
    yield "claims.empirical", str(len(results.empirical))
    for claim in results.empirical:
        found = [(w, f) for w in WORLDS if (f := results.finding(claim.id, w))]
        yield f"statement.{claim.id}", prose(claim.statement.rstrip("."))
        yield f"margin.{claim.id}", f"{claim.margin:g} {claim.unit}"
        yield f"verdicts.{claim.id}", _phrase({w: f.verdict for w, f in found})
        matched = {w: f.matched.verdict for w, f in found if f.matched}
        yield f"matched.{claim.id}", _phrase(matched)
        numbers = [f"{measured(f)} in the {WORLD_NAMES[f.world]}" for _, f in found]
        yield f"measured.{claim.id}", "; ".join(numbers) or "no run yet"
    for verdict in VERDICTS:
        alike = [c for c in results.empirical if {f.verdict for f in results.findings.get(c.id, ())} == {verdict}]
        yield f"everywhere.{_key(verdict)}", _listed(alike)
    sides = {c.id: {f.verdict for f in results.findings.get(c.id, ())} for c in results.empirical}
    yield "everywhere.disputed", _listed([c for c in results.empirical if {SUPPORTED, REVERSED} <= sides[c.id]])
    turned = [
        c
        for c in results.empirical
        if any(
            f.matched and {f.verdict, f.matched.verdict} == {SUPPORTED, REVERSED}
            for f in results.findings.get(c.id, ())
        )
    ]
    yield "everywhere.turned", _listed(turned)


WORLD_NAMES = {"bandit": "bandit", "tree": "tree", "replay": "transformer"}


def verdict_macro(word: str) -> str:
    r"""A verdict as the macro that sets its colour; a dash stays.

    >>> verdict_macro("no effect"), verdict_macro("--")
    ('\\noeffect{}', '--')
    """
    return rf"\{word.replace(' ', '')}{{}}" if word in VERDICTS else word


def _readings(finding: Finding) -> str:
    """Verdicts of a finding's readings as a phrase."""
    words = [f"{verdict_macro(cell.verdict)} {_at(reading)}" for reading, cell in finding.cells.items()]
    return " and ".join(words)


def _at(reading: str) -> str:
    return reading if reading.startswith("over") else f"at {reading}"


def _phrase(verdicts: dict[str, str]) -> str:
    r"""Verdicts by world as the end of a sentence that begins "The claim is".

    >>> _phrase({"bandit": "inconclusive", "tree": "inconclusive", "replay": "supported"})
    '\\inconclusive{} in the bandit and the tree, \\supported{} in the transformer'
    >>> _phrase(dict.fromkeys(WORLDS, "supported"))
    '\\supported{} in all three worlds'
    """
    if not verdicts:
        return "open until a run judges it"
    if len(verdicts) == len(WORLDS) and len(set(verdicts.values())) == 1:
        return f"{verdict_macro(verdicts[WORLDS[0]])} in all three worlds"
    places = {
        verdict: [f"the {WORLD_NAMES[w]}" for w in verdicts if verdicts[w] == verdict] for verdict in verdicts.values()
    }
    return ", ".join(f"{verdict_macro(verdict)} in {' and '.join(names)}" for verdict, names in places.items())


def _span(numbers: list[int]) -> str:
    return " to ".join(map(str, sorted({min(numbers), max(numbers)}))) if numbers else "no"


def _listed(claims: list[Claim]) -> str:
    r"""Claims in one sentence, each as the paper says it."""
    return "; ".join(f"{prose(c.paper.rstrip('.'))} ({escape(c.source)})" for c in claims) or "none"


def _ledger(results: Results) -> Iterator[tuple[str, str]]:
    proved = [c for c in results.claims if not c.experiment]
    counts = Counter(c.verdict for c in proved)
    yield "claims", str(len(results.claims))
    yield "claims.proved", str(len(proved))
    for verdict in ("exact", "holds when", "fails", "not established"):
        yield f"claims.{verdict}", str(counts[verdict])
    yield "theorems", str(len(results.theorems))
    yield "theorems.rechecked", str(sum(row["rechecked"] for row in results.theorems.values()))
    for method in METHODS:
        own = sum(row["method"].startswith(method) for row in results.theorems.values())
        yield f"theorems.{_key(method)}", str(own)
    yield "recheck.largest", str(LARGEST)
    yield "theorems.families", str(len(families()))
    yield "estimators", str(len(estimators.names()))
    for id, row in results.theorems.items():
        for name, value in row["counterexample"].items():
            yield f"{id}.{_key(name)}", exact(value) if set(value) <= set("0123456789/(), +-*sqrt.") else escape(value)


LOW, HARD, EASY, END, EARLY = 0.1, 0.01, 0.95, 0.99, 0.3
"""Success probabilities at which weights are compared, and omega early in A-GRAE's training."""


COLLAPSES = (3, 10, 0, 10)
"""Published collapses and runs (D.5): Negative-Dominant, then with attenuation."""


def _key(name: str) -> str:
    """A name of a counterexample's part as a key: small letters, digits and hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def _theory(results: Results) -> Iterator[tuple[str, str]]:
    for name, P in (("low", LOW), ("hard", HARD), ("easy", EASY), ("end", END)):
        yield f"at.{name}", f"$P = {P:g}$"
    for size, name in ((8, "8"), (64, "64")):
        yield f"slope.grpo.{name}", number(float(expected_slope("grpo", size, LOW)))
    yield "slope.grpo.large", "$64$"
    yield "slope.grpo.limit", number((LOW * (1 - LOW)) ** -0.5)
    for name in ("negative_dominant", "positive_dominant"):
        for at, P in (("hard", HARD), ("easy", EASY)):
            ratio = expected_slope(name, 8, P) / expected_slope("grpo", 8, P)
            yield f"slope.{name}.{at}", number(float(ratio), 3)
    (row,) = published("table3", "MATH", "Base Model")
    prompts = infer_success(row.ks, row.values)
    for name in ("grpo", "easy_focused", "hard_focused"):
        P = prompts.success
        rise = 2 * expected_slope(name, 8, P) * P**2 * (1 - P) ** 2
        yield f"rise.{name}", number(float(prompts.weight @ rise), 3)
    yield "at.early", rf"$\omega = {EARLY:g}$"
    yield "agrae.index", number(stability_index("agrae", 8, EARLY))
    yield "agrae_released.index", number(stability_index("agrae_released", 8, EARLY), 1)
    yield "fisher", number(float(fisher_two_sided(*COLLAPSES)))
    yield "collapse.negative", "{} of {}".format(*COLLAPSES[:2])
    yield "collapse.attenuated", "{} of {}".format(*COLLAPSES[2:])


def _orbit(results: Results) -> Iterator[tuple[str, str]]:
    end = mean_field_orbit(START, CORRECT, 0.9)
    yield "orbit.start", "$(" + ", ".join(f"{x:.2f}" for x in START) + ")$"
    yield "orbit.until", number(0.9, 1)
    yield "orbit.end", "$(" + ", ".join(f"{x:.4f}" for x in end) + ")$"
    yield "orbit.entropy", number(float(-(end * np.log(end)).sum()), 4)


def released_ratio(correct: int, size: int = 8) -> float:
    """Released easy-focused factor over the paper's, sqrt(1 - p) / (1 - sqrt p), at p = correct / size."""
    p = correct / size
    return float(np.sqrt(1 - p) / (1 - np.sqrt(p)))


def _released(results: Results) -> Iterator[tuple[str, str]]:
    yield "released.ratio", number(released_ratio(7))
    for name, label in (("agrae", "paper"), ("agrae_released", "released")):
        for size in (8, 64):
            largest = np.abs(advantages(all_groups(size), name, omega=EARLY)).max()
            yield f"largest.{label}.{size}", number(float(largest), 1)
        curve = magnitude(name, 8, 0.75)[1:8]
        yield f"peak.{label}", f"${Fraction(int(curve.argmax()) + 1, 8)}$"


def _evidence(results: Results) -> Iterator[tuple[str, str]]:
    found = results.evidence
    far = found["farthest"]
    yield "evidence.values", str(sum(len(row.values) for row in published()))
    yield "evidence.tested", str(found["tested"])
    yield "evidence.beyond", str(found["beyond_rounding"])
    yield "evidence.rounding", number(100 * found["rounding"])
    yield "evidence.runs", str(MAX_RUNS)
    yield "evidence.farthest", escape(f"Table {far['table'][5:]}, {far['dataset']}, {far['method']}")
    yield "evidence.distance", number(100 * far["distance"])
    tight = [r["distance"] for r in found["rows"] if r["distance"] is not None and not r["within_rounding"]]
    yield "evidence.median", number(100 * float(np.median(tight)))
    grids = [r["granularity"] for r in found["rows"] if r["granularity"]]
    off = [g for g in grids if g["distance"] > found["rounding"] + 1e-9]
    yield "evidence.on-grid-tested", str(len(grids))
    yield "evidence.off-grid", str(len(off))
    yield "evidence.off-grid-fitting", str(sum(g["runs"] is not None for g in off))
    other = [s for s in found["identical"] if any("Positive" in row for row in s["rows"])]
    yield "evidence.identical", escape("; ".join(" = ".join(_named(r) for r in s["rows"]) for s in other))
    conflict = found["conflicting"][0]
    yield "evidence.conflicting", str(len(found["conflicting"]))
    per_table = [f"{100 * v:.1f} in Table {table[5:]}" for table, v in conflict["values"].items()]
    yield "evidence.conflict", ", ".join(per_table)


def _named(row: str) -> str:
    table, _, method = row.partition(" ")
    return f"{method} (Table {table[5:]})"


def _published(results: Results) -> Iterator[tuple[str, str]]:
    """Effects of the paper's own tables in points, to be read beside ours."""

    def mean(table: str, method: str, k: int, benchmarks: tuple[str, ...]) -> float:
        rows = [published(table, b, method)[0] for b in benchmarks]
        return 100 * float(np.mean([row.values[row.ks == k] for row in rows]))

    every = ("MATH", "AIME 2025", "AMC23")
    for key, table, first, second, k, benchmarks in (
        ("pass1", "table3", "GRPO", "Base Model", 1, every),
        ("below-base", "table3", "GRPO", "Base Model", 256, ("MATH", "AMC23")),
        ("negative", "table7", "Negative-Dominant", "GRPO", 256, every),
        ("positive", "table7", "Positive-Dominant", "GRPO", 256, every),
        ("agrae.1", "table3", "GRPO + A-GRAE", "GRPO", 1, every),
        ("agrae.256", "table3", "GRPO + A-GRAE", "GRPO", 256, every),
    ):
        yield f"published.{key}", signed(mean(table, first, k, benchmarks) - mean(table, second, k, benchmarks), 2)
    fall = {b: mean("table3", "GRPO", 256, (b,)) - mean("table3", "Base Model", 256, (b,)) for b in every}
    for benchmark, points in fall.items():
        yield f"published.below-base.{benchmark}", signed(points, 1)
    questions = questions_of("AMC23", {})
    assert questions is not None
    yield "published.below-base.questions", f"{-fall['AMC23'] * questions / 100:.0f} of {questions}"


def _designs(results: Results) -> Iterator[tuple[str, str]]:
    """Sizes of the experiments, from the code that runs them."""
    import jax

    from symtheory.studies.controlled import Study
    from symtheory.studies.controlled_tree import TreeStudy
    from symtheory.studies.transformer.presets import PRESETS
    from symtheory.transformer import model

    for world, study in (("bandit", Study()), ("tree", TreeStudy())):
        for name in ("prompts", "heldout", "trajectories", "features", "group_size"):
            yield f"design.{world}.{name}", str(getattr(study, name))
        yield f"design.{world}.steps", str(study.records * study.stride)
        yield f"design.{world}.methods", str(len(study.methods))
    training, *others = PRESETS["full"].training
    yield "design.replay.settings", str(1 + len(others))
    for name in ("steps", "prompts"):
        yield f"design.replay.{name}", str(getattr(training, name))
    yield "design.replay.estimators", str(len(training.estimators))
    yield "design.replay.layers", str(training.base.layers)
    weights = model.size(jax.eval_shape(lambda key: model.init(key, training.base.model_config()), jax.random.key(0)))
    yield "design.replay.parameters", f"{weights:,}".replace(",", r"\,")


def _conformance(results: Results) -> Iterator[tuple[str, str]]:
    equal = results.conformance
    yield "golden.functions", str(len(golden()))
    yield "golden.frameworks", str(len(frameworks()))
    yield "golden.repositories", str(len({g["repository"] for g in golden().values()}))
    yield "golden.equal", str(sum(bool(found) for found in equal.values()))
    yield "golden.other", str(sum(not found for found in equal.values()))


def _captions(results: Results) -> Iterator[tuple[str, str]]:
    for name, (caption, command) in results.captions.items():
        yield f"caption.{name}", prose(caption)
        yield f"command.{name}", escape(command)


def _law(results: Results) -> Iterator[tuple[str, str]]:
    worlds = [world_of(str(cell)) for cell in results.law.cell.values]
    for world in ("", *sorted(set(worlds))):
        at, found = f".{world}" if world else "", results.law_agreement[world]
        yield f"law.cells{at}", str(worlds.count(world) if world else len(worlds))
        for predictor in found.predictor.values:
            for key, reading in (("order", "order_signs"), ("level", "level_signs"), ("explained", "explained")):
                yield f"law.{_key(predictor)}.{key}{at}", _interval(found[reading].sel(predictor=predictor).values)
        for quantity in ("order", "level"):
            yield f"law.{quantity}.clear{at}", f"{found.attrs[f'{quantity}_clear']:.0f}"
            yield f"law.{quantity}.cells{at}", f"{found.attrs[f'{quantity}_cells']:.0f}"
            yield f"law.{quantity}.usual{at}", number(found.attrs[f"{quantity}_usual"])
    known = {target.id: target for target in ours.targets()}
    yield "law.target.signs", number(known["law_order"].bound)
    yield "law.target.size", number(known["law_size"].bound)
    yield "law.size.verdict", ours.outcome_of(known["law_size"], results.law).verdict
    without = {
        name.removeprefix("without "): found.explained.sel(predictor="mean field")
        for name, found in results.law_agreement.items()
        if name.startswith("without ")
    }
    worst = max(without, key=lambda cell: float(without[cell].values[0]))
    yield "law.worst.cell", escape(worst)
    yield "law.worst.without", _interval(without[worst].values)
    for world, found in results.noise_agreement.items():
        for key, predictor in (("explained", NOISY), ("without", "mean field")):
            yield f"law.noise.{key}.{world}", number(float(found.explained.sel(predictor=predictor, statistic="mean")))


def _interval(values: np.ndarray) -> str:
    """An estimate with its 95% interval."""
    mean, low, high = (number(float(x)) for x in values)
    return f"{mean} [{low}, {high}]"
