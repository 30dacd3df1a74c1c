"""Compiled or not, the same slates: numba changes how long they take and nothing else."""

import sys
from dataclasses import replace

import numpy as np
import pytest

from interests.bundle import Bundle
from interests.compiled import numba
from interests.profile import Profile
from ranking.fast import finds as marks
from ranking.pick import Picker
from ranking.pull import SPARSE_FROM
from ranking.query import Query
from ranking.recommend import Ranker
from ranking.score import SIGNALS
from ranking.slate import Source
from tests.support.catalogue import catalogue, someone

COMPILED = (
    "links",
    "finds",
    "near",
    "mix_kernels",
    "signals_compiled",
    "greedy_kernels",
    "wire_loops",
    "picker",
    "causes",
    "aims",
)
TOLERANCE = 1e-5
QUERIES = (
    Query(),
    Query(size=7, diversity=0.0, repeats="filter"),
    Query(size=60, diversity=1.0),
    Query(size=20, diversity=0.5, repeats="allow", exclude_categories=frozenset({"topic-1"})),
)

pytestmark = pytest.mark.skipif(numba() is None, reason="numba is not installed")


@pytest.fixture(scope="module")
def shop() -> Bundle:
    return with_signals(catalogue())


def with_signals(made: Bundle) -> Bundle:
    """All signals count, and some items were never turned to."""
    popularity = made.arrays.popularity.copy()
    popularity[::9] = 0.0
    weights = {name: 0.2 + 0.1 * place for place, name in enumerate(SIGNALS)}
    said = made.manifest.model_copy(
        update={
            "signal_weights": weights,
            "cold_weights": {"interest": 0.4, "content": 1.0},
            "new_weights": {},
            "mf_reach": 0.9,
        }
    )
    return replace(
        made,
        manifest=said,
        arrays=replace(
            made.arrays,
            popularity=popularity,
            visit_shares=popularity[::-1].copy(),
            debut_popularity=np.roll(popularity, 5),
        ),
    )


def people(shop: Bundle) -> list[Profile]:
    return [someone(shop, seed, recent=3 * seed, interests=seed % 5, had=seed * 7) for seed in range(12)]


def nothing(shop: Bundle) -> np.ndarray:
    """Links from no item to any."""
    return np.full((shop.manifest.item_count, 1), -1, dtype=np.int32)


def plainly(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where numba is not installed."""
    for name, module in list(sys.modules.items()):
        for compiled in COMPILED if name.startswith("ranking.") else ():
            if callable(getattr(module, compiled, None)):
                monkeypatch.setattr(module, compiled, lambda: None)


@pytest.mark.parametrize("query", QUERIES)
def test_a_slate_is_the_same_without_numba(shop, monkeypatch, query):
    compiled = [Ranker(shop).recommend(person, query) for person in people(shop)]
    plainly(monkeypatch)
    for fast, plain in zip(compiled, [Ranker(shop).recommend(person, query) for person in people(shop)], strict=True):
        assert [(item.item_id, item.source, item.interest, item.topic, item.causes) for item in fast.items] == [
            (item.item_id, item.source, item.interest, item.topic, item.causes) for item in plain.items
        ]
        assert fast.relaxed == plain.relaxed and fast.diversity == pytest.approx(plain.diversity, abs=TOLERANCE)
        assert [item.score for item in fast.items] == pytest.approx([i.score for i in plain.items], abs=TOLERANCE)
        assert [share for _, share in fast.mix] == pytest.approx([share for _, share in plain.mix], abs=TOLERANCE)


@pytest.mark.parametrize("may_approximate", (False, True))
def test_a_slate_of_a_large_catalogue_is_what_the_steps_give_one_by_one(monkeypatch, may_approximate):
    large = with_signals(catalogue(items=SPARSE_FROM))
    ranker = Ranker(large, may_approximate=may_approximate)
    some = [someone(large, seed, recent=10 * seed, interests=1 + seed, had=20 * seed) for seed in range(1, 4)]
    compiled = [ranker.recommend(person, Query()) for person in some]
    monkeypatch.setattr(Picker, "shop", None)
    assert [ranker.recommend(person, Query()).items for person in some] == [slate.items for slate in compiled]


@pytest.mark.parametrize("kept", (("transition",), ("neighbour", "mf"), ("popularity",)))
def test_what_has_no_weight_brings_no_candidate_and_no_cause(shop, monkeypatch, kept):
    some = people(shop)[2:]
    weights = dict.fromkeys(kept, 0.5)
    none = {name: {} for name in ("new_weights", "few_weights", "few_new_weights", "cold_weights")}
    said = shop.manifest.model_copy(update={"signal_weights": weights, **none})
    narrow = replace(shop, manifest=said)
    compiled = [Ranker(narrow).recommend(person, Query()) for person in some]
    silent = replace(
        narrow,
        arrays=replace(
            shop.arrays,
            transition_rows=shop.arrays.transition_rows if "transition" in kept else nothing(shop),
            neighbour_rows=shop.arrays.neighbour_rows if "neighbour" in kept else nothing(shop),
        ),
    )
    assert [slate.items for slate in compiled] == [Ranker(silent).recommend(person, Query()).items for person in some]
    plainly(monkeypatch)
    for fast, plain in zip(compiled, [Ranker(narrow).recommend(person, Query()) for person in some], strict=True):
        assert [(item.item_id, item.source, item.causes) for item in fast.items] == [
            (item.item_id, item.source, item.causes) for item in plain.items
        ]


def test_candidates_are_the_same_without_numba_whatever_is_allowed(shop, monkeypatch):
    def found() -> list[list[int]]:
        ranker, lists = Ranker(shop), []
        for seed, person in enumerate(people(shop)):
            allowed = np.random.default_rng(seed).random(shop.manifest.item_count) < (seed + 1) / 12
            candidates = ranker._retriever.retrieve(person, 60 * (seed + 1), allowed)
            lists += [candidates.rows.tolist(), candidates.sources.tolist()]
        return lists

    compiled = found()
    plainly(monkeypatch)
    assert found() == compiled


def test_candidates_are_marked_with_the_numbers_of_their_sources():
    for source in (Source.INTEREST, Source.NEIGHBOUR, Source.POPULAR, Source.FRESH, Source.REPEAT):
        assert getattr(marks, source.name) == source
