"""Mutants of the estimators and theorems, one changed number or operator each, and who notices.

    python tests/theory/mutants.py symtheory/estimators --sample 20

copies the package, changes one constant, operator, minimum or maximum at a time, and runs the golden tests and
`prove` on it, each in a fork of a process that holds jax. It prints the mutants that survive both, and the share caught
with its exact interval. A mutant that changes no number (a message, a law) is not made on purpose, but some are.
"""

import argparse
import ast
import importlib.util
import os
import random
import runpy
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import jax  # noqa: F401  # once, before the forks
from scipy.stats import binomtest

REPOSITORY = Path(__file__).parents[2]
SWAPS = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult}
CALLS = {"minimum": "maximum", "maximum": "minimum"}


def mutants(source: str) -> Iterator[tuple[int, str, str]]:
    """(line, what was changed, source) of every mutant of a module."""
    for i, node in enumerate(ast.walk(ast.parse(source))):
        tree = ast.parse(source)
        twin = list(ast.walk(tree))[i]
        match twin:
            case ast.Constant(value=bool() | str()):
                continue
            case ast.Constant(value=int() | float() as value):
                twin.value = value + 1
                what = f"{value} -> {value + 1}"
            case ast.BinOp(op=op) if type(op) in SWAPS:
                twin.op = SWAPS[type(op)]()
                what = f"{type(op).__name__} -> {type(twin.op).__name__}"
            case ast.Attribute(attr=name) if name in CALLS:
                twin.attr = CALLS[name]
                what = f"{name} -> {CALLS[name]}"
            case _:
                continue
        yield getattr(node, "lineno", 0), what, ast.unparse(tree)


def caught(root: Path, commands: list[list[str]]) -> str:
    """The first command that notices the mutant, or nothing; each runs in a fork of this process, which holds jax."""
    for command in commands:
        child = os.fork()
        if not child:
            os._exit(_exit_status(root, command))
        if os.waitpid(child, 0)[1]:
            return command[0]
    return ""


def _exit_status(root: Path, command: list[str]) -> int:
    """Run `python -m command` in this process, on the copy."""
    os.chdir(root)
    os.environ["XDG_CACHE_HOME"] = str(root / "cache")
    sys.path.insert(0, str(root))
    sys.argv = command
    sys.dont_write_bytecode = True  # two mutants of one size within a second would share compiled code
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    try:
        spec = importlib.util.find_spec("symtheory")
        if not (spec and spec.origin and Path(spec.origin).is_relative_to(root)):
            sys.exit("the copy is not what is imported")
        runpy.run_module(command[0], run_name="__main__", alter_sys=True)
    except SystemExit as end:
        return int(bool(end.code))
    except BaseException:  # a mutant may fail in any way
        return 1
    return 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sample", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--ids", nargs="*", default=[], help="rows of prove to ask for; all by default")
    options = parser.parse_args()
    files = [p for p in sorted((REPOSITORY / options.folder).glob("*.py")) if p.name not in ("__init__.py", "base.py")]
    made = [(p, *m) for p in files for m in mutants(p.read_text())]
    chosen = random.Random(options.seed).sample(made, min(options.sample, len(made)))
    quick = ["pytest", "-q", "-x", "tests/golden", "tests/test_estimators.py", "-p", "no:cacheprovider", "-n", "0"]
    proofs = ["symtheory", "prove", *options.ids, "--format", "json"]
    survivors = []
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch) / "copy"
        ignore = shutil.ignore_patterns(".git", ".venv", "__pycache__", "*.nc", "*.png")
        shutil.copytree(REPOSITORY, root, ignore=ignore, symlinks=True)
        if by := caught(root, [quick, proofs]):
            sys.exit(f"{by} fails on the unchanged code, so it tells nothing of mutants")
        for path, line, what, source in chosen:
            copy = root / path.relative_to(REPOSITORY)
            original = copy.read_text()
            copy.write_text(source)
            by = caught(root, [quick, proofs])
            copy.write_text(original)
            print(f"{path.name}:{line} {what}: {by or 'SURVIVES'}", flush=True)
            survivors += [] if by else [f"{path.name}:{line} {what}"]
    total = f"{len(chosen) - len(survivors)} of {len(chosen)} caught (of {len(made)} mutants)"
    interval = binomtest(len(chosen) - len(survivors), len(chosen)).proportion_ci(0.95)
    print(f"share caught, exact 95% interval: {interval.low:.3f} to {interval.high:.3f}")
    print(f"{total}; survivors: {survivors or 'none'}")


if __name__ == "__main__":
    main()
