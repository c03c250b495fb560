"""The phase diagram: its origin is GRPO, finished rows are kept, and the figure shows every panel."""

import jax
import numpy as np
import optax
import pytest

from symtheory import estimators
from symtheory.dynamics import Update, advantage_of, train
from symtheory.figures.phase_diagram import PANELS, draw
from symtheory.storage import store
from symtheory.studies import phase_diagram
from symtheory.studies.controlled import difficulty
from symtheory.studies.phase_diagram import Sweep
from symtheory.worlds import make_bandit

SMALL = Sweep(points=3, seeds=2, prompts=4, trajectories=16, correct=3, features=4, steps=5)


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plane")
    return phase_diagram.run(SMALL, folder), folder


def test_the_origin_of_the_plane_is_grpo(result):
    """Two roads: the point (0, 0) of the mapped sweep, and a training run of the registered `grpo`."""
    success = difficulty("table3", "MATH", 2 * SMALL.prompts)
    options = dict(trajectories=16, correct=3, features=4, feature_noise=SMALL.feature_noise)

    @jax.jit
    def held_out_success(seed):
        key_train, key_test, sampling = jax.random.split(jax.random.key(seed), 3)
        return train(
            sampling,
            make_bandit(key_train, success[::2], **options),
            advantage_of([estimators.get("grpo")], 0),
            optax.adam(SMALL.learning_rate),
            Update(SMALL.group_size),
            observe=make_bandit(key_test, success[1::2], **options).success,
            records=1,
            stride=SMALL.steps,
        )[1]

    for seed in range(SMALL.seeds):
        solved = held_out_success(seed)
        ours = result[0].pass_1_gain.sel(seed=seed, tilt=0, asymmetry=0)
        np.testing.assert_allclose(ours, (solved[1] - solved[0]).mean(), rtol=2e-3, atol=1e-6)


def test_finished_rows_are_not_run_again_and_give_the_same_numbers(result, monkeypatch):
    monkeypatch.setattr(store, "keep", lambda *arguments: pytest.fail("ran again"))
    again = phase_diagram.run(SMALL, result[1])
    assert again.equals(result[0])


def test_the_figure_has_a_panel_for_every_measure(result):
    figure = draw(result[0])
    titles = [axes.get_title() for axes in figure.axes]
    assert all(title in titles for title, _, _ in PANELS.values())


def test_the_dataset_holds_all_estimators_and_says_what_it_shows(result):
    dataset = result[0]
    assert list(dataset.estimator.values) == list(estimators.names("rewards"))
    assert dataset.path.sel(moving="agrae", omega=1, axis="asymmetry").item() == pytest.approx(0)
    assert "2 worlds after 5 Adam steps" in dataset.caption
