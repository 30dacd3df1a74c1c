"""LMDB environments, each opened once a process: LMDB's locks are lost when one file is opened twice."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lmdb

from interests.errors import SettingsRejected, StoreCorrupt, StoreUnavailable
from interests.stores import fence

FORMAT = b"1"
READERS_MAX = 1024
GIB = 1024**3

_CORRUPT = (
    lmdb.CorruptedError,
    lmdb.PageNotFoundError,
    lmdb.InvalidError,
    lmdb.VersionMismatchError,
    lmdb.IncompatibleError,
    lmdb.PanicError,
)


class Environment:
    """One open LMDB directory and its databases, shared by all handles of this process.

    states   user id -> record (see record.py)
    offsets  partition (see lmdb.py) -> next offset, 8 bytes
    changes  sequence number, 8 bytes -> version, wakes, user id
    meta     b"format" -> the layout's version
    """

    def __init__(self, path: Path, map_bytes: int) -> None:
        """Opens or creates. Raises SettingsRejected, StoreCorrupt or StoreUnavailable, naming the path."""
        self.path, self.map_bytes = path, map_bytes
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SettingsRejected(f"store lmdb:{path}: cannot be made: {error.strerror or error}") from None
        with self.errors():
            # Never writemap: a full disk would be a SIGBUS instead of an error.
            self.lmdb: Any = lmdb.open(
                str(path), map_size=map_bytes, max_dbs=4, max_readers=READERS_MAX, readahead=False
            )
            self._uses = 0
            try:
                self._open_databases()
                self.lmdb.reader_check()
            except BaseException:
                self.lmdb.close()
                raise

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Turn LMDB's errors into the project's, each with its remedy."""
        try:
            yield
        except lmdb.MapFullError:
            raise StoreUnavailable(
                f"{self.path}: its map of {self.map_bytes / GIB:g} GiB is full; nothing was written. Restart every "
                "program on it with a larger ?map_gib= in the store URL"
            ) from None
        except lmdb.MapResizedError:
            raise StoreUnavailable(
                f"{self.path}: has outgrown this program's map of {self.map_bytes / GIB:g} GiB: "
                "give every program the writer's ?map_gib="
            ) from None
        except lmdb.ReadersFullError:
            self.lmdb.reader_check()
            raise StoreUnavailable(f"{self.path}: more than {READERS_MAX} readers at once; try again") from None
        except _CORRUPT as error:
            remedy = "restart this program; if that does not help, restore the directory or absorb the log anew"
            raise StoreCorrupt(f"{self.path}: {error}: {remedy}") from None
        except lmdb.Error as error:
            raise StoreUnavailable(
                f"{self.path}: {error}; nothing was written. Look for a full or failing disk (`df {self.path}`)"
            ) from None

    def acquire(self) -> None:
        """Keep it open until the matching `release`."""
        with _lock:
            if not self._uses:
                raise fence.closed()
            self._uses += 1

    def release(self) -> None:
        """Let go; the last one closes it, so that no file is closed under a running read."""
        with _lock:
            self._uses -= 1
            if not self._uses:
                _opened.pop(self._key, None)
                self.lmdb.close()

    def register(self, key: tuple[int, str]) -> None:
        """Count the first use."""
        self._key, self._uses = key, 1

    def _open_databases(self) -> None:
        with self.lmdb.begin(write=True) as txn:
            self.states, self.offsets, self.changes, self.meta = (
                self.lmdb.open_db(name, txn=txn) for name in (b"states", b"offsets", b"changes", b"meta")
            )
            found = txn.get(b"format", db=self.meta)
            if found is None:
                txn.put(b"format", FORMAT, db=self.meta)
            elif found != FORMAT:
                raise StoreCorrupt(
                    f"{self.path}: has layout {found.decode(errors='replace')}, this program reads {FORMAT.decode()}"
                )


_lock = threading.RLock()
_opened: dict[tuple[int, str], Environment] = {}  # by process, because LMDB must be opened anew after a fork


def share(path: Path, map_bytes: int) -> Environment:
    """This process's environment at `path`; the first one to ask decides its map size. `release` it when done."""
    key = (os.getpid(), os.path.realpath(path))
    with _lock:
        if key in _opened:
            _opened[key].acquire()
        else:
            _opened[key] = Environment(path, map_bytes)
            _opened[key].register(key)
        return _opened[key]
