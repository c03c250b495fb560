"""docs/check.md prints what it says."""

import pytest

from tests.test_docs import blocks, run_python


def test_the_page_prints_what_it_says():
    pytest.importorskip("torch")
    namespace: dict = {}
    ran = [(code, expected) for kind, code, expected in blocks("check") if kind == "python" and expected]
    assert len(ran) == 6
    for code, expected in ran:
        assert run_python(code, namespace) == expected
