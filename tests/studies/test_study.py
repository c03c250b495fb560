"""The controlled study: it starts at published difficulty, resumes, and its verdicts follow from their intervals."""

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

from symtheory.claims import effects as claims
from symtheory.evidence import published
from symtheory.metrics.intervals import bootstrap
from symtheory.metrics.passk import pass_at_k
from symtheory.storage import store
from symtheory.studies import controlled as study

SMALL = study.Study(
    prompts=16,
    heldout=8,
    trajectories=32,
    correct=4,
    features=8,
    records=3,
    stride=2,
)
SEEDS = [0, 1, 2, study.FRESH_SEEDS, study.FRESH_SEEDS + 1]


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    import jax

    folder = tmp_path_factory.mktemp("study")
    with jax.enable_x64(False):
        return folder, study.run(SMALL, SEEDS, folder)


def test_base_population_reproduces_the_published_row():
    for benchmark in study.BENCHMARKS:
        (row,) = published(table="table3", dataset=benchmark, method="Base Model")
        p = study.difficulty("table3", benchmark, 64)
        simulated = pass_at_k(p[:, None], row.ks).mean(0)
        assert (
            np.abs(simulated - row.values).max() < 1 / (2 * 64) + 0.005
        )  # quantiles of 64 prompts, clipping, rounding


def test_a_study_is_labelled_and_begins_at_the_base_policy(small):
    _, data = small
    assert data.sizes == {"seed": 5, "estimator": 15, "record": 4, "population": 4, "k": 9, "interval": 3}
    start = data.pass_at_k.isel(record=0)
    assert float(start.astype(float).std(["seed", "estimator"]).max()) < 1e-6
    assert (data.pass_at_k.diff("k") >= -1e-6).all()
    assert data.pass_at_k.attrs["units"] == "probability"


def test_each_population_starts_at_its_own_difficulty(small):
    """jax sorts the keys of a dict, which would swap populations."""
    _, data = small
    start = data.pass_at_k.isel(record=0, seed=0, estimator=0).sel(k=1)
    expected = [study.difficulty("table3", "MATH", 16).mean()]
    expected += [study.difficulty("table3", benchmark, 8).mean() for benchmark in study.BENCHMARKS]
    np.testing.assert_allclose(start, expected, rtol=1e-5)


def test_another_start_runs_the_same_programs(small, tmp_path, monkeypatch):
    import jax

    _, data = small
    monkeypatch.setattr(study, "quick_jit", lambda function: pytest.fail("another program was made"))
    with jax.enable_x64(False):
        other = study.run(replace(SMALL, start="table5"), [0], tmp_path)
    assert float(other.correct.mean()) > float(data.sel(seed=0).correct.mean()), "DeepSeek-R1-7B is better at MATH"


def test_methods_of_one_seed_share_their_first_draws(small):
    _, data = small
    first = data.correct.isel(interval=0)
    grpo = first.sel(estimator="grpo")
    assert float(abs(first.sel(estimator="dapo") - grpo).max()) < 0.1, "paired: the first of two batches is the same"
    assert float(grpo.std("seed")) > 0


def test_finished_seeds_are_not_run_again(small, monkeypatch):
    folder, data = small
    monkeypatch.setattr(store, "keep", lambda *arguments: pytest.fail("a finished seed was run again"))
    import jax

    with jax.enable_x64(False):
        again = study.run(SMALL, SEEDS, folder)
    assert again.identical(data)


def test_the_order_in_which_seeds_are_asked_for_does_not_change_their_numbers(small, tmp_path):
    import jax

    _, data = small
    with jax.enable_x64(False):
        others = study.run(SMALL, [SEEDS[3], 1], tmp_path)
    assert others.drop_attrs().identical(data.sel(seed=[SEEDS[3], 1]).drop_attrs())


def paths(values):
    """A study [seed, estimator, record] in which every quantity is `values`."""
    values = np.asarray(values, float)
    dims = ("seed", "estimator", "record")
    base = xr.DataArray(values, dims=dims)
    k = xr.DataArray([1.0, 1.0], dims="k", coords={"k": [1, 256]})
    population = xr.DataArray(np.ones(4), dims="population", coords={"population": ["train", *study.BENCHMARKS]})
    variables = {"pass_at_k": base * population * k, "entropy": base * population}
    variables |= {"greedy": base * population}
    return xr.Dataset(variables, {"seed": np.arange(len(values)), "estimator": ["a", "b"][: values.shape[1]]})


def test_matched_budget_reads_each_method_where_it_first_reaches_the_common_level():
    data = paths([[[0.1, 0.3, 0.5, 0.9], [0.1, 0.2, 0.3, 0.4]]])
    data["entropy"] = data.entropy * 0 + xr.DataArray([3.0, 2.0, 1.0, 0.0], dims="record")
    matched = claims.at_matched_budget(data, ("a", "b"))
    np.testing.assert_allclose(matched.pass_at_k.sel(population="train", k=1), [[0.4, 0.4]])
    np.testing.assert_allclose(matched.entropy.sel(population="train"), [[1.5, 0.0]])


def test_matched_budget_of_a_method_that_peaks_and_falls_is_read_on_the_way_up():
    matched = claims.at_matched_budget(paths([[[0.1, 0.6, 0.2, 0.2], [0.1, 0.2, 0.3, 0.8]]]), ("a", "b"))
    np.testing.assert_allclose(matched.pass_at_k.sel(population="train", k=1), [[0.6, 0.6]])


def test_every_claim_can_be_read_off_a_study(small):
    _, data = small
    for measure in claims.MEASURES:
        readings = claims.effects(data, measure)
        assert len(readings) == (1 if measure.whole_path else 2)
        for values in readings.values():
            assert values.shape == (len(SEEDS), len(measure.parts))
            assert np.isfinite(values).all(), measure.id
    record = claims.recorded({"first": data}, "symtheory reproduce")
    assert set(record["settings"]["first"]["claims"]) == {m.id for m in claims.MEASURES}


def test_bootstrap_intervals_cover_the_mean_about_as_often_as_they_say():
    rng = np.random.default_rng(1)
    hits = [i.low < 0 < i.high for i in (bootstrap(rng.normal(size=20)) for _ in range(300))]
    assert 0.88 < np.mean(hits) < 0.98  # percentile intervals of 20 seeds are a little narrow
