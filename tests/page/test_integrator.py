"""The numbers of the explorable page are the package's: its own script, run by Node, beside `dynamics.mean_field`."""

import json
import re
import shutil
import subprocess

import jax
import numpy as np
import optax
import pytest

from symtheory import estimators
from symtheory.apps import difficulty as lab
from symtheory.apps import plane as point
from symtheory.dynamics import mean_field
from symtheory.dynamics.expected import slope
from symtheory.metrics.plane import Position
from symtheory.page import build
from symtheory.studies.interference import angle as conflict
from symtheory.worlds import make_bandit

NODE = shutil.which("node") or shutil.which("nodejs")
SIZE = 8
MIXED = "AIME 2025, Qwen2.5-Math-7B"


@pytest.fixture(scope="module")
def document():
    return build.page((SIZE,))


@pytest.fixture(scope="module")
def ask(document, tmp_path_factory):
    """Evaluate an expression of JavaScript in which `model` is the page's model."""
    if NODE is None:
        pytest.skip("no Node on this machine")
    folder = tmp_path_factory.mktemp("page")
    data = dict(re.findall(r'<script type="[^"]+" id="(header|values)">(.*?)</script>', document, re.DOTALL))
    (folder / "data.json").write_text(json.dumps(data))
    (folder / "model.js").write_text(build.template("model.js"))

    def evaluate(expression):
        code = (
            f"const {{Model, unpack, gains, crossing}} = require({json.dumps(str(folder / 'model.js'))});"
            f"const data = require({json.dumps(str(folder / 'data.json'))});"
            "const model = new Model(JSON.parse(data.header), unpack(data.values));"
            f"console.log(JSON.stringify({expression}, (k, v) => ArrayBuffer.isView(v) ? Array.from(v) : v));"
        )
        run = subprocess.run([NODE, "-e", code], capture_output=True, text=True, timeout=60)
        assert run.returncode == 0, run.stderr
        return json.loads(run.stdout)

    return evaluate


def paths_of(choice, population, shift):
    """pass@k [k, step] and entropy [step] of the package's mean field for a choice on the page."""
    success = lab.population(population, shift, build.SETTING.prompts)
    rate = lab.RATES["independent", "sgd"]
    if "name" in choice:
        paths = lab.expected(build.SETTING, success, [choice["name"]], rate)
    else:
        at = Position(choice["asymmetry"], choice["tilt"])
        paths = lab.expected(build.SETTING, success, ["plane"], rate, point.member(at, SIZE))
    one = paths.isel(seed=0, estimator=0).sel(population="train")
    return one.pass_at_k.transpose("k", "record").values, one.entropy.values


CASES = [
    ({"name": "grpo"}, "MATH, Qwen2.5-Math-7B", 0.0),
    ({"name": "agrae"}, "AIME 2025, Qwen2.5-Math-7B", 0.0),
    ({"name": "agrae_released"}, "AMC23, DeepSeek-R1-7B", 1.0),
    ({"name": "negative_dominant"}, "one difficulty", -2.0),
    ({"asymmetry": -0.63, "tilt": 0.137}, "MATH, DeepSeek-R1-7B", -1.0),
    ({"asymmetry": 0.9, "tilt": -0.42}, "AIME 2025, DeepSeek-R1-7B", 0.0),
]


def test_the_script_integrates_the_mean_field_of_the_package(ask):
    calls = [
        f"model.train({json.dumps(c)}, {SIZE}, {list(lab.POPULATIONS).index(p)}, {s}, model.rate)" for c, p, s in CASES
    ]
    for (choice, population, shift), shown in zip(CASES, ask(f"[{', '.join(calls)}]"), strict=True):
        passed, entropy = paths_of(choice, population, shift)
        assert np.abs(np.array(shown["pass"]) - passed).max() < 1e-3, choice
        assert np.abs(np.array(shown["entropy"]) - entropy).max() < 1e-3 * entropy.max(), choice
        assert np.ptp(passed[0]) > 0.01, "a path that does not move proves nothing"


def field_of(name, population):
    """pass@1 [step] of the package's mean field for any registered estimator, on prompts with logits of their own."""
    sgd = optax.sgd(lab.RATES["independent", "sgd"])

    @jax.jit
    def run(key):
        world = make_bandit(key, lab.population(population, 0.0, 32), trajectories=64, correct=8)
        return mean_field(world, estimators.get(name), sgd, SIZE, observe=world.success, steps=build.SETTING.steps)[1]

    return np.asarray(run(jax.random.key(0))).mean(-1)


@pytest.mark.parametrize("name", ["gdpo", "reinforce_pp_baseline"])
def test_a_spread_over_a_batch_of_mixed_difficulty_is_that_of_the_batch(name, ask):
    shown = ask(f"model.train({{name: '{name}'}}, {SIZE}, {list(lab.POPULATIONS).index(MIXED)}, 0, model.rate).pass[0]")
    assert np.abs(np.array(shown) - field_of(name, MIXED)).max() < 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("name", build.two_class())
def test_every_estimator_follows_its_mean_field(name, ask):
    shown = ask(f"model.train({{name: '{name}'}}, {SIZE}, {list(lab.POPULATIONS).index(MIXED)}, 0, model.rate).pass[0]")
    assert np.abs(np.array(shown) - field_of(name, MIXED)).max() < 1e-3


@pytest.mark.slow
def test_interpolated_slopes_are_the_registered_estimators(ask):
    rng = np.random.default_rng(0)
    success, others = rng.uniform(0, 1, 40), rng.uniform(0.05, 0.95, 40)
    names = list(build.two_class())
    p, o = json.dumps(success.tolist()), json.dumps(others.tolist())
    at_points = f"f => {p}.map((x, i) => f(x, {o}[i]))"
    shown = ask(f"{json.dumps(names)}.map(name => ({at_points})(model.slope({{name}}, {SIZE})))")
    batches = np.column_stack([success, np.tile(others[:, None], build.SETTING.prompts - 1)])
    program = jax.jit(jax.vmap(lambda batch: [slope(estimators.get(name), SIZE, batch)[0] for name in names]))
    for name, values, exact in zip(names, shown, program(batches), strict=True):
        assert np.abs(np.array(values) - exact).max() < 2e-3 * max(1, np.abs(exact).max()), name


def test_advantages_of_the_page_are_those_of_a_group(ask):
    table = ask(f"model.estimators.map(e => model.advantages(e, {SIZE}, 0.3))")
    for name, rows in zip(build.two_class(), table, strict=True):
        if "batch_independence" in estimators.get(name).laws or name in ("agrae", "ass", "ddas", "agrae_released"):
            exact = estimators.advantages([1.0] * 3 + [0.0] * 5, name, omega=0.3)
            np.testing.assert_allclose(rows[3], exact[[0, -1]], rtol=1e-6, atol=1e-7)


def test_equal_progress_reads_both_where_both_have_learnt_equally_much(ask):
    population = "MATH, Qwen2.5-Math-7B"
    success = lab.population(population, 0.0, build.SETTING.prompts)
    paths = lab.expected(build.SETTING, success, ["grpo", "hard_focused"], lab.RATES["independent", "sgd"])
    place = list(lab.POPULATIONS).index(population)
    trained = f"model.train({{name: '%s'}}, 8, {place}, 0, model.rate)"
    call = f"gains({trained % 'hard_focused'}, {trained % 'grpo'}, %r)"
    for by, moment in (("steps", "equal steps"), ("progress", "equal progress")):
        exact = lab.gain(paths, moment).pass_at_k.sel(estimator="hard_focused", population="train").values[0]
        assert np.abs(np.array(ask(call % by)) - exact).max() < 1e-3
        assert np.abs(exact).max() > 5e-3


def test_the_angle_shows_the_law_at_the_base_policy(ask):
    law = conflict.predicted(build.CONFLICT, degrees=build.DEGREES.tolist()).slope
    choices = [{"name": name} for name in conflict.ESTIMATORS]
    shown = np.array(ask(f"{json.dumps(choices)}.map(choice => model.byAngle(choice, {SIZE}))"))
    assert np.abs(shown - law.transpose("estimator", "degrees").values).max() < 1e-4
    falls = ask(f"crossing(model.angle.degrees, model.byAngle({{name: 'grpo'}}, {SIZE}))")
    assert law.interp(degrees=falls).sel(estimator="grpo") == pytest.approx(0, abs=1e-3)
    assert falls == pytest.approx(conflict.falling_angle(build.CONFLICT), abs=3)  # the theorem is for large k
    difference = ask(f"model.byAngle({{name: 'agrae'}}, {SIZE}).map((v, i) => v - {shown[0].tolist()}[i])")
    assert np.ptp(difference) > 0.01


def test_tables_are_kept_and_found_again(document, monkeypatch):
    monkeypatch.setattr(build, "slopes_in_batch", lambda *_: pytest.fail("computed again"))
    assert build.page((SIZE,)) == document


def test_the_script_names_no_estimator_but_the_origin():
    script = build.template("model.js") + build.template("page.js")
    named = {name for name in estimators.names() if re.search(rf"\b{name}\b", script)}
    assert named <= {"grpo"}


def test_the_page_loads_nothing_and_is_small(document):
    assert len(document.encode()) < 2_000_000
    assert not re.findall(r'(?:src|href)="(?!https://arxiv\.org|#|data:|\$)[^"]+"|@import|url\((?!data:)', document)
    assert "{{" not in document


def test_a_group_size_below_two_is_refused():
    with pytest.raises(build.InputError, match="at least 2, got"):
        build.page((1,))
