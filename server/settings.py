"""What `plural-serve` can be told, and which of it contradicts."""

import ipaddress
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from interests.runtime import LogFormat
from server.batches import BATCH_MAX

LISTEN_DEFAULT = "127.0.0.1:50051"


class ServerSettings(BaseSettings):
    """Serves slates over gRPC and pushes new ones as interests move.

    Every flag can also be set as the environment variable PLURAL_<NAME>, as PLURAL_STORE for --store.

    Smallest use:  plural-serve --bundle data/bundles
    """

    model_config = SettingsConfigDict(
        env_prefix="PLURAL_",
        frozen=True,
        cli_prog_name="plural-serve",
        cli_kebab_case=True,
        cli_implicit_flags=True,
        cli_hide_none_type=True,
        cli_avoid_json=True,
        cli_exit_on_error=False,
    )

    listen: str = Field(LISTEN_DEFAULT, description="HOST:PORT to serve on; port 0 takes a free one and logs it")
    bundle: Path = Field(Path("data/bundles"), description="what plural-train wrote: a bundle, or a directory of them")
    store: str = Field("lmdb:data/interests", description="where interest states are kept: a store's URL")
    log: Path = Field(
        Path("data/interactions.jsonl"),
        description="without Kafka: the file that recorded interactions are appended to; plural-train reads it",
    )
    brokers: str | None = Field(
        None, description="Kafka as HOST:PORT,HOST:PORT; recorded interactions then go to the topic, for plural-consume"
    )
    topic: str = Field("interactions", min_length=1, description="the topic; with --brokers")
    catalogue: Path | None = Field(
        None, description="without Kafka: the file that keeps what UpsertItems was told; beside the log where unset"
    )
    items_topic: str = Field(
        "items", min_length=1, description="the compacted topic that keeps what UpsertItems was told; with --brokers"
    )
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="how to talk to Kafka"
    )
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "GSSAPI"] | None = Field(
        None, description="how to prove to Kafka who we are, with a SASL protocol"
    )
    sasl_username: str | None = Field(None, description="for PLAIN and SCRAM")
    sasl_password: SecretStr | None = Field(
        None, description="for PLAIN and SCRAM; better in PLURAL_SASL_PASSWORD, where no process list shows it"
    )
    ssl_ca_file: Path | None = Field(None, description="certificates to trust Kafka by (PEM); the system's where unset")
    ssl_cert_file: Path | None = Field(None, description="our own certificate (PEM), where Kafka asks for one")
    ssl_key_file: Path | None = Field(None, description="its key (PEM)")
    tls_cert: Path | None = Field(None, description="serve TLS with this certificate chain (PEM)")
    tls_key: Path | None = Field(None, description="the certificate's private key (PEM)")
    tls_client_ca: Path | None = Field(None, description="demand client certificates signed by these (PEM)")
    insecure_listen: bool = Field(False, description="serve without TLS on an address that is not loopback")
    tokens_file: Path | None = Field(None, description="demand a bearer token on every call: one token a line")
    admin: bool = Field(False, description="let callers reload and roll back bundles")
    reflection: bool = Field(False, description="let clients ask for the services' description")
    metrics_port: int | None = Field(
        None,
        ge=0,
        le=65535,
        description="serve Prometheus metrics on this port, worker N on it plus N; 0 takes a free one and logs it",
    )
    metrics_address: str = Field("127.0.0.1", description="serve them on this address; they need no credentials")
    workers: int = Field(1, ge=1, le=256, description="server processes on the one port; more than one needs --brokers")
    streams_max: int = Field(10_000, ge=1, description="streams open at one time, in one process")
    streams_per_connection_max: int = Field(1_000, ge=1, description="streams open at one time on one connection")
    streams_per_user_max: int = Field(20, ge=1, description="streams open at one time for one user")
    push_interval_ms_min: float = Field(50.0, ge=0, le=60_000, description="least time between two pushes of a stream")
    call_s_max: float = Field(10.0, gt=0, le=3600, description="longest that any unary call may take")
    drain_s: float = Field(
        10.0, ge=0, le=3600, description="after SIGTERM: at most so long for calls to finish and callers to leave"
    )
    impressions: bool = Field(
        False, description="record what is served as shown, where applications send no impressions"
    )
    cache_mib: int = Field(256, ge=0, description="memory for slates that may be asked for again")
    together_max: int = Field(
        BATCH_MAX,
        ge=1,
        le=256,
        description="calls that come at one time and are answered together at most; 1: each by itself",
    )
    device: Literal["cpu", "gpu", "auto"] = Field("cpu", description="where the encoder runs")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="what is logged")
    log_format: LogFormat = Field("json", description="how it is logged")

    @model_validator(mode="after")
    def _no_contradictions(self) -> Self:
        if not _has_host_and_port(self.listen):
            raise ValueError(f"--listen {self.listen}: give HOST:PORT, as {LISTEN_DEFAULT} or [::1]:50051")
        if bool(self.tls_cert) != bool(self.tls_key):
            raise ValueError("--tls-cert and --tls-key go together; give both or neither")
        if self.tls_client_ca and not self.tls_cert:
            raise ValueError("--tls-client-ca needs --tls-cert and --tls-key")
        if self.insecure_listen and self.tls_cert:
            raise ValueError("--insecure-listen contradicts --tls-cert; leave one out")
        if not (is_loopback(self.listen) or self.tls_cert or self.insecure_listen):
            raise ValueError(
                f"--listen {self.listen}: is not loopback, and would be served without TLS; give --tls-cert and "
                "--tls-key, or allow it with --insecure-listen"
            )
        if self.brokers and "log" in self.model_fields_set:
            raise ValueError("--log contradicts --brokers: with Kafka the topic is the log; leave one out")
        if self.brokers and "catalogue" in self.model_fields_set:
            raise ValueError("--catalogue contradicts --brokers: with Kafka --items-topic keeps it; leave one out")
        for field, flag in (("topic", "--topic"), ("items_topic", "--items-topic")):
            if not self.brokers and field in self.model_fields_set:
                raise ValueError(f"{flag} needs --brokers")
        if self.workers > 1 and not self.brokers:
            raise ValueError("--workers: more than one needs --brokers: without Kafka one process keeps the log")
        if self.security_protocol.startswith("SASL") != (self.sasl_mechanism is not None):
            raise ValueError("--sasl-mechanism goes with --security-protocol SASL_SSL or SASL_PLAINTEXT")
        if self.store.startswith("memory:") and self.brokers:
            raise ValueError("--store memory: contradicts --brokers: the consumer's states would never reach it")
        return self

    def catalogue_file(self) -> Path:
        """Where the live catalogue is kept without Kafka."""
        return self.catalogue or self.log.with_name(f"{self.log.stem}.catalogue.jsonl")

    def addresses(self) -> list[str]:
        """The brokers' addresses."""
        return [address.strip() for address in (self.brokers or "").split(",") if address.strip()]

    def security(self) -> dict[str, Any]:
        """Kafka's security settings by the client library's names, those that are set."""
        files = {"ssl_cafile": self.ssl_ca_file, "ssl_certfile": self.ssl_cert_file, "ssl_keyfile": self.ssl_key_file}
        said = {
            "security_protocol": self.security_protocol,
            "sasl_mechanism": self.sasl_mechanism,
            "sasl_plain_username": self.sasl_username,
            "sasl_plain_password": self.sasl_password.get_secret_value() if self.sasl_password else None,
            **{name: str(path) if path else None for name, path in files.items()},
        }
        return {name: value for name, value in said.items() if value is not None}


def is_loopback(listen: str) -> bool:
    """True where only this machine can reach HOST:PORT. A name other than localhost could be anywhere."""
    host = listen.rpartition(":")[0].strip("[]")
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _has_host_and_port(listen: str) -> bool:
    host, _, port = listen.rpartition(":")
    return bool(host) and port.isdecimal() and int(port) <= 65535
