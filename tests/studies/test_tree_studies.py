"""What a step moves on a tree, the pictures of it, and the controlled study on trees."""

import itertools
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from symtheory import InputError
from symtheory.cli import main, tree
from symtheory.figures import tree_picture
from symtheory.studies import tree_prefix, tree_search
from symtheory.studies.tree_prefix import prefix_kernel_change, shared_prefix, theorem1_change
from symtheory.worlds import make_tree
from symtheory.worlds.tree import Tree

kernel_change, one_level_change = jax.jit(prefix_kernel_change), jax.jit(theorem1_change)


def by_hand(world, rollouts, advantages):
    """The prefix kernel as a sum over the nodes of each leaf's path, with N_v and C_v counted in loops."""
    policy = np.asarray(jax.nn.softmax(world.logits[0], axis=-1))
    b, d = world.branching, world.depth
    through: dict = {}
    for leaf, a in zip(rollouts, advantages, strict=True):
        for l in range(d):
            edge = (l, leaf // b ** (d - l), leaf // b ** (d - 1 - l) % b)
            through[edge] = through.get(edge, 0) + a
    change = np.zeros(b**d)
    for leaf, l in itertools.product(range(b**d), range(d)):
        prefix, action = leaf // b ** (d - l), leaf // b ** (d - 1 - l) % b
        n = np.array([through.get((l, prefix, a), 0.0) for a in range(b)])
        pi = policy[(b**l - 1) // (b - 1) + prefix]
        f = n - n.sum() * pi
        change[leaf] += f[action] - pi @ f
    return change


def test_the_prefix_kernel_is_the_sum_over_the_path():
    with jax.enable_x64(True):
        world = jax.jit(lambda key: make_tree(key, [0.4], depth=3, branching=2, density=0.3))(jax.random.key(0))
        rollouts, advantages = np.array([[0, 1, 6, 6]]), np.array([[1.5, -0.5, -0.7, 0.2]])
        kernel = kernel_change(world, world.init(), rollouts, advantages)[0]
        np.testing.assert_allclose(kernel, by_hand(world, [0, 1, 6, 6], [1.5, -0.5, -0.7, 0.2]), atol=1e-12)


def test_unsampled_leaves_move_by_half_a_step_in_the_smallest_tree():
    """Uniform, two steps, two choices: LL is right, RR wrong. LR rises and RL falls though C = 0 (Case C)."""
    world = Tree(jnp.zeros((1, 3, 2)), jnp.array([[True, False, False, False]]), jnp.ones((1, 4), int))
    rollouts, advantages = np.array([[0, 3]]), np.array([[1.0, -1.0]])
    np.testing.assert_allclose(kernel_change(world, world.init(), rollouts, advantages)[0], [1.5, 0.5, -0.5, -1.5])
    np.testing.assert_allclose(one_level_change(world, world.init(), rollouts, advantages)[0], [1, 0, 0, -1])


def test_theorem_1_is_the_prefix_kernel_of_a_tree_of_one_level():
    world = jax.jit(lambda key: make_tree(key, [0.4], depth=1, branching=8, density=0.3))(jax.random.key(0))
    rollouts, advantages = np.array([[0, 1, 6, 6]]), np.array([[1.5, -0.5, -0.7, 0.2]])
    roads = (f(world, world.init(), rollouts, advantages) for f in (kernel_change, one_level_change))
    np.testing.assert_allclose(*roads, atol=1e-6)


def test_shared_prefixes_are_counted_from_the_root():
    shared = shared_prefix(jnp.array([0, 1, 3, 4]), jnp.array([[0, 7]]), 3, 2)
    assert shared[0].tolist() == [[3, 0], [2, 0], [1, 0], [0, 1]]


def test_the_prefix_kernel_predicts_the_measured_change_and_theorem_1_does_not():
    data = tree_prefix.run(tree_prefix.Config(shapes=((2, 5),), estimators=("grpo",), groups=60)).squeeze()
    assert data.r2_predicted > 0.9999  # what is left is the second order of a step of 1e-4
    assert data.r2_theorem1 < 0.2
    weight = data.leaves / data.leaves.sum("shared")
    rising = (data.rising * weight).sum("shared")
    assert rising.sel(nearest="correct") > 0.9
    assert rising.sel(nearest="wrong") < 0.3
    cell = data.sel(nearest="correct", shared=4)
    assert cell.measured_low < cell.measured < cell.measured_high


def test_reading_at_a_level_interpolates_and_leaves_out_runs_that_never_reach_it():
    import xarray as xr

    values = np.array([[[0.2, 1.0], [0.4, 3.0], [0.8, 7.0]], [[0.2, 1.0], [0.3, 2.0], [0.4, 3.0]]])
    trained = xr.DataArray(values[None, None], dims=["trained_on", "estimator", "seed", "record", "metric"])
    coords = {"trained_on": ["x"], "estimator": ["grpo"], "seed": [0, 1], "metric": ["pass@1", "entropy"]}
    data = xr.Dataset({"trained": trained}, coords, {"level": 0.6})
    at = tree_search.at_level(data, "entropy").values.ravel()
    assert at[0] == pytest.approx(5.0)
    assert np.isnan(at[1])


def test_a_film_knows_mass_change_and_rollouts_of_every_node():
    data = tree_picture.run(tree_picture.Config(depth=2, branching=3, steps=3))
    assert data.sizes == {"step": 3, "node": 13, "leaf": 9}
    np.testing.assert_allclose(data.reach.isel(node=0), 1, rtol=1e-6)
    np.testing.assert_allclose(data.reach[:, 4:].sum("node"), 1, rtol=1e-5)
    np.testing.assert_allclose(data.rollouts[:, 4:].sum("node"), 8)
    ahead = np.log(data.reach[:-1]) + data.change[:-1].values
    np.testing.assert_allclose(ahead, np.log(data.reach[1:]), atol=1e-4)


def test_the_command_draws_a_picture_and_a_film(tmp_path):
    from PIL import Image

    tree.run("picture", depth=2, out=tmp_path)
    assert Image.open(tmp_path / "picture.png").size[0] > 1000
    tree.run("animate", depth=2, steps=3, out=tmp_path)
    assert Image.open(tmp_path / "animate.gif").n_frames == 3  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (dict(branching=1), "branching must be at least 2, got 1"),
        (dict(step=-1), "step must be at least 0, got -1"),
        (dict(estimator="grop"), "Did you mean 'grpo'?"),
    ],
)
def test_bad_trees_are_refused_in_one_sentence(options, sentence, tmp_path):
    with pytest.raises(InputError, match=sentence):
        tree.run("picture", out=tmp_path, **options)


def test_a_tree_too_large_to_draw_ends_in_one_line_and_status_2(tmp_path, monkeypatch, capsys):
    command = ["symtheory", "tree", "animate", "--depth", "40", "--out", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", command)
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 2
    assert capsys.readouterr().err == "symtheory: depth and branching must leave at most 512 leaves to draw, got 3^40\n"


@pytest.mark.slow
def test_search_finds_more_solved_prompts_than_its_base_and_training_lifts_pass1():
    pytest.importorskip("mctx")
    config = tree_search.Config(
        seeds=2, prompts=8, depth=3, budgets=(8,), records=4, estimators=("grpo",), sources=("independent", "gumbel")
    )
    data = tree_search.run(config)
    passed = data.trained.sel(metric="pass@1").mean("seed")
    assert (passed.isel(record=-1) > passed.isel(record=0)).all()
    assert ((data.solved > 0) & (data.solved <= 1)).all()


def test_a_single_seed_is_refused_since_intervals_are_over_seeds():
    with pytest.raises(InputError, match="seeds must be at least 2"):
        tree_search.Config(seeds=1)
