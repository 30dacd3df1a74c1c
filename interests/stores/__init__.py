"""Where interest states are kept: one contract, three stores, opened by URL."""

from pathlib import Path
from urllib.parse import parse_qsl, urlencode

from interests.errors import SettingsRejected
from interests.stores.base import InterestStore
from interests.stores.environment import GIB
from interests.stores.lmdb import MAP_BYTES, LmdbStore
from interests.stores.memory import MemoryStore
from interests.stores.redis import RedisStore
from interests.stores.redis_client import SHARDS_MAX, without_credentials

POSSIBLE = (
    "memory: (lost with the process), lmdb:PATH[?map_gib=N], redis://HOST:PORT/DB[?shards=N], rediss://... (TLS), "
    "or redis+cluster://HOST:PORT[?shards=N]"
)
MAP_GIB_MAX = 65_536

__all__ = ["open_store", "without_credentials"]


def open_store(url: str, *, read_only: bool = False) -> InterestStore:
    """Open the store that `url` names. Raises SettingsRejected for what is no store, StoreUnavailable for one away.

    read_only: this handle never writes; a store that is not there yet is made empty, so that readers may start first
    """
    scheme, _, rest = url.partition(":")
    place, _, query = rest.partition("?")
    options = dict(parse_qsl(query, keep_blank_values=True))
    if scheme == "memory" and not rest:
        return MemoryStore()
    if scheme == "lmdb" and place:
        map_gib = _number(url, options, "map_gib", MAP_GIB_MAX)
        if not options:
            map_bytes = map_gib * GIB if map_gib else MAP_BYTES
            return LmdbStore(Path(place), read_only=read_only, map_bytes=map_bytes)
    if scheme in ("redis", "rediss", "redis+cluster", "rediss+cluster") and place.removeprefix("//"):
        shards = _number(url, options, "shards", SHARDS_MAX)
        address = f"{scheme}:{place}" + (f"?{urlencode(options)}" if options else "")
        return RedisStore(address, shards=shards, read_only=read_only)
    raise SettingsRejected(f"store URL {without_credentials(url)!r}: give {POSSIBLE}")


def _number(url: str, options: dict[str, str], name: str, most: int) -> int | None:
    """Take one option out of a URL's, None where it is not there."""
    text = options.pop(name, None)
    if text is None:
        return None
    if not text.isdecimal() or not 1 <= int(text) <= most:
        raise SettingsRejected(f"store URL {without_credentials(url)!r}: {name} is {text!r}; give 1 to {most}")
    return int(text)
