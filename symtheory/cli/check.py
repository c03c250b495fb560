"""`symtheory check`: which laws an estimator obeys, and which published one it equals."""

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
    backend: Literal["numpy", "jax", "torch"] | None = None,
    time_limit: float = 10.0,
) -> int:
    """Test the laws of advantage symmetry on an estimator; where one fails, show the smallest group that breaks it.

    Exit status 1 when a required law fails, when nothing published is equal (with --conform), or when a registered
    estimator does not obey exactly the laws it declares (with --all).

    Args:
        target: a registered name, `pkg.mod:func`, or `path/to/file.py:func`; a function of rewards [prompts, G] on
            numpy, jax or torch arrays, or with verl's (token_level_rewards, response_mask, index, ...).
        all: check every registered estimator, and hold the result against what it declares.
        require: laws that must hold, by name.
        conform: name the published estimators that it equals: trl, verl, openrlhf, agrae-release, nemo, ..., or all.
        format: a table, or JSON.
        rewards: rewards that the function is defined for.
        backend: arrays that the function wants, where its code does not tell.
        time_limit: seconds that one call of the function may take.
    """
    import contextlib
    import sys

    from ..errors import InputError

    if all:
        return _check_all(format)
    if target is None:
        raise InputError("check needs a TARGET, for instance 'grpo' or 'my_trainer.py:advantages', or --all")
    wanted = [law for names in require for law in names.split(",")]
    with contextlib.redirect_stdout(sys.stderr):  # what the function prints must not mix with the report
        from ..testing import as_target, check_estimator, load
        from ..testing.check import law_names
        from ..testing.conform import conform as compare

        law_names(wanted)
        name = target if ":" in target else None
        subject = as_target(load(target), name=name, rewards=rewards, backend=backend, time_limit=time_limit)
        comparisons = compare(subject, conform) if conform else []
        report = check_estimator(subject)
        place = _place(subject)
    if format == "json":
        _print_json(report, place, comparisons)
    else:
        _print_tables(report, place, comparisons)
    failed = [law for law in wanted if report[law].holds is False]
    if failed and format == "table":
        print(f"required but broken: {', '.join(failed)}")
    return int(bool(failed or (comparisons and not any(c.equal for c in comparisons))))


def _place(subject):
    """Position on the symmetry plane at G = 8, or None where it has none."""
    from ..errors import InputError
    from ..metrics.plane import all_groups, position

    try:
        return position(subject(all_groups(8)))
    except InputError:
        return None


def as_dict(report, place=None, comparisons=()) -> dict:
    """A report as JSON-ready data; laws that say nothing about the estimator's rewards are left out."""
    invariants = [
        {
            "name": f.name,
            "holds": f.holds,
            "counterexample": None if f.counterexample is None else f.counterexample.tolist(),
        }
        for f in report.findings
        if f.holds is not None
    ]
    data = {"estimator": report.estimator, "invariants": invariants, "plane": place and place._asdict()}
    if comparisons:
        keys = ("name", "source", "equal", "agreeing", "compared", "distance", "rewards", "theirs", "ours")
        data["conform"] = [{key: getattr(c, key) for key in keys} for c in comparisons]
    return data


def _print_json(report, place, comparisons) -> None:
    import json

    print(json.dumps(as_dict(report, place, comparisons)))


def _print_tables(report, place, comparisons) -> None:
    from rich.console import Console
    from rich.table import Table

    from ..testing.check import as_test
    from ..testing.target import show

    table = Table("law", "holds", "smallest counterexample", title=report.estimator, title_justify="left")
    for f in report.findings:
        broken = "" if f.counterexample is None else show(f.counterexample)
        table.add_row(f.name, _mark(f.holds), broken, style="red" if f.holds is False else "")
    Console().print(table)
    for f in report.findings:
        if f.counterexample is not None:
            print(f"\n{as_test(report.estimator, f)}")
    if place is not None:
        print(
            f"\non the symmetry plane at G = 8: group asymmetry {place.asymmetry:.3f}, difficulty tilt {place.tilt:.3f}"
        )
    for c in [c for c in comparisons if c.equal]:
        print(f"\nequals {c.name} on all {c.compared} batches: {c.source}")
    if comparisons and not any(c.equal for c in comparisons):
        nearest = comparisons[0]
        print(
            f"\nequals none of {len(comparisons)} published estimators; the nearest is {nearest.name} "
            f"({nearest.source}), which parts first at rewards {nearest.rewards}: "
            f"it gives {nearest.theirs}, this gives {nearest.ours}"
        )


def _check_all(format: str) -> int:
    """The table of all registered estimators and laws; 1 where it is not what they declare."""
    import json

    from .. import estimators
    from ..testing import check_estimator

    reports = [check_estimator(name) for name in estimators.names("rewards")]
    wrong = {r.estimator: r.laws ^ estimators.get(r.estimator).laws for r in reports}
    if format == "json":
        print(json.dumps([as_dict(r) for r in reports]))
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
    print(f"{'':22}", *codes)
    for report in reports:
        print(f"{report.estimator:22}", *(f"{_mark(f.holds, short=True):2}" for f in report.findings))
    print("\n" + ", ".join(f"{code} {law}" for code, law in zip(codes, INVARIANTS, strict=True)))
    print("Y holds, . fails, - says nothing about the rewards that the estimator is defined for")


def _mark(holds: bool | None, short: bool = False) -> str:
    if holds is None:
        return "-"
    return ("Y" if holds else ".") if short else ("yes" if holds else "no")
