"""Several processes on one port: they serve together, one that dies comes back, and they stop together."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import grpc
import pytest
from plural.v1 import recommendations_pb2
from pydantic import ValidationError

from tests.support.server import WAIT_S, connect, settings, shared_bundle, until
from tests.support.server_program import SERVE, compile_ahead

ASKED = recommendations_pb2.RecommendRequest(user_id="ada", size=3)
START_S = 60.0


class Program:
    """A supervised server, and the lines that it has logged."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[dict[str, Any]] = []
        self.raw: list[str] = []

    async def read(self) -> None:
        assert self.process.stderr is not None
        while line := (await self.process.stderr.readline()).decode():
            self.raw.append(line)
            if line.startswith("{"):
                self.lines.append(json.loads(line))

    async def says(self, said: str, count: int = 1) -> dict[str, Any]:
        """The `count`-th line with this event; waits for it."""
        async with asyncio.timeout(START_S):
            while len(found := [line for line in self.lines if line["event"] == said]) < count:
                assert self.process.returncode is None, self.raw
                await asyncio.sleep(0.02)
        return found[count - 1]

    def workers(self) -> list[int]:
        """The process ids of the workers that are alive."""
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [int(child) for child in children if "spawn_main" in _command(int(child))]


@asynccontextmanager
async def workers(directory: Path, *more: str) -> AsyncIterator[Program]:
    """Two workers over one store. No broker needs to be there: nothing is recorded."""
    compile_ahead()
    arguments = ["--listen", "127.0.0.1:0", "--bundle", str(shared_bundle()), "--workers", "2",
                 "--store", f"lmdb:{directory / 'store'}?map_gib=1", "--brokers", "127.0.0.1:1"]  # fmt: skip
    process = await asyncio.create_subprocess_exec(*SERVE, *arguments, *more, stderr=asyncio.subprocess.PIPE)
    made = Program(process)
    reading = asyncio.ensure_future(made.read())
    try:
        yield made
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        reading.cancel()


async def test_workers_serve_one_port_come_back_when_killed_and_stop_with_0(tmp_path: Path) -> None:
    async with workers(tmp_path) as made:
        port = int((await made.says("all workers serve"))["listen"].rpartition(":")[2])
        first = made.workers()
        assert len(first) == 2
        os.kill(first[0], signal.SIGKILL)
        died = await made.says("a worker died and is started again")
        assert died["exit_code"] == -signal.SIGKILL
        await made.says("serving", count=3)
        assert len(made.workers()) == 2 and first[1] in made.workers()
        assert await answers(port) == 20
        made.process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(made.process.wait(), WAIT_S) == 0


async def test_workers_end_when_their_supervisor_was_killed(tmp_path: Path) -> None:
    async with workers(tmp_path) as made:
        await made.says("all workers serve")
        left = made.workers()
        made.process.kill()
        await made.process.wait()
        await until(lambda: not any("spawn_main" in _command(pid) for pid in left))


async def test_what_keeps_the_first_worker_from_starting_is_said_once(tmp_path: Path) -> None:
    async with workers(tmp_path, "--bundle", str(tmp_path / "none")) as made:
        assert await asyncio.wait_for(made.process.wait(), START_S) == 2
        await asyncio.sleep(0.1)
        said = [line for line in made.raw if not line.startswith("{")]
        assert len(said) == 1 and said[0].startswith("plural-serve: ") and "CURRENT" in said[0]


def test_several_workers_without_a_broker_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="--workers: more than one needs --brokers"):
        settings(tmp_path, workers=2)


async def answers(port: int) -> int:
    """How many of 20 calls are answered, each on a connection of its own."""
    done = 0
    for number in range(20):
        async with connect(port, (("plural.test", number),)) as client:
            with suppress(grpc.aio.AioRpcError):
                answer = await client.recommendations.Recommend(ASKED, timeout=WAIT_S)
                done += len(answer.slate.items) == 3
    return done


def _command(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    return ""
