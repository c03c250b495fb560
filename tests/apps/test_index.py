"""The index of the laboratories, without a browser."""

import xml.etree.ElementTree as ElementTree

import pytest

from symtheory import paths
from symtheory.apps import index


def test_every_notebook_has_a_card():
    assert {card.name for card in index.CARDS} == {path.stem for path in paths.notebooks().glob("*.py")}


@pytest.mark.parametrize("card", index.CARDS, ids=lambda card: card.name)
def test_a_card_has_a_picture_that_follows_the_page_and_a_question(card):
    picture = ElementTree.fromstring(index.picture(card.name))
    assert picture.tag.endswith("svg")
    assert "currentColor" in index.picture(card.name)
    assert card.question.endswith("?")
    assert f'href="{card.name}/"' in index.page()


@pytest.mark.parametrize("name", ["plane", "estimator"])
def test_a_saved_miniature_is_what_the_app_draws(name):
    assert index.draw()[name]().strip() == index.picture(name).strip()
