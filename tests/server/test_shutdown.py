"""The program as it is run: start, refusals at the start, and how it stops."""

import asyncio
import re
import signal
import socket
import subprocess
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2
from plural.v1 import recommendations_pb2

from tests.support.server import SMALL_WINDOW, WAIT_S, Client, connect, event, health, read, record
from tests.support.server_program import SERVE, flags, program
from tests.support.tiny_bundle import item

BALANCER_S = 0.8
"""How long after the server said that it goes calls still come."""


def refused(*arguments: str) -> str:
    """What a server that must not start says; asserts exit 2 and one line."""
    done = subprocess.run([*SERVE, *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2, done.stderr
    lines = [line for line in done.stderr.splitlines() if not line.startswith("{")]
    assert len(lines) == 1 and lines[0].startswith("plural-serve: "), done.stderr
    return lines[0]


async def test_on_sigterm_streams_say_goodbye_unary_calls_finish_and_it_ends_with_0(tmp_path: Path) -> None:
    arguments = flags(tmp_path, "--streams-per-user-max", "1000", "--drain-s", "20")
    async with (
        program(arguments) as (process, port),
        connect(port) as client,
        connect(port, SMALL_WINDOW) as slow,
        connect(port) as other,
    ):
        streams = [_follow(client, f"user-{number % 20}") for number in range(150)]
        streams += [_feed(slow) for _ in range(50)]
        firsts = [await read(stream) for stream in streams]
        watch = health(other).Watch(health_pb2.HealthCheckRequest())
        await read(watch)
        going = asyncio.ensure_future(watch.read())
        callers = [asyncio.ensure_future(_call_until(going, other, number)) for number in range(8)]
        await asyncio.sleep(0.3)
        process.send_signal(signal.SIGTERM)
        await going
        lasts = await asyncio.wait_for(asyncio.gather(*map(_to_the_end, streams)), 30)
        answered = await asyncio.wait_for(asyncio.gather(*callers), 30)
        assert await asyncio.wait_for(process.wait(), 30) == 0
    for stream, first, last in zip(streams, firsts, lasts, strict=True):
        assert first.resume_token
        assert last.HasField("drain") and last.drain.retry_after_ms > 0 and last.resume_token
        assert await stream.code() is grpc.StatusCode.OK
    assert sum(answered) >= len(answered)


async def test_health_tells_of_the_end_before_it_comes(tmp_path: Path) -> None:
    async with program(flags(tmp_path, "--drain-s", "3")) as (process, port), connect(port) as client:
        for service in ("", "plural.v1.RecommendationService", "plural.v1.InterestService"):
            answer = await health(client).Check(health_pb2.HealthCheckRequest(service=service))
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
        watch = health(client).Watch(health_pb2.HealthCheckRequest(service="plural.v1.RecommendationService"))
        assert (await read(watch)).status == health_pb2.HealthCheckResponse.SERVING
        process.send_signal(signal.SIGINT)
        assert (await read(watch)).status == health_pb2.HealthCheckResponse.NOT_SERVING
        assert await asyncio.wait_for(process.wait(), WAIT_S) == 0


async def test_a_resumed_stream_loses_no_slate_over_a_restart(tmp_path: Path) -> None:
    arguments = flags(tmp_path)
    async with program(arguments) as (process, port), connect(port) as client:
        stream = _follow(client, "ada")
        token = (await read(stream)).resume_token
        await record(client, event("ada", item(2, 2)))
        assert (await read(stream)).slate.state_version == 1
        end = asyncio.ensure_future(_to_the_end(stream))
        process.send_signal(signal.SIGTERM)
        last = await end
        assert last.HasField("drain")
        token = last.resume_token
        assert await asyncio.wait_for(process.wait(), WAIT_S) == 0
    async with program(arguments) as (_, port), connect(port) as client:
        stream = _follow(client, "ada", resume_token=token)
        assert (await read(stream)).slate.state_version == 1
        await record(client, event("ada", item(3, 3)))
        assert (await read(stream)).slate.state_version == 2


def test_what_contradicts_itself_is_refused_in_one_line_that_names_the_flags(tmp_path: Path) -> None:
    good = flags(tmp_path)
    pem = tmp_path / "not.pem"
    pem.write_text("no certificate")
    empty = tmp_path / "empty.tokens"
    empty.write_text("# none\n")
    torn = tmp_path / "history.jsonl"
    torn.write_text('{"user_id": "ada"}\n')
    rows: list[tuple[list[str], str]] = [
        (["--listen", "0.0.0.0:0"], "--tls-cert.*--insecure-listen"),
        (["--listen", "[::]:0"], "--tls-cert.*--insecure-listen"),
        (["--listen", "example.org:1"], "--tls-cert.*--insecure-listen"),
        (["--listen", "here"], "--listen here: give HOST:PORT"),
        (["--tls-cert", str(pem)], "--tls-cert and --tls-key"),
        (["--tls-client-ca", str(pem)], "--tls-client-ca needs"),
        (["--tls-cert", str(pem), "--tls-key", str(pem), "--insecure-listen"], "--insecure-listen contradicts"),
        (["--tls-cert", str(pem), "--tls-key", str(pem)], "--tls-key .*not.pem: is not PEM"),
        (["--brokers", "localhost:9"], "--log contradicts --brokers"),
        (["--topic", "t"], "--topic needs --brokers"),
        (["--tokens-file", str(empty)], "--tokens-file .*holds no token"),
        (["--tokens-file", str(tmp_path / "none")], "--tokens-file .*cannot be read"),
        (["--log", str(torn)], "--log .*was not begun by plural-serve"),
        (["--store", "sqlite:x"], "sqlite"),
        (["--bundle", str(tmp_path / "nowhere")], "nowhere"),
        (["--streams-max", "0"], "--streams-max"),
        (["--no-such-flag"], "--no-such-flag"),
    ]
    for more, told in rows:
        line = _refused_here(*good, *more)
        assert re.search(told, line), (more, line)


def test_a_taken_port_is_refused(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        assert f"--listen {address}: cannot be served on" in _refused_here(*flags(tmp_path), "--listen", address)


async def test_two_servers_share_neither_a_port_nor_a_log(tmp_path: Path) -> None:
    async with program(flags(tmp_path / "one")) as (_, port):
        here = await asyncio.to_thread(refused, *flags(tmp_path / "two"), "--listen", f"127.0.0.1:{port}")
        log = await asyncio.to_thread(refused, *flags(tmp_path / "one"))
    assert f"--listen 127.0.0.1:{port}: cannot be served on" in here
    assert "another plural-serve writes it" in log


def test_help_is_for_people() -> None:
    done = subprocess.run([*SERVE, "--help"], capture_output=True, text=True, timeout=60, check=True)
    for flag in ("--listen", "--bundle", "--brokers", "--tls-cert", "--drain-s", "--push-interval-ms-min"):
        assert flag in done.stdout


def _refused_here(*arguments: str) -> str:
    """The same as `refused` without a process, for many rows."""
    import contextlib
    import io

    from server.app import main

    said = io.StringIO()
    with contextlib.redirect_stderr(said), pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2, said.getvalue()
    lines = [line for line in said.getvalue().splitlines() if not line.startswith("{")]
    assert len(lines) == 1, lines
    return lines[0]


def _follow(client: Client, user_id: str, **fields: Any) -> Any:
    return client.recommendations.Follow(recommendations_pb2.FollowRequest(user_id=user_id, size=5, **fields))


def _feed(client: Client) -> Any:
    request = recommendations_pb2.StreamRecommendationsRequest(user_id="ada", chunk_size=1)
    return client.recommendations.StreamRecommendations(request)


async def _to_the_end(stream: Any) -> Any:
    last = None
    while (message := await stream.read()) is not grpc.aio.EOF:
        last = message
    return last


async def _call_until(going: "asyncio.Future[Any]", client: Client, number: int) -> int:
    """Unary calls, as through a balancer that acts a while after the health service said so. All succeed."""
    count, left_s = 0, asyncio.get_running_loop().time() + BALANCER_S
    while not going.done() or asyncio.get_running_loop().time() < left_s:
        await client.recommendations.Recommend(recommendations_pb2.RecommendRequest(user_id=f"u{number}"))
        count += 1
        if not going.done():
            left_s = asyncio.get_running_loop().time() + BALANCER_S
    return count
