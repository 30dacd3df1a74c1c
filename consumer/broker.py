"""How to reach Kafka: addresses and security, the same for reading and for writing."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from kafka import codec

from interests.errors import SettingsRejected

_SAMPLE = b"interest" * 64

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Broker:
    """Addresses, and what the client library calls the security settings; unset ones keep its defaults."""

    addresses: tuple[str, ...]
    security: dict[str, Any] = field(default_factory=dict, repr=False)

    def options(self) -> dict[str, Any]:
        """Keyword arguments that readers and writers share.

        Topics are never created by being named, and a broker that comes back is found within a second.
        """
        return {
            "bootstrap_servers": list(self.addresses),
            "client_id": "plural-consume",
            "allow_auto_create_topics": False,
            "reconnect_backoff_max_ms": 1000,
            "retry_backoff_ms": 100,
            "bootstrap_timeout_ms": 5000,
            "metadata_max_age_ms": 10_000,
            "metrics_enabled": False,
            **{name: value for name, value in self.security.items() if value is not None},
        }


def check_codecs() -> None:
    """Compress and read back a sample in every codec a producer may use. Raises SettingsRejected naming what fails.

    A codec that is missing otherwise shows itself as polls that stay empty.
    """
    round_trips: dict[str, tuple[Callable[[], bool], Callable[[], bytes]]] = {
        "gzip": (codec.has_gzip, lambda: codec.gzip_decode(codec.gzip_encode(_SAMPLE))),
        "snappy": (codec.has_snappy, lambda: codec.snappy_decode(codec.snappy_encode(_SAMPLE))),
        "lz4": (codec.has_lz4, lambda: codec.lz4_decode(codec.lz4_encode(_SAMPLE))),
        "zstd": (codec.has_zstd, lambda: codec.zstd_decode(codec.zstd_encode(_SAMPLE))),
    }
    for name, (installed, round_trip) in round_trips.items():
        try:
            works = installed() and round_trip() == _SAMPLE
        except Exception as error:  # each codec's library has errors of its own, without a common base
            log.debug("codec failed", extra={"codec": name}, exc_info=error)
            works = False
        if not works:
            remedy = "pip install --force-reinstall lz4 zstandard python-snappy"
            raise SettingsRejected(f"the {name} codec does not work here, so records could be missed: {remedy}")
