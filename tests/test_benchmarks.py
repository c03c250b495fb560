"""The programs that the benchmarks time do the same work: their runs end where ours end."""

from pathlib import Path

import jax
import numpy as np
import pytest


@pytest.fixture
def bandit(monkeypatch, single_precision):
    monkeypatch.syspath_prepend(Path(__file__).parents[1])
    return pytest.importorskip("benchmarks.bandit")


@pytest.mark.parametrize("peer", ["batch", "loop", "C", pytest.param("numba", marks=pytest.mark.slow)])
def test_success_entropy_and_size_agree_with_ours(bandit, peer):
    runs, steps = (64, 20) if peer == "loop" else (2048, 40)
    world = bandit.make_world(64, runs)
    logits = np.asarray(world.logits)
    (success, entropy), info = bandit.program(8, steps)(jax.random.key(1), world)
    ours = (np.asarray(success[steps - 1]), np.asarray(entropy[steps - 1]))
    rng = np.random.default_rng(0)
    if peer == "loop":
        ends = np.array([[m[-1] for m in bandit.numpy_loop(rng, h, 8, 8, steps)] for h in logits]).T
    elif peer == "batch":
        ends = [m[-1] for m in bandit.numpy_batch(rng, logits, 8, 8, steps)]
    else:
        kernel = bandit.c_train() if peer == "C" else bandit.numba_train()
        if kernel is None:
            pytest.skip(f"{peer} is not installed")
        ends = [m[:, -1] for m in kernel(logits, 8, 8, steps)]
    for mine, theirs in zip(ours, ends[:2], strict=True):
        difference = np.asarray(theirs, float) - np.asarray(mine, float)  # independent noise, the same difficulty
        assert abs(difference.mean()) < 4.5 * difference.std() / np.sqrt(runs)
    size = np.asarray(ends[2], float)
    assert abs(size.mean() - float(info.abs_advantage[-1])) < 4.5 * size.std() * np.sqrt(2 / runs)


@pytest.mark.parametrize("peer", ["loop", "C"])
def test_trees_end_where_ours_end(bandit, peer):
    from benchmarks import tree
    from symtheory.worlds import make_tree

    runs, steps = (48, 10) if peer == "loop" else (2048, 30)
    world = make_tree(jax.random.key(0), np.tile([0.05, 0.1, 0.25, 0.5], runs // 4), branching=4, depth=3)
    logits, correct = np.asarray(world.logits), np.asarray(world.correct, np.uint8)
    _, info = tree.program(steps)(jax.random.key(1), world)
    if peer == "loop":
        rng = np.random.default_rng(0)
        rates = np.array([tree.python_loop(rng, h, c, steps) for h, c in zip(logits, correct, strict=True)])
    else:
        kernel = tree.c_train()
        if kernel is None:
            pytest.skip("no C compiler")
        rates = kernel(logits, correct, 3, steps)
    mean = rates.mean(1)
    assert abs(mean.mean() - float(info.correct[0])) < 4.5 * mean.std() * np.sqrt(2 / runs)
