"""The server as a process of its own, as it is run."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import lru_cache
from pathlib import Path

from tests.support.server import shared_bundle

SERVE = [sys.executable, "-m", "server"]
"""The command, run by module so that no script needs to be on the path."""

Running = tuple[asyncio.subprocess.Process, int]
"""A server process and its port."""

START_S = 180.0


@lru_cache(maxsize=1)
def compile_ahead() -> None:
    """So that no first start of a server has to: a minute of a free core, and several where others want it too."""
    subprocess.run([sys.executable, "-m", "server.compile"], check=True, capture_output=True)


def flags(directory: Path, *more: str) -> list[str]:
    """Flags of a server that keeps everything in `directory`, but for its bundle."""
    store, log = f"lmdb:{directory / 'store'}?map_gib=1", str(directory / "log.jsonl")
    return ["--listen", "127.0.0.1:0", "--bundle", str(shared_bundle()), "--store", store, "--log", log, *more]


@asynccontextmanager
async def program(
    arguments: Sequence[str], **environment: str
) -> AsyncIterator[tuple[asyncio.subprocess.Process, int]]:
    """A server process and its port; killed at the end if it still runs."""
    compile_ahead()
    process = await asyncio.create_subprocess_exec(
        *SERVE, *arguments, stderr=asyncio.subprocess.PIPE, env=os.environ | environment
    )
    assert process.stderr is not None
    try:
        port, said = 0, ""
        while not port:
            line = (await asyncio.wait_for(process.stderr.readline(), START_S)).decode()
            said += line
            assert line, f"it ended: {said}"
            found = json.loads(line) if line.startswith("{") else {}
            port = found.get("port", 0) if found.get("event") == "serving" else 0
        drain = asyncio.ensure_future(process.stderr.read())
        yield process, port
        drain.cancel()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
