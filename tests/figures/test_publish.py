"""Pictures are drawn when what they show or how they are drawn has changed, and only then."""

import pytest

from symtheory.figures import orderings
from symtheory.figures.publish import drawing, save


@pytest.fixture
def table(tmp_path):
    """(dataset, path, function that draws it once more and gives the bytes and the time of its picture)"""
    dataset = orderings.table4(None)
    dataset.attrs.update(title="Table 4", command="none")
    path = tmp_path / "table4"

    def drawn(pdf=False):
        save(dataset, path)
        reports = []
        with drawing(tmp_path / "cache", pdf, lambda: reports.append(1), processes=0) as draw:
            draw("orderings", path)
        assert reports == [1]
        picture = path.with_suffix(".png")
        return picture.read_bytes(), picture.stat().st_mtime_ns

    return dataset, path, drawn


def test_an_unchanged_picture_is_not_drawn_again_and_a_damaged_one_is(table):
    _, path, drawn = table
    first = drawn()
    assert drawn() == first
    path.with_suffix(".png").write_bytes(first[0][:100])
    again = drawn()
    assert again[0] == first[0]
    assert again[1] > first[1]


def test_a_changed_dataset_and_changed_drawing_code_are_drawn_again(table, monkeypatch):
    dataset, _, drawn = table
    first = drawn()
    dataset["published"] = dataset.published * 0.9
    second = drawn()
    assert second[0] != first[0]
    monkeypatch.setattr("symtheory.storage.provenance.code_of", lambda *functions: "changed")
    assert drawn()[1] > second[1]


def test_a_pdf_comes_on_request_and_leaves_the_png_as_it_is(table):
    _, path, drawn = table
    first = drawn()
    assert not path.with_suffix(".pdf").exists()
    assert drawn(pdf=True)[0] == first[0]
    assert path.with_suffix(".pdf").read_bytes().startswith(b"%PDF")
