"""`symtheory check`: which laws an estimator obeys, what its formula is, and which known one it equals."""

from typing import Literal

from tyro.conf import Positional


def run(
    target: Positional[str | None] = None,
    /,
    *,
    all: bool = False,
    require: tuple[str, ...] = (),
    conform: str | None = None,
    format: Literal["table", "json"] = "table",
    rewards: Literal["real", "unit", "binary"] = "real",
    layout: Literal["matrix", "group", "lists", "flat", "ids", "tokens", "functions", "responses"] | None = None,
    backend: Literal["list", "numpy", "torch", "jax"] | None = None,
    dtype: Literal["float64", "float32", "bfloat16"] | None = None,
    isolate: bool = False,
    time_limit: float = 10.0,
) -> int:
    """Test the laws of advantage symmetry on an estimator; where one fails, show the smallest group that breaks it.

    A law holds, holds to rounding, holds to an epsilon, or fails, each with its size. The report also gives the
    parts of the formula (baseline, scale, epsilon, clip, factor) and the known estimators that equal it.

    Exit status 1 when a required law fails, when nothing published is equal (with --conform), or when a registered
    estimator does not obey exactly the laws it declares (with --all).

    Examples to paste:

        $ symtheory check grpo
        $ symtheory check my_trainer.py:my_advantage --require zero_sum

    Args:
        target: a registered name, `pkg.mod:func`, `path/to/file.py:func` or `path/to/file.py:Class.method`, taking one
            group, flat rewards with a group size or ids, a matrix, token-level rewards, objects with `.reward`, ...
        all: check every registered estimator, and compare the result with the laws that it declares.
        require: laws that must hold, by name.
        conform: ask that it equals a published estimator: of trl, verl, openrlhf, agrae-release, nemo, ..., or all.
        format: a table, or JSON.
        rewards: rewards that the function is defined for.
        layout: how the function takes rewards, if names and behaviour do not show it: a matrix, one group, ...
        backend: library of the arrays that the function takes, if its code does not show it.
        dtype: judge in this precision only; by default torch and jax code is judged in float32 and in float64.
        isolate: cut the function and what it uses out of its file, without importing the file.
        time_limit: seconds that one call of the function may take.
    """
    import contextlib
    import sys

    from rich.console import Console

    from ..errors import InputError

    if all:
        return _check_all(format)
    if target is None:
        raise InputError("check needs a TARGET, for instance 'grpo' or 'my_trainer.py:advantages', or --all")
    wanted = [law for names in require for law in names.split(",")]
    with contextlib.redirect_stdout(sys.stderr):  # what the function prints must not mix with the report
        from ..testing import as_target, check_estimator, load
        from ..testing.check import law_names
        from ..testing.conform import checked_framework, compare
        from ..testing.fit import fit

        law_names(wanted)
        framework = checked_framework(conform) if conform else "all"
        _small_arrays()
        with _adapter_on_refusal(format):
            subject = as_target(
                load(target, isolate=isolate),
                name=target if ":" in target else None,
                rewards=rewards,
                layout=layout,
                backend=backend,
                dtype=dtype,
                time_limit=time_limit,
            )
        subject.options |= {"isolate": isolate or None}
        with Console(stderr=True).status(f"testing {target}"):
            examples = 20 if subject.backend == "jax" else 60  # jax compiles each shape
            report = check_estimator(subject, examples=examples)
            formula, known = fit(subject), compare(subject)
            place = _place(subject)
    asked = [c for c in known if framework == "all" or c.name.split("_")[0] == framework]
    if format == "json":
        _print_json(report, place, formula, asked)
    else:
        _print_report(report, place, formula, asked)
    failed = [law for law in wanted if report[law].holds is False]
    if failed and format == "table":
        print(f"required but broken: {', '.join(failed)}")
    return int(bool(failed or (conform and not any(c.equal for c in asked))))


def _small_arrays() -> None:
    """Groups are small: threads would wait for one another, and optimising takes longer than what it saves."""
    import os

    os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
    os.environ.setdefault("OMP_NUM_THREADS", "1")


def _adapter_on_refusal(format: str):
    """Print code to fill in where a function asks for what check cannot know; the sentence follows as for any error."""
    import contextlib
    import sys

    from ..testing.calling.refuse import Refusal

    @contextlib.contextmanager
    def block():
        try:
            yield
        except Refusal as refusal:
            if format == "table":
                print(refusal.adapter, file=sys.__stdout__)
            raise

    return block()


def _place(subject):
    """Position on the symmetry plane at G = 8, or None where it has none."""
    from ..errors import InputError
    from ..metrics.plane import all_groups, position

    try:
        return position(subject(all_groups(8)))
    except InputError:
        return None


def as_dict(report, place=None, formula=None, known=()) -> dict:
    """A report as JSON-ready data; laws that say nothing about the estimator's rewards are left out."""
    import dataclasses

    return {
        "estimator": report.estimator,
        "layout": report.layout,
        "called": report.how,
        "backend": report.backend,
        "dtype": report.dtype,
        "notes": list(report.notes),
        "invariants": [_finding(f) for f in report.findings if f.holds is not None],
        "bfloat16": [_finding(f) for f in report.bfloat16 if f.holds is not None],
        "fit": formula and {**dataclasses.asdict(formula), "formula": formula.describe()},
        "conformance": [dataclasses.asdict(c) for c in known],
        "plane": place and place._asdict(),
    }


def _finding(f) -> dict:
    sides = [
        {
            "rewards": side.rewards.tolist(),
            "order": None if side.order is None else side.order.tolist(),
            "advantages": side.advantages.tolist(),
            "raised": side.error or None,
        }
        for side in f.sides
    ]
    return {
        "name": f.name,
        "holds": f.holds,
        "verdict": f.verdict,
        "size": f.size,
        "dtype": f.dtype or None,
        "counterexample": None if f.counterexample is None else f.counterexample.tolist(),
        "advantages": None if f.advantages is None else f.advantages.tolist(),
        "sides": sides,
    }


def _print_json(report, place, formula, known) -> None:
    import json

    print(json.dumps(_plain(as_dict(report, place, formula, known))))


def _plain(x):
    """JSON has no infinities and no nan: they become text."""
    import math

    if isinstance(x, float) and not math.isfinite(x):
        return str(x)
    if isinstance(x, dict):
        return {k: _plain(v) for k, v in x.items()}
    return [_plain(v) for v in x] if isinstance(x, list | tuple) else x


def _print_report(report, place, formula, known) -> None:
    from rich.console import Console
    from rich.table import Table

    from ..testing.evidence import as_test, proven
    from ..testing.target import show

    print(f"layout: {report.how}; backend: {report.backend}; dtype: {report.dtype}")
    for note in report.notes:
        print(f"note: {note}")
    _print_formula(formula)
    _print_names(known)
    table = Table("law", "verdict (size)", "smallest counterexample", title=report.estimator, title_justify="left")
    for f in report.findings:
        broken = "" if f.counterexample is None else show(f.counterexample)
        table.add_row(f.name, f.describe(), broken, style="red" if f.holds is False else "")
    Console().print(table)
    for f in report.findings:
        if f.counterexample is not None:
            test = as_test(report, f)
            print(f"\n{test}" if proven(test) else f"\n# This test passes when it is run by itself:\n{test}")
    if place is not None:
        print(
            f"\non the symmetry plane at G = 8: group asymmetry {place.asymmetry:.3f}, difficulty tilt {place.tilt:.3f}"
        )


def _print_formula(formula) -> None:
    if formula is not None and formula.fits:
        print(f"fit: {formula.describe()}")
    else:
        rest = "" if formula is None else f"; the nearest leaves {formula.residual:.2g}"
        print(f"fit: no baseline, scale, epsilon and clip give it{rest}")


def _print_names(known) -> None:
    """What it equals, or what it is a multiple of or nearest to."""
    from ..testing.target import show

    equal = [c for c in known if c.equal]
    for c in equal:
        print(f"equals {c.name}: {c.source}")
    if equal or not known:
        return
    nearest = known[0]
    multiples = ", ".join(c.describe() for c in known if c.distance < 1e-6)
    if multiples:
        print(f"equals none of {len(known)} known estimators, but is a multiple: {multiples}")
    else:
        print(
            f"equals none of {len(known)} known estimators; the nearest, apart by {nearest.distance:.2g}, is "
            f"{nearest.describe()} ({nearest.source})"
        )
    if nearest.rewards is not None:
        theirs, ours = show(nearest.theirs), show(nearest.ours)
        print(f"  at rewards {show(nearest.rewards)} {nearest.name} gives {theirs}, this {ours}")


def _check_all(format: str) -> int:
    """The table of all registered estimators and laws; 1 where it is not what they declare."""
    import json

    from .. import estimators
    from ..testing import check_estimator

    reports = [check_estimator(name) for name in estimators.names("rewards")]
    wrong = {r.estimator: r.laws ^ estimators.get(r.estimator).laws for r in reports}
    if format == "json":
        print(json.dumps([_plain(as_dict(r)) for r in reports]))
    else:
        _print_all(reports)
    for name, laws in wrong.items():
        for law in sorted(laws):
            found = "declares but does not obey" if law in estimators.get(name).laws else "obeys but does not declare"
            print(f"{name} {found} {law}")
    return int(any(wrong.values()))


def _print_all(reports) -> None:
    from ..testing.invariants import INVARIANTS

    codes = ("fi", "dz", "zs", "gs", "ss", "fa", "sh", "ps", "pr", "pp")
    codes += ("bi", "du", "sc", "mo", "l1", "l2", "lc", "sm", "dt")
    marks = {None: "-", "holds": "Y", "holds to rounding": "Y", "holds to epsilon": "e", "fails": "."}
    print(f"{'':22}", *codes)
    for report in reports:
        print(f"{report.estimator:22}", *(f"{marks[f.verdict]:2}" for f in report.findings))
    print("\n" + ", ".join(f"{code} {law}" for code, law in zip(codes, INVARIANTS, strict=True)))
    print(
        "Y holds, e holds to its epsilon, . fails, - says nothing about the rewards that the estimator is defined for"
    )
