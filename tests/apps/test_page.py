"""Charts, colours and the gallery."""

import itertools
import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from symtheory.apps import svg as page
from symtheory.claims.judge import Cell, Part
from symtheory.claims.ledger import Claim, Finding
from symtheory.errors import InputError
from symtheory.figures import gallery
from symtheory.figures.style import look

MAIN = ("grpo", "positive_dominant", "negative_dominant", "easy_focused", "hard_focused", "ddas", "ass", "agrae")
LIGHT, DARK = (1.0, 1.0, 1.0), (0.094, 0.110, 0.102)  # backgrounds of the apps
DEUTERANOPIA = [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
PROTANOPIA = [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
"""Machado, Oliveira, Fernandes 2009, severity 1, on linear RGB."""


TO_CONE = [
    [0.41222147, 0.53633254, 0.05144599],
    [0.21190350, 0.68069955, 0.10739696],
    [0.08830246, 0.28171884, 0.62997870],
]
TO_LAB = [
    [0.21045426, 0.79361779, -0.00407205],
    [1.97799850, -2.42859221, 0.45059371],
    [0.02590404, 0.78277177, -0.80867577],
]
"""Ottosson's OKLab: linear RGB to cones, and cube roots of those to lightness and two hues."""
EYES = {"all": np.eye(3), "deuteranopia": DEUTERANOPIA, "protanopia": PROTANOPIA}


def linear(rgb):
    rgb = np.asarray(rgb, float)
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def oklab(lin):
    return np.array(TO_LAB) @ np.cbrt(np.array(TO_CONE) @ np.maximum(lin, 0))


def shown(name, ground):
    """Linear RGB of an estimator on a page of this ground: `page.ink` mixes its colour with that of the text."""
    text = oklab(linear(np.full(3, 0.93 if ground == DARK else 0.07)))
    colour = look(name)["color"]
    own = text if colour == "#000000" else (1 - page.MIXED) * oklab(linear(to_rgb(colour))) + page.MIXED * text
    return np.linalg.solve(TO_CONE, np.linalg.solve(TO_LAB, own) ** 3)


@pytest.mark.parametrize("ground", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("eye", EYES)
def test_estimators_differ_in_colour_for_every_eye_or_in_line(ground, eye):
    near = []
    for a, b in itertools.combinations(MAIN, 2):
        one, other = (oklab(np.array(EYES[eye]) @ shown(name, ground)) for name in (a, b))
        distance = float(np.linalg.norm(one - other))
        if distance < 0.08 and look(a)["linestyle"] == look(b)["linestyle"]:
            near.append((a, b, round(distance, 3)))
    assert not near


def contrast(name, ground):
    """WCAG contrast of an estimator's colour with the page."""
    luminance = np.array([0.2126, 0.7152, 0.0722])
    a, b = luminance @ shown(name, ground), luminance @ linear(ground)
    return (max(a, b) + 0.05) / (min(a, b) + 0.05)


@pytest.mark.parametrize("ground", [LIGHT, DARK], ids=["light", "dark"])
def test_lines_stand_out_from_the_page(ground):
    assert {n: round(contrast(n, ground), 2) for n in MAIN if contrast(n, ground) < 2.2} == {}


def test_a_chart_is_well_formed_escapes_what_it_is_given_and_has_a_text_for_those_who_cannot_see():
    marks = [
        page.curve([0, 1, 2], [0.0, np.nan, 1.0], "grpo"),
        page.text(1, 0.5, "<a&b>"),
        page.bars([1], [-2.0], ["red"]),
    ]
    svg = page.chart("p < q", marks, x="x & y", zero=True, alt='say "so"')
    root = ElementTree.fromstring(svg)
    assert root.attrib["aria-label"] == 'say "so"'
    texts = ["".join(t.itertext()) for t in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"p < q", "x & y", "<a&b>"} <= set(texts)
    assert "nan" not in svg


def test_marks_lie_where_their_data_are():
    svg = page.chart("t", [page.dots([0, 1], [0, 1], "red")], x_limits=(0, 1), y_limits=(0, 1), width=400, height=300)
    centres = re.findall(r'<circle cx="([\d.]+)" cy="([\d.]+)"', svg)
    assert [(float(x), float(y)) for x, y in centres] == [
        (page.LEFT, 300 - page.BOTTOM),
        (400 - page.RIGHT, page.TOP),
    ]


def test_a_logarithmic_axis_puts_doublings_at_equal_distances():
    svg = page.chart("t", [page.dots([1, 2, 4, 8], [0, 0, 0, 0], "red")], log_x=True)
    x = [float(v) for v in re.findall(r'<circle cx="([\d.]+)"', svg)]
    np.testing.assert_allclose(np.diff(x), np.diff(x)[0], atol=0.2)


@pytest.fixture
def figures(tmp_path):
    folder = tmp_path / "figures"
    (folder / "full").mkdir(parents=True)
    (folder / "cache").mkdir()
    png = b"\x89PNG\r\n\x1a\n-not-drawn"
    for name in ("full/fig10", "full/fig2", "cache/left_out"):
        (folder / f"{name}.png").write_bytes(png)
    text = "# Ways <of> it\n\nIt **is** `so`.\n\n- one\n- *two*\n\nMade by `symtheory reproduce --only fig2`.\n"
    (folder / "full/fig2.md").write_text(text)
    (folder / "full/table1.md").write_text("# A table\n\n| a | b |\n|---|---|\n| 1 | 2 |\n")
    return folder


CLAIM = Claim("fig2_x", "Fig. 2", "It rises.", "It rises.", experiment=("bandit",), unit="points", margin=1.0)
CELL = Cell("reversed", (Part(-3.0, -4.0, -2.0, 1.0, 0.0, 1.0),), 40, CLAIM.rule)
FOUND = {"fig2_x": (Finding("bandit", "first", {"over the path": CELL}, ("against GRPO",), "c"),)}


def test_the_gallery_shows_every_figure_in_reading_order_with_verdict_and_command(figures):
    entries = gallery.collect(figures)
    assert [e.name for e in entries] == ["fig2", "fig10", "table1"]
    shown = gallery.page(entries, [CLAIM], FOUND, ["full/fig2"])
    assert "symtheory reproduce --only fig2" in shown
    assert '<span class="reversed" title="over the path reversed (-3 [-4, -2] points' in shown
    assert ">bandit: reversed</span>" in shown
    assert "Ways &lt;of&gt; it" in shown
    assert "<strong>is</strong> <code>so</code>" in shown
    assert "<li><em>two</em></li>" in shown
    assert "<td>1</td><td>2</td>" in shown
    assert shown.count("<img ") == 2 == shown.count("data:image/png;base64")
    assert shown.count('alt="') == 2
    assert not re.search(r"(src|href)=\"(https?:)?//|<script|<link|@import", shown)


def test_a_folder_without_figures_is_told_how_to_make_some(tmp_path):
    with pytest.raises(InputError, match="symtheory reproduce"):
        gallery.collect(tmp_path)
