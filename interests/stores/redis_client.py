"""A connection to Redis or Valkey, alone or a cluster: opened, checked for what it promises, its errors translated."""

import logging
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import redis
from redis.backoff import ExponentialBackoff, NoBackoff
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    NoPermissionError,
    RedisClusterException,
    RedisError,
)
from redis.retry import Retry

from interests.errors import SettingsRejected, StoreError, StoreUnavailable

FORMAT = 1
NAMESPACE = "plural"
SHARDS_DEFAULT = 16
SHARDS_MAX = 1024
VERSION_MIN = 6
CONNECT_TIMEOUT_S = 3.0
ANSWER_TIMEOUT_S = 5.0

log = logging.getLogger(__name__)


class RedisClient:
    """One server or cluster. `reads` tries again once when a connection breaks, `writes` never does."""

    def __init__(self, url: str, shards: int | None, namespace: Callable[["RedisClient"], str] | None = None) -> None:
        """Connects and checks. Raises SettingsRejected for what cannot work, StoreUnavailable for a server away.

        shards: how many the store must have; None takes what it has, or 16 for a new one
        namespace: says, asking this client, what all keys of the store begin with
        """
        self.address = without_credentials(url)
        self._is_open = False
        self.is_cluster = "+cluster" in url.partition(":")[0]
        try:
            self.reads = self._connect(url, Retry(ExponentialBackoff(cap=0.1, base=0.02), 1))
            self.writes = self._connect(url, Retry(NoBackoff(), 0))
            for info in self._infos():
                check_server(self.address, info)
            self.namespace = namespace(self) if namespace else NAMESPACE
            self.shards = self._agree_on_shards(shards)
            self._is_open = True
        except (ValueError, TypeError) as error:  # the client's words for a wrong port or an unknown option
            raise SettingsRejected(f"store URL {self.address}: {error}") from None

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Turn the client's errors into the project's."""
        try:
            yield
        except (AuthenticationError, AuthorizationError, NoPermissionError) as error:
            problem = f"store {self.address}: {error}; give user and password in the URL"
            # Refused at the start it is a mistake; later, perhaps a password being changed.
            raise (StoreUnavailable if self._is_open else SettingsRejected)(problem) from None
        except (RedisError, RedisClusterException, OSError) as error:
            raise StoreUnavailable(f"store {self.address}: {type(error).__name__}: {error}") from None

    def close(self) -> None:
        """Drop all connections."""
        self.reads.close()
        self.writes.close()

    def _connect(self, url: str, retry: Retry) -> Any:
        # The second protocol's answers have the same shape in every version of client and server.
        options: dict[str, Any] = {
            "retry": retry,
            "protocol": 2,
            "socket_timeout": ANSWER_TIMEOUT_S,
            "socket_connect_timeout": CONNECT_TIMEOUT_S,
        }
        if not self.is_cluster:
            return redis.Redis.from_url(url, **options)
        with self.errors():
            return redis.RedisCluster.from_url(url.replace("+cluster", "", 1), **options)

    def _infos(self) -> list[dict[str, Any]]:
        with self.errors():
            if not self.is_cluster:
                return [dict(self.reads.info())]
            return [dict(node.redis_connection.info()) for node in self.reads.get_primaries()]

    def _agree_on_shards(self, wanted: int | None) -> int:
        """The number of shards is written once: users found by it would be lost under any other."""
        with self.errors():
            self.writes.hsetnx(f"{self.namespace}:meta", "format", FORMAT)
            self.writes.hsetnx(f"{self.namespace}:meta", "shards", wanted or SHARDS_DEFAULT)
            meta = self.reads.hgetall(f"{self.namespace}:meta")
        found, layout = int(meta[b"shards"]), int(meta[b"format"])
        if layout != FORMAT:
            raise StoreError(f"store {self.address}: has layout {layout}, this program reads {FORMAT}")
        if wanted not in (None, found):
            raise SettingsRejected(
                f"store {self.address}: was made with {found} shards, not {wanted}; give ?shards={found}"
            )
        return found


def check_server(address: str, info: Mapping[str, Any]) -> None:
    """Raise SettingsRejected for a server too old, and warn of one that may lose what it acknowledged.

    info: its answer to INFO
    """
    version = str(info.get("redis_version", "0"))
    if int(version.partition(".")[0]) < VERSION_MIN:
        raise SettingsRejected(f"store {address}: is Redis {version}; give Redis {VERSION_MIN} or later, or Valkey")
    if not info.get("aof_enabled"):
        log.warning(
            "the store keeps no append-only file: a crash of the server loses thousands of acknowledged writes; "
            "set `appendonly yes` and `appendfsync everysec`",
            extra={"store": address},
        )
    if info.get("maxmemory") and info.get("maxmemory_policy") != "noeviction":
        log.warning(
            "the store drops users when its memory is full; set `maxmemory-policy noeviction`",
            extra={"store": address, "maxmemory_policy": info.get("maxmemory_policy")},
        )


def without_credentials(url: str) -> str:
    """A URL fit for logs: no user, no password, no options."""
    return re.sub(r"//[^/]*@", "//", url.partition("?")[0])
