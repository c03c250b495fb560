"""Mutants of the estimators and theorems, one changed number or operator each, and who notices.

    python tests/theory/mutants.py symtheory/estimators --sample 20

copies the package, changes one constant, comparison or operator at a time, and runs the golden tests and `prove` on it.
It prints the mutants that survive both. A mutant that changes no number (a message, a law) is not made.
"""

import argparse
import ast
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

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
    """The first command that notices the mutant, or nothing."""
    environment = {**os.environ, "PYTHONPATH": str(root), "XDG_CACHE_HOME": str(root / "cache")}
    for command in commands:
        done = subprocess.run(
            [sys.executable, "-m", *command], cwd=root, env=environment, capture_output=True, check=False
        )
        if done.returncode:
            return command[0]
    return ""


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
    quick = ["pytest", "-q", "-x", "tests/golden", "tests/test_estimators.py", "-p", "no:cacheprovider"]
    proofs = ["symtheory", "prove", *options.ids, "--format", "json"]
    survivors = []
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch) / "copy"
        ignore = shutil.ignore_patterns(".git", ".venv", "__pycache__", "*.nc", "*.png")
        shutil.copytree(REPOSITORY, root, ignore=ignore, symlinks=True)
        for path, line, what, source in chosen:
            copy = root / path.relative_to(REPOSITORY)
            original = copy.read_text()
            copy.write_text(source)
            by = caught(root, [quick, proofs])
            copy.write_text(original)
            print(f"{path.name}:{line} {what}: {by or 'SURVIVES'}", flush=True)
            survivors += [] if by else [f"{path.name}:{line} {what}"]
    total = f"{len(chosen) - len(survivors)} of {len(chosen)} caught (of {len(made)} mutants)"
    print(f"{total}; survivors: {survivors or 'none'}")


if __name__ == "__main__":
    main()
