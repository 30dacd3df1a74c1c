"""Who may come in: TLS, client certificates, tokens; and what is open to all."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from plural.v1 import catalogue_pb2, interests_pb2, recommendations_pb2

from server.parts import running
from tests.support.certificates import Signed, authority, signed_by
from tests.support.server import REQUESTS, Client, client_of, connect, event, health, read, record, serving, settings

TOKEN = "correct-horse-battery-staple"
GOOD: dict[str, dict[str, Any]] = {
    "Recommend": {"user_id": "ada"},
    "StreamRecommendations": {"user_id": "ada"},
    "Follow": {"user_id": "ada"},
    "Similar": {"item_id": "t0-00"},
    "Rerank": {"user_id": "ada", "candidates": [recommendations_pb2.RerankCandidate(item_id="t0-00")]},
    "RecordInteractions": {"interactions": [event("ada", "t0-00")]},
    "GetInterests": {"user_id": "ada"},
    "ForgetUser": {"user_id": "ada"},
    "UpsertItems": {"items": [catalogue_pb2.CatalogueItem(item_id="t0-00", available=False)]},
    "ReloadBundle": {},
}


@asynccontextmanager
async def secure(port: int, ca: Signed, ours: Signed | None = None) -> AsyncIterator[Client]:
    """A client that trusts `ca` and, where it has one, shows a certificate of its own."""
    key, cert = (ours.key.read_bytes(), ours.cert.read_bytes()) if ours else (None, None)
    credentials = grpc.ssl_channel_credentials(ca.cert.read_bytes(), key, cert)
    async with grpc.aio.secure_channel(f"localhost:{port}", credentials) as channel:
        yield client_of(channel)


async def code_of(client: Client, method: str, metadata: Any = None) -> grpc.StatusCode:
    """The status of one good call."""
    started = client.method(method)(REQUESTS[method](**GOOD[method]), metadata=metadata, timeout=10)
    try:
        await (read(started) if hasattr(started, "read") else started)
    except grpc.aio.AioRpcError as error:
        return error.code()
    started.cancel()
    return grpc.StatusCode.OK


async def test_tls_serves_those_who_trust_it_and_nobody_in_plaintext(tmp_path: Path) -> None:
    ca = authority(tmp_path, "ca")
    mine = signed_by(ca, tmp_path, "server")
    said = settings(tmp_path, listen="0.0.0.0:0", tls_cert=mine.cert, tls_key=mine.key)
    async with running(said) as port, secure(port, ca) as client, connect(port) as plain:
        assert await code_of(client, "Recommend") is grpc.StatusCode.OK
        assert await code_of(plain, "Recommend") is grpc.StatusCode.UNAVAILABLE
        async with secure(port, authority(tmp_path, "stranger")) as distrusting:
            assert await code_of(distrusting, "Recommend") is grpc.StatusCode.UNAVAILABLE


async def test_mutual_tls_serves_only_certificates_of_its_authority(tmp_path: Path) -> None:
    ca, stranger = authority(tmp_path, "ca"), authority(tmp_path, "stranger")
    mine, theirs, foreign = (
        signed_by(by, tmp_path, name) for by, name in ((ca, "server"), (ca, "client"), (stranger, "foreign"))
    )
    said = settings(tmp_path, tls_cert=mine.cert, tls_key=mine.key, tls_client_ca=ca.cert)
    async with running(said) as port:
        async with secure(port, ca, theirs) as client:
            assert await code_of(client, "Recommend") is grpc.StatusCode.OK
        for ours in (None, foreign):
            async with secure(port, ca, ours) as client:
                assert await code_of(client, "Recommend") is grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize("method", GOOD)
async def test_a_token_is_asked_for_by_every_method(tmp_path: Path, method: str) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text(f"# ours\n\nanother-token-of-ours\n{TOKEN}\n")
    async with serving(tmp_path, tokens_file=tokens, admin=True) as client:
        for metadata, wanted in (
            (None, grpc.StatusCode.UNAUTHENTICATED),
            ([("authorization", TOKEN)], grpc.StatusCode.UNAUTHENTICATED),
            ([("authorization", "Bearer ")], grpc.StatusCode.UNAUTHENTICATED),
            ([("authorization", f"Bearer {TOKEN}x")], grpc.StatusCode.UNAUTHENTICATED),
            ([("authorization", f"Bearer {TOKEN[:-1]}")], grpc.StatusCode.UNAUTHENTICATED),
            ([("authorization", "Bearer # ours")], grpc.StatusCode.UNAUTHENTICATED),
            ([("authorization", f"Bearer {TOKEN}")], grpc.StatusCode.OK),
            ([("authorization", "bearer another-token-of-ours")], grpc.StatusCode.OK),
        ):
            assert await code_of(client, method, metadata) is wanted, metadata


async def test_a_refused_call_does_nothing(tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text(TOKEN)
    async with serving(tmp_path, tokens_file=tokens) as client:
        with pytest.raises(grpc.aio.AioRpcError):
            await record(client, event("ada", "t0-00"))
        good = [("authorization", f"Bearer {TOKEN}")]
        found = await client.interests.GetInterests(interests_pb2.GetInterestsRequest(user_id="ada"), metadata=good)
    assert found.state_version == 0


async def test_health_needs_no_token_and_reflection_needs_one(tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text(TOKEN)
    async with serving(tmp_path, tokens_file=tokens, reflection=True) as client:
        answer = await health(client).Check(health_pb2.HealthCheckRequest())
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await services(client)
        assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
        assert "plural.v1.InterestService" in await services(client, [("authorization", f"Bearer {TOKEN}")])


async def test_reflection_is_off_unless_asked_for(tmp_path: Path) -> None:
    async with serving(tmp_path) as client:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await services(client)
        assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
    async with serving(tmp_path, reflection=True) as client:
        assert {"plural.v1.RecommendationService", "grpc.health.v1.Health"} <= await services(client)


async def services(client: Client, metadata: Any = None) -> set[str]:
    """What reflection lists."""
    channel: Any = client.channel
    stub: Any = reflection_pb2_grpc.ServerReflectionStub(channel)
    stream = stub.ServerReflectionInfo(
        iter([reflection_pb2.ServerReflectionRequest(list_services="")]), metadata=metadata, timeout=10
    )
    answer = await read(stream)
    return {service.name for service in answer.list_services_response.service}
