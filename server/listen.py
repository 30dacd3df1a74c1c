"""The gRPC server: its limits, its address and who may reach it."""

from collections.abc import Iterable
from pathlib import Path

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from interests.errors import SettingsRejected
from server.auth import TokenInterceptor, read_tokens
from server.metrics import Metrics
from server.settings import ServerSettings

OPTIONS: tuple[tuple[str, int], ...] = (
    ("grpc.max_receive_message_length", 256 * 1024),
    ("grpc.max_send_message_length", 1024 * 1024),
    ("grpc.max_metadata_size", 16 * 1024),
    ("grpc.absolute_max_metadata_size", 32 * 1024),
    ("grpc.server_handshake_timeout_ms", 5_000),  # or silent connections would live for ever
    ("grpc.max_connection_idle_ms", 300_000),
    ("grpc.keepalive_time_ms", 60_000),  # finds followers that are gone without a goodbye
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.keepalive_permit_without_calls", 0),
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
    ("grpc.server.max_pending_requests", 10_000),  # the defaults cut off thousands of followers who come back at once
    ("grpc.server.max_pending_requests_hard_limit", 20_000),
)


def make_server(settings: ServerSettings, metrics: Metrics) -> grpc.aio.Server:
    """A server without services or address. Raises SettingsRejected for a bad token file."""
    tokens = settings.tokens_file
    interceptors = [TokenInterceptor(read_tokens(tokens), metrics)] if tokens else []
    # Only workers share a port, or two servers would do so without a word.
    sharing = ("grpc.so_reuseport", int(settings.workers > 1))
    return grpc.aio.server(interceptors=interceptors, options=(*OPTIONS, sharing))


def add_health(server: grpc.aio.Server) -> health.aio.HealthServicer:
    """The standard health service: SERVING overall and for each of ours."""
    servicer = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    return servicer


async def set_serving(servicer: health.aio.HealthServicer, names: Iterable[str]) -> None:
    """Say SERVING for each service."""
    for name in names:
        await servicer.set(name, health_pb2.HealthCheckResponse.SERVING)


def add_reflection(server: grpc.aio.Server, names: Iterable[str]) -> None:
    """Lets clients such as grpcurl ask what there is."""
    reflection.enable_server_reflection((*names, health.SERVICE_NAME, reflection.SERVICE_NAME), server)


def bind(server: grpc.aio.Server, settings: ServerSettings) -> int:
    """Take the address; returns the port. Raises SettingsRejected where it is taken or the TLS files are no good."""
    try:
        if settings.tls_cert and settings.tls_key:
            return server.add_secure_port(settings.listen, _credentials(settings))
        return server.add_insecure_port(settings.listen)
    except RuntimeError:
        tls = ", and the TLS files must be a certificate with its key" if settings.tls_cert else ""
        raise SettingsRejected(
            f"--listen {settings.listen}: cannot be served on; is the port taken, or not of this host{tls}?"
        ) from None


def _credentials(settings: ServerSettings) -> grpc.ServerCredentials:
    assert settings.tls_cert and settings.tls_key
    key, cert = _read("--tls-key", settings.tls_key), _read("--tls-cert", settings.tls_cert)
    client_ca = _read("--tls-client-ca", settings.tls_client_ca) if settings.tls_client_ca else None
    return grpc.ssl_server_credentials([(key, cert)], client_ca, require_client_auth=client_ca is not None)


def _read(flag: str, path: Path) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SettingsRejected(f"{flag} {path}: cannot be read: {error.strerror}") from None
    if b"-----BEGIN " not in data:
        raise SettingsRejected(f"{flag} {path}: is not PEM")
    return data
