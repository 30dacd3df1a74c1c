"""One walk in whole steps finds what products of floats find, for anybody's queries at once."""

import numpy as np
import pytest

from ranking.fast import near as module
from ranking.fast.near import near
from ranking.nearby import Exact

pytestmark = pytest.mark.skipif(near() is None, reason="needs the extra fast")

SEED = 20_261_126


def found(queries, counts, vectors, allowed, whose):
    made = Exact(vectors)
    open_rows = allowed.sum(axis=1)
    rows, ends = near()(
        np.ascontiguousarray(queries), np.array(counts), vectors, made.codes, made.steps, allowed, whose, open_rows
    )
    return np.split(rows, ends[:-1])


def check(queries, counts, vectors, allowed, whose):
    """As products in double precision have it, give or take what floats cannot tell apart."""
    for query, count, user, rows in zip(
        queries, counts, whose, found(queries, counts, vectors, allowed, whose), strict=True
    ):
        products = vectors.astype(np.float64) @ query.astype(np.float64)
        open_rows = np.flatnonzero(allowed[user])
        wanted = np.sort(products[open_rows])[::-1][:count]
        assert len(rows) == len(wanted) == len(set(rows.tolist())), f"seed {SEED}"
        assert allowed[user][rows].all(), f"seed {SEED}"
        np.testing.assert_allclose(np.sort(products[rows])[::-1], wanted, rtol=0, atol=1e-5 * np.abs(query).sum())


@pytest.mark.parametrize("dim", [1, 5, 64, 100, 600])
@pytest.mark.parametrize("items", [3, 300, 9000])
def test_it_is_exact_for_several_users_at_once(dim, items):
    rng = np.random.default_rng(SEED + dim)
    vectors = rng.normal(size=(items, dim)).astype(np.float32) * rng.lognormal(size=(items, 1)).astype(np.float32)
    queries = rng.normal(size=(6, dim)).astype(np.float32) * np.float32([[1], [1e-6], [1e6], [1], [1], [0]])
    allowed = rng.random((3, items)) < np.array([[1.0], [0.5], [0.01]])
    check(queries, [200, 10, 40, 0, items, 7], vectors, allowed, np.array([0, 0, 1, 1, 2, 2]))


@pytest.mark.parametrize("kind", ["the sample is far", "the sample alone is near", "all the same", "nothing"])
def test_a_sample_that_misleads_costs_time_and_nothing_else(kind):
    rng = np.random.default_rng(SEED)
    vectors, query = rng.normal(size=(20_000, 8)).astype(np.float32), np.ones((1, 8), np.float32)
    sampled = np.arange(len(vectors)) % module.SAMPLE_STRIDE == 0
    if kind == "the sample is far":
        vectors[sampled] -= 10
    elif kind == "the sample alone is near":
        vectors[sampled] += 10
        vectors[np.flatnonzero(sampled)[::2]] -= 20
    elif kind == "all the same":
        vectors[:] = 1.0
    else:
        vectors[:] = 0.0
    everything = np.ones((1, len(vectors)), np.bool_)
    check(query, [700], vectors, everything, np.array([0]))
    if kind in ("all the same", "nothing"):
        rows = found(query, [700], vectors, everything, np.array([0]))[0]
        assert sorted(rows.tolist()) == list(range(700)), "of equals the first"


def test_what_has_no_query_gets_nothing():
    vectors = np.ones((10, 4), np.float32)
    rows, ends = near()(
        np.empty((0, 4), np.float32), np.empty(0, np.int64), vectors, Exact(vectors).codes, Exact(vectors).steps,
        np.ones((2, 10), np.bool_), np.empty(0, np.int64), np.array([10, 10]),
    )  # fmt: skip
    assert len(rows) == len(ends) == 0
