"""What followers cost, and how late they hear, with thousands of them in one server process.

    python -m bench.followers [--json FILE] [--rounds N] [--streams N ...]

Each stream follows a user of its own (users are shared once there are more streams than users); each second 1% of the
users do something, through RecordInteractions. Latency is from before that call to after the slate is in the client's
hands. Memory is what the server process grew by while the streams opened, over their number; the limits are 50 KiB a
stream and 250 ms.
"""

import argparse
import asyncio
import os
import random
import time
from pathlib import Path

import grpc
import grpc.aio
from plural.v1 import events_pb2, interests_pb2, interests_pb2_grpc, recommendations_pb2, recommendations_pb2_grpc

from bench.report import Row, arguments, finish, percentile
from bench.world import DIRECTORY, USERS, free_address, item, run, user, wait_for, world
from examples.programs import running

STREAMS = (1_000, 10_000)
STREAMS_A_CONNECTION = 500
OPENING = 50  # at one time
SECONDS, SEED = 20, 3
KIB_MAX, P99_MS_MAX = 50.0, 250.0


def main() -> None:
    """Run all sizes and report."""
    options = arguments(__doc__, rounds=1, more=_streams)
    shop = world()
    rows: list[Row] = []
    for streams in options.streams:
        for _ in range(options.rounds):
            store = f"lmdb:{DIRECTORY / 'followers'}"
            run("-m", "consumer", "--from-file", shop.interactions, "--store", store, "--bundle", shop.bundles,
                "--log-level", "WARNING")  # fmt: skip
            address = free_address()
            log = DIRECTORY / f"followers-{address.rpartition(':')[2]}.jsonl"
            serve = ["-m", "server", "--listen", address, "--bundle", shop.bundles, "--store", store, "--log", log,
                     "--streams-max", str(streams + 100), "--log-level", "WARNING"]  # fmt: skip
            with running(serve) as process:
                wait_for(address)
                rows += asyncio.run(_measure(address, process.pid, streams))
    finish("Followers in one process", rows, options.json, f"1% of the users move each second, for {SECONDS} s")


def _streams(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--streams", type=int, nargs="+", default=list(STREAMS), help="how many streams")


async def _measure(address: str, pid: int, streams: int) -> list[Row]:
    sent: dict[str, float] = {}
    latencies_ms: list[float] = []
    opening, all_open, opened = asyncio.Semaphore(OPENING), asyncio.Event(), 0
    channels: list[grpc.aio.Channel] = []
    readers: list[asyncio.Future[None]] = []

    async def follow(stub: recommendations_pb2_grpc.RecommendationServiceStub, user_id: str) -> None:
        stream = stub.Follow(recommendations_pb2.FollowRequest(user_id=user_id, size=20))
        async with opening:
            await stream.read()
        nonlocal opened
        opened += 1
        if opened == streams:
            all_open.set()
        while (answer := await stream.read()) is not grpc.aio.EOF:
            if answer.slate.user_id in sent:
                latencies_ms.append((time.perf_counter() - sent[user_id]) * 1000)

    before = _resident_kib(pid)
    for number in range(streams):
        if number % STREAMS_A_CONNECTION == 0:
            options = [("grpc.use_local_subchannel_pool", 1)]
            channels.append(grpc.aio.insecure_channel(address, options=options))
            stub = recommendations_pb2_grpc.RecommendationServiceStub(channels[-1])
        readers.append(asyncio.ensure_future(follow(stub, user(number % USERS))))
    await all_open.wait()
    grown_kib = (_resident_kib(pid) - before) / streams
    await _move(interests_pb2_grpc.InterestServiceStub(channels[0]), min(streams, USERS), sent)
    await asyncio.sleep(1.0)
    for reader in readers:
        reader.cancel()
    await asyncio.gather(*readers, return_exceptions=True)
    for channel in channels:
        await channel.close()
    p50, p99 = (percentile(latencies_ms, share) for share in (0.5, 0.99))
    return [
        Row(f"{streams:,} streams, memory a stream", grown_kib, "KiB", KIB_MAX, grown_kib / KIB_MAX),
        Row(f"{streams:,} streams, push p50", p50, "ms"),
        Row(f"{streams:,} streams, push p99", p99, "ms", P99_MS_MAX, p99 / P99_MS_MAX),
    ]


async def _move(stub: interests_pb2_grpc.InterestServiceStub, users: int, sent: dict[str, float]) -> None:
    """Let 1% of the users act each second, evenly spaced."""
    rng = random.Random(SEED)
    rate = max(users / 100, 1.0)
    started_s = time.perf_counter()
    for number in range(int(rate * SECONDS)):
        await asyncio.sleep(max(0.0, started_s + number / rate - time.perf_counter()))
        user_id, chosen = user(rng.randrange(users)), item(rng.randrange(9_000))
        event = events_pb2.Interaction(user_id=user_id, item_id=chosen, action=events_pb2.ACTION_CLICK)
        event.time.GetCurrentTime()
        sent[user_id] = time.perf_counter()
        await stub.RecordInteractions(interests_pb2.RecordInteractionsRequest(interactions=[event]))


def _resident_kib(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1024


if __name__ == "__main__":
    main()
