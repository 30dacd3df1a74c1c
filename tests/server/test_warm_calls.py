"""A call that was answered before: never parsed or looked for again, and never answered with an old slate."""

from pathlib import Path

import pytest
from plural.v1 import recommendations_pb2

from interests.errors import InvalidRequest
from interests.stores.lmdb import LmdbStore
from server.memo import ENTRY_OVERHEAD_BYTES, REQUEST_BYTES_MAX, Memo
from server.parts import running
from tests.support.server import connect, event, record, serving, settings
from tests.support.tiny_bundle import item

ASKED = recommendations_pb2.RecommendRequest(user_id="ada", size=5)


def test_bytes_are_parsed_once_and_what_was_used_last_stays() -> None:
    parsed: list[bytes] = []

    def parse(data: bytes) -> str:
        parsed.append(data)
        return data.decode()

    memo = Memo(parse, 3 * (ENTRY_OVERHEAD_BYTES + 5))
    for data in (b"a", b"b", b"c", b"a", b"d", b"a", b"b"):
        assert memo(data) == data.decode()
    assert parsed == [b"a", b"b", b"c", b"d", b"b"]
    assert len(memo) == 3 and memo.bytes <= 3 * (ENTRY_OVERHEAD_BYTES + 5)


def test_neither_a_refused_request_nor_a_long_one_is_kept() -> None:
    def parse(data: bytes) -> bytes:
        if data == b"bad":
            raise InvalidRequest("message", "is bad")
        return data

    memo = Memo(parse, 1 << 20)
    with pytest.raises(InvalidRequest):
        memo(b"bad")
    memo(bytes(REQUEST_BYTES_MAX + 1))
    assert len(memo) == 0 and memo.bytes == 0


async def test_a_repeated_call_is_answered_by_the_cache_until_the_state_moves(tmp_path: Path) -> None:
    async with serving(tmp_path) as client:
        await record(client, event("ada", item(0, 0)))
        first = await client.recommendations.Recommend(ASKED)
        assert await client.recommendations.Recommend(ASKED) == first
        await record(client, event("ada", item(4, 1), "PURCHASE"))
        moved = await client.recommendations.Recommend(ASKED)
        assert (first.slate.state_version, moved.slate.state_version) == (1, 2)
        assert moved == await client.recommendations.Recommend(ASKED)


async def test_the_cached_answer_costs_no_read_of_a_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[object] = []
    get = LmdbStore.get
    monkeypatch.setattr(LmdbStore, "get", lambda self, users: (reads.append(users), get(self, users))[1])
    async with running(settings(tmp_path)) as port, connect(port) as client:
        await client.recommendations.Recommend(ASKED)
        assert len(reads) == 1
        for _ in range(5):
            await client.recommendations.Recommend(ASKED)
        assert len(reads) == 1
