"""Each app in headless Chromium: it loads, answers a slider, and an error does not take it down."""

import itertools
import re
import urllib.error
import urllib.request

import numpy as np
import pytest
import xarray as xr

from symtheory.apps import difficulty as lab

pytestmark = pytest.mark.slow
SLIDERS = {
    "plane": "asymmetry",
    "difficulty": "difficulty",
    "one_step": "step size",
    "tree": "step",
    "estimator": "omega",
    "replay": "record",
    "regimes": "false positives",
}


def small_replay(path):
    """Two seeds of random numbers in the shape of a replay."""
    rng = np.random.default_rng(0)
    dims = ("estimator", "seed", "step", "split", "prompt")
    shape = (2, 2, 3, 2, 8)
    data = {name: (dims, rng.uniform(size=shape)) for name in ("success", "success_cut", "greedy", "entropy")}
    coords = {"estimator": ["grpo", "ddas"], "seed": [0, 1], "step": [0, 10, 20], "split": ["train", "held_out"]}
    xr.Dataset(data, coords, {"samples": 0}).to_netcdf(path, engine="h5netcdf")


@pytest.fixture
def replay_file(tmp_path):
    small_replay(tmp_path / "small.nc")
    return tmp_path / "small.nc"


def name_the_file(app, path):
    box = app.page.locator("marimo-text input").first
    box.wait_for(timeout=60_000)
    box.fill(str(path))
    box.press("Enter")
    app.wait()


@pytest.mark.parametrize("name", SLIDERS)
def test_an_app_loads_without_an_error_and_answers_a_slider(name, open_app, replay_file, tmp_path):
    app = open_app(name)
    if name == "replay":
        name_the_file(app, replay_file)
    app.wait()
    app.page.get_by_text("Slider to picture").wait_for()
    key = "ArrowLeft" if name == "replay" else "ArrowRight"
    app.press(SLIDERS[name], key)
    seconds = [app.press(SLIDERS[name], key) for _ in range(1 if name == "replay" else 3)]
    app.page.screenshot(path=tmp_path / f"{name}.png", full_page=True)
    assert (tmp_path / f"{name}.png").stat().st_size > 20_000
    assert app.page.get_by_text("Slider to picture").count() == 1
    assert not app.errors
    assert not app.outside
    print(f"{name}: key to changed charts {np.median(seconds):.3f} s")


def test_sampled_runs_show_progress_and_stop(open_app):
    app = open_app("difficulty")
    app.wait()
    app.page.get_by_role("button", name="Run sampled groups").click()
    app.page.get_by_text("sampled runs, shade").wait_for(timeout=120_000)
    app.page.get_by_role("button", name="Stop").click()
    app.page.wait_for_timeout(4000)
    stopped = app.page.get_by_text("sampled runs, shade").inner_text()
    assert 1 <= int(re.search(r"mean of (\d+) of", stopped)[1]) < lab.SEEDS
    app.page.wait_for_timeout(2000)
    assert app.page.get_by_text("sampled runs, shade").inner_text() == stopped
    app.press("difficulty")
    assert app.page.get_by_text("sampled runs, shade").count() == 0
    assert not app.errors


def test_typed_errors_are_shown_with_their_line_and_the_app_goes_on(open_app):
    app = open_app("estimator")
    app.wait()
    editor = app.page.locator(".cm-content").first

    def run(code):
        editor.click()
        app.page.keyboard.press("Control+a")
        app.page.keyboard.insert_text(code)
        app.page.get_by_role("button", name="Run").click()

    run("def f(a, g, op):\n    return a * g.men\n\n\nlinks = (center, f)\n")
    app.page.get_by_text("'Group' object has no attribute 'men'").wait_for(timeout=60_000)
    run("links = (center,)\n")
    app.page.get_by_text("On the symmetry plane").wait_for(timeout=60_000)
    app.page.get_by_text("zero_sum").first.wait_for(timeout=60_000)
    app.press("omega")
    assert not app.errors


def test_a_missing_replay_is_said_and_another_file_opens(open_app, replay_file):
    app = open_app("replay")
    app.page.get_by_text("no result at results/replay/training-ci.nc").wait_for(timeout=60_000)
    name_the_file(app, replay_file)
    assert not app.errors


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_one_chart_below_the_other_in_the_colours_of_its_scheme(open_app, scheme):
    app = open_app("plane", width=390, scheme=scheme)
    app.wait()
    boxes = app.page.evaluate(
        "[...document.querySelectorAll('svg.chart')].map(e => e.getBoundingClientRect().toJSON())"
    )
    assert all(b["left"] >= 0 and b["right"] <= 390 for b in boxes)
    assert all(a["bottom"] <= b["top"] for a, b in itertools.pairwise(boxes))
    ink, paper = app.page.evaluate(
        "[getComputedStyle(document.querySelector('svg.chart text')).fill, "
        "getComputedStyle(document.body).backgroundColor]"
    )
    assert (brightness(ink) > brightness(paper)) == (scheme == "dark")
    assert abs(brightness(ink) - brightness(paper)) > 0.6


def brightness(colour: str) -> float:
    """Mean of red, green and blue in [0, 1] of a computed CSS colour."""
    levels = [float(x) for x in re.findall(r"[\d.]+", colour)[:3]]
    return sum(levels) / 3 / (1 if "srgb" in colour else 255)


@pytest.mark.parametrize("name", ["", "plane/", "plane/ws", "plane/?access_token=guess"])
def test_nobody_without_the_token_is_served(name, served):
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(served("").partition("?")[0] + name)
    assert refused.value.code == 403
    assert b"asymmetry" not in refused.value.read()


@pytest.mark.parametrize("width", [390, 1300])
def test_the_index_has_a_card_with_picture_title_and_question_for_every_app(width, open_app):
    page = open_app("", width=width)
    page.wait("a.card")
    assert "access_token" not in page.page.url
    for name in SLIDERS:
        card = page.page.locator(f"a.card[href='{name}/']")
        box = card.locator("svg").bounding_box()
        assert box["width"] > 200
        assert box["x"] + box["width"] <= width
        assert card.locator("h2").inner_text()
        assert card.locator(".ask").inner_text().endswith("?")
    page.page.locator("a.card[href='one_step/']").click()
    page.wait()
    assert not page.errors
    assert not page.outside
