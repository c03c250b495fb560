"""The quick start runs and prints what it shows; `python tests/test_quickstart.py` saves it again."""

import base64
import contextlib
import io
import json
from pathlib import Path

import matplotlib
import pytest

NOTEBOOK = Path(__file__).parents[1] / "notebooks" / "quickstart.ipynb"


def cells():
    return json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]


def outputs(source, namespace):
    """What a code cell prints, and the figures that it shows, in the form in which a notebook keeps them."""
    from matplotlib import pyplot as plt

    printed, pictures = io.StringIO(), []

    def show():
        for number in plt.get_fignums():
            content = io.BytesIO()
            plt.figure(number).savefig(content, format="png", dpi=60, metadata={"Software": None})
            pictures.append(base64.b64encode(content.getvalue()).decode())
        plt.close("all")

    with contextlib.redirect_stdout(printed), pytest.MonkeyPatch.context() as patch:
        patch.setattr(plt, "show", show)
        exec(compile("".join(source), NOTEBOOK.name, "exec"), namespace)
    text = [{"output_type": "stream", "name": "stdout", "text": printed.getvalue().splitlines(True)}]
    data = [
        {"output_type": "display_data", "metadata": {}, "data": {"image/png": picture, "text/plain": ["<Figure>"]}}
        for picture in pictures
    ]
    return text * bool(printed.getvalue()) + data


def test_it_runs_and_prints_what_it_shows_and_keeps_its_pictures(tmp_path, monkeypatch):
    matplotlib.use("Agg")
    monkeypatch.chdir(tmp_path)
    namespace = {}
    for cell in (c for c in cells() if c["cell_type"] == "code"):
        made = outputs(cell["source"], namespace)
        kinds = [output["output_type"] for output in made]
        assert kinds == [output["output_type"] for output in cell["outputs"]], cell["source"]
        texts = [output["text"] for output in made if output["output_type"] == "stream"]
        assert texts == [output["text"] for output in cell["outputs"] if output["output_type"] == "stream"]


def test_it_has_ten_small_cells_that_jupyter_and_colab_read():
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    assert (notebook["nbformat"], notebook["metadata"]["kernelspec"]["name"]) == (4, "python3")
    assert len(notebook["cells"]) == 10
    assert NOTEBOOK.stat().st_size < 200_000
    source = "".join("".join(cell["source"]) for cell in notebook["cells"])
    assert "%" not in source.replace("%s", "")  # plain Python: what a test can run, every front end can
    assert {"id", "cell_type", "metadata", "source"} <= set(notebook["cells"][0])


if __name__ == "__main__":
    matplotlib.use("Agg")
    document, space = json.loads(NOTEBOOK.read_text(encoding="utf-8")), {}
    for count, cell in enumerate((c for c in document["cells"] if c["cell_type"] == "code"), 1):
        cell["execution_count"], cell["outputs"] = count, outputs(cell["source"], space)
    NOTEBOOK.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
