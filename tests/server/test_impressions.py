"""What is served counts as shown, where the server is told to record it."""

from pathlib import Path

from plural.v1 import interests_pb2, recommendations_pb2

from tests.support.server import event, record, serving, until
from tests.support.tiny_bundle import item


async def exposure(client, user_id):
    return await client.interests.GetInterests(interests_pb2.GetInterestsRequest(user_id=user_id))


async def test_a_served_slate_feeds_exposure_and_no_interest(tmp_path: Path) -> None:
    async with serving(tmp_path, impressions=True) as client:
        await record(client, *(event("ada", item(3, number), "PURCHASE") for number in range(5)))
        request = recommendations_pb2.RecommendRequest(user_id="ada", size=10)
        first = (await client.recommendations.Recommend(request)).slate

        async def shown() -> bool:
            return (await exposure(client, "ada")).state_version == 15

        await until(shown)
        found = await exposure(client, "ada")
    assert found.interaction_count == 5
    assert {each.topic for each in found.exposure_mix} == {each.topic for each in first.items}


async def test_a_slate_of_the_same_state_counts_once(tmp_path: Path) -> None:
    async with serving(tmp_path, impressions=True) as client:
        request = recommendations_pb2.RecommendRequest(user_id="ada", size=10)
        one = (await client.recommendations.Recommend(request)).slate

        async def shown() -> bool:
            return (await exposure(client, "ada")).state_version == 10

        await until(shown)
        two = (await client.recommendations.Recommend(request)).slate
    assert one.state_version == 0
    assert two.state_version == 10
    assert one.slate_id != two.slate_id


async def test_unless_told_to_and_for_callers_without_an_id_nothing_is_recorded(tmp_path: Path) -> None:
    async with serving(tmp_path) as client:
        await client.recommendations.Recommend(recommendations_pb2.RecommendRequest(user_id="ada"))
        await record(client, event("ada", item(0, 0), "VIEW"))
        assert (await exposure(client, "ada")).state_version == 1
    async with serving(tmp_path / "other", impressions=True) as client:
        answer = await client.recommendations.Recommend(recommendations_pb2.RecommendRequest(recent_item_ids=["x"]))
        assert len(answer.slate.items) == 20


async def test_a_feeds_chunks_count_once_the_client_has_taken_them(tmp_path: Path) -> None:
    async with serving(tmp_path, impressions=True) as client:
        request = recommendations_pb2.StreamRecommendationsRequest(user_id="ada", chunk_size=10)
        stream = client.recommendations.StreamRecommendations(request)
        for _ in range(3):
            await stream.read()

        async def shown() -> bool:
            return (await exposure(client, "ada")).state_version >= 20

        await until(shown)
        stream.cancel()
