"""Sweeps: labelled on every axis, extended without running anything twice, and refused with one sentence."""

import importlib
import tomllib
from pathlib import Path

import jax
import numpy as np
import pytest

from symtheory import InputError, estimators
from symtheory.storage import provenance, tiles
from symtheory.studies import sweep, sweep_file

SMALL = {
    "estimators": ["grpo"],
    "difficulties": [0.1, 0.5],
    "learning_rates": [0.5],
    "seeds": 4,
    "tile": 4,
    "steps": 20,
    "stride": 10,
    "ks": [1, 16],
    "prompts": 2,
    "bandit": {"trajectories": 16, "correct": 3},
}
PLANE = {**SMALL, "estimators": ["plane"], "parameters": {"tilt": [-1.0, 0.0], "asymmetry": [0.0, 0.5]}}


def made(config, folder):
    """The gathered result, and the numbers of tiles that were finished before and now."""
    described = sweep_file.parse(config)
    planned = sweep.plan(described)
    reported = []
    with jax.enable_x64(False):
        parts = tiles.run(planned, folder, sweep.NAME, reported.append)
    return sweep.gather(described, parts), reported[0], sum(reported[1:])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Results, and the programs compiled for them."""
    folder = tmp_path_factory.mktemp("sweep")
    usual = jax.config.jax_compilation_cache_dir
    tiles.prepare(folder)
    yield folder / "cache"
    jax.config.update("jax_compilation_cache_dir", usual)


@pytest.fixture(scope="module")
def small(folder):
    return made(SMALL, folder)[0]


def test_the_result_has_a_dimension_for_every_axis(small):
    axes = {"world": 1, "estimator": 1, "group_size": 1, "optimizer": 1, "difficulty": 2, "learning_rate": 1, "seed": 4}
    assert small.pass_at_k.sizes == {**axes, "record": 3, "k": 2}
    assert small.correct.sizes == {**axes, "interval": 2}
    assert list(small.step.values) == [0, 10, 20]
    start = small.pass_at_k.sel(k=1).isel(record=0)
    assert float(abs(start - start.difficulty).max()) < 1e-6, "a run starts at its difficulty"
    assert float(small.entropy.std("seed").isel(record=-1).max()) > 0


def test_swept_parameters_are_dimensions_and_the_origin_of_the_plane_is_grpo(small, folder):
    """Two roads to float32: parameters that the program takes as arguments, and the registered estimator."""
    plane = made(PLANE, folder)[0]
    assert plane.pass_at_k.sizes["tilt"] == plane.pass_at_k.sizes["asymmetry"] == 2
    origin = plane.sel(tilt=0, asymmetry=0, estimator="plane")
    np.testing.assert_allclose(origin.pass_at_k, small.pass_at_k.sel(estimator="grpo"), atol=1e-5)
    assert float(abs(plane.imbalance.sel(asymmetry=0)).max()) < 1e-5
    assert float(plane.imbalance.sel(asymmetry=0.5).min()) > 0


def test_a_sweep_that_grows_runs_only_what_is_new(small, folder):
    grown = {**SMALL, "difficulties": [0.5, 0.02, 0.1], "seeds": 8}
    result, before, now = made(grown, folder)
    assert (before, now) == (2, 4)
    part = result.sel(difficulty=small.difficulty, seed=small.seed)
    assert part.drop_attrs().identical(small.drop_attrs())


def test_the_width_of_a_tile_changes_no_more_than_rounding(small, tmp_path):
    wide = made({**SMALL, "tile": 7}, tmp_path)[0]
    np.testing.assert_allclose(wide.pass_at_k, small.pass_at_k, atol=1e-5)
    np.testing.assert_allclose(wide.entropy, small.entropy, atol=1e-5)


def test_a_run_that_leaves_the_range_of_floats_stops_with_its_place_and_keeps_what_was_finished(folder, small):
    row = {"name": "positive_dominant", "beta": 1000}
    config = {**SMALL, "estimators": ["grpo", row], "learning_rates": [3e38]}
    where = r"estimator positive_dominant.beta=1000., .* difficulty 0.1, learning_rate 3e\+38, seed \d, .*step 10"
    with pytest.raises(InputError, match="is not finite at .*" + where):
        made(config, folder)
    with pytest.raises(InputError, match="is not finite"):
        made(config, folder)
    assert made({**config, "estimators": ["grpo"]}, folder)[1] == 2


def test_the_batch_mean_reward_can_be_fixed():
    rewards = np.array([[1.0, 0, 0, 0], [1, 1, 1, 0]])
    agrae = estimators.get("agrae")
    ours = jax.jit(lambda rewards: sweep.advantage_with(agrae, {"omega": 0.3}, rewards))(rewards)
    np.testing.assert_allclose(ours, estimators.advantages(rewards, agrae, omega=0.3), rtol=1e-12)


def test_the_example_is_a_sweep():
    example = sweep_file.parse(tomllib.loads(sweep_file.EXAMPLE))
    assert [sweep.row(e) for e in example.estimators] == ["grpo", "agrae", "positive_dominant(beta=5)"]
    assert example.settings == sweep.usual_settings()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"group_size": [8]}, "no key 'group_size'. Did you mean 'group_sizes'?"),
        ({"group_sizes": [-8]}, "group_sizes must be whole numbers of at least 1, got -8"),
        ({"group_sizes": [1]}, "with G >= 2 for estimator 'grpo'"),
        ({"group_sizes": [8, 8]}, "group_sizes must not repeat a value, got 8 twice"),
        ({"difficulties": [0.5, 1]}, "difficulties must be numbers in .0, 1., also as 32-bit floats, got 1"),
        ({"difficulties": [1 - 1e-12]}, "also as 32-bit floats"),
        ({"difficulties": []}, "difficulties must be a list that is not empty"),
        ({"difficulties": 0.5}, "difficulties must be a list that is not empty, got 0.5"),
        ({"learning_rates": [float("nan")]}, "learning_rates must be positive numbers, got nan"),
        ({"learning_rates": [True]}, "learning_rates must be positive numbers, got True"),
        ({"seeds": [1, 2, 1]}, "seeds must not repeat a value, got 1 twice"),
        ({"seeds": 0}, "seeds must be a number of seeds or a list of whole numbers, got 0"),
        ({"seeds": [1], "first_seed": 3}, "first_seed goes with a number of seeds"),
        ({"steps": 25}, "steps must be a multiple of stride, got 25 and 10"),
        ({"tile": 0}, "tile must be a whole number of at least 1, got 0"),
        ({"worlds": ["maze"]}, "worlds must be among bandit, tree, got 'maze'"),
        ({"name": "../escape"}, "name must consist of letters, digits, .*, got '../escape'"),
        ({"name": "/etc/x"}, "name must consist of letters"),
        ({"estimators": ["hard_focussed"]}, "no estimator 'hard_focussed'. Did you mean 'hard_focused'?"),
        ({"estimators": ["grpo", "grpo"]}, "estimators must not repeat a row, got 'grpo' twice"),
        ({"estimators": [{"beta": 3}]}, "estimators must be names or tables with a name"),
        ({"estimators": [{"name": "grpo", "beta": 3}]}, "estimator 'grpo' takes no parameter 'beta'"),
        ({"parameters": {"beta": [3]}}, "estimator 'grpo' takes no parameter 'beta'"),
        ({"parameters": {"omega": [2]}}, "parameter 'omega' must be a mean reward in .0, 1., got .2."),
        ({"parameters": {"seed": [2]}}, "parameter 'seed' has the name of an axis"),
        ({"estimators": ["passk"], "parameters": {"k": [2, 4]}}, "parameter 'k' has the name of an axis"),
        ({"bandit": {"correct": 99}}, "correct must be between 1 and trajectories - 1 = 63, got 99"),
        ({"bandit": {"depth": 3}}, "no key in .bandit. 'depth'"),
        ({"steps": 20_000_000, "stride": 1}, "the result would take 5.* GiB, more than 4: take fewer records"),
    ],
)
def test_what_is_no_sweep_is_one_sentence(change, message):
    with pytest.raises(InputError, match=message):
        sweep_file.parse({**SMALL, **change})


def test_a_parameter_that_changes_the_program_is_a_row_and_not_an_axis(monkeypatch):
    def branch(a, g, op, *, power=1):
        return a if power == 1 else a**power

    mine = estimators.chain(branch, name="mine")
    for module in (sweep, sweep_file):
        monkeypatch.setattr(module, "find", lambda name, **params: mine.with_params(**params))
    with pytest.raises(InputError, match=r"each value a row of its own: .name = \"mine\", power = 2."):
        sweep_file.parse({**SMALL, "estimators": ["mine"], "parameters": {"power": [2, 3]}})


def test_rows_carry_their_parameters_as_coordinates():
    described = sweep_file.parse({**SMALL, "estimators": ["grpo", {"name": "passk", "k": 2}]})
    planned = sweep.plan(described)
    shapes = [(tile, jax.eval_shape(tile.program, *tile.arguments)) for tile in planned]
    parts = [tile.label(jax.tree.map(lambda s: np.zeros(s.shape), shape)) for tile, shape in shapes]
    result = sweep.gather(described, parts)
    assert list(result.estimator.values) == ["grpo", "passk(k=2)"]
    np.testing.assert_array_equal(result.estimator_k, [np.nan, 2])
    assert list(result.k) == [1, 16]


def test_changed_code_is_another_result_and_a_new_estimator_is_not(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    place = Path(tmp_path, "my_links.py")
    codes = []
    for factor in (2, 3):
        place.write_text(f"def scale(a, g, op):\n    return {factor} * a  # {'x' * factor}\n")
        importlib.invalidate_caches()
        module = importlib.reload(importlib.import_module("my_links"))
        codes.append(provenance.code_of(module.scale))
    assert codes[0] != codes[1]
    used = provenance.sources_of(estimators.get("agrae").links)
    assert {"symtheory.estimators.agrae", "symtheory.estimators.difficulty", "symtheory.estimators.grpo"} <= set(used)
    assert "symtheory.estimators.passk" not in used


def test_a_comment_or_a_docstring_is_not_another_result():
    code = 'def f(x):\n    """Doc."""\n    y: int = 1\n    """What y is."""\n    return x + y\n'
    same = '"""Module."""\ndef f(x):  # comment\n    y: int = 1\n\n    return (x + y)\n'
    assert provenance.syntax(code) == provenance.syntax(same)
    assert provenance.syntax(code) != provenance.syntax(code.replace("x + y", "y + x"))
    assert provenance.syntax("x = 'a'") != provenance.syntax("x = 'b'"), "a string that is used counts"


def test_memory_grows_with_the_records_and_not_with_the_steps():
    def held(steps, stride):
        (tile, *_) = sweep.plan(sweep_file.parse({**SMALL, "steps": steps, "stride": stride, "tile": 64}))
        return tile.program.lower(*tile.arguments).compile().memory_analysis()

    few, many, dense = held(20, 10), held(20_000, 10_000), held(200, 10)
    assert many.output_size_in_bytes == few.output_size_in_bytes
    assert many.temp_size_in_bytes - few.temp_size_in_bytes < 2**20 / 8, "8 bytes a step: their numbers"
    assert dense.output_size_in_bytes > 5 * few.output_size_in_bytes
