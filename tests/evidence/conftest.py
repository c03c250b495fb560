"""What the tests of a table share: the findings on the paper's own, computed once."""

import pytest

from symtheory.evidence import evidence, published


@pytest.fixture(scope="session")
def paper():
    """`evidence` of all published rows, in their order."""
    return evidence(published())
