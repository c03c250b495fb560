"""`symtheory bench`: how fast this package is on this machine, compared with alternatives."""

from pathlib import Path
from typing import Annotated, Any, Literal

from tyro.conf import Positional


def run(
    names: Annotated[tuple[str, ...], Positional] = (),
    format: Literal["table", "json"] = "table",
    rounds: int = 9,
    out: Path | None = None,
    against: Path | None = None,
) -> int | None:
    """Measure the package against NumPy, numba, C, mctx and PyTorch on this machine, as ratios.

    The programs of a benchmark take turns in one process, so that other load on the machine affects all alike. A ratio
    is the median over rounds, printed with its range. Needs a checkout of the repository, which has the benchmarks.

    Examples to paste:

        $ symtheory bench bandit tree

    Args:
        names: Benchmarks to run, for instance: symtheory bench bandit tree. All by default.
        format: table, or json: {"rows": [{"name", "ratio", "low", "high", "against", "unit", ...}], "machine": ...}.
        rounds: Rounds of each benchmark; the slow ones take fewer.
        out: Also write the JSON to this file.
        against: JSON of an earlier run, as in benchmarks/history, to compare with: exit status 1 if, on the same
            processor, a ratio by CPU time (else by wall time) is worse and its range does not touch the earlier one.
    """
    import json
    import sys

    from ..errors import InputError, no_such
    from ..storage import store

    root = Path(__file__).parents[2]
    available = benchmarks_in(root / "benchmarks")
    if not available:
        raise InputError("bench needs a checkout of the repository, since the benchmarks are not installed with it")
    for name in names:
        if name not in available:
            raise no_such("benchmark", name, available)
    before = read(against) if against else None
    if rounds < 2:
        raise InputError(f"rounds must be at least 2, since a ratio is shown with its range, got {rounds}")
    found: list[dict[str, Any]] = []
    for name in names or available:
        print(f"benchmark {name} ...", file=sys.stderr, flush=True)
        found += rows_of(name, root, rounds)
    record = {"rows": found, "machine": machine()}
    text = json.dumps(record, indent=1)
    if out is not None:
        with store.replacing(out) as partial:
            partial.write_text(text + "\n")
    print(text if format == "json" else table(record))
    if before is None:
        return None
    compared = compare(before["rows"], found)
    same = all(before["machine"].get(fact) == record["machine"][fact] for fact in ("cpu", "cores", "vectors"))
    print(
        "\n" + comparison_table(compared, before["machine"], same), file=sys.stderr if format == "json" else sys.stdout
    )
    return int(same and any(row["verdict"] == "worse" for row in compared))


def read(path: Path) -> dict[str, Any]:
    """A record that `--out` wrote."""
    import json

    from ..errors import InputError

    try:
        record = json.loads(path.read_text())
        return {"rows": [dict(row) for row in record["rows"]], "machine": dict(record["machine"])}
    except (OSError, ValueError, KeyError, TypeError):
        raise InputError(f"against must be a file that `symtheory bench --out` wrote, got {path}") from None


def measured(row: dict[str, Any]) -> tuple[float, float, float] | None:
    """Ratio, least and greatest, by CPU time where the row has it; None for a row that was not measured.

    An early record has no range by CPU time: the relative one by wall time stands for it.
    """
    ratio, low, high = row["ratio"], row["low"], row["high"]
    if ratio is None:
        return None
    cpu = row.get("cpu_ratio", ratio)
    return cpu, row.get("cpu_low", low * cpu / ratio), row.get("cpu_high", high * cpu / ratio)


def compare(before: list[dict[str, Any]], now: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows that both runs measured, with a verdict: worse or better where the two ranges do not touch."""
    earlier = {(row["name"], row["against"]): row for row in before}
    compared = []
    for row in now:
        old = earlier.get((row["name"], row["against"]))
        then, new = measured(old) if old else None, measured(row)
        if then is None or new is None:
            continue
        more_is_better = row["unit"] in ("times as fast", "times smaller")
        apart = (new[1] > then[2]) - (new[2] < then[1])
        verdict = {0: "within noise", 1: "better", -1: "worse"}[apart if more_is_better else -apart]
        compared.append({"name": row["name"], "against": row["against"], "then": then, "now": new, "verdict": verdict})
    return compared


def comparison_table(compared: list[dict[str, Any]], machine: dict[str, Any], same: bool) -> str:
    """What `compare` found, in Markdown."""
    lines = ["| what | against | then | now | change | |", "| --- | --- | ---: | ---: | ---: | --- |"]
    for row in compared:
        then, now = (f"{x[0]:g} ({x[1]:g} to {x[2]:g})" for x in (row["then"], row["now"]))
        change = f"{row['now'][0] / row['then'][0]:.2f}"
        lines.append(f"| {row['name']} | {row['against']} | {then} | {now} | {change} | {row['verdict']} |")
    facts = ", ".join(f"{key} {value}" for key, value in machine.items() if value is not None)
    other = [] if same else ["That is another processor than this one, which alone can change ratios."]
    return "\n".join([*lines, "", f"Then: {facts}", *other])


def benchmarks_in(folder: Path) -> list[str]:
    """Names of the benchmarks: the modules of `folder` that define `rows`."""
    return sorted(path.stem for path in folder.glob("*.py") if "\ndef rows(" in path.read_text())


def rows_of(name: str, root: Path, rounds: int) -> list[dict[str, Any]]:
    """The rows of one benchmark, run in a process of its own."""
    import json
    import os
    import subprocess
    import sys

    # settings that name another processor than this one would slow NumPy down, and flatter the ratios
    environment = {k: v for k, v in os.environ.items() if k not in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")}
    child = subprocess.run(
        [sys.executable, "-m", "benchmarks", name, "--rounds", str(rounds)],
        cwd=root,
        env=environment,
        capture_output=True,
        text=True,
    )
    found = [json.loads(line) for line in child.stdout.splitlines() if line.startswith("{")]
    if child.returncode:
        last = (child.stderr.strip().splitlines() or ["no message"])[-1]
        found.append(
            {"name": name, "ratio": None, "low": None, "high": None, "against": "", "unit": "", "failed": last}
        )
    return found


def machine() -> dict[str, Any]:
    """What the figures depend on: processor, cores and versions. No name of the machine and no path."""
    import os
    import platform
    from importlib.metadata import PackageNotFoundError, version

    def installed(package: str) -> str | None:
        try:
            return version(package)
        except PackageNotFoundError:
            return None

    packages = ("symtheory", "jax", "jaxlib", "numpy", "numba", "mctx", "torch")
    cpu, flags = platform.machine(), ""
    facts = Path("/proc/cpuinfo")
    if facts.exists():
        lines = dict(line.split(":", 1) for line in facts.read_text().splitlines() if ":" in line)
        fields = {key.strip(): value.strip() for key, value in lines.items()}
        cpu, flags = fields.get("model name", cpu), fields.get("flags", "")
    vectors = next((name for name in ("avx512f", "avx2", "avx") if name in flags.split()), None)
    return {
        "cpu": cpu,
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "vectors": vectors,
        "load": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        **{package: installed(package) for package in packages},
    }


def table(record: dict[str, Any]) -> str:
    """The rows in Markdown, with the machine below."""
    lines = ["| what | ratio | range | by CPU time | against |", "| --- | ---: | ---: | ---: | --- |"]
    for row in record["rows"]:
        why = row.get("skipped") or row.get("failed")
        if why:
            kind = "skipped" if "skipped" in row else "failed"
            lines.append(f"| {row['name']} | {kind}: {why} | | | {row['against']} |")
            continue
        spread = f"{row['low']:g} to {row['high']:g}"
        ratio, cpu = f"{row['ratio']:g} {row['unit']}", row.get("cpu_ratio", "")
        if "ns" in row:
            ratio += f" ({row['ns']:g} to {row['against_ns']:g} ns)"
        if "cpu_low" in row:
            cpu = f"{cpu:g} ({row['cpu_low']:g} to {row['cpu_high']:g})"
        lines.append(f"| {row['name']} | {ratio} | {spread} | {cpu} | {row['against']} |")
    facts = ", ".join(f"{key} {value}" for key, value in record["machine"].items() if value is not None)
    return "\n".join([*lines, "", facts])
