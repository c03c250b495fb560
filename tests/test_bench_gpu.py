"""What a card needs, tested as far as a CPU can: programs hold nothing that a GPU cannot run, or would run wrongly."""

import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from symtheory import InputError, estimators
from symtheory.dynamics import Update, advantage_of, train, use_all_cores
from symtheory.dynamics.counter import counter_key
from symtheory.dynamics.devices import runs_that_fit
from symtheory.worlds import make_bandit, make_hashed_tree, make_tree

ROOT = Path(__file__).parents[1]
P = np.array([0.1, 0.5], np.float32)
WORLDS = {
    "bandit": lambda: make_bandit(jax.random.key(0), P, trajectories=64, correct=8),
    "many arms": lambda: make_bandit(jax.random.key(0), P, trajectories=1024, correct=8),
    "features": lambda: make_bandit(jax.random.key(0), P, trajectories=64, correct=8, features=4),
    "tree": lambda: make_tree(jax.random.key(0), P, branching=4, depth=3),
    "binary tree": lambda: make_tree(jax.random.key(0), P, branching=2, depth=4),
    "hashed tree": lambda: make_hashed_tree(jax.random.key(0), P, branching=4, depth=4, slots=64),
}


def operations(jaxpr):
    """All equations of a program, those of its loops and branches too."""
    for equation in jaxpr.eqns:
        yield equation
        for inner in jax.tree.leaves(list(equation.params.values()), is_leaf=lambda x: hasattr(x, "eqns")):
            inner = getattr(inner, "jaxpr", inner)
            if hasattr(inner, "eqns"):
                yield from operations(inner)


def traced(world, key):
    advantage = advantage_of([estimators.get(name) for name in ("grpo", "agrae", "ddas")], 1)

    def run(key, world):
        watched = lambda params: (world.success(params), world.entropy(params))  # noqa: E731
        return train(key, world, advantage, optax.adam(0.1), Update(8), observe=watched, records=2, stride=2)

    return jax.make_jaxpr(run)(key, world).jaxpr


@pytest.fixture(scope="module")
def programs():
    with jax.enable_x64(False):
        shapes = {name: jax.eval_shape(make) for name, make in WORLDS.items()}  # a program is known by shapes alone
        return {name: (world, traced(world, counter_key(0))) for name, world in shapes.items()}


@pytest.mark.parametrize("name", WORLDS)
def test_a_training_program_is_single_precision_static_and_asks_the_host_nothing(programs, name):
    found = list(operations(programs[name][1]))
    assert len(found) > 100
    for equation in found:
        assert "callback" not in equation.primitive.name
        for variable in equation.outvars:
            assert getattr(variable.aval, "dtype", None) not in (jnp.float64, jnp.int64), equation
            assert all(isinstance(n, int) for n in getattr(variable.aval, "shape", ())), equation


@pytest.mark.parametrize("name", WORLDS)
def test_prefix_sums_of_a_draw_are_taken_in_full_precision(programs, name, single_precision):
    """A GPU multiplies float32 matrices with 10 bits unless told otherwise, and a draw would be off by 1e-3."""
    world = programs[name][0]
    drawn = jax.make_jaxpr(lambda key, w: w.sample(key, w.init(), 8))(jax.random.key(0), world).jaxpr
    products = [e for e in operations(drawn) if e.primitive.name == "dot_general"]
    sums = [e for e in products if e.invars[0].aval.shape[-1] != 4 or name != "features"]  # but for phi W
    for product in sums:
        assert set(product.params["precision"] or ()) == {jax.lax.Precision.HIGHEST}, product
    assert name == "binary tree" or sums, "the draw takes no products: this test tests nothing"


def test_runs_are_sized_by_the_memory_there_is():
    few, many = runs_that_fit(2**30), runs_that_fit(2**20)
    assert 1000 * few <= many <= 1100 * (few + 1)  # free memory moves while the tests run
    with pytest.raises(InputError, match="one run takes"):
        runs_that_fit(1e18)


def test_flags_that_a_user_has_set_stay(monkeypatch):
    mine = "--xla_force_host_platform_device_count=3 --xla_disable_hlo_passes=mine"
    monkeypatch.setenv("XLA_FLAGS", mine)
    use_all_cores()
    assert os.environ["XLA_FLAGS"] == f"{mine} --xla_cpu_enable_concurrency_optimized_scheduler=false"
    use_all_cores()
    assert os.environ["XLA_FLAGS"].count("concurrency_optimized_scheduler") == 1
    assert os.environ["XLA_FLAGS"].count("xla_disable_hlo_passes") == 1


@pytest.fixture
def gpu(monkeypatch):
    monkeypatch.syspath_prepend(ROOT)
    return pytest.importorskip("benchmarks.gpu")


SPEED = {"low": 9.0, "middle": 10.0, "high": 12.0, "runs": 100}


def test_rows_compare_the_card_with_the_cpu_and_say_what_is_missing(gpu):
    slower = {"low": 4.0, "middle": 5.0, "high": 6.0, "runs": 10}
    found = {
        ("bandit", "card"): SPEED,
        ("bandit", "cpu"): slower,
        ("tree", "card"): SPEED,
        ("tree", "cpu"): {"skipped": "no time was left"},
        ("transformer", "card"): {"skipped": "PyTorch is not installed (pip install torch)"},
    }
    bandit, tree, transformer = gpu.compared(found)
    assert (bandit["ratio"], bandit["low"], bandit["high"]) == (2.0, 1.5, 3.0)
    assert tree["skipped"] == "no time was left"
    assert "pip install torch" in transformer["skipped"]


def test_a_measurement_is_kept_and_not_made_again(gpu, tmp_path, monkeypatch):
    calls = []

    def child(command, **options):
        calls.append((command, options["env"].get("JAX_PLATFORMS")))
        return subprocess.CompletedProcess(command, 0, "chatter\n" + json.dumps(SPEED), "")

    monkeypatch.setattr(gpu.subprocess, "run", child)
    for _ in range(2):
        assert gpu.kept("bandit", "cpu", tmp_path, False, float("inf")) == SPEED
    ((command, platform),) = calls
    assert (command[-3:], platform) == (["--measure", "bandit", "cpu"], "cpu")
    assert "no time" in gpu.kept("tree", "cpu", tmp_path, False, 0.0)["skipped"]


def test_without_a_card_the_command_says_so(gpu, monkeypatch):
    monkeypatch.setattr(gpu, "has_card", lambda: False)
    with pytest.raises(SystemExit, match="no GPU"):
        gpu.main([])


def test_a_dry_run_measures_and_reports(gpu, tmp_path, capsys, monkeypatch, single_precision):
    here = {"device": "this", **gpu.measure_bandit(True, dry_run=True)}
    monkeypatch.setattr(gpu, "kept", lambda *which: here)
    gpu.main(["--dry-run", "--out", str(tmp_path), "--only", "bandit"])
    record = json.loads((tmp_path / "dry.json").read_text())
    (row,) = record["rows"]
    assert row["ratio"] > 0
    assert record["machine"]["card"].startswith("none")
    assert "bandit" in capsys.readouterr().out


@pytest.mark.slow
def test_a_dry_run_does_everything(tmp_path):
    command = [sys.executable, "-m", "benchmarks.gpu", "--dry-run", "--out", str(tmp_path)]
    assert subprocess.run(command, cwd=ROOT).returncode == 0
    rows = json.loads((tmp_path / "dry.json").read_text())["rows"]
    assert not [row for row in rows if "skipped" in row and "not installed" not in row["skipped"]]
