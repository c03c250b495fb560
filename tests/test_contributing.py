"""CONTRIBUTING's recipes, word for word, on a copy of the package: one new file each and no other edit."""

import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import symtheory
from symtheory.storage import store

TEXT = (Path(__file__).parents[1] / "CONTRIBUTING.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"This is `(symtheory/[\w/]+\.py)`:\n\n```python\n(.*?)```", TEXT, re.DOTALL))


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    """A copy of the package with the three files of the recipes."""
    root = tmp_path_factory.mktemp("house")
    shutil.copytree(Path(symtheory.__file__).parent, root / "symtheory")  # with compiled modules, which Python checks
    for path, text in FILES.items():
        assert not (root / path).exists()
        (root / path).write_text(text, encoding="utf-8")
    return root


def run(house, *arguments):
    done = subprocess.run([sys.executable, *map(str, arguments)], cwd=house, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_there_is_a_recipe_for_an_estimator_a_world_and_a_figure():
    assert [path.split("/")[1] for path in FILES] == ["estimators", "worlds", "figures"]


def test_a_new_estimator_is_in_the_list_and_in_figure_6_and_a_new_figure_is_made(house, tmp_path):
    assert "damped" in run(house, "-m", "symtheory", "list")
    run(house, "-m", "symtheory", "reproduce", "--only", "fig6", "fig11", "--out", tmp_path)
    sums = store.load(tmp_path / "quick" / "fig6.nc").magnitude
    ratio = sums.sel(estimator="damped") / sums.sel(estimator="grpo")
    live = sums.sel(estimator="grpo") > 0
    assert float(abs(ratio - (1 - sums.success)).where(live).max()) < 1e-12
    assert (tmp_path / "quick" / "fig11.png").stat().st_size > 5_000


def test_a_new_world_trains_sampled_and_expected(house):
    code = """
import jax, jax.numpy as jnp, optax
from symtheory import dynamics, estimators
from symtheory.worlds.coin import Coin
world, sgd = Coin(jnp.array([-2.0, 0.0])), optax.sgd(0.5)
grpo = estimators.get("grpo")
observe = lambda params: jax.nn.sigmoid(params)
_, path = dynamics.mean_field(world, grpo, sgd, 8, observe=observe, steps=20)
def after_a_step(seed):
    return dynamics.train(jax.random.key(seed), world, dynamics.advantage_of([grpo], 0), sgd, dynamics.Update(8),
                          observe=observe, records=1, stride=1)[1][1]
sampled = jax.jit(jax.vmap(after_a_step))(jnp.arange(64))
error = jnp.abs(sampled.mean(0) - path[1]) / (sampled.std(0) / 8)
print(bool((path[-1] > path[0] + 0.2).all()), bool((error < 4).all()))

from symtheory.studies import sweep
one = sweep.Sweep("coin", (grpo,), (0.25,), (0.5,), (0, 1), ("coin",), steps=20, tile=2)
parts = [tile.label(jax.device_get(tile.program(*tile.arguments))) for tile in sweep.plan(one)]
learned = sweep.gather(one, parts).pass_at_k.sel(world="coin", k=1).squeeze()
print(bool((abs(learned[:, 0] - 0.25) < 1e-6).all()), bool((learned[:, 1] > 0.25).any()))
"""
    assert run(house, "-c", code).split() == ["True"] * 4


@pytest.mark.skipif(find_spec("torch") is None, reason="torch is not installed")
def test_a_new_estimator_takes_torch_tensors(house):
    code = (
        "import torch, symtheory; a = symtheory.advantages(torch.tensor([[1.0, 0, 0, 0]]), 'damped'); "
        "assert a.dtype == torch.float32 and abs(a[0, 0].item() - 3**0.5 * 0.75) < 1e-6, a"
    )
    run(house, "-c", code)


@pytest.mark.parametrize(
    ("trainer", "code"),
    [
        (
            "trl",
            "import trl; symtheory.trainers.trl.with_estimator(trl.GRPOTrainer, 'damped')",
        ),
        ("verl", "from verl.trainer.ppo.core_algos import get_adv_estimator_fn as f; f('symtheory/damped')"),
        ("tunix", "from tunix.rl.function_registry import get_advantage_estimator as f; f('symtheory/damped')"),
    ],
)
def test_a_new_estimator_is_in_every_trainer_that_is_installed(house, trainer, code):
    pytest.importorskip(trainer)
    run(house, "-c", f"import symtheory.trainers.{trainer}; {code}")
