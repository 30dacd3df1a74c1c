"""Where interest states are kept: one contract, three stores, opened by URL."""

from pathlib import Path
from urllib.parse import parse_qsl, urlencode

from interests.errors import SettingsRejected
from interests.stores import generations
from interests.stores.base import InterestStore
from interests.stores.environment import GIB
from interests.stores.following import FollowingLmdb, FollowingStore
from interests.stores.lmdb import MAP_BYTES, LmdbStore
from interests.stores.memory import MemoryStore
from interests.stores.redis import RedisStore
from interests.stores.redis_client import SHARDS_MAX, RedisClient, without_credentials

POSSIBLE = (
    "memory: (lost with the process), lmdb:PATH[?map_gib=N], redis://HOST:PORT/DB[?shards=N], rediss://... (TLS), "
    "or redis+cluster://HOST:PORT[?shards=N]; with ?generation=NAME for another generation of the same store"
)
MAP_GIB_MAX = 65_536
REDIS_SCHEMES = ("redis", "rediss", "redis+cluster", "rediss+cluster")

__all__ = ["make_current", "open_store", "without_credentials"]


def open_store(url: str, *, read_only: bool = False, follow: bool = False) -> InterestStore:
    """Open the store that `url` names. Raises SettingsRejected for what is no store, StoreUnavailable for one away.

    read_only: this handle never writes; a store that is not there yet is made empty, so that readers may start first
    follow: with ?generation=current the handle goes on with another generation once that is named
    """
    scheme, place, options = _parts(url)
    if scheme == "memory" and not place and not options:
        return MemoryStore()
    generation = generations.named(url, options)
    follow = follow and generation == generations.CURRENT
    if scheme == "lmdb" and place:
        map_gib = _number(url, options, "map_gib", MAP_GIB_MAX)
        if not options:
            return _open_lmdb(Path(place), generation, map_gib * GIB if map_gib else MAP_BYTES, read_only, follow)
    if scheme in REDIS_SCHEMES and place.removeprefix("//"):
        shards = _number(url, options, "shards", SHARDS_MAX)
        address = f"{scheme}:{place}" + (f"?{urlencode(options)}" if options else "")
        return _open_redis(address, generation, shards, read_only, follow)
    raise SettingsRejected(f"store URL {without_credentials(url)!r}: give {POSSIBLE}")


def _open_lmdb(root: Path, generation: str, map_bytes: int, read_only: bool, follow: bool) -> InterestStore:
    def place(name: str) -> Path:
        return generations.directory_of(root, name)

    def opened(name: str) -> LmdbStore:
        return LmdbStore(place(name), read_only=read_only, map_bytes=map_bytes)

    if follow:
        return FollowingLmdb(generations.FilePointer(root), opened, place, read_only=read_only)
    return opened(generation)


def _open_redis(address: str, generation: str, shards: int | None, read_only: bool, follow: bool) -> InterestStore:
    def opened(name: str) -> RedisStore:
        return RedisStore(address, shards=shards, read_only=read_only, generation=name)

    if follow:
        return FollowingStore(generations.RedisPointer(RedisClient(address, None)), opened, read_only=read_only)
    return opened(generation)


def make_current(url: str, name: str) -> None:
    """Let `?generation=current` mean the generation `name` of the store at `url`; who follows goes on with it.

    Raises SettingsRejected for what is no name or has not a single state, and StoreUnavailable.
    """
    scheme, place, options = _parts(url)
    if generations.named(url, {generations.OPTION: name}) in (generations.CURRENT, generations.FIRST):
        raise SettingsRejected(f"generation {name!r}: give the name of the one that shall be read, as it was filled")
    if generations.OPTION in options or scheme == "memory":
        raise SettingsRejected(f"store URL {without_credentials(url)!r}: give the store's own, without a generation")
    store = open_store(f"{url}{'&' if options else '?'}{generations.OPTION}={name}", read_only=True)
    try:
        count = store.count()
    finally:
        store.close()
    if not count:
        raise SettingsRejected(f"generation {name!r} has no state, so reading it would forget everybody; fill it first")
    if scheme == "lmdb":
        generations.FilePointer(Path(place)).write(name)
        return
    client = RedisClient(f"{scheme}:{place}", None)
    try:
        generations.RedisPointer(client).write(name)
    finally:
        client.close()


def _parts(url: str) -> tuple[str, str, dict[str, str]]:
    """(scheme, place, options) of a store URL."""
    scheme, _, rest = url.partition(":")
    place, _, query = rest.partition("?")
    return scheme, place, dict(parse_qsl(query, keep_blank_values=True))


def _number(url: str, options: dict[str, str], name: str, most: int) -> int | None:
    """Take one option out of a URL's, None where it is not there."""
    text = options.pop(name, None)
    if text is None:
        return None
    if not text.isdecimal() or not 1 <= int(text) <= most:
        raise SettingsRejected(f"store URL {without_credentials(url)!r}: {name} is {text!r}; give 1 to {most}")
    return int(text)
