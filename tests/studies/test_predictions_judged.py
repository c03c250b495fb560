"""From a base policy to predictions, a file of them, the runs that judge them, and what is said of the outcome."""

import json
import sys
from dataclasses import replace

import jax
import numpy as np
import pytest
import xarray as xr

from symtheory import InputError
from symtheory.cli import main
from symtheory.figures.interference import agreement
from symtheory.figures.interference import law as figures
from symtheory.storage import checkpoint
from symtheory.studies.interference import angle, cells, design, files, judge, law, predictions
from symtheory.studies.transformer.base import Base
from symtheory.transformer import model

CELL = cells.SimulatedCell("bandit", (0.5, 2.0), "sgd", 0.05, steps=40, records=5, prompts=12)
SEEDS = [4900, 4901, 4902]


@pytest.fixture(autouse=True)
def as_runs_do(single_precision):
    """In single precision."""


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The folder, the file of predictions of one small cell, and its outcome."""
    folder = tmp_path_factory.mktemp("law")
    path, runs = folder / "small-predictions.json", folder / "small-runs.json"
    with pytest.MonkeyPatch.context() as patch, jax.enable_x64(False):
        patch.setattr(design, "cells", lambda: {CELL.name: CELL})
        patch.setattr(design, "SEEDS", {"SimulatedCell": len(SEEDS)})
        patch.setattr(design, "FIRST_SEED", SEEDS[0])
        files.write_predictions(path, folder)
        files.write_runs(path, runs, folder)
        return folder, path, judge.judge(path, runs)


@pytest.mark.slow
def test_a_file_of_predictions_gives_back_what_was_predicted(written):
    folder, path, _ = written
    made = predictions.predictions(CELL, SEEDS, folder)
    read = files.read_predictions(path)[CELL.name]
    for name in ("gain", "base", "start"):
        assert np.allclose(made[name], read[name], atol=1e-6)
    assert np.allclose(made.rate, read.rate, rtol=1e-6)


@pytest.mark.slow
def test_runs_come_where_the_mean_field_said(written):
    _, _, outcome = written
    at = outcome.isel(cell=0, mark=-1).sel(k=16, statistic="mean")
    assert int(outcome.seeds.min()) == len(SEEDS)
    runs, field = (at.level.sel(predictor=p) for p in ("runs", "mean field"))
    assert float(abs(runs - field)) < 0.25 * float(abs(runs))


@pytest.mark.slow
def test_the_outcome_is_summed_up_in_numbers_and_words(written):
    _, _, outcome = written
    both = outcome.isel(cell=[0, 0])
    found = judge.agreement(both)
    assert set(found.predictor.values) == set(cells.PREDICTORS)
    assert ((found.explained <= 1) & (found["rank"] <= 1)).all()
    text = agreement.caption(both)
    assert "| bandit | mean field |" in text
    wrong = [f for f in judge.failures(both) if f["mark"] == 1.0]
    assert f"reading: {len(wrong)}." in text


@pytest.mark.slow
def test_a_wrong_sign_is_reported_as_a_failure(written):
    _, _, outcome = written
    turned = outcome.copy(deep=True)
    guess = turned.level.sel(predictor="mean field")
    turned.level.loc[{"predictor": "mean field"}] = -guess
    wrong = {f["k"] for f in judge.failures(turned) if f["predictor"] == "mean field" and f["quantity"] == "level"}
    assert wrong == set(cells.KS)


def told(seeds, predictors, scale=1.0):
    """Predictions (or, with the predictor "runs", measurements) that grow with seed, estimator, mark and k."""
    sizes = (len(predictors), len(seeds), len(cells.ESTIMATORS), len(cells.MARKS), len(cells.KS))
    gain = scale * 0.01 * (1 + np.indices(sizes).sum(0) + np.array(seeds)[:, None, None, None] % 7)
    one = np.ones((len(seeds), len(cells.ESTIMATORS)))
    return xr.Dataset(
        {
            "gain": (("predictor", *cells.AXES), gain),
            "entropy": (("predictor", *cells.AXES[:-1]), -gain[..., 0]),
            "rate": (("seed", "estimator"), one),
            "base": (("seed", "k"), np.ones((len(seeds), len(cells.KS)))),
            "start": ("seed", one[:, 0]),
            "passed": (("seed", "estimator", "record"), one[..., None]),
        },
        {"predictor": list(predictors), **cells.coordinates(seeds, cells.ESTIMATORS)},
    )


@pytest.fixture
def grown(tmp_path, monkeypatch):
    """A file of two seeds' predictions, then of three; the first two would now be predicted otherwise."""
    path, runs = tmp_path / "predictions.json", tmp_path / "runs.json"
    asked = []

    def measured(cell, predicted, folder):
        asked.append(predicted.seed.values.tolist())
        return told(asked[-1], ["runs"], scale=2.0).isel(predictor=0, drop=True)

    monkeypatch.setattr(design, "cells", lambda: {CELL.name: CELL})
    monkeypatch.setattr(design, "FIRST_SEED", SEEDS[0])
    monkeypatch.setattr(files, "measurements", measured)
    for count in (2, 3):
        monkeypatch.setattr(design, "SEEDS", {"SimulatedCell": count})
        scale = 1.0 if count == 2 else 5.0
        monkeypatch.setattr(files, "predictions", lambda c, seeds, f, s=scale: told(seeds, cells.PREDICTORS, s))
        files.write_predictions(path, tmp_path)
        files.write_runs(path, runs, tmp_path)
    return path, runs, asked


def test_seeds_are_added_to_a_file_and_what_it_has_stays(grown):
    path, runs, asked = grown
    found = files.read_predictions(path)[CELL.name]
    assert found.seed.values.tolist() == SEEDS
    expected = xr.concat([told(SEEDS[:2], cells.PREDICTORS), told(SEEDS[2:], cells.PREDICTORS, 5.0)], "seed")
    assert np.allclose(found.gain, expected.gain.transpose(*found.gain.dims))
    assert asked == [SEEDS[:2], SEEDS[2:]]
    assert files.read_runs(runs)[CELL.name].seed.values.tolist() == SEEDS


def test_entropy_and_noise_are_judged_where_they_were_followed(grown, tmp_path, monkeypatch):
    from symtheory.cli.predict import run

    path, runs, _ = grown
    content = json.loads(path.read_text())
    content["cells"][0]["entropy"]["tangent kernel"] = np.full((3, 6, 2), None).tolist()  # which does not follow it
    path.write_text(json.dumps(content))
    entropy = judge.judge(path, runs, of="entropy")
    assert entropy.predictor.values.tolist() == ["base kernel", "mean field", "runs"]
    assert (entropy.level.sel(predictor="runs", statistic="mean") < 0).all()
    monkeypatch.setattr(
        files, "noisy_predictions", lambda c, p, f: told(SEEDS, [cells.NOISY], 2.0)[["gain", "entropy"]]
    )
    noise = tmp_path / "noise.json"
    where = ["--predictions", str(path), "--noise", str(noise), "--runs", str(runs), "--out", str(tmp_path)]
    _parsed(run, ["noise", *where])
    found = judge.agreement(judge.judge(path, runs, noise=noise))
    assert found.predictor.values.tolist() == [*cells.PREDICTORS, cells.NOISY]
    assert found.attrs["order_usual"] == 1.0  # all measured orders have one sign here
    with pytest.raises(InputError, match="got 'no such cell'"):
        _parsed(run, ["noise", *where, "--cells", "no such cell"])


def test_leaving_out_the_one_cell_that_is_missed_explains_everything():
    measured = np.array([[1.0, 2.0], [3.0, 5.0], [2.0, 4.0]])  # cell, estimator
    predicted = measured * np.array([[1.0], [0.2], [1.0]])
    values = np.stack([measured, predicted])[..., None, None]
    names = ["bandit, a", "bandit, missed", "bandit, c"]
    coords = {"predictor": ["runs", "mean field"], "cell": names, "mark": [1.0], "k": [4]}
    gain = xr.DataArray(values, coords, ("predictor", "cell", "estimator", "mark", "k"))
    gain = gain.expand_dims(statistic=["mean", "low", "high"])
    parts = {q: gain if q == "beside" else gain.isel(estimator=0) for q in judge.QUANTITIES}
    shares = judge.leaving_one_out(xr.Dataset(parts), "mean field")
    assert list(shares) == names
    assert shares.pop("bandit, missed") == pytest.approx(1)
    assert max(shares.values()) < 0.5
    assert judge.leaving_one_out(xr.Dataset(parts).isel(cell=[0, 1]), "mean field") == {}


def test_a_damaged_file_of_predictions_is_refused(tmp_path):
    path = tmp_path / "predictions.json"
    path.write_text(json.dumps({"cells": []}))
    with pytest.raises(InputError, match="is not a file of"):
        files.read_predictions(path)


def test_the_design_has_four_competences_three_tasks_two_sizes_and_both_optimisers():
    every = [c for c in design.cells().values() if isinstance(c, cells.TransformerCell)]
    assert len({c.base.steps for c in every if c.base.task == "expression"}) >= 4
    assert len({c.base.task for c in every}) == 3
    assert len({(c.base.layers, c.base.width) for c in every}) == 2
    assert {c.optimizer for c in design.cells().values()} == {"sgd", "adam"}


@pytest.mark.slow
def test_the_law_says_what_the_runs_then_do_on_the_angle():
    config = replace(angle.Angle(), degrees=(0.0, 150.0), steps=60, records=12)
    names = ("grpo", "hard_focused", "easy_focused")
    said = angle.predicted(config, names, config.degrees).slope
    done = angle.measured(config, [4900, 4901], names).slope.mean("seed")
    for x in (said, done):
        hard, easy, grpo = (x.sel(estimator=n).values for n in ("hard_focused", "easy_focused", "grpo"))
        assert hard[0] < easy[0]
        assert hard[1] > easy[1]
        assert grpo[0] > 0 > grpo[1]
    turn, fall = angle.turning_angle(config), angle.falling_angle(config)
    near = angle.predicted(config, names, [turn - 9, turn + 9, fall - 3, fall + 3]).slope
    order = (near.sel(estimator="hard_focused") - near.sel(estimator="easy_focused")).values
    assert order[0] < 0 < order[1]
    assert near.sel(estimator="grpo").values[2] > 0 > near.sel(estimator="grpo").values[3]


@pytest.mark.slow
def test_the_command_says_it_in_one_sentence(tmp_path, monkeypatch, capsys):
    arguments = "predict --world bandit --prompts 8 --seeds 2 --ks 4 --estimators rloo"
    monkeypatch.setattr(sys, "argv", ["symtheory", *arguments.split(), "--out", str(tmp_path)])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 0
    said = capsys.readouterr().out.replace("\n", " ")
    assert "At equal pass@1, " in said
    assert "\N{HORIZONTAL ELLIPSIS}" not in said, "numbers are cut"
    assert (tmp_path / "law.png").stat().st_size > 10_000
    assert "Nothing was trained" in (tmp_path / "law.md").read_text()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--gain", "0"], r"gain must be a share of pass@1 in \(0, 1\), got 0"),
        (["--ks", "0"], "ks must be whole numbers of at least 1"),
        (["--prompts", "0"], "seeds and prompts must be at least 1"),
        (["--world", "tree", "--mix", "0", "1"], r"mix must be two positive numbers"),
        (["--world", "tree", "--mix", "inf", "1"], r"mix must be two positive numbers"),
        (["--group-size", "1"], "group-size must be at least 2, got 1"),
        (["--group-size", "2", "--estimators", "passk"], "group-size must be at least . for passk, got 2"),
        (["write", "--cells", "no such cell"], "cell must be one of the design .* got 'no such cell'"),
        (["judge", "--predictions", "nowhere.json"], "not a file of"),
        (["--model", "nowhere.npz"], "got nowhere.npz: no such file"),
        (["--model", "nowhere.npz", "--world", "tree"], "needs the world transformer"),
    ],
)
def test_bad_input_is_answered_in_one_sentence(arguments, words, tmp_path, monkeypatch):
    from symtheory.cli.predict import run

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["symtheory", "predict", *arguments])
    with pytest.raises(InputError, match=words):
        _parsed(run, arguments)


def test_a_base_model_of_another_size_is_refused_and_the_options_are_named(tmp_path):
    from symtheory.cli.predict import run

    base = Base("congruence", 1, 8)
    checkpoint.save(model.init(jax.random.key(0), base.model_config()), tmp_path / "base.npz")
    arguments = ["--model", str(tmp_path / "base.npz"), "--task", "congruence", "--width", "16", "--out", str(tmp_path)]
    with pytest.raises(InputError, match="name the task, layers and width"):
        _parsed(run, arguments)


def test_a_base_model_that_is_not_finite_is_refused(tmp_path):
    from symtheory.cli.predict import run

    params = model.init(jax.random.key(0), Base("congruence", 1, 8).model_config())
    checkpoint.save(jax.tree.map(lambda x: x * np.nan, params), tmp_path / "base.npz")
    arguments = ["--model", str(tmp_path / "base.npz"), "--task", "congruence", "--width", "8", "--out", str(tmp_path)]
    with pytest.raises(InputError, match="must hold finite parameters"):
        _parsed(run, arguments)


def said_of(hard, easy):
    """The sentence where two base policies say so of hard and of easy focus."""
    slope = np.array([hard, easy, easy], float)[:, :, None, None]
    coords = {"estimator": ["hard_focused", "easy_focused", "grpo"], "seed": [0, 1], "split": ["held_out"], "k": [16]}
    return figures.sentence(xr.Dataset({"slope": (("estimator", "seed", "split", "k"), slope)}, coords), 16)


def test_the_sentence_calls_slopes_equal_that_differ_by_rounding():
    assert "both foci keep as much pass@16" in said_of([1.0000001, 1.0000002], [1, 1])
    assert "hard focus keeps more pass@16 here" in said_of([1.1, 1.2], [1, 1])
    assert "no focus keeps clearly more" in said_of([1.1, 0.9], [1, 1.1])
    assert "about 170 points" in said_of([1, 1], [167, 167])


def _parsed(run, arguments):
    import tyro

    return tyro.cli(run, args=arguments)


def test_bins_are_named_by_their_edges():
    assert figures.bin_names(law.EDGES) == ["< 0.02", "0.02-0.2", "0.2-0.6", "> 0.6"]
