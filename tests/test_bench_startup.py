"""Interactive commands answer at once: none loads a library that it does not need for its answer."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAVY = {"jax", "sympy", "scipy", "scipy.stats", "matplotlib", "pandas", "xarray", "torch", "hypothesis", "pyarrow"}
COMMANDS = {
    ("list",): set(),
    ("plan", "--success", "0.1", "0.5", "0.9"): set(),
    ("audit", str(ROOT / "tests" / "audit" / "samples" / "trl_grpo_binary")): {"pyarrow"},  # its log is parquet
    ("evidence", "TABLE"): {"pyarrow", "scipy"},  # linear programs
    ("check", "grpo"): {"pyarrow", "scipy", "hypothesis"},
}
CHILD = """
import contextlib, io, json, sys
from symtheory import cli
sys.argv = ["symtheory", *sys.argv[1:]]
loaded = {}
for command in json.loads(sys.argv.pop()):
    sys.argv[1:] = command
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.suppress(SystemExit):
        cli.main()
    assert len(out.getvalue()) > 100, command
    loaded[" ".join(command)] = sorted(sys.modules)
print(json.dumps(loaded))
"""


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    """What is loaded after each command, all in one process; later ones include what earlier ones loaded."""
    import json

    table = tmp_path_factory.mktemp("table") / "TABLE"
    table.write_text("method,pass@1,pass@2,pass@4\nBase,10.0,17.0,27.0\n")
    commands = [[str(table) if word == "TABLE" else word for word in command] for command in COMMANDS]
    child = subprocess.run([sys.executable, "-c", CHILD, json.dumps(commands)], capture_output=True, text=True)
    assert child.returncode == 0, child.stderr
    return list(json.loads(child.stdout).values())


@pytest.mark.parametrize("index", range(len(COMMANDS)), ids=[command[0] for command in COMMANDS])
def test_a_command_loads_only_what_its_answer_needs(loaded, index):
    needed = list(COMMANDS.values())[index]
    assert not (HEAVY - needed - {"scipy.stats"}) & set(loaded[index])
    assert "scipy.stats" not in loaded[index]
