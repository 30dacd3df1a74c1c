"""Where interest states are kept: one contract, three stores, opened by URL."""

from pathlib import Path

from interests.errors import SettingsRejected
from interests.stores.base import InterestStore
from interests.stores.lmdb import MAP_GIB, LmdbStore
from interests.stores.memory import MemoryStore

POSSIBLE = (
    "memory: (lost with the process), lmdb:PATH[?map_gib=N], redis://HOST:PORT/DB[?shards=N], rediss://... (TLS), "
    "or redis+cluster://HOST:PORT[?shards=N]"
)


def open_store(url: str, *, read_only: bool = False) -> InterestStore:
    """Open the store that `url` names. Raises SettingsRejected for what is no store, StoreUnavailable for one away.

    read_only: this handle never writes; a store that is not there yet is created empty, so readers may start first.
    """
    scheme, _, rest = url.partition(":")
    if scheme == "memory" and not rest:
        return MemoryStore()
    if scheme == "lmdb":
        return _open_lmdb(url, rest, read_only)
    raise SettingsRejected(f"store URL {url!r}: give {POSSIBLE}")


def _open_lmdb(url: str, rest: str, read_only: bool) -> LmdbStore:
    path, _, query = rest.partition("?")
    name, _, value = query.partition("=")
    if not path or (query and not (name == "map_gib" and value.isdecimal() and 1 <= int(value) <= 65_536)):
        raise SettingsRejected(f"store URL {url!r}: give lmdb:PATH, or lmdb:PATH?map_gib=N with N from 1 to 65536")
    return LmdbStore(Path(path), read_only=read_only, map_gib=int(value) if query else MAP_GIB)
