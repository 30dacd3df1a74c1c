"""What each of the eight methods answers, over gRPC on loopback with LMDB."""

from pathlib import Path

import grpc
import pytest
from plural.v1 import events_pb2, interests_pb2, recommendations_pb2

from tests.support.server import event, read, record, serving
from tests.support.tiny_bundle import item


def ids(slate: recommendations_pb2.Slate) -> list[str]:
    return [each.item_id for each in slate.items]


async def test_an_unknown_user_gets_popular_items_of_every_topic(tmp_path: Path) -> None:
    async with serving(tmp_path) as client:
        answer = await client.recommendations.Recommend(recommendations_pb2.RecommendRequest(user_id="nobody"))
    slate = answer.slate
    assert len(slate.items) == 20
    assert slate.user_id == "nobody" and slate.state_version == 0
    assert {each.topic for each in slate.items} == {f"topic-{topic}" for topic in range(6)}
    assert [each.position for each in slate.items] == list(range(20))


async def test_a_slate_follows_what_its_user_did_and_says_why(tmp_path: Path) -> None:
    async with serving(tmp_path) as client:
        await record(client, *(event("ada", item(3, number), "PURCHASE") for number in range(5)))
        request = recommendations_pb2.RecommendRequest(user_id="ada", size=10, diversity=0.0)
        slate = (await client.recommendations.Recommend(request)).slate
    assert len(slate.items) == 10 and slate.state_version == 5 and slate.diversity == 0.0
    assert sum(each.topic == "topic-3" for each in slate.items) >= 7
    assert any(cause.action == events_pb2.ACTION_PURCHASE for each in slate.items for cause in each.causes)
    assert slate.slate_id and slate.bundle_version and slate.target_mix[0].topic == "topic-3"


async def test_the_filters_of_a_request_hold(tmp_path: Path) -> None:
    filters = recommendations_pb2.Filters(only_categories=["topic-1"], exclude_item_ids=[item(1, 0)])
    async with serving(tmp_path) as client:
        request = recommendations_pb2.RecommendRequest(user_id="ada", size=50, filters=filters)
        slate = (await client.recommendations.Recommend(request)).slate
    assert sorted(ids(slate)) == [item(1, number) for number in range(1, 20)]
    assert list(slate.relaxed) == [recommendations_pb2.RELAXATION_SIZE]


async def test_a_caller_without_an_id_is_served_by_recent_items_and_never_stored(tmp_path: Path) -> None:
    async with serving(tmp_path) as client:
        recent = [item(2, 0), item(2, 1), "unheard-of"]
        request = recommendations_pb2.RecommendRequest(recent_item_ids=recent, size=10, diversity=0.0)
        one = (await client.recommendations.Recommend(request)).slate
        two = (await client.recommendations.Recommend(request)).slate
        other = recommendations_pb2.RecommendRequest(recent_item_ids=[item(4, 0)], size=10, diversity=0.0)
        three = (await client.recommendations.Recommend(other)).slate
        found = await client.interests.GetInterests(interests_pb2.GetInterestsRequest(user_id="anonymous"))
    assert one == two and one.user_id == ""
    assert sum(each.topic == "topic-2" for each in one.items) >= 7
    assert one.slate_id != three.slate_id
    assert sum(each.topic == "topic-4" for each in three.items) >= 5  # the rest is popular: one item says little
    assert found.interaction_count == 0


async def test_rerank_orders_the_callers_own_candidates(tmp_path: Path) -> None:
    async with serving(tmp_path) as client:
        candidates = [
            recommendations_pb2.RerankCandidate(item_id=item_id, relevance=relevance)
            for item_id, relevance in ((item(0, 5), 0.1), ("unheard-of", 0.9), (item(1, 5), 0.5))
        ]
        request = recommendations_pb2.RerankRequest(user_id="ada", candidates=candidates, diversity=0.0)
        slate = (await client.recommendations.Rerank(request)).slate
        request.size = 1
        short = (await client.recommendations.Rerank(request)).slate
    assert ids(slate) == ["unheard-of", item(1, 5), item(0, 5)]
    assert {each.source for each in slate.items} == {recommendations_pb2.SOURCE_CALLER}
    assert ids(short) == ["unheard-of"]


async def test_similar_gives_items_of_the_same_topic_and_never_the_item_itself(tmp_path: Path) -> None:
    async with serving(tmp_path) as client:
        answer = await client.recommendations.Similar(recommendations_pb2.SimilarRequest(item_id=item(5, 3), size=8))
    assert len(answer.items) == 8 and answer.bundle_version
    assert all(each.topic == "topic-5" and each.item_id != item(5, 3) for each in answer.items)


async def test_get_interests_tells_shares_mixes_and_causes(tmp_path: Path) -> None:
    async with serving(tmp_path) as client:
        await record(client, event("ada", item(0, 0), "PURCHASE"), event("ada", item(1, 0), "CLICK"))
        await record(client, event("ada", item(2, 0), "IMPRESSION"))
        found = await client.interests.GetInterests(interests_pb2.GetInterestsRequest(user_id="ada"))
        nobody = await client.interests.GetInterests(interests_pb2.GetInterestsRequest(user_id="nobody"))
    assert found.interaction_count == 2 and found.state_version == 3
    assert [interest.index for interest in found.interests] == [0, 1]
    assert sum(interest.share for interest in found.interests) == pytest.approx(1.0)
    assert found.anchor[0].topic == "topic-0" and sum(each.share for each in found.anchor) == pytest.approx(1.0)
    assert [each.topic for each in found.exposure_mix] == ["topic-2"]
    assert found.last_event_time.seconds > 1_700_000_000
    assert nobody.state_version == 0 and not nobody.interests and not nobody.anchor


async def test_recorded_interactions_count_at_once_and_a_retry_counts_once(tmp_path: Path) -> None:
    async with serving(tmp_path) as client:
        answer = await record(client, event("ada", item(0, 0), event_id="e1"), event("bob", item(0, 0)))
        await record(client, event("ada", item(0, 0), event_id="e1"))
        ada = await client.interests.GetInterests(interests_pb2.GetInterestsRequest(user_id="ada"))
        bob = await client.interests.GetInterests(interests_pb2.GetInterestsRequest(user_id="bob"))
    assert answer.recorded == 2 and answer.absorbed
    assert (ada.interaction_count, bob.interaction_count) == (1, 1)


async def test_a_forgotten_user_is_as_one_never_seen(tmp_path: Path) -> None:
    async with serving(tmp_path) as client:
        await record(client, event("ada", item(0, 0)), event("bob", item(1, 1)))
        answer = await client.interests.ForgetUser(interests_pb2.ForgetUserRequest(user_id="ada"))
        ada = await client.interests.GetInterests(interests_pb2.GetInterestsRequest(user_id="ada"))
        bob = await client.interests.GetInterests(interests_pb2.GetInterestsRequest(user_id="bob"))
    assert answer.erased
    assert ada.interaction_count == 0 and not ada.interests and not ada.HasField("last_event_time")
    assert bob.interaction_count == 1


async def test_a_feed_repeats_nothing_and_ends_with_the_catalogue(tmp_path: Path) -> None:
    async with serving(tmp_path) as client:
        request = recommendations_pb2.StreamRecommendationsRequest(user_id="ada", chunk_size=25)
        stream = client.recommendations.StreamRecommendations(request)
        seen: list[str] = []
        while (message := await read(stream)) is not grpc.aio.EOF:
            assert message.resume_token
            seen += ids(message.chunk)
        assert await stream.code() is grpc.StatusCode.OK
    assert len(seen) == len(set(seen)) == 120


async def test_a_feed_resumes_behind_what_it_showed_whatever_happened_since(tmp_path: Path) -> None:
    request = recommendations_pb2.StreamRecommendationsRequest(user_id="ada", chunk_size=30)
    async with serving(tmp_path) as client:
        stream = client.recommendations.StreamRecommendations(request)
        first, second = await read(stream), await read(stream)
        stream.cancel()
        await record(client, event("ada", item(4, 4)))
    request.resume_token = second.resume_token
    seen = ids(first.chunk) + ids(second.chunk)
    async with serving(tmp_path) as client:
        stream = client.recommendations.StreamRecommendations(request)
        while (message := await read(stream)) is not grpc.aio.EOF:
            seen += ids(message.chunk)
    assert len(seen) == len(set(seen)) == 120
