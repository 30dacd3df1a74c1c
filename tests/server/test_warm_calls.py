"""A call that was answered before: never parsed or looked for again, and never answered with an old slate."""

import asyncio
from pathlib import Path

import pytest
from plural.v1 import recommendations_pb2

from interests.apply import apply
from interests.errors import InvalidRequest
from interests.stores.base import Snapshot
from interests.stores.lmdb import LmdbStore
from interests.stores.lmdb_snapshot import LmdbSnapshot
from server.bundles import build
from server.memo import ENTRY_OVERHEAD_BYTES, REQUEST_BYTES_MAX, Memo
from server.metrics import Metrics
from server.parts import running
from server.states import SNAPSHOT_S_MAX, States
from tests.support.entries import LOG, did
from tests.support.server import connect, event, record, serving, settings, shared_bundle
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
    stored = LmdbSnapshot.stored
    monkeypatch.setattr(LmdbSnapshot, "stored", lambda self, user: (reads.append(user), stored(self, user))[1])
    async with running(settings(tmp_path)) as port, connect(port) as client:
        await record(client, event("ada", item(0, 0)))
        await client.recommendations.Recommend(ASKED)
        assert len(reads) == 1
        for _ in range(5):
            await client.recommendations.Recommend(ASKED)
        assert len(reads) == 1


async def test_versions_are_read_through_one_snapshot_that_is_never_old_and_never_held_for_long(tmp_path: Path) -> None:
    store = LmdbStore(tmp_path / "store")
    store.claim([LOG])
    states = States(store, build(shared_bundle(), "cpu"), Metrics())
    opened: list[Snapshot] = []
    take = store.snapshot

    def counted() -> Snapshot:
        opened.append(take())
        return opened[-1]

    store.snapshot = counted  # type: ignore[method-assign, assignment]
    for offset in range(3):
        apply([did("ada", offset, item(0, 0))], {LOG: offset + 1}, store)
        assert [states.version_now("ada") for _ in range(5)] == [offset + 1] * 5
    assert len(opened) == 3
    assert readers(store) == 1
    for _ in range(200):
        if not readers(store):
            break
        await asyncio.sleep(SNAPSHOT_S_MAX)
    assert readers(store) == 0, "it lets go by itself"
    assert states.version_now("ada") == 3
    states.close()
    assert readers(store) == 0


def readers(store: LmdbStore) -> int:
    """How many reads of the store are open: each keeps old pages from being used again."""
    said = store._environment.lmdb.readers()
    return sum(line.split()[2] != "-" for line in said.splitlines()[1:])
