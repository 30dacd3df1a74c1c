"""What an operator sees: metrics and logs, and no user's name in either."""

import json
import logging
import urllib.request
from pathlib import Path

import grpc
import pytest
from plural.v1 import recommendations_pb2

from interests.runtime import configure_logs
from interests.stores.memory import MemoryStore
from server.errors import to_failure
from server.parts import running
from tests.support.server import connect, event, read, record, settings

SECRET = "user-whose-name-stays-here"


def scrape(port: int) -> dict[str, float]:
    """Samples by name and labels."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        lines = answer.read().decode().splitlines()
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if not line.startswith("#")}


async def test_metrics_count_calls_pushes_streams_and_cache_hits(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logs("INFO", "json")
    try:
        async with running(settings(tmp_path, metrics_port=0)) as port, connect(port) as client:
            said = [json.loads(line) for line in capsys.readouterr().err.splitlines() if line.startswith("{")]
            metrics_port = next(line["port"] for line in said if line["event"] == "metrics")
            request = recommendations_pb2.RecommendRequest(user_id=SECRET)
            for _ in range(3):
                await client.recommendations.Recommend(request)
            with pytest.raises(grpc.aio.AioRpcError):
                await client.recommendations.Recommend(recommendations_pb2.RecommendRequest())
            stream = client.recommendations.Follow(recommendations_pb2.FollowRequest(user_id=SECRET))
            await read(stream)
            await record(client, event(SECRET, "t0-00"))
            await read(stream)
            await client.recommendations.Recommend(request)
            found = scrape(metrics_port)
            assert not [name for name in found if SECRET in name]
    finally:
        logging.basicConfig(force=True)
    assert found['plural_requests_total{code="OK",method="Recommend"}'] == 4
    assert found['plural_requests_total{code="INVALID_ARGUMENT",method="Recommend"}'] == 1
    assert found['plural_request_seconds_count{method="Recommend"}'] == 5
    assert found["plural_streams"] == 1 and found["plural_pushes_total"] == 1
    assert found['plural_slate_cache_total{result="hit"}'] == 4
    assert found['plural_slate_cache_total{result="miss"}'] == 2
    assert found["plural_interactions_recorded_total"] == 1
    for name in ("plural_change_lag_seconds", "plural_push_seconds", "plural_event_to_push_seconds"):
        assert found[f"{name}_count"] >= 1, name
    assert SECRET not in capsys.readouterr().err


async def test_an_unforeseen_error_is_internal_and_only_the_log_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("secret of the inside")

    monkeypatch.setattr(MemoryStore, "get", broken)
    async with running(settings(tmp_path, store="memory:")) as port, connect(port) as client:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await client.recommendations.Recommend(recommendations_pb2.RecommendRequest(user_id="ada"))
    assert caught.value.code() is grpc.StatusCode.INTERNAL
    assert "secret" not in (caught.value.details() or "")
    assert "secret of the inside" in caplog.text


def test_what_is_worth_a_retry_says_when(caplog: pytest.LogCaptureFixture) -> None:
    from interests.errors import BrokerUnavailable, InvalidRequest, StoreUnavailable
    from server.errors import CallTooLong, LimitReached

    retried = {kind: to_failure(kind("why"), "M") for kind in (StoreUnavailable, BrokerUnavailable, LimitReached)}
    for kind, failure in retried.items():
        assert b"google.rpc.RetryInfo" in dict(failure.trailing_metadata)["grpc-status-details-bin"], kind
    assert retried[LimitReached].code is grpc.StatusCode.RESOURCE_EXHAUSTED
    for final in (InvalidRequest("f", "p"), CallTooLong("t"), RuntimeError()):
        assert "RetryInfo" not in str(to_failure(final, "M").trailing_metadata)
