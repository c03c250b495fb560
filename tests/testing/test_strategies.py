"""The strategies give what they promise, and shrink to what a reader can take in."""

import numpy as np
import pytest
from hypothesis import find, given, settings

from symtheory.testing import strategies as s

KINDS = [
    s.binary_groups,
    s.graded_groups,
    s.real_groups,
    s.degenerate_groups,
    s.near_degenerate_groups,
    s.duplicated_groups,
    s.extreme_groups,
]


@pytest.mark.parametrize("kind", KINDS, ids=lambda k: k.__name__)
def test_every_kind_of_group_is_a_finite_vector_of_the_size_asked_for(kind):
    @given(kind(4))
    @settings(max_examples=30, deadline=None)
    def holds(group):
        assert group.shape == (4,)
        assert group.dtype == np.float64
        assert np.isfinite(group**2).all()

    holds()


@given(s.near_degenerate_groups())
@settings(max_examples=50, deadline=None)
def test_near_degenerate_groups_are_not_degenerate(group):
    assert 0 < np.ptp(group) < 2e-3


@given(s.duplicated_groups())
@settings(max_examples=30, deadline=None)
def test_duplicated_groups_hold_every_reward_twice(group):
    counts = np.unique(group, return_counts=True)[1]
    assert (counts % 2 == 0).all()


@given(s.batches("unit"))
@settings(max_examples=50, deadline=None)
def test_unit_batches_stay_between_zero_and_one(batch):
    assert batch.ndim == 2
    assert ((batch >= 0) & (batch <= 1)).all()


def test_batches_shrink_to_the_smallest_group_that_shows_the_point():
    assert find(s.batches("real"), lambda r: len(np.unique(r)) > 1).tolist() in ([[0.0, 1.0]], [[1.0, 0.0]])
    assert find(s.batches("binary"), lambda r: (r.sum(-1) == 2).any()).tolist() == [[1.0, 1.0]]


@given(s.logits(3))
@settings(max_examples=20, deadline=None)
def test_logits_are_finite(h):
    assert h.shape == (3,)
    assert np.isfinite(h).all()
