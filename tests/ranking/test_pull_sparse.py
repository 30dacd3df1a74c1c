"""In a large catalogue only what is reached is kept, and nothing else differs."""

from dataclasses import replace

import numpy as np
import pytest

from interests.compiled import numba
from ranking import pull as module
from ranking.pull import Sparse, pull, pulls_of
from ranking.query import Query
from ranking.recommend import Ranker
from tests.support.catalogue import catalogue, someone


@pytest.mark.parametrize(("had", "recent"), [(60, 30), (60, 0), (5, 5), (0, 0)])
def test_sparse_pulls_say_what_dense_ones_say(monkeypatch, had, recent):
    bundle = catalogue()
    user = someone(bundle, 3, had, recent, interests=min(had, 4))
    dense = pull(bundle, user)
    slate = Ranker(bundle).recommend(user, Query())
    monkeypatch.setattr(module, "SPARSE_FROM", 1)
    sparse = pull(bundle, user)
    assert isinstance(sparse.transition, Sparse) and isinstance(sparse.neighbour, Sparse)
    everything = np.arange(bundle.manifest.item_count)
    for kind in ("transition", "neighbour"):
        wanted = pulls_of(getattr(dense, kind), everything)
        assert pulls_of(getattr(sparse, kind), everything) == pytest.approx(wanted, abs=1e-6)
    assert set(dense.reached) <= set(sparse.reached)
    again = Ranker(bundle).recommend(user, Query())
    assert [replace(item, score=0.0) for item in again.items] == [replace(item, score=0.0) for item in slate.items]
    assert [item.score for item in again.items] == pytest.approx([item.score for item in slate.items], abs=1e-6)


@pytest.mark.skipif(numba() is None, reason="numba is not installed")
@pytest.mark.parametrize(("had", "recent"), [(60, 30), (5, 5), (0, 0)])
def test_sparse_pulls_are_the_same_without_numba(monkeypatch, had, recent):
    bundle = catalogue()
    bundle.arrays.neighbour_rows[::3, 1:] = -1  # a short row is padded
    user = someone(bundle, 4, had, recent, interests=min(had, 4))
    monkeypatch.setattr(module, "SPARSE_FROM", 1)
    compiled = pull(bundle, user)
    monkeypatch.setattr(module, "links", lambda: None)
    plain = pull(bundle, user)
    assert compiled.reached.tolist() == plain.reached.tolist()
    for ours, theirs in ((compiled.transition, plain.transition), (compiled.neighbour, plain.neighbour)):
        assert isinstance(ours, Sparse) and isinstance(theirs, Sparse)
        assert ours.rows.tolist() == theirs.rows.tolist()
        assert ours.values == pytest.approx(theirs.values, abs=1e-6)
