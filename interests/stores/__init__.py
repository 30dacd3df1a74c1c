"""Where interest states are kept: one contract, three stores, opened by URL."""

from interests.errors import SettingsRejected
from interests.stores.base import InterestStore
from interests.stores.memory import MemoryStore

POSSIBLE = (
    "memory: (lost with the process), lmdb:PATH[?map_gib=N], redis://HOST:PORT/DB[?shards=N], rediss://... (TLS), "
    "or redis+cluster://HOST:PORT[?shards=N]"
)


def open_store(url: str, *, read_only: bool = False) -> InterestStore:
    """Open the store that `url` names. Raises SettingsRejected for what is no store, StoreUnavailable for one away.

    read_only: this handle never writes; a store that is not there yet is created empty, so readers may start first.
    """
    scheme = url.partition(":")[0].lower()
    if scheme == "memory" and url in ("memory:", "memory"):
        return MemoryStore()
    raise SettingsRejected(f"store URL {url!r}: give {POSSIBLE}")
