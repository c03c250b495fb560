"""The explorable page as a reader has it: opened from disk in headless Chromium, dragged, held against the package."""

import re

import numpy as np
import pytest

from symtheory import estimators
from symtheory.apps import difficulty as lab
from symtheory.apps import plane as point
from symtheory.figures.style import look
from symtheory.metrics.plane import Position
from symtheory.page import build
from symtheory.studies.interference import angle as conflict

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "plane.html"
    path.write_text(build.page((2, 8)))
    return path.as_uri()


@pytest.fixture
def open_page(address, chromium):
    """Open the page at a state; whatever it asks of the network or complains about fails the test."""
    contexts, wrong = [], []

    def opened(state="", width=1300, scheme="light", **options):
        contexts.append(chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, **options))
        page = contexts[-1].new_page()
        page.on("console", lambda m: wrong.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda e: wrong.append(str(e)))
        page.on("request", lambda r: wrong.append(r.url) if not r.url.startswith(("file:", "data:", "blob:")) else None)
        page.goto(address + state)
        page.wait_for_selector("#entropy path")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert not wrong


def trained(page):
    """pass@k [k, step] and entropy [step] of the choice, as the page has just drawn them."""
    page.wait_for_timeout(100)
    shown = page.evaluate("symtheory.train().map(t => [t.pass.map(x => [...x]), [...t.entropy]])")[0]
    return np.array(shown[0]), np.array(shown[1])


def test_a_drag_shows_the_mean_field_of_the_package(open_page):
    page = open_page("#at=0,0&population=MATH, Qwen2.5-Math-7B")
    ring = page.locator("#ring").bounding_box()
    x, y = ring["x"] + ring["width"] / 2, ring["y"] + ring["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x - 120, y - 70, steps=12)
    page.mouse.up()
    passed, entropy = trained(page)
    asymmetry, tilt = page.evaluate("[symtheory.state.choice.asymmetry, symtheory.state.choice.tilt]")
    assert asymmetry < -0.2
    assert tilt > 0.05
    success = lab.population("MATH, Qwen2.5-Math-7B", 0.0, build.SETTING.prompts)
    member = point.member(Position(asymmetry, tilt), 8)
    exact = lab.expected(build.SETTING, success, ["plane"], lab.RATES["independent", "sgd"], member)
    exact = exact.isel(seed=0, estimator=0).sel(population="train")
    assert np.abs(passed - exact.pass_at_k.transpose("k", "record").values).max() < 1e-3
    assert np.abs(entropy - exact.entropy.values).max() < 1e-3
    page.wait_for_timeout(400)
    assert f"at={asymmetry:g},{tilt:g}" in page.url


@pytest.mark.parametrize("name", ["hard_focused", "agrae", "w_reinforce"])
def test_a_state_in_the_address_is_an_estimator_with_its_own_curves(name, open_page):
    page = open_page(f"#estimator={name}&population=AMC23, Qwen2.5-Math-7B&shift=-1&rate=2")
    success = lab.population("AMC23, Qwen2.5-Math-7B", -1.0, build.SETTING.prompts)
    exact = lab.expected(build.SETTING, success, [name], 2 * lab.RATES["independent", "sgd"])
    passed, _ = trained(page)
    exact = exact.isel(seed=0, estimator=0).sel(population="train").pass_at_k.transpose("k", "record").values
    assert np.abs(passed - exact).max() < 1e-3
    assert page.locator("#estimator").input_value() == name


def test_keys_move_the_ring_and_bring_it_home(open_page):
    page = open_page("#at=0.5,0.1")
    page.locator("#ring").focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Shift+ArrowUp")
    assert page.evaluate("symtheory.state.choice") == {"asymmetry": 0.48, "tilt": 0.15}
    page.keyboard.press("Home")
    page.wait_for_timeout(100)
    assert page.evaluate("symtheory.state.choice") == {"asymmetry": 0, "tilt": 0}
    assert "asymmetry 0.00, tilt 0.00" in page.locator("#ring").get_attribute("aria-valuetext")


def test_a_toggled_group_shows_every_estimators_advantages(open_page):
    page = open_page("#group=11100000&omega=0.3")
    page.locator("#rollouts button").nth(4).click()
    for name in ("grpo", "agrae", "maxrl"):
        row = page.locator("#rows tr").filter(has=page.locator(f"button[data-name={name}]"))
        exact = estimators.advantages([1.0] * 4 + [0.0] * 4, name, omega=0.3)
        said = [float(row.locator("td").nth(i).inner_text().replace("−", "-")) for i in (2, 3)]
        np.testing.assert_allclose(said, exact[[0, -1]], atol=0.005)
    assert page.locator("#rows tr").count() == len(build.two_class())


def test_the_angle_turns_the_order_and_says_where_grpo_falls(open_page):
    page = open_page("#estimator=hard_focused&angle=120")
    order = page.locator("#order text").all_text_contents()
    slider = page.locator("#angle")
    slider.focus()
    slider.press("Home")
    page.wait_for_timeout(100)
    law = conflict.predicted(build.CONFLICT, degrees=[0.0, 120.0]).slope
    for texts, degrees in ((page.locator("#order text").all_text_contents(), 0), (order, 120)):
        at = law.sel(degrees=degrees)
        names = [name for name in texts if name in {look(n)["label"] for n in conflict.ESTIMATORS}]
        assert names == [look(str(n))["label"] for n in at.estimator.values[np.argsort(-at.values)]]
    assert page.evaluate("symtheory.state.angle") == 0
    said = page.locator("#angleread").inner_text()
    falls = float(re.search(r"GRPO falls below its base policy from (\d+)°", said)[1])
    assert falls == pytest.approx(conflict.falling_angle(build.CONFLICT), abs=3)
    page.wait_for_timeout(400)
    assert "angle=0" in page.url


def test_an_estimator_without_a_place_at_a_group_size_is_left_out(open_page):
    page = open_page("#estimator=passk&size=8")
    page.locator("#size button", has_text=re.compile("^2$")).click()
    page.wait_for_timeout(200)
    assert page.locator("#estimator").input_value() == ""
    assert page.locator("#rows tr").count() == sum(build.defined(name, 2) for name in build.two_class())


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_everything_in_its_width_and_a_finger_drags(scheme, open_page):
    page = open_page("#at=0,0", width=390, scheme=scheme, has_touch=True)
    page.wait_for_function("document.getElementById('scale').textContent.startsWith('Colour')", timeout=60_000)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    box = page.locator("#plane").bounding_box()
    page.touchscreen.tap(box["x"] + 0.75 * box["width"], box["y"] + 0.3 * box["height"])
    page.wait_for_timeout(100)
    assert page.evaluate("symtheory.state.choice.asymmetry") > 0.2
    ink, paper = page.evaluate("['color', 'backgroundColor'].map(k => getComputedStyle(document.body)[k])")
    brightness = [sum(map(float, re.findall(r"[\d.]+", c)[:3])) for c in (ink, paper)]
    assert (brightness[0] > brightness[1]) == (scheme == "dark")


def test_pictures_are_saved_as_svg_and_png(open_page, tmp_path):
    page = open_page()
    for kind, begin in (("svg", b"<svg"), ("png", b"\x89PNG")):
        with page.expect_download() as download:
            page.locator(f"#{kind}").click()
        download.value.save_as(tmp_path / f"picture.{kind}")
        content = (tmp_path / f"picture.{kind}").read_bytes()
        assert content.startswith(begin)
        assert len(content) > 10_000
