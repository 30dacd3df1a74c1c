"""Each bad request is refused with its field and its range, and changes nothing."""

import math
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2  # type: ignore[import-untyped]
from plural.v1 import interests_pb2, recommendations_pb2

from tests.support.server import REQUESTS, Client, details_of, event, read, record, serving

LONG = "x" * 257
MANY = [str(number) for number in range(1001)]
Filters = recommendations_pb2.Filters
Candidate = recommendations_pb2.RerankCandidate

WHO: list[tuple[dict[str, Any], str, str]] = [
    ({"user_id": ""}, "user_id", "1 to 256"),
    ({"user_id": LONG}, "user_id", "1 to 256"),
    ({"user_id": "é" * 129}, "user_id", "1 to 256"),
]
SLATES: list[tuple[dict[str, Any], str, str]] = [
    *WHO,
    ({"user_id": "ada", "diversity": -0.1}, "diversity", "0 to 1"),
    ({"user_id": "ada", "diversity": 1.1}, "diversity", "0 to 1"),
    ({"user_id": "ada", "diversity": math.nan}, "diversity", "0 to 1"),
    ({"user_id": "ada", "repeats": 9}, "repeats", "REPEATS_ALLOW"),
    ({"user_id": "ada", "filters": Filters(exclude_item_ids=MANY)}, "filters.exclude_item_ids", "at most 1000"),
    ({"user_id": "ada", "filters": Filters(only_item_ids=[""])}, "filters.only_item_ids[0]", "1 to 256"),
    (
        {"user_id": "ada", "filters": Filters(exclude_categories=["a", LONG])},
        "filters.exclude_categories[1]",
        "1 to 256",
    ),
    ({"user_id": "ada", "filters": Filters(only_categories=MANY)}, "filters.only_categories", "at most 1000"),
]
SIZES = [(size, "1 to 500") for size in (0, 501, 2**32 - 1)]
ANONYMOUS: list[tuple[dict[str, Any], str, str]] = [
    ({"recent_item_ids": MANY}, "recent_item_ids", "at most 1000"),
    ({"recent_item_ids": ["a", ""]}, "recent_item_ids[1]", "1 to 256"),
    ({"user_id": "ada", "recent_item_ids": ["a"]}, "recent_item_ids", "one of the two"),
]


def sized(field: str) -> list[tuple[dict[str, Any], str, str]]:
    return [({"user_id": "ada", field: size}, field, span) for size, span in SIZES]


ROWS: dict[str, list[tuple[dict[str, Any], str, str]]] = {
    "Recommend": [*SLATES, *ANONYMOUS, *sized("size")],
    "StreamRecommendations": [
        *SLATES,
        *ANONYMOUS,
        *sized("chunk_size"),
        ({"user_id": "ada", "resume_token": "nonsense"}, "resume_token", "token of a stream's last message"),
        ({"user_id": "ada", "resume_token": "A" * 60_000}, "resume_token", "at most"),
    ],
    "Follow": [
        *SLATES,
        *sized("size"),
        ({"user_id": "ada", "resume_token": "AAAA"}, "resume_token", "token of a stream's last message"),
    ],
    "Similar": [
        ({"item_id": ""}, "item_id", "1 to 256"),
        ({"item_id": "unheard-of"}, "item_id", "catalogue"),
        ({"item_id": "t0-00", "size": 0}, "size", "1 to 500"),
        ({"item_id": "t0-00", "diversity": 2.0}, "diversity", "0 to 1"),
        ({"item_id": "t0-00", "filters": Filters(only_item_ids=MANY)}, "filters.only_item_ids", "at most 1000"),
    ],
    "Rerank": [
        *[({**fields, "candidates": [Candidate(item_id="a")]}, field, span) for fields, field, span in WHO],
        ({"user_id": "ada"}, "candidates", "1 to 1000"),
        ({"user_id": "ada", "candidates": [Candidate(item_id=i) for i in MANY]}, "candidates", "1 to 1000"),
        ({"user_id": "ada", "candidates": [Candidate()]}, "candidates[0].item_id", "1 to 256"),
        ({"user_id": "ada", "candidates": [Candidate(item_id="a")] * 2}, "candidates[1].item_id", "once"),
        (
            {"user_id": "ada", "candidates": [Candidate(item_id="a", relevance=1), Candidate(item_id="b")]},
            "candidates[1].relevance",
            "all of them or for none",
        ),
        (
            {"user_id": "ada", "candidates": [Candidate(item_id="a", relevance=math.inf)]},
            "candidates[0].relevance",
            "finite",
        ),
        ({"user_id": "ada", "candidates": [Candidate(item_id="a")], "size": 501}, "size", "1 to 500"),
        ({"user_id": "ada", "candidates": [Candidate(item_id="a")], "diversity": math.nan}, "diversity", "0 to 1"),
    ],
    "RecordInteractions": [
        ({}, "interactions", "1 to 500"),
        ({"interactions": [event("ada", "a")] * 501}, "interactions", "1 to 500"),
        ({"interactions": [event("ada", "a"), event("", "a")]}, "interactions[1].user_id", "1 to 256"),
        ({"interactions": [event("ada", LONG)]}, "interactions[0].item_id", "1 to 256"),
        ({"interactions": [event("ada", "a", event_id=LONG)]}, "interactions[0].event_id", "1 to 256"),
        ({"interactions": [event("ada", "a", "UNSPECIFIED")]}, "interactions[0].action", "ACTION_CLICK"),
        ({"interactions": [event("ada", "a", "RATING")]}, "interactions[0].value", "0 to 5"),
        ({"interactions": [event("ada", "a", value=math.nan)]}, "interactions[0].value", "0 to 1000000"),
        ({"interactions": [event("ada", "a", position=2**31)]}, "interactions[0].position", "0 to"),
    ],
    "GetInterests": WHO,
    "ForgetUser": WHO,
}


async def refusal(client: Client, method: str, request: Any) -> grpc.aio.AioRpcError:
    """The error of a call that must fail."""
    call = getattr(client.interests, method, None) or getattr(client.recommendations, method)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        started = call(request)
        await (read(started) if hasattr(started, "read") else started)
    return caught.value


def violated(error: grpc.aio.AioRpcError) -> str:
    """The field that the details of an error name."""
    bad = error_details_pb2.BadRequest()
    assert details_of(error)[0].Unpack(bad)
    return str(bad.field_violations[0].field)


@pytest.mark.parametrize("method", ROWS)
async def test_a_bad_request_names_its_field_and_the_range(tmp_path: Path, method: str) -> None:
    async with serving(tmp_path) as client:
        for fields, field, span in ROWS[method]:
            error = await refusal(client, method, REQUESTS[method](**fields))
            told = error.details() or ""
            assert error.code() is grpc.StatusCode.INVALID_ARGUMENT, (fields, told)
            assert told.startswith(f"{field}: ") and span in told, told
            assert violated(error) == field
    assert not (tmp_path / "interactions.jsonl").read_bytes()


async def test_the_edges_of_each_range_are_taken(tmp_path: Path) -> None:
    async with serving(tmp_path) as client:
        for size in (1, 500):
            for diversity in (0.0, 1.0):
                request = recommendations_pb2.RecommendRequest(user_id="x" * 256, size=size, diversity=diversity)
                assert len((await client.recommendations.Recommend(request)).slate.items) == min(size, 120)
        recent = [f"{number:03d}" for number in range(1000)]
        await client.recommendations.Recommend(recommendations_pb2.RecommendRequest(recent_item_ids=recent))
        assert (await record(client, *[event("ada", "t0-00")] * 500)).recorded == 500


async def test_one_bad_interaction_refuses_its_whole_call(tmp_path: Path) -> None:
    async with serving(tmp_path) as client:
        request = interests_pb2.RecordInteractionsRequest(interactions=[event("ada", "t0-00"), event("ada", "")])
        await refusal(client, "RecordInteractions", request)
        found = await client.interests.GetInterests(interests_pb2.GetInterestsRequest(user_id="ada"))
    assert found.state_version == 0


async def test_a_resume_token_serves_its_own_user_and_method_only(tmp_path: Path) -> None:
    async with serving(tmp_path) as client:
        request = recommendations_pb2.StreamRecommendationsRequest(user_id="ada")
        token = (await read(client.recommendations.StreamRecommendations(request))).resume_token
        flipped = token[:20] + ("A" if token[20] != "A" else "B") + token[21:]
        requests = {
            "another user's": ("StreamRecommendations", {"user_id": "bob", "resume_token": token}),
            "another method's": ("Follow", {"user_id": "ada", "resume_token": token}),
            "changed": ("StreamRecommendations", {"user_id": "ada", "resume_token": flipped}),
            "cut": ("StreamRecommendations", {"user_id": "ada", "resume_token": token[:-4]}),
        }
        for name, (method, fields) in requests.items():
            error = await refusal(client, method, REQUESTS[method](**fields))
            assert error.code() is grpc.StatusCode.INVALID_ARGUMENT, name
            assert violated(error) == "resume_token", name
