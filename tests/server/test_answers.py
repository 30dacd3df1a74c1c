"""Slates made from stored states in one compiled call: byte for byte those of the steps one by one, or none."""

import random
from dataclasses import replace

import numpy as np
import pytest
from plural.v1 import recommendations_pb2

from interests.absorb import absorb
from interests.bundle import Bundle
from interests.compiled import numba
from interests.events import Action
from interests.profile import profile
from interests.state import InterestState, InterestVectors, from_bytes, to_bytes, with_vectors
from ranking.diversify import mmr
from ranking.identity import slate_id
from ranking.query import Query
from ranking.recommend import Ranker
from ranking.score import SIGNALS
from server.answers import Answer, Answerer, Stored
from server.wire import SlateWriter
from tests.support.catalogue import NOW_MS, WEIGHTS, catalogue
from tests.support.entries import DAY_MS, did

SEED = 20_261_126
NO_PRICES = np.zeros(0)

pytestmark = pytest.mark.skipif(numba() is None, reason="numba is not installed")


def bundle_with(**said: object) -> Bundle:
    """A catalogue in which some items were never turned to, whose manifest says this too."""
    made = catalogue()
    popularity = made.arrays.popularity.copy()
    popularity[::9] = 0.0
    arrays = replace(made.arrays, popularity=popularity, visit_shares=popularity[::-1].copy())
    return replace(made, manifest=made.manifest.model_copy(update=said), arrays=arrays)


def somebody(bundle: Bundle, seed: int, interests: int) -> Stored:
    rng = random.Random(seed)
    topics = rng.sample(range(bundle.manifest.topic_count), 4)
    rows = [row for row in range(900) if bundle.arrays.item_topic_ids[row, 0] in topics]
    entries = []
    for offset in range(rng.choice([1, 4, 30, 120])):
        which = bundle.item_ids[rng.choice(rows)] if rng.random() < 0.9 else "unknown"
        action = rng.choice([Action.IMPRESSION, Action.VIEW, Action.LIKE, Action.PURCHASE, Action.DISLIKE])
        entries.append(did(f"user-{seed}", offset, which, action, time_ms=NOW_MS - rng.randrange(60 * DAY_MS)))
    drawn, dim = np.random.default_rng(seed), bundle.manifest.dim
    vectors = drawn.normal(size=(interests, dim)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    shares = np.sort(drawn.random(interests).astype(np.float32))[::-1]
    factor = drawn.normal(size=dim).astype(np.float32)
    told = InterestVectors(bundle.version, vectors, (shares / shares.sum()).astype(np.float32), factor)
    state = with_vectors(absorb(InterestState(f"user-{seed}"), entries), told)
    return Stored(state.user_id, state.version, to_bytes(state))


def step_by_step(bundle: Bundle, ranker: Ranker, user: Stored, query: Query, prices: dict[str, float]) -> bytes:
    state = from_bytes(user.data)
    assert state.vectors is not None
    seen = profile(state, bundle, state.vectors)
    choice = ranker.choose(seen, query)
    return SlateWriter(bundle).body(seen, choice, slate_id(seen, query, ()), user.user_id, prices)


def whole(bundle: Bundle, user: Stored, query: Query, answer: Answer) -> bytes:
    name = recommendations_pb2.RecommendResponse.FromString(SlateWriter(bundle).named("name", "", 0, answer.rest))
    assert [item.item_id for item in name.slate.items] == [bundle.item_ids[row] for row in answer.rows]
    state = from_bytes(user.data)
    assert state.vectors is not None
    named = slate_id(profile(state, bundle, state.vectors), query, ())
    return SlateWriter(bundle).named(named, user.user_id, user.version, answer.rest)


BUNDLES = {
    "as it is": {},
    "all signals": {
        "signal_weights": {name: 0.2 + 0.1 * place for place, name in enumerate(SIGNALS)},
        "cold_weights": {"interest": 0.4, "content": 1.0},
        "known_items": 5,
        "mf_reach": 0.4,
    },
    "filtered, and the few otherwise": {
        "repeats_default": "filter",
        "new_weights": {"neighbour": 1.0, "debut": 0.2},
        "few_new_weights": {"popularity": 0.4, "interest": 1.0},
        "few_items_max": 4,
    },
}


@pytest.mark.parametrize("said", BUNDLES.values(), ids=BUNDLES)
@pytest.mark.parametrize("interests", [1, 3])
def test_the_bytes_are_those_of_the_steps_one_by_one(said: dict[str, object], interests: int) -> None:
    bundle = bundle_with(**said)
    ranker = Ranker(bundle)
    answerer = Answerer(bundle, ranker)
    users = [somebody(bundle, seed, interests) for seed in range(40)]
    prices = np.full(len(bundle.item_ids), np.nan)
    prices[::2] = 9.75
    by_id = {bundle.item_ids[row]: 9.75 for row in range(0, len(prices), 2)}
    explored = answered = 0
    for query in (Query(), Query(7, 0.0, "filter"), Query(60, 1.0), Query(20, 0.5, "allow")):
        for given, named in ((NO_PRICES, {}), (prices, by_id)):
            for user, answer in zip(users, answerer.of(query, users, given), strict=True):
                if answer is None:
                    continue
                answered += 1
                body = step_by_step(bundle, ranker, user, query, named)
                assert whole(bundle, user, query, answer) == body, (user.user_id, query)
                slate = recommendations_pb2.RecommendResponse.FromString(body).slate
                explored += slate.items[-1].propensity > 0
    assert answered > 200 and explored


def test_users_are_answered_alike_together_and_alone() -> None:
    bundle = bundle_with()
    answerer = Answerer(bundle, Ranker(bundle))
    users = [somebody(bundle, seed, 1) for seed in range(9)]
    together = answerer.of(Query(), users, NO_PRICES)
    assert together == [answerer.of(Query(), [user], NO_PRICES)[0] for user in users]


def test_what_it_does_not_do_is_left_to_the_steps() -> None:
    bundle = bundle_with()
    answerer, user = Answerer(bundle, Ranker(bundle)), somebody(bundle, 2, 1)
    assert answerer.serves(Query(50, 0.5, "filter"))
    for narrow in ("exclude_items", "only_items", "exclude_categories", "only_categories"):
        assert not answerer.serves(Query(**{narrow: frozenset({"i1"})}))
    state = from_bytes(user.data)
    unknown = Stored("nobody", user.version, to_bytes(replace(state, memories={}, recent=(), exposure={})))
    spoiled, other = Stored("user-2", user.version, user.data[:-3]), Stored("user-2", user.version + 1, user.data)
    elsewhere = Stored("user-2", user.version, to_bytes(replace(state, vectors=None)))
    found = answerer.of(Query(), [unknown, spoiled, other, user, elsewhere], NO_PRICES)
    assert [answer is None for answer in found] == [True, True, True, False, True]
    closed = replace(bundle, arrays=replace(bundle.arrays, available=np.arange(3000) < 10))
    assert Answerer(closed, Ranker(closed)).of(Query(20), [user], NO_PRICES) == [None], "it needs a relaxation"
    assert not Answerer(bundle, Ranker(bundle, mmr)).serves(Query())
    weightless = bundle_with(signal_weights={}, new_weights={})
    assert Answerer(weightless, Ranker(weightless)).of(Query(), [user], NO_PRICES) == [None]
    assert WEIGHTS, "and others do have weights"


def test_an_item_that_closes_is_in_no_answer_from_then_on() -> None:
    bundle = bundle_with()
    answerer, user = Answerer(bundle, Ranker(bundle)), somebody(bundle, 2, 1)
    (before,) = answerer.of(Query(), [user], NO_PRICES)
    assert before is not None
    bundle.arrays.available[before.rows[0]] = False
    (after,) = answerer.of(Query(), [user], NO_PRICES)
    assert after is not None and before.rows[0] not in after.rows
