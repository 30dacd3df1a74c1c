"""Followers who never read: they cost a bounded amount, and delay nobody who does."""

import asyncio
import gc
from pathlib import Path

from server.parts import running
from tests.support.server import SMALL_WINDOW, connect, event, follow, read, record, settings
from tests.support.tiny_bundle import item

DEAF, HEALTHY, SIZE = 100, 10, 120
WARM_UP, ROUNDS = 12, 10  # until the transport's window of each stream, 64 KiB, is full; and behind that
GROWTH_BYTES_MAX = 4 * 1024 * 1024  # a slate queued for each deaf stream in each round would be 12 MB


def resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


async def test_streams_that_nobody_reads_hold_one_slate_each_and_delay_no_other(tmp_path: Path) -> None:
    said = settings(tmp_path, streams_per_user_max=1000)
    async with running(said) as port, connect(port, SMALL_WINDOW) as deaf, connect(port) as healthy:
        held = [follow(deaf, "ada", size=SIZE) for _ in range(DEAF)]
        streams = [follow(healthy, "ada", size=SIZE) for _ in range(HEALTHY)]
        for stream in streams:
            await read(stream)
        resident: list[int] = []
        for version in range(1, WARM_UP + ROUNDS + 1):
            await record(healthy, event("ada", item(version % 6, version)))
            pushed = await asyncio.gather(*(_reach(stream, version) for stream in streams))
            assert set(pushed) == {version}
            gc.collect()
            resident.append(resident_bytes())
        assert resident[-1] - resident[WARM_UP] < GROWTH_BYTES_MAX, resident
        assert all(not stream.done() for stream in held)


async def _reach(stream: object, version: int) -> int:
    while (found := (await read(stream)).slate.state_version) < version:
        pass
    return found
