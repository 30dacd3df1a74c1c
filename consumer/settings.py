"""All that can be said to the consumer, checked before anything is opened."""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from interests.errors import SettingsRejected
from interests.runtime import LogFormat

Level = Literal["DEBUG", "INFO", "WARNING", "ERROR"]
KAFKA_ONLY = (
    *("brokers", "topic", "group", "dead_letter_topic", "security_protocol", "sasl_mechanism", "metrics_port"),
    *("archive", "archive_mib", "archive_roll_s", "catch_up_records", "encode_behind"),
)
FILE_ONLY = ("rejected_rows", "file_batch_records")


class ConsumerSettings(BaseSettings):
    """Moves users' interests as their interactions arrive.

    Reads interactions from a Kafka topic and goes on until it is stopped:

      plural-consume --brokers localhost:9092 --store redis://localhost:6379/0 --bundle data/bundles

    or absorbs a history file (CSV, Parquet, JSON Lines) once and ends:

      plural-consume --from-file interactions.parquet --store lmdb:data/interests

    or takes erased users out of an archive of a topic, joins its small files, and ends:

      plural-consume --merge-archive data/archive

    or names the generation of a store that readers shall open (see ?generation=), and ends:

      plural-consume --store lmdb:data/interests --make-current two

    Every flag can also be set in the environment: --batch-records is PLURAL_BATCH_RECORDS.
    """

    model_config = SettingsConfigDict(
        env_prefix="PLURAL_",
        frozen=True,
        cli_kebab_case=True,
        cli_prog_name="plural-consume",
        cli_hide_none_type=True,
        cli_avoid_json=True,
        cli_exit_on_error=False,
    )

    brokers: str = Field("", description="Kafka's addresses, HOST:PORT, several with commas between")
    topic: str = Field("interactions", min_length=1, description="the topic of interactions")
    group: str = Field("plural-consume", min_length=1, description="the consumer group; its members share the topic")
    store: str = Field("lmdb:data/interests", description="where states are kept: lmdb:PATH or redis://HOST:PORT/DB")
    bundle: Path | None = Field(
        None, description="a bundle, or a directory of them: encodes states as they are written. Without it readers do"
    )
    device: Literal["cpu", "gpu", "auto"] = Field("cpu", description="where the bundle's models run")
    dead_letter_topic: str = Field(
        "interactions.dead-letters", min_length=1, description="the topic for records that cannot be used"
    )
    from_file: Path | None = Field(None, description="absorb this history (a file, directory or glob) and end")
    rejected_rows: Path | None = Field(
        None, description="with --from-file: keep the rows that cannot be used in this file, as JSON Lines with reasons"
    )
    archive: Path | None = Field(
        None,
        description="keep what the topic says in this directory, as Parquet that plural-train reads; one directory for "
        "all members of the group. A new archive begins with the topic's first record. Needs plural[archive]",
    )
    archive_mib: int = Field(64, ge=1, le=65_536, description="memory that waits to become files of the archive")
    archive_roll_s: float = Field(
        300.0, gt=0, description="how old a record gets before it is in a file; the topic must keep records for longer"
    )
    merge_archive: Path | None = Field(None, description="tidy this archive and end")
    make_current: str | None = Field(
        None, description="let ?generation=current of the store mean this generation from now on, and end"
    )
    batch_records: int = Field(64, ge=1, le=10_000, description="at most so many records a durable write")
    catch_up_records: int = Field(
        4000, ge=1, le=100_000, description="the same while more than eight times --batch-records wait"
    )
    encode_behind: int = Field(
        5000, ge=0, description="while more records wait than this, states are left to their readers to encode"
    )
    cached_entries: int = Field(
        4_000_000, ge=0, description="how much of the states written last stays in memory; about 200 bytes an entry"
    )
    file_batch_records: int = Field(20_000, ge=1, le=200_000, description="the same with --from-file")
    poll_s: float = Field(0.5, gt=0, le=5, description="how long a poll waits for a record; a stop takes as long")
    session_timeout_s: float = Field(
        10.0, ge=1, le=300, description="how long a member that died keeps its partitions from the others"
    )
    stuck_s: float = Field(
        120.0, ge=5, description="how long a partition may stand still while its log grows, before this ends with 3"
    )
    metrics_port: int | None = Field(
        None, ge=0, le=65_535, description="serve Prometheus metrics on this port of 127.0.0.1; 0 picks one"
    )
    metrics_address: str = Field("127.0.0.1", description="serve them on this address; they need no credentials")
    log_level: Level = Field("INFO", description="user ids are logged at DEBUG alone")
    log_format: LogFormat = Field("json", description="one JSON object a line, or text for a terminal")
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="how to talk to Kafka"
    )
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "GSSAPI"] | None = Field(
        None, description="how to prove who we are, with a SASL protocol"
    )
    sasl_username: str | None = Field(None, description="for PLAIN and SCRAM")
    sasl_password: SecretStr | None = Field(
        None, description="for PLAIN and SCRAM; better in PLURAL_SASL_PASSWORD, where no process list shows it"
    )
    ssl_ca_file: Path | None = Field(None, description="certificates to trust, PEM; the system's where unset")
    ssl_cert_file: Path | None = Field(None, description="our own certificate, PEM, where Kafka asks for one")
    ssl_key_file: Path | None = Field(None, description="its key, PEM")
    ssl_check_hostname: bool = Field(True, description="the certificate must be the address's own")

    def addresses(self) -> tuple[str, ...]:
        """The brokers' addresses."""
        return tuple(address.strip() for address in self.brokers.split(",") if address.strip())

    def security(self) -> dict[str, Any]:
        """The security settings by the client library's names; None where unset."""
        return {
            "security_protocol": self.security_protocol,
            "sasl_mechanism": self.sasl_mechanism,
            "sasl_plain_username": self.sasl_username,
            "sasl_plain_password": self.sasl_password.get_secret_value() if self.sasl_password else None,
            "ssl_cafile": _text(self.ssl_ca_file),
            "ssl_certfile": _text(self.ssl_cert_file),
            "ssl_keyfile": _text(self.ssl_key_file),
            "ssl_check_hostname": self.ssl_check_hostname,
        }

    def check(self) -> None:
        """Raise SettingsRejected where flags contradict each other, naming them."""
        modes = ("from_file", "merge_archive", "make_current")
        asked = [f"--{name.replace('_', '-')}" for name in modes if getattr(self, name) is not None]
        if len(asked) > 1:
            raise SettingsRejected(f"{' and '.join(asked)} are commands of their own: give one at a time")
        if asked and self.from_file is None:
            return
        if self.from_file is not None:
            self._check_given(KAFKA_ONLY, "--from-file reads no Kafka")
        elif not self.addresses():
            raise SettingsRejected("nothing to read: give --brokers HOST:PORT, or --from-file PATH")
        else:
            self._check_given(FILE_ONLY, "a topic is no file")
        if self.topic == self.dead_letter_topic:
            raise SettingsRejected("--topic and --dead-letter-topic are the same: bad records would come round")
        if self.store == "memory:":
            raise SettingsRejected("--store memory: would be lost with this program: give lmdb:PATH or a Redis URL")
        sasl = self.security_protocol.startswith("SASL")
        if sasl != (self.sasl_mechanism is not None):
            raise SettingsRejected("--sasl-mechanism goes with --security-protocol SASL_SSL or SASL_PLAINTEXT")
        if self.sasl_mechanism not in (None, "GSSAPI") and not (self.sasl_username and self.sasl_password):
            raise SettingsRejected(f"--sasl-mechanism {self.sasl_mechanism} needs --sasl-username and --sasl-password")
        tls_files = {"--ssl-ca-file": self.ssl_ca_file, "--ssl-cert-file": self.ssl_cert_file}
        for flag, path in (tls_files | {"--ssl-key-file": self.ssl_key_file}).items():
            if path is not None and not self.security_protocol.endswith("SSL"):
                raise SettingsRejected(f"{flag} goes with --security-protocol SSL or SASL_SSL")
            if path is not None and not path.is_file():
                raise SettingsRejected(f"{flag} {path}: is not a file")

    def _check_given(self, unwanted: tuple[str, ...], because: str) -> None:
        given = [f"--{name.replace('_', '-')}" for name in unwanted if name in self.model_fields_set]
        if given:
            raise SettingsRejected(f"{because}, so leave out {', '.join(given)}")


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)
