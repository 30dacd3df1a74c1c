"""Search in a large catalogue: as exact as it says, never what is not allowed, and exact wherever that is as fast."""

import logging
import sys
from itertools import chain, repeat

import numpy as np
import pytest

from ranking import nearby as module
from ranking.nearby import RECALL_MIN, Exact, Inverted, nearby

SEED = 20_261_124
ITEMS, DIM = 20_000, 32


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    rng = np.random.default_rng(SEED)
    centres = rng.normal(size=(200, DIM))
    made = centres[rng.integers(0, 200, ITEMS)] + 0.5 * rng.normal(size=(ITEMS, DIM))
    return (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def inverted(vectors, monkeypatch) -> Inverted:
    pytest.importorskip("faiss")
    monkeypatch.setattr(module, "INVERTED_FROM", 1000)
    # Exact search takes long by this clock and everything else no time, so that the machine's mood does not choose.
    clock = chain([0.0, 100.0], repeat(100.0))
    made = nearby(vectors, "items", clock_s=lambda: next(clock))
    assert isinstance(made, Inverted)
    return made


def queries(vectors: np.ndarray, count: int) -> np.ndarray:
    rng = np.random.default_rng(SEED + 1)
    return vectors[rng.integers(0, ITEMS, count)] + vectors[rng.integers(0, ITEMS, count)]


def test_it_finds_what_it_promises(vectors, inverted):
    everything, asked = np.ones(ITEMS, dtype=np.bool_), queries(vectors, 40)
    exact = Exact(vectors).search(asked, [200] * 40, everything, ITEMS)
    found = inverted.search(asked, [200] * 40, everything, ITEMS)
    recall = np.mean([np.isin(wanted, rows).mean() for wanted, rows in zip(exact, found, strict=True)])
    assert recall >= RECALL_MIN - 0.02, f"seed {SEED}: {recall}"


@pytest.mark.parametrize("share", [0.9, 0.5, 0.05, 0.001, 0.0])
def test_only_allowed_rows_come_and_as_many_as_there_are(vectors, inverted, share):
    allowed = np.random.default_rng(SEED).random(ITEMS) < share
    open_rows = int(allowed.sum())
    counts = [200, 10, 0]
    for made in (inverted, Exact(vectors)):
        found = made.search(queries(vectors, 3), counts, allowed, open_rows)
        assert [len(rows) for rows in found] == [min(count, open_rows) for count in counts], f"seed {SEED}"
        assert all(allowed[rows].all() for rows in found)
        assert all(len(set(rows.tolist())) == len(rows) for rows in found)


def test_a_narrow_filter_is_searched_exactly(vectors, inverted):
    allowed = np.random.default_rng(SEED).random(ITEMS) < 0.1
    asked = queries(vectors, 5)
    for wanted, rows in zip(
        Exact(vectors).search(asked, [50] * 5, allowed, int(allowed.sum())),
        inverted.search(asked, [50] * 5, allowed, int(allowed.sum())),
        strict=True,
    ):
        assert set(wanted.tolist()) == set(rows.tolist())


def test_small_catalogues_and_those_where_it_gains_nothing_are_searched_exactly(vectors, monkeypatch, caplog):
    assert isinstance(nearby(vectors, "items"), Exact)
    monkeypatch.setattr(module, "INVERTED_FROM", 1000)
    noise = np.random.default_rng(SEED).normal(size=(3000, 256)).astype(np.float32)
    with caplog.at_level(logging.INFO):
        assert isinstance(nearby(noise, "items"), Exact)
    assert "retrieval is exact" in caplog.text


def test_without_the_extra_it_is_exact_and_says_what_to_install(vectors, monkeypatch, caplog):
    monkeypatch.setattr(module, "INVERTED_FROM", 1000)
    monkeypatch.setitem(sys.modules, "faiss", None)
    assert isinstance(nearby(vectors, "items"), Exact)
    assert "plural[large]" in caplog.text
