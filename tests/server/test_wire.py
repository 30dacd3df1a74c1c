"""Slates written straight to bytes say what their messages say."""

import random

import pytest
from plural.v1 import recommendations_pb2

from ranking.compose import compose
from ranking.query import Query
from ranking.recommend import Ranker
from server.messages import slate_message
from server.wire import SlateWriter, varint
from tests.support.catalogue import catalogue, someone

SEED = 20_261_124


def test_the_bytes_are_those_of_the_message_for_all_kinds_of_people_and_requests() -> None:
    rng = random.Random(SEED)
    bundle = catalogue()
    ranker, writer = Ranker(bundle), SlateWriter(bundle)
    prices = {bundle.item_ids[row]: rng.choice([0.0, 9.99]) for row in range(0, 3000, 2)}
    sources: set[int] = set()
    explored = 0
    for seed in range(60):
        had, recent, interests = rng.choice([(0, 0, 0), (8, 0, 2), (8, 5, 1), (60, 30, 4), (60, 3, 0)])
        profile = someone(bundle, seed, had, recent, interests)
        only = frozenset(rng.sample(bundle.item_ids, 5)) if seed % 7 == 0 else frozenset()
        query = Query(
            rng.choice([1, 20, 200]), rng.choice([None, 0.0, 1.0]), rng.choice([None, "filter"]), only_items=only
        )
        told = prices if seed % 2 else {}
        choice = ranker.choose(profile, query)
        slate = compose(
            bundle,
            profile,
            "name",
            choice.chosen,
            choice.dial,
            choice.aim,
            choice.relaxed,
            choice.explored,
            choice.asks,
        )
        explored += choice.explored is not None
        wanted = recommendations_pb2.RecommendResponse(slate=slate_message(slate, profile.user_id, told))
        body = writer.body(profile, choice, "name", profile.user_id, told)
        assert recommendations_pb2.RecommendResponse.FromString(body) == wanted, f"seed {SEED}, person {seed}"
        assert len(body) == wanted.ByteSize(), f"seed {SEED}, person {seed}: nothing is written twice"
        sources |= {item.source for item in wanted.slate.items}
    assert len(sources) >= 4, sources
    assert explored


def test_the_bytes_are_the_same_without_numba(monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = catalogue()
    ranker, writer = Ranker(bundle), SlateWriter(bundle)
    prices = {bundle.item_ids[row]: 2.5 for row in range(0, 3000, 3)}

    def written() -> list[bytes]:
        people = [someone(bundle, seed, had=9 * seed, recent=5 * seed, interests=seed % 4) for seed in range(8)]
        choices = [(person, ranker.choose(person, Query(12 * (seed + 1)))) for seed, person in enumerate(people)]
        return [writer.body(person, choice, "name", person.user_id, prices) for person, choice in choices]

    compiled = written()
    monkeypatch.setattr("server.wire.wire_loops", lambda: None)
    assert written() == compiled


@pytest.mark.parametrize("value", [0, 1, 127, 128, 300, 2**31, 2**63])
def test_numbers_are_written_as_protobuf_writes_them(value: int) -> None:
    message = recommendations_pb2.Slate(state_version=value)
    assert (b"\x18" + varint(value) if value else b"") == message.SerializeToString()
