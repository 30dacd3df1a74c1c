"""From RecordInteractions to the followed slate in the client's hands, without Kafka.

    python -m bench.record [--json FILE] [--rounds N]

1,000 users, 100 of them followed; calls evenly spaced at 100 a second, one event each. The limit is an empty echo
call and then a durable write of 2 KB to an LMDB of its own, one after the other, at the same rate and in turn with it.
Latency of a push is from before the call to after the client has the slate.
"""

import asyncio
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import grpc
import grpc.aio
import lmdb
from plural.v1 import events_pb2, interests_pb2, interests_pb2_grpc, recommendations_pb2, recommendations_pb2_grpc

from bench import echo
from bench.report import Row, against, arguments, finish, percentile
from bench.world import World, free_address, item, run, user, wait_for, world
from examples.programs import running

USERS, FOLLOWED, RATE, SECONDS, WARM_UP_S = 1_000, 100, 100, 15.0, 5.0
STATE_BYTES = 2_000


def main() -> None:
    """Run all rounds and report."""
    options = arguments(__doc__)
    shop = world()
    with tempfile.TemporaryDirectory(prefix="plural-bench-") as directory:
        rows = asyncio.run(_measure(shop, Path(directory), options.rounds))
    conditions = f"{USERS:,} users, {FOLLOWED} followed, {RATE} calls/s, {SECONDS:.0f} s a round, LMDB with sync"
    finish("A recorded event to the pushed slate, against echo and a durable write", rows, options.json, conditions)


async def _measure(shop: World, directory: Path, rounds: int) -> list[Row]:
    store = f"lmdb:{directory / 'interests'}"
    run("-m", "consumer", "--from-file", shop.interactions, "--store", store, "--bundle", shop.bundles,
        "--log-level", "WARNING")  # fmt: skip
    ours, empty = free_address(), free_address()
    serve = ["-m", "server", "--listen", ours, "--bundle", shop.bundles, "--store", store,
             "--log", directory / "log.jsonl", "--log-level", "WARNING"]  # fmt: skip
    found: dict[str, tuple[list[float], list[float]]] = {"p50": ([], []), "p99": ([], [])}
    with running(serve), running(["-m", "bench.echo", empty, "100"]):
        wait_for(ours)
        wait_for(empty)
        async with grpc.aio.insecure_channel(ours) as channel, grpc.aio.insecure_channel(empty) as bare:
            pushes = _Pushes(channel)
            await pushes.follow()
            environment = lmdb.open(str(directory / "bare"), map_size=1 << 30)
            for round_number in range(rounds + 1):
                seconds = SECONDS if round_number else WARM_UP_S
                measured = await pushes.play(seconds)
                limit = await _bare(bare, environment, seconds)
                if round_number:
                    for share, name in ((0.5, "p50"), (0.99, "p99")):
                        found[name][0].append(percentile(measured, share))
                        found[name][1].append(percentile(limit, share))
            pushes.stop()
    return [against(f"record to push, {name}", "ms", *pairs) for name, pairs in found.items()]


class _Pushes:
    """Followers of every tenth user, and events of everybody."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._slates = recommendations_pb2_grpc.RecommendationServiceStub(channel)
        self._interests = interests_pb2_grpc.InterestServiceStub(channel)
        self._waiting: dict[str, list[float]] = defaultdict(list)
        self._versions: dict[str, int] = {}
        self._latencies_ms: list[float] = []
        self._readers: list[asyncio.Task[None]] = []
        self._open = asyncio.Event()

    async def follow(self) -> None:
        """Open all streams."""
        for number in range(0, USERS, USERS // FOLLOWED):
            self._readers.append(asyncio.ensure_future(self._read(user(number))))
        await self._open.wait()

    async def play(self, seconds: float) -> list[float]:
        """Record evenly spaced events; the latencies (ms) of those of followed users."""
        self._latencies_ms = []
        started_s, calls = time.perf_counter(), []
        for number in range(int(RATE * seconds)):
            await asyncio.sleep(max(0.0, started_s + number / RATE - time.perf_counter()))
            user_id = user(number % USERS)
            event = events_pb2.Interaction(user_id=user_id, item_id=item(number % 997), action=events_pb2.ACTION_CLICK)
            event.time.GetCurrentTime()
            if user_id in self._versions:
                self._waiting[user_id].append(time.perf_counter())
            request = interests_pb2.RecordInteractionsRequest(interactions=[event])
            calls.append(asyncio.ensure_future(self._record(request)))
        await asyncio.gather(*calls)
        await asyncio.sleep(1.0)
        return self._latencies_ms

    def stop(self) -> None:
        """Close all streams."""
        for reader in self._readers:
            reader.cancel()

    async def _record(self, request: interests_pb2.RecordInteractionsRequest) -> None:
        await self._interests.RecordInteractions(request)

    async def _read(self, user_id: str) -> None:
        stream = self._slates.Follow(recommendations_pb2.FollowRequest(user_id=user_id, size=20))
        while (answer := await stream.read()) is not grpc.aio.EOF:
            at_s, version = time.perf_counter(), answer.slate.state_version
            before = self._versions.get(user_id)
            self._versions[user_id] = version
            if before is None:
                if len(self._versions) == FOLLOWED:
                    self._open.set()
                continue
            waiting = self._waiting[user_id]
            self._latencies_ms += [(at_s - sent_s) * 1000 for sent_s in waiting[: version - before]]
            del waiting[: version - before]


async def _bare(channel: grpc.aio.Channel, environment: lmdb.Environment, seconds: float) -> list[float]:
    """The same rate of an echo followed by a durable write."""
    call, latencies_ms = channel.unary_unary(echo.METHOD), []
    started_s = time.perf_counter()

    def write(number: int) -> None:
        with environment.begin(write=True) as txn:
            txn.put(user(number % USERS).encode(), bytes(STATE_BYTES))

    for number in range(int(RATE * seconds)):
        await asyncio.sleep(max(0.0, started_s + number / RATE - time.perf_counter()))
        sent_s = time.perf_counter()
        await call(b"")
        await asyncio.to_thread(write, number)
        latencies_ms.append((time.perf_counter() - sent_s) * 1000)
    return latencies_ms


if __name__ == "__main__":
    main()
