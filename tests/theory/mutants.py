"""Mutants of estimators, metrics and theorems, one changed number or operator each, and who notices them.

    python tests/theory/mutants.py symtheory/estimators                     # goes on where mutants.csv ends
    python tests/theory/mutants.py symtheory/theory/theorems --sample 60
    python tests/theory/mutants.py --again                                  # asks about survivors again
    python tests/theory/mutants.py --report

changes one constant, operator, minimum or maximum at a time and asks the quick tests that reach the changed function or
one that calls it, short ones first, and the rows of `prove` that name the estimator or theorem. Which test reaches what
is found by running each once, and kept in the user's cache while its file stays as it is; all of them take half an
hour, `--tests tests/theory tests/metrics` asks these only. One process collects the tests; for each mutant a fork of it
puts the changed code into the live functions. A mutant is left out only by a rule of `left_out`, or by hand in
equivalent.csv, with the reason. The published theorems must be of the code as it is. No file of the package changes.
"""

import argparse
import ast
import contextlib
import csv
import functools
import hashlib
import importlib
import io
import json
import os
import random
import re
import resource
import sys
import tempfile
import time
import types
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields, is_dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from scipy.stats import binomtest

from symtheory import paths

REPOSITORY = Path(__file__).parents[2]
FOUND = Path(__file__).with_suffix(".csv")
EQUIVALENT = FOUND.with_name("equivalent.csv")
"""Mutants that change no number, found by reading, and why; the columns are those of mutants.csv."""
REACH = paths.cache() / "mutants.json"
HEADER = ("module", "part", "code", "place", "change", "noticed by")
NOBODY = "nobody"
LIMIT = 600
"""CPU seconds of one mutant; one that takes longer counts as noticed by nobody."""

SWAPS = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult}
CALLS = {"minimum": "maximum", "maximum": "minimum"}
ESTIMATORS, METRICS, THEOREMS = "symtheory/estimators", "symtheory/metrics", "symtheory/theory/theorems"
FOLDERS = (ESTIMATORS, METRICS, THEOREMS)
LONG = 0.5
"""Seconds from which a test is asked after the rows of `prove`."""
FAMILIES = ("zero_sum", "sure_improvement", "population_objective")
SOME = ("grpo", "agrae", "agrae_released", "reinforce_pp", "prpo", "two_stage", "opo")
"""Estimators that use every statistic of a group and batch, for code that serves all of them."""


@dataclass(frozen=True)
class Mutant:
    """A module of which one expression is changed."""

    module: str
    part: str
    """What the top-level statement that holds the change defines."""
    code: str
    """Hash of the unchanged statement without its texts: a change of words makes no new mutants."""
    place: int
    """Number of the changed node in the statement."""
    change: str
    line: int
    source: str

    @property
    def folder(self) -> str:
        return str(Path(self.module).parent)

    @property
    def key(self) -> tuple[str, ...]:
        return self.module, self.part, self.code, str(self.place), self.change


def mutants(module: str) -> Iterator[Mutant]:
    """Every mutant of a module that no rule leaves out."""
    text = (REPOSITORY / module).read_text()
    for top, statement in enumerate(ast.parse(text).body):
        ancestors, code = dict(_ancestors(statement, ())), _code(statement)
        for i, node in enumerate(ast.walk(statement)):
            tree = ast.parse(text)
            twin = list(ast.walk(tree.body[top]))[i]
            before = ast.unparse(twin)
            if left_out(module, node, ancestors[node]) or not change(twin):
                continue
            what = f"{before} -> {ast.unparse(twin)}"
            yield Mutant(module, name_of(statement), code, i, what, node.lineno, ast.unparse(tree))


def _code(statement: ast.stmt) -> str:
    """Hash of a statement with every text in it, docstrings too, left empty."""
    blank = ast.parse(ast.unparse(statement))
    for node in ast.walk(blank):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            node.value = ""
    return hashlib.sha256(ast.unparse(blank).encode()).hexdigest()[:12]


def change(node: Any) -> bool:
    """Change a node in its place; whether there was something to change."""
    match node:
        case ast.Constant(value=bool() | str()):
            return False
        case ast.Constant(value=int() | float() as value):
            node.value = value + 1
        case ast.BinOp(op=op) if type(op) in SWAPS:
            node.op = SWAPS[type(op)]()
        case ast.Attribute(attr=name) if name in CALLS:
            node.attr = CALLS[name]
        case _:
            return False
    return True


def left_out(module: str, node: ast.AST, ancestors: tuple[ast.AST, ...]) -> str:
    """Why a change of this node is no mutant: it changes no number of an estimator, metric or theorem; or nothing."""
    if module.endswith("estimators/loading.py"):
        return "finds and imports users' files; holds no number of an estimator"
    if any(isinstance(a, ast.Raise) for a in ancestors):
        return "text of an error"
    match node:
        case ast.BinOp(ast.Constant(value=0), ast.Mult(), ast.Name(id="size" | "rollouts")):
            return "0 / n is 0, as 0 * n is, where n counts rollouts, of which there are some"
        case ast.BinOp(op=ast.Add(), right=ast.BinOp(ast.Constant(value=0), ast.Mult())):
            return "x - 0 y is x, as x + 0 y is"
        case ast.BinOp(left=ast.Constant(value=str()) | ast.JoinedStr()) | ast.BinOp(right=ast.Constant(value=str())):
            return "joins texts"
    return ""


def _ancestors(node: ast.AST, above: tuple) -> Iterator[tuple[ast.AST, tuple]]:
    yield node, above
    for child in ast.iter_child_nodes(node):
        yield from _ancestors(child, (*above, node))


def name_of(statement: ast.stmt) -> str:
    """What a top-level statement defines: a function, a class, a constant, or an estimator (`register:NAME`)."""
    match statement:
        case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
            return name
        case ast.Expr(ast.Call(ast.Name(id="register"), [ast.Constant(value=name), *_])):
            return f"register:{name}"
        case ast.Assign([ast.Name(id=name), *_]) | ast.AnnAssign(ast.Name(id=name)):
            return name
    return ""


_uses: dict[str, set[str]] = {}


def users(part: str) -> list[str]:
    """A part of the package and what calls it, directly or not: functions, and estimators as `register:NAME`."""
    for path in [] if _uses else [p for folder in FOLDERS for p in sorted((REPOSITORY / folder).glob("*.py"))]:
        for statement in ast.parse(path.read_text()).body:
            names = {n.id for n in ast.walk(statement) if isinstance(n, ast.Name)}
            _uses.setdefault(name_of(statement), set()).update(names)
    found = edge = [part]
    while edge:
        edge = [user for user, used in _uses.items() if user not in found and used & set(edge)]
        found = found + edge
    return found


def estimators_of(mutant: Mutant) -> list[str]:
    """The registered estimators that a mutant changes, at most three of them."""
    names = [user.removeprefix("register:") for user in users(mutant.part) if user.startswith("register:")]
    return [*SOME] if not names or mutant.module.endswith(("/group.py", "/base.py")) else names[:3]


def rows_of(mutant: Mutant) -> list[str]:
    """Rows of `prove` that speak of the theorem or of the estimators that a mutant changes."""
    from symtheory.theory.theorems import families, theorems

    known = theorems()
    if mutant.folder == THEOREMS:
        near = users(mutant.part)
        each = [f"{family}:{name}" for family in families() if family in near for name in SOME[:3]]
        return [id for id in near if id in known][:8] + each
    if mutant.folder == METRICS:
        return ["population_objective:grpo"]
    if mutant.module.endswith("/base.py"):
        return ["one_function_in_every_form", "zero_sum:grpo"]
    names = estimators_of(mutant)
    spoken = re.compile(r"`(" + "|".join(names) + r")\b")
    named = [id for id, t in known.items() if ":" not in id and spoken.search(t.statement)]
    each = [id for name in names for family in FAMILIES if (id := f"{family}:{name}") in known]
    return [*each, *named[:4], "one_function_in_every_form"]


def tests_of(mutant: Mutant, items: list, reach: dict[str, tuple[float, list[str]]]) -> tuple[list, list]:
    """The collected tests that can see a mutant, short and long ones; those that run the changed function first."""
    near = set(users(mutant.part))
    names = estimators_of(mutant) if mutant.folder == ESTIMATORS else []
    named = re.compile(rf"\[(.*[-:])?({'|'.join(map(re.escape, names)) or '-'})(-.*)?\]")
    found = []
    for item in items:
        seconds, parts = reach.get(item.nodeid, (0.0, []))
        mine = named.search(item.nodeid)
        if mine or near & set(parts):
            found.append((not mine, mutant.part not in parts, seconds, item))
    found.sort(key=lambda f: f[:3])
    return [f[3] for f in found if f[2] < LONG], [f[3] for f in found if f[2] >= LONG]


def reached(items: list, run: Callable[[list], str]) -> dict[str, tuple[float, list[str]]]:
    """Seconds and parts of the package that each test runs, by its name; only tests of new or changed files run."""
    kept = json.loads(REACH.read_text()) if REACH.exists() else {}
    files: dict[Path, list] = {}
    for item in items:
        files.setdefault(item.path, []).append(item)
    found = {}
    for path, mine in files.items():
        key = hashlib.sha256(path.read_bytes()).hexdigest()
        if key not in kept or any(item.nodeid not in kept[key] for item in mine):
            with tempfile.NamedTemporaryFile("r+") as answer:
                in_fork(lambda: _trace(mine, run, answer.name))  # noqa: B023  # called at once
                kept[key] = kept.get(key, {}) | json.loads(answer.read() or "{}")
            REACH.parent.mkdir(parents=True, exist_ok=True)
            REACH.write_text(json.dumps(kept))
        found |= kept[key]
    return found


def _trace(items: list, run: Callable[[list], str], answer: str) -> str:
    """Write seconds and reached parts of each test; one that fails on the unchanged code reaches nothing."""
    found = {}
    for item in items:
        codes: set[types.CodeType] = set()
        start = time.perf_counter()
        sys.setprofile(lambda frame, event, _: codes.add(frame.f_code) if event == "call" else None)  # noqa: B023
        try:
            failed = run([item])
        finally:
            sys.setprofile(None)
        parts = set() if failed else {_part(c) for c in codes}
        found[item.nodeid] = time.perf_counter() - start, sorted(parts - {""})
    Path(answer).write_text(json.dumps(found))
    return ""


def _part(code: types.CodeType) -> str:
    """The part of the package that a code object belongs to, or nothing."""
    return _parts(code.co_filename).get(code.co_firstlineno, "")


@functools.cache
def _parts(file: str) -> dict[int, str]:
    path = Path(file)
    if not path.is_relative_to(REPOSITORY) or path.parent.relative_to(REPOSITORY).as_posix() not in FOLDERS:
        return {}
    found = {}
    for statement in ast.parse(path.read_text()).body:
        found |= dict.fromkeys(range(_first_line(statement), (statement.end_lineno or 0) + 1), name_of(statement))
    return found


def _first_line(statement: ast.stmt) -> int:
    return min([statement.lineno, *(d.lineno for d in getattr(statement, "decorator_list", ()))])


class Loop:
    """A pytest plugin that runs the tests once for each mutant, each time in a fork, and then rows of `prove`."""

    def __init__(self, chosen: list[Mutant]) -> None:
        self.chosen, self.failed, self.complaint = chosen, "", ""

    def pytest_runtestloop(self, session) -> bool:
        users("")  # once, before the forks
        reach = reached(session.items, self.run)
        for mutant in self.chosen:
            by = in_fork(lambda: self.noticed(mutant, session.items, reach))  # noqa: B023  # called at once
            write(mutant.key, by)
            print(f"\n{mutant.module}:{mutant.line} {mutant.change}: {by}", file=sys.stderr, flush=True)
        self.complaint = in_fork(lambda: self.unsound(session.items))
        return True

    def pytest_runtest_logreport(self, report) -> None:
        if report.failed:
            self.failed = self.failed or report.nodeid

    def noticed(self, mutant: Mutant, items: list, reach: dict[str, tuple[float, list[str]]]) -> str:
        """Who notices a mutant first."""
        rows, (short, long) = rows_of(mutant), tests_of(mutant, items, reach)
        put_in_place(mutant)
        return self.run(short) or prove(rows) or self.run(long) or NOBODY

    def run(self, items: list) -> str:
        """The first test that fails."""
        self.failed = ""
        for item, following in zip(items, [*items[1:], None][: len(items)], strict=True):
            item.ihook.pytest_runtest_protocol(item=item, nextitem=following)
            if self.failed:
                break
        return self.failed

    def unsound(self, items: list) -> str:
        """A test or row among those that noticed mutants that fails on the unchanged code too."""
        found = set(read(FOUND).values())
        known = {i.nodeid: i for i in items}
        return self.run([known[id] for id in known if id in found]) or prove(
            row[6:] for row in found if row[:6] == "prove "
        )


def prove(ids: Iterable[str]) -> str:
    """The first row that `symtheory prove` fails, or that is not the published one (which fails without ids)."""
    from symtheory.cli.prove import run

    if not (ids := tuple(ids)):
        return ""
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        run(ids, format="json", fresh=True)
    saved = {row["id"]: row for row in json.loads((REPOSITORY / "paper/results/theorems.json").read_text())}
    for row in json.loads(printed.getvalue()):
        if not row["rechecked"] or any(
            row[k] != saved[row["id"]][k] for k in ("verdict", "statement", "counterexample")
        ):
            return f"prove {row['id']}"
    return ""


def put_in_place(mutant: Mutant) -> None:
    """Give the live functions, constants and registered things of a module the changed code."""
    from symtheory.estimators.base import _registry
    from symtheory.theory.proofs import FAMILIES, THEOREMS

    old = importlib.import_module(mutant.module.removesuffix(".py").replace("/", "."))
    defaults = {f: dict(f.__kwdefaults__ or {}) for f in vars(old).values() if isinstance(f, types.FunctionType)}
    kept = [(registry, dict(registry)) for registry in (_registry, THEOREMS, FAMILIES)]
    _registry.clear()  # a second registration of a name is an error
    new = {k: v for k, v in vars(old).items() if k.startswith("__")}
    exec(compile(mutant.source, old.__file__ or "", "exec"), new)
    for registry, before in kept:
        made = dict(registry)
        registry.clear()
        registry.update(before)
        for name, thing in made.items():
            if is_dataclass(thing) and name in before:
                for field in fields(thing):
                    if field.name not in ("links", "derive"):
                        object.__setattr__(before[name], field.name, getattr(thing, field.name))
    for name, thing in new.items():
        if not name.startswith("__") and name in vars(old):
            _replace(old, name, thing)
    for estimator in _registry.values():  # of other modules, whose links have new defaults
        for link in (link for link in estimator.links if link in defaults):
            was = defaults[link]
            new = {
                k: v for k, v in (link.__kwdefaults__ or {}).items() if v != was[k] and estimator.params[k] == was[k]
            }
            object.__setattr__(estimator, "params", {**estimator.params, **new})
    for module in [m for n, m in sys.modules.items() if n.startswith("symtheory")]:
        for thing in list(vars(module).values()):
            if isinstance(thing, functools._lru_cache_wrapper):
                thing.cache_clear()


def _replace(holder: Any, name: str, new: Any) -> None:
    """Put `new` in the place of an attribute: functions and classes keep their identity, other modules see it too."""
    old = vars(holder)[name]
    if isinstance(old, property):
        old, new = old.fget, new.fget
    plain, changed = getattr(old, "__wrapped__", old), getattr(new, "__wrapped__", new)
    if isinstance(plain, types.FunctionType) and isinstance(changed, types.FunctionType):
        if plain.__module__ == changed.__module__:
            plain.__code__, plain.__defaults__ = changed.__code__, changed.__defaults__
            plain.__kwdefaults__ = changed.__kwdefaults__
    elif isinstance(old, type) and isinstance(new, type) and old is not new:
        for attribute in vars(new):
            thing = vars(new)[attribute]
            if attribute in vars(old) and (callable(thing) or isinstance(thing, property)):
                _replace(old, attribute, thing)
    elif is_dataclass(old) and hasattr(old, "links"):  # an estimator that is not registered
        object.__setattr__(old, "params", new.params)
    elif isinstance(old, dict):
        if name not in ("_registry", "THEOREMS", "FAMILIES"):
            old.clear()
            old.update(new)
    elif isinstance(old, int | float | Fraction | str | tuple | list) and old != new:
        for module in [m for n, m in sys.modules.items() if n.startswith(("symtheory", "tests", "test_"))]:
            if vars(module).get(name) is old:
                setattr(module, name, new)


def in_fork(task: Callable[[], str]) -> str:
    """What a task says in a fork of this process."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.write(writer, _quietly(task).encode()[:400])
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as answer:
        said = answer.read()
    return f"{NOBODY}, killed" if os.waitpid(child, 0)[1] else said


def _quietly(task: Callable[[], str]) -> str:
    resource.setrlimit(resource.RLIMIT_CPU, (LIMIT, LIMIT))
    os.cpu_count = lambda: 1  # `prove` stays in this process
    nowhere = os.open(os.devnull, os.O_WRONLY)
    sys.stdout.flush()
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    try:
        return task()
    except BaseException as error:  # a mutant may fail in any way
        return f"{type(error).__name__}: {' '.join(str(error).split())}"


def read(file: Path) -> dict[tuple[str, ...], str]:
    """Who noticed which mutant, or why none can, by its key."""
    if not file.exists():
        return {}
    with file.open(newline="") as lines:
        return {tuple(row[:-1]): row[-1] for row in list(csv.reader(lines))[1:]}


def write(key: tuple[str, ...], by: str) -> None:
    """Append a line at once, so that a run that is cut off has kept what it found."""
    new = not FOUND.exists()
    with FOUND.open("a", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([*([HEADER] if new else []), (*key, by)])


def tidy(made: Iterable[Mutant]) -> None:
    """Keep one line for each mutant of the code as it is, in order."""
    found = read(FOUND)
    FOUND.unlink(missing_ok=True)
    for mutant in made:
        if mutant.key in found:
            write(mutant.key, found[mutant.key])


def modules(places: Iterable[str]) -> list[str]:
    """Modules of folders and files, relative to the repository."""
    paths = [p for place in places for p in (sorted(Path(place).glob("*.py")) or [Path(place)])]
    return [p.as_posix() for p in paths if p.name != "__init__.py"]


def report(made: list[Mutant]) -> None:
    """The share caught in each module and folder with its exact interval, the survivors, and the equivalents."""
    found, equivalent = read(FOUND), read(EQUIVALENT)
    whole = [m for m in made if m.key not in equivalent]
    for place in dict.fromkeys([*(m.module for m in whole), *(m.folder for m in whole)]):
        mine = [m for m in whole if place in (m.module, m.folder)]
        asked = [m for m in mine if m.key in found]
        survivors = [m for m in asked if found[m.key].startswith(NOBODY)]
        caught, by_prove = len(asked) - len(survivors), sum(found[m.key].startswith("prove") for m in asked)
        print(f"{place}: {len(asked)} of {len(mine)} asked, {caught} caught ({by_prove} by `prove`)", end="")
        if asked:
            share = binomtest(caught, len(asked)).proportion_ci(0.95)
            print(f", {caught / len(asked):.1%}, exact 95% interval {share.low:.1%} to {share.high:.1%}", end="")
        print()
        for m in survivors if place.endswith(".py") else []:
            print(f"  survives: {m.part}, line {m.line}, place {m.place}: {m.change} ({found[m.key]})")
    for m in made:
        if m.key in equivalent:
            print(f"equivalent: {m.module}:{m.line} {m.change}: {equivalent[m.key]}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("places", nargs="*", default=[*FOLDERS], help="folders and modules")
    parser.add_argument("--tests", nargs="+", default=["tests", "symtheory"], help="where the tests are that are asked")
    parser.add_argument("--sample", type=int, help="so many mutants, drawn with --seed")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--again", action="store_true", help="ask again about mutants that survived")
    parser.add_argument("--report", action="store_true", help="ask nothing, print what was found")
    options = parser.parse_args()
    os.chdir(REPOSITORY)
    made = [m for module in modules(options.places) for m in mutants(module)]
    if options.report:
        return report(made)
    found, equivalent = read(FOUND), read(EQUIVALENT)
    chosen = random.Random(options.seed).sample(made, min(options.sample, len(made))) if options.sample else made
    survived = [m for m in chosen if found.get(m.key, "").startswith(NOBODY)]
    chosen = survived if options.again else [m for m in chosen if m.key not in found]
    loop = Loop([m for m in chosen if m.key not in equivalent])
    pytest.main(["-q", "-p", "no:cacheprovider", "-p", "no:xdist", *options.tests], plugins=[loop])
    if loop.complaint:
        sys.exit(f"{loop.complaint} fails on the unchanged code, so it tells nothing of mutants")
    tidy([m for module in modules(FOLDERS) for m in mutants(module)])
    report(made)


if __name__ == "__main__":
    main()
