"""The largest values of an array, whatever order they come in."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ranking.top import SAMPLED_FROM, top


@given(seed=st.integers(0, 10_000), count=st.integers(0, 60), n=st.sampled_from([0, 1, 50, 3 * SAMPLED_FROM]))
def test_it_finds_the_largest_values_and_no_row_twice(seed, count, n):
    values = np.random.default_rng(seed).normal(size=n).astype(np.float32)
    rows = top(values, count)
    assert len(rows) == len(set(rows.tolist())) == min(count, n)
    assert sorted(values[rows].tolist()) == sorted(values.tolist())[n - len(rows) :]


@pytest.mark.parametrize("count", [5, 500])
def test_a_sample_that_misleads_changes_nothing(count):
    values = np.linspace(0, 1, 3 * SAMPLED_FROM).astype(np.float32)
    values[::16] = -1.0  # the sampled places say nothing of the rest
    assert set(values[top(values, count)]) == set(np.sort(values)[-count:])
    values[::16] = 2.0
    assert set(values[top(values, count)]) == {2.0}


def test_forbidden_rows_come_only_where_nothing_else_is_left():
    values = np.full(2 * SAMPLED_FROM, -np.inf, dtype=np.float32)
    values[[7, 4001]] = 1.0
    assert {7, 4001} <= set(top(values, 5).tolist())
